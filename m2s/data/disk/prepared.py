"""Find a data set that this package has prepared: images, masks of class indices, and ``manifest.csv``."""

import csv
from pathlib import Path

from m2s.data.disk.images import FilePair
from m2s.data.disk.nifti import VolumePair
from m2s.data.sets.entry import DataSet
from m2s.errors import InputError

MANIFEST = "manifest.csv"


def find_folder(entry: DataSet, root: Path) -> Path | None:
    """The prepared set in ``root``, or ``root`` itself if it is that set's folder; else None."""
    places = (root / entry.name, *((root,) if root.resolve().name == entry.name else ()))
    return next((place for place in places if (place / MANIFEST).is_file()), None)


def list_pairs(entry: DataSet, split: str, folder: Path) -> tuple[list[FilePair | VolumePair], str]:
    """The images of a split in the order of the manifest, and a line that says where they were found."""
    path = folder / MANIFEST
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"cannot read {path}: {error}; prepare the set again") from error
    if not rows or not {"name", "file", "mask", "split"} <= rows[0].keys():
        raise InputError(
            f"{path} is no manifest: its columns must be name, file, mask, split, …; prepare the set again"
        )
    chosen = [row for row in rows if split == "all" or split in (row["split"] or "").split(";")]
    if not chosen:
        known = sorted({part for row in rows for part in (row["split"] or "").split(";") if part})
        raise InputError(f"{path} has no images of the split '{split}'; it has {', '.join([*known, 'all'])}")
    kind = VolumePair if entry.volumetric else FilePair
    items = []
    for row in chosen:
        image, mask = folder / (row["file"] or ""), folder / (row["mask"] or "")
        for file in (image, mask):
            if not file.is_file():
                raise InputError(f"{file} is in {path.name} but not there; prepare the set again")
        items.append(kind(row["name"], image, (mask,), row.get("group") or "", len(entry.classes)))
    return items, f"{folder.name} (prepared)"
