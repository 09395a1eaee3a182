"""ERDUnet."""

import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct, LayerNorm2d, SEModule
from torch import Tensor, nn

from m2s.baselines.cmunext import Residual
from m2s.encoders import Features, Network
from m2s.errors import InputError
from m2s.units import resize


class Mix(ConvNormAct):
    """k×k convolution with bias, BatchNorm, GELU: ``(N, in, H, W)`` → ``(N, out, H, W)``."""

    def __init__(self, in_channels: int, out_channels: int, size: int = 1):
        super().__init__(in_channels, out_channels, size, bias=True, act_layer=nn.GELU)


def relu_norm(channels: int) -> tuple[nn.Module, nn.Module]:
    """ReLU, then BatchNorm."""
    return nn.ReLU(), nn.BatchNorm2d(channels)


def make_large_field(in_channels: int, out_channels: int) -> nn.Sequential:
    """PFC: a 7×7 convolution, a residual depthwise one, a 1×1; ``(N, in, H, W)`` → ``(N, out, H, W)``."""
    depthwise = nn.Conv2d(out_channels, out_channels, 7, padding=3, groups=out_channels)
    return nn.Sequential(
        *(nn.Conv2d(in_channels, out_channels, 7, padding=3), *relu_norm(out_channels)),
        Residual(depthwise, *relu_norm(out_channels)),
        *(nn.Conv2d(out_channels, out_channels, 1), *relu_norm(out_channels)),
    )


class SpatialGate(nn.Module):
    """Weights each pixel by a 7×7 convolution of the channels' maximum and mean: ``(N, C, H, W)`` → same shape."""

    def __init__(self):
        super().__init__()
        self.conv = ConvNormAct(2, 1, 7, apply_act=False)

    def weights(self, x: Tensor) -> Tensor:
        return self.conv(torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)).sigmoid()  # (N, 1, H, W)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)


class PixelGate(nn.Sequential):
    """Weights the channels of each pixel by a bottleneck of that pixel alone: ``(N, C, H, W)`` → same shape."""

    def __init__(self, channels: int, inner: int):
        down, up = nn.Conv2d(channels, inner, 1, bias=False), nn.Conv2d(inner, channels, 1, bias=False)
        super().__init__(down, nn.ReLU(), up, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * super().forward(x)


def make_gates(channels: int) -> nn.Sequential:
    """IRE: gates on channels, on pixels, and on the channels of each pixel; ``(N, C, H, W)`` → same shape."""
    inner = channels // 4
    return nn.Sequential(SEModule(channels, rd_channels=inner), SpatialGate(), PixelGate(channels, inner))


class DifferenceAttention(nn.Module):
    """DRA: ``a`` ``(N, C, H, W)``, stressed where just one of ``a`` and ``b`` (same shape) is above one half.

    Args:
        channels: C.
        large: compare one map of each, made by a 1×1 convolution, instead of channel by channel. No gradient passes the
            threshold, so these two convolutions stay as they were drawn.
    """

    def __init__(self, channels: int, large: bool = False):
        super().__init__()
        self.maps, self.weigh = nn.ModuleList([nn.Identity(), nn.Identity()]), nn.Sequential()
        if large:
            self.maps = nn.ModuleList(nn.Conv2d(channels, 1, 1) for _ in range(2)).requires_grad_(False)
            self.weigh = nn.Sequential(Mix(1, 1), nn.Sigmoid())
        self.mix = Mix(channels, channels)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        above_a, above_b = (make_map(x) > 0.5 for make_map, x in zip(self.maps, (a, b), strict=True))
        differ = (above_a != above_b).to(a.dtype)  # (N, C, H, W), or (N, 1, H, W)
        return self.mix(a * self.weigh(differ) + a)


class Down(nn.Module):
    """CEE: ``(N, in, H, W)`` → ``(N, out, H/2, W/2)``, by a strided path, corrected by what else can be seen there.

    Args:
        in_channels, out_channels: of the two maps.
        pooled: also fuse a path whose halving is a max-pool; without it two 1×1 convolutions are all.
        gated: :func:`make_gates` at the end of the strided path.
    """

    def __init__(self, in_channels: int, out_channels: int, pooled: bool = True, gated: bool = False):
        super().__init__()
        i, o = in_channels, out_channels
        self.strided = nn.Sequential(nn.Conv2d(i, o, 3, stride=2, padding=1), nn.Conv2d(o, o, 1))
        if gated:
            self.strided.append(make_gates(o))
        self.norm = LayerNorm2d(o)
        self.depthwise = nn.Sequential(nn.Conv2d(o, o, 3, padding=1, groups=o), nn.GELU())
        self.refine = Mix(o, o, 3)
        self.pool = self.fuse = None
        self.join = nn.Sequential(Mix(2 * o, o))
        if pooled:
            self.pool = nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.MaxPool2d(2, ceil_mode=True), Mix(o, o))
            self.fuse = nn.Sequential(nn.Conv2d(2 * o, o, 3, padding=1, groups=o), nn.GELU(), Mix(o, o), Mix(o, o))
        else:
            self.join.append(nn.Conv2d(o, o, 1))

    def forward(self, x: Tensor) -> Tensor:
        strided = self.strided(x)  # (N, in, H, W) → (N, out, H/2, W/2)
        normed = self.norm(strided)
        y = self.refine(normed + self.depthwise(strided))
        if self.pool and self.fuse:
            y = self.fuse(torch.cat([y, self.pool(x)], 1))
        return self.join(torch.cat([y, strided], 1)) + normed


