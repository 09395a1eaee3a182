"""BCS-Net."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from m2s.baselines.blocks import Baseline, ConvBN, foreground, resize_corners
from m2s.baselines.pranet import ReceptiveFieldBlock
from m2s.units import resize


def make_convs(channels: int, layers: Sequence[tuple[int, int]]) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU for each (out, kernel) of ``layers``: ``(N, channels, H, W)`` → ``(N, out, …)``."""
    convs = nn.Sequential()
    for out, kernel in layers:
        convs.append(nn.Sequential(ConvBN(channels, out, kernel), nn.ReLU(inplace=True)))
        channels = out
    return convs


def make_map(channels: int, hidden: int, out: int = 1) -> nn.Sequential:
    """Three convolutions without bias or norm, ReLU between: ``(N, channels, H, W)`` → logits ``(N, out, H, W)``."""
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1, bias=False), nn.ReLU(inplace=True),
        nn.Conv2d(hidden, hidden, 3, padding=1, bias=False), nn.ReLU(inplace=True),
        nn.Conv2d(hidden, out, 1, bias=False),
    )  # fmt: skip


class SemanticUnit(nn.Module):
    """Semantic guidance unit: E³, E⁴, E⁵ → logits ``(N, num_classes, H/16, W/16)``, at the resolution of E⁴."""

    def __init__(self, channels: Sequence[int], num_classes: int, width: int = 32):
        super().__init__()
        self.fields = nn.ModuleList(ReceptiveFieldBlock(c, width) for c in channels)
        self.shared = ConvBN(width, width)
        self.down = nn.Sequential(nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width))
        self.map = make_map(width, width // 2, num_classes)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        f2, f3, f4 = (field(level) for field, level in zip(self.fields, levels, strict=True))
        size = f3.shape[-2:]
        return self.map(resize(self.down(f2), size) + self.shared(f3) + resize_corners(self.shared(f4), size))


class ContextBlock(nn.Module):
    """Attention-guided global context: ``(N, C, H, W)`` → same shape, stressed where the boundary map is.

    The feature is weighted by ``1 + σ(spatial attention) + boundary``, then by what all its pixels attend to. The
    softmax is over the last axis of ``qᵀk`` and the values are summed over the other one, as in the released code.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.spatial = nn.Conv2d(2, 1, 3, padding=1, bias=False)
        self.query, self.key = (nn.Conv2d(channels, channels // 8, 1) for _ in range(2))
        self.value = nn.Conv2d(channels, channels, 1)
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, level: Tensor, boundary: Tensor) -> Tensor:
        spatial = self.spatial(torch.cat([level.mean(1, keepdim=True), level.amax(1, keepdim=True)], 1)).sigmoid()
        g = level * (1 + spatial + boundary)
        query, key, value = (conv(g).flatten(2) for conv in (self.query, self.key, self.value))  # (N, c, HW)
        attention = (query.mT @ key).softmax(-1)  # (N, HW, HW)
        context = (value @ attention).unflatten(2, g.shape[-2:])  # (N, C, H, W)
        return self.scale * context * g + g


class AtrousContext(nn.Module):
    """ASPP of the first context block: ``(N, C, H, W)`` → ``(N, C/2, H, W)``, no norm and no activation."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.mean = nn.Conv2d(channels, half, 1)
        self.branches = nn.ModuleList([nn.Conv2d(channels, half, 1)])
        self.branches.extend(nn.Conv2d(channels, half, 3, padding=d, dilation=d) for d in (6, 12, 18))
        self.merge = nn.Conv2d(5 * half, half, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = self.mean(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        return self.merge(torch.cat([mean, *(branch(x) for branch in self.branches)], 1))


class BCSNet(Baseline):
    """BCS-Net: boundary, context and semantic reconstruction (Cong et al., IEEE TIM 2022).

    E² gives a boundary map, E³ … E⁵ a semantic map. E⁵, E⁴, E³ pass a :class:`ContextBlock` with the boundary map and
    are decoded one after the other, each beside the feature of the deeper one and weighted by ``1 + σ(semantic map)``.
    The three predictions and the semantic map are supervised by the mask, the boundary map by its edge
    (:data:`m2s.losses.AUXILIARY`); the shallowest prediction counts. With Res2Net-50 it has 44,822,583 parameters
    (44.8 M in Table 6 of the revised M2SNet paper).

    Departs: ``num_classes`` > 1, with one boundary map for all of them (see also :func:`foreground`).
    """

    def __init__(self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1):
        super().__init__(encoder, pretrained)
        _, c2, c3, c4, c5 = self.encoder.channels
        self.boundary = make_map(c2, 64)
        self.semantic = SemanticUnit((c3, c4, c5), num_classes)
        self.contexts = nn.ModuleList(ContextBlock(c) for c in (c5, c4, c3))
        self.atrous = AtrousContext(c3)
        self.decoders = nn.ModuleList(
            [
                make_convs(c5, [(256, 1), (256, 5), (64, 1), (64, 3)]),
                make_convs(c4 + 64, [(256, 1), (256, 5), (256, 5), (256, 5)]),
                make_convs(c3 // 2 + 256, [(256, 1), (256, 5), (64, 1)]),
            ]
        )
        self.heads = nn.ModuleList(ConvBN(c, num_classes, 1) for c in (64, 256, 64))

    def decode(self, levels: Sequence[Tensor]) -> dict[str, list[Tensor]]:
        _, e2, e3, e4, e5 = levels
        boundary, semantic = self.boundary(e2), self.semantic((e3, e4, e5))  # logits at strides 4 and 16
        halved, weights = boundary.sigmoid(), []
        for level in (e3, e4, e5):
            halved = resize(halved, level.shape[-2:])
            weights.append(halved)
        e5, e4, e3 = (
            context(level, weight)
            for context, level, weight in zip(self.contexts, (e5, e4, e3), weights[::-1], strict=True)
        )
        feature, outputs = None, [semantic]
        for level, decoder, head in zip((e5, e4, self.atrous(e3)), self.decoders, self.heads, strict=True):
            size = level.shape[-2:]
            x = level if feature is None else torch.cat([level, resize(feature, size)], 1)
            feature = decoder(x * (1 + foreground(resize(semantic, size))))
            outputs.append(head(feature))
        return {"maps": outputs[::-1], "edge": [boundary]}
