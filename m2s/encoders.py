"""Encoders: features from timm, five levels of them in 2-D or 3-D, and the base of all networks with or without one."""

from typing import Any, cast

import timm
import torch
import torch.nn.functional as F
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from m2s.errors import InputError, unknown
from m2s.units import check_size
from m2s.weights import create_timm


class Encoder(nn.Module):
    """Five levels E¹ … E⁵ at strides 4, 4, 8, 16, 32 from a timm encoder.

    E¹ is the stride-2 feature after a 3×3 max-pool, as in the released code. An encoder that starts at stride 4
    (ConvNeXt, PVTv2, …) gives its first feature as both E¹ and E².
    """

    dims, deepest = 2, 32

    def __init__(self, name: str, pretrained: bool = True):
        super().__init__()
        self.body, self.weights_source = create_timm(name, pretrained, features_only=True)
        info = self.body.feature_info
        at = {stride: i for i, stride in enumerate(info.reduction())}
        if not {4, 8, 16, 32} <= set(at):
            raise InputError(f"encoder {name} gives strides {sorted(at)}; needed are 4, 8, 16, 32, and 2 if it has it")
        self.taps = [at.get(2, at[4]), at[4], at[8], at[16], at[32]]
        self.pool_first = 2 in at
        self.channels = [info.channels()[i] for i in self.taps]
        self.mean, self.std = tuple(self.body.pretrained_cfg["mean"]), tuple(self.body.pretrained_cfg["std"])

    def forward(self, x: Tensor) -> list[Tensor]:
        features = self.body(x)  # (N, 3, H, W) → the encoder's own list of features
        levels = [features[i] for i in self.taps]
        if self.pool_first:
            levels[0] = F.max_pool2d(levels[0], 3, stride=2, padding=1)  # (N, C, H/2, W/2) → (N, C, H/4, W/4)
        return levels


DEPTHS = {
    "resnet10": ("basic", (1, 1, 1, 1)),
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
}
"""The 3-D encoders: kind and number of residual blocks in each of the four stages."""


class ResNet3D(nn.Module):
    """Five levels E¹ … E⁵ of a volume from one of MONAI's 3-D ResNets, as :class:`Encoder` gives in 2-D.

    E¹ is the feature of the first, 7×7×7, convolution after its max-pool; E² … E⁵ are the four stages. The strides are
    2, 2, 4, 8, 16, or with ``first_stride=2`` those of the 2-D network, 4, 4, 8, 16, 32. The weights are random.

    Unlike in MONAI's own ``resnet18`` and ``resnet34``, all shortcuts between stages are 1×1×1 convolutions: that
    package's shortcuts without parameters let no gradient through.
    """

    dims = 3

    def __init__(self, name: str = "resnet18", in_channels: int = 1, first_stride: int = 1):
        super().__init__()
        from monai.networks.nets.resnet import ResNet  # takes seconds: not before somebody wants a 3-D network

        if name not in DEPTHS:
            raise unknown("3-D encoder", name, DEPTHS)
        if first_stride not in (1, 2):
            raise InputError(f"first_stride {first_stride}: the first convolution of a 3-D encoder has stride 1 or 2")
        block, depths = DEPTHS[name]
        self.body = ResNet(
            block,
            list(depths),
            [64, 128, 256, 512],
            n_input_channels=in_channels,
            conv1_t_stride=first_stride,
            feed_forward=False,
            bias_downsample=False,
        )
        widen = 4 if block == "bottleneck" else 1
        self.channels = [64, 64 * widen, 128 * widen, 256 * widen, 512 * widen]
        self.deepest = 16 * first_stride
        self.in_channels = in_channels
        self.mean, self.std = (0.0,), (1.0,)  # volumes come normalised: what their numbers mean differs by modality
        self.weights_source = "random (3-D encoders have no pretrained weights here)"

    def forward(self, x: Tensor) -> list[Tensor]:
        if x.ndim != 5 or x.shape[1] != self.in_channels:
            raise InputError(f"input {tuple(x.shape)}: this network takes volumes (N, {self.in_channels}, D, H, W)")
        body = self.body
        levels = [body.maxpool(body.act(body.bn1(body.conv1(x))))]  # (N, in, D, H, W) → (N, 64, D/2, H/2, W/2)
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4):
            levels.append(stage(levels[-1]))  # the second to fourth halve the sides
        return levels


class Features(nn.Module):
    """The features of a timm encoder from its first stride (2, or 4 as in ConvNeXt) to ``deepest``, shallow to deep."""

    def __init__(self, name: str, pretrained: bool = True, deepest: int = 32):
        super().__init__()
        if not timm.is_model(name):
            raise unknown("encoder", name, timm.list_models())
        with torch.device("meta"):
            probe: Any = timm.create_model(name, features_only=True)
        have = probe.feature_info.reduction()
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
        return list(self.body(x))  # (N, 3, H, W) → (N, C_i, H/stride_i, W/stride_i) for each feature i


class NoEncoder(nn.Module):
    """In the encoder's place where the contracting path is the network's own: nothing to load.

    It is empty, so that training gives the full learning rate to every layer instead of the smaller one that protects
    pretrained weights. Such networks take ``encoder`` and ``pretrained`` like all others, and do not use them.
    """

    mean, std = IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    weights_source = "random (this network has no pretrained encoder)"


class Network(nn.Module):
    """Base of the networks: ``encoder``, and its ``mean``, ``std`` and ``weights_source``, which training asks for.

    Where nothing else is said, ``(N, 3, H, W)`` → logits ``(N, num_classes, H, W)``, both sides from 32 pixels up.
    """

    def __init__(self, encoder: nn.Module | None = None):
        super().__init__()
        self.encoder = cast(Any, NoEncoder() if encoder is None else encoder)
        self.mean, self.std, self.weights_source = self.encoder.mean, self.encoder.std, self.encoder.weights_source
