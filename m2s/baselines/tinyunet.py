"""TinyU-Net."""

from itertools import pairwise

import torch
from timm.layers import ConvNormAct
from torch import Tensor, nn

from m2s.baselines.blocks import UShape
from m2s.lgmsnet import make_lms_stage


class CMRF(nn.Module):
    """TinyU-Net's cascade of multi-receptive fields: ``(N, in, H, W)`` → ``(N, out, H, W)``; out a multiple of 16.

    A 1×1 convolution to an eighth of the output's channels, of which the even and the odd ones go apart. The odd ones
    pass seven depthwise 3×3 convolutions, one after the other, so that each of the results has seen more of the image
    than the one before. They are joined with the sum of even and odd, and a 1×1 convolution mixes all eight.
    """

    PARTS = 8

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        inner = out_channels // self.PARTS
        self.reduce = ConvNormAct(in_channels, inner, 1, act_layer=nn.GELU)
        self.cascade = nn.ModuleList(
            ConvNormAct(inner // 2, inner // 2, 3, groups=inner // 2, apply_act=False) for _ in range(self.PARTS - 1)
        )
        self.mix = ConvNormAct(self.PARTS * inner // 2, out_channels, 1, act_layer=nn.GELU)
        self.residual = in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(x)  # (N, in, H, W) → (N, out/8, H, W)
        even, odd = y[:, ::2], y[:, 1::2]  # (N, out/16, H, W) each
        parts = [even + odd]
        for conv in self.cascade:
            odd = conv(odd)
            parts.append(odd)
        y = self.mix(torch.cat(parts, 1))  # eight parts (N, out/16, H, W) → (N, out, H, W)
        return x + y if self.residual else y


class TinyUNet(UShape):
    """TinyU-Net (Chen et al., "TinyU-Net: lighter yet better U-Net with cascaded multi-receptive fields", MICCAI 2024).

    From the paper: a U-Net of :class:`CMRF` blocks, 64 to 512 channels, bilinear upsampling. There is no block at the
    bottom: the deepest skip is joined with itself, pooled and upsampled. 481,105 parameters with one class (0.48 M in
    the paper and in LGMSNet's Table 1); with ``lms=True`` 690,937 (0.69 M in LGMSNet's Table 6, "+LMS").

    ``lms``: LGMSNet's local multi-scale block in place of the three deeper CMRF blocks of the encoder.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, lms: bool = False):
        super().__init__()
        w = [64, 128, 256, 512]
        block = make_lms_stage if lms else CMRF
        self.encode = nn.ModuleList([CMRF(3, w[0]), *(block(a, b) for a, b in pairwise(w)), nn.Identity()])
        self.up = nn.ModuleList(nn.Upsample(scale_factor=2, mode="bilinear") for _ in w)
        self.decode = nn.ModuleList(CMRF(a + b, a) for a, b in reversed(list(pairwise([*w, w[-1]]))))
        self.head = nn.Conv2d(w[0], num_classes, 1)
