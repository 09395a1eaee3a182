"""CMUNeXt."""

from itertools import pairwise

from torch import Tensor, nn

from m2s.baselines.blocks import UShape
from m2s.lgmsnet import Fusion, Up
from m2s.units import ConvBNReLU


class Residual(nn.Sequential):
    """Layers whose result is added to their input."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class CMUNeXt(UShape):
    """CMUNeXt (Tang et al., "CMUNeXt: an efficient medical image segmentation network based on large kernel and skip
    fusion", ISBI 2024).

    From the paper: per level blocks of a residual depthwise convolution with a large kernel and an inverted bottleneck,
    then a 3×3 convolution to the next width; the skips are fused by a convolution in two groups and a bottleneck, which
    LGMSNet took over (:class:`m2s.lgmsnet.Fusion`). 3,149,185 parameters with one class (3.14 M in LGMSNet's Table 1,
    which cuts off).
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1):
        super().__init__()
        w = [16, 32, 128, 160, 256]
        channels, depths, kernels = pairwise([w[0], *w]), (1, 1, 1, 3, 1), (3, 3, 7, 7, 7)
        stages = [
            nn.Sequential(*(self.block(a, k) for _ in range(depth)), ConvBNReLU(a, b))
            for (a, b), depth, k in zip(channels, depths, kernels, strict=True)
        ]
        stages[0].insert(0, ConvBNReLU(3, w[0]))
        self.encode = nn.ModuleList(stages)
        levels = list(pairwise(w))[::-1]
        self.up = nn.ModuleList(Up(b, a) for a, b in levels)
        self.decode = nn.ModuleList(Fusion(2 * a, a) for a, _ in levels)
        self.head = nn.Conv2d(w[0], num_classes, 1)

    @staticmethod
    def block(channels: int, kernel: int) -> nn.Sequential:
        depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        return nn.Sequential(
            Residual(depthwise, nn.GELU(), nn.BatchNorm2d(channels)),
            *(nn.Conv2d(channels, 4 * channels, 1), nn.GELU(), nn.BatchNorm2d(4 * channels)),
            *(nn.Conv2d(4 * channels, channels, 1), nn.GELU(), nn.BatchNorm2d(channels)),
        )
