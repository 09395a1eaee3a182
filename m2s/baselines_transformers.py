"""Baselines that join convolutions and self-attention: UTNet and TransUNet."""

import timm
import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from m2s.baselines import DoubleConv, Features
from m2s.errors import InputError
from m2s.units import check_size, resize
from m2s.weights import create_timm


class EfficientAttention(nn.Module):
    """Multi-head attention with keys and values on a ``k×k`` grid, and 2-D relative position (UTNet, section 2.2–2.3).

    The low-rank projection is a mean over the cells of the grid, so the cost grows with H·W instead of (H·W)². The
    position term is ``q · (r_Δy + r_Δx)`` with learned vectors for every offset, counted in cells, between the query's
    cell and the key's.

    Args:
        query_channels: channels of the map that asks, and of the result.
        source_channels: channels of the map that keys and values come from.
        heads: number of heads; divides ``query_channels``.
        grid: side k of the grid. Odd image sizes are no problem.
    """

    def __init__(self, query_channels: int, source_channels: int, heads: int = 4, grid: int = 8):
        super().__init__()
        self.heads, self.grid, self.dim = heads, grid, query_channels // heads
        self.q = nn.Conv2d(query_channels, query_channels, 1, bias=False)
        self.kv = nn.Conv2d(source_channels, 2 * query_channels, 1, bias=False)
        self.out = nn.Conv2d(query_channels, query_channels, 1, bias=False)
        self.rows = nn.Parameter(0.02 * torch.randn(2 * grid - 1, self.dim))
        self.columns = nn.Parameter(0.02 * torch.randn(2 * grid - 1, self.dim))

    def offsets(self, length: int) -> Tensor:
        """``(length, k)``: index of the offset from the cell of each of ``length`` pixels to each of the k cells."""
        cells = torch.arange(length) * self.grid // length
        return torch.arange(self.grid)[None] - cells[:, None] + self.grid - 1

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """``x`` ``(N, query_channels, H, W)``, ``source`` ``(N, source_channels, h, w)`` → x's shape."""
        n, channels, height, width = x.shape
        q = self.q(x).reshape(n, self.heads, self.dim, height, width)
        k, v = F.adaptive_avg_pool2d(self.kv(source), self.grid).reshape(n, 2, self.heads, self.dim, -1).unbind(1)
        rows = torch.einsum("nmdyx,ykd->nmyxk", q, self.rows[self.offsets(height)])
        columns = torch.einsum("nmdyx,xkd->nmyxk", q, self.columns[self.offsets(width)])
        position = (rows[..., :, None] + columns[..., None, :]).reshape(n, self.heads, height * width, -1)
        scale = self.dim**-0.5
        out = F.scaled_dot_product_attention(
            q.flatten(3).mT, k.mT, v.mT, attn_mask=(position * scale).to(q.dtype), scale=scale
        )
        return self.out(out.mT.reshape(n, channels, height, width))


class UTNetBlock(nn.Module):
    """UTNet's transformer block (Fig. 1): attention and a 1×1 convolution, both pre-activated and residual.

    Without ``deep_channels`` it is the encoder's (self-attention). With it, the decoder's: the skip asks, keys and
    values come from the feature one level deeper, which is also added, projected and resized.
    """

    def __init__(self, channels: int, deep_channels: int | None = None):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.attend = EfficientAttention(channels, deep_channels or channels)
        if deep_channels:
            self.norm_deep = nn.BatchNorm2d(deep_channels)
            self.project = nn.Conv2d(deep_channels, channels, 1, bias=False)
        self.mix = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 1, bias=False))

    def forward(self, x: Tensor, deep: Tensor | None = None) -> Tensor:
        asks = self.norm(x)
        if deep is None:
            x = x + self.attend(asks, asks)
        else:
            deep = self.norm_deep(deep)
            x = resize(self.project(deep), x.shape[-2:]) + self.attend(asks, deep)
        return x + self.mix(x)


