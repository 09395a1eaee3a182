"""No command overwrites, changes or deletes a file that a user gave; none writes before all inputs are checked."""

import json

import numpy as np
import pytest
from PIL import Image
from test_cli import checkpoint, picture, refused, results  # noqa: F401

from m2s.cli.main import main


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
