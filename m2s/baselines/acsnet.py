"""ACSNet."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import SEModule
from torch import Tensor, nn

from m2s.baselines.blocks import Baseline, foreground
from m2s.units import ConvBNReLU, resize


class NonLocal(nn.Module):
    """Non-local block (Wang et al., CVPR 2018), embedded Gaussian, with keys and values at half the resolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(channels, channels // 2, 1) for _ in range(3))
        self.out = nn.Sequential(nn.Conv2d(channels // 2, channels, 1), nn.BatchNorm2d(channels))
        nn.init.zeros_(self.out[1].weight)  # the block starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.max_pool2d(self.key(x), 2, ceil_mode=True), F.max_pool2d(self.value(x), 2, ceil_mode=True)
        query, key, value = (t.flatten(2).mT[:, None] for t in (self.query(x), *pooled))
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)[:, 0]
        return x + self.out(attended.mT.unflatten(2, x.shape[-2:]))


class GlobalContextModule(nn.Module):
    """GCM of ACSNet: E⁵ pooled to 1, 3 and 5 cells, and a non-local view of it, merged once for each decoder level."""

    def __init__(self, in_channels: int, outs: Sequence[int], width: int = 64):
        super().__init__()
        self.pooled = nn.ModuleList(
            [
                nn.Sequential(nn.AdaptiveAvgPool2d(cells), nn.Conv2d(in_channels, width, 1), nn.ReLU(inplace=True))
                for cells in (1, 3, 5)
            ]
        )
        self.whole = nn.Sequential(nn.Conv2d(in_channels, width, 1), nn.ReLU(inplace=True), NonLocal(width))
        self.outs = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(4 * width, out, 3, padding=1), nn.ReLU(inplace=True)) for out in outs]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        views = [resize(view(x), x.shape[-2:]) for view in self.pooled]
        context = torch.cat([*views, self.whole(x)], 1)
        return [out(context) for out in self.outs]


class ACSNet(Baseline):
    """ACSNet: adaptive context selection (Zhang et al., MICCAI 2020).

    Taken: at levels 4 … 1 the decoder puts together (1) local context, E^i weighted by ``1 + (1 − |σ(p) − ½|/½)``,
    which is largest where the deeper prediction p is undecided; (2) the deeper decoder feature after a non-local block;
    (3) the level's global context (:class:`GlobalContextModule`); and selects among their channels by squeeze and
    excitation. Each level's feature is upsampled before the head that draws its map. All five maps are supervised; the
    shallowest counts. E¹ has stride 2 here, without the max-pool. With ResNet-34, the publication's encoder, it has its
    29,450,709 parameters.

    Departs: the decoder has the widths of ResNet-34 for every encoder, to which the features of others are brought by
    ConvBNReLU; ``num_classes`` > 1 (see :func:`foreground`).
    """

    def __init__(self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1):
        super().__init__(encoder, pretrained)
        self.encoder.pool_first = False  # E¹ stays at stride 2
        # Channels of E¹ … E⁵ in ResNet-34; of the decoder features and global contexts that come to levels 1 … 4.
        widths, deep, contexts = (64, 64, 128, 256, 512), (64, 128, 256, 512), (64, 64, 128, 256)
        self.adapt = nn.ModuleList(
            [nn.Identity() if c == w else ConvBNReLU(c, w) for c, w in zip(self.encoder.channels, widths, strict=True)]
        )
        totals = [sum(channels) for channels in zip(widths[:4], deep, contexts, strict=True)]
        self.context = GlobalContextModule(widths[4], contexts)
        self.non_local = nn.ModuleList([NonLocal(d) for d in deep])
        self.select = nn.ModuleList([SEModule(total, rd_divisor=1, bias=False) for total in totals])
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(ConvBNReLU(i, i // 4), ConvBNReLU(i // 4, out))
                for i, out in zip((*totals, widths[4]), (64, *deep), strict=True)
            ]
        )
        self.heads = nn.ModuleList(
            [
                nn.Sequential(ConvBNReLU(d, hidden), nn.Dropout2d(0.1), nn.Conv2d(hidden, num_classes, 1))
                for d, hidden in zip((64, *deep), (32, 16, 32, 64, 128), strict=True)
            ]
        )

    def decode(self, levels: Sequence[Tensor]) -> dict[str, list[Tensor]]:
        e = [adapt(level) for adapt, level in zip(self.adapt, levels, strict=True)]
        contexts = self.context(e[4])
        sizes = [[2 * side for side in e[0].shape[-2:]], *(level.shape[-2:] for level in e)]
        d = resize(self.blocks[4](e[4]), sizes[4])
        outputs = [self.heads[4](d)]
        for i in (3, 2, 1, 0):
            size = e[i].shape[-2:]
            undecided = 1 - (foreground(outputs[-1]) - 0.5).abs() / 0.5
            local = e[i] * (1 + undecided)
            d = self.blocks[i](self.select[i](torch.cat([local, self.non_local[i](d), resize(contexts[i], size)], 1)))
            d = resize(d, sizes[i])  # of the next shallower level, at the end of the image
            outputs.append(self.heads[i](d))
        return {"maps": outputs[::-1]}
