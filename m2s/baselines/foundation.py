"""Large pretrained networks from transformers, an extra of this project: how they are made, with or without weights."""

from typing import Any

import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn

from m2s.errors import InputError
from m2s.weights import find_file, hub_answers, read_state_dict

REPOSITORIES = {
    "seggpt-vit-large": "BAAI/seggpt-vit-large",
    "sam2.1-hiera-large": "facebook/sam2.1-hiera-large",
    "sam-vit-base": "facebook/sam-vit-base",
}
"""Name of the weights, which is that of their file in M2S_WEIGHTS → where the hub has them."""


class Foundation(nn.Module):
    """The place of the encoder, filled by a whole network of transformers, ``body``; all of it has the encoder's rate.

    Args:
        body: class of transformers.
        config: its configuration; weights have to fit it.
        name: of the weights, one of :data:`REPOSITORIES`.
        pretrained: with these weights, of a file in M2S_WEIGHTS or from the hub; else random ones.
    """

    mean, std = IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

    def __init__(self, body: Any, config: Any, name: str, pretrained: bool):
        super().__init__()
        if not pretrained:
            self.body, self.weights_source = body(config), "random"
            return
        path, source = find_file(name), f"file {name} (M2S_WEIGHTS)"
        if path is None:
            path, source = fetch_weights(name), "the hub"
        # Not load_state_dict: transformers renames what older files call differently.
        self.body, told = body.from_pretrained(
            None, config=config, state_dict=read_state_dict(path), output_loading_info=True
        )
        if missing := sorted(told["missing_keys"]):
            raise InputError(f"{path} lacks {len(missing)} tensors of {name}, first {missing[0]}: fetch it again")
        self.weights_source = source


def fetch_weights(name: str) -> str:
    """The file of some weights, from the hub or its cache on this machine."""
    from huggingface_hub import constants, hf_hub_download

    repository, file = REPOSITORIES[name], "model.safetensors"
    try:
        return hf_hub_download(repository, file, local_files_only=not hub_answers())
    except Exception as error:  # whatever the network's library raises
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"no weights of {name} here or from the hub ({reason}): get {constants.ENDPOINT}/{repository}/resolve/main/"
            f"{file} on a machine with a network, save it as {name}.safetensors in a folder and set M2S_WEIGHTS to it; "
            "pretrained=False asks for random weights"
        ) from error


def refuse_classes(num_classes: int) -> None:
    """An InputError for more than one class."""
    if num_classes != 1:
        raise InputError(f"{num_classes} classes: this network segments one, give num_classes=1")


def whole_box(count: int, side: int, device: torch.device) -> torch.Tensor:
    """A box around the whole image for each of ``count`` images, ``(count, 1, 4)``: it tells nothing about the mask."""
    return torch.tensor([0.0, 0, side, side], device=device).expand(count, 1, 4)
