"""The trained network of a run, and the device it runs on."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from m2s.errors import InputError
from m2s.runs.store import MODEL, RECORD
from m2s.zoo import create_model


def load_model(path: str | Path) -> tuple[nn.Module, int]:
    """The trained network of a run, in evaluation mode, and the image size it was trained at (also its ``size``).

    ``path`` is a run's folder or the ``model.safetensors`` in it. Raises :class:`m2s.errors.InputError` where there is
    no record or no checkpoint, or they do not belong together.
    """
    folder = Path(path).parent if Path(path).suffix else Path(path)
    if not (folder / RECORD).is_file() or not (folder / MODEL).is_file():
        raise InputError(f"{folder} is not a finished run with a checkpoint: expected {RECORD} and {MODEL} in it")
    settings = json.loads((folder / RECORD).read_text(encoding="utf-8"))["settings"]
    options, classes = dict(settings["options"]), settings.get("num_classes", 1)
    model = create_model(settings["model"], settings["encoder"], False, classes, **options)
    try:
        model.load_state_dict(load_file(folder / MODEL))
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder / MODEL} does not fit the network of {RECORD} beside it: {reason}") from error
    model.size = settings["recipe"]["size"]
    return model.eval(), model.size


def pick_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
