"""H-vmunet."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.layers import DropPath, LayerNorm2d
from torch import Tensor, nn

from m2s.baselines.blocks import expand, resize_corners
from m2s.baselines.selective_scan import StateSpace, interleave
from m2s.encoders import Network
from m2s.errors import InputError
from m2s.units import check_size


class SS2D(nn.Module):
    """2-D selective scan (VMamba): ``(N, C, H, W)`` → same; along rows and columns, forwards and backwards."""

    def __init__(self, channels: int):
        super().__init__()
        self.widen = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.conv = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.states = StateSpace(channels, sequences=4)
        self.norm = nn.LayerNorm(2 * channels)
        self.out = nn.Conv2d(2 * channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        x, gate = self.widen(x).chunk(2, 1)  # (N, 2C, H, W) each
        rows = F.silu(self.conv(x)).flatten(2).mT  # (N, H·W, 2C)
        columns = interleave(rows, height)
        y = self.states(torch.stack([rows, columns, rows.flip(1), columns.flip(1)], 2))  # (N, H·W, 4, 2C)
        rows, columns = y[:, :, :2].add(y[:, :, 2:].flip(1)).unbind(2)
        y = self.norm(rows + interleave(columns, width))
        return self.out(y.mT.unflatten(2, (height, width)) * F.silu(gate))  # (N, C, H, W)


class Local(nn.Module):
    """The context of the gates: ``(N, C, H, W)`` → same; half of the channels see 3×3 pixels, half see all."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.norm, self.norm_out = LayerNorm2d(channels), LayerNorm2d(channels)
        self.near = nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False)
        self.far = SS2D(half)

    def forward(self, x: Tensor) -> Tensor:
        near, far = self.norm(x).chunk(2, 1)
        return self.norm_out(torch.stack([self.near(near), self.far(far)], 2).flatten(1, 2))


class HighOrderSS2D(nn.Module):
    """H-SS2D: 2-D selective scans of ``order`` gated products, ``(N, C, H, W)`` → same.

    The channels double from one order to the next, as in HorNet's recursive gated convolution, up to C.
    """

    def __init__(self, channels: int, order: int):
        super().__init__()
        self.widths = [channels // 2**i for i in reversed(range(order))]
        total = sum(self.widths)
        self.project = nn.Conv2d(channels, self.widths[0] + total, 1)  # to 2C
        self.context = Local(total)
        self.scans = nn.ModuleList(SS2D(width) for width in self.widths)
        self.grow = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(self.widths))
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y, gates = self.project(x).split([self.widths[0], sum(self.widths)], 1)
        gates = (self.context(gates) / 3).split(self.widths, 1)  # (N, C/2^(order − 1 − i), H, W)
        for grow, scan, gate in zip([nn.Identity(), *self.grow], self.scans, gates, strict=True):
            y = scan(grow(y) * gate)
        return self.out(y)


class Block(nn.Module):
    """H-SS2D, then an MLP over each pixel's channels, both scaled, dropped by chance and added to their input."""

    def __init__(self, channels: int, order: int, drop_path: float):
        super().__init__()
        mlp = [nn.Conv2d(channels, 4 * channels, 1), nn.GELU(), nn.Conv2d(4 * channels, channels, 1)]
        self.branches = nn.ModuleList(
            nn.Sequential(LayerNorm2d(channels), *branch) for branch in ([HighOrderSS2D(channels, order)], mlp)
        )
        self.scales = nn.Parameter(torch.full((2, channels, 1, 1), 1e-6))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        for branch, scale in zip(self.branches, self.scales, strict=True):
            x = x + self.drop_path(scale * branch(x))
        return x


