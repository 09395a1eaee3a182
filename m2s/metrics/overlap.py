"""How two areas overlap, of hard masks: the columns of M2SNet's breast (Table 4) and lung (Table 3) tables."""

import numpy as np

from m2s.metrics.pairs import check_pair


def overlap(prediction: np.ndarray, mask: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """The fractions of :func:`compare_areas` of one pair as :func:`m2s.metrics.pairs.check_pair` takes it.

    The papers' script for these columns is not released. Taken here is p > threshold of the map as predicted, without
    the min-max normalisation of :func:`m2s.metrics.conventions.score`: an answer that nothing is there stays one.
    """
    p, g = check_pair(prediction, mask)
    return compare_areas(p > threshold, g)


def compare_areas(prediction: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Dice, Jaccard, Precision, Recall and Specificity of two areas, bool arrays of one shape, as fractions.

    **Empty masks** (BUSI has 133 normal images, without a tumour) make 0/0 of four of the five. Here Dice, Jaccard,
    Precision and Recall are 1 where mask and prediction are both empty, and 0 where only one of the two is; so a false
    alarm on a normal image costs as much as a missed tumour. Specificity is 1 where the mask leaves no background.
    """
    both, predicted, true = (int(np.count_nonzero(area)) for area in (prediction & mask, prediction, mask))
    background, false_alarms = mask.size - true, predicted - both
    neither = float(not predicted and not true)

    def share(part: int, whole: int) -> float:
        return part / whole if whole else neither

    return {
        "Dice": share(2 * both, predicted + true),
        "Jaccard": share(both, predicted + true - both),
        "Precision": share(both, predicted),
        "Recall": share(both, true),
        "Specificity": (background - false_alarms) / background if background else 1.0,
    }
