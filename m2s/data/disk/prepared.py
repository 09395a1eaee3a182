"""Find a data set that this package has prepared: images, masks of class indices, and ``manifest.csv``."""

import unicodedata
from pathlib import Path

import pandas as pd

from m2s.data.disk.images import FilePair
from m2s.data.disk.nifti import VolumePair
from m2s.data.sets.entry import DataSet
from m2s.errors import InputError

MANIFEST = "manifest.csv"


def find_folder(entry: DataSet, root: Path) -> Path | None:
    """The prepared set in ``root``, or ``root`` itself if it is that set's folder; else None."""
    places = (root / entry.name, *((root,) if root.resolve().name == entry.name else ()))
    return next((place for place in places if (place / MANIFEST).is_file()), None)


def read_manifest(folder: Path) -> pd.DataFrame:
    """A prepared set's manifest as text, also one that a spreadsheet has saved (byte-order mark, semicolons)."""
    path = folder / MANIFEST
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            separator = "," if "," in file.readline() else ";"
            file.seek(0)
            return pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False).fillna("")
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise InputError(f"cannot read {path}: {reason}; prepare the set again") from error


def _find_file(folder: Path, name: str) -> Path:
    """A file by its name in the manifest; the disk may keep accents in the other of Unicode's two forms."""
    forms = [folder / unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    return next((path for path in (folder / name, *forms) if path.is_file()), folder / name)


def list_pairs(entry: DataSet, split: str, folder: Path) -> tuple[list[FilePair | VolumePair], str]:
    """The images of a split in the order of the manifest, and a line that says where they were found."""
    path, table = folder / MANIFEST, read_manifest(folder)
    rows = table.to_dict("records")
    if not rows or not {"name", "file", "mask", "split"} <= rows[0].keys():
        raise InputError(
            f"{path} is no manifest: its columns must be name, file, mask, split, …; prepare the set again"
        )
    chosen = [row for row in rows if split == "all" or split in row["split"].split(";")]
    if not chosen:
        known = sorted({part for row in rows for part in row["split"].split(";") if part})
        raise InputError(f"{path} has no images of the split '{split}'; it has {', '.join([*known, 'all'])}")
    kind = VolumePair if entry.volumetric else FilePair
    items = []
    for row in chosen:
        image, mask = (_find_file(folder, row[column]) for column in ("file", "mask"))
        for file in (image, mask):
            if not file.is_file():
                raise InputError(f"{file} is in {path.name} but not there; prepare the set again")
        items.append(
            kind(unicodedata.normalize("NFC", row["name"]), image, (mask,), row.get("group") or "", len(entry.classes))
        )
    return items, f"{folder.name} (prepared)"