class Bridge(nn.Module):
    """Attention over the pixels of each skip, then over the channels of all: ``(N, C_i, h_i, w_i)`` → same each."""

    def __init__(self, widths: list[int]):
        super().__init__()
        total = sum(widths)
        self.spatial = nn.Conv2d(2, 1, 7, padding=9, dilation=3)
        self.neighbors = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.channels = nn.ModuleList(nn.Linear(total, width) for width in widths)

    def forward(self, skips: list[Tensor]) -> list[Tensor]:
        maps = [torch.cat([t.mean(1, keepdim=True), t.amax(1, keepdim=True)], 1) for t in skips]
        skips = [t + t * self.spatial(m).sigmoid() for t, m in zip(skips, maps, strict=True)]
        means = torch.cat([t.mean((2, 3)) for t in skips], 1)  # (N, ΣC_i)
        means = self.neighbors(means[:, None])[:, 0]
        weights = [linear(means).sigmoid()[..., None, None] for linear in self.channels]
        return [t + t * weight for t, weight in zip(skips, weights, strict=True)]


def stage(channels: int, out_channels: int, order: int, drop_path: float) -> nn.Sequential:
    """Two blocks, from order 2 on, and a 3×3 convolution: ``(N, C, H, W)`` → ``(N, out, H, W)``."""
    blocks = [Block(channels, order, drop_path) for _ in range(2)] if order > 1 else []
    return nn.Sequential(*blocks, nn.Conv2d(channels, out_channels, 3, padding=1))


class HVMUNet(Network):
    """H-vmunet (Wu et al., "H-vmunet: high-order vision Mamba UNet for medical image segmentation", Neurocomputing
    2025).

    From the paper: six levels, of which the upper two are plain convolutions and the others have two blocks each, whose
    order grows from 2 to 5 with the depth; skips under spatial and channel attention, added in the decoder. 8,569,231
    parameters with one class. The authors' network has 8,972,623: the 403,392 more are spectral weights that its
    forward pass does not use. How stochastic depth is spread over the blocks is this project's reading: from none at
    order 2 to ``drop_path`` at order 5. Sides need not be multiples of 32: the decoder goes to the size of each skip.

    Args:
        encoder, pretrained: taken like those of every network and not used: it has no ImageNet encoder.
        num_classes: channels of the logits.
        width: channels of the first level, a multiple of 4, doubled at each level below; the paper has 8.
        drop_path: by which chance a branch of the deepest blocks is left out of a training step.
    """

    def __init__(
        self,
        encoder: str = "none",
        pretrained: bool = False,
        num_classes: int = 1,
        width: int = 8,
        drop_path: float = 0.4,
    ):
        if width < 4 or width % 4:
            raise InputError(f"width={width}: give a multiple of 4, the number of groups of the norms")
        super().__init__()
        w = [width * 2**i for i in range(6)]
        levels = [(a, b, order, max(order - 2, 0) / 3 * drop_path) for order, (a, b) in enumerate(pairwise([3, *w]))]
        self.encode = nn.ModuleList(stage(*level) for level in levels)
        self.decode = nn.ModuleList(stage(b, a, order, rate) for a, b, order, rate in levels[:0:-1])
        self.norms = nn.ModuleList(nn.GroupNorm(4, channels) for channels in w[:-1])
        self.decode_norms = nn.ModuleList(nn.GroupNorm(4, channels) for channels in w[-2::-1])
        self.bridge = Bridge(w[:-1])
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        size, skips = x.shape[2:], []
        *encode, deepest = self.encode
        for level, norm in zip(encode, self.norms, strict=True):
            x = F.gelu(F.max_pool2d(norm(level(x)), 2))  # (N, width·2^i, H/2^(i+1), W/2^(i+1))
            skips.append(x)
        deep = F.gelu(deepest(x))  # (N, 32·width, H/32, W/32)
        x = expand([*self.bridge(skips), deep], self.step)  # (N, width, H/2, W/2)
        return resize_corners(self.head(x), size)  # (N, num_classes, H, W)

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        return F.gelu(resize_corners(self.decode_norms[level](self.decode[level](deep)), skip.shape[2:])) + skip
