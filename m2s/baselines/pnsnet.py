"""PNS-Net."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.encoders import Features, Network
from m2s.errors import InputError
from m2s.units import resize

HEADS = 4
"""Of the self-attention; head i looks at a window whose pixels are 2·i + 1 apart."""
WINDOW = 7
"""Positions on a side of the window that a pixel attends to, in each frame."""


def make_conv(
    a: int, b: int, kernel: int = 1, dilation: int = 1, depthwise: bool = False, slopes: int = 0
) -> nn.Module:
    """Convolution without bias, BatchNorm and, with ``slopes``, PReLU: ``(N, a, H, W)`` → ``(N, b, H, W)``."""
    groups = a if depthwise else 1
    conv = nn.Conv2d(a, b, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(b), *([nn.PReLU(slopes)] if slopes else []))


class LightReceptiveField(nn.Module):
    """PraNet's receptive field block of depthwise convolutions: ``(N, in, H, W)`` → ``(N, out, H, W)``."""

    def __init__(self, in_channels: int, out_channels: int, width: int = 128):
        super().__init__()
        hidden = in_channels // 4
        self.excite = nn.Sequential(
            nn.Linear(in_channels, hidden), nn.ReLU(), nn.Linear(hidden, in_channels), nn.Hardsigmoid()
        )
        self.reduce = make_conv(in_channels, width, slopes=width)
        self.branches = nn.ModuleList([nn.Sequential(make_conv(width, width, slopes=1), self.depthwise(width, 3))])
        for k in (3, 5, 7):
            layers = self.depthwise(width, k), make_conv(width, width, slopes=1), self.depthwise(width, 3, dilation=k)
            self.branches.append(nn.Sequential(*layers))
        self.merge = make_conv(in_channels + 4 * width, out_channels, slopes=1)

    @staticmethod
    def depthwise(width: int, kernel: int, dilation: int = 1) -> nn.Module:
        return make_conv(width, width, kernel, dilation, depthwise=True)

    def forward(self, x: Tensor) -> Tensor:
        excited = x * self.excite(x.mean((2, 3)))[..., None, None]
        y = self.reduce(excited)  # (N, width, H, W)
        return self.merge(torch.cat([x, *(branch(y) for branch in self.branches)], 1))


