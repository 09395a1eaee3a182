"""RepViT-m3."""

from m2s.baselines.blocks import DeepLabV3


def repvit_m3(encoder: str = "none", pretrained: bool = False, num_classes: int = 1) -> DeepLabV3:
    """RepViT-M3 (Wang et al., "RepViT: revisiting mobile CNN from ViT perspective", CVPR 2024) as encoder of
    :class:`DeepLabV3`.

    LGMSNet's paper says nothing of the decoder. This one gives 14,377,217 parameters, and its Table 1 prints 14.37 M
    (cut off, as is U-Net's 34.52 M there).
    """
    return DeepLabV3("repvit_m3", pretrained, num_classes)
