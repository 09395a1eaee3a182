"""UTNet."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.baselines.blocks import expand, resize_corners
from m2s.encoders import Network
from m2s.errors import InputError
from m2s.units import check_size


class ResidualBlock(nn.Module):
    """Pre-activated basic block: ``(N, in, H, W)`` → ``(N, out, H, W)``, no biases, 1×1 shortcut if they differ."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()

        def conv(a: int, b: int, kernel: int) -> nn.Sequential:
            layer = nn.Conv2d(a, b, kernel, padding=kernel // 2, bias=False)
            return nn.Sequential(nn.BatchNorm2d(a), nn.ReLU(), layer)

        self.body = nn.Sequential(conv(in_channels, out_channels, 3), conv(out_channels, out_channels, 3))
        self.shortcut = nn.Identity() if in_channels == out_channels else conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


def make_separable(in_channels: int, out_channels: int) -> nn.Sequential:
    """Depthwise-separable 3×3 convolution without biases and norms: ``(N, in, H, W)`` → ``(N, out, H, W)``."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
    )


class EfficientAttention(nn.Module):
    """Multi-head attention with keys and values on a ``k×k`` grid, and relative positions (UTNet, section 2.2–2.3).

    Keys and values are resized to the grid, so the cost grows with H·W instead of (H·W)². To every logit a bias is
    added, learned for each head and each offset between the query's cell of the grid and the key's.

    ``channels``, a multiple of ``heads``, are those of the map that asks and of the result, ``source_channels`` those
    of the map that keys and values come from; without them both are the same map. ``grid`` is k.
    """

    def __init__(self, channels: int, source_channels: int | None = None, heads: int = 4, grid: int = 8):
        super().__init__()
        self.heads, self.grid = heads, grid
        if source_channels is None:
            self.qkv = make_separable(channels, 3 * channels)
        else:
            self.q, self.kv = make_separable(channels, channels), make_separable(source_channels, 2 * channels)
        self.out = make_separable(channels, channels)
        self.bias = nn.Parameter(0.02 * torch.randn(heads, 2 * grid - 1, 2 * grid - 1))

    def offsets(self, length: int) -> Tensor:
        """``(length, k)``: index of the offset from the cell of each of ``length`` pixels to each of the k cells."""
        cells = torch.arange(length, device=self.bias.device) * self.grid // length
        return torch.arange(self.grid, device=self.bias.device)[None] - cells[:, None] + self.grid - 1

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """``x`` ``(N, channels, H, W)``, ``source`` ``(N, source_channels, h, w)`` → x's shape."""
        height, width = x.shape[-2:]
        q, kv = self.qkv(x).tensor_split([x.shape[1]], 1) if source is None else (self.q(x), self.kv(source))
        k, v = resize_corners(kv, (self.grid, self.grid)).chunk(2, 1)
        q, k, v = (t.unflatten(1, (self.heads, -1)).flatten(3).mT for t in (q, k, v))  # (N, heads, HW or k², c)
        rows, columns = self.offsets(height)[:, None, :, None], self.offsets(width)[None, :, None, :]
        bias = self.bias[:, rows, columns].flatten(3).flatten(1, 2)  # (heads, H, W, k, k) → (heads, HW, k²)
        scale = q.shape[-1] ** -0.5
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=(bias * scale).to(q.dtype), scale=scale)
        return self.out(y.mT.flatten(1, 2).unflatten(2, (height, width)))


class UTNetBlock(nn.Module):
    """UTNet's transformer block (Fig. 1): attention and a 1×1 convolution, both pre-activated and residual.

    Without ``deep_channels`` it is the encoder's (self-attention). With it, the decoder's: the skip asks, keys and
    values come from the feature one level deeper, which is also added, projected and resized.
    """

    def __init__(self, channels: int, deep_channels: int | None = None):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.attend = EfficientAttention(channels, deep_channels)
        if deep_channels:
            self.norm_deep = nn.BatchNorm2d(deep_channels)
            self.project = nn.Conv2d(deep_channels, channels, 1)
        self.mix = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 1, bias=False))

    def forward(self, x: Tensor, deep: Tensor | None = None) -> Tensor:
        if deep is None:
            x = x + self.attend(self.norm(x))
        else:
            attended = self.attend(self.norm(x), self.norm_deep(deep))
            x = resize_corners(self.project(deep), x.shape[-2:]) + attended
        return x + self.mix(x)


class UTNet(Network):
    """UTNet (Gao et al., "UTNet: a hybrid transformer architecture for medical image segmentation", MICCAI 2021).

    A U of pre-activated residual blocks; a transformer block with efficient attention follows that of every level but
    the first, on the way down and up. 10,019,049 parameters with one class, as the released class has (the paper says
    9.53 M). Table 6 of the revised M2SNet paper prints 34.0 M and names another encoder, which fits no released form.

    The released code takes sides of multiples of 128 pixels; here any, as each pixel gets the positions of its cell.

    ``width``: channels at full resolution (a multiple of 4), doubled at each of four halvings.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, width: int = 32):
        if width < 4 or width % 4:
            raise InputError(f"width={width}: give a multiple of 4, the number of attention heads")
        super().__init__()
        w = [width * 2**i for i in range(5)]
        self.encode = nn.ModuleList([nn.Sequential(ResidualBlock(3, width), ResidualBlock(width, width))])
        self.encode.extend(nn.Sequential(nn.MaxPool2d(2), ResidualBlock(a, b), UTNetBlock(b)) for a, b in pairwise(w))
        self.merge = nn.ModuleList(UTNetBlock(w[i], w[i + 1]) for i in (3, 2, 1))
        self.decode = nn.ModuleList(ResidualBlock(2 * w[i], w[i]) for i in (3, 2, 1))
        self.project = nn.Conv2d(w[1], w[0], 1)
        self.decode.append(nn.Sequential(ResidualBlock(2 * w[0], w[0]), ResidualBlock(w[0], w[0])))
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        features = []
        for encode in self.encode:
            x = encode(x)  # (N, w_i, H/2^i, W/2^i)
            features.append(x)
        return self.head(expand(features, self.step))  # (N, num_classes, H, W)

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        if level < len(self.merge):
            up = self.merge[level](skip, deep)
        else:
            up = resize_corners(self.project(deep), skip.shape[-2:])
        return self.decode[level](torch.cat([up, skip], 1))
