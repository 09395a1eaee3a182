"""3D UX-Net."""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from m2s.baselines.volumes import UNETRShape, for_volumes


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of ``(N, C, D, H, W)``."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class UXBlock(nn.Module):
    """3D UX-Net's block: 7×7×7 depthwise, norm, each channel widened to four and back by itself; plus the input."""

    def __init__(self, channels: int):
        super().__init__()
        conv = partial(nn.Conv3d, groups=channels)
        self.branch = nn.Sequential(
            conv(channels, channels, 7, padding=3),
            ChannelNorm(channels, eps=1e-6),
            conv(channels, 4 * channels, 1),
            nn.GELU(),
            conv(4 * channels, channels, 1),
        )
        self.scale = nn.Parameter(torch.full((channels, 1, 1, 1), 1e-6))  # as in ConvNeXt

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.branch(x)


class UXEncoder(nn.Module):
    """3D UX-Net's encoder: features with 48, 96, 192, 384 channels at strides 2, 4, 8, 16, each normalised."""

    def __init__(self, in_channels: int):
        super().__init__()
        widths = (48, 96, 192, 384)
        stem = nn.Sequential(nn.Conv3d(in_channels, 48, 7, stride=2, padding=3), ChannelNorm(48, eps=1e-6))
        halve = [nn.Sequential(ChannelNorm(i, eps=1e-6), nn.Conv3d(i, o, 2, stride=2)) for i, o in pairwise(widths)]
        self.stages = nn.ModuleList(
            nn.Sequential(down, UXBlock(w), UXBlock(w)) for down, w in zip([stem, *halve], widths, strict=True)
        )
        self.norms = nn.ModuleList(ChannelNorm(w, eps=1e-6) for w in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for stage, norm in zip(self.stages, self.norms, strict=True):
            x = stage(x)  # (N, 48·2^i, D/2^(i+1), …)
            features.append(norm(x))
        return features


class UXNet(UNETRShape):
    """:class:`UXEncoder` and the decoder of UNETR: ``(N, in, D, H, W)`` → logits ``(N, num_classes, D, H, W)``."""

    def __init__(self, in_channels: int, num_classes: int):
        super().__init__(UXEncoder(in_channels), in_channels, num_classes)


def uxnet(encoder: str = "none", pretrained: bool = False, num_classes: int = 14, in_channels: int = 1) -> nn.Module:
    """3D UX-Net (Lee et al., "3D UX-Net: a large kernel volumetric ConvNet modernizing hierarchical transformer for
    medical image segmentation", ICLR 2023), written after the paper with MONAI's blocks of UNETR.

    53,006,510 parameters with fourteen classes, the 53.01 M of LGMSNet's Table 3. No stochastic depth.
    """
    return for_volumes(UXNet(in_channels, num_classes))
