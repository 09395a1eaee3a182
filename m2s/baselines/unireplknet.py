"""UniRepLKNet."""

from itertools import pairwise

import torch
from timm.layers import ConvNormAct, SEModule
from timm.layers.grn import GlobalResponseNorm
from torch import Tensor, nn

from m2s.baselines.blocks import UShape, expand
from m2s.baselines.classic_unet import make_double_conv
from m2s.baselines.cmunext import Residual
from m2s.lgmsnet import Up
from m2s.units import check_size


class LargeKernel(nn.ModuleList):
    """A depthwise 13×13 convolution and five small ones at growing dilations, summed: ``(N, C, H, W)`` → same shape.

    The "dilated reparam block": as all of them are linear and fit into 13×13 pixels, they could be merged into one
    kernel once trained; here they stay apart.
    """

    BRANCHES = ((13, 1), (5, 1), (7, 2), (3, 3), (3, 4), (3, 5))
    """Kernel size and dilation of each."""

    def __init__(self, channels: int):
        super().__init__(
            ConvNormAct(channels, channels, k, dilation=d, groups=channels, apply_act=False) for k, d in self.BRANCHES
        )

    def forward(self, x: Tensor) -> Tensor:
        return sum(branch(x) for branch in self)


class LargeKernelBlock(nn.Module):
    """UniRepLKNet's block: what is around (depthwise), which channels (SE), then each pixel by itself; plus the input.

    ``(N, C, H, W)`` → same shape. ``large=False`` has a depthwise 3×3 convolution in :class:`LargeKernel`'s place.
    """

    def __init__(self, channels: int, large: bool):
        super().__init__()
        small = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.branch = nn.Sequential(
            LargeKernel(channels) if large else small,
            nn.BatchNorm2d(channels),
            SEModule(channels, rd_channels=channels // 4),
            nn.Conv2d(channels, 4 * channels, 1),
            nn.GELU(),
            GlobalResponseNorm(4 * channels, channels_last=False),
            nn.Conv2d(4 * channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 1e-6))  # as in ConvNeXt

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.branch(x)


class UniRepLKNet(UShape):
    """UniRepLKNet (Ding et al., "UniRepLKNet: a universal perception large-kernel ConvNet for audio, video, point
    cloud, time-series and image recognition", CVPR 2024) as encoder of a U, the form that LGMSNet compares with.

    From the paper: the blocks, 40, 80, 160, 320 channels and 2, 2, 6, 2 blocks of the variant A, 3×3 kernels in the
    first stage and 13×13 ones below. From LGMSNet's released code, as the paper segments with other decoders: a stem at
    full resolution, stages that begin with a 3×3 convolution and max-pooling, U-Net's decoder with bilinear upsampling.
    5,852,509 parameters with one class; LGMSNet's Table 1 prints 5.83 M, which leaves out layer scales and global
    response norms (16,560).

    Args:
        encoder, pretrained: taken like those of every network and not used: it has no ImageNet encoder.
        num_classes: channels of the logits.
        widths: channels at full resolution and after each of four halvings; all but the first multiples of 4.
        depths: blocks after each halving.
    """

    def __init__(
        self,
        encoder: str = "none",
        pretrained: bool = False,
        num_classes: int = 1,
        widths: tuple[int, ...] = (16, 40, 80, 160, 320),
        depths: tuple[int, ...] = (2, 2, 6, 2),
    ):
        super().__init__()
        first, levels = widths[0], list(pairwise(widths))
        stem = nn.Sequential(
            *(nn.Conv2d(3, first, 3, padding=1), nn.GELU(), nn.BatchNorm2d(first)),
            Residual(nn.Conv2d(first, first, 3, padding=1, groups=first), nn.GELU(), nn.BatchNorm2d(first)),
            *(nn.Conv2d(first, first, 1), nn.GELU(), nn.BatchNorm2d(first)),
        )
        stages = [
            nn.Sequential(
                *(nn.Conv2d(a, b, 3, padding=1), nn.MaxPool2d(2)),
                *(LargeKernelBlock(b, large=i > 0) for _ in range(depth)),
            )
            for i, ((a, b), depth) in enumerate(zip(levels, depths, strict=True))
        ]
        self.encode = nn.ModuleList([stem, *stages])
        self.up = nn.ModuleList(Up(b, a) for a, b in levels[::-1])
        self.decode = nn.ModuleList(make_double_conv(2 * a, a) for a, _ in levels[::-1])
        self.head = nn.Conv2d(first, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        features = []
        for stage in self.encode:
            x = stage(x)  # (N, w_i, H/2^i, W/2^i): here the pooling is inside the stage, after its first convolution
            features.append(x)
        return self.head(expand(features, self.step))  # (N, w_0, H, W) → (N, num_classes, H, W)
