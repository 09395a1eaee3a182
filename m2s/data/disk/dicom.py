"""Read one picture from a DICOM file, as a viewer shows it."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from m2s.data.disk.numbers import check_finite
from m2s.errors import InputError, unreadable

EXTENSION = ".dcm"


def is_dicom(file: str | Path | BinaryIO) -> bool:
    """Whether a file is DICOM by the four letters after its preamble; many have no extension."""
    if not isinstance(file, str | Path):
        file.seek(128)
        found = file.read(4) == b"DICM"
        file.seek(0)
        return found
    try:
        with open(file, "rb") as opened:
            return is_dicom(opened)
    except OSError:  # reading it tells what is wrong
        return False


def read_dicom(file: str | Path | BinaryIO) -> np.ndarray:
    """The picture as RGB, uint8 (H, W, 3).

    Grey values go through the file's rescale slope and its first window (centre and width); without a window they are
    scaled by their own range, but 8-bit pictures without one stay as they are. MONOCHROME1, where 0 is white, is
    inverted.

    Raises:
        InputError: no picture in it, several frames, or pixels packed in a way that no decoder at hand reads.
    """
    import pydicom
    from pydicom.pixels import apply_rescale, pixel_array

    name = file if isinstance(file, str | Path) else file.name
    try:
        dataset = pydicom.dcmread(file)
        if "PixelData" not in dataset:
            raise InputError(f"{name} holds no picture (DICOM {dataset.get('Modality', 'of unknown kind')})")
        if (frames := int(dataset.get("NumberOfFrames") or 1)) > 1:
            raise InputError(f"{name} holds {frames} frames: export the one that is wanted as a file of its own")
        pixels = pixel_array(dataset)
        if pixels.ndim == 3:
            return np.ascontiguousarray(_scale(pixels, 0, 2 ** int(dataset.BitsStored) - 1))
        values = apply_rescale(pixels, dataset).astype(np.float64)
    except InputError:
        raise
    except Exception as error:  # decoders raise nearly anything for a broken file
        raise unreadable(Path(name), error) from error
    check_finite(values, name)
    centre, width = (_first(dataset.get(tag)) for tag in ("WindowCenter", "WindowWidth"))
    if centre is not None and width is not None and width > 1:
        grey = _scale(values, centre - width / 2, centre + width / 2 - 1)  # PS3.3 C.11.2.1.2, a linear window
    elif pixels.dtype == np.uint8 and np.array_equal(values, pixels):
        grey = pixels
    else:
        grey = _scale(values, values.min(), values.max())
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        grey = 255 - grey
    return np.repeat(grey[..., None], 3, 2)


def _scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """``low`` … ``high`` as 0 … 255, what lies outside cut."""
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    return np.rint(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _first(value: object) -> float | None:
    """The first of several windows."""
    if value is None or value == "":
        return None
    return float(value[0] if isinstance(value, list | tuple) or hasattr(value, "__len__") else value)
