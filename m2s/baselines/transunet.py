"""TransUNet."""

import timm
import torch
from timm.layers import ConvNormAct
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from m2s.baselines.blocks import DoubleConv
from m2s.encoders import Features, Network
from m2s.errors import InputError
from m2s.units import check_size, resize
from m2s.weights import create_timm


class Tokens(nn.Module):
    """A ViT on a map: ``(N, C, H, W)`` → ``(N, width, H, W)``; positions learned on 14×14 are resized to H×W."""

    def __init__(self, project: nn.Module, position: Tensor, blocks: nn.Module, norm: nn.Module):
        super().__init__()
        side = round(position.shape[1] ** 0.5)
        self.project, self.blocks, self.norm = project, blocks, norm
        self.position = nn.Parameter(position.detach().mT.reshape(1, -1, side, side).clone())

    def forward(self, x: Tensor) -> Tensor:
        x = self.project(x)  # (N, C, H, W) → (N, width, H, W)
        x = x + resize(self.position, x.shape[-2:])
        tokens = self.norm(self.blocks(x.flatten(2).mT))  # (N, H·W, width)
        return tokens.mT.reshape(x.shape)


class HybridEncoder(nn.Module):
    """timm's R50+ViT-B/16 taken apart: features at strides 2, 4, 8 and the tokens (768 channels) at stride 16."""

    def __init__(self, name: str, pretrained: bool = True):
        super().__init__()
        vit, self.weights_source = create_timm(name, pretrained, num_classes=0)
        self.mean, self.std = tuple(vit.pretrained_cfg["mean"]), tuple(vit.pretrained_cfg["std"])
        self.stem, self.stages = vit.patch_embed.backbone.stem, vit.patch_embed.backbone.stages
        # Like TransUNet, without the class token, whose position comes first.
        self.tokens = Tokens(vit.patch_embed.proj, vit.pos_embed[:, 1:], vit.blocks, vit.norm)
        self.channels = [64, 256, 512, vit.embed_dim]

    def forward(self, x: Tensor) -> list[Tensor]:
        check_size(x)
        features = [self.stem.norm(self.stem.conv(x))]
        x = self.stem.pool(features[0])
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return [*features[:3], self.tokens(x)]


class TransUNet(Network):
    """TransUNet (Chen et al., "TransUNet: transformers make strong encoders for medical image segmentation", 2021).

    From the paper (Fig. 1): CNN features, a ViT on those of stride 16, and the cascaded upsampler (512, then 256, 128,
    64, 16 channels, each twofold bilinear, concatenation, two convolutions) with skips at strides 8, 4, 2. With an
    encoder of timm's family R50+ViT-B/16 this is the paper's network, about 105 million parameters; its weights are of
    ImageNet-21k. With any other timm encoder the ViT is a small one with random weights: thin, and not comparable.

    Args:
        encoder: ``"vit_base_r50_s16_224"`` or ``"…_384"`` for the paper's; or any timm encoder with strides 4 to 16.
        pretrained: weights for the encoder (and, in the paper's network, its ViT).
        depth: transformer blocks of the small ViT; not used by the paper's network.
        width: its channels, 64 a head.
    """

    def __init__(
        self,
        encoder: str = "tf_efficientnet_lite0",
        pretrained: bool = True,
        num_classes: int = 1,
        depth: int = 4,
        width: int = 256,
    ):
        if depth < 1 or width < 64 or width % 64:
            raise InputError(f"depth={depth}, width={width}: give at least one block and a multiple of 64 channels")
        hybrid = "_r50_s16_" in encoder and timm.is_model(encoder)
        super().__init__(HybridEncoder(encoder, pretrained) if hybrid else Features(encoder, pretrained, deepest=16))
        if hybrid:
            self.transformer, width = nn.Identity(), self.encoder.channels[-1]
        else:
            project = nn.Conv2d(self.encoder.channels[-1], width, 1)
            blocks = nn.Sequential(*(Block(width, width // 64, qkv_bias=True) for _ in range(depth)))
            position = 0.02 * torch.randn(1, 14 * 14, width)
            self.transformer = Tokens(project, position, blocks, nn.LayerNorm(width, eps=1e-6))
        skips = [*reversed(self.encoder.channels[:-1]), 0, 0][:4]  # no skip at stride 1, nor at 2 if there is none
        self.first = ConvNormAct(width, 512, 3)
        widths = (512, 256, 128, 64, 16)
        self.decode = nn.ModuleList(DoubleConv(widths[i] + skips[i], widths[i + 1]) for i in range(4))
        self.head = nn.Conv2d(16, num_classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        *skips, d = self.encoder(x)
        d = self.first(self.transformer(d))  # (N, 512, H/16, W/16)
        for i, decode in enumerate(self.decode):
            shape = [-(-s // (8 >> i)) for s in size]  # the sides at strides 8, 4, 2, 1, rounded up as encoders do
            d = resize(d, shape)
            if i < len(skips):
                d = torch.cat([d, resize(skips[-1 - i], shape)], 1)
            d = decode(d)  # (N, 256 … 16, …) at strides 8, 4, 2, 1
        return self.head(d)
