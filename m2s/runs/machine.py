"""What a run ran on."""

import os
import platform
from pathlib import Path

import psutil
import timm
import torch
import torchvision


def describe_machine() -> dict[str, object]:
    """What the run ran on: processor, cores, memory, GPU, system, versions. No name or path of the machine."""
    cpu = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")  # Linux alone has it
    if described.exists():
        lines = described.read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), cpu)
    return {
        "processor": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "versions": {"python": platform.python_version()}
        | {m.__name__: m.__version__ for m in (torch, torchvision, timm)},
    }
