"""What the 3-D baselines share: which volumes they take, and what training asks of every network."""

from functools import partial

from torch import Tensor, nn

from m2s.errors import InputError


def for_volumes(network: nn.Module, step: int = 16) -> nn.Module:
    """Give a network what training asks of every network; its volumes have sides that are multiples of ``step``."""
    network.encoder = nn.Module()
    network.mean, network.std = (0.0,), (1.0,)
    network.weights_source = "random (this network has no pretrained encoder)"
    network.register_forward_pre_hook(partial(_check_sides, step))
    return network


def _check_sides(step: int, network: nn.Module, inputs: tuple[Tensor]) -> None:
    sides = inputs[0].shape[2:]  # of (N, C, D, H, W)
    # The deepest features are normalized over each volume, which takes more than one voxel.
    if any(side % step for side in sides) or max(sides) <= step:
        raise InputError(
            f"volume of {'×'.join(map(str, sides))} voxels: {type(network).__name__} takes sides that are multiples of "
            f"{step}, and one of them larger than that"
        )
