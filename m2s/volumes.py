"""Prediction and scores of volumes: a sliding window over the whole volume (MONAI), Dice of each class."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.errors import InputError

OVERLAP = 0.5
"""Of neighbouring windows (LGMSNet's code)."""


@torch.inference_mode()
def predict_volume(model: nn.Module, volume: Tensor, shape: Sequence[int], size: int) -> np.ndarray:
    """Class indices of one volume, uint8 of ``shape``.

    Args:
        model: in evaluation mode, of as many logits as classes, the background first.
        volume: (1, D, H, W), of :func:`m2s.data.crops.prepare`.
        shape: the volume's own (D, H, W), before it was brought to the data set's spacing.
        size: side of the window in voxels, as in training.
    """
    from monai.inferers import sliding_window_inference  # here, because it takes as long to import as torch

    device = next(model.parameters()).device
    logits = sliding_window_inference(volume[None].to(device), [size] * 3, 4, model, OVERLAP)
    if logits.shape[2:] != tuple(shape):  # the volume had been resampled
        logits = F.interpolate(logits, tuple(shape), mode="trilinear", align_corners=False)
    return logits.argmax(1)[0].byte().cpu().numpy()


def volume_scores(prediction: np.ndarray, mask: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Dice and IoU, as fractions, of each class of one volume; the background is left out.

    A class that the mask does not have is NaN, which means leave out (the convention of MONAI).

    Args:
        prediction: (D, H, W), class indices.
        mask: (D, H, W), class indices, 0 the background.
        classes: the names of the classes, without the background.

    Raises:
        InputError: shapes that differ.
    """
    if prediction.shape != mask.shape:
        raise InputError(f"the prediction is {prediction.shape} and the mask {mask.shape}: they must be of one size")
    scores = {}
    for index, name in enumerate(classes, start=1):
        p, g = prediction == index, mask == index
        both, either = np.count_nonzero(p & g), np.count_nonzero(p | g)
        known = g.any()
        scores[name] = {
            "Dice": 2 * both / (both + either) if known else np.nan,
            "IoU": both / either if known else np.nan,
        }
    return scores
