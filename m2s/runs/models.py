"""Trained networks, of runs and of ``weights/``, and the device they run on."""

import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from m2s.baselines.support import InContext
from m2s.data.sets import CATALOGUE
from m2s.errors import InputError, RunError, install_extra, unknown
from m2s.pretrained import CONFIG, list_pretrained, load_pretrained
from m2s.runs.export import OnnxNetwork, convert_to_onnx, load_onnx
from m2s.runs.store import MODEL, RECORD, find_run_folder, list_runs_by_name, read_record
from m2s.studies.run import split_of
from m2s.zoo import create_model

ONNX_PAYS_FROM = 50
"""Images of one network: with fewer, writing the ONNX form on a CPU costs more than ONNX Runtime then saves."""


def load_network(name: str | Path) -> nn.Module:
    """A trained network in evaluation mode: one of :func:`m2s.list_pretrained`, or that of a run.

    A run is given by its name, its key or its folder (:func:`m2s.runs.store.find_run_folder`). The network carries
    ``size``, the side of its input, and ``classes``, the names of its foreground classes.
    """
    folder = Path(name)
    if folder.suffix == ".onnx":
        return load_onnx(folder)
    if str(name) in list_pretrained() or (folder / CONFIG).is_file():
        return load_pretrained(name)
    try:
        return load_model(find_run_folder(name))[0]
    except InputError as error:
        if folder.exists() or not str(error).startswith("unknown"):
            raise
        raise unknown("network", name, [*list_pretrained(), *list_runs_by_name()]) from None


def choose_task(network: nn.Module, task: str | None) -> nn.Module:
    """The network with the examples of one of its tasks; only one with a support set for several has a choice.

    Raises:
        InputError: there is a choice and no task is given, or there is no such task.
    """
    tasks = getattr(network, "tasks", ())
    if task is not None:
        if task not in tasks:
            raise unknown("task of this network", task, tasks)
        return network.for_task(task)
    if len(tasks) > 1:
        known = " or ".join(f'"{one}"' for one in tasks)
        raise InputError(f"this network was trained for several tasks: choose one by --task {known}")
    return network


def load_model(path: str | Path) -> tuple[nn.Module, int]:
    """The trained network of a run, in evaluation mode, and the image size it was trained at (also its ``size``).

    ``path`` is a run's folder or the ``model.safetensors`` in it. Raises :class:`m2s.errors.InputError` where there is
    no record or no checkpoint, or they do not belong together.
    """
    folder = Path(path) if Path(path).is_dir() else Path(path).parent  # an encoder's name may hold a dot
    if not (folder / RECORD).is_file() or not (folder / MODEL).is_file():
        raise InputError(f"{folder} is not a finished run with a checkpoint: expected {RECORD} and {MODEL} in it")
    record = read_record(folder)
    settings = record["settings"]
    options, classes = dict(settings["options"]), settings.get("num_classes", 1)
    model = create_model(settings["model"], settings["encoder"], False, classes, **options)
    try:
        model.load_state_dict(load_file(folder / MODEL))
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder / MODEL} does not fit the network of {RECORD} beside it: {reason}") from error
    if isinstance(model, InContext):
        model.tasks = tuple(record["support"])
    model.size = settings["recipe"]["size"]
    if settings["data"] == "own":
        model.classes = tuple(settings["classes"])
    else:
        entry = CATALOGUE[split_of(settings["train_sets"][0], "train")[0]]
        model.modality, model.spacing = entry.modality, entry.spacing
        model.classes = entry.classes if classes > 1 else entry.classes[:1]
    return model.eval(), model.size


def pick_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def place_network(network: nn.Module, images: int, size: int) -> nn.Module:
    """A network in evaluation mode in its fastest form for so many images, one by one, of ``size`` × ``size`` pixels.

    On the GPU, if there is one. On the CPU, from :data:`ONNX_PAYS_FROM` images on, a copy for ONNX Runtime, whose
    probabilities are the same but for rounding; a line on standard error says so, or why not.
    """
    device = pick_device()
    network = network.eval().to(device)
    volumetric = any(p.ndim == 5 for p in network.parameters())
    if device.type != "cpu" or images < ONNX_PAYS_FROM or volumetric or isinstance(network, OnnxNetwork):
        return network
    if not (find_spec("onnx") and find_spec("onnxruntime")):
        print(f"{images} images by PyTorch; ONNX Runtime is faster: {install_extra('export')}", file=sys.stderr)
        return network
    try:
        network = convert_to_onnx(network, size)
        print(f"{images} images by ONNX Runtime", file=sys.stderr)
    except RunError as error:
        print(f"{images} images by PyTorch: {error}", file=sys.stderr)
    return network
