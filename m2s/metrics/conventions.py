"""Scores of one prediction and of a list of them, under each convention that the papers' tables follow.

A table headed "Dice" can mean four different numbers: see ``CONVENTIONS``.

What is given where a formula divides by zero, or nearly so:

- **Constant map.** Min-max normalisation leaves it as it is (an all-zero map stays zero). Any other map is stretched to
  0 … 1, so under "released" and "pranet" a faint answer of at most 0.01 counts as a full one.
- **Empty mask.** "released": soft Dice and IoU are 1 where nothing is predicted and almost 0 otherwise (smooth 1e-5).
  "pranet": Dice and IoU are 0. Both: wFm is 0; Sm and Em score the background, as 1 − mean(p) and as the share of
  pixels below the threshold. "lgmsnet": Dice, precision and recall are 0, IoU is 1 where the prediction is empty too.
  "monai": NaN, which the mean leaves out.
- **E-measure.** It divides by N − 1, so a perfect prediction of N pixels has Em = N / (N − 1), a little above 1.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from m2s.errors import InputError, unknown
from m2s.metrics.overlap import compare_areas
from m2s.metrics.pairs import check_pair

CONVENTIONS = {
    "released": "MSNet, M2SNet: soft Dice of the min-max-normalised map, IoU at 0.5, E-measure at the threshold 2·mean",
    "pranet": "PraNet's MATLAB: Dice and IoU averaged over 256 thresholds, largest and mean E-measure over them",
    "lgmsnet": "LGMSNet: F1 and IoU at 0.5 without normalisation, precision, recall",
    "monai": "MONAI, nnU-Net: Dice and IoU at 0.5 without normalisation, NaN (left out of the mean) for an empty mask",
}
"""What each convention computes. All are per image, then averaged over images."""

COLUMNS = {"mDice", "mIoU", "wFm", "Sm", "Em", "meanEm", "MAE", "Dice", "IoU", "precision", "recall"}
"""The names of all scores."""

SMOOTH = 1e-5


def score(prediction: np.ndarray, mask: np.ndarray, convention: str = "released") -> dict[str, float]:
    """The scores of one pair as :func:`m2s.metrics.pairs.check_pair` takes it, by a name in ``CONVENTIONS``.

    Returns:
        "released" mDice, mIoU, wFm, Sm, Em, MAE (the columns of Table 1 of the M2SNet paper); "pranet" the same and
        meanEm; "lgmsnet" Dice, IoU, precision, recall; "monai" Dice, IoU. Em of "pranet" is the largest over the
        thresholds of this one image; over a data set it needs one threshold for all, see ``evaluate``.
    """
    if convention not in CONVENTIONS:
        raise unknown("convention", convention, CONVENTIONS)
    p, g = check_pair(prediction, mask)
    return {"released": _released, "pranet": _pranet, "lgmsnet": _lgmsnet, "monai": _monai}[convention](p, g)


def curves(prediction: np.ndarray, mask: np.ndarray) -> pd.DataFrame:
    """Dice, IoU and Em of the min-max-normalised map, taken as p ≥ threshold at 0/255, 1/255 … 255/255 (the index)."""
    from m2s.metrics import salient

    p, g = check_pair(prediction, mask)
    p = _min_max(p)
    columns = salient.sweep_overlap(p, g) | {"Em": salient.measure_alignment(p, g)[1]}
    return pd.DataFrame(columns, index=pd.Index(np.arange(255, -1, -1) / 255, name="threshold")).sort_index()


def evaluate(cases: Iterable[tuple[str, np.ndarray, np.ndarray]], convention: str = "released") -> pd.DataFrame:
    """One row per case (name, prediction, mask): its name and its ``score``; an error names the case as well.

    Under "released" and "pranet" ``table.attrs["stretched"]`` counts the maps that are above 0.5 nowhere, and are
    stretched to 0 … 1 all the same, so that a faint answer scores as a sure one.

    Under "pranet" Em is taken at one threshold for all cases, the one with the largest mean over them, as PraNet's
    script does. The mean of each image's own largest Em is higher.
    """
    rows, em, stretched = [], [], 0
    for name, prediction, mask in cases:
        try:
            rows.append({"name": name} | score(prediction, mask, convention))
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        if convention in ("released", "pranet"):
            p, _ = check_pair(prediction, mask)
            stretched += bool(p.min() < p.max() <= 0.5)
        if convention == "pranet":
            em.append(curves(prediction, mask)["Em"].to_numpy())
    table = pd.DataFrame(rows)
    if em:
        table["Em"] = np.stack(em)[:, np.mean(em, axis=0).argmax()]
    table.attrs["stretched"] = stretched
    return table


def summary(table: pd.DataFrame) -> pd.Series:
    """The mean of every metric over the images; NaN (an empty mask under "monai") is left out."""
    return table.drop(columns="name").mean()


def report(table: pd.DataFrame) -> str:
    """The summary as a small aligned table: n, then every metric to three digits; below it, how many were stretched."""
    columns = [("n", str(len(table))), *((name, f"{value:.3f}") for name, value in summary(table).items())]
    aligned = [[cell.rjust(max(map(len, column))) for cell in column] for column in columns]
    lines = list(map("  ".join, zip(*aligned, strict=True)))
    if stretched := table.attrs.get("stretched"):
        lines.append(
            f"{stretched} of {len(table)} maps are above 0.5 nowhere; they were stretched to 0 … 1 before scoring, as "
            "the papers' script does ('lgmsnet' and 'monai' stretch nothing)"
        )
    return "\n".join(lines)


def _released(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    from m2s.metrics import salient

    p = _min_max(p)
    hard = p > 0.5
    both = (hard & g).sum()
    return {
        "mDice": float((2 * p[g].sum() + SMOOTH) / (p.sum() + g.sum() + SMOOTH)),
        "mIoU": float((both + SMOOTH) / (hard.sum() + g.sum() - both + SMOOTH)),
        **salient.measure_structure(p, g),
        "Em": salient.measure_alignment(p, g)[0],
        "MAE": float(np.abs(p - g).mean()),
    }


def _pranet(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    from m2s.metrics import salient

    p, curve = _min_max(p), curves(p, g)
    return {
        "mDice": float(curve["Dice"].mean()),
        "mIoU": float(curve["IoU"].mean()),
        **salient.measure_structure(p, g),
        "Em": float(curve["Em"].max()),
        "meanEm": float(curve["Em"].mean()),
        "MAE": float(np.abs(p - g).mean()),
    }


def _lgmsnet(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    shares = compare_areas(p > 0.5, g)
    dice, iou, precision, recall, _ = shares.values()
    if not g.any():  # these are 0 then, even where nothing is predicted
        dice = precision = recall = 0.0
    return {"Dice": dice, "IoU": iou, "precision": precision, "recall": recall}


def _monai(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    scores = _lgmsnet(p, g)
    return {name: scores[name] if g.any() else float("nan") for name in ("Dice", "IoU")}


def _min_max(p: np.ndarray) -> np.ndarray:
    low, high = p.min(), p.max()
    return p if low == high else (p - low) / (high - low)
