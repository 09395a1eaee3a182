"""Made-up images: the same for the same seed, exact and varied masks, and not to be had by a threshold."""

import hashlib
import json
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from m2s import data
from m2s.data.made_up import PAINTERS, make_phantoms
from m2s.errors import InputError
from m2s.phantoms import stills

load_images = partial(data.load_images, root="phantom")
STILLS = [name for name, entry in data.CATALOGUE.items() if entry.modality == "colonoscopy"]
OTHERS = {
    name: entry
    for name, entry in data.CATALOGUE.items()
    if entry.modality in {"colonoscopy video", "lung CT", "OCT", "CT volume", "MRI volume"}
}
"""Those painted here; ultrasound and dermoscopy have tests of their own."""
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "phantoms.json").read_text())
"""Of every set and split: how many images, fingerprint, names and a hash of the pixels of the first three."""


@pytest.fixture(scope="module")
def sets() -> dict[str, list[data.Sample]]:
    return {name: list(load_images(name, "test", limit=24)) for name in STILLS}


@pytest.fixture(scope="module")
def others() -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    limit = {name: 3 if "volume" in entry.modality else 20 for name, entry in OTHERS.items()}
    return {
        name: [item.read() for item in load_images(name, entry.splits[-2], limit=limit[name]).items]
        for name, entry in OTHERS.items()
    }


def test_counts_and_labels():
    for name, entry in data.CATALOGUE.items():
        if name not in STILLS:
            continue
        for split, count in entry.counts.items():
            found = load_images(name, split)
            assert len(found) == count and found.made_up and "made-up" in found.title and "made-up" in found.source
        assert len(load_images(name, "all")) == sum(entry.counts.values())
    assert len(load_images("kvasir", "all", limit=10)) == 10
    assert len(load_images("cvc300", "test", limit=100)) == 100


def test_the_same_seed_gives_the_same_image_and_no_two_are_alike():
    def first(name, split, seed=0, index=0):
        return load_images(name, split, limit=3, seed=seed)[index]

    a, b = first("kvasir", "train"), first("kvasir", "train")
    assert np.array_equal(a.image, b.image) and np.array_equal(a.mask, b.mask) and a.name == b.name
    others = [first("kvasir", "test"), first("kvasir", "train", seed=1), first("kvasir", "train", index=1)]
    for other in others:
        assert a.name != other.name
        assert a.image.shape != other.image.shape or not np.array_equal(a.image, other.image)
    assert load_images("kvasir", "train", limit=3).fingerprint == load_images("kvasir", "train", limit=3).fingerprint
    prints = {
        load_images("kvasir", s, limit=n, seed=i).fingerprint for s in ("train", "test") for n in (3, 4) for i in (0, 1)
    }
    assert len(prints) == 8
    longer = load_images("kvasir", "train", limit=5)[1]
    assert np.array_equal(longer.image, first("kvasir", "train", index=1).image)


def test_images_and_masks(sets):
    for name, samples in sets.items():
        shares = []
        for sample in samples:
            assert sample.image.dtype == np.uint8 and sample.image.shape == (*sample.mask.shape, 3)
            assert sample.mask.dtype == np.uint8 and set(np.unique(sample.mask)) == {0, 1}
            shares.append(sample.mask.mean())
            corner = sample.image[:4, :4].mean()
            assert corner < 40, "the corners are black, as on an endoscope"
        assert min(shares) > 0.004 and max(shares) < 0.36, name
        assert max(shares) > 3 * min(shares)


def test_each_set_has_a_manner_of_its_own(sets):
    share = {name: np.median([s.mask.mean() for s in samples]) for name, samples in sets.items()}
    assert share["kvasir"] > share["clinicdb"] > 1.5 * max(share["cvc300"], share["etis"])
    shapes = {name: samples[0].image.shape[:2] for name, samples in sets.items()}
    assert shapes["clinicdb"] == (288, 384) and shapes["colondb"] == shapes["cvc300"] == (500, 574)
    assert len({s.image.shape for s in sets["kvasir"]}) > 1


