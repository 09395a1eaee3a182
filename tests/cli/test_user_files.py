"""No command overwrites, changes or deletes a file that a user gave; none writes before all inputs are checked."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_cli import checkpoint, picture, refused, results  # noqa: F401

from m2s.classroom import copies
from m2s.cli.main import data_script, main
from m2s.errors import InputError
from m2s.paths import ROOT, results_root


def list_contents(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("out", [".", "./", "link", "maps/..", "masks"])
def test_predict_writes_over_no_image_and_no_mask(capsys, tmp_path, checkpoint, picture, out):  # noqa: F811
    """The image itself (PNG in its own folder), by any path, and the mask of the same name in another folder."""
    Image.open(picture).save(tmp_path / "picture.png")
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in ("maps", "masks"):
        (tmp_path / folder).mkdir()
    Image.new("L", (50, 70)).save(tmp_path / "masks" / "picture.png")
    before = list_contents(tmp_path)
    line = refused(capsys, "predict", "picture.png", "--network", checkpoint, "--out", out)
    assert ("exists and is not a result" if out == "masks" else "is an input") in line
    assert list_contents(tmp_path) == before


def test_predict_replaces_its_own_maps(tmp_path, checkpoint, picture):  # noqa: F811
    for _ in range(2):
        assert main(["predict", str(picture), "--network", str(checkpoint), "--out", "maps"]) == 0


def test_predict_checks_all_images_before_it_writes(capsys, tmp_path, checkpoint, picture):  # noqa: F811
    (tmp_path / "z.png").write_text("no image")
    assert "z.png" in refused(capsys, "predict", picture, "z.png", "--network", checkpoint, "--out", "maps")
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize("target", ["masks/a.png", "maps/a.png", "notes.json", "notes.txt"])
def test_evaluate_writes_over_no_file_but_its_own(capsys, tmp_path, target):
    for folder in ("maps", "masks"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.eye(9, dtype=np.uint8) * 255).save(tmp_path / folder / "a.png")
    (tmp_path / "notes.json").write_text('{"my": "notes"}')
    (tmp_path / "notes.txt").write_text("notes")
    before = list_contents(tmp_path)
    refused(capsys, "evaluate", "--pred", "maps", "--gt", "masks", "--json", target)
    assert list_contents(tmp_path) == before
    for _ in range(2):
        assert main(["evaluate", "--pred", "maps", "--gt", "masks", "--json", "maps/means.json"]) == 0
    assert json.loads((tmp_path / "maps" / "means.json").read_text())["mDice"] == pytest.approx(1)


def test_a_class_gets_its_files_and_none_of_the_users_is_replaced(tmp_path):
    """An older file is replaced in the checkout's own build/ alone; nbgrader's config may be the teacher's."""
    out = tmp_path / "course"
    for name in ("nbgrader_config.py", "source/01_subtraction_units/01_subtraction_units.ipynb"):
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("c = 'mine'")
        before = list_contents(tmp_path)
        assert main(["student", "--nbgrader", str(out)]) == 2
        assert list_contents(tmp_path) == before
        path.unlink()
    for _ in range(2):
        assert main(["student", "--nbgrader", str(out)]) == 0
    notes, packed = tmp_path / "answers.md", tmp_path / "m2s-student.zip"
    notes.write_text("notes")
    with pytest.raises(InputError, match=r"answers\.md exists and is not a result of this command"):
        copies.write_texts({tmp_path / "new.ipynb": "{}", notes: "# Answers"}, packed)
    notes.unlink()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("mine.txt", "")
    with pytest.raises(InputError, match=r"m2s-student\.zip exists"):
        copies.write_texts({tmp_path / "new.ipynb": "{}"}, packed)
    assert not (tmp_path / "new.ipynb").exists()


def test_getting_a_data_set_deletes_no_folder_of_the_users(tmp_path):
    """What a person unpacked by hand into a folder of that name is read, and stays."""
    folder = tmp_path / "downloads" / "ph2" / "unpacked" / "PH2 Dataset images" / "IMD001"
    for part, end in (("Dermoscopic_Image", ""), ("lesion", "_lesion")):
        (folder / f"IMD001_{part}").mkdir(parents=True)
        Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(folder / f"IMD001_{part}" / f"IMD001{end}.bmp")
    before = list_contents(tmp_path / "downloads")
    assert data_script("ph2", ["--root", str(tmp_path), "--part"]) == 0
    assert (tmp_path / "ph2" / "manifest.csv").is_file()
    assert list_contents(tmp_path / "downloads") == before


def test_a_home_folder_is_looked_up_where_the_shell_leaves_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x").mkdir()
    assert main(["data", "--root=~/x"]) == 0 and str(tmp_path / "x") in capsys.readouterr().out
    assert main(["train", "--list", "--profile", "smoke", "--data=~/none"]) == 2
    assert f"no such folder: {tmp_path / 'none'}" in capsys.readouterr().err
    monkeypatch.setenv("M2S_RESULTS", "~/results here")
    assert results_root() == tmp_path / "results here"

    def refuse(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", refuse)
    assert "no home folder is known here" in refused(capsys, "data", "--root=~/x")


def test_a_reader_that_has_seen_enough_ends_the_command_without_a_word():
    """``m2s list | head -1``, and a terminal that cannot show a character."""
    command = [sys.executable, "-m", "m2s", "data", "kvasir"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 0
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    command = [sys.executable, "-m", "m2s", "predict", "caf\u00e9.png", "--out", "x"]
    ended = subprocess.run(command, env=ascii_only, capture_output=True, cwd=ROOT, check=False)
    assert ended.returncode == 2 and ended.stderr == rb"m2s: error: no such image: caf\udcc3\udca9.png" + b"\n"
