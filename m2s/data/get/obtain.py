"""Get a data set: fetch, unpack, prepare, and check it.

Archives live in ``ROOT/downloads/<name>/``, fetched or put there by the user; what they unpack to is deleted once the
set is prepared in ``ROOT/<name>/``.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from m2s.data.disk.prepared import MANIFEST, read_manifest
from m2s.data.get.fetch import fetch_file, make_folder, verify_file
from m2s.data.get.prepare import find_problems, prepare_set
from m2s.data.get.unpack import FOREIGN, is_archive, unpack
from m2s.data.load import load_images
from m2s.data.sets import CATALOGUE, find_source
from m2s.data.sets.entry import Download, Source
from m2s.errors import InputError, NotFound, RunError, some
from m2s.paths import expand


def default_root() -> Path:
    """Where data sets live unless one says otherwise: the variable ``M2S_DATA``, or ``data`` in the current folder."""
    return expand(os.environ.get("M2S_DATA") or "data")


def list_sets(name: str) -> tuple[str, ...]:
    """The data sets that come with the source ``name``: itself, or several."""
    return find_source(name).provides or (name,)


def is_prepared(name: str, root: Path) -> bool:
    """Whether ``root`` holds the prepared set."""
    return (root / name / MANIFEST).is_file()


def get_set(name: str, root: Path, urls: tuple[str, ...] = (), part: bool = False) -> None:
    """Prepare the source ``name`` below ``root``: from what lies there as distributed, else from its downloads.

    ``urls`` are links that a person took from the set's page, for a set that has no fixed ones; with ``part`` an
    incomplete set is taken as well. Steps that the user must take first are printed.
    """
    source = find_source(name)
    missing = [n for n in list_sets(name) if not is_prepared(n, root)]
    if not missing:
        print(f"{name}: prepared already in {root}; --check verifies it")
        return
    if root.is_dir() and all(count_found(n, root) for n in missing):
        _prepare_sets(missing, root, root, part)
        return
    folder = root / "downloads" / name
    for number, url in enumerate(urls, 1):
        fetch_file(Download(url, f"link-{number}.zip"), folder)
    for file in source.files:
        fetch_file(file, folder)
    make_folder(folder)
    if source.steps and not list_downloads(folder):
        print("\n".join(list_steps(name, root)))
        raise InputError(f"{name} needs the steps above, which you take yourself: nothing is in {folder} yet")
    with _unpacked(folder, source) as unpacked:
        _prepare_sets(missing, unpacked, root, part)


def list_steps(name: str, root: Path) -> list[str]:
    """The lines that say how to get a set that no program can get."""
    page = find_page(name)
    steps = [step.format(folder=root / "downloads" / name) for step in find_source(name).steps]
    steps = [*([f"Open {page}"] if page else []), *steps, f"Run python data_scripts/{name}.py --root {root}"]
    return [f"{name}, by hand:", *(f"  {number}. {step}" for number, step in enumerate(steps, 1))]


def find_page(name: str) -> str:
    """The page on which a person finds a set; empty where none is known."""
    return find_source(name).page or (CATALOGUE[name].home if name in CATALOGUE else "")


def check_set(name: str, root: Path) -> None:
    """Verify what is there: the archives' hashes and the prepared set. Prints what is wrong, and raises a RunError."""
    if absent := [n for n in list_sets(name) if not is_prepared(n, root)]:
        raise InputError(
            f"not prepared in {root}: {', '.join(absent)}; run python data_scripts/{name}.py --root {root}"
        )
    problems = []
    for archive in filter(is_archive, list_downloads(root / "downloads" / name)):
        try:
            _verify_archive(archive, find_source(name))
        except InputError as error:
            problems.append(str(error))
    for n in list_sets(name):
        problems += (faults := find_problems(n, root))
        if not faults:
            print(f"{n}: {count_prepared(n, root)} images in {root / n}, all correct")
    if problems:
        print("\n".join(problems))
        raise RunError(f"{len(problems)} problems with {name} in {root}: {problems[0]}")


def count_prepared(name: str, root: Path) -> int:
    """How many images the manifest of a prepared set names."""
    return len(read_manifest(root / name))


def count_found(name: str, root: Path) -> int:
    """How many images of a set lie below ``root`` as distributed; 0 for none. Other errors are raised."""
    try:
        return len(load_images(name, "all", root))
    except NotFound:
        return 0


def _verify_archive(archive: Path, source: Source) -> None:
    verify_file(archive, next((file.hash for file in source.files if file.file == archive.name), None))


def _prepare_sets(names: list[str], source: Path, root: Path, part: bool) -> None:
    for name in names:
        print(prepare_set(name, _find_set_folder(name, source), root, part), flush=True)


def _find_set_folder(name: str, folder: Path) -> Path:
    """``folder``, or the folder in it that holds the set: archives often hold several, one level down."""
    first_error: InputError | None = None
    for candidate in (folder, *sorted(f for f in folder.iterdir() if f.is_dir())):
        try:
            load_images(name, "all", candidate)
            return candidate
        except InputError as error:
            first_error = first_error or error
    raise first_error or NotFound(f"no {name} in {folder}")


def list_downloads(folder: Path) -> list[Path]:
    """What lies in a folder of downloads, which may be absent, without our own notes and unfinished downloads."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    own = (".sha256", ".part")
    return [p for p in entries if not p.name.startswith(".") and p.suffix not in own]


def _link_or_copy(source: Path, target: Path) -> None:
    """Let ``target`` stand for a file or folder: a link, or a copy where the system allows no links (Windows)."""
    try:
        target.symlink_to(source.resolve())
    except OSError:
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)


@contextmanager
def _unpacked(folder: Path, source: Source) -> Iterator[Path]:
    """A folder that holds every archive of ``folder`` unpacked, and links to all else; gone afterwards."""
    entries = list_downloads(folder)
    foreign = [p for p in entries if p.suffix.lower() in FOREIGN]
    if foreign and not any(p.is_dir() for p in entries):
        unpack(foreign[0], folder)  # which says what to do
    unpacked = folder / ".unpacked"  # a folder "unpacked" may be the user's own work
    shutil.rmtree(unpacked, ignore_errors=True)
    target = unpacked / source.folder
    try:
        make_folder(target)
        for entry in entries:
            if is_archive(entry):
                _verify_archive(entry, source)
                print(f"unpacking {entry.name}", flush=True)
                unpack(entry, target)
            elif entry not in foreign:
                _link_or_copy(entry, target / entry.name)
        if not any(target.iterdir()):
            raise InputError(f"{folder} holds no archive that can be unpacked: {some([p.name for p in entries])}")
        yield unpacked
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
