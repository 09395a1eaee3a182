"""MSNet and M2SNet for volumes: the same triangle, units and filters in three dimensions over a 3-D ResNet.

The authors name it as future work ("extending the proposed framework to 3D volumetric segmentation", revised paper,
Section 5) and have published nothing of it. So everything behind the encoder is :class:`m2s.network.M2SNet` itself,
with 3×3×3 convolutions, k×k×k filters and trilinear resizing; only the encoder is a choice of this project.
"""

from torch import Tensor, nn

from m2s.errors import InputError, unknown
from m2s.network import M2SNet

DEPTHS = {
    "resnet10": ("basic", (1, 1, 1, 1)),
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
}
"""The 3-D encoders: kind and number of residual blocks in each of the four stages."""


class ResNet3D(nn.Module):
    """Five levels E¹ … E⁵ of a volume from one of MONAI's 3-D ResNets, as :class:`m2s.network.Encoder` gives in 2-D.

    E¹ is the feature of the first, 7×7×7, convolution after its max-pool; E² … E⁵ are the four stages. The strides are
    2, 2, 4, 8, 16, or with ``first_stride=2`` those of the 2-D network, 4, 4, 8, 16, 32. The weights are random.

    Unlike in MONAI's own ``resnet18`` and ``resnet34``, all shortcuts between stages are 1×1×1 convolutions: that
    package's shortcuts without parameters let no gradient through.

    Raises:
        InputError: an unknown name or another first stride; in ``forward``, no volume of ``in_channels`` channels.
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
        levels = [body.maxpool(body.act(body.bn1(body.conv1(x))))]
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4):
            levels.append(stage(levels[-1]))
        return levels


class M2SNet3D(M2SNet):
    """M2SNet for volumes: ``(N, in_channels, D, H, W)`` → logits ``(N, num_classes, D, H, W)``.

    Each side may be anything from 16 voxels up (32 with ``first_stride=2``). BatchNorm throughout, as in 2-D.

    Args:
        encoder: ``"resnet10"``, ``"resnet18"``, ``"resnet34"`` or ``"resnet50"``, see :class:`ResNet3D`.
        pretrained: taken like that of every network and not used: the encoder starts from random weights.
        num_classes: as in :class:`m2s.network.M2SNet`; the background counts.
        in_channels: 1, or the number of modalities.
        first_stride: 1 for small volumes; 2 for the strides of the 2-D network, at about a fifth of the time.
        kwargs: the options of :class:`m2s.network.M2SNet`, except ``style``.

    Raises:
        InputError: an option is unknown, or a volume is too small.
    """

    def __init__(
        self,
        encoder: str = "resnet18",
        pretrained: bool = False,
        num_classes: int = 2,
        in_channels: int = 1,
        first_stride: int = 1,
        **kwargs,
    ):
        super().__init__(ResNet3D(encoder, in_channels, first_stride), num_classes=num_classes, **kwargs)


class MSNet3D(M2SNet3D):
    """:class:`M2SNet3D` with plain subtraction units, ``kernels=(1,)``."""

    def __init__(self, encoder: str = "resnet18", pretrained: bool = False, num_classes: int = 2, **kwargs):
        super().__init__(encoder, pretrained, num_classes, kernels=(1,), **kwargs)
