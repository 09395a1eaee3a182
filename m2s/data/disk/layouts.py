"""Find the data sets that are no polyp images, each in a folder of its own, as distributed."""

from collections.abc import Iterator
from pathlib import Path

from m2s.data.disk import layouts, prepared
from m2s.data.disk.folders import children, content, image_and_mask_folder, own_folder, pair, plain, seen
from m2s.data.disk.images import FilePair
from m2s.data.disk.nifti import EXTENSIONS as VOLUME_EXTENSIONS
from m2s.data.disk.nifti import VolumePair
from m2s.data.sets import CATALOGUE
from m2s.data.sets.entry import DataSet
from m2s.data.sets.rules import split_clips, split_fifth
from m2s.errors import InputError, NotFound, some

PARTS = {
    "train": "train",
    "training": "train",
    "trainingset": "train",
    "trainset": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "testingset": "test",
    "testset": "test",
}
"""Folders that stand for a split."""
Pairs = dict[str, FilePair] | dict[str, VolumePair]


def find_other_pairs(entry: DataSet, root: Path) -> tuple[Pairs, dict[str, list[str]], str]:
    """All images of a set by name, the names of the splits that folders or a rule give, and where they were found."""
    own = own_folder(entry, root)
    # A root without any set's name may hold the set's files directly, as some archives do.
    where, depth = (own, 2) if own else (root, 0)
    parts: dict[str, list[str]] = {}
    if own is None and _names_another(entry, root):
        found = {}
    elif entry.volumetric:
        found = _volumes(entry, where, depth)
    elif entry.name == "busi":
        found = _by_class(entry, where, depth)
    elif entry.name == "ph2":
        found = _by_case(entry, where, depth)
    else:
        found, parts = _by_folders(entry, where, depth)
    if not found and own:
        raise InputError(f"{own} has the wrong layout: expected {entry.layout}, found {content(own)}")
    if not found:
        raise NotFound(f"no {entry.title} in {root}: expected {entry.layout}; found {content(root)}")
    if entry.rule == "fifth":
        parts = split_fifth(list(found))
    elif entry.rule == "clips" and not parts:
        parts = split_clips(list(found), [item.group for item in found.values()])
    return found, parts, where.name


def _names_another(entry: DataSet, root: Path) -> bool:
    others = (other for other in CATALOGUE.values() if other is not entry)
    return plain(root.resolve().name) in {plain(n) for o in others for n in (o.title, *o.folders, o.name)}


def _part_folders(folder: Path, depth: int) -> Iterator[tuple[str, Path]]:
    for name, child in children(folder).items():
        if name in PARTS:
            yield PARTS[name], child
        elif depth:
            yield from _part_folders(child, depth - 1)


def _by_folders(entry: DataSet, own: Path, depth: int) -> tuple[dict[str, FilePair], dict[str, list[str]]]:
    """Images and masks in two folders, or in two folders for each split; clips in folders below."""
    found: dict[str, FilePair] = {}
    parts: dict[str, list[str]] = {}
    for part, folder in _part_folders(own, depth):
        if (two := image_and_mask_folder(folder, depth=2)) is None:
            continue  # images whose masks are kept secret
        here = _with_clips(entry, *two)
        if twice := sorted(found.keys() & here.keys()):
            raise InputError(f"{len(twice)} names are in two splits of {own}: {some(twice)}; rename one of each")
        found |= here
        parts.setdefault(part, []).extend(here)
    if not found and (two := image_and_mask_folder(own, depth)) is not None:
        found = _with_clips(entry, *two)
    return found, parts


def _with_clips(entry: DataSet, images: Path, masks: Path) -> dict[str, FilePair]:
    """The pairs of two folders, or of the clips in them: then the name of the clip comes before that of the frame."""
    clips, mask_clips = ({f.name: f for f in children(folder).values()} for folder in (images, masks))
    if not clips:
        return pair(entry, images, masks)
    if lonely := sorted(clips.keys() ^ mask_clips.keys()):
        raise InputError(f"{len(lonely)} clips are in only one of {images} and {masks}: {some(lonely)}")
    found = {}
    for clip in sorted(clips, key=lambda name: (len(name), name)):
        for name, item in pair(entry, clips[clip], mask_clips[clip], group=clip).items():
            whole = f"{clip}-{name}"
            found[whole] = FilePair(whole, item.image, item.masks, clip, item.classes, item.colours)
    return found


def _levels(folder: Path, depth: int) -> Iterator[Path]:
    """The folder, then those in it, ``depth`` levels down."""
    yield folder
    for child in children(folder).values() if depth else ():
        yield from _levels(child, depth - 1)


def _by_class(entry: DataSet, own: Path, depth: int) -> dict[str, FilePair]:
    """BUSI: a folder for each class, images and masks together; possibly some folders deeper."""
    wanted = [kind for kind in entry.expected if kind != "all"]
    for folder in _levels(own, depth):
        below = children(folder)
        if all(kind in below for kind in wanted):
            return {name: p for kind in wanted for name, p in pair(entry, below[kind], below[kind], kind).items()}
    return {}


def _by_case(entry: DataSet, own: Path, depth: int) -> dict[str, FilePair]:
    """PH2: a folder for each image, with a folder for the picture and one for the lesion."""
    found: dict[str, FilePair] = {}
    cases = sorted(case for folder in _levels(own, depth) for case in children(folder).values())
    for case in cases:
        images = case / f"{case.name}_Dermoscopic_Image"
        if not images.is_dir():
            continue
        masks = case / f"{case.name}_lesion"
        if not masks.is_dir():
            raise InputError(f"{case} has no folder {masks.name} with the lesion's mask")
        found |= pair(entry, images, masks)
    return found


