"""The classic U-Net."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from m2s.baselines.blocks import UShape, concatenate
from m2s.lgmsnet import make_lms_stage
from m2s.units import ConvBNReLU, resize


def make_double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Twice (3×3 convolution with bias, BatchNorm, ReLU): the bias is in the printed parameters."""
    return nn.Sequential(ConvBNReLU(in_channels, out_channels), ConvBNReLU(out_channels, out_channels))


class Gate(nn.Module):
    """Attention gate: weights for a skip ``(N, C, H, W)`` from itself and the upsampled feature, of the same shape.

    ``σ(BN(conv(ReLU(BN(conv(g)) + BN(conv(x)))))) · x`` with 1×1 convolutions to C/2 and to one channel: additive
    attention (Oktay et al., 2018, Eq. 1) at the skip's own resolution.
    """

    def __init__(self, channels: int):
        super().__init__()
        inner = channels // 2
        self.of_up, self.of_skip, self.psi = (
            nn.Sequential(nn.Conv2d(a, b, 1), nn.BatchNorm2d(b))
            for a, b in ((channels, inner), (channels, inner), (inner, 1))
        )

    def forward(self, skip: Tensor, up: Tensor) -> Tensor:
        return skip * self.psi(F.relu(self.of_up(up) + self.of_skip(skip))).sigmoid()  # (N, 1, H, W) on (N, C, H, W)


class ClassicUNet(UShape):
    """U-Net (Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015).

    The form that comparisons in the literature use, and LGMSNet's paper too: padded convolutions with BatchNorm, and
    upsampling by nearest neighbour and a 3×3 convolution. 34,527,041 parameters with one class (34.53 M in LGMSNet's
    Table 6); with ``lms=True`` 17,330,081 (17.33 M there, "+LMS").

    ``gates=True`` makes it the Attention U-Net of LGMSNet's Table 1 (Oktay et al., "Attention U-Net: learning where to
    look for the pancreas", MIDL 2018, in two dimensions): every skip passes a :class:`Gate`. 34,878,573 parameters
    (34.87 M in that table).

    ``width``: channels at full resolution, doubled at each of four halvings; 16 is enough for small machines. ``lms``:
    LGMSNet's local multi-scale block in place of the four deeper double convolutions of the encoder.
    """

    def __init__(
        self,
        encoder: str = "none",
        pretrained: bool = False,
        num_classes: int = 1,
        width: int = 64,
        lms: bool = False,
        gates: bool = False,
    ):
        super().__init__()
        levels = list(pairwise(width * 2**i for i in range(5)))
        block = make_lms_stage if lms else make_double_conv
        self.encode = nn.ModuleList([make_double_conv(3, width), *(block(a, b) for a, b in levels)])
        self.up = nn.ModuleList(nn.Sequential(nn.Upsample(scale_factor=2), ConvBNReLU(b, a)) for a, b in levels[::-1])
        self.decode = nn.ModuleList(make_double_conv(b, a) for a, b in levels[::-1])
        self.head = nn.Conv2d(width, num_classes, 1)
        self.gates = nn.ModuleList(Gate(a) for a, _ in levels[::-1]) if gates else None

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        up = resize(self.up[level](deep), skip.shape[2:])
        if self.gates is not None:
            skip = self.gates[level](skip, up)
        return self.decode[level](concatenate(skip, up))
