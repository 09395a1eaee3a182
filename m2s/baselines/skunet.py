"""SKU-Net."""

from timm.layers import SelectiveKernel
from torch import nn

from m2s.baselines.blocks import PlainUNet


def selective_kernel(in_channels: int, out_channels: int) -> nn.Module:
    """timm's selective kernel unit: a 3×3 branch and one dilated to 5×5, weighted per channel by a softmax."""
    return SelectiveKernel(in_channels, out_channels, split_input=False)


class SKUNet(PlainUNet):
    """SKU-Net (Byra et al., "Breast mass segmentation in ultrasound with selective kernel U-Net convolutional neural
    network", Biomedical Signal Processing and Control, 2020).

    From the paper: a U-Net whose convolution blocks are selective kernel blocks, so that each level weighs a small and
    a large receptive field by what it sees. Thin: the unit is that of Li et al. ("Selective kernel networks", CVPR
    2019) as in timm, one for each double convolution, and the widths are this project's choice. Parameter count of the
    publication: not verified.

    Args:
        encoder, pretrained: taken like those of every network and not used: it has no ImageNet encoder.
        num_classes: channels of the logits.
        width: channels at full resolution, doubled at each of four halvings.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, width: int = 32):
        super().__init__(selective_kernel, [width * 2**i for i in range(5)], num_classes)
