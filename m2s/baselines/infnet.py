"""Inf-Net."""

from collections.abc import Sequence

from torch import Tensor, nn

from m2s.baselines.blocks import ConvBN
from m2s.baselines.pranet import PraNet


class InfNet(PraNet):
    """Inf-Net: PraNet's decoder guided by an edge feature (Fan et al., IEEE TMI 2020).

    Taken: everything of :class:`m2s.baselines.pranet.PraNet`, and the edge attention: a feature of 64 channels from E²,
    which every reverse attention gets beside its own. All four maps are supervised; the last reverse attention counts.

    Departs: **the edge feature has no loss of its own**, as training here has no edge target. It learns through the
    reverse attentions, and the head that would draw the edge map is left out. So is the semi-supervised variant. With
    Res2Net-50 it has 31.07 M parameters, as Table 6 of the revised M2SNet paper prints; the 33.12 M printed elsewhere
    count the backbone's unused ImageNet classifier (2.05 M) too.
    """

    guidance = 64

    def __init__(self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1):
        super().__init__(encoder, pretrained, num_classes)
        self.edge = nn.Sequential(
            ConvBN(self.encoder.channels[1], self.guidance, 1),
            *[nn.Sequential(ConvBN(self.guidance, self.guidance), nn.ReLU(inplace=True)) for _ in range(2)],
        )

    def decode(self, levels: Sequence[Tensor]) -> list[Tensor]:
        return super().decode(levels, self.edge(levels[1]))