def _volume_files(folder: Path) -> dict[str, Path]:
    """NIfTI files by name, without the extension and without ``img`` or ``label`` before a number."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        extension = next((e for e in VOLUME_EXTENSIONS if path.name.lower().endswith(e)), None)
        if extension is None or not seen(path):
            continue
        name = path.name[: -len(extension)]
        for prefix in ("img", "label"):
            if name.removeprefix(prefix).isdigit():
                name = name.removeprefix(prefix)
        if name in found:
            raise InputError(f"two files for the name '{name}' in {folder}: {found[name].name} and {path.name}")
        found[name] = path
    return found


def _volumes(entry: DataSet, own: Path, depth: int) -> dict[str, VolumePair]:
    """Volumes in a folder for images and one for labels, or a folder for each case (KiTS)."""
    classes = len(entry.classes)
    for folder in _levels(own, depth):
        below = children(folder)
        images, labels = below.get("imagestr") or below.get("img"), below.get("labelstr") or below.get("label")
        if images and labels:
            image_files, label_files = _volume_files(images), _volume_files(labels)
            if lonely := sorted(image_files.keys() ^ label_files.keys()):
                raise InputError(f"{len(lonely)} volumes are in only one of {images} and {labels}: {some(lonely)}")
            return {n: VolumePair(n, p, (label_files[n],), "", classes) for n, p in image_files.items()}
        cases = {}
        for name, case in sorted(below.items()):
            inside = _volume_files(case) if name.startswith("case") else {}
            if "imaging" in inside and "segmentation" in inside:
                cases[case.name] = VolumePair(case.name, inside["imaging"], (inside["segmentation"],), "", classes)
        if cases:
            return cases
    return {}


Pair = FilePair | VolumePair


def find_pairs(entry: DataSet, split: str, root: Path) -> tuple[list[Pair], str]:
    """The image–mask pairs of a split, in the order of its list, and a line that says where they were found.

    Raises ``InputError`` for a missing or wrongly laid out folder, for images without masks, masks without images,
    and for a split of which not every image is there.
    """
    if not root.is_dir():
        raise InputError(f"no such folder: {root}; give the folder that holds the data sets, or 'phantom'")
    if (folder := prepared.find_folder(entry, root)) is not None:
        return prepared.list_pairs(entry, split, folder)
    if entry.modality != "colonoscopy":
        found, parts, source = layouts.find_other_pairs(entry, root)
        return [found[name] for name in _chosen(entry, split, found, parts, source)], source
    folders, source = _folders(entry, root)
    pairs: dict[str, FilePair] = {}
    for images, masks in folders:
        pairs |= pair(entry, images, masks)
    if split == "all":
        known = set(entry.names["all"])
        # A folder of its own may hold part of the set; a mixed one holds other sets as well.
        names = [name for name in entry.names["all"] if name in pairs]
        if not names:
            raise InputError(f"{source}: none of the {len(pairs)} images there is one of {entry.title}'s {len(known)}")
        return [pairs[name] for name in names], source
    return [pairs[name] for name in _chosen(entry, split, pairs, {}, source)], source


def _chosen(entry: DataSet, split: str, found: dict[str, Pair], parts: dict[str, list[str]], source: str) -> list[str]:
    """The names of a split: from its shipped list, else from ``parts``, which the folders or a rule gave."""
    if split == "all":
        return list(found)
    if names := list(entry.names[split]):
        if missing := [name for name in names if name not in found]:
            raise InputError(
                f"{source}: {len(missing)} of the {len(names)} images of {entry.title}'s {split} split are missing "
                f"({some(missing)}); fetch the whole set, or take what is there with split 'all'"
            )
        return names
    if not parts.get(split):
        how = f"a folder '{split}' with images and masks" if entry.rule == "folders" else "more cases or clips"
        raise InputError(f"{source}: nothing for {entry.title}'s {split} split; it needs {how}, or take split 'all'")
    return parts[split]


def _folders(entry: DataSet, root: Path) -> tuple[list[tuple[Path, Path]], str]:
    """Pairs of folders that hold the set, and where they were found."""
    below = children(root)
    wanted = [plain(name) for name in (entry.title, *entry.folders)]
    own = next((below[name] for name in wanted if name in below), None)
    if own:
        found = image_and_mask_folder(own, depth=2)
        if found is None:
            raise InputError(f"{own} has the wrong layout: expected {entry.layout}, found {content(own)}")
        return [found], own.name
    if (found := image_and_mask_folder(root)) is not None:
        return [found], root.name
    pranet = []
    if "train" in entry.counts and "traindataset" in below:
        pranet.append(below["traindataset"])
    if "testdataset" in below:
        tests = children(below["testdataset"])
        pranet += [tests[name] for name in wanted if name in tests][:1]
    if pranet:
        found_all = [image_and_mask_folder(folder, depth=1) for folder in pranet]
        for folder, found in zip(pranet, found_all, strict=True):
            if found is None:
                expected = f"{folder.name}/{{images,masks}}"
                raise InputError(f"{folder} has the wrong layout: expected {expected}, found {content(folder)}")
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
        f"TestDataset/{entry.title}; found {content(root)}"
    )