class UTNet(nn.Module):
    """UTNet (Gao et al., "UTNet: a hybrid transformer architecture for medical image segmentation", MICCAI 2021).

    From the paper: efficient attention with relative position after the convolutions of every encoder level and before
    those of every decoder level, but not at the highest resolution. Departs from it: the convolutions of the encoder
    are a timm encoder's, 1×1 convolutions bring its features to the paper's widths, keys and values are averaged over
    cells, plain 1×1 convolutions make queries, keys and values, and the decoder ends at the encoder's first stride.
    The publication's own network has another encoder, so its parameter count is not comparable.

    Args:
        encoder: any timm encoder with features at strides 4 to 32 (and 2, if it has it).
        pretrained: ImageNet weights for the encoder.
        num_classes: channels of the logits.
        width: channels at stride 2 (a multiple of 4), doubled at each level below.
    """

    def __init__(
        self,
        encoder: str = "tf_efficientnet_lite0",
        pretrained: bool = True,
        num_classes: int = 1,
        width: int = 32,
    ):
        super().__init__()
        if width < 4 or width % 4:
            raise InputError(f"width={width}: give a multiple of 4, the number of attention heads")
        self.encoder = Features(encoder, pretrained)
        self.mean, self.std, self.weights_source = self.encoder.mean, self.encoder.std, self.encoder.weights_source
        channels = self.encoder.channels
        w = [width * 2**i for i in range(5)][-len(channels) :]
        has_stride_2 = len(channels) == 5
        self.reduce = nn.ModuleList(ConvNormAct(c, to, 1) for c, to in zip(channels, w, strict=True))
        self.attend = nn.ModuleList(
            nn.Identity() if i == 0 and has_stride_2 else UTNetBlock(c) for i, c in enumerate(w)
        )
        self.merge, self.decode = nn.ModuleList(), nn.ModuleList()
        for i in reversed(range(len(w) - 1)):
            plain = i == 0 and has_stride_2
            self.merge.append(ConvNormAct(w[i + 1], w[i], 1) if plain else UTNetBlock(w[i], w[i + 1]))
            self.decode.append(DoubleConv(2 * w[i], w[i]))
        self.head = nn.Conv2d(w[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        levels = [
            attend(reduce(level))
            for level, reduce, attend in zip(self.encoder(x), self.reduce, self.attend, strict=True)
        ]
        *skips, d = levels
        for skip, merge, decode in zip(reversed(skips), self.merge, self.decode, strict=True):
            up = merge(skip, d) if isinstance(merge, UTNetBlock) else resize(merge(d), skip.shape[-2:])
            d = decode(torch.cat([up, skip], 1))
        return resize(self.head(d), x.shape[-2:])


class Tokens(nn.Module):
    """A ViT on a map: ``(N, C, H, W)`` → ``(N, width, H, W)``; positions learned on 14×14 are resized to H×W."""

    def __init__(self, project: nn.Module, position: Tensor, blocks: nn.Module, norm: nn.Module):
        super().__init__()
        side = round(position.shape[1] ** 0.5)
        self.project, self.blocks, self.norm = project, blocks, norm
        self.position = nn.Parameter(position.detach().mT.reshape(1, -1, side, side).clone())

    def forward(self, x: Tensor) -> Tensor:
        x = self.project(x)
        x = x + resize(self.position, x.shape[-2:])
        tokens = self.norm(self.blocks(x.flatten(2).mT))
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


class TransUNet(nn.Module):
    """TransUNet (Chen et al., "TransUNet: transformers make strong encoders for medical image segmentation", 2021).

    From the paper (Fig. 1): CNN features, a ViT on those of stride 16, and the cascaded upsampler (512, then 256, 128,
    64, 16 channels, each twofold bilinear, concatenation, two convolutions) with skips at strides 8, 4, 2. With an
    encoder of timm's family R50+ViT-B/16 this is the paper's network, about 105 million parameters; its weights are of
    ImageNet-21k. With any other timm encoder the ViT is a small one with random weights: thin, and not comparable.

    Args:
        encoder: ``"vit_base_r50_s16_224"`` or ``"…_384"`` for the paper's; or any timm encoder with strides 4 to 16.
        pretrained: weights for the encoder (and, in the paper's network, its ViT).
        num_classes: channels of the logits.
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
        super().__init__()
        if depth < 1 or width < 64 or width % 64:
            raise InputError(f"depth={depth}, width={width}: give at least one block and a multiple of 64 channels")
        if "_r50_s16_" in encoder and timm.is_model(encoder):
            self.encoder = HybridEncoder(encoder, pretrained)
            self.transformer, width = nn.Identity(), self.encoder.channels[-1]
        else:
            self.encoder = Features(encoder, pretrained, deepest=16)
            project = nn.Conv2d(self.encoder.channels[-1], width, 1)
            blocks = nn.Sequential(*(Block(width, width // 64, qkv_bias=True) for _ in range(depth)))
            position = 0.02 * torch.randn(1, 14 * 14, width)
            self.transformer = Tokens(project, position, blocks, nn.LayerNorm(width, eps=1e-6))
        self.mean, self.std, self.weights_source = self.encoder.mean, self.encoder.std, self.encoder.weights_source
        skips = [*reversed(self.encoder.channels[:-1]), 0, 0][:4]  # no skip at stride 1, nor at 2 if there is none
        self.first = ConvNormAct(width, 512, 3)
        widths = (512, 256, 128, 64, 16)
        self.decode = nn.ModuleList(DoubleConv(widths[i] + skips[i], widths[i + 1]) for i in range(4))
        self.head = nn.Conv2d(16, num_classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        *skips, d = self.encoder(x)
        d = self.first(self.transformer(d))
        for i, decode in enumerate(self.decode):
            shape = [-(-s // (8 >> i)) for s in size]  # the sides at strides 8, 4, 2, 1, rounded up as encoders do
            d = resize(d, shape)
            if i < len(skips):
                d = torch.cat([d, resize(skips[-1 - i], shape)], 1)
            d = decode(d)
        return self.head(d)
