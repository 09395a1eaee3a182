"""Swin-Unet."""

import torch
import torch.nn.functional as F
from timm.models.swin_transformer import SwinTransformerStage
from torch import Tensor, nn

from m2s.baselines.blocks import expand
from m2s.errors import InputError
from m2s.units import check_size
from m2s.weights import create_timm


class PatchExpand(nn.Module):
    """Swin-Unet's upsampling: each token becomes ``factor²``; ``(N, H, W, in)`` → ``(N, f·H, f·W, out)``."""

    def __init__(self, in_channels: int, out_channels: int, factor: int):
        super().__init__()
        self.factor = factor
        self.expand = nn.Linear(in_channels, factor**2 * out_channels, bias=False)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        f = self.factor
        n, height, width, _ = x.shape
        x = self.expand(x).view(n, height, width, f, f, -1).transpose(2, 3)  # (N, H, f, W, f, out)
        return self.norm(x.reshape(n, f * height, f * width, -1))


class SwinUNet(nn.Module):
    """Swin-Unet (Cao et al., "Swin-Unet: Unet-like pure transformer for medical image segmentation", ECCVW 2022).

    From the paper: four stages of two Swin Transformer blocks each on patches of 4×4 pixels, patch merging between
    them, the mirrored decoder with patch expanding, skips concatenated and brought back to their width by a linear
    layer. The blocks are timm's. Departs from the paper: ImageNet weights, if asked for, go to the encoder alone, and
    the decoder has no stochastic depth. 27,168,132 parameters with one class; 27,145,824 without the tables of
    relative positions, which tools that count layer by layer leave out (27.14 M in LGMSNet's Table 1, which cuts off).

    The encoder is always Swin-T with two blocks in each stage. ``window`` is the side of the windows of attention, in
    tokens: images of ``32 · window`` pixels fit, 224 for the paper's 7, 256 for 8; others are padded inside.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, window: int = 7):
        super().__init__()
        if window < 2:
            raise InputError(f"window={window}: give 2 or more tokens")
        self.encoder, self.weights_source = create_timm(
            "swin_tiny_patch4_window7_224",
            pretrained,
            features_only=True,
            img_size=32 * window,
            window_size=window,
            dynamic_img_size=True,
        )
        self.encoder.layers_2.blocks = self.encoder.layers_2.blocks[:2]  # Swin-T has six
        config = self.encoder.pretrained_cfg
        self.mean, self.std = tuple(config["mean"]), tuple(config["std"])
        w = self.encoder.feature_info.channels()
        self.bottom = nn.LayerNorm(w[3])
        self.up, self.reduce, self.decode = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for i in (2, 1, 0):
            side = 8 * window // 2**i
            self.up.append(PatchExpand(w[i + 1], w[i], 2))
            self.reduce.append(nn.Linear(2 * w[i], w[i]))
            self.decode.append(
                SwinTransformerStage(
                    *(w[i], w[i], (side, side), 2),
                    downsample=False,
                    num_heads=w[i] // 32,
                    window_size=window,
                    dynamic_mask=True,  # any size of image
                )
            )
        self.out = nn.Sequential(nn.LayerNorm(w[0]), PatchExpand(w[0], w[0], 4))
        self.head = nn.Conv2d(w[0], num_classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        height, width = x.shape[-2:]
        features = self.encoder(F.pad(x, (0, -width % 32, 0, -height % 32)))  # (N, C, H/s, W/s) at s = 4, 8, 16, 32
        features = [feature.permute(0, 2, 3, 1) for feature in features]  # (N, H/s, W/s, C), as its blocks take them
        features[-1] = self.bottom(features[-1])
        d = self.out(expand(features, self.step))  # (N, H/4, W/4, C) → (N, H, W, C)
        return self.head(d.permute(0, 3, 1, 2))[..., :height, :width]  # (N, num_classes, H, W)

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        return self.decode[level](self.reduce[level](torch.cat([self.up[level](deep), skip], -1)))
