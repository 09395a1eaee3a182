"""Baselines with convolutions only: U-Net, U-Net++, Attention U-Net, ResUNet++; and the parts that baselines share.

Every network maps normalised RGB ``(N, 3, H, W)``, 32 pixels and more on a side, to logits ``(N, num_classes, H, W)``.
"""

import segmentation_models_pytorch as smp
import timm
import torch
import torch.nn.functional as F
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers import ConvNormAct, SEModule
from torch import Tensor, nn

from m2s.errors import InputError, unknown
from m2s.units import check_size, resize
from m2s.weights import create_timm


class Features(nn.Module):
    """The features of a timm encoder from its first stride (2, or 4 as in ConvNeXt) to ``deepest``, shallow to deep.

    ``channels`` has one entry per feature. Stages that are deeper than ``deepest`` are left out of the network.

    Raises:
        InputError: the encoder is unknown, has no weights, lacks one of the strides 4 … ``deepest``, or the image is
            smaller than 32 pixels.
    """

    def __init__(self, name: str, pretrained: bool = True, deepest: int = 32):
        super().__init__()
        if not timm.is_model(name):
            raise unknown("encoder", name, timm.list_models())
        with torch.device("meta"):
            have = timm.create_model(name, features_only=True).feature_info.reduction()
        strides = [stride for stride in (4, 8, 16, 32) if stride <= deepest]
        if not set(strides) <= set(have):
            raise InputError(f"encoder {name} gives strides {sorted(set(have))}; needed are {strides}")
        taps = tuple({stride: i for i, stride in enumerate(have) if stride in (2, *strides)}.values())
        body, self.weights_source = create_timm(name, pretrained, features_only=True, out_indices=taps)
        if hasattr(body, "blocks"):  # timm cuts off what lies below the last tap, but not in the EfficientNet family
            body.blocks = body.blocks[: body.feature_info[taps[-1]]["stage"]]
        self.body, self.channels = body, body.feature_info.channels()
        self.mean, self.std = tuple(body.pretrained_cfg["mean"]), tuple(body.pretrained_cfg["std"])

    def forward(self, x: Tensor) -> list[Tensor]:
        check_size(x)
        return list(self.body(x))


class FromScratch(nn.Module):
    """Base of networks whose contracting path is their own: there is no ImageNet encoder to load.

    ``encoder`` is empty, so that training gives the full learning rate to every layer instead of the smaller one that
    protects pretrained weights.
    """

    def __init__(self):
        super().__init__()
        self.encoder = nn.Module()
        self.mean, self.std = IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
        self.weights_source = "random (this network has no pretrained encoder)"


class DoubleConv(nn.Sequential):
    """Twice (3×3 convolution, BatchNorm, ReLU): ``(N, in, H, W)`` → ``(N, out, H, W)``, the block of U-Net."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(ConvNormAct(in_channels, out_channels, 3), ConvNormAct(out_channels, out_channels, 3))


class SMPUnet(smp.Unet):
    """:func:`unet`'s network. Its decoder resizes to each skip, so that any size will do."""

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        return super().forward(x)


class SMPUnetPlusPlus(smp.UnetPlusPlus):
    """:func:`unetpp`'s network. Its nodes need multiples of 32: the image is padded, and the logits cropped."""

    requires_divisible_input_shape = False

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        height, width = x.shape[-2:]
        return super().forward(F.pad(x, (0, -width % 32, 0, -height % 32)))[..., :height, :width]


def from_smp(kind: type[nn.Module], encoder: str, pretrained: bool, num_classes: int) -> nn.Module:
    """A network of segmentation-models-pytorch with the encoder's weights from :func:`m2s.weights.create_timm`."""
    features, source = create_timm(encoder, pretrained, features_only=True)
    model = kind(f"tu-{encoder}", encoder_weights=None, classes=num_classes)
    model.encoder.model.load_state_dict(features.state_dict())
    model.mean, model.std = tuple(features.pretrained_cfg["mean"]), tuple(features.pretrained_cfg["std"])
    model.weights_source = source
    return model


