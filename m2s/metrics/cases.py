"""All scores of one test image, whatever it shows: what a run writes down for each image."""

from collections.abc import Sequence

import numpy as np

from m2s.errors import InputError
from m2s.metrics.boundary import boundary, edge_distance
from m2s.metrics.conventions import score
from m2s.metrics.overlap import overlap


def case_scores(probabilities: np.ndarray, mask: np.ndarray, classes: Sequence[str]) -> list[tuple[str, dict]]:
    """The scores of one image: (what to append to the data set's name, score by metric), an entry for each class.

    One class, ``probabilities`` (H, W): one entry, with nothing to append: the released convention's columns,
    ``overlap``, ``boundary``, and F1 and IoU of LGMSNet's convention. Several: an entry for each, called ``":RNFL"``
    and so on, with the columns of :func:`layer_scores`, whose arguments and errors are the same.
    """
    if len(classes) == 1:
        lgmsnet = score(probabilities, mask, "lgmsnet")
        scores = score(probabilities, mask) | overlap(probabilities, mask) | boundary(probabilities, mask)
        return [("", scores | {"F1": lgmsnet["Dice"], "IoU": lgmsnet["IoU"]})]
    return [(f":{name}", scores) for name, scores in layer_scores(probabilities, mask, classes).items()]


def layer_scores(prediction: np.ndarray, mask: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """For each class Dice, Jaccard, Precision, Recall, Specificity (fractions), ASD, HD95 and MED (pixels).

    Each pixel belongs to one class only, the most probable (background first where two are equal), so there is no
    threshold.

    Args:
        prediction: (H, W) class indices, or (1 + classes, H, W) probabilities or logits, the background first.
        mask: (H, W), class indices, 0 the background, which ``classes`` do not name.

    Raises:
        InputError: shapes, values or numbers of classes that do not agree.
    """
    prediction, mask = np.asarray(prediction), np.asarray(mask)
    if prediction.ndim == 3:
        if len(prediction) != len(classes) + 1:
            raise InputError(
                f"the prediction has {len(prediction)} channels, but {len(classes)} classes ({', '.join(classes)}) "
                f"and the background need {len(classes) + 1}"
            )
        prediction = prediction.argmax(0)
    for what, indices in (("prediction", prediction), ("mask", mask)):
        if indices.dtype.kind not in "iu" or indices.min() < 0 or indices.max() > len(classes):
            raise InputError(f"the {what} must hold the class indices 0 to {len(classes)} as whole numbers")
    scores = {}
    for index, name in enumerate(classes, start=1):
        p, g = prediction == index, mask == index
        scores[name] = overlap(p, g) | boundary(p, g) | {"MED": edge_distance(p, g)}
    return scores
