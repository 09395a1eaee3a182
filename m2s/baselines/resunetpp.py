"""ResUNet++."""

import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct, SEModule
from torch import Tensor, nn

from m2s.baselines.blocks import expand
from m2s.encoders import Network
from m2s.errors import InputError
from m2s.units import check_size


def make_bn_relu_conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """BatchNorm, ReLU, 3×3 convolution: the order of a pre-activated residual unit."""
    conv = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)
    return nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU(), conv)


class ResidualUnit(nn.Module):
    """Two of :func:`make_bn_relu_conv` beside a projected shortcut; squeeze and excitation (r = 8) of their sum.

    ``(N, in, H, W)`` → ``(N, out, H/stride, W/stride)``. ``stem=True`` begins with the bare convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, stem: bool = False):
        super().__init__()
        first = make_bn_relu_conv(in_channels, out_channels, stride)
        self.body = nn.Sequential(first[-1] if stem else first, make_bn_relu_conv(out_channels, out_channels))
        self.shortcut = ConvNormAct(in_channels, out_channels, 1, stride=stride, bias=True, apply_act=False)
        self.excite = SEModule(out_channels, rd_channels=out_channels // 8, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.excite(self.body(x) + self.shortcut(x))


class ASPP(nn.Module):
    """The sum of 3×3 convolutions at dilations 1, 6, 12, 18, then a 1×1 convolution (the bridge of ResUNet++)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.branches = nn.ModuleList(
            ConvNormAct(in_channels, out_channels, 3, dilation=d, bias=True, apply_act=False) for d in (1, 6, 12, 18)
        )
        self.out = nn.Conv2d(out_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(sum(branch(x) for branch in self.branches))


class SkipAttention(nn.Module):
    """ResUNet++'s attention: weights for a deep feature from itself and from the pooled skip above it.

    ``deep`` ``(N, C, h, w)`` and ``skip`` ``(N, C_s, 2h, 2w)`` → ``deep · conv(conv(deep) + pool(conv(skip)))``.
    """

    def __init__(self, skip_channels: int, channels: int):
        super().__init__()
        self.skip = make_bn_relu_conv(skip_channels, channels)
        self.deep = make_bn_relu_conv(channels, channels)
        self.out = make_bn_relu_conv(channels, channels)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        pooled = F.max_pool2d(self.skip(skip), 2, ceil_mode=True)  # (N, C_s, 2h, 2w) → (N, C, h, w)
        return deep * self.out(self.deep(deep) + pooled)


class ResUNetPP(Network):
    """ResUNet++ (Jha et al., "ResUNet++: an advanced architecture for medical image segmentation", IEEE ISM 2019).

    From the paper (Fig. 1): a stem and three residual units with squeeze and excitation, ASPP as bridge and before the
    output, attention before each nearest upsampling, concatenation, residual units, in the decoder with squeeze and
    excitation too. 4,062,993 parameters with one class, as in the form that later comparisons share.

    ``width``: channels at full resolution, a multiple of 8, doubled at each halving and in the bridge.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, width: int = 16):
        if width < 8 or width % 8:
            raise InputError(f"width={width}: give a multiple of 8")
        super().__init__()
        w = [width * 2**i for i in range(5)]
        self.contract = nn.ModuleList(
            ResidualUnit(3, w[0], stem=True) if i == 0 else ResidualUnit(w[i - 1], w[i], stride=2) for i in range(4)
        )
        self.bridge = ASPP(w[3], w[4])
        self.attend = nn.ModuleList(SkipAttention(w[i], w[i + 2]) for i in (2, 1, 0))
        self.expand = nn.ModuleList(ResidualUnit(w[i + 2] + w[i], w[i + 1]) for i in (2, 1, 0))
        self.out = ASPP(w[1], w[0])
        self.head = nn.Conv2d(w[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        features = []
        for contract in self.contract:
            x = contract(x)  # (N, w_i, …) at strides 1, 2, 4, 8
            features.append(x)
        features[3] = self.bridge(x)  # (N, w_4, H/8, W/8)
        return self.head(self.out(expand(features, self.step)))  # (N, w_1, H, W) → (N, num_classes, H, W)

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        up = F.interpolate(self.attend[level](deep, skip), skip.shape[-2:])
        return self.expand[level](torch.cat([up, skip], 1))
