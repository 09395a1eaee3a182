"""MSNet and M2SNet over any timm encoder (M2SNet paper, section 3 and Fig. 2)."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from m2s.aspp import STYLES
from m2s.encoders import Encoder, Network, ResNet3D
from m2s.errors import InputError, unknown
from m2s.units import CONV, WIRINGS, ConvBNReLU, MultiScaleDifference, MultiScaleSubtractionUnit, check_size, resize

WIDTH = 64
"""Channels of every feature behind the encoder (paper, section 3)."""

WIRING_PARTS = ("filters", "reduce_1", "last_unit", "own_level", "enhance_4", "enhance_5")
"""Where the released network and the paper part, see :class:`M2SNet`."""


class M2SNet(Network):
    """The multi-scale in multi-scale subtraction network: ``(N, 3, H, W)`` → logits ``(N, num_classes, H, W)``.

    Height and width may be anything from 32 pixels up. The nodes carry the paper's names: ``MS_n^i`` is the feature of
    order n at level i, ``MS_1^i`` the reduced encoder feature, and

    ``MS_n^i = Conv(Σ_k |f_k(MS_{n−1}^{i+1}) − f_k(MS_{n−1}^i)|)`` for n = 2 … 5, i = 1 … 6−n (Eq. 2, Fig. 2).

    Args:
        encoder: any timm encoder with features at strides 2 or 4 to 32. The paper's Res2Net-50 is ``"res2net50d"``.
            Or, in place of a name, a module with the outputs and attributes of :class:`Encoder`: the network has its
            number of dimensions (see :class:`M2SNet3D`).
        num_classes: 1 for one foreground class (sigmoid); C > 1 for C one-vs-rest maps, the background first.
        wiring: ``"released"`` as the authors' code, ``"paper"`` as Eq. 2 and 3, or the parts that are to be as in the
            paper, the others as released; ``"paper"`` is short for all six:

            ===============  =====================================  ==================================
            part             released                               paper
            ===============  =====================================  ==================================
            ``filters``      see :class:`m2s.units.ReleasedFilter`  see :class:`m2s.units.PaperFilter`
            ``reduce_1``     E¹ used as it is (if 64 channels)      E¹ reduced like the others
            ``last_unit``    deep input of MS_5^1 has one more      no extra Conv
                             Conv
            ``own_level``    CE^i (Eq. 3) sums orders n ≥ 2         … all orders, n ≥ 1
            ``enhance_4``    no Conv at CE^4                        Conv, as at the other levels
            ``enhance_5``    CE^5 is a second reduction of E⁵       Conv of MS_1^5
            ===============  =====================================  ==================================
        kernels: sizes of the fixed filters; ``(1,)`` makes this MSNet.
        filter: ``"ones"`` or ``"gaussian"``.
        deep_supervision: in training mode, return a list: the logits, then those of decoder stages 2, 3, 4.
        orders: the highest order of the triangle, 1 to 5 (rows of the first version's Table 7, revised Table 10). CE^i
            sums the orders that there are. 1 is the "baseline", "the common FPN network" (Section 4.7): no unit at all.
            The paper says no more of it; here CE^i is then the Conv of MS_1^i at every level, in both wirings. That
            table's rows are MSNet's, ``kernels=(1,)``: its row "+ L_f" prints the figures of MSNet in Table 1.
        unit: as in :class:`m2s.units.MultiScaleDifference`; ``"addition"`` is the row "SU→AU" of that table.
        style: ``"subtraction"``, or ``"aspp"``, ``"denseaspp"`` (first version's Table 8, the revised Table 14): a
            module of :mod:`m2s.aspp` in each unit, on ``|A − B|``, in place of the fixed filters.
    """

    def __init__(
        self,
        encoder: str | nn.Module = "res2net50d",
        pretrained: bool = True,
        num_classes: int = 1,
        wiring: str | Sequence[str] = "released",
        kernels: Sequence[int] = (1, 3, 5),
        filter: str = "ones",
        deep_supervision: bool = False,
        orders: int = 5,
        unit: str = "subtraction",
        style: str = "subtraction",
    ):
        if isinstance(wiring, str) and wiring not in WIRINGS:
            raise unknown("wiring", wiring, WIRINGS)
        as_paper = {"released": (), "paper": WIRING_PARTS}[wiring] if isinstance(wiring, str) else tuple(wiring)
        for part in as_paper:
            if part not in WIRING_PARTS:
                raise unknown("part of the wiring", part, WIRING_PARTS)
        if style not in STYLES:
            raise unknown("style", style, STYLES)
        if orders not in range(1, 6):
            raise InputError(f"orders {orders}: give the highest order of the triangle, 1 to 5")
        if orders == 1 and (unit, style) != ("subtraction", "subtraction"):
            raise InputError("orders 1 has no unit: leave unit and style as they are")
        if style != "subtraction":
            if (tuple(kernels), filter, unit) != ((1, 3, 5), "ones", "subtraction"):
                raise InputError(
                    f"style '{style}' replaces the filters: give m2snet no kernels, filter or unit with it"
                )
            kernels = (1,)
        super().__init__(Encoder(encoder, pretrained) if isinstance(encoder, str) else encoder)
        self.wiring, self.orders = wiring, orders
        dims = self.encoder.dims
        if style != "subtraction" and dims != 2:
            raise InputError(f"style '{style}' exists in 2-D only")
        conv = partial(ConvBNReLU, out_channels=WIDTH, dims=dims)
        head = partial(CONV[dims], WIDTH, num_classes, 3, padding=1)
        channels = dict(enumerate(self.encoder.channels, start=1))
        self.reduce = nn.ModuleDict({str(i): conv(channels[i]) for i in range(1, 6)})
        if "reduce_1" not in as_paper and channels[1] == WIDTH:
            self.reduce["1"] = nn.Identity()
        nodes = [f"{n}^{i}" for n in range(2, orders + 1) for i in range(1, 7 - n)]
        filters = "paper" if "filters" in as_paper else "released"
        self.difference = MultiScaleDifference(WIDTH, kernels, filter, filters, unit, dims) if nodes else nn.Identity()
        self.units, context_type = nn.ModuleDict(), STYLES[style]
        for node in nodes:
            context = context_type(WIDTH) if context_type else None
            self.units[node] = MultiScaleSubtractionUnit(WIDTH, dims=dims, shared=self.difference, context=context)
        self.before_last_unit = nn.Identity() if "last_unit" in as_paper or orders < 5 else conv(WIDTH)
        self.enhance = nn.ModuleDict({str(i): conv(WIDTH) for i in range(1, 6)})
        self.first_order = 1 if "own_level" in as_paper or orders == 1 else 2
        if "enhance_4" not in as_paper and orders > 1:
            self.enhance["4"] = nn.Identity()
        self.enhance_encoder = "enhance_5" not in as_paper and orders > 1
        if self.enhance_encoder:
            self.enhance["5"] = conv(channels[5])
        self.decode = nn.ModuleDict({str(i): conv(WIDTH) for i in (4, 3, 2)})
        self.head = head()
        self.side_heads = nn.ModuleDict({str(i): head() for i in ((2, 3, 4) if deep_supervision else ())})

    def pyramid(self, levels: Sequence[Tensor]) -> dict[tuple[int, int], Tensor]:
        """Encoder levels E¹ … E⁵ → every node ``MS_n^i`` of the triangle, by ``(n, i)``."""
        ms = {(1, i): self.reduce[str(i)](level) for i, level in enumerate(levels, start=1)}  # (N, C_i, h, w) → 64
        for n in range(2, self.orders + 1):
            # From deep to shallow, as released: the shared filters' running statistics depend on the order.
            for i in range(6 - n, 0, -1):
                deep, shallow = ms[n - 1, i + 1], ms[n - 1, i]
                if n == 5:
                    deep = self.before_last_unit(deep)
                ms[n, i] = self.units[f"{n}^{i}"](deep, shallow)  # (N, 64, h/2, w/2), (N, 64, h, w) → (N, 64, h, w)
        return ms

    def complement(self, levels: Sequence[Tensor], ms: dict[tuple[int, int], Tensor]) -> dict[int, Tensor]:
        """The complementarity-enhanced features ``CE^i`` of Eq. 3, by level."""
        ce = {}
        for i in range(1, 5):
            orders = range(self.first_order, min(self.orders, 6 - i) + 1)
            ce[i] = self.enhance[str(i)](sum(ms[n, i] for n in orders))  # (N, 64, h, w), the sides of level i
        ce[5] = self.enhance["5"](levels[4] if self.enhance_encoder else ms[1, 5])  # (N, C_5 or 64, h, w) → 64
        return ce

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        check_size(x, self.encoder.deepest)
        levels = self.encoder(x)  # (N, 3, H, W) → (N, C_i, H/s, W/s) at strides s = 4, 4, 8, 16, 32
        ce = self.complement(levels, self.pyramid(levels))
        d = {5: ce[5]}  # (N, 64, H/32, W/32)
        for i in (4, 3, 2):
            d[i] = self.decode[str(i)](resize(d[i + 1], ce[i].shape[2:]) + ce[i])  # (N, 64, …) at strides 16, 8, 4
        logits = self.head(resize(d[2], ce[1].shape[2:]) + ce[1])  # (N, 64, H/4, W/4) → (N, num_classes, H/4, W/4)
        logits = resize(logits, x.shape[2:])  # → (N, num_classes, H, W)
        if self.training and self.side_heads:
            return [logits] + [resize(head(d[int(i)]), x.shape[2:]) for i, head in self.side_heads.items()]
        return logits


class MSNet(M2SNet):
    """The single-scale network of MICCAI 2021: M2SNet with plain subtraction units, ``kernels=(1,)``."""

    def __init__(self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1, **kwargs):
        super().__init__(encoder, pretrained, num_classes, kernels=(1,), **kwargs)


class M2SNet3D(M2SNet):
    """M2SNet for volumes: ``(N, in_channels, D, H, W)`` → logits ``(N, num_classes, D, H, W)``.

    Each side may be anything from 16 voxels up (32 with ``first_stride=2``). BatchNorm throughout, as in 2-D.

    Args:
        encoder: ``"resnet10"``, ``"resnet18"``, ``"resnet34"`` or ``"resnet50"``, see :class:`ResNet3D`.
        pretrained: not used: the encoder starts from random weights.
        in_channels: 1, or the number of modalities.
        first_stride: 1 for small volumes; 2 for the strides of the 2-D network, at about a fifth of the time.
        kwargs: the options of :class:`M2SNet`, except ``style``.
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
