"""Inf-Net."""

from collections.abc import Sequence

from torch import Tensor, nn

from m2s.baselines.blocks import ConvBN
from m2s.baselines.pranet import PraNet


class InfNet(PraNet):
    """Inf-Net: PraNet's decoder guided by an edge feature (Fan et al., IEEE TMI 2020).

    Taken: everything of :class:`m2s.baselines.pranet.PraNet`, and the edge attention: a feature of 64 channels from E²,
    which every reverse attention gets beside its own. All four maps are supervised; the last reverse attention counts.
    With ``edge_loss=True`` that feature also draws an edge map with a loss of its own (:data:`m2s.losses.AUXILIARY`),
    as published: 31,072,721 parameters on Res2Net-50 (31.1 M in Table 6 of the revised M2SNet paper; the 33.12 M
    printed elsewhere count the backbone's unused ImageNet classifier, 2.05 M, too).

    Departs: without ``edge_loss``, the form of this project's first runs, the head of that map is left out (578
    parameters) and the edge feature learns through the reverse attentions alone. The semi-supervised variant is left
    out.
    """

    guidance = 64

    def __init__(
        self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1, edge_loss: bool = False
    ):
        super().__init__(encoder, pretrained, num_classes)
        self.edge = nn.Sequential(
            ConvBN(self.encoder.channels[1], self.guidance, 1),
            *[nn.Sequential(ConvBN(self.guidance, self.guidance), nn.ReLU(inplace=True)) for _ in range(2)],
        )
        self.edge_head = ConvBN(self.guidance, 1) if edge_loss else None

    def decode(self, levels: Sequence[Tensor]) -> dict[str, list[Tensor]]:
        edge = self.edge(levels[1])  # (N, 64, H/4, W/4)
        outputs = {"maps": self.decode_maps(levels, edge)}
        return outputs if self.edge_head is None else outputs | {"edge": [self.edge_head(edge)]}
