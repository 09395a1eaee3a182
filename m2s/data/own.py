"""A user's own images: two folders, divided once by a rule into images to train on and images held out."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from m2s.data.disk.folders import find_image_and_mask_folder, pair_files
from m2s.data.disk.images import EXTENSIONS, FilePair
from m2s.data.imageset import ImageSet
from m2s.data.load import fingerprint_files
from m2s.data.sets import CATALOGUE
from m2s.data.sets.entry import DataSet
from m2s.data.threads import map_in_threads
from m2s.errors import InputError, some, told_where, unreadable

CLASSES = "classes.txt"
FEWEST = 4
"""Images that a training needs."""


def load_own_images(
    images: Path, masks: Path, name: str, held_out: float | Path = 0.2, group: str | None = None
) -> tuple[ImageSet, ImageSet]:
    """The images to train on, and those held out to score on, under a name of the user's.

    Every image is read once here, so that a broken one is found before the training. The masks hold one class (any two
    levels), or, where a file ``classes.txt`` lies in the folder of the masks or above it, the indices 1, 2, … of the
    classes that it names, one a line, and 0 for the background.

    Args:
        held_out: that part of the images, chosen by a hash of their names (or groups), the same on every machine and
            for every seed; or a folder with images/ and masks/.
        group: a column of a CSV file that lies in the folder of the images or above it, with a column ``name`` or
            ``file`` as well: images of one group (patient, video) are held out together.

    Raises:
        InputError: a name that is taken by a known data set or has other characters than letters, digits, ``-`` and
            ``_``; folders that do not pair; an image or mask that cannot be read; masks that are all empty.
    """
    check_name(name)
    for folder in (images, masks):
        if not folder.is_dir():
            raise InputError(f"no such folder: {folder}; give a folder of images and one of masks")
    entry = DataSet(
        name=name, title=name, size="", home="", licence="", citation="", layout="", modality="own images",
        classes=_read_classes(masks),
    )  # fmt: skip
    pairs = list(pair_files(entry, images, masks).values())
    if group:
        groups = _read_groups(images, [pair.name for pair in pairs], group)
        pairs = [replace(pair, group=groups[pair.name]) for pair in pairs]
    if isinstance(held_out, Path):
        train, test = pairs, _list_folder(entry, held_out)
    else:
        train, test = _divide(pairs, held_out)
    if len(train) + len(test) < FEWEST:
        raise InputError(f"{images} holds {len(pairs)} images: a training needs at least {FEWEST}")
    with told_where(images):  # a link that leads nowhere
        both = [
            ImageSet(name, name, split, "a user's own images", False, fingerprint_files(name, part), tuple(part), entry)
            for split, part in (("train", train), ("test", test))
        ]
    for image_set in both:
        _check(image_set)
    return both[0], both[1]


def list_left_out(images: Path, masks: Path) -> list[Path]:
    """The images in folders below ``images``, which are not trained on; those of ``masks`` are no images."""
    below = (
        path for path in images.rglob("*") if path.parent != images and masks.resolve() not in path.resolve().parents
    )
    return sorted(path for path in below if path.suffix.lower() in EXTENSIONS)


def check_name(name: str) -> None:
    """Refuse a name that is none, or is that of a known data set."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError(f"the name '{name}' must be of letters, digits, - and _, and begin with a letter or digit")
    taken = {one.lower() for entry in CATALOGUE.values() for one in (entry.name, entry.title, *entry.folders)}
    if name.lower() in taken:
        raise InputError(f"'{name}' is the name of a published data set: give your own images another name")


def _read_classes(masks: Path) -> tuple[str, ...]:
    path = next((one for one in (masks / CLASSES, masks.parent / CLASSES) if one.is_file()), None)
    if path is None:
        return ("foreground",)
    try:
        classes = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except (OSError, UnicodeError) as error:
        raise unreadable(path, error) from error
    if not classes or len(set(classes)) < len(classes):
        raise InputError(f"{path} must name each class once, one a line, in the order of the indices 1, 2, …")
    return classes


def _read_groups(images: Path, names: Sequence[str], column: str) -> dict[str, str]:
    """The group of each image, from the CSV file that has the column."""
    places = [images, images.parent]
    for path in (path for place in places for path in sorted(place.glob("*.csv"))):
        try:
            table = pd.read_csv(path, dtype=str, sep=None, engine="python", encoding="utf-8-sig", keep_default_na=False)
        except (OSError, UnicodeError, ValueError) as error:
            raise unreadable(path, error) from error
        named = next((one for one in ("name", "file", "image") if one in table), None)
        if column not in table or named is None:
            continue
        groups = {
            unicodedata.normalize("NFC", Path(name).stem): value
            for name, value in zip(table[named], table[column], strict=True)
        }
        if missing := [name for name in names if not groups.get(name)]:
            raise InputError(f"{path} has no {column} for {len(missing)} images: {some(missing)}")
        return groups
    raise InputError(f"no CSV file in {places[0]} or {places[1]} has the columns name (or file) and {column}")


def _divide(pairs: list[FilePair], share: float) -> tuple[list[FilePair], list[FilePair]]:
    """Those to train on and those held out: whole groups in the order of a hash, until the share is reached."""
    members: dict[str, list[FilePair]] = {}
    for pair in pairs:
        members.setdefault(pair.group or pair.name, []).append(pair)
    if len(members) < 2:
        raise InputError("all images are of one group, so none can be held out: give another column, or --val DIR")
    order = sorted(members, key=lambda unit: hashlib.sha256(unit.encode()).hexdigest())
    count, chosen = 0, set()
    for unit in order[:-1]:
        if chosen and count >= round(share * len(pairs)):
            break
        chosen.add(unit)
        count += len(members[unit])
    held_out = [pair for pair in pairs if (pair.group or pair.name) in chosen]
    return [pair for pair in pairs if (pair.group or pair.name) not in chosen], held_out


def _list_folder(entry: DataSet, folder: Path) -> list[FilePair]:
    both = find_image_and_mask_folder(entry, folder) if folder.is_dir() else None
    if both is None:
        raise InputError(f"{folder} holds no held-out images: expected the folders images and masks in it")
    return list(pair_files(entry, *both).values())


def _check(images: ImageSet) -> None:
    """Read every image; refuse a set in which a class never occurs."""
    seen = map_in_threads(lambda index: np.unique(images[index].mask), len(images), f"reading {images.split}")
    found = set(np.concatenate(list(seen)).tolist())
    if missing := [name for index, name in enumerate(images.entry.classes, 1) if index not in found]:
        part = "images to train on" if images.split == "train" else "held-out images"
        raise InputError(f"no mask of the {len(images)} {part} shows {some(missing)}: look at the masks, or add images")
