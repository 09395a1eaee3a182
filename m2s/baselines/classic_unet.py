"""The classic U-Net."""

from itertools import pairwise

from torch import nn

from m2s.baselines.blocks import UShape
from m2s.lgmsnet import make_lms_stage
from m2s.units import ConvBNReLU


def make_double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Twice (3×3 convolution with bias, BatchNorm, ReLU): the bias is in the printed parameters."""
    return nn.Sequential(ConvBNReLU(in_channels, out_channels), ConvBNReLU(out_channels, out_channels))


class ClassicUNet(UShape):
    """U-Net (Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015).

    The form that comparisons in the literature use, and LGMSNet's paper too: padded convolutions with BatchNorm, and
    upsampling by nearest neighbour and a 3×3 convolution. 34,527,041 parameters with one class (34.53 M in LGMSNet's
    Table 6); with ``lms=True`` 17,330,081 (17.33 M there, "+LMS").

    ``width``: channels at full resolution, doubled at each of four halvings; 16 is enough for small machines. ``lms``:
    LGMSNet's local multi-scale block in place of the four deeper double convolutions of the encoder.
    """

    def __init__(
        self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, width: int = 64, lms: bool = False
    ):
        super().__init__()
        levels = list(pairwise(width * 2**i for i in range(5)))
        block = make_lms_stage if lms else make_double_conv
        self.encode = nn.ModuleList([make_double_conv(3, width), *(block(a, b) for a, b in levels)])
        self.up = nn.ModuleList(nn.Sequential(nn.Upsample(scale_factor=2), ConvBNReLU(b, a)) for a, b in levels[::-1])
        self.decode = nn.ModuleList(make_double_conv(b, a) for a, b in levels[::-1])
        self.head = nn.Conv2d(width, num_classes, 1)
