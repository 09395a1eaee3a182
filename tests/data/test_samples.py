"""The real images on board: as many as they should be, with their licences, in a layout that is read as prepared."""

import numpy as np
import pytest

from m2s.data import CATALOGUE, load_images
from m2s.paths import ROOT

SAMPLES = ROOT / "samples"


@pytest.mark.parametrize(("name", "split", "count"), [("kvasir", "train", 300), ("kvasir", "test", 100)])
def test_polyps(name, split, count):
    images = load_images(name, split, SAMPLES)
    assert len(images) == count and not images.made_up and set(images.names) <= set(CATALOGUE[name].names[split])
    for _, image, mask in (images[i] for i in range(0, count, 10)):
        assert max(mask.shape) == 320 and image.shape[:2] == mask.shape
        assert set(np.unique(mask)) == {0, 1}


@pytest.mark.parametrize(("split", "count"), [("train", 20), ("test", 6)])
def test_volumes(split, count):
    volumes = load_images("hippocampus", split, SAMPLES)
    assert len(volumes) == count
    assert all(set(np.unique(mask)) == {0, 1, 2} for _, _, mask in volumes)


def test_nothing_is_in_both_parts():
    for name in ("kvasir", "hippocampus"):
        train, test = (set(load_images(name, split, SAMPLES).names) for split in ("train", "test"))
        assert not train & test


def test_the_licences_are_beside_them():
    told = (SAMPLES / "README.md").read_text()
    folders = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())
    assert folders == ["hippocampus", "kvasir"]
    assert all(f"`{name}`" in told for name in folders) and "CC BY 4.0" in told and "CC BY-SA 4.0" in told
