"""What is scored: a prediction as probabilities and its mask as bool, checked."""

import numpy as np

from m2s.errors import InputError


def check_pair(prediction: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A prediction as float64 probabilities and its mask as bool.

    Args:
        prediction: (H, W), probabilities as float in [0, 1], or bool, or uint8 grey levels (255 is probability 1).
        mask: (H, W), bool, or 0 and 1, or 0 and 255.

    Raises:
        InputError: shapes that differ, values outside these ranges.
    """
    p, g = _probabilities(prediction), _binary(mask)
    if p.shape != g.shape:
        raise InputError(
            f"the prediction is {p.shape} and the mask {g.shape}: resize the prediction to the mask's size"
        )
    return p, g


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
