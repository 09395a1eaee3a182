"""LGMSNet in two and three dimensions from one definition (LGMSNet paper, section 3 and Fig. 3).

Two forms are kept, as for M2SNet: ``wiring="released"`` is the authors' code, ``wiring="paper"`` the text:

=====================  ==============================================  =============================================
part                   released                                        paper
=====================  ==============================================  =============================================
LMS                    GELU; the input is added before the norm, and   SiLU (section 3.1); the input is added once,
                       again at the end                                after the activation
GMS, first layers      the 3×3 changes the channels                    the 3×3 keeps them, the 1×1 expands them (3.2)
GMS, convolution       depthwise 3×3, BN, ReLU, depthwise 1×1, BN,     one depthwise 3×3 (3.2: "directly")
                       plus its input
Fusion                 not at the deepest skip                         at every skip (3.3)
LMS in the decoder     none                                            at the two high resolutions (3.3)
=====================  ==============================================  =============================================

The equations of the paper's section 3 are pictures without a readable text; where its words leave a choice ("features
of the corresponding positions of each block in the same channel"), both forms do what the code does.
"""

import math
import warnings
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.encoders import Network
from m2s.errors import InputError, unknown
from m2s.units import BATCH_NORM, CONV, LINEAR, WIRINGS

POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
NORM = {2: nn.BatchNorm2d, 3: nn.InstanceNorm3d}
"""The 3-D network normalises each volume by itself, without learned scale and shift."""

PATCH, HEADS, HEAD_WIDTH = 2, 4, 8
"""Of the transformer in a GMS block: patches of 2×2 (2×2×2) pixels, four heads of eight channels."""


