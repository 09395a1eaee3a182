"""Scores of one prediction and of a folder of them, under each convention that the papers' tables follow.

A table headed "Dice" can mean four different numbers: see ``CONVENTIONS``. The salient-object measures come from
PySODMetrics: weighted F (Margolin et al., CVPR 2014, β² = 1), S-measure (Fan et al., ICCV 2017, α = 0.5) and E-measure
(Fan et al., IJCAI 2018).

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
from py_sod_metrics import DICEHandler, Emeasure, FmeasureV2, IOUHandler, Smeasure, WeightedFmeasure

from m2s.errors import InputError, unknown

CONVENTIONS = {
    "released": "MSNet, M2SNet: soft Dice of the min-max-normalised map, IoU at 0.5, E-measure at the threshold 2·mean",
    "pranet": "PraNet's MATLAB: Dice and IoU averaged over 256 thresholds, largest and mean E-measure over them",
    "lgmsnet": "LGMSNet: F1 and IoU at 0.5 without normalisation, precision, recall",
    "monai": "MONAI, nnU-Net: Dice and IoU at 0.5 without normalisation, NaN (left out of the mean) for an empty mask",
}
"""What each convention computes. All are per image, then averaged over images."""

SMOOTH = 1e-5


def score(prediction: np.ndarray, mask: np.ndarray, convention: str = "released") -> dict[str, float]:
    """The scores of one prediction.

    :param prediction: (H, W), probabilities as float in [0, 1], or bool, or uint8 grey levels (255 is probability 1).
    :param mask: (H, W), bool, or 0 and 1, or 0 and 255.
    :param convention: a name in ``CONVENTIONS``.
    :return: "released" mDice, mIoU, wFm, Sm, Em, MAE (the columns of Table 1 of the M2SNet paper); "pranet" the same
        and meanEm; "lgmsnet" Dice, IoU, precision, recall; "monai" Dice, IoU. Em of "pranet" is the largest over the
        thresholds of this one image; over a data set it needs one threshold for all, see ``evaluate``.
    :raises InputError: unknown convention, shapes that differ, values outside the ranges above.
    """
    if convention not in CONVENTIONS:
        raise unknown("convention", convention, CONVENTIONS)
    p, g = checked(prediction, mask)
    return {"released": _released, "pranet": _pranet, "lgmsnet": _lgmsnet, "monai": _monai}[convention](p, g)


def checked(prediction: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A prediction as float64 probabilities and its mask as bool, both (H, W); what is not one is an InputError."""
    p, g = _probabilities(prediction), _binary(mask)
    if p.shape != g.shape:
        raise InputError(
            f"the prediction is {p.shape} and the mask {g.shape}: resize the prediction to the mask's size"
        )
    return p, g


def curves(prediction: np.ndarray, mask: np.ndarray) -> pd.DataFrame:
    """Dice, IoU and Em of the min-max-normalised map, taken as p ≥ threshold at 0/255, 1/255 … 255/255 (the index)."""
    p, g = _min_max(_probabilities(prediction)), _binary(mask)
    overlap = {"Dice": DICEHandler(True, False), "IoU": IOUHandler(True, False)}
    FmeasureV2(overlap).step(p, g, normalize=False)
    columns = {name: handler.dynamic_results[0] for name, handler in overlap.items()}
    columns["Em"] = _e_measure(p, g).changeable_ems[0]
    falling = pd.DataFrame(columns, index=pd.Index(np.arange(255, -1, -1) / 255, name="threshold"))
    return falling.sort_index()


def evaluate(cases: Iterable[tuple[str, np.ndarray, np.ndarray]], convention: str = "released") -> pd.DataFrame:
    """One row per case: its name and its ``score``.

    Under "pranet" Em is taken at one threshold for all cases, the one with the largest mean over them, as PraNet's
    script does. The mean of each image's own largest Em is higher (PraNet's maps of Kvasir: 0.972 against 0.944).

    :param cases: (name, prediction, mask), the arrays as for ``score``.
    """
    rows, em = [], []
    for name, prediction, mask in cases:
        try:
            rows.append({"name": name} | score(prediction, mask, convention))
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        if convention == "pranet":
            em.append(curves(prediction, mask)["Em"].to_numpy())
    table = pd.DataFrame(rows)
    if em:
        table["Em"] = np.stack(em)[:, np.mean(em, axis=0).argmax()]
    return table


