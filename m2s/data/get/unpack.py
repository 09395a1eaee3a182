"""Unpack one archive, zip or tar, wholly or not at all, and never outside its folder."""

import errno
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from m2s.errors import InputError, RunError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz")
FOREIGN = (".rar", ".7z")
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, LZMAError, NotImplementedError)


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive that :func:`unpack` takes."""
    return path.name.lower().endswith(SUFFIXES)


def find_page_title(path: Path) -> str:
    """The title of a file that is an HTML page, whatever its name; empty for anything else."""
    with path.open("rb") as file:
        start = file.read(65536)
    if not re.match(rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head)\b", start, re.I | re.S):
        return ""
    title = re.search(rb"<title[^>]*>(.*?)</title>", start, re.I | re.S)
    return " ".join(title[1].decode("utf-8", "replace").split())[:80] if title else "no title"


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack ``archive`` into one new folder inside ``folder``, and return that.

    The new folder has the name of the archive's own single top folder, or else the archive's. macOS's debris
    (``__MACOSX``, ``._*``, ``.DS_Store``) is left out. After an error (an ``InputError`` of the archive, a ``RunError``
    of the disk) nothing is left.
    """
    _refuse_others(archive)
    stem = archive.name[: -max(len(s) for s in SUFFIXES if archive.name.lower().endswith(s))]
    temporary = folder / f".{stem}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        # By content, not by name: a tar that is called .zip is unpacked all the same.
        if zipfile.is_zipfile(archive):
            _extract_zip(archive, temporary)
        elif tarfile.is_tarfile(archive):
            _extract_tar(archive, temporary)
        else:
            raise InputError(f"{archive} is cut short, or no {archive.suffix} file: delete it and fetch it again")
        entries = list(temporary.iterdir())
        if not entries:
            raise InputError(f"{archive} holds no files; fetch it again")
        single = len(entries) == 1 and entries[0].is_dir()
        whole, target = (entries[0], folder / entries[0].name) if single else (temporary, folder / stem)
        if target.exists():
            raise InputError(f"{archive} unpacks to {target}, which exists already: remove one of the two")
        return whole.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(f"the disk is full: {archive.name} was not unpacked; make room in {folder}") from None
        if error.errno is not None:
            raise RunError(f"cannot unpack {archive} into {folder}: {error.strerror}") from error
        raise _damaged(archive, error) from None  # gzip's complaints about its content
    except _DAMAGED as error:
        raise _damaged(archive, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _damaged(archive: Path, error: Exception) -> InputError:
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    return InputError(f"{archive} is damaged ({reason}): delete it and fetch it again")


def _refuse_others(archive: Path) -> None:
    """Raise an ``InputError`` for what is no zip or tar file, with what to do about it."""
    if not archive.is_file():
        raise InputError(f"no such archive: {archive}")
    if title := find_page_title(archive):
        raise InputError(
            f"{archive} is no archive but a web page ('{title}'), as sites send that ask for a login or whose quota is "
            "used up: delete it and save the file with a browser"
        )
    with archive.open("rb") as file:
        start = file.read(8)
    if archive.suffix.lower() in FOREIGN or start.startswith((b"Rar!", b"7z\xbc\xaf")):
        raise InputError(
            f"{archive} is a RAR or 7z archive, which Python does not read: unpack it yourself into {archive.parent} "
            "(unar, 7z x, or bsdtar -xf)"
        )
    if not is_archive(archive):
        raise InputError(f"{archive} is none of the archives known here: {', '.join(SUFFIXES)}")


def _extract_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        _check_room(archive, folder, sum(info.file_size for info in opened.infolist()))
        for info in opened.infolist():
            name = _check_name(archive, info.filename, stat.S_ISLNK(info.external_attr >> 16))
            if not name or info.is_dir():
                continue
            if info.flag_bits & 1:
                raise InputError(f"{archive} needs a password: unpack it yourself into {archive.parent}")
            info.filename = name
            opened.extract(info, folder)


def _extract_tar(archive: Path, folder: Path) -> None:
    def keep(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        _check_room(archive, folder, member.size)
        name = _check_name(archive, member.name, not (member.isfile() or member.isdir()))
        return tarfile.data_filter(member.replace(name=name), path) if name and member.isfile() else None

    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter=keep)


def _check_room(archive: Path, folder: Path, size: int) -> None:
    """Raise a ``RunError`` where so many bytes find no room, so that a bomb does not fill the disk first."""
    if size > (free := shutil.disk_usage(folder).free):
        raise RunError(f"{archive} unpacks to {size / 1e9:.1f} GB, and {folder.parent} has {free / 1e9:.1f} GB of room")


def _check_name(archive: Path, name: str, link: bool) -> str:
    """The name to write to, "" for debris.

    The libraries would bend a name that leads outside, or take a link that stays inside: neither is to be trusted.
    """
    path = PurePosixPath(name.replace("\\", "/"))  # some Windows programs write backslashes
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", str(path)):
        raise InputError(f"{archive} was refused: it would write outside its folder ('{name}'); do not trust it")
    if link:
        raise InputError(f"{archive} was refused: '{name}' is a link or a device, not a file; do not trust it")
    if "__MACOSX" in path.parts or path.name.startswith("._") or path.name == ".DS_Store":
        return ""
    return str(path)
