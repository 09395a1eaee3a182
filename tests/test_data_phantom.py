"""Made-up images: the same for the same seed, exact and varied masks, and not to be had by a threshold."""

import numpy as np
import pytest

from m2s import data


@pytest.fixture(scope="module")
def sets() -> dict[str, list[data.Sample]]:
    return {name: list(data.load(name, "test", limit=24)) for name in data.CATALOGUE}


def test_counts_and_labels():
    for name, entry in data.CATALOGUE.items():
        for split, count in entry.counts.items():
            found = data.load(name, split)
            assert len(found) == count and found.made_up and "made-up" in found.title and "made-up" in found.source
        assert len(data.load(name, "all")) == sum(entry.counts.values())
    assert len(data.load("kvasir", "all", limit=10)) == 10
    assert len(data.load("cvc300", "test", limit=100)) == 100


def test_the_same_seed_gives_the_same_image_and_no_two_are_alike():
    def first(name, split, seed=0, index=0):
        return data.load(name, split, limit=3, seed=seed)[index]

    a, b = first("kvasir", "train"), first("kvasir", "train")
    assert np.array_equal(a.image, b.image) and np.array_equal(a.mask, b.mask) and a.name == b.name
    others = [first("kvasir", "test"), first("kvasir", "train", seed=1), first("kvasir", "train", index=1)]
    for other in others:
        assert a.name != other.name
        assert a.image.shape != other.image.shape or not np.array_equal(a.image, other.image)
    assert data.load("kvasir", "train", limit=3).fingerprint == data.load("kvasir", "train", limit=3).fingerprint
    prints = {
        data.load("kvasir", s, limit=n, seed=i).fingerprint for s in ("train", "test") for n in (3, 4) for i in (0, 1)
    }
    assert len(prints) == 8
    longer = data.load("kvasir", "train", limit=5)[1]
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


@pytest.mark.parametrize("name", list(data.CATALOGUE))
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
