"""Look into folders: which hold images, which hold masks, and which file belongs to which."""

import re
from pathlib import Path

from m2s.data.disk.images import EXTENSIONS, FilePair
from m2s.data.sets.entry import DataSet
from m2s.errors import InputError, some

IMAGE_FOLDERS = frozenset(
    {
        "images",
        "image",
        "original",
        "bbdd",
        "etislaribpolypdb",
        "imgs",
        "frame",
        "frames",
        "isic2018task12traininginput",
    }
)
MASK_FOLDERS = frozenset(
    {"masks", "mask", "groundtruth", "gtpolyp", "gt", "layermasks", "isic2018task1traininggroundtruth"}
)
MASK_NAME = re.compile(r"_(?:mask|segmentation|lesion)(?:_\d+)?$")
"""What the name of a mask may have behind the name of its image; several masks of one image are numbered."""


def plain(name: str) -> str:
    """A folder's name without capitals, spaces, hyphens and underscores."""
    return re.sub(r"[-_ ]", "", name.lower())


def seen(path: Path) -> bool:
    """False for what archives and file managers leave behind: ``._x.png``, ``.DS_Store``, ``__MACOSX``."""
    return not path.name.startswith(".") and path.name != "__MACOSX"


def children(folder: Path) -> dict[str, Path]:
    """The folders in ``folder`` by their plain names."""
    return {plain(f.name): f for f in sorted(folder.iterdir()) if f.is_dir() and seen(f)}


def content(folder: Path) -> str:
    """The first names in ``folder``, for a message."""
    return some(sorted(f.name for f in folder.iterdir() if seen(f))) or "nothing"


def own_folder(entry: DataSet, root: Path) -> Path | None:
    """The folder in ``root`` that has one of the set's names, or ``root`` itself if that has one."""
    below, wanted = children(root), [plain(name) for name in (entry.title, *entry.folders, entry.name)]
    found = next((below[name] for name in wanted if name in below), None)
    return found or (root if plain(root.resolve().name) in wanted else None)


def image_and_mask_folder(folder: Path, depth: int = 0) -> tuple[Path, Path] | None:
    """The nearest folder for images and for masks at ``folder`` or below it, at most ``depth`` levels down."""
    below = children(folder)
    images = next((path for name, path in below.items() if name in IMAGE_FOLDERS), None)
    masks = next((path for name, path in below.items() if name in MASK_FOLDERS), None)
    if images and masks:
        return images, masks
    deeper = (image_and_mask_folder(child, depth - 1) for child in below.values()) if depth else ()
    return next((found for found in deeper if found), None)


def files(folder: Path, prefix: str = "") -> dict[str, Path]:
    """The image files of a folder by their name without extension (and without ``prefix``)."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in EXTENSIONS or not seen(path):
            continue
        name = path.stem.removeprefix(prefix)
        if name in found:
            raise InputError(f"two files for the name '{name}' in {folder}: {found[name].name} and {path.name}")
        found[name] = path
    return found


def pair(entry: DataSet, images: Path, masks: Path, group: str = "") -> dict[str, FilePair]:
    """The images of one folder, each with its masks from the other (which may be the same folder)."""
    image_files, mask_files = files(images), files(masks, entry.mask_prefix)
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
        name: FilePair(name, image_files[name], tuple(merged[name]), group, len(entry.classes), entry.colours)
        for name in image_files
    }
