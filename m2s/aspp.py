"""Learned multi-scale modules in place of the fixed filters: the rows ASPP and DenseASPP of the style ablation.

M2SNet paper, first version Table 8, revised Table 14: "we apply other popular multi-scale modules (i.e., ASPP and
DenseASPP) to the subtraction unit". How, only its Fig. 7 shows, of which we had no text. What is chosen here comes
nearest to the printed parameters: each of the ten units has a module of its own, four dilated convolutions with 64
channels, between ``|A − B|`` and the unit's convolution.

============  ==================  ===================  =======================================
row           parameters          printed              multiply-adds at 256×256 (printed)
============  ==================  ===================  =======================================
ASPP          29.17 M             29.2 M               13.48 G (13.8 G)
DenseASPP     29.59 M             29.6 M               14.74 G (17.5 G)
============  ==================  ===================  =======================================

No module that each unit uses once can have both figures of DenseASPP: the printed 8.5 G more for 1.9 M more parameters
are 4470 uses of each, and the largest map at 256×256 has 4096 pixels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from m2s.units import ConvBNReLU


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling as in DeepLab v2 (Chen et al., 2017): the sum of parallel dilated convolutions.

    ``(N, C, H, W)`` → same. A branch is a :class:`m2s.units.ConvBNReLU` with a dilation rate of ``rates``.
    """

    def __init__(self, channels: int, rates: Sequence[int] = (6, 12, 18, 24)):
        super().__init__()
        self.branches = nn.ModuleList(ConvBNReLU(channels, channels, dilation=rate) for rate in rates)

    def forward(self, x: Tensor) -> Tensor:
        return sum(branch(x) for branch in self.branches)


class DenseASPP(nn.Module):
    """Densely connected ASPP (Yang et al., 2018): each dilated convolution sees the input and all outputs before it.

    ``(N, C, H, W)`` → same. A 1×1 convolution brings what a layer sees back to C channels. The outputs are summed. The
    rates are the first four of the publication's five.
    """

    def __init__(self, channels: int, rates: Sequence[int] = (3, 6, 12, 18)):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels * seen, channels, 1),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
                ConvBNReLU(channels, channels, dilation=rate),
            )
            for seen, rate in enumerate(rates, start=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for layer in self.layers:
            seen.append(layer(torch.cat(seen, dim=1)))  # (N, C·len(seen), H, W) → (N, C, H, W)
        return sum(seen[1:])  # type: ignore[return-value]


STYLES: dict[str, type[nn.Module] | None] = {"subtraction": None, "aspp": ASPP, "denseaspp": DenseASPP}
"""What stands in a unit of M2SNet between ``Σ_k |f_k(A) − f_k(B)|`` and its convolution."""
