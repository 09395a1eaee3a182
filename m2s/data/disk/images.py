"""Read one image and its mask from files: JPEG, PNG, BMP, TIFF and DICOM, always as uint8.

Pixels are taken as they are stored: a camera's note that the picture should be turned (EXIF) counts only where the mask
has the size of the turned picture and not of the stored one.
"""

from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from m2s.data.disk import dicom
from m2s.errors import InputError, unreadable
from m2s.paths import MARK

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", dicom.EXTENSION)
Color = tuple[int, int, int]


def read_values(file: str | Path | BinaryIO, upright: bool = False) -> np.ndarray:
    """What a picture file holds: (H, W) or (H, W, 3 or 4), of the file's own number type; palettes are looked up.

    ``file`` is a path, or an open file with a ``name``; ``upright`` turns the picture as its EXIF note says.
    """
    if isinstance(file, str | Path):
        try:
            with open(file, "rb") as opened:
                return read_values(opened, upright)
        except OSError as error:
            raise unreadable(file, error) from error
    try:
        if not file.seek(0, SEEK_END):
            raise InputError(f"cannot read {file.name}: the file is empty; fetch it again")
        file.seek(0)
        try:
            picture = Image.open(file)
        except UnidentifiedImageError:
            # ClinicDB's own TIFF files are of a kind that Pillow does not know; tifffile does.
            if Path(file.name).suffix.lower() not in {".tif", ".tiff"}:
                raise
            return _read_tiff(file)
        if picture.format == "TIFF" and picture.mode != "L" and 16 in picture.tag_v2.get(258, ()) and not upright:
            return _read_tiff(file)  # of 16-bit colour Pillow keeps the upper byte only
        picture.load()
        picture = ImageOps.exif_transpose(picture) if upright else picture
        if picture.mode in {"P", "PA"}:
            transparent = picture.mode == "PA" or "transparency" in picture.info
            picture = picture.convert("RGBA" if transparent else "RGB")
        elif picture.mode in {"1", "LA", "La"}:
            picture = picture.convert("L")
        elif picture.mode not in {"L", "RGB", "RGBA", "F"} and not picture.mode.startswith("I"):
            picture = picture.convert("RGB")
        return np.asarray(picture)
    except UnidentifiedImageError:
        raise InputError(f"cannot read {file.name}: this is not an image; fetch it again") from None
    except InputError:
        raise
    except Exception as error:  # decoders raise nearly anything for a broken file: SyntaxError, struct.error, …
        raise unreadable(file.name, error) from error


def _read_tiff(file: BinaryIO) -> np.ndarray:
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        series = tiff.series[0]
        values, axes = series.asarray(), series.axes
    if axes == "SYX" and values.shape[0] in {3, 4}:  # one plane for each colour
        return np.moveaxis(values, 0, -1)
    if values.ndim == 2 or (values.ndim == 3 and values.shape[-1] in {3, 4}):
        return values
    raise InputError(f"cannot read {file.name}: it holds {values.ndim} dimensions ({axes}), not one picture")


def encode_png(pixels: np.ndarray) -> bytes:
    """uint8 (H, W) or (H, W, 3) as a PNG file that carries :data:`m2s.paths.MARK`."""
    note, stream = PngInfo(), BytesIO()
    note.add_text("Comment", MARK)
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=note)
    return stream.getvalue()


def read_image(file: str | Path | BinaryIO, upright: bool = False) -> np.ndarray:
    """An image as RGB, uint8 (H, W, 3), at its own size; transparency is dropped, grey becomes three equal channels.

    Images of more than 8 bits are scaled by their own range, from the lowest value (0) to the highest (255): Pillow's
    own conversion would clip a 16-bit image at 255, which is white nearly everywhere. (Of a 16-bit PNG in colour the
    upper byte is read.) The arguments are those of :func:`read_values`.
    """
    if dicom.is_dicom(file):
        return dicom.read_dicom(file)
    values = read_values(file, upright)
    if values.dtype != np.uint8:
        wide = np.nan_to_num(values.astype(np.float64))
        low, high = wide.min(), wide.max()
        values = np.round((wide - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)
    return np.repeat(values[..., None], 3, 2) if values.ndim == 2 else np.ascontiguousarray(values[..., :3])


def read_mask(path: str | Path, classes: int = 1, colors: tuple[Color, ...] = ()) -> np.ndarray:
    """A mask as uint8 (H, W) of class indices, 0 to ``classes``; 0 is the background.

    One class: anything above 127 (of 255; half, where a file has 16 bits) is foreground, because Kvasir-SEG's masks are
    JPEG files, with values 0–5 and 250–255, and some of ClinicDB's have grey edges. Of a coloured mask the brightest
    channel counts, and what is transparent is background. A mask that holds only 0 and 1 is taken as it is.

    Several classes: with ``colors`` (of class 0, 1, …) each pixel must have one of these; without, the file holds the
    indices themselves. Another colour or index is an ``InputError``.
    """
    values = read_values(path)
    if colors:
        return _look_up_colors(path, values, colors)
    if values.ndim == 3:
        visible = values[..., 3] > 127 if values.shape[-1] == 4 else True
        values = values[..., :3].max(-1) * visible
    highest = values.max()
    if classes == 1:
        half = 0 if highest <= 1 else 127 if highest <= 255 else 32767
        return (values > half).astype(np.uint8)
    if highest > classes or values.min() < 0:
        wrong = highest if highest > classes else values.min()
        raise InputError(f"{path} holds the value {wrong}, but the classes are 0 to {classes}; prepare the set again")
    return values.astype(np.uint8)


def _look_up_colors(path: str | Path, values: np.ndarray, colors: tuple[Color, ...]) -> np.ndarray:
    if values.dtype != np.uint8:
        raise InputError(f"{path} holds {values.dtype} values, not a colour or a grey of 8 bits for each class")
    rgb = np.repeat(values[..., None], 3, 2) if values.ndim == 2 else values[..., :3]
    code = rgb.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    mask = np.full(code.shape, 255, np.uint8)
    for index, (r, g, b) in enumerate(colors):
        mask[code == (r << 16 | g << 8 | b)] = index
    if (unknown := mask == 255).any():
        r, g, b = rgb[unknown][0]
        raise InputError(
            f"{path} holds the colour ({r}, {g}, {b}) in {unknown.sum()} pixels, which stands for no class; "
            f"known: {', '.join(map(str, colors))}"
        )
    return mask


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
        """Image uint8 (H, W, 3) and mask uint8 (H, W) of one size."""
        image = read_image(self.image)
        masks = [read_mask(path, self.classes, self.colors) for path in self.masks]
        if image.shape[0] != image.shape[1] and masks[0].shape == image.shape[1::-1]:
            image = read_image(self.image, upright=True)
        for path, mask in zip(self.masks, masks, strict=True):
            if image.shape[:2] != mask.shape:
                (h, w), (mh, mw) = image.shape[:2], mask.shape
                raise InputError(f"{path} is {mw}×{mh} pixels, but its image {self.image} is {w}×{h}")
        return image, np.maximum.reduce(masks)
