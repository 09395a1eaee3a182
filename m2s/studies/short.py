"""Every network once, in a short run: whether it trains at all, where its own table asks for hours."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from m2s.studies.lgmsnet import LGMSNETS, ROWS_3D
from m2s.studies.m2snet import COMPARISONS, NETWORKS
from m2s.studies.study import NotRun, Row, Study
from m2s.studies.tasks import TASKS, VOLUMES

NAMESAKES = {name: f"LGMSNet's {name}" for name in ("U-Net", "Attention U-Net", "U-Net++")}
"""Rows of LGMSNet's table that are other networks than M2SNet's of the same name, and what they are called here."""

THIN: dict[str, Any] = {"SegMamba": 16, "UCTransNet": 16, "MADGNet": 8}
"""Networks whose steps take seconds on a CPU, and the width that they get here."""


def _choose(rows: Mapping[str, Row | NotRun], *without: str) -> dict[str, Row]:
    """The rows that are trained, less some, as profiles below the paper's size have them."""
    chosen = {name: row.below_paper or row for name, row in rows.items() if isinstance(row, Row)}
    return {name: _thin(name, row) for name, row in chosen.items() if name not in without}


def _thin(name: str, row: Row) -> Row:
    return row.but(options=(("width", THIN[name]),)) if name in THIN else row


ROWS_2D = {
    **_choose(NETWORKS),
    **_choose(COMPARISONS["one_model"].rows, "M2SNet"),
    **{
        NAMESAKES.get(name, name): row for name, row in _choose(LGMSNETS["lgmsnet"].rows, "TransUNet", "M2SNet").items()
    },
}
# Their encoders' weights come from the hub alone, and at 64 pixels their map would have 2 × 2 places.
ROWS_2D |= {
    name: replace(ROWS_2D[name].but(pretrained=False), recipe={"size": 96, "encoder_lr": 1e-3})
    for name in ("MobileViT-s", "RepViT-m3")
}

# The other three have whole runs on these volumes.
ROWS_SHORT_3D = _choose(ROWS_3D, "LGMSNet", "M2SNet in 3-D", "U-Net in 3-D")
ROWS_SHORT_3D["Swin UNETR"] = replace(ROWS_SHORT_3D["Swin UNETR"], recipe={"size": 64, "batch_size": 1, "epochs": 2})

_short = partial(Study, notebook="29_other_networks", short=True)
SHORTS = {
    "short": _short(
        title="Every network in 2-D once, in a short run", framework="short", shown=("mDice", "mIoU", "MAE"),
        tasks={"polyps": replace(TASKS["polyps"], datasets={"kvasir": "Kvasir", "clinicdb": "ClinicDB"}, extra=True)},
        rows=ROWS_2D,
    ),
    "short_volumes": _short(
        title="Every network in 3-D once, in a short run", framework="short_volumes", shown=("Dice", "IoU"),
        tasks={"hippocampus": replace(VOLUMES["hippocampus"], extra=True)}, rows=ROWS_SHORT_3D,
    ),
}  # fmt: skip
