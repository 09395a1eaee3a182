"""The checkout, its commit, where results live (one folder per profile and kind of data), and how files are written."""

import errno
import gzip
import json
import os
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from m2s.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
"""The checkout that this package runs from.

:meta hide-value:
"""


CARRIED = ROOT if (ROOT / "pyproject.toml").exists() else Path(__file__).parent / "carried"
"""What holds the folders that come with m2s (``samples``, ``weights``, ``results/published``): the checkout or, where
the package is installed without it, a folder of the package that setup.py fills.

:meta hide-value:
"""

SAMPLES = {"kvasir": CARRIED / "samples", "hippocampus": CARRIED / "samples"}
"""The data sets of which real images come with the repository, and the folder that holds them.

:meta hide-value:
"""


def expand(path: str | Path) -> Path:
    """A path with its ``~`` looked up, which a shell leaves as it is in ``--data=~/x`` and in many variables.

    Raises:
        InputError: no home folder is known here.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path}: no home folder is known here; write the whole path, or set HOME") from error


def data_label(data: str | Path) -> str:
    """``"sample"`` and ``"phantom"`` are what they say; any folder of data sets is ``"real"``."""
    return str(data) if str(data) in ("sample", "phantom") else "real"


def describe_data(data: str | Path) -> str:
    """Whose images ``data`` stands for, in words."""
    words = {
        "phantom": "made-up images",
        "sample": "real images of the sample, made-up ones of sets that are not in it",
    }
    return words.get(str(data), "real data sets")


def resolve_data(data: str | Path) -> str:
    """The value of ``data`` for a process in another folder: a folder of data sets becomes absolute."""
    return str(expand(data).resolve()) if data_label(data) == "real" else str(data)


def image_root(name: str, data: str | Path) -> str | Path:
    """Where the images of one data set come from: a folder, or ``"phantom"`` where they are made up.

    On ``"sample"`` they are real where real ones come with the repository, and made up for every other set.
    """
    return SAMPLES.get(name, "phantom") if data_label(data) == "sample" else data


def is_made_up(name: str, data: str | Path) -> bool:
    """Whether the images of one data set are made up."""
    return str(image_root(name, data)) == "phantom"


def results_root() -> Path:
    """The folder of all results: the variable ``M2S_RESULTS``, or ``results/`` in the checkout.

    Where the package is installed without its checkout, it is ``results/`` in the current folder.
    """
    home = ROOT if (ROOT / "pyproject.toml").exists() else Path.cwd()
    return expand(os.environ.get("M2S_RESULTS") or home / "results").resolve()


def results_dir(profile: str, data: str | Path) -> Path:
    """The results of one profile on one kind of data, for instance ``results/lab-sample``."""
    return results_root() / f"{profile}-{data_label(data)}"


def read_json(path: Path, advice: str) -> dict:
    """What a JSON file holds; an ``InputError`` with ``advice`` where it is damaged or no mapping."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path} ({error}): {advice}") from error
    if not isinstance(content, dict):
        raise InputError(f"cannot read {path} (it holds no mapping): {advice}")
    return content


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to that replaces ``path`` at the end: a reader finds the old file or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno:  # a full disk does not say where; an error without a number would lose its words
            error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def copy_file(source: str | Path, target: str | Path) -> None:
    """Copy a file with its date by :func:`whole_file`: a file that is the same stays so."""
    with whole_file(Path(target)) as temporary:
        shutil.copy2(source, temporary)


@contextmanager
def hold_lock(path: Path, busy: str, wait: bool = True) -> Iterator[None]:
    """Hold a lock that ends with this process in any case; where another process holds it, say ``busy`` and wait.

    Raises:
        InputError: another process holds it, and ``wait`` is off; the folder cannot be written to; or its file system
            (a network share, for instance) has no locks.
    """
    lock = FileLock(path, fallback_to_soft=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise InputError(f"{busy}: try again when it has ended") from None
            print(f"{busy}: waiting for it", file=sys.stderr, flush=True)
            lock.acquire()
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):  # some network and parallel file systems
            told = f"the file system of {path.parent} has no locks, so that two processes could train the same run"
            raise InputError(f"{told}: mount it with locks, or set M2S_RESULTS to another folder") from error
        told = f"cannot write to the results folder {path.parent}: {error.strerror}; set M2S_RESULTS"
        raise InputError(told) from error
    try:
        yield
    finally:
        lock.release()


MARK = "written by m2s"
"""What a file holds near its beginning that a command wrote for a user, and that the same command may replace."""


def is_own(path: Path) -> bool:
    """Whether a file carries :data:`MARK` in its first 4096 bytes (of what is packed in it, for ``.gz``)."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with (gzip.open if packed else open)(path, "rb") as file:
        return MARK.encode() in file.read(4096)


def check_outputs(targets: Iterable[Path], given: Iterable[Path] = (), is_own: Callable[[Path], bool] = is_own) -> None:
    """Refuse to write over a user's file. To be called before anything is written.

    Args:
        targets: the files that the command is going to write.
        given: the files that it reads. None of them is ever written to, whatever link or name leads to it.
        is_own: whether a file that is there already comes from an earlier call, and may be replaced.

    Raises:
        InputError: a target that is one of the given files, that exists and is not ours, that is the same file as
            another target (on any machine: names that differ in case or in the form of their accents alone), or that
            cannot be written because its folder is a file or read-only.
    """
    sources = {}
    for path in given:
        with suppress(OSError):  # reading it will tell
            sources[(found := path.stat()).st_dev, found.st_ino] = path
    taken: dict[str, Path] = {}
    for target in targets:
        name = unicodedata.normalize("NFC", str(target.resolve())).casefold()
        if (other := taken.setdefault(name, target)) is not target:
            raise InputError(f"{target} and {other} would be one file: give the inputs different names")
        if os.path.lexists(target):
            source = None
            with suppress(OSError):  # a dangling link
                found = target.stat()
                source = sources.get((found.st_dev, found.st_ino))
            if source:
                raise InputError(f"{target} is an input ({source}) and would be overwritten: write to another folder")
            replaced = False
            with suppress(Exception):  # decoders raise nearly anything for a file of another kind
                replaced = not target.is_symlink() and is_own(target)
            if not replaced:
                raise InputError(f"{target} exists and is not a result of this command: write elsewhere, or move it")
        folder = next(folder for folder in target.absolute().parents if os.path.lexists(folder))
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            why = "read-only" if folder.is_dir() else "no folder"
            raise InputError(f"cannot write {target}: {folder} is {why}")


@cache
def commit() -> str | None:
    """The checkout's git commit; ``None`` where it is no checkout or there is no git."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return None
    asked = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, check=False)
    return asked.stdout.decode().strip() if asked.returncode == 0 else None
