"""What several baselines share: the skeleton of the U-shaped ones, blocks of convolutions, bases of networks."""

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from m2s.encoders import Encoder, Features, Network
from m2s.losses import Outputs
from m2s.units import check_size, resize
from m2s.weights import create_timm


def contract(x: Tensor, stages: Iterable[nn.Module]) -> list[Tensor]:
    """The contracting path of a U: ``(N, C, H, W)`` → what each stage gives, with 2×2 max-pooling between them."""
    features = []
    for stage in stages:
        features.append(stage(F.max_pool2d(features[-1], 2) if features else x))  # (N, C_i, H/2^i, W/2^i)
    return features


def expand(features: Sequence[Tensor], step: Callable[[int, Tensor, Tensor], Tensor]) -> Tensor:
    """The expanding path of every U-shaped network here, from the deepest feature to the shallowest skip.

    ``features`` come shallow to deep; all but the last are skips. ``step`` takes the level (0 at the deepest skip), the
    skip ``(N, C, H, W)`` and what comes from below ``(N, C', h, w)``, and gives a feature of the skip's size.
    """
    *skips, deep = features
    for level, skip in enumerate(reversed(skips)):
        deep = step(level, skip, deep)
    return deep


def concatenate(skip: Tensor, deep: Tensor) -> Tensor:
    """``(N, C, H, W)`` and ``(N, C', h, w)``, resized to it → ``(N, C + C', H, W)``."""
    return torch.cat([skip, resize(deep, skip.shape[2:])], 1)


def resize_corners(x: Tensor, size: Sequence[int]) -> Tensor:
    """``(N, C, h, w)`` → ``(N, C, H, W)``, bilinear with aligned corners, for networks whose authors have it so."""
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=True)


class UShape(Network):
    """The plain U: a network fills ``encode`` (one a level), ``up``, ``decode`` (deepest skip first) and ``head``."""

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        return self.head(expand(contract(x, self.encode), self.step))

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        return self.decode[level](concatenate(skip, self.up[level](deep)))


class DoubleConv(nn.Sequential):
    """Twice (3×3 convolution, BatchNorm, ReLU): ``(N, in, H, W)`` → ``(N, out, H, W)``, the block of U-Net."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(ConvNormAct(in_channels, out_channels, 3), ConvNormAct(out_channels, out_channels, 3))


class ConvBN(nn.Sequential):
    """Convolution without bias, then BatchNorm, and no ReLU: ``(N, in, H, W)`` → ``(N, out, H, W)``."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int | tuple[int, int] = 3, dilation: int = 1):
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = [dilation * (side // 2) for side in sides]  # "same", in numbers: ONNX Runtime dilates no "same"
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False),
            nn.BatchNorm2d(out_channels),
        )


def foreground(logits: Tensor) -> Tensor:
    """Probability ``(N, 1, h, w)`` of any foreground class, from logits ``(N, num_classes, h, w)``.

    The attentions of PraNet, ACSNet, Inf-Net and BCS-Net are made of one foreground map. With several one-vs-rest maps
    (the background first) we take the largest probability after the background's; the papers have one class only.
    """
    return logits.sigmoid()[:, min(1, logits.shape[1] - 1) :].amax(1, keepdim=True)


class Baseline(Network):
    """A decoder on E¹ … E⁵ (:class:`m2s.encoders.Encoder`): ``(N, 3, H, W)`` → logits ``(N, num_classes, H, W)``.

    A subclass gives ``decode(levels)``: lists of logits of any size, which are resized to the image; "maps", the final
    ones first, and by name what else is supervised, such as "edge" (:data:`m2s.losses.AUXILIARY`). In evaluation the
    first map is returned. In training mode it is a list of all maps, where there are several (deep supervision), or
    with auxiliary outputs a dictionary of such lists.
    """

    def __init__(self, encoder: str, pretrained: bool):
        super().__init__(Encoder(encoder, pretrained))

    def decode(self, levels: Sequence[Tensor]) -> dict[str, list[Tensor]]:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Outputs:
        check_size(x)
        size = x.shape[-2:]
        outputs = self.decode(self.encoder(x))  # logits (N, num_classes or 1, h, w)
        if not self.training:
            return resize(outputs["maps"][0], size)  # (N, num_classes, H, W)
        outputs = {name: [resize(logits, size) for logits in maps] for name, maps in outputs.items()}
        if len(outputs) > 1:
            return outputs
        return outputs["maps"] if len(outputs["maps"]) > 1 else outputs["maps"][0]


class DeepLabV3(Network):
    """A timm encoder under DeepLabV3's head (Chen et al., "Rethinking atrous convolution", 2017), at stride 32.

    Atrous spatial pyramid pooling and a 3×3 convolution, as in torchvision, on the deepest feature; the logits are
    resized to the image's size. Departs from that paper in that the encoder is not dilated.
    """

    def __init__(self, encoder: str, pretrained: bool = True, num_classes: int = 1):
        super().__init__(Features(encoder, pretrained))
        self.head = DeepLabHead(self.encoder.channels[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.head(self.encoder(x)[-1])  # (N, C, H/32, W/32) → (N, num_classes, H/32, W/32)
        return resize(logits, x.shape[-2:])


def from_smp(kind: type[nn.Module], encoder: str, pretrained: bool, num_classes: int) -> nn.Module:
    """A network of segmentation-models-pytorch with the encoder's weights from :func:`m2s.weights.create_timm`."""
    features, source = create_timm(encoder, pretrained, features_only=True)
    model = kind(f"tu-{encoder}", encoder_weights=None, classes=num_classes)
    model.encoder.model.load_state_dict(features.state_dict())
    model.mean, model.std = tuple(features.pretrained_cfg["mean"]), tuple(features.pretrained_cfg["std"])
    model.weights_source = source
    return model