def features(image: np.ndarray) -> dict[str, np.ndarray]:
    values = image[::2, ::2].astype(np.float32) / 255
    red, green, _ = np.moveaxis(values, -1, 0)
    total = values.sum(-1) + 1e-3
    return {"brightness": total / 3, "redness": red / total, "red less green": red - green}


@pytest.mark.parametrize("name", STILLS)
def test_no_threshold_finds_the_polyps(sets, name):
    """Even the best threshold of brightness or redness, above or below, chosen on the very images, stays under 0.6."""
    masks = [s.mask[::2, ::2].astype(bool) for s in sets[name]]
    every = [features(s.image) for s in sets[name]]
    for kind in every[0]:
        levels = np.quantile(np.concatenate([f[kind].ravel() for f in every]), np.linspace(0.02, 0.98, 25))
        for sign in (1, -1):
            dice = [
                np.mean([_dice(sign * f[kind] > sign * level, m) for f, m in zip(every, masks, strict=True)])
                for level in levels
            ]
            assert max(dice) < 0.6, (kind, sign)


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_colonoscopy_stills_are_those_of_version_2():
    """Recorded results were measured on these pictures: a change to them needs a new VERSION."""
    assert stills.VERSION == 2
    assert load_images("kvasir", "train", limit=6, seed=1).fingerprint == "6c0179c0140f"
    assert load_images("etis", "test", limit=6, seed=1).fingerprint == "56940e44690b"
    mask = load_images("clinicdb", "train", limit=1, seed=1)[0].mask
    assert (mask.shape, int(mask.sum())) == ((288, 384), 15693)


def test_sets_are_those_that_recorded_results_were_measured_on():
    now = {}
    for name, entry in data.CATALOGUE.items():
        for split in entry.splits:
            whole, first = load_images(name, split), load_images(name, split, limit=3)
            now[f"{name}/{split}"] = len(whole), whole.fingerprint, list(first.names)
    assert now == {key: (known["images"], known["fingerprint"], known["names"]) for key, known in GOLDEN.items()}


@pytest.mark.parametrize("modality", PAINTERS)
def test_pixels_are_those_that_recorded_results_were_measured_on(modality):
    entry = next(entry for entry in data.CATALOGUE.values() if entry.modality == modality)
    pixels = hashlib.sha256()
    for _, image, mask in load_images(entry.name, entry.splits[0], limit=3):
        pixels.update(image.tobytes() + mask.tobytes())
    assert pixels.hexdigest()[:16] == GOLDEN[f"{entry.name}/{entry.splits[0]}"]["pixels"]


def test_a_set_has_at_most_200_images_or_20_volumes_divided_as_it_is():
    def count(name: str, split: str, limit: int | None = None) -> int:
        return len(load_images(name, split, limit=limit))

    assert (count("lung", "train"), count("lung", "test"), count("lung", "all")) == (140, 60, 200)
    assert (count("covidsemiseg", "train"), count("covidsemiseg", "all")) == (50, 98)
    assert [count("cvc612v", s) for s in ("train", "val", "test", "all")] == [120, 40, 40, 200]
    assert [count("hippocampus", s) for s in ("train", "test", "all")] == [16, 4, 20]
    assert (count("busi", "fold2-train"), count("busi", "fold2-test"), count("busi", "all")) == (150, 50, 200)
    assert (count("ph2", "all"), count("lung", "train", 300), count("lung", "all", 7)) == (200, 300, 7)
    whole = set(load_images("busi", "all").names)
    assert whole == {*load_images("busi", "fold1-train").names, *load_images("busi", "fold1-test").names}
    assert load_images("busi", "fold1-train", limit=4).names[3] == "busi-fold1-train-0-0003"


