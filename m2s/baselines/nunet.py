"""NU-Net."""

from functools import partial

from torch import Tensor, nn

from m2s.baselines.blocks import DoubleConv, concatenate, contract, expand
from m2s.baselines.skunet import PlainUNet
from m2s.errors import InputError


class MultiOutputUNet(nn.Module):
    """U-Nets of depths 1 … ``depth`` with shared weights on a map ``(N, C, H, W)``; the map plus all their outputs.

    All of them share one contracting path; the U-Net of depth d turns back at level d. Blocks have ``inner`` channels.
    """

    def __init__(self, channels: int, depth: int, inner: int):
        super().__init__()
        self.contract = nn.ModuleList([DoubleConv(channels, inner), *(DoubleConv(inner, inner) for _ in range(depth))])
        self.expand = nn.ModuleList(DoubleConv(2 * inner, inner) for _ in range(depth))
        self.out = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = contract(x, self.contract)  # (N, inner, H/2^i, W/2^i) for i = 0 … depth
        depths = range(1, len(features))
        total = sum(expand(features[: depth + 1], partial(self.step, depth)) for depth in depths)
        return x + self.out(total)  # (N, inner, H, W) → (N, C, H, W)

    def step(self, depth: int, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        return self.expand[depth - 1 - level](concatenate(skip, deep))  # the modules stand from shallow to deep


class NUNet(PlainUNet):
    """NU-Net (Chen et al., "NU-net: an unpretentious nested U-net for breast tumor segmentation", arXiv:2209.07193).

    From the paper: a U-Net deeper than the usual one as backbone, and between its contracting and expanding path U-Nets
    of different depths with shared weights. Thin, and a reading of the abstract more than of its code: one
    :class:`MultiOutputUNet` on each skip, as deep as the backbone goes on below it (at most 4), none of the paper's
    further connections; depth and widths are this project's choice. Parameter count of the publication: not verified.

    ``width``: channels at full resolution, doubled at each halving up to 16 times; also those of the inner U-Nets.
    ``depth``: halvings of the backbone, 1 to 5; U-Net has 4.
    """

    def __init__(
        self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, width: int = 32, depth: int = 5
    ):
        if not 1 <= depth <= 5:
            raise InputError(f"depth={depth}: give 1 to 5 halvings")
        widths = [width * min(2**i, 16) for i in range(depth + 1)]
        super().__init__(DoubleConv, widths, num_classes)
        self.skips = nn.ModuleList(MultiOutputUNet(widths[i], min(depth - i, 4), width) for i in range(depth))
