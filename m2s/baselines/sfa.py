"""SFA."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import SelectiveKernel
from torch import Tensor, nn

from m2s.baselines.blocks import Baseline, foreground
from m2s.m2snet import WIDTH
from m2s.units import ConvBNReLU, resize


class DecoderModule(nn.Sequential):
    """Three layers, ``(N, in, H, W)`` → ``(N, 64, H, W)``: convolution, selective kernel unit, convolution.

    The unit (Li et al., CVPR 2019, as in timm) weighs kernels of 3, 5 and 7, the wider ones as dilated 3×3, by a
    softmax for each channel.
    """

    def __init__(self, in_channels: int):
        super().__init__(
            ConvBNReLU(in_channels, WIDTH),
            SelectiveKernel(WIDTH, kernel_size=[3, 5, 7], split_input=False),
            ConvBNReLU(WIDTH, WIDTH),
        )


class LightUNet(nn.Module):
    """U-Net of two levels: the area's probability ``(N, 1, H, W)`` → logits of its boundary, same shape."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.shallow, self.deep = ConvBNReLU(1, width), ConvBNReLU(width, 2 * width)
        self.merge = ConvBNReLU(3 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, area: Tensor) -> Tensor:
        x = self.shallow(area)
        deep = self.deep(F.max_pool2d(x, 2, ceil_mode=True))  # (N, 32, H/2, W/2)
        return self.head(self.merge(torch.cat([x, resize(deep, x.shape[-2:])], 1)))


class SFA(Baseline):
    """SFA: selective feature aggregation with area and boundary constraints (Fang et al., MICCAI 2019).

    Taken: one encoder and two decoders of the same form, for area and boundary, of four modules of three layers with
    selective kernels; beside the usual skips three further up-concatenations that both decoders read; a light U-Net
    that finds the boundary of the predicted area; a loss of three parts: of the area, of the boundary branch, and of
    the boundary found in the area, each against its target (:data:`m2s.losses.AUXILIARY`).

    Departs: the layers are not verified, as neither code nor a number of parameters could be had. The encoder is a timm
    one, with E¹ at stride 2. An up-concatenation gives a decoder module the next deeper level of the encoder. Every
    feature has 64 channels. The losses are this project's: weighted IoU and BCE, and BCE on edges.
    """

    def __init__(self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1):
        super().__init__(encoder, pretrained)
        self.encoder.pool_first = False  # E¹ stays at stride 2
        self.reduce = nn.ModuleList(ConvBNReLU(c, WIDTH) for c in self.encoder.channels)
        # From below, the skip, and at levels 3, 2, 1 the up-concatenation.
        inputs = [2 * WIDTH, *[3 * WIDTH] * 3]
        self.area, self.boundary = (nn.ModuleList(DecoderModule(i) for i in inputs) for _ in range(2))
        self.area_head, self.boundary_head = nn.Conv2d(WIDTH, num_classes, 1), nn.Conv2d(WIDTH, 1, 1)
        self.light = LightUNet()

    def decode(self, levels: Sequence[Tensor]) -> dict[str, list[Tensor]]:
        e = [reduce(level) for reduce, level in zip(self.reduce, levels, strict=True)]  # (N, 64, …)
        area = boundary = e[4]
        for module, i in enumerate((3, 2, 1, 0)):
            size = e[i].shape[-2:]
            skips = [e[i]] if i == 3 else [e[i], resize(e[i + 1], size)]
            area = self.area[module](torch.cat([resize(area, size), *skips], 1))
            boundary = self.boundary[module](torch.cat([resize(boundary, size), *skips], 1))
        logits = self.area_head(area)
        return {"maps": [logits], "edge": [self.boundary_head(boundary), self.light(foreground(logits))]}
