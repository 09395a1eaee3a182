"""nnU-Net's 2-D network."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from m2s.baselines.blocks import UShape
from m2s.errors import InputError
from m2s.units import check_size


class NNUNet2D(UShape):
    """nnU-Net's 2-D network for images of 256×256 pixels (Isensee et al., "nnU-Net: a self-configuring method for deep
    learning-based biomedical image segmentation", Nature Methods 2021).

    From the paper: twice (3×3 convolution, instance norm, leaky ReLU) at each resolution, 32 channels at first, as many
    halvings as leave 4 pixels on a side. The paper's text has strided and transposed convolutions and at most 512
    channels, 33.47 M parameters. Max-pooling, bilinear upsampling and at most 480 channels, as in nnU-Net's first
    years, are what gives the 26.10 M of LGMSNet's Table 1, so they are used here: 26,100,993 with one class. Left out
    are the planning and training around it (:mod:`m2s.nnunet` runs the original) and deep supervision.

    ``halvings`` of the resolution: nnU-Net's plan has 6 for images of 256 pixels, 4 for 64. Images below
    ``2 ** (halvings + 1)`` pixels are padded to it, as instance norm needs more than one pixel.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, halvings: int = 6):
        super().__init__()
        if halvings < 1:
            raise InputError(f"halvings={halvings}: give 1 or more")
        self.smallest = 2 ** (halvings + 1)
        w = [min(32 * 2**i, 480) for i in range(halvings + 1)]
        # Bilinear upsampling keeps the channels, so what goes up ends with those of the next skip.
        ends = [w[0], *w[:-1]]
        self.encode = nn.ModuleList(self.block(a, b, b) for a, b in pairwise([3, *w[:-1]]))
        self.encode.append(self.block(w[-2], w[-1], ends[-1]))
        self.up = nn.ModuleList(nn.Upsample(scale_factor=2, mode="bilinear") for _ in range(halvings))
        self.decode = nn.ModuleList(self.block(2 * w[i], w[i], ends[i]) for i in reversed(range(halvings)))
        self.head = nn.Conv2d(w[0], num_classes, 1)

    @staticmethod
    def block(in_channels: int, inner: int, out_channels: int) -> nn.Sequential:
        layers = []
        for a, b in ((in_channels, inner), (inner, out_channels)):
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.InstanceNorm2d(b, affine=True), nn.LeakyReLU(0.01)]
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        height, width = x.shape[-2:]
        x = F.pad(x, (0, max(self.smallest - width, 0), 0, max(self.smallest - height, 0)))
        return super().forward(x)[..., :height, :width]
