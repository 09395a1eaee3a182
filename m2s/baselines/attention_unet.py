"""Attention U-Net."""

import torch.nn.functional as F
from timm.layers import ConvNormAct
from torch import Tensor, nn

from m2s.baselines.blocks import DoubleConv, concatenate, expand
from m2s.encoders import Features, Network
from m2s.errors import InputError
from m2s.units import resize


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
        keys = self.w_x(x)  # (N, C_x, H, W) → (N, C_x/2, H/2, W/2)
        alpha = self.psi(F.relu(keys + resize(self.w_g(g), keys.shape[-2:]))).sigmoid()  # (N, 1, H/2, W/2)
        return self.out(x * resize(alpha, x.shape[-2:]))


class AttentionUNet(Network):
    """Attention U-Net (Oktay et al., "Attention U-Net: learning where to look for the pancreas", MIDL 2018).

    From the paper: the gates on every skip, each steered by the decoder feature one level below. Departs from it: two
    dimensions instead of three, a timm encoder, no deep supervision, and the decoder ends at the encoder's first
    stride, from where the logits are resized. The paper's parameter count is of the 3-D network and not comparable.

    ``widths``: channels of the decoder from stride 16 up; an encoder without stride 2 leaves the last one out.
    """

    def __init__(
        self,
        encoder: str = "tf_efficientnet_lite0",
        pretrained: bool = True,
        num_classes: int = 1,
        widths: tuple[int, ...] = (256, 128, 64, 32),
    ):
        super().__init__(Features(encoder, pretrained))
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
        d = expand(self.encoder(x), self.step)  # (N, C, H/s, W/s) at the encoder's first stride s
        return resize(self.head(d), x.shape[-2:])

    def step(self, level: int, skip: Tensor, deep: Tensor) -> Tensor:
        return self.decode[level](concatenate(self.gates[level](skip, deep), deep))
