"""``m2s predict``: a stranger's pictures and volumes, by the networks of weights/ and of runs."""

import json
from dataclasses import asdict

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file
from test_cli import checkpoint, picture, refused, results  # noqa: F401

from m2s import figures, pretrained
from m2s.cli.main import main
from m2s.runs.build import build_network
from m2s.runs.models import load_network
from m2s.runs.predict import predict
from m2s.runs.store import MODEL, RECORD
from m2s.studies import STUDIES

pytestmark = pytest.mark.usefixtures("results")


def make_run(folder, study, row):
    """The folder of a smoke run with random weights, as far as loading its network looks at it."""
    run = STUDIES[study].runs(row, "smoke", "phantom")[0]
    folder.mkdir(parents=True)
    save_file(build_network(run).state_dict(), folder / MODEL)
    (folder / RECORD).write_text(json.dumps({"settings": asdict(run)}), encoding="utf-8")
    return run


def read(path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened)


def test_a_folder_gives_a_map_for_each_picture_and_outlines_beside(tmp_path, checkpoint, picture):  # noqa: F811
    (tmp_path / "photos" / "deeper").mkdir(parents=True)
    (tmp_path / "photos" / "notes.txt").write_text("not a picture")
    (tmp_path / "photos" / ".hidden.jpg").write_text("left by a file manager")
    with Image.open(picture) as opened:
        opened.save(tmp_path / "photos" / "a.bmp")
        opened.rotate(90, expand=True).save(tmp_path / "photos" / "b.c.jpg")
    arguments = ["predict", "photos", "--network", str(checkpoint), "--out", "maps", "--overlay"]
    assert main(arguments) == 0 and main(arguments) == 0
    written = sorted(path.relative_to(tmp_path / "maps").as_posix() for path in (tmp_path / "maps").rglob("*.png"))
    assert written == ["a.png", "b.c.png", "overlays/a.png", "overlays/b.c.png"]
    probabilities = predict(load_network(checkpoint), read(tmp_path / "photos" / "a.bmp"))
    np.testing.assert_array_equal(read(tmp_path / "maps" / "a.png"), np.rint(255 * probabilities))
    outlined = read(tmp_path / "maps" / "overlays" / "a.png")
    assert outlined.shape == (70, 50, 3)


