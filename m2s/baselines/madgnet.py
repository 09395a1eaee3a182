"""MADGNet."""

import math

import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct
from torch import Tensor, nn

from m2s.baselines.blocks import concatenate, expand
from m2s.encoders import Features, Network
from m2s.errors import InputError
from m2s.losses import Outputs
from m2s.units import ConvBNReLU, resize

FREQUENCIES = (
    *((0, 0), (0, 1), (6, 0), (0, 5), (0, 2), (1, 0), (1, 2), (4, 0)),
    *((5, 0), (1, 6), (3, 0), (0, 4), (0, 6), (0, 3), (3, 5), (2, 2)),
)
"""The sixteen frequencies of a 7×7 cosine transform that FcaNet (Qin et al., ICCV 2021) found to be best."""


def cosine_maps(size: int) -> Tensor:
    """The basis images ``(16, size, size)`` of a 2-D cosine transform at :data:`FREQUENCIES`; size a multiple of 7."""
    frequency = torch.tensor(FREQUENCIES) * (size // 7)  # (16, 2)
    angle = math.pi * frequency[..., None] * (torch.arange(size) + 0.5) / size  # (16, 2, size)
    waves = angle.cos() * torch.where(frequency > 0, 2**0.5, 1.0)[..., None] / size**0.5
    return waves[:, 0, :, None] * waves[:, 1, None]


class FrequencyAttention(nn.Module):
    """Multi-frequency channel attention: ``(N, C, H, W)`` → same shape, each channel weighted.

    The map at ``size²`` pixels is multiplied by each of sixteen cosine maps; mean, maximum and minimum of the products,
    averaged over the frequencies, pass one bottleneck whose three answers are summed.
    """

    maps: Tensor

    def __init__(self, channels: int, size: int):
        super().__init__()
        self.register_buffer("maps", cosine_maps(size), persistent=False)
        hidden = channels // 16
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, channels, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        pixels = F.adaptive_avg_pool2d(x, self.maps.shape[-1]).flatten(2)  # (N, C, H, W) → (N, C, size²)
        waves = self.maps.flatten(1)  # (16, size²)
        mean = pixels @ waves.T / pixels.shape[-1]  # (N, C, 16)
        # Of each product only the largest and the smallest pixel matter: autograd need not keep the other ones.
        with torch.no_grad():
            products = (pixels * wave for wave in waves)
            at = torch.stack([find(y, -1) for y in products for find in (torch.argmax, torch.argmin)], -1)
        each = torch.arange(len(waves), device=x.device).repeat_interleave(2)
        extremes = pixels.gather(2, at) * waves[each, at]  # (N, C, 16·2)
        statistics = torch.cat([mean[..., None], extremes.unflatten(2, (-1, 2))], -1)  # (N, C, 16, 3)
        weights = self.mlp(statistics.mean(2).movedim(-1, 0)).sum(0).sigmoid()  # (3, N, C) → (N, C)
        return x * weights[..., None, None]


class Scale(nn.Module):
    """One scale of :class:`MultiFrequencyMultiScale`: ``(N, C, H, W)`` → same shape.

    Args:
        channels: C, a multiple of ``groups``.
        inner: channels between its convolutions, a multiple of 16.
        scale: 0, 1, 2: seen at 1/2^scale of the resolution where 8 pixels are left, with dilation ``scale`` + 1.
        size: side of the cosine maps.
    """

    def __init__(self, channels: int, inner: int, groups: int, scale: int, size: int):
        super().__init__()
        self.factor = 2**scale
        self.reduce = nn.Sequential(
            ConvNormAct(channels, channels, 3, dilation=scale + 1, groups=groups),
            ConvNormAct(channels, inner, 1),
            FrequencyAttention(inner, size),
        )
        self.foreground = nn.Conv2d(inner, 1, 1, bias=False)
        self.parts = nn.Parameter(torch.ones(2))  # the weights of background and foreground
        self.expand = ConvNormAct(inner, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        if min(size) >= 8 * self.factor:
            x = F.avg_pool2d(x, self.factor)  # (N, C, H, W) → (N, C, H/factor, W/factor)
        x = self.reduce(x)  # (N, inner, …)
        m, (background, foreground) = self.foreground(x).sigmoid(), self.parts
        return resize(self.expand(x * (1 - m) * background + x * m * foreground), size)


class MultiFrequencyMultiScale(nn.Module):
    """MADGNet's MFMSA block: the mean of three :class:`Scale`, plus the input; ``(N, C, H, W)`` → same shape."""

    def __init__(self, channels: int, smallest: int, groups: int, size: int):
        super().__init__()
        self.scales = nn.ModuleList(Scale(channels, max(channels >> s, smallest), groups, s, size) for s in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + sum(scale(x) for scale in self.scales) / len(self.scales)


class Heads(nn.Module):
    """MADGNet's E-SDM: logits of the mask, its distance map and its boundary, each helping the one before.

    ``(N, C, h, w)`` → logits of each, ``(N, num_classes, *size)``. In a cascade at the feature's resolution the mask
    weights the distance and that the boundary; at the image's, the boundary is added to the distance and that to the
    mask.
    """

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.mask, self.distance, self.boundary = (nn.Conv2d(channels, num_classes, 1) for _ in range(3))

    def forward(self, x: Tensor, size: torch.Size) -> tuple[Tensor, Tensor, Tensor]:
        mask = self.mask(x)
        distance = self.distance(x) * mask.sigmoid()
        boundary = self.boundary(x) * distance.sigmoid()
        mask, distance, boundary = (resize(y, size) for y in (mask, distance, boundary))
        distance = distance + boundary.sigmoid()
        return mask + distance.sigmoid(), distance, boundary


class MADGNet(Network):
    """MADGNet (Nam et al., "Modality-agnostic domain generalizable medical image segmentation by multi-frequency in
    multi-scale attention", CVPR 2024).

    From the paper: multi-frequency in multi-scale attention in every level of the decoder, and the ensemble
    sub-decoding of mask, distance map and boundary on each. From the released code: widths, frequencies, sizes.
    31,555,684 parameters with one class on ResNet-50, the 31.56 M of LGMSNet's Table 1; the paper has ResNeSt-50
    (33,481,892).

    In training mode the logits of all levels are returned, the shallowest first, which is that of evaluation. In
    LGMSNet's comparison distance map and boundary have no loss of their own and learn through the mask; with
    ``auxiliary=True`` they are outputs too (:data:`m2s.losses.AUXILIARY`), as in its own paper.

    Args:
        encoder: any timm encoder with features at strides 4 to 32 (and 2, if it has it).
        pretrained: ImageNet weights for the encoder.
        num_classes: channels of the logits.
        width: channels of the decoder at stride 2, a multiple of 8; doubled at each level below.
        auxiliary: train distance map and boundary too.
    """

    def __init__(
        self,
        encoder: str = "resnet50",
        pretrained: bool = True,
        num_classes: int = 1,
        width: int = 32,
        auxiliary: bool = False,
    ):
        if width < 8 or width % 8:
            raise InputError(f"width={width}: give a multiple of 8")
        super().__init__(Features(encoder, pretrained))
        self.auxiliary = auxiliary
        *skips, deep = self.encoder.channels
        self.skip, self.decode, self.heads = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level, channels in enumerate(reversed(skips)):
            w, side = 8 * width >> level, 14 << level  # 256, 128, 64, 32 channels; cosine maps of 14 to 112 pixels
            self.skip.append(nn.Sequential(nn.Conv2d(channels, 2 * width, 1), nn.BatchNorm2d(2 * width), nn.ReLU()))
            attend = MultiFrequencyMultiScale(w, 2 * width, width, side)
            self.decode.append(nn.Sequential(ConvBNReLU(deep + 2 * width, w), attend, ConvBNReLU(w, w)))
            self.heads.append(Heads(w, num_classes))
            deep = w

    def forward(self, x: Tensor) -> Outputs:
        levels: list[Tensor] = []

        def step(level: int, skip: Tensor, deep: Tensor) -> Tensor:
            levels.append(self.decode[level](concatenate(self.skip[level](skip), deep)))
            return levels[-1]  # (N, 8·width/2^level, H/2^(4 − level), W/2^(4 − level))

        expand(self.encoder(x), step)
        if not self.training:
            return self.heads[-1](levels[-1], x.shape[2:])[0]
        outputs = [heads(feature, x.shape[2:]) for heads, feature in zip(self.heads, levels, strict=True)]
        masks, distances, edges = (
            list(maps) for maps in zip(*outputs[::-1], strict=True)
        )  # (N, num_classes, H, W) each
        return {"maps": masks, "distance": distances, "edge": edges} if self.auxiliary else masks
