"""SFA."""

from collections.abc import Sequence

import torch
from timm.layers import SelectiveKernel
from torch import Tensor, nn

from m2s.baselines.blocks import Baseline
from m2s.m2snet import WIDTH
from m2s.units import ConvBNReLU, resize


class SFA(Baseline):
    """SFA: selective feature aggregation with an area and a boundary branch (Fang et al., MICCAI 2019).

    Taken: one encoder and two decoders of the same form, for area and boundary; three up-concatenations, each a level
    beside the next deeper one, that both decoders read; selective kernel modules in the decoders' convolutions.

    Departs: **the boundary branch has no loss of its own**, nor is there the publication's boundary-sensitive loss, as
    training here has no edge target; the area head reads both branches and passes its gradient to both. The encoder is
    a timm one instead of the publication's, every feature has 64 channels, and the selective kernels are 3, 5 and 7
    wide, the wider ones as dilated 3×3 (Li et al., CVPR 2019; timm). The layers are ours where the abstract does not
    fix them; the parameter count is not verified. One output, in training too.
    """

    def __init__(self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1):
        super().__init__(encoder, pretrained)
        self.reduce = nn.ModuleList([ConvBNReLU(c, WIDTH) for c in self.encoder.channels[1:]])
        self.up_concatenate = nn.ModuleList([ConvBNReLU(2 * WIDTH, WIDTH) for _ in range(3)])
        self.area, self.boundary = (
            nn.ModuleList(
                [
                    nn.Sequential(
                        ConvBNReLU(2 * WIDTH, WIDTH), SelectiveKernel(WIDTH, kernel_size=[3, 5, 7], split_input=False)
                    )
                    for _ in range(3)
                ]
            )
            for _ in range(2)
        )
        self.head = nn.Conv2d(2 * WIDTH, num_classes, 3, padding=1)

    def decode(self, levels: Sequence[Tensor]) -> list[Tensor]:
        e = [reduce(level) for reduce, level in zip(self.reduce, levels[1:], strict=True)]
        up = []
        for conv, level, deeper in zip(self.up_concatenate, e[:3], e[1:], strict=True):
            up.append(conv(torch.cat([level, resize(deeper, level.shape[-2:])], 1)))
        area = boundary = e[3]
        for i in (2, 1, 0):
            size = up[i].shape[-2:]
            area = self.area[i](torch.cat([resize(area, size), up[i]], 1))
            boundary = self.boundary[i](torch.cat([resize(boundary, size), up[i]], 1))
        return [self.head(torch.cat([area, boundary], 1))]
