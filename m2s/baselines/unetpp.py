"""U-Net++."""

import segmentation_models_pytorch as smp
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.baselines.blocks import from_smp
from m2s.units import check_size


class SMPUnetPlusPlus(smp.UnetPlusPlus):
    """:func:`unetpp`'s network. Its nodes need multiples of 32: the image is padded, and the logits cropped."""

    requires_divisible_input_shape = False

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        height, width = x.shape[-2:]
        return super().forward(F.pad(x, (0, -width % 32, 0, -height % 32)))[..., :height, :width]


def unetpp(encoder: str = "tf_efficientnet_lite0", pretrained: bool = True, num_classes: int = 1) -> nn.Module:
    """U-Net++ (Zhou et al., "UNet++: a nested U-Net architecture for medical image segmentation", DLMIA 2018).

    A timm encoder with the decoder of segmentation-models-pytorch. Departs from the paper in the encoder and in having
    no deep supervision: only the last node gives an output.
    """
    return from_smp(SMPUnetPlusPlus, encoder, pretrained, num_classes)
