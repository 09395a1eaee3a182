"""Decode a picture file (JPEG, PNG, BMP, TIFF, DICOM), upright: its values, its transparency, how it was turned."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from m2s.data.disk import dicom
from m2s.data.disk.numbers import check_finite
from m2s.errors import InputError, unreadable

ORIENTATION = 0x0112
"""The tag of EXIF, and of TIFF, that says how the stored picture must be turned to stand upright."""

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP")
"""What is read, by content and whatever a file is called. Of the other formats that Pillow knows some run programs."""

TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}
"""From the stored picture to the upright one, by the number of the tag."""


@dataclass(frozen=True)
class Picture:
    """What a picture file holds, standing upright."""

    name: str
    values: np.ndarray
    """(H, W) or (H, W, 3), of the file's own number type; palettes are looked up."""
    alpha: np.ndarray | None
    """uint8 (H, W), 0 where it is transparent; ``None`` for a file without transparency."""
    orientation: int
    """What the file's tag says, 1 to 8: the stored picture was turned by ``TURNS[orientation]``."""
    lossy: bool
    """Whether JPEG has changed the values a little."""

    @property
    def shape(self) -> tuple[int, int]:
        return self.values.shape[:2]

    def turn(self, orientation: int) -> "Picture":
        """The picture turned as a tag would say."""
        turn = TURNS[orientation]
        alpha = None if self.alpha is None else turn(self.alpha)
        return replace(self, values=turn(self.values), alpha=alpha, orientation=orientation)


def align(picture: Picture, other: Picture) -> Picture:
    """``other`` as it lies on ``picture``, where one of the two files has a tag that turns it and the other has none.

    Their sizes tell whether the one without a tag belongs to the stored or to the upright picture; it is turned in the
    first case. Where they cannot tell, since both have one size, that is an ``InputError``.
    """
    if picture.orientation == other.orientation or 1 not in (picture.orientation, other.orientation):
        return other
    tagged, plain = (picture, other) if other.orientation == 1 else (other, picture)
    if tagged.orientation < 5 or tagged.shape[0] == tagged.shape[1]:
        raise InputError(
            f"{tagged.name} has a tag that turns the picture (EXIF orientation {tagged.orientation}) and {plain.name} "
            "has none, so nobody can tell whether they lie on each other: save both upright, without the tag"
        )
    return other.turn(picture.orientation) if other is plain and other.shape == picture.shape[::-1] else other


def read_picture(file: str | Path | BinaryIO) -> Picture:
    """Decode a path, or an open file with a ``name``.

    Raises:
        InputError: no such file, no picture, a damaged one, several pages, or values that are no numbers.
    """
    if isinstance(file, str | Path):
        try:
            with open(file, "rb") as opened:
                return read_picture(opened)
        except OSError as error:
            raise unreadable(file, error) from error
    if dicom.is_dicom(file):
        return Picture(file.name, dicom.read_dicom(file), None, 1, lossy=False)
    try:
        if not file.seek(0, SEEK_END):
            raise InputError(f"cannot read {file.name}: the file is empty; fetch it again")
        file.seek(0)
        picture = _decode(file)
    except UnidentifiedImageError:
        others = {extension for extension, kind in Image.registered_extensions().items() if kind not in FORMATS}
        advice = "this is not an image; fetch it again"
        if Path(file.name).suffix.lower() in {".heic", ".heif", ".svg", *others}:
            advice = f"{', '.join(FORMATS)} and DICOM are read here; save it as one of them"
        raise InputError(f"cannot read {file.name}: {advice}") from None
    except InputError:
        raise
    except Exception as error:  # decoders raise nearly anything for a broken file: SyntaxError, struct.error, …
        raise unreadable(file.name, error) from error
    if not picture.values.size:
        raise InputError(f"cannot read {file.name}: it holds no pixels; fetch it again")
    if picture.values.dtype.kind not in "iuf":
        raise InputError(f"{picture.name} holds {picture.values.dtype} values, not numbers that can be shown")
    check_finite(picture.values, picture.name)
    return picture


