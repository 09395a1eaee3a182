"""Baselines for volumes: the rows of LGMSNet's Table 3 that run without special kernels, and a residual U-Net.

Every network maps volumes ``(N, in_channels, D, H, W)`` to logits ``(N, num_classes, D, H, W)`` and has random weights.
Parameters with one input channel and fourteen classes, beside those that LGMSNet's Table 3 prints:

==============  ============  =========  ==================================================================
name            parameters    printed    difference
==============  ============  =========  ==================================================================
``unetr``       92,784,046    92.61 M    165,888 are its table of positions; 92,618,158 without it
``swin_unetr``  62,187,296    61.98 M    197,730 are its tables of relative positions; 61,989,566 without them
``uxnet``       53,006,510    53.01 M    none
``mednext``     10,511,246    10.51 M    none
``unet3d``      4,822,057                not a row of that table
SegMamba        not built     65.18 M    its selective scan needs kernels that run with CUDA only
==============  ============  =========  ==================================================================

The tables are no layers, and a counter that adds up layers leaves them out; 92.61 and 61.98 are what then remains, cut
off after two decimals. So much is certain only of our counts.

UNETR and Swin UNETR are MONAI's up to what needs a package of its own there (einops): the parts that hold weights are
taken from MONAI and timm, their order from the papers. MONAI is imported where a network is made: it takes seconds.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from m2s.errors import InputError
from m2s.units import resize


def for_volumes(network: nn.Module, step: int = 16) -> nn.Module:
    """Give a network what training asks of every network: no pretrained encoder, volumes as their data set gives them.

    The network then refuses sides that are no multiples of ``step``, the stride of its deepest features.
    """
    network.encoder = nn.Module()
    network.mean, network.std = (0.0,), (1.0,)
    network.weights_source = "random (this network has no pretrained encoder)"
    network.register_forward_pre_hook(partial(_check_sides, step))
    return network


def _check_sides(step: int, network: nn.Module, inputs: tuple[Tensor]) -> None:
    sides = inputs[0].shape[2:]
    # The deepest features are normalised over each volume, which takes more than one voxel.
    if any(side % step for side in sides) or max(sides) <= step:
        raise InputError(
            f"volume of {'×'.join(map(str, sides))} voxels: {type(network).__name__} takes sides that are multiples of "
            f"{step}, and one of them larger than that"
        )


def _block(in_channels: int, out_channels: int) -> nn.Module:
    """Two 3×3×3 convolutions with instance norm and a shortcut, the block of UNETR's skips."""
    from monai.networks.blocks import UnetrBasicBlock

    return UnetrBasicBlock(3, in_channels, out_channels, 3, 1, "instance", res_block=True)


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


