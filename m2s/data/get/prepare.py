"""Write a data set in the one layout of this package, and check one that was written.

``ROOT/<name>/images/<stem>.png`` (or .jpg), ``ROOT/<name>/masks/<stem>.png`` and ``ROOT/<name>/manifest.csv``; volumes
have ``.nii.gz`` for both. Images keep their pixels exactly as :func:`m2s.data.load_images` gives them: ordinary 8-bit
PNG and JPEG files are copied byte for byte, anything else becomes a PNG (16 bits are scaled to 8, see ``read_image``).
Masks hold class indices: 0 background, 1, 2, … in the order of the catalogue. Volumes are in RAS+ orientation.
"""

import errno
import re
import shutil
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from PIL import Image
from pooch import file_hash

from m2s.data.disk.images import read_image, read_mask
from m2s.data.disk.nifti import read_volume, read_volume_mask
from m2s.data.disk.prepared import MANIFEST, read_manifest
from m2s.data.imageset import ImageSet
from m2s.data.load import load_images
from m2s.data.sets import find_set
from m2s.data.sets.entry import DataSet
from m2s.data.threads import map_in_threads
from m2s.errors import InputError, NotFound, some
from m2s.paths import expand

COLUMNS = [
    "name", "file", "mask", "width", "height", "depth", "split", "group", "sha256", "foreground", "mask_sha256",
]  # fmt: skip


def prepare_set(name: str, source: str | Path, root: str | Path, part: bool = False) -> Path:
    """Write the data set ``name``, as it was distributed below ``source``, to ``root/<name>``; returns that folder.

    A set that is already there is left as it is. All is written under a temporary name, which one rename makes the
    set: after an error or a kill there is no half set, and the next call starts again. The number of images must be
    the published one, or one that is known and explained; ``part`` takes what is there.
    """
    entry, root, source = find_set(name), expand(root), expand(source)
    target, partial = root / name, root / f".{name}.partial"
    if (target / MANIFEST).is_file():
        return target
    if target.exists():
        raise InputError(f"{target} exists and is not a prepared set (no manifest.csv): move it, or give another root")
    images = load_images(name, "all", root=source)
    note = _compare_count(entry, images, part)
    with _cleaned(partial, entry.title):
        for folder in ("images", "masks"):
            (partial / folder).mkdir(parents=True)
        stems, splits = _make_stems(images.names), _list_splits(entry, images, source)

        def write(index: int) -> dict[str, object]:
            row = _write_pair(images.items[index], partial, stems[index], entry.volumetric)
            return row | {"split": splits[index]}

        rows = map_in_threads(write, len(images), f"preparing {entry.title}")
        pd.DataFrame(rows, columns=COLUMNS).to_csv(partial / MANIFEST, index=False)
        partial.rename(target)
    print(f"{entry.title}: {len(images)} images prepared in {target}{note and f' ({note})'}", file=sys.stderr)
    return target


