"""Find the files of a data set below a root folder, in the layouts in which people really keep them.

Three kinds are known: prepared by this package (``<name>/manifest.csv``), each set in a folder of its own as
distributed (possibly nested once or twice by an archive), and PraNet's ``TrainDataset/{image,mask}`` with Kvasir-SEG
and CVC-ClinicDB mixed, beside ``TestDataset/<name>``. The polyp images are found here, the rest by
:mod:`m2s.data.layouts_others`.
"""

from pathlib import Path

from ..errors import InputError, NotFound, some
from . import layouts_others, prepared
from .catalogue import CATALOGUE
from .dataset import DataSet
from .folders import children, content, image_and_mask_folder, pair, plain
from .readers import FilePair
from .volumes import VolumePair

Pair = FilePair | VolumePair


def find_pairs(entry: DataSet, split: str, root: Path) -> tuple[list[Pair], str]:
    """The image–mask pairs of a split, in the order of its list, and a line that says where they were found.

    Raises ``InputError`` for a missing or wrongly laid out folder, for images without masks, masks without images,
    and for a split of which not every image is there.
    """
    if not root.is_dir():
        raise InputError(f"no such folder: {root}; give the folder that holds the data sets, or 'phantom'")
    if (folder := prepared.folder(entry, root)) is not None:
        return prepared.find(entry, split, folder)
    if entry.modality != "colonoscopy":
        found, parts, source = layouts_others.find(entry, root)
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