class SelfAttention(nn.Module):
    """Normalised self-attention block: frames ``(B, T, C, H, W)`` → same shape.

    Every pixel attends to a 7×7 window around it in each of the T frames, in four heads with windows of different
    dilation. As in the released code, values are weighted by the affinities themselves, and the softmax of these gives
    one weight for each pixel, its largest value over heads and positions.

    ``size``: height and width of the maps whose norm has learned scales; for other sizes they are interpolated.
    """

    def __init__(self, channels: int, size: tuple[int, int]):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Conv2d(channels, channels, 1, bias=False) for _ in range(4))
        self.depth = channels // HEADS
        self.scale = nn.Parameter(torch.ones(self.depth, *size))
        self.shift = nn.Parameter(torch.zeros(self.depth, *size))

    def normalize(self, query: Tensor) -> Tensor:
        """Each frame of one head, ``(N, c, H, W)``, to mean 0 and variance 1 over channels and pixels."""
        scale, shift = (resize(p[None], query.shape[2:]) for p in (self.scale, self.shift))
        return F.layer_norm(query, query.shape[1:]) * scale + shift

    def window(self, x: Tensor, clips: int, dilation: int) -> Tensor:
        """``(B·T, c, H, W)`` → ``(B, T, c, 49, HW)``: what lies around each pixel, zeros outside of the map."""
        around = F.unfold(x, WINDOW, dilation, padding=dilation * (WINDOW // 2))
        return around.view(clips, -1, self.depth, WINDOW**2, around.shape[-1])

    def forward(self, x: Tensor) -> Tensor:
        clips, size = len(x), x.shape[-2:]
        frames = x.flatten(0, 1)  # (B·T, C, H, W)
        parts = (conv(frames).chunk(HEADS, 1) for conv in (self.query, self.key, self.value))
        attended, largest = [], []
        for i, (q, k, v) in enumerate(zip(*parts, strict=True)):
            q = self.normalize(q).flatten(2).unflatten(0, (clips, -1))  # (B, T, c, HW)
            keys, values = (self.window(t, clips, 2 * i + 1) for t in (k, v))
            affinity = torch.einsum("bqcp,btcnp->bqtnp", q, keys) / self.depth**0.5
            attended.append(torch.einsum("bqtnp,btcnp->bqcp", affinity, values))
            largest.append(affinity.flatten(2, 3).softmax(2).amax(2))  # (B, T, HW)
        y = self.out(torch.cat(attended, 2).flatten(0, 1).unflatten(2, size)).view(x.shape)
        return y * torch.stack(largest).amax(0).view(*x.shape[:2], 1, *size)


class Decoder(nn.Module):
    """High ``(N, 32, H, W)`` and low ``(N, 24, H, W)`` feature → ``(N, 16, H, W)``."""

    def __init__(self, high: int = 32, low: int = 24, width: int = 16):
        super().__init__()
        half = width // 2
        self.high = nn.Conv2d(high, width, 1, bias=False)
        self.halves = nn.ModuleList(nn.Conv2d(half, half, 3, padding=d, dilation=d, bias=False) for d in (1, 2))
        self.norm = nn.BatchNorm2d(width)
        self.low = make_conv(low, width)
        self.out = nn.Sequential(nn.PReLU(width), make_conv(width, width, 3, slopes=1))

    def forward(self, high: Tensor, low: Tensor) -> Tensor:
        halves = zip(self.halves, self.high(high).chunk(2, 1), strict=True)
        return self.out(self.norm(torch.cat([conv(half) for conv, half in halves], 1)) + self.low(low))


class PNSNet(Network):
    """PNS-Net (Ji et al., "Progressively normalized self-attention network for video polyp segmentation", MICCAI 2021).

    Features at strides 8 and 16; two :class:`SelfAttention` blocks in a row look at all frames of a clip on the deeper
    one, and a light decoder merges it with the other. 9,793,731 parameters on Res2Net-50.

    Takes clips ``(N, T, 3, H, W)`` → logits ``(N, T, num_classes, H, W)``, or images as clips of one frame. The
    publication trains on images first, without the blocks, and then for one epoch on clips of five frames of 256×448
    pixels.

    ``size``: height and width of the images for which the norms have learned scales; for others they are interpolated.
    """

    def __init__(
        self,
        encoder: str = "res2net50d",
        pretrained: bool = True,
        num_classes: int = 1,
        size: tuple[int, int] = (256, 448),
    ):
        if len(size) != 2 or min(size) < 32:
            raise InputError(f"size={tuple(size)}: give height and width, 32 pixels or more each")
        super().__init__(Features(encoder, pretrained, deepest=16))
        low, high = self.encoder.channels[-2:]
        self.high, self.low = LightReceptiveField(high, 32), LightReceptiveField(low, 24)
        self.attend = nn.ModuleList(SelfAttention(32, (size[0] // 16, size[1] // 16)) for _ in range(2))
        self.decode = Decoder()
        self.head = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(16, num_classes, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 4:
            return self(x[:, None])[:, 0]
        clips, size = len(x), x.shape[-2:]
        *_, low, high = self.encoder(x.flatten(0, 1))  # (N·T, C, H/8, W/8) and (N·T, C', H/16, W/16)
        high = self.high(high).unflatten(0, (clips, -1))  # (N, T, 32, H/16, W/16)
        first = self.attend[0](high) + high
        second = self.attend[1](first) + first
        high = resize((high + second).flatten(0, 1), low.shape[-2:])
        logits = self.head(self.decode(high, self.low(low)))  # (N·T, num_classes, H/8, W/8)
        return resize(logits, size).unflatten(0, (clips, -1))