class SwinStage(nn.Module):
    """Two Swin blocks, the second with shifted windows, then patch merging: ``(N, C, D, …)`` → ``(N, 2C, D/2, …)``."""

    def __init__(self, channels: int, heads: int, window: int = 7):
        super().__init__()
        from monai.networks.nets.swin_unetr import PatchMerging, SwinTransformerBlock

        self.window = (window,) * 3, (window // 2,) * 3
        shifts = (0,) * 3, self.window[1]
        self.blocks = nn.ModuleList(SwinTransformerBlock(channels, heads, self.window[0], shift) for shift in shifts)
        self.merge = PatchMerging(channels)

    def forward(self, x: Tensor) -> Tensor:
        from monai.networks.nets.swin_unetr import compute_mask, get_window_size

        window, shift = get_window_size(x.shape[2:], *self.window)
        padded = [-(-side // w) * w for side, w in zip(x.shape[2:], window, strict=True)]
        mask = compute_mask(padded, window, shift, x.device)
        x = x.movedim(1, -1)
        for block in self.blocks:
            x = block(x, mask)
        return self.merge(x).movedim(-1, 1)


class SwinTransformer3D(nn.Module):
    """Patches of 2³ voxels and four :class:`SwinStage`: features with 48 … 768 channels at strides 2, 4, 8, 16, 32.

    What leaves for the decoder is normalised over the channels, without learned scale and shift.
    """

    def __init__(self, in_channels: int):
        super().__init__()
        self.patches = nn.Conv3d(in_channels, 48, 2, stride=2)
        self.stages = nn.ModuleList(SwinStage(48 * 2**i, heads=3 * 2**i) for i in range(4))

    def forward(self, x: Tensor) -> list[Tensor]:
        features = [self.patches(x)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return [F.layer_norm(x.movedim(1, -1), x.shape[1:2]).movedim(-1, 1) for x in features]


def swin_unetr(
    encoder: str = "none", pretrained: bool = False, num_classes: int = 14, in_channels: int = 1
) -> nn.Module:
    """Swin UNETR (Hatamizadeh et al., "Swin UNETR: Swin transformers for semantic segmentation of brain tumors in MRI
    images", BrainLes 2021), with 48 channels at stride 2.

    62,187,296 parameters with fourteen classes, those of MONAI's ``SwinUNETR(feature_size=48)``, with its outputs.
    LGMSNet's Table 3 prints 61.98 M, which is what remains without the 197,730 relative positions (see the top of
    :mod:`m2s.baselines_volumes`).

    Args:
        encoder, pretrained: taken like those of every network and not used.
        num_classes, in_channels: channels of the logits and of the volume, whose sides are multiples of 32.
    """
    skips = [_block(in_channels, 48), *(_block(c, c) for c in (48, 96, 192)), nn.Identity(), _block(768, 768)]
    body = SwinTransformer3D(in_channels)
    head = nn.Conv3d(48, num_classes, 1)
    return for_volumes(UNETRDecoder(body, skips, (48, 48, 96, 192, 384, 768), head), step=32)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of ``(N, C, D, H, W)``."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class UXBlock(nn.Module):
    """3D UX-Net's block: 7×7×7 depthwise, norm, each channel widened to four and back by itself; plus the input."""

    def __init__(self, channels: int):
        super().__init__()
        conv = partial(nn.Conv3d, groups=channels)
        self.branch = nn.Sequential(
            conv(channels, channels, 7, padding=3),
            ChannelNorm(channels, eps=1e-6),
            conv(channels, 4 * channels, 1),
            nn.GELU(),
            conv(4 * channels, channels, 1),
        )
        self.scale = nn.Parameter(torch.full((channels, 1, 1, 1), 1e-6))  # as in ConvNeXt

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.branch(x)


class UXEncoder(nn.Module):
    """3D UX-Net's encoder: features with 48, 96, 192, 384 channels at strides 2, 4, 8, 16, each normalised."""

    def __init__(self, in_channels: int):
        super().__init__()
        widths = (48, 96, 192, 384)
        stem = nn.Sequential(nn.Conv3d(in_channels, 48, 7, stride=2, padding=3), ChannelNorm(48, eps=1e-6))
        halve = [nn.Sequential(ChannelNorm(i, eps=1e-6), nn.Conv3d(i, o, 2, stride=2)) for i, o in pairwise(widths)]
        self.stages = nn.ModuleList(
            nn.Sequential(down, UXBlock(w), UXBlock(w)) for down, w in zip([stem, *halve], widths, strict=True)
        )
        self.norms = nn.ModuleList(ChannelNorm(w, eps=1e-6) for w in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for stage, norm in zip(self.stages, self.norms, strict=True):
            x = stage(x)
            features.append(norm(x))
        return features


def uxnet(encoder: str = "none", pretrained: bool = False, num_classes: int = 14, in_channels: int = 1) -> nn.Module:
    """3D UX-Net (Lee et al., "3D UX-Net: a large kernel volumetric ConvNet modernizing hierarchical transformer for
    medical image segmentation", ICLR 2023), written after the paper with MONAI's blocks of UNETR.

    53,006,510 parameters with fourteen classes, the 53.01 M of LGMSNet's Table 3. No stochastic depth.

    Args:
        encoder, pretrained: taken like those of every network and not used.
        num_classes, in_channels: channels of the logits and of the volume, whose sides are multiples of 16.
    """
    widths = (48, 96, 192, 384, 768)
    skips = [_block(i, o) for i, o in pairwise((in_channels, *widths))]
    head = nn.Sequential(_block(48, 48), nn.Conv3d(48, num_classes, 1))
    return for_volumes(UNETRDecoder(UXEncoder(in_channels), skips, widths, head))


def mednext(encoder: str = "none", pretrained: bool = False, num_classes: int = 14, in_channels: int = 1) -> nn.Module:
    """MedNeXt-B with 3×3×3 kernels (Roy et al., "MedNeXt: transformer-driven scaling of ConvNets for medical image
    segmentation", MICCAI 2023), from MONAI, without deep supervision.

    10,511,246 parameters with fourteen classes, the 10.51 M of LGMSNet's Table 3, which does not name the variant.

    Args:
        encoder, pretrained: taken like those of every network and not used.
        num_classes, in_channels: channels of the logits and of the volume, whose sides are multiples of 16.
    """
    from monai.networks.nets.mednext import create_mednext

    return for_volumes(create_mednext("B", in_channels=in_channels, out_channels=num_classes))


def unet3d(encoder: str = "none", pretrained: bool = False, num_classes: int = 14, in_channels: int = 1) -> nn.Module:
    """MONAI's residual U-Net (Kerfoot et al., "Left-ventricle quantification using residual U-Net", STACOM 2018).

    Two residual convolutions on each of five levels with 16 to 256 channels, instance norm: 4,822,057 parameters with
    fourteen classes. No row of LGMSNet's Table 3: the small baseline that any of them should beat.

    Args:
        encoder, pretrained: taken like those of every network and not used.
        num_classes, in_channels: channels of the logits and of the volume, whose sides are multiples of 16.
    """
    from monai.networks.nets import UNet

    return for_volumes(UNet(3, in_channels, num_classes, (16, 32, 64, 128, 256), (2,) * 4, num_res_units=2))
