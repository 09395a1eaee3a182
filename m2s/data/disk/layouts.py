"""Find the images and masks of a data set below a folder, in every layout in which people keep it."""

import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from m2s.data.disk import nifti, prepared
from m2s.data.disk.folders import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    find_image_and_mask_folder,
    find_own_folder,
    list_files,
    list_folders,
    list_some,
    pair_files,
    plain_name,
    plain_names,
    walk_folders,
)
from m2s.data.disk.images import FilePair
from m2s.data.disk.nifti import VolumePair
from m2s.data.sets import CATALOGUE
from m2s.data.sets.entry import DataSet
from m2s.data.sets.rules import split_clips, split_fifth
from m2s.errors import InputError, NotFound, some

SPLIT_FOLDERS = {
    "train": ("train", "training", "trainingset", "trainset"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing", "testingset", "testset"),
}
"""The plain names of folders that stand for a split."""

Pairs = dict[str, FilePair] | dict[str, VolumePair]
Splits = dict[str, list[str]]
"""The names in each split that folders or a rule give."""


def find_pairs(entry: DataSet, split: str, root: Path) -> tuple[list[FilePair | VolumePair], str]:
    """The image–mask pairs of a split, in the order of its list, and a line that says where they were found.

    A set that this package has prepared comes first, then the layouts as distributed. ``NotFound`` says that the set is
    not in ``root``, any other ``InputError`` that it is not whole or lies in a wrong layout.
    """
    if not root.is_dir():
        raise InputError(f"no such folder: {root}; give the folder that holds the data sets, or 'sample' or 'phantom'")
    if (folder := prepared.find_folder(entry, root)) is not None:
        return prepared.list_pairs(entry, split, folder)
    pairs: Pairs
    splits: Splits = {}  # of sets with shipped lists those give them
    try:
        if entry.modality == "colonoscopy":
            pairs, source = _find_polyp_stills(entry, root)
        else:
            pairs, splits, source = _find_distributed(entry, root)
    except NotFound as not_found:
        if not entry.part_of:
            raise
        pairs, source = _find_frames_of_whole(entry, root, not_found)
    return [pairs[name] for name in _choose_names(entry, split, pairs, splits, source)], source


def _choose_names(entry: DataSet, split: str, pairs: Pairs, splits: Splits, source: str) -> list[str]:
    """The names of a split: from its shipped list, else from ``splits``."""
    listed = list(entry.names[split])
    if splits and not any(name in pairs for names in entry.names.values() for name in names):
        listed = []  # clips under other names than those of the list: the rule splits them
    if split == "all":
        if not listed:
            return list(pairs)
        # A folder of its own may hold part of the set; a mixed one holds other sets as well.
        if present := [name for name in listed if name in pairs]:
            return present
        raise InputError(f"{source}: none of the {len(pairs)} images there is one of {entry.title}'s {len(listed)}")
    if listed:
        if missing := [name for name in listed if name not in pairs]:
            raise InputError(
                f"{source}: {len(missing)} of the {len(listed)} images of {entry.title}'s {split} split are missing "
                f"({some(missing)}); fetch the whole set, or take what is there with split 'all'"
            )
        return listed
    if not splits.get(split):
        if known := [part for part, names in entry.names.items() if names and names[0] in pairs]:
            raise InputError(f"{source}: no images of the split '{split}'; it has {', '.join([*known, 'all'])}")
        how = f"a folder '{split}' with images and masks" if entry.rule == "folders" else "more cases or clips"
        raise InputError(f"{source}: nothing for {entry.title}'s {split} split; it needs {how}, or take split 'all'")
    return splits[split]


def _wrong_layout(folder: Path, expected: str) -> InputError:
    return InputError(f"{folder} has the wrong layout: expected {expected}, found {list_some(folder)}")


# The polyp stills: in a folder of their own, or mixed as in PraNet's archives.


def _find_polyp_stills(entry: DataSet, root: Path) -> tuple[dict[str, FilePair], str]:
    """All images of the folders that hold the set, by name, and where they were found."""
    folders, source = _find_polyp_folders(entry, root)
    return {name: pair for both in folders for name, pair in pair_files(entry, *both).items()}, source


def _find_frames_of_whole(entry: DataSet, root: Path, not_found: NotFound) -> tuple[dict[str, FilePair], str]:
    """The images of a set that is part of others, by the names of its lists; ``not_found`` if those are not there.

    A name in its lists is a frame of the one set that it is part of, ``<clip>-<frame>`` of a video, whose clips are its
    groups, or ``<set>-<frame>`` of several sets.
    """
    frames: dict[str, FilePair] = {}
    places = []
    for whole in entry.part_of:
        try:
            found, place = _find_polyp_stills(CATALOGUE[whole], root)
        except NotFound:
            raise not_found from None  # it names what was asked for
        frames |= {f"{whole}-{name}": pair for name, pair in found.items()}
        places.append(f"{CATALOGUE[whole].title} in {place}")
    pairs = {}
    for name in (name for split in entry.names.values() for name in split):
        clip, _, frame = name.rpartition("-")
        group = "" if clip in entry.part_of else clip
        if pair := frames.get(name if clip in entry.part_of else f"{entry.part_of[0]}-{frame}"):
            pairs[name] = replace(pair, name=name, group=group)
    if not pairs:
        raise not_found
    return pairs, f"{entry.title} as part of {' and '.join(places)}"


def _find_polyp_folders(entry: DataSet, root: Path) -> tuple[list[tuple[Path, Path]], str]:
    """Each folder of images with its folder of masks, and where they were found."""
    if own := find_own_folder(entry, root):
        if (both := find_image_and_mask_folder(entry, own, depth=2)) is None:
            raise _wrong_layout(own, entry.layout)
        return [both], own.name
    # Names such as 1.png tell no set: then the folder's own name must.
    named = plain_name(root.resolve().name) in plain_names(entry)
    if (named or not all(n.isdecimal() for n in entry.names["all"])) and (
        both := find_image_and_mask_folder(entry, root)
    ):
        return [both], root.name
    if pranet := _find_pranet_folders(entry, root):
        folders = []
        for folder in pranet:
            if (both := find_image_and_mask_folder(entry, folder, depth=1)) is None:
                raise _wrong_layout(folder, f"{folder.name}/{{images,masks}}")
            folders.append(both)
        return folders, " and ".join(str(folder.relative_to(root)) for folder in pranet)
    raise NotFound(
        f"no {entry.title} in {root}: expected {entry.layout}, or PraNet's TrainDataset and "
        f"TestDataset/{entry.title}; found {list_some(root)}{_suggest(root)}"
    )


def _find_pranet_folders(entry: DataSet, root: Path) -> list[Path]:
    """PraNet's folders that hold images of the set: the common one for training, and its own for testing."""
    below = list_folders(root)
    train = below.get("traindataset") if "train" in entry.counts and not entry.part_of else None
    test = find_own_folder(entry, below["testdataset"]) if "testdataset" in below else None
    return [folder for folder in (train, test) if folder]


def _find_distributed(entry: DataSet, root: Path) -> tuple[Pairs, Splits, str]:
    """All images of a set as its authors distribute it, by name, their splits, and where they were found."""
    named = plain_name(root.resolve().name) in plain_names(entry)
    own = find_own_folder(entry, root) or (root if named else None)
    # A root without the set's name may hold its files directly, as some archives do, if their folders tell the set.
    folder, depth = (own, 2) if own else (root, 0)
    pairs, splits = {}, {}
    if own or _tells_set(entry, root):
        if entry.volumetric:
            pairs = _find_volumes(entry, folder, depth)
        elif entry.arrangement == "classes":
            pairs = _find_by_class(entry, folder, depth)
        elif entry.arrangement == "cases":
            pairs = _find_by_case(entry, folder, depth)
        else:
            pairs, splits = _find_by_folders(entry, folder, depth)
    if not pairs and own:
        raise _wrong_layout(own, entry.layout)
    if not pairs:
        raise NotFound(f"no {entry.title} in {root}: expected {entry.layout}; found {list_some(root)}{_suggest(root)}")
    if entry.rule == "fifth":
        splits = split_fifth(list(pairs))
    elif entry.rule == "clips" and not splits:
        splits = split_clips(list(pairs), [pair.group for pair in pairs.values()])
    return pairs, splits, folder.name


def _tells_set(entry: DataSet, root: Path) -> bool:
    """Whether folders of ``root`` are of a form that this set alone has; folders called images and masks are not."""
    if entry.arrangement != "folders":
        return True  # names of classes or cases, which the functions below look for
    return any(plain_name(name) in list_folders(root) for name in (*entry.image_folders, *entry.mask_folders))


def _suggest(root: Path) -> str:
    """What to do with a folder of images and masks that no set's name stands on."""
    below = list_folders(root)
    if any(name in below for name in IMAGE_FOLDERS) and any(name in below for name in MASK_FOLDERS):
        return "; images of your own are trained with m2s train --images DIR --masks DIR"
    return ""


def _find_by_folders(entry: DataSet, folder: Path, depth: int) -> tuple[dict[str, FilePair], Splits]:
    """Images and masks in two folders, or in two folders for each split; clips in folders below."""
    pairs: dict[str, FilePair] = {}
    splits: Splits = {}
    for split, part in _find_split_folders(folder, depth):
        if (both := find_image_and_mask_folder(entry, part, depth=2)) is None:
            continue  # images whose masks are kept secret
        part_pairs = _pair_clips(entry, *both)
        if twice := sorted(pairs.keys() & part_pairs.keys()):
            raise InputError(f"{len(twice)} names are in two splits of {folder}: {some(twice)}; rename one of each")
        pairs |= part_pairs
        splits.setdefault(split, []).extend(part_pairs)
    if not pairs and (both := find_image_and_mask_folder(entry, folder, depth)):
        pairs = _pair_clips(entry, *both)
    return pairs, splits


def _find_split_folders(folder: Path, depth: int) -> Iterator[tuple[str, Path]]:
    for name, child in list_folders(folder).items():
        if split := next((split for split, names in SPLIT_FOLDERS.items() if name in names), None):
            yield split, child
        elif depth:
            yield from _find_split_folders(child, depth - 1)


def _pair_clips(entry: DataSet, images: Path, masks: Path) -> dict[str, FilePair]:
    """The pairs of two folders, or of the clips in them: then the name of the clip comes before that of the frame."""
    clips, mask_clips = (
        {unicodedata.normalize("NFC", f.name): f for f in list_folders(folder).values()} for folder in (images, masks)
    )
    if not clips:
        return pair_files(entry, images, masks)
    if lonely := sorted(clips.keys() ^ mask_clips.keys()):
        raise InputError(f"{len(lonely)} clips are in only one of {images} and {masks}: {some(lonely)}")
    pairs = {}
    for clip in sorted(clips, key=lambda name: (len(name), name)):
        for name, pair in pair_files(entry, clips[clip], mask_clips[clip], group=clip).items():
            pairs[f"{clip}-{name}"] = replace(pair, name=f"{clip}-{name}")
    return pairs


def _find_by_class(entry: DataSet, folder: Path, depth: int) -> dict[str, FilePair]:
    """A folder for each class (BUSI), images and masks together."""
    classes = [name for name in entry.expected if name != "all"]
    for level in walk_folders(folder, depth):
        below = list_folders(level)
        if all(name in below for name in classes):
            return {n: p for name in classes for n, p in pair_files(entry, below[name], below[name], name).items()}
    return {}


def _find_by_case(entry: DataSet, folder: Path, depth: int) -> dict[str, FilePair]:
    """A folder for each image (PH2), with a folder for the picture and one for the lesion."""
    pairs: dict[str, FilePair] = {}
    for case in sorted(case for level in walk_folders(folder, depth) for case in list_folders(level).values()):
        images, masks = case / f"{case.name}_Dermoscopic_Image", case / f"{case.name}_lesion"
        if not images.is_dir():
            continue
        if not masks.is_dir():
            raise InputError(f"{case} has no folder {masks.name} with the lesion's mask")
        pairs |= pair_files(entry, images, masks)
    return pairs


def _find_volumes(entry: DataSet, folder: Path, depth: int) -> dict[str, VolumePair]:
    """Volumes in a folder for images and one for labels, or a folder for each case (KiTS)."""
    classes = len(entry.classes)
    for level in walk_folders(folder, depth):
        below = list_folders(level)
        images, labels = below.get("imagestr") or below.get("img"), below.get("labelstr") or below.get("label")
        if images and labels:
            image_files, label_files = _list_volumes(images), _list_volumes(labels)
            if lonely := sorted(image_files.keys() ^ label_files.keys()):
                raise InputError(f"{len(lonely)} volumes are in only one of {images} and {labels}: {some(lonely)}")
            return {n: VolumePair(n, path, (label_files[n],), "", classes) for n, path in image_files.items()}
        cases = {}
        for name, case in sorted(below.items()):
            files = _list_volumes(case) if name.startswith("case") else {}
            if "imaging" in files and "segmentation" in files:
                cases[case.name] = VolumePair(case.name, files["imaging"], (files["segmentation"],), "", classes)
        if cases:
            return cases
    return {}


def _list_volumes(folder: Path) -> dict[str, Path]:
    """NIfTI files by name, without ``img`` or ``label`` before a number."""
    return list_files(folder, nifti.EXTENSIONS, prefix=r"(?:img|label)(?=\d+$)")
