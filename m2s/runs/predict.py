"""Predictions at an image's or a volume's own size."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.data.tensors import normalize
from m2s.errors import InputError


@torch.inference_mode()
def predict(model: nn.Module, image: np.ndarray, size: int | None = None) -> np.ndarray:
    """Probabilities of one image at its own size: float32 ``(H, W)``; ``(C, H, W)`` for a model of C > 1 classes.

    Args:
        model: in evaluation mode, as :func:`m2s.create_model` makes it; an InputError if it takes volumes.
        image: uint8 ``(H, W, 3)``, RGB.
        size: the square side that the network sees, by default the one it was trained at (``model.size``).
    """
    if any(p.ndim == 5 for p in model.parameters()):
        raise InputError("this network takes volumes, not images: predict with m2s.runs.predict.predict_volume")
    size = size or getattr(model, "size", None)
    if size is None:
        raise InputError("this network does not say which side it was trained at: give predict a size in pixels")
    device = next(model.parameters()).device
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(device).float() / 255
    x = F.interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=True)
    probabilities = model(normalize(x, model.mean, model.std)).float().sigmoid()
    probabilities = F.interpolate(probabilities, image.shape[:2], mode="bilinear", align_corners=False)[0]
    return (probabilities[0] if len(probabilities) == 1 else probabilities).cpu().numpy()


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
