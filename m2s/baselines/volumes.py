"""What the 3-D baselines share: UNETR's decoder, which volumes they take, what training asks of every network."""

from functools import partial
from itertools import pairwise

from monai.networks.blocks import UnetrBasicBlock, UnetrUpBlock
from torch import Tensor, nn

from m2s.baselines.blocks import expand
from m2s.errors import InputError
from m2s.units import CONV


class UNETRShape(nn.Module):
    """A body and the decoder of UNETR: ``(N, in, D, H, W)`` → logits ``(N, num_classes, D, H, W)``.

    Args:
        body: from the volume to features with ``width``, 2, 4, 8 times as many channels at strides 2, 4, 8, 16.
        in_channels, num_classes: channels of the volume and of the logits.
        width: channels at full resolution and of the first feature.
        dims: 3, or 2 for images.
    """

    def __init__(self, body: nn.Module, in_channels: int, num_classes: int, width: int = 48, dims: int = 3):
        super().__init__()
        widths = [width * 2**i for i in range(5)]  # at strides 1, 2, 4, 8, 16
        self.body = body
        self.skips = nn.ModuleList(residual_block(i, o, dims) for i, o in pairwise((in_channels, *widths)))
        self.up = nn.ModuleList(
            UnetrUpBlock(dims, deep, shallow, 3, 2, "instance", res_block=True)
            for deep, shallow in pairwise(widths[::-1])
        )
        self.head = nn.Sequential(residual_block(width, width, dims), CONV[dims](width, num_classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        features = [skip(feature) for skip, feature in zip(self.skips, [x, *self.body(x)], strict=True)]
        return self.head(expand(features, self.step))  # (N, width, D, H, W) → (N, num_classes, D, H, W)

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        return self.up[level](deep, skip)


def residual_block(in_channels: int, out_channels: int, dims: int) -> nn.Module:
    """Two convolutions of 3 a side with instance norm and a shortcut, the block of UNETR's skips."""
    return UnetrBasicBlock(dims, in_channels, out_channels, 3, 1, "instance", res_block=True)


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
