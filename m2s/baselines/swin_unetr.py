"""Swin UNETR."""

import torch
from monai.networks.nets import SwinUNETR
from torch import nn

from m2s.baselines.volumes import for_volumes


def swin_unetr(
    encoder: str = "none", pretrained: bool = False, num_classes: int = 14, in_channels: int = 1
) -> nn.Module:
    """Swin UNETR (Hatamizadeh et al., "Swin UNETR: Swin transformers for semantic segmentation of brain tumors in MRI
    images", BrainLes 2021), from MONAI, with 48 channels at stride 2.

    62,187,296 parameters with fourteen classes. LGMSNet's Table 3 prints 61.98 M, which is what remains without the
    197,730 relative positions, cut off. Sides are multiples of 32.
    """
    with torch.device("cpu"):  # MONAI asks for numbers while it builds, which the device "meta" does not have
        return for_volumes(SwinUNETR(in_channels, num_classes, feature_size=48), step=32)