def summary(table: pd.DataFrame) -> pd.Series:
    """The mean of every metric over the images; NaN (an empty mask under "monai") is left out."""
    return table.drop(columns="name").mean()


def report(table: pd.DataFrame) -> str:
    """The summary as a small aligned table: n, then every metric to three digits."""
    cells = {"n": str(len(table))} | {name: f"{value:.3f}" for name, value in summary(table).items()}
    widths = [max(len(name), len(value)) for name, value in cells.items()]
    lines = (cells.keys(), cells.values())
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _released(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    p = _min_max(p)
    hard = p > 0.5
    both = (hard & g).sum()
    return {
        "mDice": float((2 * p[g].sum() + SMOOTH) / (p.sum() + g.sum() + SMOOTH)),
        "mIoU": float((both + SMOOTH) / (hard.sum() + g.sum() - both + SMOOTH)),
        **_structural(p, g),
        "Em": float(_e_measure(p, g).adaptive_ems[0]),
        "MAE": float(np.abs(p - g).mean()),
    }


def _pranet(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    p, curve = _min_max(p), curves(p, g)
    return {
        "mDice": float(curve["Dice"].mean()),
        "mIoU": float(curve["IoU"].mean()),
        **_structural(p, g),
        "Em": float(curve["Em"].max()),
        "meanEm": float(curve["Em"].mean()),
        "MAE": float(np.abs(p - g).mean()),
    }


def _lgmsnet(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    hard = p > 0.5
    both, predicted, true = int((hard & g).sum()), int(hard.sum()), int(g.sum())
    return {
        "Dice": 2 * both / (predicted + true) if both else 0.0,
        "IoU": both / (predicted + true - both) if predicted + true else 1.0,
        "precision": both / predicted if predicted else 0.0,
        "recall": both / true if true else 0.0,
    }


def _monai(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    scores = _lgmsnet(p, g)
    return {name: scores[name] if g.any() else float("nan") for name in ("Dice", "IoU")}


class _Structure(Smeasure):
    """A foreground centred in the last row or column leaves quadrants without a pixel, which would give NaN."""

    def ssim(self, pred: np.ndarray, gt: np.ndarray) -> float:
        return super().ssim(pred, gt) if pred.size else 0.0


def _structural(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    weighted_f, structure = WeightedFmeasure(beta=1), _Structure(alpha=0.5)
    weighted_f.step(p, g, normalize=False)
    structure.step(p, g, normalize=False)
    return {"wFm": float(weighted_f.weighted_fms[0]), "Sm": float(structure.sms[0])}


def _e_measure(p: np.ndarray, g: np.ndarray) -> Emeasure:
    measure = Emeasure()
    measure.step(p, g, normalize=False)
    return measure


def _min_max(p: np.ndarray) -> np.ndarray:
    low, high = p.min(), p.max()
    return p if low == high else (p - low) / (high - low)


def _probabilities(prediction: np.ndarray) -> np.ndarray:
    prediction = np.asarray(prediction)
    if prediction.ndim != 2 or not prediction.size:
        raise InputError(
            f"a prediction must be (H, W), not {prediction.shape}: score one image and one class at a time"
        )
    if prediction.dtype == np.uint8:
        return prediction / 255
    if prediction.dtype != bool and prediction.dtype.kind != "f":
        raise InputError(f"a prediction of type {prediction.dtype}: give float in [0, 1], bool, or uint8 in 0 … 255")
    p = prediction.astype(np.float64)
    if not (p.min() >= 0 and p.max() <= 1):  # also true of NaN
        raise InputError(
            f"the prediction's values {p.min():.3g} … {p.max():.3g} are not in [0, 1]: apply the sigmoid first"
        )
    return p


def _binary(mask: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.dtype == bool:
        return mask
    top = 255 if (mask == 255).any() else 1
    if not ((mask == 0) | (mask == top)).all():
        raise InputError("the mask must hold 0 and 1, or 0 and 255: threshold it (127), or score one class at a time")
    return mask == top