def _decode(file: BinaryIO) -> Picture:
    try:
        picture = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        # ClinicDB's own TIFF files are of a kind that Pillow does not know; tifffile does.
        if Path(file.name).suffix.lower() not in {".tif", ".tiff"}:
            raise
        return _decode_tiff(file)
    _check_pages(file.name, _count_pages(picture))
    if picture.format == "TIFF" and _is_misread(picture):
        return _decode_tiff(file)
    inverted = picture.format == "TIFF" and picture.tag_v2.get(262) == 0  # the lowest value is white
    deep = picture.format == "PNG" and str(picture.tile[0][3]).endswith(";16B") and not picture.mode.startswith("I")
    lossy = picture.format in {"JPEG", "MPO", "WEBP"} or picture.info.get("compression") == "jpeg"
    orientation = picture.getexif().get(ORIENTATION, 1)
    orientation = orientation if orientation in TURNS else 1
    picture.load()
    transparent = "transparency" in picture.info
    if picture.mode in {"P", "PA", "RGBA", "RGBa", "RGB"}:
        plain = picture.mode in {"P", "RGB"} and not transparent
        values = np.asarray(picture.convert("RGB" if plain else "RGBA"))
    elif picture.mode in {"1", "L", "LA", "La"}:
        values = np.asarray(picture.convert("LA" if picture.mode in {"LA", "La"} or transparent else "L"))
    elif picture.mode == "F" or picture.mode.startswith("I"):
        values = np.asarray(picture)
        values = values.astype(values.dtype.newbyteorder("="))
        if inverted:  # Pillow does this itself for 8 bits
            values = _invert(values, file.name)
    else:
        values = np.asarray(picture.convert("RGB"))
    if picture.mode == "P" and (values == values[0, 0]).all():
        values = np.asarray(picture)  # where the palette has one colour for all, the indices themselves tell
    if deep and values[..., : 1 if values.shape[-1] == 2 else 3].max() < 64:
        raise InputError(
            f"cannot read {file.name}: of a PNG of 16 bits in colour, or with transparency, only the upper 8 bits are "
            "read, and here they are nearly empty; save it as TIFF, or with 8 bits"
        )
    alpha = None
    if values.ndim == 3 and values.shape[-1] in {2, 4}:
        values, alpha = (values[..., 0] if values.shape[-1] == 2 else values[..., :3]), values[..., -1]
    decoded = Picture(file.name, values, alpha, 1, lossy)
    # Pillow turns a TIFF file itself, when it loads it.
    return replace(decoded, orientation=orientation) if picture.format == "TIFF" else decoded.turn(orientation)


def _is_misread(picture: Image.Image) -> bool:
    """Whether Pillow would change what a TIFF file holds.

    Of 16-bit colour it keeps the upper byte only, of 64-bit numbers 32 bits, and it misses the sign of 8 bits and the
    highest bit of 32.
    """
    bits, kinds = {*picture.tag_v2.get(258, (1,))}, {*picture.tag_v2.get(339, (1,))}
    grey = picture.tag_v2.get(277, 1) == 1
    return 64 in bits or (16 in bits and not grey) or (8 in bits and 2 in kinds) or (32 in bits and 1 in kinds)


def _invert(values: np.ndarray, name: str) -> np.ndarray:
    """The values of a TIFF file in which the lowest is white, as others have them."""
    if values.dtype.kind not in "iu":
        raise InputError(f"cannot read {name}: the lowest of its fractions is white; save it with the highest as white")
    return ~values  # the highest value less each of them, also for numbers with a sign


def _count_pages(picture: Image.Image) -> int:
    """The pages of a TIFF file without thumbnails, the frames of a moving picture; 1 for a photo with a preview."""
    if picture.format == "MPO":
        return 1
    frames = getattr(picture, "n_frames", 1)
    if picture.format != "TIFF" or frames == 1:
        return frames
    pages = 0
    for frame in range(frames):
        picture.seek(frame)
        pages += not picture.tag_v2.get(254, 0) & 1
    picture.seek(0)
    return pages


def _check_pages(name: str, pages: int) -> None:
    if pages > 1:
        raise InputError(f"cannot read {name}: it holds {pages} pages, not one picture; save each as its own file")


def _decode_tiff(file: BinaryIO) -> Picture:
    import tifffile  # slow to import, and few files need it

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        _check_pages(file.name, sum(not page.is_reduced for page in tiff.pages))
        series, page = tiff.series[0], tiff.pages[0]
        try:
            values, axes = series.asarray(), series.axes
        except (KeyError, ValueError) as error:
            if "imagecodecs" not in str(error):
                raise
            advice = f"is compressed in a way ({page.compression.name}) that is not read here; save it without"
            raise InputError(f"cannot read {file.name}: it {advice}") from error
        orientation = page.tags[ORIENTATION].value if ORIENTATION in page.tags else 1
    if axes == "SYX" and values.shape[0] in {3, 4}:  # one plane for each colour
        values = np.moveaxis(values, 0, -1)
    if values.ndim != 2 and not (values.ndim == 3 and values.shape[-1] in {2, 3, 4}):
        raise InputError(f"cannot read {file.name}: it holds {values.ndim} dimensions ({axes}), not one picture")
    if page.photometric not in {
        tifffile.PHOTOMETRIC.MINISWHITE,
        tifffile.PHOTOMETRIC.MINISBLACK,
        tifffile.PHOTOMETRIC.RGB,
    }:
        raise InputError(f"cannot read {file.name}: its colours are {page.photometric.name}; save it as RGB or grey")
    alpha = None
    if values.ndim == 3 and values.shape[-1] in {2, 4}:
        values, alpha = values[..., 0] if values.shape[-1] == 2 else values[..., :3], values[..., -1]
        alpha = (alpha * (255.0 / (np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1))).astype(np.uint8)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        values = _invert(values, file.name)
    picture = Picture(file.name, values, alpha, 1, lossy=page.compression == tifffile.COMPRESSION.JPEG)
    return picture.turn(int(orientation) if orientation in TURNS else 1)
