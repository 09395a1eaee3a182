"""Score a folder of prediction maps against a folder of masks."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from m2s.data.disk.images import EXTENSIONS, read_image, read_mask
from m2s.errors import InputError, some, unknown
from m2s.metrics.conventions import CONVENTIONS, evaluate


def evaluate_folders(
    predictions: str | Path, masks: str | Path, convention: str = "released", partial: bool = False
) -> pd.DataFrame:
    """``evaluate`` for a folder of prediction maps and a folder of masks, paired by file name without extension.

    Predictions are resized (bilinear) to their mask's size, masks are cut at 127 of 255 (or are 0 and 1 already).

    :param partial: score only the images that have both, where some masks have no prediction.
    :raises InputError: no such folder, no images, names that do not pair, a file that is not an image, an unknown
        convention, or predictions that hold only 0 and 1 of 255.
    """
    if convention not in CONVENTIONS:
        raise unknown("convention", convention, CONVENTIONS)
    predicted, true = _files(Path(predictions), "predictions"), _files(Path(masks), "masks")
    if extra := sorted(predicted.keys() - true.keys()):
        raise InputError(f"{len(extra)} of {len(predicted)} predictions have no mask in {masks}: {some(extra)}")
    if (missing := sorted(true.keys() - predicted.keys())) and not partial:
        raise InputError(
            f"{len(missing)} of {len(true)} masks have no prediction in {predictions}: {some(missing)}; "
            "partial=True (--partial) scores only those that have one"
        )
    largest = []

    def cases():
        for name, path in predicted.items():
            mask, grey = read_mask(true[name]), _read_map(path)
            largest.append(grey.getextrema()[1])
            yield name, _resized(grey, mask.shape), mask

    table = evaluate(cases(), convention)
    if max(largest) == 1:
        raise InputError(f"the predictions in {predictions} hold only 0 and 1 of 255: write them as 0 and 255")
    return table


def _files(folder: Path, what: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"no such folder of {what}: {folder}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith("."):
            if path.stem in found:
                raise InputError(
                    f"two files for the name '{path.stem}' in {folder}: {found[path.stem].name}, {path.name}"
                )
            found[path.stem] = path
    if not found:
        raise InputError(f"no images in the folder of {what} {folder}: expected {', '.join(sorted(EXTENSIONS))} files")
    return found


def _read_map(path: Path) -> Image.Image:
    rgb = read_image(path)
    with suppress(UnidentifiedImageError), Image.open(path) as opened:
        if opened.mode[0] in "IF":  # 16 or 32 bits a pixel, which reading as RGB cuts off at 255
            raise InputError(
                f"{path} has more than 8 bits a pixel: write predictions as 8-bit grey, 255 for probability 1"
            )
    return Image.fromarray(rgb).convert("L")


def _resized(grey: Image.Image, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    if grey.size == (width, height):
        return np.asarray(grey)
    p = Image.fromarray(np.asarray(grey, dtype=np.float32) / 255)  # as float, so that resizing does not round to 8 bits
    return np.asarray(p.resize((width, height), Image.Resampling.BILINEAR)).clip(0, 1)
