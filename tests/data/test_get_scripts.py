"""The scripts, from a local server to a prepared set, and `m2s data`: what they print and what they leave."""

import http.server
import io
import json
import re
import threading
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m2s.cli.main import data_script, main
from m2s.data import load_images
from m2s.data.sets import CATALOGUE, SOURCES
from m2s.data.sets.entry import Download, Source
from m2s.paths import ROOT


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels))


def mask(seed: int) -> bytes:
    return encoded(Image.fromarray(np.uint8(255) * (np.add.outer(range(24), range(32)) > 10 + seed % 20)))


def encoded(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.convert("RGB" if image.mode == "RGB" else "L").save(content, "PNG")
    return content.getvalue()


def archive(path: Path, names: list[str], top: str) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for seed, name in enumerate(names):
            opened.writestr(f"{top}/images/{name}.png", picture(seed))
            opened.writestr(f"{top}/masks/{name}.png", mask(seed))
        opened.writestr(f"__MACOSX/{top}/images/._x.png", b"debris")
    return path


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def served(tmp_path, monkeypatch):
    """CVC-300, as if its archive were published on a local server."""
    (tmp_path / "www").mkdir()
    archive(tmp_path / "www" / "cvc.zip", list(CATALOGUE["cvc300"].names["all"]), "CVC-300")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "www")) as server:
        url = f"http://127.0.0.1:{server.server_port}/cvc.zip"
        monkeypatch.setitem(SOURCES, "cvc300", Source(files=(Download(url, "cvc.zip"),)))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield url
        server.shutdown()


def below(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.suffix != ".png" and p.is_file())


def test_there_is_one_script_for_each_source_and_a_source_for_each_set():
    scripts = {path.stem for path in (ROOT / "data_scripts").glob("*.py")}
    assert scripts == set(SOURCES) == {*CATALOGUE, "pranet"}
    for name in scripts:
        assert f'data_script("{name}")' in (ROOT / "data_scripts" / f"{name}.py").read_text()


def test_every_source_has_files_or_steps_that_fit_their_folder():
    for name, source in SOURCES.items():
        assert source.files or source.steps, name
        for file in source.files:
            assert file.url.startswith("https://") and file.hash != ""
            assert file.hash is None or re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", file.hash), name
        assert source.steps == () or any("{folder}" in s or "pranet.py" in s for s in source.steps), name


def test_fetch_unpack_prepare_check_and_again(served, root, capsys):
    assert data_script("cvc300", ["--root", str(root)]) == 0
    assert f"fetching {served}" in capsys.readouterr().out
    assert below(root) == ["cvc300/manifest.csv", "downloads/cvc300/cvc.zip", "downloads/cvc300/cvc.zip.sha256"]
    images = load_images("cvc300", "test", root)
    assert len(images) == 60 and images[0].image.shape == (24, 32, 3) and set(np.unique(images[0].mask)) == {0, 1}

    assert data_script("cvc300", ["--root", str(root), "--check"]) == 0
    assert "cvc300: 60 images" in capsys.readouterr().out
    assert data_script("cvc300", ["--root", str(root)]) == 0
    assert "prepared already" in capsys.readouterr().out

    (root / "cvc300" / "images" / f"{images.names[0]}.png").write_bytes(picture(99))
    (root / "downloads/cvc300/cvc.zip").write_bytes(b"other")
    assert data_script("cvc300", ["--root", str(root), "--check"]) == 1
    out, err = capsys.readouterr()
    assert "cvc.zip has the wrong hash" in out and f"{images.names[0]}.png" in out
    assert err.startswith("m2s: error: ") and err.count("\n") == 1


