"""MobileViT-s."""

from m2s.baselines.blocks import DeepLabV3


def mobilevit_s(encoder: str = "none", pretrained: bool = False, num_classes: int = 1) -> DeepLabV3:
    """MobileViT-S (Mehta & Rastegari, "MobileViT: light-weight, general-purpose, and mobile-friendly vision
    transformer", ICLR 2022) as encoder of :class:`DeepLabV3`, which is how its own paper segments.

    LGMSNet's paper says nothing of the decoder. This one gives 10,610,337 parameters where its Table 1 prints 10.66 M:
    the difference of 0.05 M is not explained.
    """
    return DeepLabV3("mobilevit_s", pretrained, num_classes)
