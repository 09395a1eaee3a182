"""SegMamba."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.baselines.selective_scan import StateSpace, interleave
from m2s.baselines.volumes import UNETRShape, for_volumes
from m2s.encoders import NoEncoder
from m2s.errors import InputError
from m2s.units import CONV, check_size

INSTANCE_NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


class TriMamba(nn.Module):
    """Tri-orientated Mamba (Section 2.2): tokens ``(N, L, C)`` of ``slices`` slices → same shape.

    The tokens are read forwards, backwards, and across the slices: the first ones of all slices, the second ones, … The
    three share the first and the last layer, and have a causal convolution and a state space of their own.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.widen = nn.Linear(channels, 4 * channels, bias=False)
        self.conv = nn.Conv1d(6 * channels, 6 * channels, 4, groups=6 * channels)
        self.states = StateSpace(channels, sequences=3)
        self.out = nn.Linear(2 * channels, channels, bias=False)

    def forward(self, x: Tensor, slices: int) -> Tensor:
        u, gate = self.widen(x).chunk(2, -1)  # (N, L, 2C) each
        u = torch.cat([u, u.flip(1), interleave(u, slices)], -1)  # (N, L, 6C)
        u = F.silu(self.conv(F.pad(u.mT, (3, 0))).mT)
        forward, backward, across = self.states(u.unflatten(-1, (3, -1))).unbind(2)  # (N, L, 2C) each
        y = forward + backward.flip(1) + interleave(across, x.shape[1] // slices)
        return self.out(y * F.silu(gate))  # (N, L, C)


class Stage(nn.Module):
    """A gated spatial convolution (Section 2.1) and Mamba layers on ``(N, C, D, H, W)`` → same shape."""

    def __init__(self, channels: int, layers: int, dims: int):
        super().__init__()

        def conv(kernel: int) -> nn.Sequential:
            layer = CONV[dims](channels, channels, kernel, padding=kernel // 2)
            return nn.Sequential(layer, INSTANCE_NORM[dims](channels), nn.ReLU())

        self.spatial, self.gate, self.mix = nn.Sequential(conv(3), conv(3)), conv(1), conv(1)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(layers))
        self.mambas = nn.ModuleList(TriMamba(channels) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(self.spatial(x) + self.gate(x))
        sides, x = x.shape[2:], x.flatten(2).mT  # (N, D·H·W, C)
        for norm, mamba in zip(self.norms, self.mambas, strict=True):
            x = x + mamba(norm(x), sides[0])
        return x.mT.unflatten(2, sides)


class MambaEncoder(nn.Module):
    """SegMamba's encoder: features with ``width``, 2, 4, 8 times as many channels at strides 2, 4, 8, 16."""

    def __init__(self, in_channels: int, width: int = 48, dims: int = 3):
        super().__init__()
        widths, conv, norm = [width * 2**i for i in range(4)], CONV[dims], INSTANCE_NORM[dims]
        downs = [conv(in_channels, width, 7, stride=2, padding=3)]
        downs += [nn.Sequential(norm(w), conv(w, 2 * w, 2, stride=2)) for w in widths[:-1]]
        self.stages = nn.ModuleList(
            nn.Sequential(down, Stage(w, 2, dims)) for down, w in zip(downs, widths, strict=True)
        )
        self.outs = nn.ModuleList(
            nn.Sequential(norm(w), conv(w, 2 * w, 1), nn.GELU(), conv(2 * w, w, 1)) for w in widths
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for stage, out in zip(self.stages, self.outs, strict=True):
            x = stage(x)  # (N, width·2^i, D/2^(i+1), …)
            features.append(out(x))
        return features


class SegMamba(UNETRShape):
    """:class:`MambaEncoder` and the decoder of UNETR: ``(N, in, D, H, W)`` → logits ``(N, num_classes, D, H, W)``."""

    def __init__(self, in_channels: int, num_classes: int, width: int = 48, dims: int = 3):
        if width < 1:
            raise InputError(f"width={width}: give 1 or more channels")
        super().__init__(MambaEncoder(in_channels, width, dims), in_channels, num_classes, width, dims)


class SegMamba2D(SegMamba):
    """SegMamba for images: ``(N, 3, H, W)`` → logits ``(N, num_classes, H, W)``, its rows taking the place of slices.

    M2SNet's Table 9 has it on images and does not say how; this is the network with each 3-D layer in 2-D. Sides that
    are no multiples of 16 are padded with zeros. 26,498,785 parameters with one class.

    Args:
        encoder, pretrained: taken like those of every network and not used: it has no ImageNet encoder.
        num_classes: channels of the logits.
        width: channels at stride 2, doubled at each level below.
    """

    def __init__(self, encoder: str = "none", pretrained: bool = False, num_classes: int = 1, width: int = 48):
        super().__init__(3, num_classes, width, dims=2)
        self.encoder = NoEncoder()
        self.mean, self.std, self.weights_source = NoEncoder.mean, NoEncoder.std, NoEncoder.weights_source

    def forward(self, x: Tensor) -> Tensor:
        check_size(x)
        height, width = x.shape[2:]
        return super().forward(F.pad(x, (0, -width % 16, 0, -height % 16)))[..., :height, :width]


def segmamba(
    encoder: str = "none",
    pretrained: bool = False,
    num_classes: int = 14,
    in_channels: int = 1,
    width: int = 48,
) -> nn.Module:
    """SegMamba (Xing et al., "SegMamba: long-range sequential modeling Mamba for 3D medical image segmentation", MICCAI
    2024), written after the paper with MONAI's blocks of UNETR.

    67,363,262 parameters with fourteen classes, those of the authors' network; LGMSNet's Table 3 prints 65.18 M, which
    no way of counting gives. Departs from their code in that the third direction goes across the slices of the volume,
    as the paper says, for any depth; there the tokens are cut into 64, 32, 16, 8 pieces, the slices of 128³ voxels.

    Args:
        encoder, pretrained: taken like those of every network and not used.
        num_classes, in_channels: channels of the logits and of the volume, whose sides are multiples of 16.
        width: channels at stride 2, doubled at each level below.
    """
    return for_volumes(SegMamba(in_channels, num_classes, width))
