"""Trained networks to take home: the folders of ``weights/``, each with its settings and its model card."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from m2s.errors import InputError, unknown
from m2s.paths import CARRIED, read_json
from m2s.weights import read_state_dict
from m2s.zoo import create_model

FOLDER = CARRIED / "weights"
CONFIG, MODEL = "config.json", "model.safetensors"


def list_pretrained() -> list[str]:
    """The names that :func:`load_pretrained` takes: the folders of ``weights/`` that hold a network."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{CONFIG}"))


def load_pretrained(name: str | Path) -> nn.Module:
    """A trained network in evaluation mode, ready for :func:`m2s.predict`; the files hold float16, it is float32.

    It carries ``size``, the side in pixels that it was trained at, ``classes``, the names of its foreground classes,
    and ``mean`` and ``std`` for RGB in [0, 1].

    Args:
        name: one of :func:`list_pretrained`, or a folder with ``config.json`` and ``model.safetensors``.

    Raises:
        InputError: no network of that name, or its two files do not fit together.
    """
    folder = FOLDER / name if str(name) in list_pretrained() else Path(name)
    if not (folder / CONFIG).is_file():
        raise unknown("network", name, list_pretrained())
    config = read_json(folder / CONFIG, "get the folder again")
    needed = {"model", "encoder", "options", "num_classes", "size", "mean", "std", "classes", "run"}
    if missing := sorted(needed - config.keys()):
        raise InputError(f"cannot read {folder / CONFIG} (it lacks {', '.join(missing)}): get the folder again")
    options = config["options"]
    network = create_model(config["model"], config["encoder"], False, config["num_classes"], **options)
    try:
        network.load_state_dict(read_state_dict(folder / MODEL))  # copied into float32
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder / MODEL} does not fit the network of {CONFIG} beside it: {reason}") from error
    network.mean, network.std = tuple(config["mean"]), tuple(config["std"])
    network.size, network.classes = config["size"], tuple(config["classes"])
    network.weights_source = f"weights/{folder.name}, of run {config['run']}"
    return network.eval()


def halve_state(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A network's state dict in float16, but for the running statistics of normalisations, which stay float32.

    Raises:
        InputError: a weight is too large for float16 (above 65504).
    """
    halved = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    for name, tensor in halved.items():
        if tensor.is_floating_point() and not name.endswith(("running_mean", "running_var")):
            halved[name] = tensor.half()
            if not halved[name].isfinite().all():
                raise InputError(f"the weights {name} do not fit into float16: their largest is {tensor.abs().max():g}")
    return halved
