"""U-Net."""

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from m2s.baselines.blocks import from_smp
from m2s.units import check_size


class SMPUnet(smp.Unet):
    """:func:`unet`'s network. Its decoder resizes to each skip, so that any size will do."""

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        return super().forward(x)


def unet(encoder: str = "tf_efficientnet_lite0", pretrained: bool = True, num_classes: int = 1) -> nn.Module:
    """U-Net (Ronneberger et al., 2015) with a timm encoder and the decoder of segmentation-models-pytorch."""
    return from_smp(SMPUnet, encoder, pretrained, num_classes)