def test_a_modality_that_nothing_paints_is_one_clear_error():
    entry = replace(data.CATALOGUE["lung"], modality="radiography")
    with pytest.raises(InputError, match=r"no made-up images like those of .*: give a folder of real ones"):
        make_phantoms(entry, "train", 1, 0)


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_modalities_follow_from_seed_and_name(name):
    split, other = OTHERS[name].splits[0], OTHERS[name].splits[-1]
    a, b = (load_images(name, split, limit=2) for _ in range(2))
    assert a.made_up and "made-up" in a.title and a.fingerprint == b.fingerprint and a.names == b.names
    first, again, second = a.items[0].read(), b.items[0].read(), b.items[1].read()
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert first[0].shape != second[0].shape or not np.array_equal(first[0], second[0])
    further = load_images(name, split, limit=2, seed=1)
    assert further.fingerprint != a.fingerprint and not set(further.names) & set(a.names)
    moved = further.items[0].read()[0]
    assert first[0].shape != moved.shape or not np.array_equal(first[0], moved)
    assert load_images(name, other).fingerprint != a.fingerprint


def test_every_item_has_a_group():
    assert all(load_images(name, "all", limit=1).items[0].group is not None for name in ("kvasir", *OTHERS))


@pytest.mark.parametrize("name", OTHERS)
def test_shapes_and_classes_of_the_other_modalities(others, name):
    entry, seen = OTHERS[name], set()
    for image, mask in others[name]:
        assert mask.dtype == np.uint8
        if "volume" in entry.modality:
            assert image.dtype == np.float32 and image.shape == mask.shape and image.ndim == 3
            assert np.isfinite(image).all()
        else:
            assert image.dtype == np.uint8 and image.shape == (*mask.shape, 3)
            if entry.modality != "colonoscopy video":
                assert (image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all()
        assert mask.any()
        seen |= set(np.unique(mask))
    assert seen == set(range(len(entry.classes) + 1))


def test_the_layers_of_goals_lie_in_order_in_every_column(others):
    for _, mask in others["goals"]:
        heights = [np.where(mask == c, np.arange(len(mask))[:, None], 0).max(0) for c in (1, 2, 3)]
        assert (np.diff(np.stack(heights), axis=0) > 0).all()


def test_a_clip_is_one_scene_that_moves_smoothly():
    clips = load_images("cvc612v", "train", limit=20).items
    assert len({frame.group for frame in clips}) == 2 and len({frame.name for frame in clips}) == 20
    masks = [frame.read()[1].astype(bool) for frame in clips]
    assert all(_dice(a, b) > 0.7 for a, b in pairwise(masks[:10]))
    assert not np.array_equal(masks[0], masks[9])
    groups = [{f.group for f in load_images("cvc612v", split).items} for split in ("train", "val", "test")]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 20


@pytest.mark.parametrize("name", OTHERS)
def test_no_band_of_brightness_finds_the_classes(others, name):
    """Brighter than one level and darker than another, both chosen for each class on the very images: below 0.6."""
    volume = "volume" in OTHERS[name].modality
    pairs = [(image if volume else image.astype(np.float32).mean(-1), mask) for image, mask in others[name]]
    low, high = np.quantile(np.concatenate([image.ravel()[::7] for image, _ in pairs]), (0.001, 0.999))
    edges = np.linspace(low, high, 41)
    best = []
    for label in range(1, len(OTHERS[name].classes) + 1):
        dice = []
        for image, mask in pairs:
            values = np.clip(image, low, high)
            inside, every = (np.histogram(v, edges)[0] for v in (values[mask == label], values))
            hit, size = (np.concatenate([[0], counts.cumsum()]) for counts in (inside, every))
            if hit[-1]:
                dice.append(2 * (hit - hit[:, None]) / (np.maximum(size - size[:, None], 0) + hit[-1]))
        best.append(np.mean(dice, axis=0).max())
    assert 0 < np.mean(best) < 0.6