class ConvNormAct(nn.Sequential):
    """k×k convolution without bias, norm, SiLU: ``(N, in, …)`` → ``(N, out, …)``."""

    def __init__(self, in_channels: int, out_channels: int, size: int, dims: int = 2):
        conv = CONV[dims](in_channels, out_channels, size, padding=size // 2, bias=False)
        super().__init__(conv, NORM[dims](out_channels), nn.SiLU())


class LMS(nn.Module):
    """Local multi-scale block (section 3.1): ``(N, C, …)`` → same shape; C a multiple of 4 and of the kernels' number.

    The channels are split into contiguous parts, each part sees its own depthwise kernel size; group norm,
    activation, then a bottleneck of C/4 channels.
    """

    def __init__(self, channels: int, kernels: Sequence[int] = (3, 5, 7, 9), dims: int = 2, wiring: str = "released"):
        super().__init__()
        if not kernels or any(k < 1 or k % 2 == 0 for k in kernels):
            raise InputError(f"kernels {tuple(kernels)}: give odd sizes, such as (3, 5, 7, 9)")
        if channels % len(kernels) or channels % 4:
            raise InputError(f"LMS of {channels} channels: give a multiple of 4 and of the {len(kernels)} kernels")
        self.released, self.width = wiring == "released", channels // len(kernels)
        self.depthwise = nn.ModuleList(
            CONV[dims](self.width, self.width, k, padding=k // 2, groups=self.width) for k in kernels
        )
        self.norm = nn.GroupNorm(4, channels)
        self.squeeze = ConvNormAct(channels, channels // 4, 1, dims)
        self.expand = ConvNormAct(channels // 4, channels, 3, dims)

    def forward(self, x: Tensor) -> Tensor:
        parts = x.split(self.width, 1)  # (N, C, …) → one (N, C/k, …) for each of the k kernels
        y = torch.cat([conv(part) for conv, part in zip(self.depthwise, parts, strict=True)], 1)  # → (N, C, …)
        if self.released:
            return self.expand(self.squeeze(F.gelu(self.norm(y + x)))) + x
        return self.expand(self.squeeze(F.silu(self.norm(y)) + x))


def make_lms_stage(in_channels: int, out_channels: int) -> nn.Sequential:
    """A stage of LGMSNet's encoder in another 2-D network ("+LMS", Table 6): LMS, then a 1×1 convolution."""
    return nn.Sequential(LMS(in_channels), ConvNormAct(in_channels, out_channels, 1))


class TransformerLayer(nn.Module):
    """Pre-norm self-attention and MLP over sequences of tokens: ``(batch, tokens, width)`` → same shape."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * HEADS * HEAD_WIDTH, bias=False)
        self.out = nn.Linear(HEADS * HEAD_WIDTH, width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, tokens, 3, HEADS, HEAD_WIDTH)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (batch, HEADS, tokens, HEAD_WIDTH)
        attended = F.scaled_dot_product_attention(q, k, v)
        attended = attended.transpose(1, 2).reshape(batch, tokens, -1)  # (batch, tokens, HEADS·HEAD_WIDTH)
        x = x + self.out(attended)  # (batch, tokens, width)
        return x + self.mlp(self.norm2(x))


def to_sequences(x: Tensor) -> Tensor:
    """``(N, C, H, W)`` → ``(N·4, (H/2)·(W/2), C)``: the tokens of a sequence share their place in the 2×2 patch.

    In 3-D ``(N, C, D, H, W)`` → ``(N·8, (D/2)·(H/2)·(W/2), C)``.
    """
    n, c, *size = x.shape
    d = len(size)
    x = x.reshape(n, c, *(side for s in size for side in (s // PATCH, PATCH)))
    patches, offsets = range(2, 2 + 2 * d, 2), range(3, 3 + 2 * d, 2)
    return x.permute(0, *offsets, *patches, 1).reshape(n * PATCH**d, math.prod(size) // PATCH**d, c)


def from_sequences(x: Tensor, size: Sequence[int]) -> Tensor:
    """The inverse of :func:`to_sequences`; ``size`` is (H, W) or (D, H, W)."""
    d, c = len(size), x.shape[-1]
    n = len(x) // PATCH**d
    x = x.reshape(n, *[PATCH] * d, *(s // PATCH for s in size), c)
    order = (axis for i in range(d) for axis in (1 + d + i, 1 + i))  # patch, offset, patch, offset, …
    return x.permute(0, 1 + 2 * d, *order).reshape(n, c, *size)


class GMS(nn.Module):
    """Global multi-scale block (section 3.2): ``(N, in, …)`` → ``(N, channels, …)``; sides are even.

    ``transformer_channels`` of the ``channels`` go through self-attention, the others through a depthwise convolution.
    """

    def __init__(
        self, in_channels: int, channels: int, transformer_channels: int, dims: int = 2, wiring: str = "released"
    ):
        super().__init__()
        t, s = transformer_channels, channels - transformer_channels
        if not 0 <= t <= channels:
            raise InputError(f"{t} of {channels} channels for the transformer: give 0 to {channels}")
        self.split, released = (t, s), wiring == "released"
        inner = channels if released else in_channels
        self.local = nn.Sequential(ConvNormAct(in_channels, inner, 3, dims), ConvNormAct(inner, channels, 1, dims))
        # Built for t = 0 too, as released: then it gives nothing, but its hidden layer's bias counts as parameters.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            self.transformer = TransformerLayer(t, 2 * channels)
        self.conv = self._depthwise(s, dims, released) if s else None
        self.residual = released
        self.mix = ConvNormAct(channels, channels, 1, dims)
        self.out = ConvNormAct(channels + in_channels, channels, 3, dims)

    @staticmethod
    def _depthwise(channels: int, dims: int, released: bool) -> nn.Module:
        conv, norm = partial(CONV[dims], channels, channels, groups=channels, bias=False), BATCH_NORM[dims]
        first = conv(3, padding=1)
        return nn.Sequential(first, norm(channels), nn.ReLU(), conv(1), norm(channels)) if released else first

    def forward(self, x: Tensor) -> Tensor:
        to_transformer, to_conv = self.local(x).split(self.split, 1)  # (N, in, …) → (N, t, …), (N, channels − t, …)
        sequences = self.transformer(to_sequences(to_transformer))
        branches = [from_sequences(sequences, x.shape[2:])]  # (N, t, …)
        if self.conv:
            branches.append(self.conv(to_conv) + to_conv if self.residual else self.conv(to_conv))
        y = self.mix(torch.cat(branches, 1))  # (N, channels, …)
        return self.out(torch.cat([y, x], 1))  # (N, channels + in, …) → (N, channels, …)


class Fusion(nn.Sequential):
    """Skip and upsampled feature, concatenated: ``(N, in, …)`` → ``(N, out, …)`` (section 3.3, after CMUNeXt).

    A 3×3 convolution in two groups, the skip being the first, then an inverted bottleneck of 1×1 convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, dims: int = 2):
        conv, norm = CONV[dims], NORM[dims]
        super().__init__(
            *(conv(in_channels, in_channels, 3, padding=1, groups=2), nn.GELU(), norm(in_channels)),
            *(conv(in_channels, 4 * out_channels, 1), nn.GELU(), norm(4 * out_channels)),
            *(conv(4 * out_channels, out_channels, 1), nn.GELU(), norm(out_channels)),
        )


class Up(nn.Sequential):
    """Twice the resolution: linear interpolation, 3×3 convolution, norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, dims: int = 2):
        super().__init__(
            nn.Upsample(scale_factor=2, mode=LINEAR[dims]),
            CONV[dims](in_channels, out_channels, 3, padding=1),
            NORM[dims](out_channels),
            nn.ReLU(),
        )


class LGMSNet(Network):
    """LGMSNet: ``(N, in_channels, H, W)`` or ``(N, in_channels, D, H, W)`` → logits ``(N, num_classes, …)``.

    Every side must be a multiple of 32 pixels. 2,321,393 parameters in 2-D with one class; 6,193,742 in 3-D with
    fourteen (the paper prints 2.32 M, and 9.86 M, which no released configuration has).

    Args:
        in_channels: 3 for RGB, 1 for volumes.
        wiring: ``"released"`` or ``"paper"``, see the table at the top of :mod:`m2s.lgmsnet`.
        widths: channels at the five resolutions.
        depths: LMS blocks in each of the first three stages of the encoder.
        kernels: depthwise kernel sizes of the LMS blocks, one for each quarter of the channels (Fig. 7).
        share: part of the channels that GMS gives to its transformer, 0 to 1 (Fig. 7).
        doubled_division: the released input of BUSI, TNSCUI and ISIC: BGR, and divided by 255 once more after the
            normalisation. The order is expressed by exchanging the constants of red and blue, which is the same up to
            the order in which the first layer's random weights are drawn.
    """

    def __init__(
        self,
        encoder: str = "none",
        pretrained: bool = False,
        num_classes: int = 1,
        in_channels: int = 3,
        dims: int = 2,
        wiring: str = "released",
        widths: Sequence[int] = (16, 32, 64, 128, 128),
        depths: Sequence[int] = (1, 1, 1),
        kernels: Sequence[int] = (3, 5, 7, 9),
        share: float = 0.75,
        doubled_division: bool = False,
    ):
        super().__init__()
        if dims not in CONV:
            raise unknown("number of dimensions", dims, CONV)
        if wiring not in WIRINGS:
            raise unknown("wiring", wiring, WIRINGS)
        if doubled_division:
            self.mean, self.std = self.mean[::-1], tuple(255 * s for s in self.std[::-1])
        w1, w2, w3, w4, w5 = widths
        paper = wiring == "paper"
        lms = partial(LMS, kernels=kernels, dims=dims, wiring=wiring)

        def gms(i: int, o: int) -> GMS:
            return GMS(i, o, round(share * o), dims, wiring)

        def stage(i: int, o: int, depth: int) -> nn.Sequential:
            return nn.Sequential(*(lms(i) for _ in range(depth)), ConvNormAct(i, o, 1, dims))

        self.stem = nn.Sequential(CONV[dims](in_channels, w1, 3, padding=1), NORM[dims](w1), nn.ReLU())
        self.pool = POOL[dims](2)
        self.encode = nn.ModuleDict(
            {
                "1": stage(w1, w1, depths[0]),
                "2": stage(w1, w2, depths[1]),
                "3": stage(w2, w3, depths[2]),
                "4": gms(w3, w4),
                "5": gms(w4, w5),
            }
        )
        self.up = nn.ModuleDict(
            {"4": Up(w5, w4, dims), "3": Up(w4, w3, dims), "2": Up(w3, w2, dims), "1": Up(w2, w1, dims)}
        )

        def fusion(width: int) -> Fusion:
            return Fusion(2 * width, width, dims)

        self.decode = nn.ModuleDict(
            {
                "4": nn.Sequential(fusion(w4), gms(w4, w4)) if paper else gms(2 * w4, w4),
                "3": nn.Sequential(fusion(w3), gms(w3, w3)),
                "2": nn.Sequential(fusion(w2), *([lms(w2)] if paper else [])),
                "1": nn.Sequential(fusion(w1), *([lms(w1)] if paper else [])),
            }
        )
        self.head = CONV[dims](w1, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        if any(side % 32 for side in x.shape[2:]):
            raise InputError(
                f"image of {'×'.join(map(str, x.shape[2:]))}: LGMSNet takes sides that are multiples of 32"
            )
        skips, x = {}, self.stem(x)  # (N, in_channels, H, W) → (N, w1, H, W)
        for i in "1234":
            skips[i] = self.encode[i](x)  # (N, w_i, …) at strides 1, 2, 4, 8
            x = self.pool(skips[i])  # half the sides
        x = self.encode["5"](x)  # (N, w5, H/16, W/16)
        for i in "4321":
            x = self.decode[i](torch.cat([skips[i], self.up[i](x)], 1))  # (N, 2·w_i, …) → (N, w_i, …), twice the sides
        return self.head(x)  # (N, num_classes, H, W)


def lgmsnet3d(encoder: str = "none", pretrained: bool = False, num_classes: int = 14, **kwargs) -> LGMSNet:
    """The 3-D :class:`LGMSNet` for volumes of one channel, ``(N, 1, D, H, W)``."""
    return LGMSNet(encoder, pretrained, num_classes, in_channels=1, dims=3, **kwargs)
