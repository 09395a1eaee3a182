"""Inf-Net."""

from collections.abc import Sequence

from torch import Tensor, nn

from m2s.baselines.blocks import ConvBN
from m2s.baselines.pranet import PraNet


class InfNet(PraNet):
    """Inf-Net: PraNet's decoder guided by an edge feature (Fan et al., IEEE TMI 2020).

    Taken: everything of :class:`m2s.baselines.pranet.PraNet`, and the edge attention: a feature of 64 channels from E²,
    which every reverse attention gets beside its own, and which draws an edge map with a loss of its own
    (:data:`m2s.losses.AUXILIARY`). All four maps are supervised; the last reverse attention counts. With Res2Net-50 it
    has 31,072,721 parameters (31.1 M in Table 6 of the revised M2SNet paper); the 33.12 M printed elsewhere count the
    backbone's unused ImageNet classifier (2.05 M) too.

    Departs: the semi-supervised variant is left out.
    """

    guidance = 64

    def __init__(self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1):
        super().__init__(encoder, pretrained, num_classes)
        self.edge = nn.Sequential(
            ConvBN(self.encoder.channels[1], self.guidance, 1),
            *[nn.Sequential(ConvBN(self.guidance, self.guidance), nn.ReLU(inplace=True)) for _ in range(2)],
        )
        self.edge_head = ConvBN(self.guidance, 1)

    def decode(self, levels: Sequence[Tensor]) -> dict[str, list[Tensor]]:
        edge = self.edge(levels[1])  # (N, 64, H/4, W/4)
        return {"maps": self.decode_maps(levels, edge), "edge": [self.edge_head(edge)]}
