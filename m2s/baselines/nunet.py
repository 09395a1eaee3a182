"""NU-Net."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.encoders import Network
from m2s.errors import InputError
from m2s.units import check_size


def make_convs(in_channels: int, out_channels: int, count: int = 2) -> nn.Sequential:
    """``count`` times (3×3 convolution with bias, BatchNorm, leaky ReLU): ``(N, in, H, W)`` → ``(N, out, H, W)``."""
    layers: list[nn.Module] = []
    for a in (in_channels, *[out_channels] * (count - 1)):
        layers += [nn.Conv2d(a, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.LeakyReLU(0.01)]
    return nn.Sequential(*layers)


def upsample(x: Tensor, factor: int = 2) -> Tensor:
    """``(N, C, h, w)`` → ``(N, C, factor·h, factor·w)``, nearest."""
    return F.interpolate(x, scale_factor=factor)


class Contract(nn.Module):
    """The contracting paths: image → main features c_1 … c_8, and the inner paths' features at level 8, by their start.

    Levels are numbered as in the paper, 1 at full resolution. Main path: level by level, and at 3, 5, 7 also what lies
    two levels above. At each level L from 3 on an inner path starts from c_{L−2}, pooled by 4, and keeps its channels.
    """

    def __init__(self, widths: list[int]):
        super().__init__()
        thin = widths[0] // 2
        self.far = nn.ModuleDict({str(i): make_convs(widths[i - 3], thin, 1) for i in (3, 5, 7)})
        into = [3, *widths[:-1]]
        self.main = nn.ModuleList(
            make_convs(a + (thin if str(i) in self.far else 0), b)
            for i, (a, b) in enumerate(zip(into, widths, strict=True), 1)
        )
        self.inner = nn.ModuleDict(
            {f"{start}-{level}": make_convs(widths[start - 3], widths[start - 3])
             for start in range(3, 9) for level in range(start, 9)}
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[list[Tensor], dict[int, Tensor]]:
        main: list[Tensor] = []
        paths: dict[int, Tensor] = {}
        for level, block in enumerate(self.main, 1):
            if level > 1:
                x = F.max_pool2d(main[-1], 2)
            if str(level) in self.far:
                x = torch.cat([self.far[str(level)](F.max_pool2d(main[-2], 4)), x], 1)
            paths = {start: F.max_pool2d(y, 2) for start, y in paths.items()}
            if level > 2:
                paths[level] = F.max_pool2d(main[-2], 4)
            paths = {start: self.inner[f"{start}-{level}"](y) for start, y in paths.items()}
            main.append(block(x))  # (N, C, H/2^(level−1), W/2^(level−1))
        return main, paths


class NUNet(Network):
    """NU-Net (Chen et al., "NU-net: an unpretentious nested U-net for breast tumor segmentation", arXiv:2209.07193).

    A U-Net of seven halvings. Beside its contracting path, :class:`Contract`, six inner paths go down to the last level
    too; on the way up, the decoder at level L gets the inner path that started at level L+2, brought back to that level
    by blocks of its own and upsampled by 4. 77,052,833 parameters with one class.

    Images are padded to multiples of 128 (the paper has 384 pixels). With 128 pixels the deepest map is a single one:
    in training a batch needs two images at least.

    ``width``: channels at full resolution, even; 16 gives 4.8 M parameters.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, width: int = 64):
        if width < 2 or width % 2:
            raise InputError(f"width={width}: give an even number")
        super().__init__()
        w = [width * times for times in (1, 2, 2, 4, 4, 8, 8, 16)]
        self.contract = Contract(w)
        paths = {start: w[start - 3] for start in range(3, 9)}
        self.restore = nn.ModuleDict(
            {str(start): nn.ModuleList(make_convs(c, c) for _ in range(8 - start)) for start, c in paths.items()}
        )
        deep, expand = w[7] + sum(paths.values()), []
        for level in range(7, 0, -1):
            into = w[level - 1] + paths.get(level + 2, 0) + deep
            # The decoder's widths are those of the encoder at levels 7 … 1.
            expand.append(make_convs(into, w[level - 1]))
            deep = w[level - 1]
        self.expand = nn.ModuleList(expand)
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        height, width = x.shape[-2:]
        main, paths = self.contract(F.pad(x, (0, -width % 128, 0, -height % 128)))
        x = torch.cat([main[7], *paths.values()], 1)
        for level, block in zip(range(7, 0, -1), self.expand, strict=True):
            skips = [main[level - 1]]
            if (inner := paths.get(level + 2)) is not None:
                for restore in self.restore[str(level + 2)]:
                    inner = restore(upsample(inner))  # from level 8 up to level + 2
                skips.append(upsample(inner, 4))
            x = block(torch.cat([*skips, upsample(x)], 1))  # (N, C, H/2^(level−1), W/2^(level−1))
        return self.head(x)[..., :height, :width]
