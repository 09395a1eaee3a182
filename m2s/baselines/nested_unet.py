"""U-Net++ over a pretrained encoder, as LGMSNet's Table 1 has it."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct
from torch import Tensor, nn

from m2s.encoders import Features, Network
from m2s.units import resize


class NestedUNet(Network):
    """U-Net++ (Zhou et al., "UNet++: a nested U-Net architecture for medical image segmentation", DLMIA 2018).

    Between the encoder and the output stand nodes X^{i,j} (row i from the top, column j): each gets all nodes of its
    row before it, and the one below, upsampled to nearest. Every node of the top row draws a map; the output is their
    sum, with learned weights, resized to the image.

    This is the form of LGMSNet's comparison: a ResNet-34 from stride 2 on as encoder, three convolutions a node, of
    which the first two have half the channels. 26,904,136 parameters with ResNet-34 (26.90 M in LGMSNet's Table 1; its
    code has one more, the weight of a head that does not exist).
    """

    def __init__(self, encoder: str = "resnet34", pretrained: bool = True, num_classes: int = 1):
        super().__init__(Features(encoder, pretrained))
        channels = self.encoder.channels
        rows = [[c] for c in channels]  # channels of the nodes of each row
        self.columns = nn.ModuleList()
        for j in range(1, len(channels)):
            self.columns.append(nn.ModuleList())
            for i in range(len(channels) - j):
                out = channels[i + j - 1]
                widths = [sum(rows[i]) + rows[i + 1][j - 1], out // 2, out // 2, out]
                self.columns[-1].append(nn.Sequential(*(ConvNormAct(a, b, 3) for a, b in pairwise(widths))))
                rows[i].append(out)
        self.heads = nn.ModuleList(nn.Conv2d(c, num_classes, 1) for c in rows[0][1:])
        self.weights = nn.Parameter(torch.ones(len(self.heads)))

    def forward(self, x: Tensor) -> Tensor:
        rows = [[feature] for feature in self.encoder(x)]  # (N, C_i, H/s_i, W/s_i)
        for column in self.columns:
            below = [row[-1] for row in rows]
            for row, node, deep in zip(rows, column, below[1:], strict=False):
                up = F.interpolate(deep, row[0].shape[-2:])  # nearest
                row.append(node(torch.cat([*row, up], 1)))
        maps = [head(node) for head, node in zip(self.heads, rows[0][1:], strict=True)]
        logits = (torch.stack(maps, -1) * self.weights).sum(-1)  # (N, num_classes, H/s, W/s) at the first stride s
        return resize(logits, x.shape[-2:])
