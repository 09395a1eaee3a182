"""MISSFormer."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from m2s.baselines.blocks import expand
from m2s.encoders import Network
from m2s.errors import InputError
from m2s.units import check_size


class Conv(nn.Conv2d):
    """Convolution of a map whose channels are last: ``(N, H, W, in)`` → ``(N, H', W', out)``."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(-1, 1)).movedim(1, -1)


class Attention(nn.Module):
    """Multi-head attention of ``x`` ``(N, …, C)`` to ``source`` ``(N, …, C)``, all tokens with all → x's shape."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q, self.kv, self.out = (nn.Linear(width, w) for w in (width, 2 * width, width))

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        q = rearrange(self.q(x).flatten(1, -2), "n l (h c) -> n h l c", h=self.heads)
        k, v = rearrange(self.kv(source).flatten(1, -2), "n l (two h c) -> two n h l c", two=2, h=self.heads)
        y = rearrange(F.scaled_dot_product_attention(q, k, v), "n h l c -> n l (h c)")
        return self.out(y.reshape(x.shape))


class MixFFN(nn.Module):
    """The enhanced Mix-FFN: an MLP that sees 3×3 pixels, with a skip around those: ``(N, H, W, C)`` → same shape."""

    def __init__(self, width: int):
        super().__init__()
        hidden = 4 * width
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.depthwise = Conv(hidden, hidden, 3, padding=1, groups=hidden)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = self.widen(x)  # (N, H, W, C) → (N, H, W, 4C)
        return self.narrow(F.gelu(self.norm(self.depthwise(x) + x)))


class Block(nn.Module):
    """Transformer block with reduced keys and values: ``(N, H, W, C)`` → same shape; sides multiples of ``reduction``.

    Keys and values come from squares of ``reduction²`` pixels, each made one token by a convolution.
    """

    def __init__(self, width: int, heads: int, reduction: int):
        super().__init__()
        self.norm_attend, self.norm_ffn = nn.LayerNorm(width), nn.LayerNorm(width)
        self.reduce = nn.Sequential()
        if reduction > 1:
            self.reduce = nn.Sequential(Conv(width, width, reduction, stride=reduction), nn.LayerNorm(width))
        self.attend = Attention(width, heads)
        self.ffn = MixFFN(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm_attend(x)
        x = x + self.attend(y, self.reduce(y))
        return x + self.ffn(self.norm_ffn(x))


class BridgeLayer(nn.Module):
    """A layer of the enhanced transformer context bridge: four maps ``(N, H_i, W_i, k_i·width)`` → same shapes.

    For the attention all maps are cut into tokens of ``width`` channels, so that every token of every level can look at
    every other; the MLPs work on each map by itself.

    Args:
        width: channels of the first map and of all tokens.
        ratios: k_i, channels of each map in units of ``width``.
        reductions: side of the squares that become one key and value, of each map.
    """

    def __init__(self, width: int, ratios: Sequence[int], reductions: Sequence[int]):
        super().__init__()
        self.width = width
        self.norm_attend, self.norm_source, self.norm_ffn = (nn.LayerNorm(width) for _ in range(3))
        self.reduce = nn.ModuleList(
            Conv(k * width, k * width, r, stride=r) if r > 1 else nn.Identity()
            for k, r in zip(ratios, reductions, strict=True)
        )
        self.attend = Attention(width, heads=1)
        self.ffn = nn.ModuleList(MixFFN(k * width) for k in ratios)

    def to_tokens(self, maps: Sequence[Tensor]) -> Tensor:
        """``(N, H_i, W_i, k_i·width)`` → ``(N, Σ k_i·H_i·W_i, width)``."""
        return torch.cat([x.reshape(len(x), -1, self.width) for x in maps], 1)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        lengths = [x[0].numel() // self.width for x in maps]

        def apply(modules: nn.ModuleList, tokens: Tensor) -> Tensor:
            """Each module to the map of its level; all results as tokens."""
            parts = zip(modules, tokens.split(lengths, 1), maps, strict=True)
            return self.to_tokens([module(part.reshape(x.shape)) for module, part, x in parts])

        x = self.to_tokens(maps)
        y = self.norm_attend(x)
        x = x + self.attend(y, self.norm_source(apply(self.reduce, y)))
        x = x + apply(self.ffn, self.norm_ffn(x))
        return [part.reshape(like.shape) for part, like in zip(x.split(lengths, 1), maps, strict=True)]


class PatchExpand(nn.Module):
    """Each pixel becomes ``factor``² ones: ``(N, H, W, C)`` → ``(N, factor·H, factor·W, out)``."""

    def __init__(self, channels: int, out_channels: int, factor: int):
        super().__init__()
        self.factor = factor
        self.linear = nn.Linear(channels, factor**2 * out_channels, bias=False)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = rearrange(self.linear(x), "n h w (p q c) -> n (h p) (w q) c", p=self.factor, q=self.factor)
        return self.norm(x)


class MISSFormer(Network):
    """MISSFormer (Huang et al., "MISSFormer: an effective transformer for 2D medical image segmentation", IEEE TMI
    2023).

    From the paper: overlapping patches, transformer blocks with reduced keys and values and an enhanced Mix-FFN on four
    levels of encoder and decoder, the context bridge between them, patch expanding. From the released code, where the
    deepest level of the decoder only expands: heads, reductions, depths. 35,452,225 parameters with one class, the
    35.45 M of LGMSNet's Table 1. The released class holds 42,462,017, of which the others are never used: blocks of the
    deepest level (6,895,104) and two more layer norms in each Mix-FFN.

    Args:
        encoder, pretrained: taken like those of every network and not used: it has no ImageNet encoder.
        num_classes: channels of the logits.
        width: channels at stride 4, a multiple of 8; the levels have 1, 2, 5, 8 times as many.

    Images whose sides are no multiples of 32 are padded by zeros, and the logits cropped.
    """

    RATIOS, REDUCTIONS, DEPTH = (1, 2, 5, 8), (8, 4, 2, 1), 2

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, width: int = 64):
        super().__init__()
        if width < 8 or width % 8:
            raise InputError(f"width={width}: give a multiple of 8")
        widths = [width * ratio for ratio in self.RATIOS]

        def make_blocks(level: int) -> list[nn.Module]:  # the levels have 1, 2, 5, 8 heads too
            return [Block(widths[level], self.RATIOS[level], self.REDUCTIONS[level]) for _ in range(self.DEPTH)]

        patches = [Conv(3, width, 7, stride=4, padding=3)]
        patches += [Conv(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths)]
        self.encode = nn.ModuleList(
            nn.Sequential(patch, nn.LayerNorm(w), *make_blocks(i), nn.LayerNorm(w))
            for i, (patch, w) in enumerate(zip(patches, widths, strict=True))
        )
        self.bridge = nn.Sequential(*(BridgeLayer(width, self.RATIOS, self.REDUCTIONS) for _ in range(4)))
        self.up = nn.ModuleList(PatchExpand(w, w // 2, 2) for w in widths[:0:-1])
        self.decode = nn.ModuleList(
            nn.Sequential(nn.Linear(widths[i] + widths[i + 1] // 2, widths[i]), *make_blocks(i)) for i in (2, 1, 0)
        )
        self.head = nn.Sequential(PatchExpand(width, width, 4), nn.Linear(width, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % 32, 0, -height % 32)).movedim(1, -1)
        features = []
        for stage in self.encode:
            x = stage(x)  # (N, H/2^(i+2), W/2^(i+2), width·ratio_i)
            features.append(x)
        logits = self.head(expand(self.bridge(features), self.step))  # (N, H, W, num_classes)
        return logits.movedim(-1, 1)[..., :height, :width]

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        return self.decode[level](torch.cat([self.up[level](deep), skip], -1))
