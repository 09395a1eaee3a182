"""MedT."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct
from torch import Tensor, nn

from m2s.baselines.blocks import expand
from m2s.encoders import Network
from m2s.errors import InputError
from m2s.units import check_size, resize


class AxialAttention(nn.Module):
    """Attention along one axis of ``(N, C, H, W)`` → same shape; every row (or column) by itself, in eight heads.

    With a ``length`` it has learned relative positions for queries, keys and values, each with a gate (MedT, Eq. 3):
    ``y_i = Σ_j softmax(q_i·k_j + G_Q q_i·r^q_ij + G_K k_j·r^k_ij) (G_V1 v_j + G_V2 r^v_ij)``. The positions are those
    of ``length`` pixels; for others they are interpolated.

    ``channels`` is a multiple of 16; queries and keys have half as many as values. ``axis``: 2 to attend along the
    height, 3 along the width.
    """

    HEADS = 8

    def __init__(self, channels: int, axis: int, length: int | None = None):
        super().__init__()
        self.axis, width = axis, channels // self.HEADS
        self.sizes = (width // 2, width // 2, width)
        self.qkv = nn.Sequential(nn.Conv1d(channels, 2 * channels, 1, bias=False), nn.BatchNorm1d(2 * channels))
        terms = 1 if length is None else 3
        self.norm_logits = nn.ModuleList(nn.BatchNorm2d(self.HEADS) for _ in range(terms))
        self.norm_values = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(min(terms, 2)))
        self.relative = None
        if length is not None:
            self.relative = nn.Parameter(torch.randn(2 * width, 2 * length - 1) / width**0.5)
            self.gates = nn.Parameter(torch.tensor([0.1, 0.1, 1.0, 0.1]))  # G_Q, G_K, G_V1, G_V2

    def positions(self, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """r^q, r^k, r^v: ``(channels, length, length)``, by the offset i − j."""
        table = F.interpolate(self.relative[None], 2 * length - 1, mode="linear", align_corners=True)[0]
        i = torch.arange(length, device=table.device)
        return table[:, i[:, None] - i + length - 1].split(self.sizes)

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(self.axis, -1)  # (N, C, lines, length)
        n, channels, lines, length = x.shape
        qkv = self.qkv(x.transpose(1, 2).reshape(n * lines, channels, length))
        q, k, v = qkv.view(n * lines, self.HEADS, -1, length).split(self.sizes, 2)  # (N·lines, heads, c, length)
        # The gates come after the norms, which would undo them.
        logits = self.norm_logits[0](torch.einsum("nhci,nhcj->nhij", q, k))
        if self.relative is not None:
            r_q, r_k, r_v = self.positions(length)
            g_q, g_k, g_v1, g_v2 = self.gates
            logits = logits + g_q * self.norm_logits[1](torch.einsum("nhci,cij->nhij", q, r_q))
            logits = logits + g_k * self.norm_logits[2](torch.einsum("nhcj,cij->nhij", k, r_k))
        weights = logits.softmax(-1)  # (N·lines, heads, length, length)
        y = self.norm_values[0](torch.einsum("nhij,nhcj->nhci", weights, v).flatten(1, 2))
        if self.relative is not None:
            y = g_v1 * y + g_v2 * self.norm_values[1](torch.einsum("nhij,cij->nhci", weights, r_v).flatten(1, 2))
        return y.view(n, lines, channels, length).transpose(1, 2).movedim(-1, self.axis)


class AxialBlock(nn.Module):
    """MedT's residual bottleneck: ``(N, in, H, W)`` → ``(N, 2·width, H/stride, W/stride)``; by height, then width."""

    def __init__(self, in_channels: int, width: int, stride: int = 1, length: int | None = None):
        super().__init__()
        self.body = nn.Sequential(
            ConvNormAct(in_channels, width, 1),
            AxialAttention(width, 2, length),
            AxialAttention(width, 3, length),
            nn.AvgPool2d(stride, ceil_mode=True),
            nn.ReLU(),
            ConvNormAct(width, 2 * width, 1, apply_act=False),
        )
        changes = stride > 1 or in_channels != 2 * width
        self.shortcut = (
            ConvNormAct(in_channels, 2 * width, 1, stride=stride, apply_act=False) if changes else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class MedTBranch(nn.Module):
    """One of MedT's branches: ``(N, 3, H, W)`` → ``(N, 16, H, W)``, a U-shape with added skips.

    ``stem``: channels that the first convolutions give. ``depths``: axial blocks at strides 2, 4, 8, …, of 16, 32, 64,
    … channels inside. ``length``: side of the map at stride 2 for which positions are learned. ``bottom``: a strided
    3×3 convolution comes below the deepest block.
    """

    def __init__(self, stem: int, depths: tuple[int, ...], length: int | None = None, bottom: bool = False):
        super().__init__()
        self.stem = nn.Sequential(
            ConvNormAct(3, stem, 7, stride=2), ConvNormAct(stem, 128, 3), ConvNormAct(128, stem, 3)
        )
        self.encode, channels = nn.ModuleList(), stem
        for level, depth in enumerate(depths):
            blocks = nn.Sequential()
            for i in range(depth):
                stride = 2 if level and i == 0 else 1
                blocks.append(AxialBlock(channels, 16 * 2**level, stride, length))
                channels = 32 * 2**level
                length = length and length // stride
            self.encode.append(blocks)
        widths = [32 * 2**level for level in range(len(depths))]
        self.bottom = nn.Conv2d(channels, channels, 3, stride=2, padding=1) if bottom else None
        self.decode = nn.ModuleList(nn.Conv2d(b, a, 3, padding=1) for a, b in reversed(list(pairwise([16, *widths]))))

    def forward(self, x: Tensor) -> Tensor:
        size, features, x = x.shape[-2:], [], self.stem(x)  # (N, 3, H, W) → (N, stem, H/2, W/2)
        for encode in self.encode:
            x = encode(x)  # (N, 32·2^i, H/2^(i+1), W/2^(i+1))
            features.append(x)
        if self.bottom:
            features[-1] = F.relu(resize(self.bottom(x), x.shape[-2:])) + x
        x = self.decode[-1](expand(features, self.step))  # (N, 16, H/2, W/2)
        return F.relu(resize(x, size))  # (N, 16, H, W)

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        return F.relu(resize(self.decode[level](deep), skip.shape[-2:])) + skip


def to_patches(x: Tensor, grid: int) -> Tensor:
    """``(N, C, H, W)`` → ``(N·grid², C, H/grid, W/grid)``."""
    n, c, height, width = x.shape
    x = x.reshape(n, c, grid, height // grid, grid, width // grid).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(n * grid**2, c, height // grid, width // grid)


def from_patches(x: Tensor, grid: int) -> Tensor:
    """The inverse of :func:`to_patches`."""
    _, c, height, width = x.shape
    x = x.reshape(-1, grid, grid, c, height, width).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(-1, c, grid * height, grid * width)


class MedT(Network):
    """MedT (Valanarasu et al., "Medical Transformer: gated axial-attention for medical image segmentation", MICCAI
    2021).

    From the paper: a shallow global branch with gated axial attention on the whole image, a deeper local branch with
    axial attention on each of 4×4 patches, their sum. 1,524,553 parameters with one class. The released class has
    1,560,106, of which 35,553 are in layers that it never calls; LGMSNet's Table 1 prints 1.37 M, which is what remains
    without the layers for queries, keys and values, the positions and the gates.

    Departs: the gates act after the batch norms, as in the paper's Eq. 3, and are trained from the first epoch; the
    released code has them before the norms, which undo them, and keeps them fixed for ten epochs. Positions are
    interpolated to the image's size, and a patch is a quarter of the image's side; in the released code it is always 32
    pixels, so that of larger images only the upper left 128×128 pixels have a local branch.

    ``size``: side of the images for which the positions are learned, a multiple of 4; the paper has 128.
    """

    GRID = 4

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, size: int = 128):
        super().__init__()
        if size < 32 or size % 4:
            raise InputError(f"size={size}: give a multiple of 4 pixels, 32 or more")
        self.whole = MedTBranch(8, (1, 2), length=size // 2)
        self.patches = MedTBranch(64, (1, 2, 4, 1), bottom=True)
        self.mix = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(16, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % 32, 0, -height % 32))
        local = from_patches(self.patches(to_patches(x, self.GRID)), self.GRID)
        return self.head(self.mix(self.whole(x) + local))[..., :height, :width]
