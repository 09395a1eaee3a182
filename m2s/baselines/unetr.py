"""UNETR."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from m2s.baselines.blocks import _block, for_volumes
from m2s.errors import InputError
from m2s.units import resize


class UNETRDecoder(nn.Module):
    """UNETR's way from features to logits, which Swin UNETR and 3D UX-Net share: ``(N, C, D, H, W)`` → logits.

    Args:
        body: volume → features, shallow to deep.
        skips: what is done to the volume itself and to each of these features.
        widths: channels after that, at strides 1, 2, 4, …: from one to the one above it, a transposed convolution
            doubles the resolution and a block takes it with the skip.
        head: features of ``widths[0]`` channels → logits.
    """

    def __init__(self, body: nn.Module, skips: Sequence[nn.Module], widths: Sequence[int], head: nn.Module):
        super().__init__()
        from monai.networks.blocks import UnetrUpBlock

        self.body, self.skips = body, nn.ModuleList(skips)
        self.up = nn.ModuleList(
            UnetrUpBlock(3, deep, shallow, 3, 2, "instance", res_block=True) for deep, shallow in pairwise(widths[::-1])
        )
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        *skips, d = (skip(feature) for skip, feature in zip(self.skips, [x, *self.body(x)], strict=True))
        for up, skip in zip(self.up, reversed(skips), strict=True):
            d = up(d, skip)
        return self.head(d)


class VisionTransformer3D(nn.Module):
    """ViT-B over patches of 16³ voxels: the tokens after layers 3, 6, 9, 12 as volumes ``(N, 768, D/16, H/16, W/16)``.

    The positions are learned on the grid of ``image_size`` and interpolated for other sizes.
    """

    def __init__(self, in_channels: int, image_size: Sequence[int]):
        super().__init__()
        self.patches = nn.Conv3d(in_channels, 768, 16, stride=16)
        self.position = nn.Parameter(torch.empty(1, 768, *(side // 16 for side in image_size)))
        nn.init.trunc_normal_(self.position, std=0.02)
        self.layers = nn.ModuleList(Block(768, num_heads=12) for _ in range(12))
        self.norm = nn.LayerNorm(768)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.patches(x)
        shape, features = x.shape, []
        x = (x + resize(self.position, shape[2:])).flatten(2).mT
        for n, layer in enumerate(self.layers, start=1):
            x = layer(x)
            if n % 3 == 0:
                features.append((self.norm(x) if n == 12 else x).mT.reshape(shape))
        return features


def unetr(
    encoder: str = "none",
    pretrained: bool = False,
    num_classes: int = 14,
    in_channels: int = 1,
    image_size: int | Sequence[int] = 96,
) -> nn.Module:
    """UNETR (Hatamizadeh et al., "UNETR: transformers for 3D medical image segmentation", WACV 2022): ViT-B and skips.

    92,784,046 parameters with fourteen classes at 96³; LGMSNet's Table 3 prints 92.61 M, which is what remains without
    the 165,888 positions (see the top of :mod:`m2s.baselines_volumes`). Departs from MONAI's network in where the skips
    begin, after layers 3, 6 and 9 as the paper writes (MONAI: one later), and takes any sides that are multiples of 16.

    Args:
        encoder, pretrained: taken like those of every network and not used.
        num_classes, in_channels: channels of the logits and of the volume.
        image_size: the sides for which there are learned positions, multiples of 16: give those of the training crops.

    Raises:
        InputError: a side that is no multiple of 16.
    """
    from monai.networks.blocks import UnetrPrUpBlock

    image_size = [image_size] * 3 if isinstance(image_size, int) else list(image_size)
    if len(image_size) != 3 or any(side < 16 or side % 16 for side in image_size):
        raise InputError(f"image_size {image_size}: give one side or three, multiples of 16")
    up = partial(UnetrPrUpBlock, 3, 768, kernel_size=3, stride=1, upsample_kernel_size=2, norm_name="instance")
    rise = [up(out_channels=16 * 2**n, num_layer=3 - n, conv_block=True, res_block=True) for n in (1, 2, 3)]
    skips = [_block(in_channels, 16), *rise, nn.Identity()]
    body = VisionTransformer3D(in_channels, image_size)
    return for_volumes(UNETRDecoder(body, skips, (16, 32, 64, 128, 768), nn.Conv3d(16, num_classes, 1)))
