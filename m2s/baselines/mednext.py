"""MedNeXt."""

from monai.networks.nets.mednext import create_mednext
from torch import nn

from m2s.baselines.volumes import for_volumes


def mednext(encoder: str = "none", pretrained: bool = False, num_classes: int = 14, in_channels: int = 1) -> nn.Module:
    """MedNeXt-B with 3×3×3 kernels (Roy et al., "MedNeXt: transformer-driven scaling of ConvNets for medical image
    segmentation", MICCAI 2023), from MONAI, without deep supervision.

    10,511,246 parameters with fourteen classes, the 10.51 M of LGMSNet's Table 3, which does not name the variant.
    """
    return for_volumes(create_mednext("B", in_channels=in_channels, out_channels=num_classes))