def test_a_threshold_gives_a_mask_at_it(tmp_path, checkpoint, picture):  # noqa: F811
    probabilities = predict(load_network(checkpoint), read(picture))
    levels = np.unique(probabilities)
    middle = float(levels[len(levels) // 2])
    arguments = ["predict", str(picture), "--network", str(checkpoint), "--out", "masks", "--threshold", str(middle)]
    assert main(arguments) == 0
    mask = read(tmp_path / "masks" / "picture.png")
    np.testing.assert_array_equal(mask, 255 * (probabilities > middle))
    assert set(np.unique(mask)) == {0, 255}


def test_the_outline_lies_around_the_area_and_changes_nothing_else():
    image = np.full((40, 60, 3), 128, np.uint8)
    area = np.zeros((40, 60), np.uint8)
    area[10:20, 10:20], area[25:35, 40:50] = 1, 2
    drawn = figures.draw_outline(image, area)
    assert (image == 128).all(), "the image itself stays"
    assert (drawn[area > 0] == 128).all() and (drawn[0] == 128).all()
    assert tuple(drawn[9, 15]) == (240, 228, 66) and tuple(drawn[8, 15]) == (0, 0, 0)
    assert tuple(drawn[24, 45]) not in {(240, 228, 66), (0, 0, 0), (128, 128, 128)}
    np.testing.assert_array_equal(figures.draw_outline(image, np.zeros((40, 60), np.uint8)), image)


def test_the_default_network_is_taken_from_weights_and_a_missing_one_is_one_line(
    capsys, tmp_path, monkeypatch, picture  # noqa: F811
):  # fmt: skip
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "weights")
    assert "m2snet-polyps" in refused(capsys, "predict", picture, "--out", "maps")
    run = make_run(tmp_path / "results" / "smoke-phantom" / "runs" / "mine", "polyps", "M2SNet")
    assert f"did you mean {run.name}" in refused(
        capsys, "predict", picture, "--out", "maps", "--network", run.name[:-1]
    )
    (tmp_path / "weights" / "m2snet-polyps").mkdir(parents=True)
    network = build_network(run)
    save_file(pretrained.halve_state(network.state_dict()), tmp_path / "weights" / "m2snet-polyps" / pretrained.MODEL)
    config = dict(
        model=run.model, encoder=run.encoder, options={}, num_classes=1, classes=["polyp"], size=64, run="a-run",
        mean=network.mean, std=network.std,
    )  # fmt: skip
    (tmp_path / "weights" / "m2snet-polyps" / pretrained.CONFIG).write_text(json.dumps(config), encoding="utf-8")
    for network in ([], ["--network", run.name]):
        assert main(["predict", str(picture), "--out", "maps", *network]) == 0
    assert read(tmp_path / "maps" / "picture.png").shape == (70, 50)


def test_dicom_is_read_as_a_viewer_shows_it(tmp_path, checkpoint):  # noqa: F811
    from pydicom.examples import get_path

    arguments = ["predict", str(get_path("ct")), "--network", str(checkpoint), "--out", "maps"]
    assert main(arguments) == 0
    assert len(list((tmp_path / "maps").glob("*.png"))) == 1


@pytest.fixture
def volume(tmp_path):
    """A volume whose axes do not lie as ours: from right to left, and slices first."""
    rng = np.random.default_rng(0)
    affine = np.array([[0, -1.2, 0, 5], [0, 0, 0.8, -3], [1.5, 0, 0, 2], [0, 0, 0, 1]], float)
    nib.save(nib.Nifti1Image(rng.normal(size=(20, 36, 33)).astype(np.float32), affine), tmp_path / "head.nii.gz")
    return tmp_path / "head.nii.gz"


def test_a_volume_gives_labels_on_its_own_voxels(tmp_path, volume):
    make_run(tmp_path / "run3d", "volumes", "LGMSNet")
    for _ in range(2):
        assert main(["predict", "head.nii.gz", "--network", "run3d", "--out", "maps", "--overlay"]) == 0
    given, labels = nib.load(volume), nib.load(tmp_path / "maps" / "head.nii.gz")
    assert labels.shape == given.shape and labels.get_data_dtype() == np.uint8
    np.testing.assert_allclose(labels.affine, given.affine, atol=1e-5)
    assert set(np.unique(labels.dataobj)) <= {0, 1, 2}
    assert read(tmp_path / "maps" / "overlays" / "head.png").shape == (33, 36, 3)


def test_labels_are_turned_back_to_where_the_file_has_them(tmp_path, volume):
    """Labels made of the volume itself must equal the file's own voxels, whatever their order."""
    from m2s.data.disk.nifti import encode_labels, read_volume

    values, _ = read_volume(volume)
    (tmp_path / "labels.nii.gz").write_bytes(encode_labels((values > 0).astype(np.uint8), volume))
    given, labels = nib.load(volume), nib.load(tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(np.asarray(labels.dataobj), given.get_fdata() > 0)


def test_a_network_refuses_the_other_kind_of_input(capsys, tmp_path, volume, checkpoint, picture):  # noqa: F811
    make_run(tmp_path / "run3d", "volumes", "LGMSNet")
    line = refused(capsys, "predict", volume, "--network", checkpoint, "--out", "maps")
    assert "is a volume, and this network takes pictures" in line
    line = refused(capsys, "predict", picture, "--network", "run3d", "--out", "maps")
    assert "is a picture, and this network takes volumes (NIfTI)" in line
    line = refused(capsys, "predict", volume, "--network", "run3d", "--out", "maps", "--threshold", "0.3")
    assert "leave out the threshold" in line
    assert not (tmp_path / "maps").exists()


def test_a_folder_without_pictures_is_refused(capsys, tmp_path, checkpoint):  # noqa: F811
    (tmp_path / "empty").mkdir()
    assert "no images in empty" in refused(capsys, "predict", "empty", "--network", checkpoint, "--out", "maps")
    assert "not a number between 0 and 1" in refused(capsys, "predict", "empty", "--out", "maps", "--threshold", "2")


def test_evaluate_scores_a_network_on_a_folder_of_images(tmp_path, checkpoint, picture, capsys):  # noqa: F811
    (tmp_path / "photos").mkdir()
    (tmp_path / "masks").mkdir()
    with Image.open(picture) as opened:
        opened.save(tmp_path / "photos" / "a.png")
        mask = np.zeros((opened.height, opened.width), np.uint8)
    mask[:20, :20] = 255
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    before = sorted(tmp_path.rglob("*"))
    ways = [["--images", "photos", "--network", str(checkpoint)], ["--pred", "maps"]]
    assert main(["evaluate", *ways[0], "--gt", "masks"]) == 0
    assert sorted(tmp_path.rglob("*")) == before
    told = capsys.readouterr().out
    assert main(["predict", "photos", "--network", str(checkpoint), "--out", "maps"]) == 0
    capsys.readouterr()
    assert main(["evaluate", *ways[1], "--gt", "masks"]) == 0 and capsys.readouterr().out == told
    assert main(["evaluate", "--gt", "masks"]) == 2 == main(["evaluate", *ways[0], *ways[1], "--gt", "masks"])
