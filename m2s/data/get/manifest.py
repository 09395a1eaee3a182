"""A row for each image of a data set: files, size, split, group, hash and the share of foreground."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from m2s.data.imageset import ImageSet
from m2s.data.sets import CATALOGUE
from m2s.data.threads import map_in_threads

COLUMNS = (
    "name", "file", "mask", "width", "height", "depth", "split", "group", "sha256", "foreground", "mask_sha256",
)  # fmt: skip


def list_splits(images: ImageSet) -> list[str]:
    """The splits that hold each image, joined by ``;``: of a whole set from its lists, else the set's own split."""
    if images.split != "all" or images.made_up or images.name not in CATALOGUE:
        return [images.split] * len(images)
    lists = {split: set(names) for split, names in CATALOGUE[images.name].names.items() if split != "all"}
    return [";".join(split for split, names in lists.items() if name in names) for name in images.names]


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def measure_pair(image: np.ndarray, mask: np.ndarray) -> dict[str, object]:
    """What a manifest says of an image (H, W, 3), or a volume (D, H, W), and its mask of class indices."""
    depth, height, width = mask.shape if mask.ndim == 3 else (1, *mask.shape)
    share = round(float(np.count_nonzero(mask)) / mask.size, 6)
    return {"width": width, "height": height, "depth": depth, "foreground": share}


def make_manifest(images: ImageSet) -> pd.DataFrame:
    """A row per image of any :class:`ImageSet`: ``name``, ``file``, ``mask`` (several joined by ``;``; both empty for
    made-up images), ``width``, ``height``, ``depth`` (1 for pictures), ``split`` (joined by ``;``), ``group`` (patient,
    clip, sequence or class, where known), ``sha256`` of the image file, ``foreground`` (share of pixels, 0 to 1) and
    ``mask_sha256`` (of one mask file). Every image is decoded.
    """

    def make_row(index: int) -> dict[str, object]:
        item = images.items[index]
        image, mask = item.read()
        file, masks = getattr(item, "image", None), getattr(item, "masks", ())
        return measure_pair(image, mask) | {
            "name": item.name,
            "file": file or "",
            "mask": ";".join(map(str, masks)),
            "split": splits[index],
            "group": getattr(item, "group", ""),
            "sha256": hash_file(file) if file else "",
            "mask_sha256": hash_file(masks[0]) if len(masks) == 1 else "",
        }

    splits = list_splits(images)
    rows = map_in_threads(make_row, len(images), f"manifest of {images.title}")
    return pd.DataFrame(rows, columns=list(COLUMNS))
