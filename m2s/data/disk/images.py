"""Read images, masks and prediction maps from picture files: what the values of :mod:`m2s.data.disk.pictures` mean.

All stand upright: a tag of the camera that turns the picture (EXIF orientation) is followed, for image, mask and map.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from m2s.data.disk import dicom
from m2s.data.disk.masks import Color, find_foreground, look_up_colors
from m2s.data.disk.numbers import to_indices
from m2s.data.disk.pictures import Picture, align, read_picture
from m2s.errors import InputError
from m2s.paths import MARK

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", dicom.EXTENSION)


def read_image(file: str | Path | BinaryIO) -> np.ndarray:
    """An image as RGB, uint8 (H, W, 3), at its own size; transparency is dropped, grey becomes three equal channels.

    Images of more than 8 bits are scaled by their own range, from the lowest value (0) to the highest (255): Pillow's
    own conversion would clip a 16-bit image at 255, which is white nearly everywhere. (Of a 16-bit PNG in colour the
    upper byte is read.) ``file`` is a path, or an open file with a ``name``.
    """
    return _to_rgb(read_picture(file))


def _to_rgb(picture: Picture) -> np.ndarray:
    values = picture.values
    if values.dtype != np.uint8:
        wide = values.astype(np.float64)
        low, high = wide.min(), wide.max()
        values = np.round((wide - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)
    return np.repeat(values[..., None], 3, 2) if values.ndim == 2 else np.ascontiguousarray(values)


def read_mask(path: str | Path, classes: int = 1, colors: tuple[Color, ...] = ()) -> np.ndarray:
    """A mask as uint8 (H, W) of class indices, 0 to ``classes``; 0 is the background.

    One class: :func:`m2s.data.disk.masks.find_foreground` says what is foreground. Several: with ``colors`` (of class
    0, 1, …) each pixel must have one of these; without, the file holds the indices themselves. Whatever else a file
    holds is an ``InputError``.
    """
    return _to_classes(read_picture(path), classes, colors)


def _to_classes(picture: Picture, classes: int, colors: tuple[Color, ...]) -> np.ndarray:
    if colors:
        return look_up_colors(picture, colors)
    if classes == 1:
        return find_foreground(picture).astype(np.uint8)
    values = picture.values
    if values.ndim == 3 and (values != values[..., :1]).any():
        raise InputError(f"{picture.name} is coloured; a mask of {classes} classes holds their indices, as grey")
    return to_indices(values if values.ndim == 2 else values[..., 0], classes, picture.name)


def read_map_and_mask(map_path: str | Path, mask_path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """A prediction map and the mask of one class that it lies on, each at its own size.

    The map is uint8 (h, w), 255 for probability 1, or float (h, w) in [0, 1]; the mask is uint8 (H, W).

    Raises:
        InputError: a map in colour, of other numbers, or of the mask's size with width and height exchanged.
    """
    mask = read_picture(mask_path)
    picture = align(mask, read_picture(map_path))
    (height, width), values = mask.shape, picture.values
    if picture.alpha is not None and np.ptp(picture.alpha):
        raise InputError(f"{map_path} is transparent in part: write a prediction map in grey, 255 for probability 1")
    if values.ndim == 3:
        if np.ptp(values, axis=-1).max() > 2:
            raise InputError(f"{map_path} is coloured: write a prediction map in grey, 255 for probability 1")
        values = values[..., 0]
    if values.dtype.kind == "f":
        if values.min() < 0 or values.max() > 1:
            low, high = values.min(), values.max()
            raise InputError(f"{map_path} holds {low:g} to {high:g}: probabilities are between 0 and 1")
    elif values.dtype != np.uint8:
        raise InputError(
            f"{map_path} holds {values.dtype} values: write predictions as 8-bit grey, 255 for probability 1"
        )
    if picture.shape == (width, height) != mask.shape:
        raise InputError(f"{map_path} is {height}×{width} pixels, but its mask {mask_path} is {width}×{height}")
    return values, find_foreground(mask).astype(np.uint8)


def encode_png(pixels: np.ndarray) -> bytes:
    """uint8 (H, W) or (H, W, 3) as a PNG file that carries :data:`m2s.paths.MARK`."""
    note, stream = PngInfo(), BytesIO()
    note.add_text("Comment", MARK)
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=note)
    return stream.getvalue()


@dataclass(frozen=True)
class FilePair:
    """An image file and its mask files; several masks of one image are merged."""

    name: str
    image: Path
    masks: tuple[Path, ...]
    group: str = ""
    """Patient, clip or class, where the folders tell."""
    classes: int = 1
    colors: tuple[Color, ...] = ()
    """Colours of class 0, 1, … in the mask file; () for a mask of one class, or of indices."""

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Image uint8 (H, W, 3) and mask uint8 (H, W) of one size, upright."""
        picture = read_picture(self.image)
        image, masks = _to_rgb(picture), []
        for path in self.masks:
            masks.append(_to_classes(align(picture, read_picture(path)), self.classes, self.colors))
            if image.shape[:2] != masks[-1].shape:
                (h, w), (mh, mw) = image.shape[:2], masks[-1].shape
                raise InputError(f"{path} is {mw}×{mh} pixels, but its image {self.image} is {w}×{h}")
        return image, np.maximum.reduce(masks)
