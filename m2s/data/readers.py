"""Read one image and its mask from files: JPEG, PNG, BMP and TIFF, always as uint8."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from ..errors import InputError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


def _open(path: Path) -> Image.Image:
    """A decoded picture. ClinicDB's own TIFF files are of a kind that Pillow does not know; tifffile does."""
    try:
        try:
            picture = Image.open(path)
        except UnidentifiedImageError:
            if path.suffix.lower() not in {".tif", ".tiff"}:
                raise
            picture = Image.fromarray(tifffile.imread(path))
        picture.load()
        return picture
    except UnidentifiedImageError:
        raise InputError(f"cannot read {path}: this is not an image; fetch it again") from None
    except Exception as error:  # decoders raise nearly anything for a broken file: SyntaxError, struct.error, …
        reason = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"cannot read {path}: {reason}; fetch it again") from error


def read_image(path: str | Path) -> np.ndarray:
    """An image as RGB, uint8 (H, W, 3), at its own size. Raises ``InputError`` for a file that is no whole image."""
    return np.asarray(_open(Path(path)).convert("RGB"))


def read_mask(path: str | Path) -> np.ndarray:
    """A mask as uint8 (H, W) of 0 and 1.

    Anything above 127 is foreground: Kvasir-SEG's masks are JPEG files, with values 0–5 and 250–255, and some of
    ClinicDB's have grey edges. A mask that holds only 0 and 1 is taken as it is.
    """
    values = np.asarray(_open(Path(path)).convert("L"))
    return (values > (127 if values.max() > 1 else 0)).astype(np.uint8)


@dataclass(frozen=True)
class FilePair:
    """An image file and its mask file."""

    name: str
    image: Path
    mask: Path

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Image uint8 (H, W, 3) and mask uint8 (H, W). Raises ``InputError`` when they cannot be read or do not fit."""
        image, mask = read_image(self.image), read_mask(self.mask)
        if image.shape[:2] != mask.shape:
            (h, w), (mh, mw) = image.shape[:2], mask.shape
            raise InputError(f"{self.mask} is {mw}×{mh} pixels, but its image {self.image} is {w}×{h}")
        return image, mask
