"""UCTransNet."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.baselines.blocks import contract, expand
from m2s.baselines.classic_unet import make_double_conv
from m2s.encoders import Network
from m2s.errors import InputError
from m2s.units import ConvBNReLU, check_size


class Tokens(nn.Module):
    """``(N, C, H, W)`` → tokens ``(N, H/patch · W/patch, C)`` with learned positions, resized to the image's grid."""

    def __init__(self, channels: int, patch: int, grid: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, patch, stride=patch)
        self.positions = nn.Parameter(torch.zeros(1, channels, grid, grid))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)  # (N, C, H, W) → (N, C, H/patch, W/patch)
        positions = self.positions
        if positions.shape[2:] != x.shape[2:]:
            positions = F.interpolate(positions, x.shape[2:], mode="bilinear", align_corners=False)
        return self.dropout((x + positions).flatten(2).mT)


class ChannelCrossAttention(nn.Module):
    """Attention between channels: those of each scale ask, those of all scales together answer.

    Tokens ``(N, T, C_i)`` of each scale and ``(N, T, ΣC)`` → ``(N, T, C_i)``. The scores of each head, ``(C_i, ΣC)``,
    are products over the tokens; instance norm makes their gradients flow. Every head has the full width; their results
    are averaged.
    """

    HEADS = 4

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.total = sum(widths)
        self.q = nn.ModuleList(nn.Linear(w, self.HEADS * w, bias=False) for w in widths)
        self.k, self.v = (nn.Linear(self.total, self.HEADS * self.total, bias=False) for _ in range(2))
        self.dropout = nn.Dropout(0.1)
        self.out = nn.ModuleList(nn.Linear(w, w, bias=False) for w in widths)

    def forward(self, scales: list[Tensor], together: Tensor) -> list[Tensor]:
        def split(x: Tensor) -> Tensor:
            return x.unflatten(-1, (self.HEADS, -1)).transpose(1, 2)  # (N, T, heads·C) → (N, heads, T, C)

        k, v = split(self.k(together)), split(self.v(together))
        results = []
        for x, q, out in zip(scales, self.q, self.out, strict=True):
            scores = split(q(x)).mT @ k / self.total**0.5  # (N, heads, C_i, ΣC)
            weights = self.dropout(F.instance_norm(scores).softmax(-1))
            results.append(out((weights @ v.mT).mean(1).mT))  # (N, heads, C_i, T) → (N, T, C_i)
        return results


class ChannelLayer(nn.Module):
    """Pre-norm :class:`ChannelCrossAttention` and an MLP for each scale: tokens ``(N, T, C_i)`` → same shapes."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.norm = nn.ModuleList(nn.LayerNorm(w) for w in widths)
        self.norm_together = nn.LayerNorm(sum(widths))
        self.attend = ChannelCrossAttention(widths)
        self.mlp = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(w), nn.Linear(w, 4 * w), nn.GELU(), nn.Linear(4 * w, w)) for w in widths
        )

    def forward(self, scales: list[Tensor]) -> list[Tensor]:
        together = self.norm_together(torch.cat(scales, -1))  # (N, T, ΣC)
        attended = self.attend([norm(x) for norm, x in zip(self.norm, scales, strict=True)], together)
        scales = [x + y for x, y in zip(scales, attended, strict=True)]
        return [x + mlp(x) for x, mlp in zip(scales, self.mlp, strict=True)]


class ChannelTransformer(nn.Module):
    """UCTransNet's CCT: the skips ``(N, C_i, H/2^i, W/2^i)`` → same shapes, each with what all of them know."""

    LAYERS = 4

    def __init__(self, widths: Sequence[int], grid: int):
        super().__init__()
        self.patches = [16 // 2**i for i in range(len(widths))]
        self.tokens = nn.ModuleList(Tokens(w, patch, grid) for w, patch in zip(widths, self.patches, strict=True))
        self.layers = nn.Sequential(*(ChannelLayer(widths) for _ in range(self.LAYERS)))
        self.norm = nn.ModuleList(nn.LayerNorm(w) for w in widths)
        self.reconstruct = nn.ModuleList(
            nn.Sequential(nn.Conv2d(w, w, 1), nn.BatchNorm2d(w), nn.ReLU()) for w in widths
        )

    def forward(self, skips: list[Tensor]) -> list[Tensor]:
        scales = self.layers([tokens(skip) for tokens, skip in zip(self.tokens, skips, strict=True)])
        results = []
        for x, skip, patch, norm, reconstruct in zip(
            scales, skips, self.patches, self.norm, self.reconstruct, strict=True
        ):
            grid = [side // patch for side in skip.shape[2:]]
            x = norm(x).mT.unflatten(2, grid)  # (N, T, C_i) → (N, C_i, H/16, W/16)
            # A 1×1 convolution before the nearest upsampling gives what it gives after it.
            results.append(skip + F.interpolate(reconstruct(x), scale_factor=patch))
        return results


class SkipGate(nn.Module):
    """UCTransNet's CCA: the channels of a skip ``(N, C, H, W)``, weighted by its mean and the deep feature's."""

    def __init__(self, channels: int):
        super().__init__()
        self.skip, self.deep = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def forward(self, skip: Tensor, deep: Tensor) -> Tensor:
        weights = (self.skip(skip.mean((2, 3))) + self.deep(deep.mean((2, 3)))) / 2  # (N, C)
        return F.relu(skip * weights.sigmoid()[..., None, None])


class UCTransNet(Network):
    """UCTransNet (Wang et al., "UCTransNet: rethinking the skip connections in U-Net from a channel-wise perspective
    with transformer", AAAI 2022).

    From the paper: a U-Net whose skips pass a channel-wise cross fusion transformer (four layers of four heads) and are
    gated by the channel-wise cross attention before they are joined. From the released code: heads of full width, one
    convolution at full resolution, nearest upsampling. 66,430,657 parameters with one class and positions for 224
    pixels, 66,488,257 for 256; without positions 66,242,497 (66.24 M in LGMSNet's Table 1).

    Args:
        encoder, pretrained: taken like those of every network and not used: it has no ImageNet encoder.
        num_classes: channels of the logits.
        width: channels at full resolution, doubled at each of three halvings.
        size: side of the images for which the positions are learned, a multiple of 16; others have them interpolated.

    Images whose sides are no multiples of 16 are padded by zeros, and the logits cropped.
    """

    def __init__(
        self,
        encoder: str = "none",
        pretrained: bool = False,
        num_classes: int = 1,
        width: int = 64,
        size: int = 224,
    ):
        super().__init__()
        if size < 32 or size % 16:
            raise InputError(f"size={size}: give a multiple of 16 pixels, 32 or more")
        w = [width * 2**i for i in range(4)]
        deeper = [make_double_conv(a, b) for a, b in pairwise([*w, w[-1]])]
        self.encode = nn.ModuleList([ConvBNReLU(3, width), *deeper])
        self.transform = ChannelTransformer(w, size // 16)
        self.gate = nn.ModuleList(SkipGate(c) for c in w[::-1])
        self.decode = nn.ModuleList(make_double_conv(2 * c, max(c // 2, width)) for c in w[::-1])
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        height, width = x.shape[-2:]
        *skips, deep = contract(F.pad(x, (0, -width % 16, 0, -height % 16)), self.encode)
        features = [*self.transform(skips), deep]
        return self.head(expand(features, self.step))[..., :height, :width]  # (N, num_classes, H, W)

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        deep = F.interpolate(deep, scale_factor=2)  # (N, C, h, w) → (N, C, H, W)
        return self.decode[level](torch.cat([self.gate[level](skip, deep), deep], 1))