def test_an_incomplete_archive_is_refused_unless_a_part_is_wanted(root, tmp_path, capsys):
    (root / "downloads" / "cvc300").mkdir(parents=True)
    archive(root / "downloads/cvc300/my [1].zip", list(CATALOGUE["cvc300"].names["all"])[:3], "CVC-300")
    assert data_script("cvc300", ["--root", str(root)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(p.name for p in root.iterdir()) == ["downloads"]
    assert not (root / "downloads/cvc300/unpacked").exists()
    assert data_script("cvc300", ["--root", str(root), "--part"]) == 0
    assert len(load_images("cvc300", "all", root)) == 3


def test_a_set_that_is_there_as_distributed_is_not_fetched(root, tmp_path):
    with zipfile.ZipFile(archive(tmp_path / "x.zip", list(CATALOGUE["cvc300"].names["all"]), "CVC-300")) as opened:
        opened.extractall(root)
    assert data_script("cvc300", ["--root", str(root)]) == 0
    assert (root / "cvc300/manifest.csv").is_file() and not (root / "downloads").exists()


def test_by_hand_says_what_to_do_and_where(root, capsys):
    assert data_script("btcv", ["--root", str(root)]) == 2
    out, err = capsys.readouterr()
    assert "1. Open https://www.synapse.org/" in out and str(root / "downloads" / "btcv") in out
    assert out.endswith(f"Run python data_scripts/btcv.py --root {root}\n")
    assert (
        err
        == f"m2s: error: btcv needs the steps above, which you take yourself: nothing is in {root}/downloads/btcv yet\n"
    )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("PH2Dataset.rar", b"Rar!\x1a\x07\x00", "RAR or 7z archive"),
        ("PH2Dataset.zip", b"<html><title>Log in</title>", "web page ('Log in')"),
        ("PH2Dataset.zip", b"nothing of the kind", "cut short, or no .zip file"),
        ("readme.txt", b"nothing of the kind", "PH2"),
    ],
)
def test_what_was_put_there_by_hand_and_is_of_no_use(root, capsys, name, content, words):
    folder = root / "downloads" / "ph2"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content)
    assert data_script("ph2", ["--root", str(root)]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1
    assert (folder / name).exists() and not (folder / "unpacked").exists() and not (root / "ph2").exists()


def test_a_link_from_the_page_is_fetched(served, root, monkeypatch, capsys):
    monkeypatch.setitem(SOURCES, "cvc300", Source(steps=("look at {folder}",)))
    assert data_script("cvc300", ["--root", str(root), "--url", served]) == 0
    assert len(load_images("cvc300", "test", root)) == 60


@pytest.mark.parametrize("arguments", [["--chek"], ["--check"], ["--check", "--url", "http://x"], ["more"]])
def test_bad_arguments_of_a_script(root, capsys, arguments):
    assert data_script("kvasir", ["--root", str(root), *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("m2s: error: ") and err.count("\n") == 1


def test_m2s_data_lists_all_sets(root, capsys, monkeypatch):
    monkeypatch.chdir(root.parent)
    monkeypatch.delenv("M2S_DATA", raising=False)
    assert main(["data"]) == 0
    out = capsys.readouterr().out
    for name, entry in CATALOGUE.items():
        assert re.search(rf"^{name} ", out, re.M) and entry.licence in out and entry.home in out
    assert "absent" in out and "manual steps needed" in out and "10426 MB" in out


def test_m2s_data_tells_what_is_there_as_json(root, served, capsys):
    (root / "downloads" / "ph2").mkdir(parents=True)
    (root / "downloads/ph2/x.zip").write_bytes(b"")
    assert data_script("cvc300", ["--root", str(root)]) == 0
    (root / "CVC-ColonDB").mkdir()
    capsys.readouterr()
    assert main(["data", "--root", str(root), "--json"]) == 0
    told = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert set(told) == set(SOURCES)
    assert (told["cvc300"]["status"], told["cvc300"]["images"]) == ("prepared", 60)
    assert told["ph2"]["status"] == "downloaded"
    assert told["colondb"]["status"] == "wrong layout" and "expected" in told["colondb"]["problem"]
    assert told["busi"]["status"] == "absent" and told["btcv"]["status"] == "manual steps needed"
    assert main(["data", "--root", str(root)]) == 0
    assert "colondb: " in capsys.readouterr().out


def test_m2s_data_shows_one_in_full_with_its_steps(root, capsys):
    root.mkdir()
    assert main(["data", "tnscui", "--root", str(root)]) == 0
    out = capsys.readouterr().out
    assert "lgmsnet1-train" in out and "1. Open https://tn-scui2020.grand-challenge.org/Home/" in out
    assert "never downloaded by this project's tests" in out


def test_m2s_data_refuses_unknown_names_and_folders(root, capsys):
    for arguments in (["data", "kvasirr"], ["data", "--root", "nowhere"]):
        assert main(arguments) == 2
        err = capsys.readouterr().err
        assert ("did you mean kvasir" in err or "no such folder: nowhere" in err) and err.count("\n") == 1


def test_m2s_data_on_real_sets(real_data, capsys):
    assert main(["data", "kvasir", "--root", str(real_data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 1000
