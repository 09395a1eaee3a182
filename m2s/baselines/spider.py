"""Spider."""

import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct
from torch import Tensor, nn

from m2s.baselines.support import InContext
from m2s.encoders import Features
from m2s.units import resize

WIDTH, HEADS = 64, 4
"""Channels of the decoder and of a filter, and heads of its attention."""


def make_conv(in_channels: int, out_channels: int, kernel: int = 3, dilation: int = 1) -> nn.Module:
    """Convolution with bias, BatchNorm, ReLU: ``(N, in, H, W)`` → ``(N, out, H, W)``."""
    return ConvNormAct(in_channels, out_channels, kernel, dilation=dilation, bias=True)


class Context(nn.Module):
    """Atrous pyramid: ``(N, in, H, W)`` → ``(N, 64, H, W)``, of dilations 2, 4, 6, one pixel, and the whole map."""

    def __init__(self, in_channels: int):
        super().__init__()
        half = WIDTH // 2
        self.reduce = make_conv(in_channels, WIDTH)
        self.branches = nn.ModuleList([make_conv(WIDTH, half, 1), *(make_conv(WIDTH, half, 3, d) for d in (2, 4, 6))])
        self.whole, self.merge = make_conv(WIDTH, half, 1), make_conv(5 * half, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        whole = self.whole(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        return self.merge(torch.cat([*(branch(x) for branch in self.branches), whole], 1))


class ConceptFilter(nn.Module):
    """From features ``(G, S, C, h, w)`` and masks ``(G, S, 1, h, w)`` of examples to filters ``(G, 2, 64)``.

    Their means in the object and around it look, by one layer of cross-attention, at every pixel of the examples.
    """

    def __init__(self, in_channels: int):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(in_channels, WIDTH), nn.LayerNorm(WIDTH))
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))
        self.project = nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))

    def forward(self, features: Tensor, masks: Tensor) -> Tensor:
        memory = self.embed(features.permute(0, 1, 3, 4, 2).flatten(1, 3))  # (G, S·h·w, 64)
        inside = masks.permute(0, 1, 3, 4, 2).flatten(1, 3)  # (G, S·h·w, 1)
        means = [(memory * part).sum(1) / (1 + part.sum(1)) for part in (inside, 1 - inside)]
        query = torch.stack(means, 1)  # (G, 2, 64)
        heads = (
            layer(x).unflatten(2, (HEADS, -1)).transpose(1, 2)  # (G, heads, pixels or 2, 64/heads)
            for layer, x in ((self.query, query), (self.key, memory), (self.value, memory))
        )
        seen = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        query = self.norms[0](query + self.project(seen))
        return self.norms[1](query + self.feed(query))


class Spider(InContext):
    """Spider (Zhao et al., "Spider: a unified framework for context-dependent concept segmentation", ICML 2024).

    Examples of a task become a filter: the foreground's vector is a 1×1 kernel on the decoder's feature, the mean of
    the background's its bias. On ConvNeXtV2-B 89,032,608 parameters are trained; 87,690,752 more, the encoder that sees
    the examples, keep their first weights. At 1/4 of the image's size, then resized.

    Departs: here every training image has ``drawn`` examples of its own, where the publication makes one filter for
    the quarter of a step's images from the other three quarters; and the examples of a trained network are drawn at
    random, where it takes 64 of each task by k-means.

    Args:
        support: examples of each task in the trained network; the paper has 64.
        drawn: of each image in training.
    """

    def __init__(
        self, encoder: str = "convnextv2_base", pretrained: bool = True, num_classes: int = 1, support: int = 64,
        drawn: int = 3,
    ):  # fmt: skip
        super().__init__(Features(encoder, pretrained), num_classes, support, drawn)
        self.prompter = Features(encoder, pretrained).requires_grad_(False).eval()
        *shallow, deep = self.encoder.channels[-4:]
        self.context = Context(deep)
        self.reduce = nn.ModuleList(make_conv(channels, WIDTH) for channels in reversed(shallow))
        self.decode = nn.ModuleList([make_conv(WIDTH, WIDTH), make_conv(WIDTH, WIDTH), nn.Identity()])
        self.filter = ConceptFilter(deep)

    def train(self, mode: bool = True) -> "Spider":
        super().train(mode)
        self.prompter.eval()  # its statistics stay as well
        return self

    def make_filters(self, images: Tensor, masks: Tensor) -> Tensor:
        """A task's filters ``(G, 2, 64)`` from its examples, as for ``segment``."""
        with torch.no_grad():
            features = self.prompter(images.flatten(0, 1))[-1].unflatten(0, images.shape[:2])  # (G, S, C, H/32, W/32)
        return self.filter(features, resize(masks.flatten(0, 1), features.shape[-2:]).unflatten(0, masks.shape[:2]))

    def segment(self, x: Tensor, images: Tensor, masks: Tensor) -> Tensor:
        *shallow, deep = self.encoder(x)[-4:]  # strides 4, 8, 16, 32
        y = self.context(deep)
        for skip, reduce, decode in zip(reversed(shallow), self.reduce, self.decode, strict=True):
            y = decode(resize(y, skip.shape[2:]) + reduce(skip))  # (N, 64, H/4, W/4) at last
        foreground, background = self.make_filters(images, masks).expand(len(x), -1, -1).unbind(1)
        logits = torch.einsum("nchw,nc->nhw", y, foreground) + background.mean(1)[:, None, None]
        return resize(logits[:, None], x.shape[2:])
