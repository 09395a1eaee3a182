"""Downloads, from a local server that misbehaves in every way that real ones do."""

import errno
import hashlib
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from m2s.data.get import fetch as module
from m2s.data.get.fetch import fetch_file
from m2s.data.sets.entry import Download
from m2s.errors import InputError, RunError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
QUOTA = b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>Sorry</body></html>"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        number = len(server.asked)
        way = server.way
        if way == "missing":
            return self.send_error(404)
        if way == "stumbling" and number < 3:
            return self.send_error(500)
        if way == "broken":
            return self.send_error(500)
        content = QUOTA if way == "page" else CONTENT
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked and way != "no ranges" else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", '"1"')
        self.end_headers()
        cut = way == "cuts always" or (way in ("cuts once", "no ranges") and number == 1)
        with suppress(ConnectionError):
            self.wfile.write(content[start : start + 1_000_000] if cut else content[start:])
        self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "WAIT", 0.01)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.way = [], "well"
        server.url = f"http://127.0.0.1:{server.server_port}/a [1] set.zip"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "down loads [1]"


def content(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_right_file_is_kept_under_its_name_and_not_fetched_again(server, folder):
    download = Download(server.url, "a [1] set.zip", SHA256)
    assert fetch_file(download, folder).read_bytes() == CONTENT
    assert content(folder) == ["a [1] set.zip"]
    asked = len(server.asked)
    fetch_file(download, folder)
    assert len(server.asked) == asked


def test_a_published_md5_is_a_hash_as_well(server, folder):
    fetch_file(Download(server.url, "a.zip", "md5:" + hashlib.md5(CONTENT).hexdigest()), folder)
    assert content(folder) == ["a.zip"]


def test_without_a_published_hash_the_first_one_is_noted_and_holds(server, folder):
    download = Download(server.url, "a.zip")
    path = fetch_file(download, folder)
    assert (folder / "a.zip.sha256").read_text() == f"{SHA256.removeprefix('sha256:')}  a.zip\n"
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=r"a\.zip has the wrong hash: sha256 .* is noted in a\.zip\.sha256"):
        fetch_file(download, folder)
    assert path.exists()  # it may be the user's own


def test_a_cut_connection_goes_on_where_it_broke_off(server, folder, capsys):
    server.way = "cuts once"
    assert fetch_file(Download(server.url, "a.zip", SHA256), folder).read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=524288-"  # gdown keeps whole blocks of 512 KiB of the 1,000,000 bytes that came
    assert "trying again" in capsys.readouterr().err
    assert content(folder) == ["a.zip"]


def test_a_later_call_goes_on_with_what_an_earlier_one_kept(server, folder, monkeypatch):
    server.way = "cuts always"
    monkeypatch.setattr(module, "ATTEMPTS", 2)
    with pytest.raises(RunError, match=r"in 2 attempts: .*the 1048576 bytes that came are kept, and the same command"):
        fetch_file(Download(server.url, "a.zip", SHA256), folder)
    assert [name[-5:] for name in content(folder)] == [".part"]
    server.way = "well"
    assert fetch_file(Download(server.url, "a.zip", SHA256), folder).read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=1048576-"
    assert content(folder) == ["a.zip"]


def test_a_server_without_ranges_sends_all_of_it_again(server, folder):
    server.way = "no ranges"
    assert fetch_file(Download(server.url, "a.zip", SHA256), folder).read_bytes() == CONTENT
    assert content(folder) == ["a.zip"]


def test_a_wrong_hash_is_told_and_the_file_thrown_away(server, folder):
    with pytest.raises(RunError, match=r"wrong hash: sha256 \w{64}, but 0{64} is published; .*deleted"):
        fetch_file(Download(server.url, "a.zip", "sha256:" + "0" * 64), folder)
    assert content(folder) == []


def test_a_quota_page_with_status_200_is_no_archive(server, folder):
    server.way = "page"
    with pytest.raises(
        RunError, match=r"sent a web page \('Google Drive - Quota exceeded'\) in place of a\.zip.*browser"
    ):
        fetch_file(Download(server.url, "a.zip"), folder)
    assert content(folder) == []


def test_google_drives_own_refusal_names_the_reason(folder, monkeypatch):
    def refuse(*_, **__):
        raise module.FileURLRetrievalError("Failed to retrieve file url:\n\n\tToo many users have viewed this file\n")

    monkeypatch.setattr(module.gdown, "download", refuse)
    with pytest.raises(RunError, match=r"Google Drive does not hand out .*\(Too many users have viewed this file\)"):
        fetch_file(Download("https://drive.google.com/uc?id=1", "a.zip"), folder)
    assert content(folder) == []


def test_a_page_that_is_gone_is_told_at_once(server, folder):
    server.way = "missing"
    with pytest.raises(RunError, match=r"cannot fetch http://.*: HTTP 404 Not Found; if it has moved"):
        fetch_file(Download(server.url, "a.zip"), folder)
    assert len(server.asked) == 1
    assert content(folder) == []


def test_a_server_that_stumbles_is_asked_again(server, folder):
    server.way = "stumbling"
    assert fetch_file(Download(server.url, "a.zip", SHA256), folder).read_bytes() == CONTENT
    assert len(server.asked) == 3


def test_a_server_that_stays_broken_is_given_up(server, folder):
    server.way = "broken"
    with pytest.raises(RunError, match="in 5 attempts: HTTP 500"):
        fetch_file(Download(server.url, "a.zip"), folder)
    assert content(folder) == []


def test_no_server_at_all(folder, monkeypatch):
    monkeypatch.setattr(module, "WAIT", 0.01)
    with pytest.raises(RunError, match=r"cannot fetch http://127\.0\.0\.1:9/a\.zip in 5 attempts"):
        fetch_file(Download("http://127.0.0.1:9/a.zip", "a.zip"), folder)
    assert content(folder) == []


def test_a_full_disk_is_told_and_nothing_is_left(server, folder, monkeypatch):
    def full(*_, **settings):
        settings["f"].write(b"some of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    # The name `gdown.download` is the function; its module is found by name only.
    monkeypatch.setattr(sys.modules["gdown.download"], "_write_response", full)
    with pytest.raises(RunError, match=r"the disk is full; nothing of a\.zip was kept: make room in"):
        fetch_file(Download(server.url, "a.zip"), folder)
    assert content(folder) == []


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        fetch_file(Download(server.url, "a.zip"), tmp_path / "file" / "downloads")
