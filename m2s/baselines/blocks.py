"""What several baselines share: the U-shaped skeleton, blocks of convolutions, wrappers of other packages."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from m2s.encoders import Encoder, Features, FromScratch
from m2s.errors import InputError
from m2s.lgmsnet import LMS
from m2s.lgmsnet import ConvNormAct as ConvNormSiLU
from m2s.units import ConvBNReLU, check_size, resize
from m2s.weights import create_timm


def foreground(logits: Tensor) -> Tensor:
    """Probability ``(N, 1, h, w)`` of any foreground class, from logits ``(N, num_classes, h, w)``.

    The attentions of PraNet, ACSNet, Inf-Net and BCS-Net are made of one foreground map. With several one-vs-rest maps
    (the background first) we take the largest probability after the background's; the papers have one class only.
    """
    return logits.sigmoid()[:, min(1, logits.shape[1] - 1) :].amax(1, keepdim=True)


class Baseline(nn.Module):
    """What the networks here share: ``(N, 3, H, W)`` → logits ``(N, num_classes, H, W)``, both sides from 32 pixels up.

    A subclass gives ``decode(levels)``: from E¹ … E⁵ (:class:`m2s.network.Encoder`) to logits of any size, the final
    ones first. All are resized to the image (bilinear, as everywhere here). In evaluation the first is returned; in
    training mode a list of all, where there are several (deep supervision).
    """

    def __init__(self, encoder: str, pretrained: bool):
        super().__init__()
        self.encoder = Encoder(encoder, pretrained)
        self.mean, self.std, self.weights_source = self.encoder.mean, self.encoder.std, self.encoder.weights_source

    def decode(self, levels: Sequence[Tensor]) -> list[Tensor]:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        check_size(x)
        size = x.shape[-2:]
        outputs = self.decode(self.encoder(x))
        if self.training and len(outputs) > 1:
            return [resize(logits, size) for logits in outputs]
        return resize(outputs[0], size)


class ConvBN(nn.Sequential):
    """Convolution without bias, then BatchNorm, and no ReLU; height and width stay."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int | tuple[int, int] = 3, dilation: int = 1):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, padding="same", dilation=dilation, bias=False),
            nn.BatchNorm2d(out_channels),
        )


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


class DeepLabV3(nn.Module):
    """A timm encoder under DeepLabV3's head (Chen et al., "Rethinking atrous convolution", 2017), at stride 32.

    Atrous spatial pyramid pooling and a 3×3 convolution, as in torchvision, on the deepest feature; the logits are
    resized to the image's size. Departs from that paper in that the encoder is not dilated.

    Args:
        encoder: any timm encoder with features at strides 4 to 32.
        pretrained: ImageNet weights for the encoder.
        num_classes: channels of the logits.
    """

    def __init__(self, encoder: str, pretrained: bool = True, num_classes: int = 1):
        super().__init__()
        self.encoder = Features(encoder, pretrained)
        self.mean, self.std, self.weights_source = self.encoder.mean, self.encoder.std, self.encoder.weights_source
        self.head = DeepLabHead(self.encoder.channels[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return resize(self.head(self.encoder(x)[-1]), x.shape[-2:])


class DoubleConv(nn.Sequential):
    """Twice (3×3 convolution, BatchNorm, ReLU): ``(N, in, H, W)`` → ``(N, out, H, W)``, the block of U-Net."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(ConvNormAct(in_channels, out_channels, 3), ConvNormAct(out_channels, out_channels, 3))


def from_smp(kind: type[nn.Module], encoder: str, pretrained: bool, num_classes: int) -> nn.Module:
    """A network of segmentation-models-pytorch with the encoder's weights from :func:`m2s.weights.create_timm`."""
    features, source = create_timm(encoder, pretrained, features_only=True)
    model = kind(f"tu-{encoder}", encoder_weights=None, classes=num_classes)
    model.encoder.model.load_state_dict(features.state_dict())
    model.mean, model.std = tuple(features.pretrained_cfg["mean"]), tuple(features.pretrained_cfg["std"])
    model.weights_source = source
    return model


class UShape(FromScratch):
    """What the U-shaped networks here share: ``(N, 3, H, W)`` → logits ``(N, num_classes, H, W)``.

    A network fills ``encode`` (one module per level, with 2×2 max-pooling between them), ``up`` and ``decode`` (from
    the deepest skip to the shallowest; ``decode`` gets skip and upsampled feature, concatenated in that order), and
    ``head``.
    """

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        skips = []
        for encode in self.encode[:-1]:
            skips.append(encode(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.encode[-1](x)
        for skip, up, decode in zip(reversed(skips), self.up, self.decode, strict=True):
            x = decode(torch.cat([skip, resize(up(x), skip.shape[-2:])], 1))  # resized where a side was odd
        return self.head(x)


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Twice (3×3 convolution with bias, BatchNorm, ReLU)."""
    return nn.Sequential(ConvBNReLU(in_channels, out_channels), ConvBNReLU(out_channels, out_channels))


def lms_stage(in_channels: int, out_channels: int) -> nn.Sequential:
    """A stage of LGMSNet's encoder in place of another network's: LMS, then a 1×1 convolution to the new width."""
    return nn.Sequential(LMS(in_channels), ConvNormSiLU(in_channels, out_channels, 1))


class PlainUNet(FromScratch):
    """U-Net with a given block in place of its double convolutions, and room for something on its skips.

    Args:
        block: makes a module ``(N, in, H, W)`` → ``(N, out, H, W)`` from ``(in, out)``.
        widths: channels at strides 1, 2, 4, …
        num_classes: channels of the logits.
    """

    def __init__(self, block: Callable[[int, int], nn.Module], widths: list[int], num_classes: int):
        super().__init__()
        pairs = list(pairwise(widths))
        self.contract = nn.ModuleList([block(3, widths[0]), *(block(a, b) for a, b in pairs)])
        self.skips = nn.ModuleList(nn.Identity() for _ in pairs)
        self.expand = nn.ModuleList(block(a + b, a) for a, b in pairs)
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        features = [self.contract[0](x)]
        for contract in self.contract[1:]:
            features.append(contract(F.max_pool2d(features[-1], 2)))
        *features, d = features
        for feature, skip, expand in reversed(list(zip(features, self.skips, self.expand, strict=True))):
            d = expand(torch.cat([skip(feature), resize(d, feature.shape[-2:])], 1))
        return self.head(d)
