"""The plain and the light networks that LGMSNet is compared with (LGMSNet paper, Tables 1 and 6).

U-Net in its classic form, nnU-Net's, TinyU-Net, CMUNeXt and UNeXt. All are trained from random weights, and take any
image of 32 pixels and more on a side.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct as ConvNorm
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from m2s.baselines import FromScratch
from m2s.errors import InputError
from m2s.lgmsnet import LMS, ConvNormAct, Fusion, Up
from m2s.units import ConvBNReLU, check_size, resize


class UShape(FromScratch):
    """What the U-shaped networks here share: ``(N, 3, H, W)`` → logits ``(N, num_classes, H, W)``.

    A network fills ``encode`` (one module per level, with 2×2 max-pooling between them), ``up`` and ``decode`` (from
    the deepest skip to the shallowest; ``decode`` gets skip and upsampled feature, concatenated in that order), and
    ``head``.
    """

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        skips = []
        for encode in self.encode[:-1]:
            skips.append(encode(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.encode[-1](x)
        for skip, up, decode in zip(reversed(skips), self.up, self.decode, strict=True):
            x = decode(torch.cat([skip, resize(up(x), skip.shape[-2:])], 1))  # resized where a side was odd
        return self.head(x)


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Twice (3×3 convolution with bias, BatchNorm, ReLU)."""
    return nn.Sequential(ConvBNReLU(in_channels, out_channels), ConvBNReLU(out_channels, out_channels))


def lms_stage(in_channels: int, out_channels: int) -> nn.Sequential:
    """A stage of LGMSNet's encoder in place of another network's: LMS, then a 1×1 convolution to the new width."""
    return nn.Sequential(LMS(in_channels), ConvNormAct(in_channels, out_channels, 1))


class ClassicUNet(UShape):
    """U-Net (Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015).

    The form that comparisons in the literature use, and LGMSNet's paper too: padded convolutions with BatchNorm, and
    upsampling by nearest neighbour and a 3×3 convolution. 34,527,041 parameters with one class (34.53 M in LGMSNet's
    Table 6); with ``lms=True`` 17,330,081 (17.33 M there, "+LMS").

    Args:
        encoder, pretrained: taken like those of every network and not used: it has no ImageNet encoder.
        num_classes: channels of the logits.
        width: channels at full resolution, doubled at each of four halvings; 16 is enough for small machines.
        lms: LGMSNet's local multi-scale block in place of the four deeper double convolutions of the encoder.
    """

    def __init__(
        self,
        encoder: str = "none",
        pretrained: bool = False,
        num_classes: int = 1,
        width: int = 64,
        lms: bool = False,
    ):
        super().__init__()
        levels = list(pairwise(width * 2**i for i in range(5)))
        block = lms_stage if lms else double_conv
        self.encode = nn.ModuleList([double_conv(3, width), *(block(a, b) for a, b in levels)])
        self.up = nn.ModuleList(nn.Sequential(nn.Upsample(scale_factor=2), ConvBNReLU(b, a)) for a, b in levels[::-1])
        self.decode = nn.ModuleList(double_conv(b, a) for a, b in levels[::-1])
        self.head = nn.Conv2d(width, num_classes, 1)


