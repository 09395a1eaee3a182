"""The real data sets, where a machine has them."""

import numpy as np
import pytest

from m2s import data


@pytest.mark.parametrize(
    ("name", "split", "count"),
    [
        ("kvasir", "train", 900), ("kvasir", "test", 100), ("clinicdb", "train", 550), ("clinicdb", "test", 62),
        ("colondb", "test", 380), ("cvc300", "test", 60),
    ],
)  # fmt: skip
def test_counts_and_values(real_data, name, split, count):
    found = data.load_images(name, split, root=real_data)
    assert len(found) == count and not found.made_up
    for i in (0, count // 2, count - 1):
        _, image, mask = found[i]
        assert image.dtype == np.uint8 and image.shape == (*mask.shape, 3)
        assert set(np.unique(mask)) == {0, 1}


def test_train_and_test_share_no_name(real_data):
    for name in ("kvasir", "clinicdb"):
        train, test = (data.load_images(name, split, root=real_data).names for split in ("train", "test"))
        assert not set(train) & set(test)
        assert set(train) | set(test) == set(data.load_images(name, "all", root=real_data).names)


def test_cvc300_is_a_part_of_colondb(real_data):
    small, large = (
        data.load_images("cvc300", "test", root=real_data),
        data.load_images("colondb", "test", root=real_data),
    )
    if "as part of" not in small.source:
        pytest.skip("CVC-300 has a folder of its own here")
    assert set(small.names) < set(large.names)
    assert np.array_equal(small[0].image, large[large.names.index(small.names[0])].image)


def test_tiff_originals(real_data, tmp_path):
    folder = real_data / "CVC-ClinicDB-tif-sample"
    if not folder.is_dir():
        pytest.skip("no TIFF originals of CVC-ClinicDB here")
    (tmp_path / "CVC-ClinicDB").symlink_to(folder)  # files called 1.tif are ClinicDB's only in a folder of its name
    found = data.load_images("clinicdb", "all", root=tmp_path)
    assert len(found) == 6
    whole = data.load_images("clinicdb", "all", root=real_data)
    for sample in found:
        assert sample.image.shape == (288, 384, 3) and set(np.unique(sample.mask)) == {0, 1}
        other = whole[whole.names.index(sample.name)]
        assert np.abs(sample.image.astype(int) - other.image).mean() < 4, "the same picture, but for JPEG"
        assert (sample.mask != other.mask).mean() < 0.01


def test_a_limited_set_as_tensors(real_data):
    tensors = data.TensorSet(data.load_images("kvasir", "test", root=real_data, limit=4), 64, augment="m2snet")
    image, mask = tensors[0]
    assert image.shape == (3, 64, 64) and 0 < mask.float().mean() < 1


OTHERS = {
    "busi": {"all": 780, **{f"fold{k}-{p}": n for k in (1, 2, 3, 4) for p, n in (("train", 585), ("test", 195))}},
    "covidsemiseg": {"train": 50, "test": 48, "all": 98},
    "covid19ct": {"train": 279, "test": 173, "all": 452},
    "nr206": {"all": 6},
    "hippocampus": {"all": 130, "train": 104, "test": 26},
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_sets(real_data, name):
    entry = data.CATALOGUE[name]
    if not any((real_data / folder).is_dir() for folder in (*entry.folders, entry.title)):
        pytest.skip(f"no {entry.title} here")
    for split, count in OTHERS[name].items():
        assert len(found := data.load_images(name, split, root=real_data)) == count
    found = data.load_images(name, "all", root=real_data)
    seen = set()
    for i in range(0, len(found), max(1, len(found) // 12)):
        _, image, mask = found[i]
        assert image.shape == (mask.shape if entry.volumetric else (*mask.shape, 3))
        seen |= set(np.unique(mask))
    assert seen == set(range(len(entry.classes) + 1))


def test_busi_classes_and_merged_masks(real_data):
    if not (real_data / "Dataset_BUSI_with_GT").is_dir():
        pytest.skip("no BUSI here")
    items = data.load_images("busi", "all", root=real_data).items
    counts = {kind: sum(item.group == kind for item in items) for kind in ("benign", "malignant", "normal")}
    assert counts == {"benign": 437, "malignant": 210, "normal": 133}
    several = [item for item in items if len(item.masks) > 1]
    assert len(several) == 17
    parts = [data.read_mask(path) for path in several[0].masks]
    assert np.array_equal(several[0].read()[1], np.maximum.reduce(parts))
