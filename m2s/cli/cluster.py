"""What a reproduction on a cluster needs beside that on one machine: an executor, and estimates for its jobs."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from m2s import paths
from m2s.cli.estimates import estimate_seconds
from m2s.errors import InputError
from m2s.runs.plan import count_images
from m2s.studies.profiles import find_profile
from m2s.studies.run import Run

MARGIN, LEAST = 4, 30
"""Of the time limit of a training: so many times what it takes here, for slower nodes, and at least so many minutes."""
PROCESS_MB, BYTES_PER_PIXEL = 2500, 4000
"""Of the memory of a training: Python with its libraries, and the feature maps of M2SNet for a pixel of a batch (2.7 GB
in all were measured at 160 px with batches of 16)."""
GPU_MINUTES = 24 * 60
"""The time limit of a training that needs a GPU, which the machine that submits it may lack."""


def list_executor_arguments(executor: str, jobs: int | None, workflow_profile: Path | None) -> list[str]:
    """Snakemake's arguments for an executor plugin; ``jobs`` may be under way at once.

    ``workflow_profile`` is a folder with a ``config.yaml`` for Snakemake, by default the one of ``profiles/``.

    Raises:
        InputError: the plugin is not installed, or Slurm's commands are not.
    """
    own = paths.ROOT / "profiles" / executor
    if find_spec(f"snakemake_executor_plugin_{executor.replace('-', '_')}") is None:
        pinned = own / "requirements.txt"
        packages = f"--no-deps -r {pinned}" if pinned.exists() else f"snakemake-executor-plugin-{executor}"
        raise InputError(f"Snakemake has no executor '{executor}' here: python -m pip install {packages} adds it")
    folder = workflow_profile or (own if own.is_dir() else None)
    if folder and not (folder / "config.yaml").is_file():
        raise InputError(f"no config.yaml in {folder}: give --workflow-profile a folder that holds one")
    arguments = ["--executor", executor, "--jobs", str(jobs or 20)]
    arguments += ["--workflow-profile", str(folder)] if folder else []
    if executor == "slurm":
        without = ["squeue", "--slurm-no-account"]
        arguments += ["--slurm-status-command", *(["sacct"] if _keeps_accounts() else without)]
    return arguments


def _keeps_accounts() -> bool:
    """Whether Slurm has a data base of jobs. Without one, ``sacct`` is there and knows of no job."""
    if not shutil.which("sbatch"):
        raise InputError("no sbatch on this machine: reproduce with --executor slurm on a login node of the cluster")
    asked = subprocess.run(["scontrol", "show", "config"], capture_output=True, encoding="utf-8", check=False)
    if asked.returncode:
        raise InputError(f"Slurm does not answer here: {asked.stderr.strip().partition(chr(10))[0]}")
    kept = next((line for line in asked.stdout.splitlines() if line.startswith("AccountingStorageType")), "")
    return not kept.endswith(("none", "(null)"))


def estimate_needs(runs: Sequence[Run], profile: str, data: str) -> dict[str, dict[str, int]]:
    """By key, what the job of each run asks for: ``mem_mb``, ``runtime`` in minutes, ``gpu`` (0 or 1).

    Times are measured here, except those of a profile for GPUs.
    """
    gpu, images = find_profile(profile).gpu, count_images(runs, data)
    seconds = [GPU_MINUTES * 60 / MARGIN] * len(runs) if gpu else estimate_seconds(runs, data)
    needs = {}
    for run, count, taken in zip(runs, images, seconds, strict=True):
        recipe = run.recipe
        pixels = recipe.size**3 * recipe.batch_size if run.volumetric else recipe.size**2 * recipe.batch_size
        kept = count / recipe.epochs * recipe.size**2 * 4  # uint8 images and masks, all in memory
        needs[run.key] = {
            "mem_mb": round(PROCESS_MB + (pixels * BYTES_PER_PIXEL + kept) / 1e6),
            "runtime": max(LEAST, round(MARGIN * taken / 60)),
            "gpu": int(gpu),
        }
    return needs


def find_slurm_error(results: Path, rule: str) -> tuple[str, list[Path]] | None:
    """What Slurm says of the last job of a rule that it has ended, and the file that says so; ``None`` without one."""
    logs = sorted((results / ".snakemake" / "slurm_logs" / f"rule_{rule}").rglob("*.log"), key=os.path.getmtime)
    for line in logs[-1].read_text(encoding="utf-8", errors="replace").splitlines() if logs else []:
        if "error:" in line:
            return line.partition("error:")[2].strip(" *"), logs[-1:]
    return None