def unet(encoder: str = "tf_efficientnet_lite0", pretrained: bool = True, num_classes: int = 1) -> nn.Module:
    """U-Net (Ronneberger et al., 2015) with a timm encoder and the decoder of segmentation-models-pytorch."""
    return from_smp(SMPUnet, encoder, pretrained, num_classes)


def unetpp(encoder: str = "tf_efficientnet_lite0", pretrained: bool = True, num_classes: int = 1) -> nn.Module:
    """U-Net++ (Zhou et al., "UNet++: a nested U-Net architecture for medical image segmentation", DLMIA 2018).

    A timm encoder with the nested, densely connected decoder of segmentation-models-pytorch. Departs from the paper in
    the encoder and in having no deep supervision: only the last node gives an output.
    """
    return from_smp(SMPUnetPlusPlus, encoder, pretrained, num_classes)


class AttentionGate(nn.Module):
    """Additive grid attention (Oktay et al., 2018, Eq. 1–2 and Fig. 2).

    ``α = σ(ψ(ReLU(W_x x + W_g g)))`` for a skip ``x`` ``(N, C_x, H, W)`` and a coarser gating signal ``g``
    ``(N, C_g, h, w)``; α is found at half the resolution of x, brought up to it, and scales x. Returns x's shape.
    """

    def __init__(self, skip_channels: int, gate_channels: int):
        super().__init__()
        inner = max(skip_channels // 2, 1)
        self.w_x = nn.Conv2d(skip_channels, inner, 2, stride=2, bias=False)
        self.w_g = nn.Conv2d(gate_channels, inner, 1)
        self.psi = nn.Conv2d(inner, 1, 1)
        self.out = ConvNormAct(skip_channels, skip_channels, 1, apply_act=False)

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        keys = self.w_x(x)
        alpha = self.psi(F.relu(keys + resize(self.w_g(g), keys.shape[-2:]))).sigmoid()
        return self.out(x * resize(alpha, x.shape[-2:]))


class AttentionUNet(nn.Module):
    """Attention U-Net (Oktay et al., "Attention U-Net: learning where to look for the pancreas", MIDL 2018).

    From the paper: the gates on every skip, each steered by the decoder feature one level below. Departs from it: two
    dimensions instead of three, a timm encoder, no deep supervision, and the decoder ends at the encoder's first
    stride, from where the logits are resized. The paper's parameter count is of the 3-D network and not comparable.

    Args:
        encoder: any timm encoder with features at strides 4 to 32 (and 2, if it has it).
        pretrained: ImageNet weights for the encoder.
        num_classes: channels of the logits.
        widths: channels of the decoder from stride 16 up; an encoder without stride 2 leaves the last one out.
    """

    def __init__(
        self,
        encoder: str = "tf_efficientnet_lite0",
        pretrained: bool = True,
        num_classes: int = 1,
        widths: tuple[int, ...] = (256, 128, 64, 32),
    ):
        super().__init__()
        self.encoder = Features(encoder, pretrained)
        self.mean, self.std, self.weights_source = self.encoder.mean, self.encoder.std, self.encoder.weights_source
        *skips, below = self.encoder.channels
        if len(widths) < len(skips):
            raise InputError(f"widths={tuple(widths)}: give one width for each of the {len(skips)} decoder levels")
        self.gates, self.decode = nn.ModuleList(), nn.ModuleList()
        for skip, width in zip(reversed(skips), widths, strict=False):
            self.gates.append(AttentionGate(skip, below))
            self.decode.append(DoubleConv(below + skip, width))
            below = width
        self.head = nn.Conv2d(below, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        *skips, d = self.encoder(x)
        for skip, gate, decode in zip(reversed(skips), self.gates, self.decode, strict=True):
            d = decode(torch.cat([gate(skip, d), resize(d, skip.shape[-2:])], 1))
        return resize(self.head(d), x.shape[-2:])


def bn_relu_conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """BatchNorm, ReLU, 3×3 convolution: the order of a pre-activated residual unit."""
    conv = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU(), conv)


class ResidualUnit(nn.Module):
    """Two of :func:`bn_relu_conv` around a projected shortcut; ``stem=True`` begins with the bare convolution."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, stem: bool = False):
        super().__init__()
        first = bn_relu_conv(in_channels, out_channels, stride)
        self.body = nn.Sequential(first[-1] if stem else first, bn_relu_conv(out_channels, out_channels))
        self.shortcut = ConvNormAct(in_channels, out_channels, 1, stride=stride, apply_act=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class ASPP(nn.Module):
    """The sum of 3×3 convolutions at dilations 1, 6, 12, 18, then a 1×1 convolution (the bridge of ResUNet++)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.branches = nn.ModuleList(
            ConvNormAct(in_channels, out_channels, 3, dilation=d, apply_act=False) for d in (1, 6, 12, 18)
        )
        self.out = nn.Conv2d(out_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(sum(branch(x) for branch in self.branches))


class SkipAttention(nn.Module):
    """ResUNet++'s attention: weights for a deep feature from itself and from the pooled skip above it.

    ``deep`` ``(N, C, h, w)`` and ``skip`` ``(N, C_s, 2h, 2w)`` → ``deep · conv(conv(deep) + pool(conv(skip)))``.
    """

    def __init__(self, skip_channels: int, channels: int):
        super().__init__()
        self.skip = bn_relu_conv(skip_channels, channels)
        self.deep = bn_relu_conv(channels, channels)
        self.out = bn_relu_conv(channels, channels)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        pooled = F.adaptive_max_pool2d(self.skip(skip), deep.shape[-2:])
        return deep * self.out(self.deep(deep) + pooled)


class ResUNetPP(FromScratch):
    """ResUNet++ (Jha et al., "ResUNet++: an advanced architecture for medical image segmentation", IEEE ISM 2019).

    From the paper (Fig. 1): a stem and three residual units with squeeze and excitation, ASPP as bridge and before the
    output, attention before each upsampling, concatenation, residual units. The paper's figure does not settle every
    inner detail (widths of ASPP, form of the attention): those are this project's reading. Parameter count of the
    publication: not verified.

    Args:
        encoder, pretrained: taken like those of every network and not used: it has no ImageNet encoder.
        num_classes: channels of the logits.
        width: channels at full resolution, doubled at each of the three halvings and in the bridge.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, width: int = 16):
        super().__init__()
        w = [width * 2**i for i in range(5)]
        self.contract = nn.ModuleList(
            ResidualUnit(3, w[0], stem=True) if i == 0 else ResidualUnit(w[i - 1], w[i], stride=2) for i in range(4)
        )
        self.excite = nn.ModuleList(SEModule(w[i], rd_channels=max(w[i] // 8, 4)) for i in range(3))
        self.bridge = ASPP(w[3], w[4])
        self.attend = nn.ModuleList(SkipAttention(w[i], w[i + 2]) for i in (2, 1, 0))
        self.expand = nn.ModuleList(ResidualUnit(w[i + 2] + w[i], w[i + 1]) for i in (2, 1, 0))
        self.out = ASPP(w[1], w[0])
        self.head = nn.Conv2d(w[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        skips = []
        for contract, excite in zip(self.contract, self.excite, strict=False):
            x = excite(contract(x))
            skips.append(x)
        d = self.bridge(self.contract[3](x))
        for skip, attend, expand in zip(reversed(skips), self.attend, self.expand, strict=True):
            d = expand(torch.cat([resize(attend(d, skip), skip.shape[-2:]), skip], 1))
        return self.head(self.out(d))
