"""Predictions at an image's or a volume's own size."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.baselines.support import InContext
from m2s.data.tensors import normalize
from m2s.errors import InputError


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
    return _predict_frames(model, [image], size)[0]


def predict_clip(model: nn.Module, frames: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
    """As :func:`predict`, of all frames of a clip at once, for a network that takes clips ``(N, T, 3, H, W)``."""
    return _predict_frames(model, frames, size, lambda x: model(x[None])[0])


@torch.inference_mode()
def _predict_frames(
    model: nn.Module, frames: Sequence[np.ndarray], size: int, forward: Callable[[Tensor], Tensor] | None = None
) -> list[np.ndarray]:
    """Probabilities of each frame at its own size; ``forward`` maps frames ``(T, 3, size, size)`` to logits."""
    if isinstance(model, InContext):
        model.check_support()
    device, seen = next(model.parameters()).device, []
    for frame in frames:
        x = torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].to(device).float() / 255
        seen.append(F.interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=True))
    logits = (forward or model)(normalize(torch.cat(seen), model.mean, model.std))
    found = []
    for frame, probabilities in zip(frames, logits.float().sigmoid(), strict=True):
        p = F.interpolate(probabilities[None], frame.shape[:2], mode="bilinear", align_corners=False)[0]
        found.append((p[0] if len(p) == 1 else p).cpu().numpy())
    return found


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
