"""Fetch one file: resumed where it broke off, checked, and under its own name only when it is whole and right.

gdown does the transfer, of Google Drive's links and of plain ones alike: ranges, lengths and partial files. Here stand
the rules around it: when to try again, what is reported, and what is kept.
"""

import errno
import glob
import sys
import time
from pathlib import Path

import gdown
import pooch
import requests
from gdown.exceptions import DownloadError, FileURLRetrievalError

from m2s.data.get.unpack import find_page_title
from m2s.data.sets.entry import Download
from m2s.errors import InputError, RunError
from m2s.paths import whole_file

ATTEMPTS = 5
WAIT = 2.0
"""Seconds before the second attempt; doubled before each further one."""
TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as cut."""


def fetch_file(download: Download, folder: Path) -> Path:
    """The file in ``folder``, downloaded if it is not there yet; its hash is right or, where none is known, noted.

    After an error nothing is left but, of a cut connection, the partial file with which the next call goes on.
    """
    target = folder / download.file
    if target.exists():
        verify_file(target, download.hash)
        return target
    make_folder(folder)
    size = f" ({download.megabytes} MB)" if download.megabytes else ""
    print(f"fetching {download.url}{size}", flush=True)
    _transfer(download.url, target)
    if title := find_page_title(target):
        target.unlink()
        raise RunError(
            f"{download.url} sent a web page ('{title}') in place of {download.file}, as sites do that ask for a login "
            f"or whose quota is used up: save the file with a browser as {target}, or try again in a day"
        )
    try:
        verify_file(target, download.hash)
    except InputError as error:
        target.unlink()
        raise RunError(f"{error}; the download was deleted, try again") from None
    return target


def make_folder(folder: Path) -> None:
    """Make a folder and those above it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}") from error


def verify_file(path: Path, known: str | None) -> None:
    """Compare a file with its known hash, or else with the hash noted beside it, which the first call writes.

    The note is ``<file>.sha256`` as ``sha256sum --check`` reads it. Another hash is an ``InputError``.
    """
    note = path.with_name(path.name + ".sha256")
    if known is None and not note.exists():
        with whole_file(note) as temporary:
            temporary.write_text(f"{pooch.file_hash(str(path))}  {path.name}\n", encoding="utf-8")
        return
    origin = "published" if known else f"noted in {note.name}"
    expected = known or note.read_text(encoding="utf-8").split(" ")[0]
    algorithm = pooch.hashes.hash_algorithm(expected)
    if not pooch.hashes.hash_matches(str(path), expected):
        actual = pooch.file_hash(str(path), alg=algorithm)
        raise InputError(
            f"{path} has the wrong hash: {algorithm} {actual}, but {expected.removeprefix(algorithm + ':')} is "
            f"{origin}; it is damaged or was changed"
        )


def _list_partial(target: Path) -> list[Path]:
    """What gdown keeps of an unfinished download: the name, eight random characters, ``.part``."""
    return list(target.parent.glob(f"{glob.escape(target.name)}{'?' * 8}.part"))


def _sum_sizes(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _transfer(url: str, target: Path) -> None:
    wait = WAIT
    for left in range(ATTEMPTS - 1, -1, -1):
        before = _sum_sizes(_list_partial(target))
        try:
            quiet = not sys.stderr.isatty()
            gdown.download(url, str(target), quiet=quiet, resume=True, use_cookies=False, timeout=TIMEOUT)
            return
        except FileURLRetrievalError as error:  # Google Drive's page on quotas, or a file that is not shared any more
            reason = next((line.strip() for line in str(error).splitlines()[1:] if line.strip()), str(error))
            raise RunError(
                f"Google Drive does not hand out {url} ({reason}): save it with a browser as {target}, "
                "or try again in a day"
            ) from None
        except requests.HTTPError as error:
            code = error.response.status_code
            reason = f"HTTP {code} {error.response.reason}"
            if code < 500 and code != 429:
                raise RunError(
                    f"cannot fetch {url}: {reason}; if it has moved, save it with a browser as {target}"
                ) from None
        except (DownloadError, requests.RequestException) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            if (partial := _list_partial(target)) and _sum_sizes(partial) <= before:
                for file in partial:  # this server cannot go on from it, so the next attempt starts afresh
                    file.unlink()
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "the disk is full" if full else f"cannot write to {target.parent}: {error.strerror}"
            for file in _list_partial(target):
                file.unlink()
            raise RunError(f"{reason}; nothing of {target.name} was kept: make room in {target.parent}") from None
        if left:
            print(f"{target.name}: {reason}; trying again in {wait:.0f} s", file=sys.stderr, flush=True)
            time.sleep(wait)
            wait *= 2
    kept = _sum_sizes(_list_partial(target))
    rest = f"; the {kept} bytes that came are kept, and the same command goes on from there" if kept else ""
    raise RunError(f"cannot fetch {url} in {ATTEMPTS} attempts: {reason}{rest}")
