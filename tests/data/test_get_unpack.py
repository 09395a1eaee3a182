"""Archives: whole or not at all, never outside their folder, and with a line that says what to do."""

import errno
import io
import shutil
import stat
import tarfile
import zipfile

import pytest

from m2s.data.get.unpack import unpack
from m2s.errors import InputError, RunError


def zipped(path, files: dict[str, bytes]):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path, files: dict[str, bytes], links: dict[str, str] | None = None):
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return path


def files(folder) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "unpacked"
    folder.mkdir()
    return folder


def refused(archive, folder, words, error=InputError):
    with pytest.raises(error, match=words) as caught:
        unpack(archive, folder)
    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []
    assert [p.name for p in folder.parent.iterdir() if p not in (archive, folder)] == []


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz", "SET.ZIP", "my set [1].tgz"])
def test_a_single_top_folder_gives_its_name(tmp_path, folder, name):
    pack = zipped if name.lower().endswith("zip") else tarred
    archive = pack(tmp_path / name, {"The set/images/a (1).png": b"1", "The set/masks/a (1).png": b"2"})
    assert unpack(archive, folder) == folder / "The set"
    assert files(folder) == ["The set/images/a (1).png", "The set/masks/a (1).png"]
    assert (folder / "The set/masks/a (1).png").read_bytes() == b"2"


def test_several_entries_go_into_a_folder_named_after_the_archive(tmp_path, folder):
    archive = tarred(tmp_path / "my set.v2.tar.gz", {"images/a.png": b"1", "masks/a.png": b"2"})
    assert unpack(archive, folder) == folder / "my set.v2"
    assert files(folder) == ["my set.v2/images/a.png", "my set.v2/masks/a.png"]


def test_the_debris_of_macos_is_left_out(tmp_path, folder):
    names = ["set/images/a.png", "__MACOSX/set/images/._a.png", "set/images/._a.png", "set/.DS_Store"]
    assert unpack(zipped(tmp_path / "x.zip", dict.fromkeys(names, b"1")), folder) == folder / "set"
    assert files(folder) == ["set/images/a.png"]


def test_backslashes_of_windows_are_folders(tmp_path, folder):
    unpack(zipped(tmp_path / "x.zip", {"set\\images\\a.png": b"1"}), folder)
    assert files(folder) == ["set/images/a.png"]


@pytest.mark.parametrize("name", ["../out.txt", "set/../../out.txt", "/tmp/out.txt", "..\\out.txt", "C:\\out.txt"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_that_writes_outside_its_folder_is_refused(tmp_path, folder, pack, name):
    archive = pack(tmp_path / ("x.zip" if pack is zipped else "x.tar"), {"set/a.png": b"1", name: b"2"})
    refused(archive, folder, "was refused: it would write outside its folder")


def test_links_are_refused(tmp_path, folder):
    refused(tarred(tmp_path / "x.tar", {"set/a": b"1"}, {"set/b": "/etc"}), folder, "'set/b' is a link")
    (tmp_path / "x.tar").unlink()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        info = zipfile.ZipInfo("set/b")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
    refused(tmp_path / "x.zip", folder, "'set/b' is a link")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE])
def test_devices_and_hard_links_are_refused(tmp_path, folder, kind):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo("set/b")
        info.type, info.linkname, info.devmajor, info.devminor = kind, "/etc/passwd", 1, 3
        archive.addfile(info)
    refused(tmp_path / "x.tar", folder, "'set/b' is a link or a device")


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path, folder, monkeypatch):
    """What an archive says that it holds is compared with the room that there is; a zip that lies is damaged."""
    bombs = [zipped(tmp_path / "x.zip", {"a": bytes(900_000), "b": bytes(900_000)})]
    bombs.append(tarred(tmp_path / "x.tar.gz", {"a": bytes(1_800_000)}))
    assert all(bomb.stat().st_size < 10_000 for bomb in bombs)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 1_000_000))
    for bomb in bombs:
        with pytest.raises(RunError, match=r"unpacks to 0\.0 GB, and .* has 0\.0 GB of room"):
            unpack(bomb, folder)
        assert not list(folder.iterdir())
    content = bombs[0].read_bytes()
    size = (900_000).to_bytes(4, "little")
    bombs[0].write_bytes(content.replace(size, (100).to_bytes(4, "little")))
    with pytest.raises(InputError, match="is damaged"):
        unpack(bombs[0], folder)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf\n  ", b"<!-- saved -->\n"])
def test_a_web_page_in_place_of_an_archive(tmp_path, folder, start):
    page = tmp_path / "x.zip"
    page.write_bytes(start + b"<!doctype HTML><html><head><title>Sign\n in</title>")
    refused(page, folder, r"no archive but a web page \('Sign in'\).*browser")


def test_rar_says_what_to_do(tmp_path, folder):
    (tmp_path / "x.rar").write_bytes(b"Rar!\x1a\x07\x01\x00")
    refused(tmp_path / "x.rar", folder, "RAR or 7z archive, which Python does not read: unpack it yourself")
    (tmp_path / "x.rar").rename(tmp_path / "x.zip")  # a link's file is called .zip whatever it is
    refused(tmp_path / "x.zip", folder, "RAR or 7z archive")


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz"])
def test_a_cut_archive_is_damaged_and_leaves_nothing(tmp_path, folder, name):
    content = {f"set/{k}.png": bytes(range(256)) * 40 for k in range(20)}
    archive = (zipped if name == "x.zip" else tarred)(tmp_path / name, content)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    refused(archive, folder, "(cut short|damaged).*: delete it and fetch it again")


def test_a_flipped_byte_is_damage(tmp_path, folder):
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("set/a.png", b"abcdefgh" * 100)
    content = bytearray(archive.read_bytes())
    content[200] ^= 1
    archive.write_bytes(content)
    refused(archive, folder, "is damaged .*CRC")


def test_an_empty_archive_and_unknown_names(tmp_path, folder):
    refused(zipped(tmp_path / "x.zip", {"__MACOSX/._a": b"1"}), folder, "holds no files")
    (tmp_path / "x.zip").rename(tmp_path / "x.cab")
    refused(tmp_path / "x.cab", folder, "none of the archives known here: .zip, .tar")
    (tmp_path / "x.cab").unlink()
    refused(tmp_path / "x.zip", folder, "no such archive")


def test_what_is_there_is_not_overwritten(tmp_path, folder):
    archive = zipped(tmp_path / "x.zip", {"set/a.png": b"1"})
    (folder / "set").mkdir()
    (folder / "set/mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already: remove one of the two"):
        unpack(archive, folder)
    assert files(folder) == ["set/mine.txt"] and [p.name for p in folder.iterdir()] == ["set"]


def test_a_full_disk_leaves_nothing(tmp_path, folder, monkeypatch):
    archive = zipped(tmp_path / "x.zip", {"set/a.png": b"1", "set/b.png": b"2"})
    copy = shutil.copyfileobj

    def full(content, target):
        if target.name.endswith("b.png"):
            target.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        copy(content, target)

    monkeypatch.setattr(shutil, "copyfileobj", full)
    refused(archive, folder, r"the disk is full: x\.zip was not unpacked; make room in", RunError)


def test_a_limit_on_file_sizes_leaves_nothing_either(tmp_path, folder, no_room):
    """The system itself refuses the write, as a full disk or a quota does."""
    archive = zipped(tmp_path / "x.zip", {"set/a.png": bytes(200_000)})
    with no_room(100_000):
        refused(archive, folder, r"cannot unpack .*x\.zip into .*: File too large", RunError)
