"""A row for each image of a data set: files, size, split, group, hash and the share of foreground."""

import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from m2s.data.imageset import ImageSet
from m2s.data.sets import CATALOGUE

COLUMNS = (
    "name", "file", "mask", "width", "height", "depth", "split", "group", "sha256", "foreground", "mask_sha256",
)  # fmt: skip


def splits_of(images: ImageSet) -> list[str]:
    """The splits that hold each image, joined by ``;``: of a whole set from its lists, else the set's own split."""
    if images.split != "all" or images.made_up or images.name not in CATALOGUE:
        return [images.split] * len(images)
    lists = {split: set(names) for split, names in CATALOGUE[images.name].names.items() if split != "all"}
    return [";".join(split for split, names in lists.items() if name in names) for name in images.names]


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def row(image: np.ndarray, mask: np.ndarray) -> dict[str, object]:
    """What a manifest says of an image (H, W, 3), or a volume (D, H, W), and its mask of class indices."""
    depth, height, width = mask.shape if mask.ndim == 3 else (1, *mask.shape)
    share = round(float(np.count_nonzero(mask)) / mask.size, 6)
    return {"width": width, "height": height, "depth": depth, "foreground": share}


def table(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    """Rows as the frame that is written to ``manifest.csv``."""
    return pd.DataFrame(rows, columns=list(COLUMNS))


def manifest(images: ImageSet) -> pd.DataFrame:
    """A row per image of any :class:`ImageSet`: ``name``, ``file``, ``mask`` (several joined by ``;``; both empty for
    made-up images), ``width``, ``height``, ``depth`` (1 for pictures), ``split`` (joined by ``;``), ``group`` (patient,
    clip, sequence or class, where known), ``sha256`` of the image file, ``foreground`` (share of pixels, 0 to 1) and
    ``mask_sha256`` (of one mask file). Every image is decoded.
    """

    def one(index: int) -> dict[str, object]:
        item = images.items[index]
        image, mask = item.read()
        file, masks = getattr(item, "image", None), getattr(item, "masks", ())
        return row(image, mask) | {
            "name": item.name,
            "file": file or "",
            "mask": ";".join(map(str, masks)),
            "split": splits[index],
            "group": getattr(item, "group", ""),
            "sha256": file_hash(file) if file else "",
            "mask_sha256": file_hash(masks[0]) if len(masks) == 1 else "",
        }

    splits = splits_of(images)
    return table(list(each(one, len(images), f"manifest of {images.title}")))


def each(work, count: int, title: str):
    """``work(0), work(1), …`` from several threads, in order, with a bar on a terminal."""
    with ThreadPoolExecutor(min(8, cpu_count() or 1)) as pool:
        yield from tqdm(pool.map(work, range(count)), title, count, leave=False, disable=not sys.stderr.isatty())
