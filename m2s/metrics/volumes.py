"""Overlap of volumes, class by class."""

from collections.abc import Sequence

import numpy as np

from m2s.errors import InputError
from m2s.metrics.overlap import compare_areas


def volume_scores(prediction: np.ndarray, mask: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Dice and IoU, as fractions, of each class of a volume of class indices (D, H, W) but 0, the background.

    A class that the mask does not have is NaN, which means leave out (the convention of MONAI).
    """
    if prediction.shape != mask.shape:
        raise InputError(f"the prediction is {prediction.shape} and the mask {mask.shape}: they must be of one size")
    scores = {}
    for index, name in enumerate(classes, start=1):
        true = mask == index
        shares = compare_areas(prediction == index, true)
        dice, iou = (shares["Dice"], shares["Jaccard"]) if true.any() else (np.nan, np.nan)
        scores[name] = {"Dice": dice, "IoU": iou}
    return scores
