"""UTNet."""

import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct
from torch import Tensor, nn

from m2s.baselines.blocks import DoubleConv, concatenate, expand
from m2s.encoders import Features, Network
from m2s.errors import InputError
from m2s.units import resize


class EfficientAttention(nn.Module):
    """Multi-head attention with keys and values on a ``k×k`` grid, and 2-D relative position (UTNet, section 2.2–2.3).

    The low-rank projection is a mean over the cells of the grid, so the cost grows with H·W instead of (H·W)². The
    position term is ``q · (r_Δy + r_Δx)`` with learned vectors for every offset, counted in cells, between the query's
    cell and the key's.

    ``query_channels``, a multiple of ``heads``, are those of the map that asks and of the result, ``source_channels``
    those of the map that keys and values come from. ``grid`` is k.
    """

    def __init__(self, query_channels: int, source_channels: int, heads: int = 4, grid: int = 8):
        super().__init__()
        self.heads, self.grid, self.dim = heads, grid, query_channels // heads
        self.q = nn.Conv2d(query_channels, query_channels, 1, bias=False)
        self.kv = nn.Conv2d(source_channels, 2 * query_channels, 1, bias=False)
        self.out = nn.Conv2d(query_channels, query_channels, 1, bias=False)
        self.rows = nn.Parameter(0.02 * torch.randn(2 * grid - 1, self.dim))
        self.columns = nn.Parameter(0.02 * torch.randn(2 * grid - 1, self.dim))

    def offsets(self, length: int) -> Tensor:
        """``(length, k)``: index of the offset from the cell of each of ``length`` pixels to each of the k cells."""
        cells = torch.arange(length) * self.grid // length
        return torch.arange(self.grid)[None] - cells[:, None] + self.grid - 1

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """``x`` ``(N, query_channels, H, W)``, ``source`` ``(N, source_channels, h, w)`` → x's shape."""
        n, channels, height, width = x.shape
        q = self.q(x).reshape(n, self.heads, self.dim, height, width)
        # Keys and values: (N, heads, dim, k²) each.
        k, v = F.adaptive_avg_pool2d(self.kv(source), self.grid).reshape(n, 2, self.heads, self.dim, -1).unbind(1)
        rows = torch.einsum("nmdyx,ykd->nmyxk", q, self.rows[self.offsets(height)])
        columns = torch.einsum("nmdyx,xkd->nmyxk", q, self.columns[self.offsets(width)])
        position = (rows[..., :, None] + columns[..., None, :]).reshape(n, self.heads, height * width, -1)
        scale = self.dim**-0.5
        out = F.scaled_dot_product_attention(
            q.flatten(3).mT, k.mT, v.mT, attn_mask=(position * scale).to(q.dtype), scale=scale
        )
        return self.out(out.mT.reshape(n, channels, height, width))


class UTNetBlock(nn.Module):
    """UTNet's transformer block (Fig. 1): attention and a 1×1 convolution, both pre-activated and residual.

    Without ``deep_channels`` it is the encoder's (self-attention). With it, the decoder's: the skip asks, keys and
    values come from the feature one level deeper, which is also added, projected and resized.
    """

    def __init__(self, channels: int, deep_channels: int | None = None):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.attend = EfficientAttention(channels, deep_channels or channels)
        if deep_channels:
            self.norm_deep = nn.BatchNorm2d(deep_channels)
            self.project = nn.Conv2d(deep_channels, channels, 1, bias=False)
        self.mix = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 1, bias=False))

    def forward(self, x: Tensor, deep: Tensor | None = None) -> Tensor:
        asks = self.norm(x)
        if deep is None:
            x = x + self.attend(asks, asks)
        else:
            deep = self.norm_deep(deep)
            x = resize(self.project(deep), x.shape[-2:]) + self.attend(asks, deep)
        return x + self.mix(x)


class UTNet(Network):
    """UTNet (Gao et al., "UTNet: a hybrid transformer architecture for medical image segmentation", MICCAI 2021).

    From the paper: efficient attention with relative position after the convolutions of every encoder level and before
    those of every decoder level, but not at the highest resolution. Departs from it: the convolutions of the encoder
    are a timm encoder's, 1×1 convolutions bring its features to the paper's widths, keys and values are averaged over
    cells, plain 1×1 convolutions make queries, keys and values, and the decoder ends at the encoder's first stride.
    The publication's own network has another encoder, so its parameter count is not comparable.

    ``width``: channels at stride 2 (a multiple of 4), doubled at each level below.
    """

    def __init__(
        self, encoder: str = "tf_efficientnet_lite0", pretrained: bool = True, num_classes: int = 1, width: int = 32
    ):
        if width < 4 or width % 4:
            raise InputError(f"width={width}: give a multiple of 4, the number of attention heads")
        super().__init__(Features(encoder, pretrained))
        channels = self.encoder.channels
        w = [width * 2**i for i in range(5)][-len(channels) :]
        has_stride_2 = len(channels) == 5
        self.reduce = nn.ModuleList(ConvNormAct(c, to, 1) for c, to in zip(channels, w, strict=True))
        self.attend = nn.ModuleList(
            nn.Identity() if i == 0 and has_stride_2 else UTNetBlock(c) for i, c in enumerate(w)
        )
        self.merge, self.decode = nn.ModuleList(), nn.ModuleList()
        for i in reversed(range(len(w) - 1)):
            plain = i == 0 and has_stride_2
            self.merge.append(ConvNormAct(w[i + 1], w[i], 1) if plain else UTNetBlock(w[i], w[i + 1]))
            self.decode.append(DoubleConv(2 * w[i], w[i]))
        self.head = nn.Conv2d(w[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        levels = zip(self.encoder(x), self.reduce, self.attend, strict=True)
        features = [attend(reduce(level)) for level, reduce, attend in levels]  # (N, w_i, H/s_i, W/s_i)
        return resize(self.head(expand(features, self.step)), x.shape[-2:])

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        merge = self.merge[level]
        up = merge(skip, deep) if isinstance(merge, UTNetBlock) else resize(merge(deep), skip.shape[-2:])
        return self.decode[level](concatenate(up, skip))
