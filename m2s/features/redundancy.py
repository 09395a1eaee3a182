"""How redundant channels are: of fused features (revised M2SNet paper, Section 5), of encoders (LGMSNet, Fig. 1c)."""

from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from m2s.errors import unknown
from m2s.features.capture import Capture, center_channels, channel_spectrum, effective_rank, watch_outputs
from m2s.units import resize

FUSIONS = {
    "subtraction": lambda deep, shallow: (deep - shallow).abs(),
    "signed difference": lambda deep, shallow: deep - shallow,
    "addition": lambda deep, shallow: deep + shallow,
    "concatenation": lambda deep, shallow: torch.cat([deep, shallow]),
}
"""Ways to fuse a deep and a shallow feature of one shape (C, h, w), as Section 5 of the revised paper compares them.

The unit takes the absolute value (Eq. 1), the paper's argument does not (Eq. 10), so both are here; addition is Eq. 8,
concatenation Eq. 9.
"""

MEASURES = {
    "effective rank": "components per channel: 1 where no channel repeats another",
    "like the next": "CKA with the fusion of the next two levels: 0 where neighbours tell different things",
    "like the deep input": "CKA with the deep input: what is repeated of it",
    "like the shallow input": "CKA with the shallow input",
    "fine detail": "share of the power in the upper half of the spatial frequencies",
}
"""What :func:`measure` measures; each between 0 and 1."""


def fuse(deep: Tensor, shallow: Tensor, how: str) -> Tensor:
    """A deep (C, h, w) and a shallow feature (C, H, W), fused at the shallow one's size as in :data:`FUSIONS`."""
    if how not in FUSIONS:
        raise unknown("fusion", how, FUSIONS)
    return FUSIONS[how](resize(deep[None], shallow.shape[-2:])[0], shallow)


def cka(a: Tensor, b: Tensor) -> float:
    """Linear centred kernel alignment of two features (C, h, w) and (D, h, w): how alike two representations are.

    0 for unrelated ones, 1 if one is the other turned and scaled; it does not ask which channel holds what (Kornblith
    et al., ICML 2019). With few pixels for many channels it is biased upwards. 0 if one of the two is constant.
    """
    a, b = center_channels(a.double()), center_channels(b.double())
    cross, own = (a @ b.T).square().sum(), (a @ a.T).norm() * (b @ b.T).norm()
    return float(cross / own) if own > 0 else 0.0


def fine_detail(feature: Tensor) -> float:
    """The share of a feature's power (C, h, w), its mean left out, at more than half the highest frequency (h, w)."""
    power = torch.fft.fft2(center_channels(feature.double()).view_as(feature)).abs().square().sum(0)
    rows, columns = (torch.fft.fftfreq(n).abs() for n in feature.shape[-2:])
    fine = torch.maximum(rows[:, None], columns[None]) > 0.25
    total = power.sum()
    return float(power[fine].sum() / total) if total > 0 else 0.0


def measure(nodes: Capture) -> pd.DataFrame:
    """The reduced features MS_1^1 … MS_1^5 of one image, fused pairwise in three ways: how redundant is the outcome?

    The fusion alone is measured, before any convolution. A row for each fusion and pair, with the levels of the pair
    and a column for each of :data:`MEASURES`; "like the next" is missing for the deepest pair.
    """
    level = {i: nodes[f"MS_1^{i}"].feature for i in range(1, 6)}
    rows = []
    for how in FUSIONS:
        fused = {i: fuse(level[i + 1], level[i], how) for i in range(1, 5)}
        for i, feature in fused.items():
            enlarge = partial(resize, size=feature.shape[-2:])
            rank = effective_rank(channel_spectrum(feature)) / len(feature)
            like_next = cka(feature, enlarge(fused[i + 1][None])[0]) if i < 4 else float("nan")
            like_deep, like_shallow = cka(feature, enlarge(level[i + 1][None])[0]), cka(feature, level[i])
            values = (rank, like_next, like_deep, like_shallow, fine_detail(feature))
            rows.append({"fusion": how, "levels": f"{i}, {i + 1}"} | dict(zip(MEASURES, values, strict=True)))
    return pd.DataFrame(rows)


@torch.inference_mode()
def encoder_features(model: nn.Module, x: Tensor) -> dict[int, Tensor]:
    """The last feature of a network's contracting path at each resolution: stride → ``(C, h, w)`` of the first image.

    It is found by watching: of all outputs (N, C, h, w) of its modules, in the order of computing, the last at each
    size before the path goes below that size for the first time, down to the smallest size. So it needs no knowledge of
    the network, and serves every encoder–decoder. Maps of one channel are attentions or logits and do not count; a
    network that computes on tokens alone gives nothing. ``x`` is a normalised batch (N, 3, H, W).
    """
    width = lowest = x.shape[-1]
    by_stride: dict[int, Tensor] = {}

    def keep(output: object) -> None:
        nonlocal lowest
        if isinstance(output, Tensor) and output.ndim == 4 and len(output) == len(x) and output.shape[1] > 1:
            side = output.shape[-1]
            if 1 < side <= lowest and width % side == 0:
                lowest = side
                by_stride[width // side] = output[0]

    with watch_outputs((module, keep) for module in model.modules()):
        model(x)
    return by_stride


def channels_needed(feature: Tensor, share: float = 0.99) -> float:
    """How many of the channels' principal components hold ``share`` of the variance, over the number of channels.

    A reading of Fig. 1c of the LGMSNet paper, which counts "channel singular values" by an SVD along the channels and
    does not say from which size on one counts. ``feature`` is (C, h, w); 1 where no channel repeats another.
    """
    held = channel_spectrum(feature).cumsum(0)
    return float((held < share).sum() + 1) / len(feature)
