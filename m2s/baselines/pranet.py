"""PraNet."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.baselines.blocks import Baseline, ConvBN, foreground
from m2s.units import resize


class ReceptiveFieldBlock(nn.Module):
    """RFB of PraNet: four branches that see 1×1 to about 7×7, dilated, plus a shortcut; ``in_channels`` → ``width``."""

    def __init__(self, in_channels: int, width: int):
        super().__init__()
        self.branches = nn.ModuleList([ConvBN(in_channels, width, 1)])
        for k in (3, 5, 7):
            row_and_column = [ConvBN(width, width, (1, k)), ConvBN(width, width, (k, 1))]
            self.branches.append(
                nn.Sequential(ConvBN(in_channels, width, 1), *row_and_column, ConvBN(width, width, dilation=k))
            )
        self.merge = ConvBN(4 * width, width)
        self.shortcut = ConvBN(in_channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.merge(torch.cat([branch(x) for branch in self.branches], 1)) + self.shortcut(x))


class PartialDecoder(nn.Module):
    """Parallel partial decoder: levels 5, 4, 3 of ``width`` channels → one coarse map of logits at level 3."""

    def __init__(self, width: int, num_classes: int):
        super().__init__()
        self.up = nn.ModuleDict({name: ConvBN(width, width) for name in ("5*4", "5*3", "4*3", "5+4")})
        self.up["4+3"] = ConvBN(2 * width, 2 * width)
        self.merge4, self.merge3 = ConvBN(2 * width, 2 * width), ConvBN(3 * width, 3 * width)
        self.head = nn.Sequential(ConvBN(3 * width, 3 * width), nn.Conv2d(3 * width, num_classes, 1))

    def forward(self, x5: Tensor, x4: Tensor, x3: Tensor) -> Tensor:
        size4, size3 = x4.shape[-2:], x3.shape[-2:]
        y5 = resize(x5, size4)
        y4 = self.up["5*4"](y5) * x4
        y3 = self.up["5*3"](resize(x5, size3)) * self.up["4*3"](resize(x4, size3)) * x3
        y4 = self.merge4(torch.cat([y4, self.up["5+4"](y5)], 1))
        y3 = self.merge3(torch.cat([y3, self.up["4+3"](resize(y4, size3))], 1))
        return self.head(y3)


class ReverseAttention(nn.Module):
    """Refine coarse logits where they say "background": ``coarse + f(level · (1 − σ(coarse)))``.

    ``guidance`` counts the channels of a further feature (Inf-Net's edge feature).
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        width: int = 64,
        depth: int = 2,
        kernel: int = 3,
        head_kernel: int = 3,
        guidance: int = 0,
    ):
        super().__init__()
        self.reduce = ConvBN(in_channels, width, 1)
        inputs = [width + guidance] + [width] * (depth - 1)
        self.convs = nn.Sequential(*[nn.Sequential(ConvBN(i, width, kernel), nn.ReLU(inplace=True)) for i in inputs])
        self.head = ConvBN(width, num_classes, head_kernel)

    def forward(self, level: Tensor, coarse: Tensor, guidance: Tensor | None = None) -> Tensor:
        size = level.shape[-2:]
        coarse = resize(coarse, size)
        x = self.reduce(level * (1 - foreground(coarse)))
        if guidance is not None:
            x = torch.cat([x, resize(guidance, size)], 1)
        return self.head(self.convs(x)) + coarse


class PraNet(Baseline):
    """PraNet: parallel reverse attention network (Fan et al., MICCAI 2020).

    Taken: RFBs of 32 channels on E³ … E⁵, the parallel partial decoder that makes the coarse map of E³'s size, and the
    reverse attentions on E⁵, E⁴, E³ (the first with 256 channels and 5×5 convolutions). All four maps are supervised;
    the last reverse attention counts.

    Departs: bilinear resizing does not align corners; ``num_classes`` > 1 (see :func:`foreground`). With Res2Net-50 it
    has 30.50 M parameters, as Table 6 of the revised M2SNet paper prints; the 32.55 M printed elsewhere count the
    backbone's unused ImageNet classifier (2.05 M) too.
    """

    guidance = 0
    """Channels of a feature that guides the reverse attentions; Inf-Net has one."""

    def __init__(self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1):
        super().__init__(encoder, pretrained)
        *_, c3, c4, c5 = self.encoder.channels
        self.rfb = nn.ModuleList([ReceptiveFieldBlock(c, 32) for c in (c5, c4, c3)])
        self.partial_decoder = PartialDecoder(32, num_classes)
        self.reverse = nn.ModuleList(
            [
                ReverseAttention(c5, num_classes, 256, depth=3, kernel=5, head_kernel=1, guidance=self.guidance),
                ReverseAttention(c4, num_classes, guidance=self.guidance),
                ReverseAttention(c3, num_classes, guidance=self.guidance),
            ]
        )

    def decode(self, levels: Sequence[Tensor]) -> dict[str, list[Tensor]]:
        return {"maps": self.decode_maps(levels)}

    def decode_maps(self, levels: Sequence[Tensor], guidance: Tensor | None = None) -> list[Tensor]:
        """The logits of the three reverse attentions, shallow to deep, then the coarse map."""
        levels = levels[:1:-1]  # E⁵, E⁴, E³
        outputs = [self.partial_decoder(*(rfb(level) for rfb, level in zip(self.rfb, levels, strict=True)))]
        for attention, level in zip(self.reverse, levels, strict=True):
            outputs.append(attention(level, outputs[-1], guidance))
        return outputs[::-1]
