"""U-Net in 3-D."""

from monai.networks.nets import UNet
from torch import nn

from m2s.baselines.volumes import for_volumes


def unet3d(encoder: str = "none", pretrained: bool = False, num_classes: int = 14, in_channels: int = 1) -> nn.Module:
    """MONAI's residual U-Net (Kerfoot et al., "Left-ventricle quantification using residual U-Net", STACOM 2018).

    Two residual convolutions on each of five levels with 16 to 256 channels, instance norm: 4,822,057 parameters with
    fourteen classes. No row of LGMSNet's Table 3: the small baseline that any of them should beat.
    """
    return for_volumes(UNet(3, in_channels, num_classes, (16, 32, 64, 128, 256), (2,) * 4, num_res_units=2))
