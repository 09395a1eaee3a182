"""SKU-Net."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from m2s.baselines.blocks import UShape
from m2s.errors import InputError
from m2s.units import ConvBNReLU


class SelectiveConv(nn.Module):
    """A 3×3 convolution and one dilated to 5×5, weighed against each other per channel by what they see.

    ``(N, in, H, W)`` → ``(N, out, H, W)``: ``w·a + (1 − w)·b``, w a sigmoid from the spatial mean of a + b.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.wide, self.narrow = (
            ConvBNReLU(in_channels, out_channels, dilation=2),
            ConvBNReLU(in_channels, out_channels),
        )
        hidden = out_channels // 2
        self.reduce, self.norm = nn.Linear(out_channels, hidden), nn.BatchNorm1d(hidden)
        self.weigh = nn.Linear(hidden, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.wide(x), self.narrow(x)
        mean = (a + b).mean((2, 3))  # (N, out)
        w = self.weigh(F.relu(self.norm(self.reduce(mean)))).sigmoid()[..., None, None]
        return w * a + (1 - w) * b


class SKUNet(UShape):
    """SKU-Net (Byra et al., "Breast mass segmentation in ultrasound with selective kernel U-Net convolutional neural
    network", Biomedical Signal Processing and Control, 2020).

    A U-Net of 16 to 256 channels with transposed convolutions whose every convolution is a :class:`SelectiveConv`.
    3,935,553 parameters with RGB images and one class; 3,934,977 with the grey images of the publication. In training,
    a batch needs two images at least, as the norm of a mean over space has one value an image.

    ``width``: channels at full resolution, even, doubled at each of four halvings.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, width: int = 16):
        if width < 2 or width % 2:
            raise InputError(f"width={width}: give an even number")
        super().__init__()
        levels = list(pairwise(width * 2**i for i in range(5)))
        self.encode = nn.ModuleList(self.block(a, b) for a, b in ((3, width), *levels))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in levels[::-1])
        self.decode = nn.ModuleList(self.block(b, a) for a, b in levels[::-1])
        self.head = nn.Conv2d(width, num_classes, 1)

    @staticmethod
    def block(in_channels: int, out_channels: int) -> nn.Sequential:
        return nn.Sequential(SelectiveConv(in_channels, out_channels), SelectiveConv(out_channels, out_channels))
