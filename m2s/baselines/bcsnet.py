"""BCS-Net."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import GlobalContext
from torch import Tensor, nn

from m2s.baselines.blocks import Baseline, foreground
from m2s.m2snet import WIDTH
from m2s.units import ConvBNReLU, resize


class Reconstruction(nn.Module):
    """One boundary-context-semantic reconstruction block: deeper feature and prediction → those of this level.

    The level's feature, ``(N, C, H, W)``, is weighted by ``1 + spatial + boundary attention`` and gets a global context
    (Cao et al., ICCVW 2019; timm), is merged with the deeper feature, and is weighted by ``1 + σ(semantic map)``.
    The spatial attention is a convolution of the channels' mean and maximum; the boundary attention is the deeper
    prediction's 3×3 maximum minus its minimum, which is large along its boundary.
    """

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.spatial = nn.Conv2d(2, 1, 7, padding=3)
        self.context = GlobalContext(channels, fuse_add=True, fuse_scale=False)
        self.merge = ConvBNReLU(2 * channels, channels)
        self.refine = ConvBNReLU(channels, channels)
        self.head = nn.Conv2d(channels, num_classes, 3, padding=1)

    def forward(self, level: Tensor, deeper: Tensor, logits: Tensor, semantic: Tensor) -> tuple[Tensor, Tensor]:
        size = level.shape[-2:]
        spatial = self.spatial(torch.cat([level.mean(1, keepdim=True), level.amax(1, keepdim=True)], 1)).sigmoid()
        area = foreground(resize(logits, size))
        boundary = F.max_pool2d(area, 3, 1, 1) + F.max_pool2d(-area, 3, 1, 1)
        attended = self.context(level * (1 + spatial + boundary))
        merged = self.merge(torch.cat([attended, resize(deeper, size)], 1))
        feature = self.refine(merged * (1 + foreground(resize(semantic, size))))
        return feature, self.head(feature)


class BCSNet(Baseline):
    """BCS-Net: boundary, context and semantic reconstruction (Cong et al., IEEE TIM 2022).

    Taken, as the abstract describes it: three reconstruction blocks, one after the other (E⁴, E³, E²), each with an
    attention-guided global context that stresses spatial and boundary locations; and a semantic guidance unit that
    gathers E³, E⁴, E⁵ at the intermediate resolution (E⁴'s) and whose map refines the features of each block.

    Departs: the layers inside the blocks are ours where the abstract does not fix them (:class:`Reconstruction`). **No
    loss on boundaries**: the boundary attention is computed from the prediction. Every feature has 64 channels. The
    three predictions and the semantic map are supervised by the mask; the shallowest prediction counts. With Res2Net-50
    it is smaller than the 44.8 M parameters of Table 6 of the revised M2SNet paper: it is no copy of the publication.
    """

    def __init__(self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1):
        super().__init__(encoder, pretrained)
        self.reduce = nn.ModuleList([ConvBNReLU(c, WIDTH) for c in self.encoder.channels[1:]])
        self.semantic = nn.Sequential(
            ConvBNReLU(3 * WIDTH, WIDTH), ConvBNReLU(WIDTH, WIDTH), nn.Conv2d(WIDTH, num_classes, 3, padding=1)
        )
        self.blocks = nn.ModuleList([Reconstruction(WIDTH, num_classes) for _ in range(3)])

    def decode(self, levels: Sequence[Tensor]) -> list[Tensor]:
        e2, e3, e4, e5 = (reduce(level) for reduce, level in zip(self.reduce, levels[1:], strict=True))
        size = e4.shape[-2:]
        semantic = self.semantic(torch.cat([resize(e3, size), e4, resize(e5, size)], 1))
        feature, outputs = e5, [semantic]
        for block, level in zip(self.blocks, (e4, e3, e2), strict=True):
            feature, logits = block(level, feature, outputs[-1], semantic)
            outputs.append(logits)
        return outputs[::-1]