@contextmanager
def _cleaned(partial: Path, title: str):
    """Nothing left of ``partial``, neither from a run that was killed nor after an error in this one."""
    try:
        shutil.rmtree(partial, ignore_errors=True)
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = "the disk is full; free some space and run it again"
        else:
            why = f"{error.strerror or error} ({error.filename or partial})"
        raise InputError(f"cannot prepare {title} in {partial.parent}: {why}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _count_published(entry: DataSet) -> int | None:
    """How many images the whole set has with public masks, where that is known."""
    whole = len(entry.names["all"]) or (sum(entry.counts.values()) if entry.rule else 0)
    return whole or entry.expected.get("all")


def _compare_count(entry: DataSet, images: ImageSet, part: bool) -> str:
    """A note where the number of images is not the published one; an ``InputError`` where there is no known reason."""
    number, published = len(images), _count_published(entry)
    if published is None:
        return "no published number to compare with"
    if number == published:
        return ""
    if number in entry.other_counts:
        return f"published: {published}; {entry.other_counts[number]}"
    if part:
        return f"a part: published are {published}"
    known = f" (note: {entry.note})" if entry.note else ""
    raise InputError(
        f"{entry.title} ({images.source}) has {number} images, published are {published}{known}; fetch the whole set"
    )


def _list_splits(entry: DataSet, images: ImageSet, source: Path) -> list[str]:
    """The splits that hold each image, joined by ``;``. A split that is not whole here holds none."""
    held: dict[Path, list[str]] = {item.image: [] for item in images.items}
    for split in entry.splits[:-1]:  # without "all"
        with suppress(InputError):
            for item in load_images(entry.name, split, root=source).items:
                held.get(item.image, []).append(split)
    return [";".join(held[item.image]) for item in images.items]


def _make_stems(names: tuple[str, ...]) -> list[str]:
    """A file name for each image: its own, but for signs that no file may have and names that differ only in case."""
    taken: set[str] = set()
    stems = []
    for name in names:
        plain = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", name).lstrip(".") or "_"
        stem, number = plain, 2
        while stem.lower() in taken:
            stem, number = f"{plain}-{number}", number + 1
        taken.add(stem.lower())
        stems.append(stem)
    return stems


def _write_pair(item, folder: Path, stem: str, volumetric: bool) -> dict[str, object]:
    """Write one image and its mask below ``folder``; its row of the manifest, but for the splits."""
    image, values = item.read()
    mask = folder / "masks" / f"{stem}{'.nii.gz' if volumetric else '.png'}"
    if volumetric:
        file = folder / "images" / f"{stem}.nii.gz"
        affine = nib.as_closest_canonical(nib.load(item.image)).affine
        whole = image.astype(np.int16)
        for path, voxels in ((file, whole if np.array_equal(whole, image) else image), (mask, values)):
            nib.save(nib.Nifti1Image(voxels.transpose(2, 1, 0), affine), path)
    else:
        extension = _find_extension(item.image)
        file = folder / "images" / f"{stem}{extension or '.png'}"
        if extension:
            shutil.copyfile(item.image, file)
        else:
            grey = (image == image[..., :1]).all()
            Image.fromarray(image[..., 0] if grey else image).save(file)
        Image.fromarray(values).save(mask, optimize=True)
    return _measure_pair(image, values) | {
        "name": item.name,
        "file": file.relative_to(folder).as_posix(),
        "mask": mask.relative_to(folder).as_posix(),
        "group": item.group,
        "sha256": file_hash(str(file)),
        "mask_sha256": file_hash(str(mask)),
    }


def _measure_pair(image: np.ndarray, mask: np.ndarray) -> dict[str, object]:
    """What the manifest says about an image (H, W, 3), or a volume (D, H, W), and its mask of class indices."""
    depth, height, width = mask.shape if mask.ndim == 3 else (1, *mask.shape)
    share = round(float(np.count_nonzero(mask)) / mask.size, 6)
    return {"width": width, "height": height, "depth": depth, "foreground": share}


def _find_extension(path: Path) -> str:
    """The extension of a file that can be copied as it is: 8-bit grey or RGB, PNG or JPEG, not turned; else ""."""
    try:
        with Image.open(path) as picture:
            plain = picture.mode in ("L", "RGB") and picture.getexif().get(0x0112, 1) == 1
            return {"PNG": ".png", "JPEG": ".jpg"}.get(picture.format, "") if plain else ""
    except OSError:
        return ""  # a TIFF of ClinicDB's kind, which another library reads


def find_problems(name: str, root: str | Path) -> list[str]:
    """What is wrong with the prepared set ``root/<name>``: a line for each problem, with the file and what to do.

    Counts, names, hashes, sizes, the values of every mask and its share of foreground are read again and compared.
    """
    entry, folder = find_set(name), expand(root) / name
    manifest, again = folder / MANIFEST, f"delete {folder} and prepare the set again"
    if not manifest.is_file():
        raise NotFound(f"no prepared {entry.title} in {root}: expected {manifest}; prepare it first")
    try:
        rows = read_manifest(folder)
    except InputError:
        rows = pd.DataFrame()
    if lacking := [column for column in COLUMNS if column not in rows]:
        return [f"{manifest} lacks the columns {some(lacking)}; {again}"]
    problems = []
    published = _count_published(entry)
    if published not in (None, len(rows)) and len(rows) not in entry.other_counts:
        problems.append(f"{manifest} lists {len(rows)} images, published are {published}; {again}")
    if twice := sorted(rows.name[rows.name.duplicated()]):
        problems.append(f"{manifest} lists names twice: {some(twice)}; {again}")
    listed = {*rows.file, *rows["mask"]}
    for path in sorted(p for kind in ("images", "masks") for p in (folder / kind).glob("*") if p.name[0] != "."):
        if path.relative_to(folder).as_posix() not in listed:
            problems.append(f"{path} is not in the manifest; delete it, or {again}")
    faults = map_in_threads(lambda i: _compare_row(entry, folder, rows.iloc[i]), len(rows), f"checking {entry.title}")
    return problems + [f"{fault}; {again}" for of_one in faults for fault in of_one]


def _to_number(text: str) -> float:
    """A number of the manifest; a spreadsheet may have put a comma for the point. NaN for what is none."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return float("nan")


def _compare_row(entry: DataSet, folder: Path, row: pd.Series) -> list[str]:
    """What differs between a row of the manifest and its two files."""
    problems = []
    for path, sha256 in ((folder / row.file, row.sha256), (folder / row["mask"], row.mask_sha256)):
        if not path.is_file():
            problems.append(f"{path} is missing")
        elif file_hash(str(path)) != sha256:
            problems.append(f"{path} was changed: its SHA-256 is not that of the manifest")
    if problems:
        return problems
    classes = len(entry.classes)
    try:
        if entry.volumetric:
            image, mask = read_volume(folder / row.file)[0], read_volume_mask(folder / row["mask"], classes)
        else:
            image = read_image(folder / row.file)
            mask = read_mask(folder / row["mask"], max(classes, 2))  # as for several classes: no grey is cut at 127
    except InputError as error:
        return [str(error).rsplit(";", 1)[0]]
    if mask.max() > classes:
        return [f"{folder / row['mask']} holds the value {mask.max()}, but the classes are 0 to {classes}"]
    if image.shape[: mask.ndim] != mask.shape:
        return [f"{folder / row['mask']} does not have the size of its image {folder / row.file}"]
    measured = _measure_pair(image, mask)
    wrong = [f"{k} {row[k]}, not {v}" for k, v in measured.items() if not abs(_to_number(row[k]) - float(v)) <= 2e-6]
    return [f"the manifest says about {folder / row.file}: {', '.join(wrong)}"] if wrong else []
