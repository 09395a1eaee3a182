"""Swin UNETR."""

import torch.nn.functional as F
from torch import Tensor, nn

from m2s.baselines.blocks import _block, for_volumes
from m2s.baselines.unetr import UNETRDecoder


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
