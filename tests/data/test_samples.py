"""The real images on board: as many as they should be, with their licences, in a layout that is read as prepared."""

from pathlib import Path

import numpy as np
import pytest

import m2s
from m2s.data import CATALOGUE, load_images
from m2s.paths import ROOT, SAMPLES, is_made_up, resolve_data
from m2s.studies import STUDIES
from m2s.studies.run import split_of

FOLDER = ROOT / "samples"


@pytest.mark.parametrize(("name", "split", "count"), [("kvasir", "train", 300), ("kvasir", "test", 100)])
def test_polyps(name, split, count):
    images = load_images(name, split, FOLDER)
    assert len(images) == count and not images.made_up and set(images.names) <= set(CATALOGUE[name].names[split])
    for _, image, mask in (images[i] for i in range(0, count, 10)):
        assert max(mask.shape) == 320 and image.shape[:2] == mask.shape
        assert set(np.unique(mask)) == {0, 1}


@pytest.mark.parametrize(("split", "count"), [("train", 20), ("test", 6)])
def test_volumes(split, count):
    volumes = load_images("hippocampus", split, FOLDER)
    assert len(volumes) == count
    assert all(set(np.unique(mask)) == {0, 1, 2} for _, _, mask in volumes)


def test_nothing_is_in_both_parts():
    for name in ("kvasir", "hippocampus"):
        train, test = (set(load_images(name, split, FOLDER).names) for split in ("train", "test"))
        assert not train & test


def test_the_licences_are_beside_them():
    told = (FOLDER / "README.md").read_text()
    folders = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
    assert folders == ["hippocampus", "kvasir"]
    assert all(f"`{name}`" in told for name in folders) and "CC BY 4.0" in told and "CC BY-SA 4.0" in told


def test_on_the_sample_images_are_real_where_they_are_on_board():
    assert set(SAMPLES) == {path.name for path in FOLDER.iterdir() if path.is_dir()}
    polyps, lesions = load_images("kvasir", "test"), load_images("isic2018", "lgmsnet1-test")
    assert polyps.fingerprint == load_images("kvasir", "test", FOLDER).fingerprint and not polyps.made_up
    assert lesions.fingerprint == load_images("isic2018", "lgmsnet1-test", "phantom").fingerprint and lesions.made_up
    assert [is_made_up("kvasir", data) for data in ("sample", "phantom", FOLDER)] == [False, True, False]
    assert resolve_data("sample") == "sample" and resolve_data("data") == str(Path("data").resolve())


@pytest.mark.parametrize("study", STUDIES)
def test_a_network_sees_real_images_or_made_up_ones(study):
    chosen = STUDIES[study]
    for row in chosen.rows:
        for run in chosen.runs(row, "full", "sample"):
            names = [split_of(name, "")[0] for name in (*run.train_sets, *run.test_sets)]
            assert run.data == "sample" and run.test_sets
            assert len({is_made_up(name, "sample") for name in names}) == 1


def test_what_is_not_run_on_the_sample_says_why(tmp_path):
    assert [run.test_sets for run in STUDIES["polyps"].runs("M2SNet", "lab", "sample")] == [("kvasir",)]
    table = m2s.tables.open("polyps", "lab", "sample", tmp_path).table().set_index(["row", "dataset", "metric"])
    assert table.loc[("M2SNet", "ColonDB", "mDice"), "reason"].startswith("not run: the images of this set are made up")
    assert table.loc[("M2SNet", "Kvasir", "mDice"), "reason"].startswith("not run yet: m2s reproduce --profile lab")
    mixed = str(STUDIES["one_model"].why_not("M2SNet", "full", "sample", "joint"))
    assert mixed == "not run: of this table some images are real here and some made up, which do not mix"
