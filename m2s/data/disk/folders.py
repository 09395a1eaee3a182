"""Look into folders: which hold images, which hold masks, and which file belongs to which."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from m2s.data.disk.images import EXTENSIONS, FilePair
from m2s.data.sets.entry import DataSet
from m2s.errors import InputError, some, told_where

IMAGE_FOLDERS = ("images", "image", "imgs", "original", "frame", "frames", "bbdd")
MASK_FOLDERS = ("masks", "mask", "groundtruth", "gt", "gtpolyp")
"""Plain names that many sets have; the catalogue has those of one set alone."""
MASK_NAME = re.compile(r"_(?:mask|segmentation|lesion)(?:_\d+)?$")
"""What the name of a mask may have behind the name of its image; several masks of one image are numbered."""


def plain_name(name: str) -> str:
    """A folder's name without capitals, spaces, hyphens and underscores, in Unicode's composed form."""
    return re.sub(r"[-_ ]", "", unicodedata.normalize("NFC", name).lower())


def is_visible(path: Path) -> bool:
    """False for what archives and file managers leave behind: ``._x.png``, ``.DS_Store``, ``__MACOSX``."""
    return not path.name.startswith(".") and path.name != "__MACOSX"


def list_folders(folder: Path) -> dict[str, Path]:
    """The folders in ``folder`` by their plain names."""
    return {plain_name(f.name): f for f in sorted(folder.iterdir()) if f.is_dir() and is_visible(f)}


def walk_folders(folder: Path, depth: int) -> Iterator[Path]:
    """The folder, then those in it, ``depth`` levels down."""
    yield folder
    for child in list_folders(folder).values() if depth else ():
        yield from walk_folders(child, depth - 1)


def list_some(folder: Path) -> str:
    """The first names in ``folder``, for a message."""
    return some(sorted(f.name for f in folder.iterdir() if is_visible(f))) or "nothing"


def plain_names(entry: DataSet) -> list[str]:
    """The plain names that the set's own folder may have."""
    return [plain_name(name) for name in (entry.title, *entry.folders, entry.name)]


def find_own_folder(entry: DataSet, root: Path) -> Path | None:
    """The folder in ``root`` that has one of the set's names; the first name counts most."""
    below = list_folders(root)
    return next((below[name] for name in plain_names(entry) if name in below), None)


def find_image_and_mask_folder(entry: DataSet, folder: Path, depth: int = 0) -> tuple[Path, Path] | None:
    """The nearest folder for images and for masks at ``folder`` or below it, at most ``depth`` levels down."""
    below = list_folders(folder)
    image_names = {*IMAGE_FOLDERS, *map(plain_name, entry.image_folders)}
    mask_names = {*MASK_FOLDERS, *map(plain_name, entry.mask_folders)}
    images = next((path for name, path in below.items() if name in image_names), None)
    masks = next((path for name, path in below.items() if name in mask_names), None)
    if images and masks:
        return images, masks
    deeper = (find_image_and_mask_folder(entry, child, depth - 1) for child in below.values()) if depth else ()
    return next((both for both in deeper if both), None)


def list_files(folder: Path, extensions: tuple[str, ...] = EXTENSIONS, prefix: str = "") -> dict[str, Path]:
    """The files of a folder by their name without extension, and without ``prefix`` (a regular expression).

    Names are in Unicode's composed form, whatever form the disk keeps (macOS's tools write "é" as "e" and an accent).

    Raises:
        InputError: two files have one name.
    """
    files: dict[str, Path] = {}
    with told_where(folder):
        paths = sorted(folder.iterdir())
    for path in paths:
        extension = next((e for e in extensions if path.name.lower().endswith(e)), None)
        if extension is None or not is_visible(path):
            continue
        name = unicodedata.normalize("NFC", re.sub(f"^{prefix}", "", path.name[: -len(extension)]))
        if name in files:
            raise InputError(f"two files for the name '{name}' in {folder}: {files[name].name} and {path.name}")
        files[name] = path
    return files


def pair_files(entry: DataSet, images: Path, masks: Path, group: str = "") -> dict[str, FilePair]:
    """The images of one folder, each with its masks from the other (which may be the same folder).

    Raises:
        InputError: no images, an image without a mask, or a mask without an image.
    """
    image_files, mask_files = list_files(images), list_files(masks, prefix=entry.mask_prefix)
    if images == masks:
        mask_files = {name: path for name, path in image_files.items() if MASK_NAME.search(name)}
        image_files = {name: path for name, path in image_files.items() if name not in mask_files}
    merged: dict[str, list[Path]] = {}
    for name, path in mask_files.items():
        merged.setdefault(name if name in image_files else MASK_NAME.sub("", name), []).append(path)
    if not image_files:
        example = entry.names["all"][0] if entry.names["all"] else "1"
        raise InputError(f"no images in {images}: expected files such as {example}.png")
    if lonely := sorted(image_files.keys() - merged.keys()):
        raise InputError(f"{len(lonely)} images in {images} have no mask in {masks}: {some(lonely)}")
    if lonely := sorted(merged.keys() - image_files.keys()):
        raise InputError(f"{len(lonely)} masks in {masks} have no image in {images}: {some(lonely)}")
    return {
        name: FilePair(name, image_files[name], tuple(merged[name]), group, len(entry.classes), entry.colors)
        for name in image_files
    }
