"""UNETR."""

from collections.abc import Sequence

from monai.networks import nets
from monai.networks.blocks import PatchEmbeddingBlock
from torch import Tensor, nn

from m2s.baselines.volumes import for_volumes
from m2s.errors import InputError
from m2s.units import resize

PATCH, WIDTH, HEADS = 16, 768, 12
"""Of the ViT-B: voxels on a side of a patch, channels, heads."""


class PatchEmbedding(PatchEmbeddingBlock):
    """``(N, in, D, H, W)`` → tokens ``(N, D·H·W/16³, 768)``; positions learned on one size, interpolated for others."""

    def __init__(self, in_channels: int, image_size: Sequence[int]):
        super().__init__(in_channels, image_size, PATCH, WIDTH, HEADS)
        self.grid = [side // PATCH for side in image_size]

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embeddings(x)  # (N, 768, D/16, H/16, W/16)
        positions = self.position_embeddings.mT.unflatten(2, self.grid)  # (1, 768, d, h, w)
        return (x + resize(positions, x.shape[2:])).flatten(2).mT


class UNETR(nets.UNETR):
    """MONAI's network, for any sides that are multiples of 16, with skips after layers 3, 6, 9 (MONAI: one later)."""

    def __init__(self, in_channels: int, num_classes: int, image_size: Sequence[int]):
        super().__init__(in_channels, num_classes, image_size)
        self.vit.patch_embedding = PatchEmbedding(in_channels, image_size)
        for block in self.vit.blocks:
            del block.norm_cross_attn  # there without cross-attention too, and never used

    def features(self, x: Tensor) -> list[Tensor]:
        """``(N, in, D, H, W)`` → what layers 3, 6, 9 and 12 give, each ``(N, 768, D/16, H/16, W/16)``."""
        tokens, layers = self.vit(x)  # (N, D·H·W/16³, 768), and that of every layer
        sides = [side // PATCH for side in x.shape[2:]]
        return [y.mT.unflatten(2, sides) for y in (layers[2], layers[5], layers[8], tokens)]

    def forward(self, x: Tensor) -> Tensor:
        y3, y6, y9, y12 = self.features(x)
        d = self.decoder5(y12, self.encoder4(y9))  # (N, 128, D/8, H/8, W/8)
        d = self.decoder4(d, self.encoder3(y6))  # (N, 64, D/4, H/4, W/4)
        d = self.decoder3(d, self.encoder2(y3))  # (N, 32, D/2, H/2, W/2)
        return self.out(self.decoder2(d, self.encoder1(x)))  # (N, num_classes, D, H, W)


def unetr(
    encoder: str = "none",
    pretrained: bool = False,
    num_classes: int = 14,
    in_channels: int = 1,
    image_size: int | Sequence[int] = 96,
) -> nn.Module:
    """UNETR (Hatamizadeh et al., "UNETR: transformers for 3D medical image segmentation", WACV 2022): ViT-B and skips.

    92,784,046 parameters with fourteen classes at 96³; LGMSNet's Table 3 prints 92.61 M, which is what remains without
    the 165,888 positions, cut off. From MONAI, but for two things (:class:`UNETR`): its skips begin where the paper
    says, and it takes any sides that are multiples of 16.

    ``image_size``: the sides for which there are learned positions, multiples of 16: give those of the training crops.
    """
    image_size = [image_size] * 3 if isinstance(image_size, int) else list(image_size)
    if len(image_size) != 3 or any(side < PATCH or side % PATCH for side in image_size):
        raise InputError(f"image_size {image_size}: give one side or three, multiples of 16")
    return for_volumes(UNETR(in_channels, num_classes, image_size))
