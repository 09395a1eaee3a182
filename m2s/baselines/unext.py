"""UNeXt."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from m2s.baselines.blocks import expand
from m2s.encoders import Network
from m2s.units import check_size, resize


def shift(x: Tensor, axis: int, reach: int = 2) -> Tensor:
    """Move five groups of channels of ``(N, C, H, W)`` by −2 … 2 pixels along ``axis``; zeros come in. Same shape."""
    padded = F.pad(x, (reach, reach) if axis == 3 else (0, 0, reach, reach))
    groups = padded.chunk(2 * reach + 1, 1)
    return torch.cat([group.narrow(axis, 2 * reach - i, x.shape[axis]) for i, group in enumerate(groups)], 1)


class ShiftedMLP(nn.Module):
    """UNeXt's tokenised MLP, which looks at a neighbourhood: ``(N, C, H, W)`` → same shape; each pixel is a token."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.mix_width = nn.Conv2d(channels, channels, 1)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mix_height = nn.Conv2d(channels, channels, 1)
        self.norm_out = LayerNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.depthwise(self.mix_width(shift(self.norm(x), 3))))
        return self.norm_out(x + self.mix_height(shift(y, 2)))


class UNeXt(Network):
    """UNeXt (Valanarasu & Patel, "UNeXt: MLP-based rapid medical image segmentation network", MICCAI 2022).

    From the paper: three stages of a 3×3 convolution, BatchNorm, pooling and ReLU, two of embedded tokens and a shifted
    MLP; the decoder mirrors them, with bilinear upsampling before the ReLU, and skips are added. The norm before the
    MLP is this project's reading: the paper names only the one after it. 1,471,921 parameters with one class (1.47 M in
    the paper and in LGMSNet's Table 1).
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1):
        super().__init__()
        w = [16, 32, 128, 160, 256]
        self.conv = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.MaxPool2d(2), nn.ReLU())
            for a, b in pairwise([3, *w[:3]])
        )
        self.tokens = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), LayerNorm2d(b), ShiftedMLP(b))
            for a, b in pairwise(w[2:])
        )
        self.expand = nn.ModuleList(
            nn.Sequential(nn.Conv2d(b, a, 3, padding=1), nn.BatchNorm2d(a)) for a, b in reversed(list(pairwise(w)))
        )
        self.expand.append(nn.Conv2d(w[0], w[0], 3, padding=1))
        self.mix = nn.ModuleList([ShiftedMLP(w[3]), ShiftedMLP(w[2]), *(nn.Identity() for _ in range(2))])
        self.head = nn.Conv2d(w[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        size, features = x.shape[-2:], []
        for stage in (*self.conv, *self.tokens):
            x = stage(x)  # (N, w_i, …), half the sides
            features.append(x)
        x = self.expand[4](expand(features, self.step))  # (N, 16, H/2, W/2)
        return self.head(F.relu(resize(x, size)))  # (N, num_classes, H, W)

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        return self.mix[level](F.relu(resize(self.expand[level](deep), skip.shape[-2:])) + skip)