class Bottleneck(nn.Module):
    """MRA and what follows it: three levels, ``(N, C/4, 4H, 4W)``, ``(N, C/2, 2H, 2W)``, ``(N, C, H, W)`` → the last's.

    The finer two are pooled to the deepest's size and joined with it, with the differences between neighbors.
    """

    def __init__(self, channels: int):
        super().__init__()
        c = channels
        self.widen = nn.ModuleList(nn.Conv2d(i, c, 1) for i in (c // 4, c // 2))
        self.join = nn.Sequential(Mix(3 * c, c), nn.Dropout2d(0.2))
        self.compare, self.compare_deep = DifferenceAttention(c), DifferenceAttention(c)
        self.gates = nn.ModuleList(nn.Sequential(make_gates(c), nn.BatchNorm2d(c)) for _ in range(2))

    def forward(self, finest: Tensor, finer: Tensor, deep: Tensor) -> Tensor:
        size = deep.shape[2:]
        # (N, C/4, 4H, 4W), (N, C/2, 2H, 2W) → (N, C, H, W) each
        a, b = (F.adaptive_max_pool2d(w(x), size) for w, x in zip(self.widen, (finest, finer), strict=True))
        y = self.join(torch.cat([a, b, deep], 1)) + self.compare(b, a) + self.compare(deep, b)
        y = self.gates[1](self.gates[0](y) + deep)
        return F.gelu(self.compare_deep(y, deep) + y)


class FirstUp(nn.Module):
    """A step of the first decoder: ``(N, 2C, h, w)`` and two skips ``(N, C, H, W)`` → ``(N, C, H, W)``.

    One skip is added, the other one compared with the gated sum. At the last of the steps the comparison is channel by
    channel, and GELU comes before it.
    """

    def __init__(self, channels: int, last: bool):
        super().__init__()
        c = channels
        self.halve, self.compare = Mix(2 * c, c), DifferenceAttention(c, large=not last)
        self.gates = nn.Sequential(make_gates(c), nn.BatchNorm2d(c), nn.GELU() if last else nn.Identity())

    def forward(self, x: Tensor, add: Tensor, compare: Tensor) -> Tensor:
        x = self.gates(resize(self.halve(x), add.shape[2:]) + add)
        return F.gelu(self.compare(x, compare) + x)


class SecondUp(nn.Module):
    """A step of the second decoder: ``(N, 2C, h, w)`` and two skips ``(N, C, H, W)``, joined in turn → their shape."""

    def __init__(self, channels: int):
        super().__init__()
        c = channels
        self.halve = Mix(2 * c, c)
        self.join = nn.ModuleList(nn.Sequential(SEModule(2 * c, rd_channels=c // 4), Mix(2 * c, c)) for _ in range(2))

    def forward(self, x: Tensor, *skips: Tensor) -> Tensor:
        x = resize(self.halve(x), skips[0].shape[2:])
        for join, skip in zip(self.join, skips, strict=True):
            x = join(torch.cat([x, skip], 1))
        return x


class ERDUnet(Network):
    """ERDUnet (Li et al., "ERDUnet: an efficient residual double-coding Unet for medical image segmentation", IEEE
    TCSVT 2024).

    From the released code as LGMSNet runs it: a U on three stages of a ResNet-34 beside a path of its own; what it
    finds weights the image for a second, smaller U, and one head reads both. The first U's bottleneck and the deepest
    of the ResNet's features have a head too. This project's reading, chosen so that the parameters fit: a quarter of
    the channels in the gates, half of 16 in the one between the two Us, no bias in those of each pixel.

    10,189,187 parameters with one class on ResNet-34. The released network runs 10,212,611 (10.21 M in LGMSNet's
    Table 1): 23,424 of them, in its first own halving, are layers whose results are dropped; they are left out here.
    The 388 of the thresholded maps (:class:`DifferenceAttention`) never learn, there as here.

    In training mode a list of the three logits is returned, the final one first.

    Args:
        encoder: any timm encoder with features at strides 2, 4, 8, 16; 1×1 convolutions bring those that are not 2, 4,
            8 times ``width`` to it.
        pretrained: ImageNet weights for the encoder.
        num_classes: channels of the logits.
        width: channels at stride 2, a multiple of 8; doubled at each level below.
    """

    def __init__(self, encoder: str = "resnet34", pretrained: bool = True, num_classes: int = 1, width: int = 32):
        if width < 8 or width % 8:
            raise InputError(f"width={width}: give a multiple of 8")
        super().__init__(Features(encoder, pretrained, deepest=16))
        first, *deeper = self.encoder.channels
        if len(deeper) != 3:
            raise InputError(f"encoder {encoder} has no features at stride 2, which ERDUnet needs: take a ResNet")
        w = width
        self.adapt = nn.ModuleList(
            nn.Sequential(nn.Identity() if c == to else nn.Conv2d(c, to, 1), nn.Dropout2d(0.2))
            for c, to in zip(deeper, (2 * w, 4 * w, 8 * w), strict=True)
        )
        self.down1 = nn.ModuleList(
            [make_large_field(first, w), Down(w, 2 * w, pooled=False), Down(2 * w, 4 * w, gated=True)]
        )
        self.bottleneck1 = Bottleneck(8 * w)
        self.up1 = nn.ModuleList([FirstUp(4 * w, False), FirstUp(2 * w, False), FirstUp(w, True)])
        self.out1, self.out2 = (nn.Conv2d(w, w // 2, 3, padding=1) for _ in range(2))

        self.select, self.look = SEModule(w // 2, rd_channels=w // 4), SpatialGate()
        self.down2 = nn.ModuleList(
            [make_large_field(3, w // 2), Down(w // 2, w), Down(w, 2 * w), Down(2 * w, 4 * w)],
        )
        self.bottleneck2 = Bottleneck(4 * w)
        self.up2 = nn.ModuleList([SecondUp(2 * w), SecondUp(w)])

        self.head = nn.Sequential(Mix(w, w // 2, 3), nn.Conv2d(w // 2, num_classes, 3, padding=1))
        self.side_heads = nn.ModuleList(
            nn.Sequential(Mix(8 * w, 2 * w), Mix(2 * w, 2 * w, 3), nn.Conv2d(2 * w, num_classes, 3, padding=1))
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        size = x.shape[2:]
        x0, *deeper = self.encoder(x)
        x1, x2, x3 = (adapt(feature) for adapt, feature in zip(self.adapt, deeper, strict=True))
        s0 = self.down1[0](x0)  # (N, w, H/2, W/2)
        s1 = self.down1[1](s0)  # (N, 2w, H/4, W/4), as x1
        s2 = self.down1[2](s1)  # (N, 4w, H/8, W/8), as x2
        deep = self.bottleneck1(x1, x2, x3)  # (N, 8w, H/16, W/16)
        y = deep
        for up, add, compare in zip(self.up1, (s2, s1, s0), (x2, x1, s0), strict=True):
            y = up(y, add, compare)
        first = resize(self.out1(y), size)  # (N, w, H/2, W/2) → (N, w/2, H, W)

        y0 = self.down2[0](x) * (1 + self.look.weights(self.select(first)))  # (N, w/2, H, W)
        y1 = self.down2[1](y0)  # (N, w, H/2, W/2), as s0
        y2 = self.down2[2](y1)  # (N, 2w, H/4, W/4), as x1
        y3 = self.down2[3](y2)  # (N, 4w, H/8, W/8)
        y = self.up2[0](self.bottleneck2(y1, y2, y3), x1, y2)
        y = self.up2[1](y, s0, y1)
        second = resize(self.out2(y), size)  # (N, w, H/2, W/2) → (N, w/2, H, W)

        logits = self.head(torch.cat([first, second], 1))  # (N, w, H, W) → (N, num_classes, H, W)
        if not self.training:
            return logits
        return [logits, *(resize(head(f), size) for head, f in zip(self.side_heads, (deep, x3), strict=True))]
