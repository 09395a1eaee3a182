"""Score a folder of prediction maps against a folder of masks."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from m2s.data.disk.folders import list_files
from m2s.data.disk.images import EXTENSIONS, read_map_and_mask
from m2s.errors import InputError, some, told_where, unknown
from m2s.metrics.conventions import CONVENTIONS, evaluate


def evaluate_folders(
    predictions: str | Path, masks: str | Path, convention: str = "released", partial: bool = False
) -> pd.DataFrame:
    """``evaluate`` for a folder of prediction maps and a folder of masks, paired by file name without extension.

    Predictions are resized (bilinear) to their mask's size. With ``partial`` only the images that have both are scored,
    where some masks have no prediction.

    Raises:
        InputError: no such folder, no images, names that do not pair, a file that is not an image, an unknown
            convention, or predictions that hold only 0 and 1 of 255.
    """
    if convention not in CONVENTIONS:
        raise unknown("convention", convention, CONVENTIONS)
    predicted, true = _list_images(Path(predictions), "predictions"), _list_images(Path(masks), "masks")
    if extra := sorted(predicted.keys() - true.keys()):
        raise InputError(f"{len(extra)} of {len(predicted)} predictions have no mask in {masks}: {some(extra)}")
    if (missing := sorted(true.keys() - predicted.keys())) and not partial:
        raise InputError(
            f"{len(missing)} of {len(true)} masks have no prediction in {predictions}: {some(missing)}; "
            "partial=True (--partial) scores only those that have one"
        )
    highest = []

    def read_cases():
        for name, path in predicted.items():
            values, mask = read_map_and_mask(path, true[name])
            highest.append(values.max() if values.dtype == np.uint8 else 255)
            yield name, _resize_map(values, mask.shape), mask

    table = evaluate(read_cases(), convention)
    if max(highest) == 1:
        raise InputError(
            f"the predictions in {predictions} hold only the values 0 and 1, where 255 stands for probability 1: "
            "write them as 0 and 255"
        )
    return table


def _list_images(folder: Path, content: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"no such folder of {content}: {folder}")
    with told_where(folder):
        files = list_files(folder)
    if not files:
        raise InputError(f"no images in the folder of {content} {folder}: expected {', '.join(EXTENSIONS)} files")
    return files


def _resize_map(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map of another size as probabilities, float32 of ``shape``; one of that size as it is."""
    if values.shape == shape:
        return values
    height, width = shape
    scale = 255 if values.dtype == np.uint8 else 1
    p = Image.fromarray(values.astype(np.float32) / scale)  # as float, so that resizing does not round to 8 bits
    return np.asarray(p.resize((width, height), Image.Resampling.BILINEAR)).clip(0, 1)
