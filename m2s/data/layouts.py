"""Find the files of a data set below a root folder, in the layouts in which people really keep them.

Two kinds are known: each set in a folder of its own, as distributed (possibly nested once or twice by an archive), and
PraNet's ``TrainDataset/{image,mask}`` with Kvasir-SEG and CVC-ClinicDB mixed, beside ``TestDataset/<name>``.
"""

import re
from pathlib import Path

from ..errors import InputError, NotFound, some
from .catalogue import CATALOGUE, DataSet
from .readers import EXTENSIONS, FilePair

IMAGE_FOLDERS = frozenset({"images", "image", "original", "bbdd", "etislaribpolypdb"})
MASK_FOLDERS = frozenset({"masks", "mask", "groundtruth", "gtpolyp", "gt"})


def find_pairs(entry: DataSet, split: str, root: Path) -> tuple[list[FilePair], str]:
    """The image–mask pairs of a split, in the order of its list, and a line that says where they were found.

    Raises ``InputError`` for a missing or wrongly laid out folder, for images without masks, masks without images,
    and for a split of which not every image is there.
    """
    if not root.is_dir():
        raise InputError(f"no such folder: {root}; give the folder that holds the data sets, or 'phantom'")
    folders, source = _folders(entry, root)
    pairs: dict[str, FilePair] = {}
    for images, masks in folders:
        pairs |= _pair(entry, images, masks)
    if split == "all":
        known = set(entry.names["all"])
        # A folder of its own may hold part of the set; a mixed one holds other sets as well.
        names = [name for name in entry.names["all"] if name in pairs]
        if not names:
            raise InputError(f"{source}: none of the {len(pairs)} images there is one of {entry.title}'s {len(known)}")
    else:
        names = list(entry.names[split])
        missing = [name for name in names if name not in pairs]
        if missing:
            raise InputError(
                f"{source}: {len(missing)} of the {len(names)} images of {entry.title}'s {split} split are missing "
                f"({some(missing)}); fetch the whole set, or take what is there with split 'all'"
            )
    return [pairs[name] for name in names], source


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name.lower())


def _children(folder: Path) -> dict[str, Path]:
    return {_plain(f.name): f for f in sorted(folder.iterdir()) if f.is_dir() and not f.name.startswith(".")}


def _content(folder: Path) -> str:
    names = sorted(f.name for f in folder.iterdir() if not f.name.startswith("."))
    return some(names) or "nothing"


def _image_and_mask_folder(folder: Path, depth: int = 0) -> tuple[Path, Path] | None:
    """The nearest folder for images and for masks at ``folder`` or below it, at most ``depth`` levels down."""
    children = _children(folder)
    images = next((path for name, path in children.items() if name in IMAGE_FOLDERS), None)
    masks = next((path for name, path in children.items() if name in MASK_FOLDERS), None)
    if images and masks:
        return images, masks
    below = (_image_and_mask_folder(child, depth - 1) for child in children.values()) if depth else ()
    return next((found for found in below if found), None)


def _folders(entry: DataSet, root: Path) -> tuple[list[tuple[Path, Path]], str]:
    """Pairs of folders that hold the set, and where they were found."""
    children = _children(root)
    wanted = [_plain(name) for name in (entry.title, *entry.folders)]
    own = next((children[name] for name in wanted if name in children), None)
    if own:
        found = _image_and_mask_folder(own, depth=2)
        if found is None:
            raise InputError(f"{own} has the wrong layout: expected {entry.layout}, found {_content(own)}")
        return [found], own.name
    if (found := _image_and_mask_folder(root)) is not None:
        return [found], root.name
    pranet = []
    if "train" in entry.counts and "traindataset" in children:
        pranet.append(children["traindataset"])
    if "testdataset" in children:
        tests = _children(children["testdataset"])
        pranet += [tests[name] for name in wanted if name in tests][:1]
    if pranet:
        found_all = [_image_and_mask_folder(folder, depth=1) for folder in pranet]
        for folder, found in zip(pranet, found_all, strict=True):
            if found is None:
                expected = f"{folder.name}/{{images,masks}}"
                raise InputError(f"{folder} has the wrong layout: expected {expected}, found {_content(folder)}")
        return found_all, " and ".join(str(folder.relative_to(root)) for folder in pranet)
    if entry.part_of:
        whole = CATALOGUE[entry.part_of]
        try:
            folders, source = _folders(whole, root)
        except NotFound:
            pass  # the error below names what was asked for
        else:
            return folders, f"{entry.title} as part of {whole.title} (frames of PraNet's list) in {source}"
    raise NotFound(
        f"no {entry.title} in {root}: expected {entry.layout}, or PraNet's TrainDataset and "
        f"TestDataset/{entry.title}; found {_content(root)}"
    )


def _files(folder: Path, prefix: str = "") -> dict[str, Path]:
    """The image files of a folder by their name without extension (and without ``prefix``)."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in EXTENSIONS or path.name.startswith("."):
            continue
        name = path.stem.removeprefix(prefix)
        if name in found:
            raise InputError(f"two files for the name '{name}' in {folder}: {found[name].name} and {path.name}")
        found[name] = path
    return found


def _pair(entry: DataSet, images: Path, masks: Path) -> dict[str, FilePair]:
    image_files, mask_files = _files(images), _files(masks, entry.mask_prefix)
    if not image_files:
        raise InputError(f"no images in {images}: expected files such as {entry.names['all'][0]}.png")
    if lonely := sorted(image_files.keys() - mask_files.keys()):
        raise InputError(f"{len(lonely)} images in {images} have no mask in {masks}: {some(lonely)}")
    if lonely := sorted(mask_files.keys() - image_files.keys()):
        raise InputError(f"{len(lonely)} masks in {masks} have no image in {images}: {some(lonely)}")
    return {name: FilePair(name, image_files[name], mask_files[name]) for name in image_files}
