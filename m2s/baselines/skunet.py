"""SKU-Net."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from timm.layers import SelectiveKernel
from torch import Tensor, nn

from m2s.baselines.blocks import concatenate, contract, expand
from m2s.encoders import Network
from m2s.units import check_size


class PlainUNet(Network):
    """U-Net with a given block in place of its double convolutions, and room for something on its skips.

    ``block`` makes a module ``(N, in, H, W)`` → ``(N, out, H, W)`` from ``(in, out)``; ``widths`` are the channels at
    strides 1, 2, 4, …
    """

    def __init__(self, block: Callable[[int, int], nn.Module], widths: Sequence[int], num_classes: int):
        super().__init__()
        pairs = list(pairwise(widths))
        self.contract = nn.ModuleList([block(3, widths[0]), *(block(a, b) for a, b in pairs)])
        self.skips = nn.ModuleList(nn.Identity() for _ in pairs)
        self.expand = nn.ModuleList(block(a + b, a) for a, b in pairs)
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        return self.head(expand(contract(x, self.contract), self.step))

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        i = -1 - level  # the modules stand from shallow to deep
        return self.expand[i](concatenate(self.skips[i](skip), deep))


def make_selective_kernel(in_channels: int, out_channels: int) -> nn.Module:
    """The selective kernel unit of timm: a 3×3 branch and one dilated to 5×5, weighted per channel by a softmax."""
    return SelectiveKernel(in_channels, out_channels, split_input=False)


class SKUNet(PlainUNet):
    """SKU-Net (Byra et al., "Breast mass segmentation in ultrasound with selective kernel U-Net convolutional neural
    network", Biomedical Signal Processing and Control, 2020).

    From the paper: a U-Net whose convolution blocks are selective kernel blocks, so that each level weighs a small and
    a large receptive field by what it sees. Thin: the unit is that of Li et al. ("Selective kernel networks", CVPR
    2019) as in timm, one for each double convolution, and the widths are this project's choice. Parameter count of the
    publication: not verified. ``width``: channels at full resolution, doubled at each of four halvings.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, width: int = 32):
        super().__init__(make_selective_kernel, [width * 2**i for i in range(5)], num_classes)