class NNUNet2D(UShape):
    """nnU-Net's 2-D network for images of 256×256 pixels (Isensee et al., "nnU-Net: a self-configuring method for deep
    learning-based biomedical image segmentation", Nature Methods 2021).

    From the paper: twice (3×3 convolution, instance norm, leaky ReLU) at each resolution, 32 channels at first, as many
    halvings as leave 4 pixels on a side. The paper's text has strided and transposed convolutions and at most 512
    channels, 33.47 M parameters. Max-pooling, bilinear upsampling and at most 480 channels, as in nnU-Net's first
    years, are what gives the 26.10 M of LGMSNet's Table 1, so they are used here: 26,100,993 with one class. Left out
    are the planning and training around it (:mod:`m2s.nnunet` runs the original) and deep supervision.

    Args:
        encoder, pretrained: taken like those of every network and not used: it has no ImageNet encoder.
        num_classes: channels of the logits.
        halvings: of the resolution; nnU-Net's plan has 6 for images of 256 pixels, 4 for 64. Images
            below ``2 ** (halvings + 1)`` pixels are padded to it, as instance norm needs more than one pixel.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, halvings: int = 6):
        super().__init__()
        if halvings < 1:
            raise InputError(f"halvings={halvings}: give 1 or more")
        self.smallest = 2 ** (halvings + 1)
        w = [min(32 * 2**i, 480) for i in range(halvings + 1)]
        # Bilinear upsampling keeps the channels, so what goes up ends with those of the next skip.
        ends = [w[0], *w[:-1]]
        self.encode = nn.ModuleList(self.block(a, b, b) for a, b in pairwise([3, *w[:-1]]))
        self.encode.append(self.block(w[-2], w[-1], ends[-1]))
        self.up = nn.ModuleList(nn.Upsample(scale_factor=2, mode="bilinear") for _ in range(halvings))
        self.decode = nn.ModuleList(self.block(2 * w[i], w[i], ends[i]) for i in reversed(range(halvings)))
        self.head = nn.Conv2d(w[0], num_classes, 1)

    @staticmethod
    def block(in_channels: int, inner: int, out_channels: int) -> nn.Sequential:
        layers = []
        for a, b in ((in_channels, inner), (inner, out_channels)):
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.InstanceNorm2d(b, affine=True), nn.LeakyReLU(0.01)]
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        height, width = x.shape[-2:]
        x = F.pad(x, (0, max(self.smallest - width, 0), 0, max(self.smallest - height, 0)))
        return super().forward(x)[..., :height, :width]


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
        self.reduce = ConvNorm(in_channels, inner, 1, act_layer=nn.GELU)
        self.cascade = nn.ModuleList(
            ConvNorm(inner // 2, inner // 2, 3, groups=inner // 2, apply_act=False) for _ in range(self.PARTS - 1)
        )
        self.mix = ConvNorm(self.PARTS * inner // 2, out_channels, 1, act_layer=nn.GELU)
        self.residual = in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(x)
        even, odd = y[:, ::2], y[:, 1::2]
        parts = [even + odd]
        for conv in self.cascade:
            odd = conv(odd)
            parts.append(odd)
        y = self.mix(torch.cat(parts, 1))
        return x + y if self.residual else y


class TinyUNet(UShape):
    """TinyU-Net (Chen et al., "TinyU-Net: lighter yet better U-Net with cascaded multi-receptive fields", MICCAI 2024).

    From the paper: a U-Net of :class:`CMRF` blocks, 64 to 512 channels, bilinear upsampling. There is no block at the
    bottom: the deepest skip is joined with itself, pooled and upsampled. 481,105 parameters with one class (0.48 M in
    the paper and in LGMSNet's Table 1); with ``lms=True`` 690,937 (0.69 M in LGMSNet's Table 6, "+LMS").

    Args:
        encoder, pretrained: taken like those of every network and not used: it has no ImageNet encoder.
        num_classes: channels of the logits.
        lms: LGMSNet's local multi-scale block in place of the three deeper CMRF blocks of the encoder.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, lms: bool = False):
        super().__init__()
        w = [64, 128, 256, 512]
        block = lms_stage if lms else CMRF
        self.encode = nn.ModuleList([CMRF(3, w[0]), *(block(a, b) for a, b in pairwise(w)), nn.Identity()])
        self.up = nn.ModuleList(nn.Upsample(scale_factor=2, mode="bilinear") for _ in w)
        self.decode = nn.ModuleList(CMRF(a + b, a) for a, b in reversed(list(pairwise([*w, w[-1]]))))
        self.head = nn.Conv2d(w[0], num_classes, 1)


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

    Args:
        encoder, pretrained: taken like those of every network and not used: it has no ImageNet encoder.
        num_classes: channels of the logits.
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


def shift(x: Tensor, axis: int, reach: int = 2) -> Tensor:
    """Move five groups of channels of ``(N, C, H, W)`` by −2 … 2 pixels along ``axis``; zeros come in. Same shape."""
    padded = F.pad(x, (reach, reach) if axis == 3 else (0, 0, reach, reach))
    groups = padded.chunk(2 * reach + 1, 1)
    return torch.cat([group.narrow(axis, 2 * reach - i, x.shape[axis]) for i, group in enumerate(groups)], 1)


class ShiftedMLP(nn.Module):
    """UNeXt's tokenised MLP block: ``(N, C, H, W)`` → same shape, each pixel being a token.

    The channels are shifted along the width, mixed per token, seen by a depthwise 3×3 convolution, shifted along the
    height and mixed again: an MLP that looks at a neighbourhood.
    """

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


class UNeXt(FromScratch):
    """UNeXt (Valanarasu & Patel, "UNeXt: MLP-based rapid medical image segmentation network", MICCAI 2022).

    From the paper: three stages of a 3×3 convolution, BatchNorm, pooling and ReLU, two of embedded tokens and a shifted
    MLP; the decoder mirrors them, with bilinear upsampling before the ReLU, and skips are added. The norm before the
    MLP is this project's reading: the paper names only the one after it. 1,471,953 parameters with one class (1.47 M in
    the paper and in LGMSNet's Table 1).

    Args:
        encoder, pretrained: taken like those of every network and not used: it has no ImageNet encoder.
        num_classes: channels of the logits.
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
            nn.Sequential(nn.Conv2d(b, a, 3, padding=1), nn.BatchNorm2d(a))
            for a, b in reversed(list(pairwise([w[0], *w])))
        )
        self.mix = nn.ModuleList([ShiftedMLP(w[3]), ShiftedMLP(w[2]), *(nn.Identity() for _ in range(3))])
        self.head = nn.Conv2d(w[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        size, skips = x.shape[-2:], []
        for stage in (*self.conv, *self.tokens):
            x = stage(x)
            skips.append(x)
        for skip, expand, mix in zip([*skips[-2::-1], None], self.expand, self.mix, strict=True):
            x = F.relu(resize(expand(x), size if skip is None else skip.shape[-2:]))
            x = mix(x if skip is None else x + skip)
        return self.head(x)
