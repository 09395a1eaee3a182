"""Made-up ultrasound and dermoscopy: the same for the same seed, exact masks, and not to be had by a threshold."""

import numpy as np
import pytest

from m2s import data
from m2s.phantoms import skin as phantom_skin
from m2s.phantoms import ultrasound
from m2s.phantoms import ultrasound as phantom_ultrasound

PAINTERS = {name: module for module in (phantom_ultrasound, phantom_skin) for name in module.STYLES}
GREY = tuple(ultrasound.STYLES)


def painted(name: str, index: int, size: tuple[int, int] = (176, 224)) -> tuple[np.ndarray, np.ndarray]:
    return PAINTERS[name].paint(np.random.default_rng([index, 3]), size, PAINTERS[name].STYLES[name])


@pytest.fixture(scope="module")
def samples() -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    return {name: [painted(name, i) for i in range(24)] for name in PAINTERS}


@pytest.mark.parametrize("name", PAINTERS)
def test_images_and_masks(samples, name):
    for image, mask in samples[name]:
        assert image.dtype == mask.dtype == np.uint8 and image.shape == (176, 224, 3) and mask.shape == (176, 224)
        assert set(np.unique(mask)) <= {0, 1} and image.std() > 8
        assert (image == image[..., :1]).all() == (name in GREY)
    shares = np.array([mask.mean() for _, mask in samples[name] if mask.any()])
    median, _, high = PAINTERS[name].STYLES[name].share
    assert median / 2 < np.median(shares) < 2 * median and shares.max() < 1.3 * high
    assert shares.max() > 3 * shares.min()


@pytest.mark.parametrize("name", PAINTERS)
def test_the_same_seed_gives_the_same_image_and_another_one_another(name):
    (image, mask), (again, mask_again), (other, _) = painted(name, 0), painted(name, 0), painted(name, 1)
    assert np.array_equal(image, again) and np.array_equal(mask, mask_again) and not np.array_equal(image, other)


@pytest.mark.parametrize("name", PAINTERS)
def test_they_are_found_by_the_name_of_their_set(name):
    found = data.load_images(name, "all", limit=2, seed=4)
    assert found.made_up and "made-up" in found.title and found[0].name.startswith(name)
    assert found[0].image.shape[:2] in PAINTERS[name].STYLES[name].sizes
    assert np.array_equal(found[1].image, data.load_images(name, "all", limit=2, seed=4)[1].image)


def test_only_busi_has_images_without_a_tumour(samples):
    empty = {name: np.mean([not mask.any() for _, mask in pairs]) for name, pairs in samples.items()}
    assert 0.03 < empty.pop("busi") < 0.4
    assert not any(empty.values())


def test_what_lies_under_the_mask_is_what_was_painted(samples):
    """The mask's border is where the picture changes: more than a few pixels beside it, on the average of a set."""
    for name, pairs in samples.items():
        on, beside = [], []
        for image, mask in pairs:
            grey = image.astype(np.float32).mean(-1)
            change = np.hypot(*np.gradient((grey[::4, ::4] + grey[2::4, ::4] + grey[::4, 2::4] + grey[2::4, 2::4]) / 4))
            small = mask[::4, ::4].astype(bool)
            border = small ^ np.roll(small, 1, 0) | small ^ np.roll(small, 1, 1)
            shifted = np.roll(border, (8, -8), (0, 1))
            if border.any():
                on.append(change[border].mean())
                beside.append(change[shifted].mean())
        assert np.mean(on) > 1.15 * np.mean(beside), name


@pytest.mark.parametrize(("one", "other"), [("busi", "bus"), ("tnscui", "tucc"), ("isic2018", "ph2")])
def test_two_sets_of_one_kind_differ_in_manner(samples, one, other):
    """A shift such as there is between real sets: in brightness or grain, more than chance would give."""

    def features(name: str) -> np.ndarray:
        images = [image.astype(np.float32).mean(-1) for image, _ in samples[name]]
        shares = [np.log(mask.mean()) if mask.any() else np.nan for _, mask in samples[name]]
        corners = [image[:20, :20].mean() for image in images]
        grain = [np.abs(np.diff(image, axis=0)).mean() / (image.mean() + 1) for image in images]
        return np.array([[image.mean() for image in images], corners, grain, shares])

    a, b = features(one), features(other)
    spread = np.sqrt((np.nanvar(a, 1) + np.nanvar(b, 1)) / 2)
    assert (abs(np.nanmean(a, 1) - np.nanmean(b, 1)) / spread).max() > 0.8


@pytest.mark.parametrize("name", PAINTERS)
def test_no_threshold_finds_them(samples, name):
    """Even the best threshold or band of brightness, chosen on the very images, stays under 0.6."""
    inside, total = [], []
    for image, mask in samples[name]:
        if mask.any():
            level = image.astype(np.float32).mean(-1).astype(np.uint8) // 6
            inside.append(np.cumsum(np.bincount(level[mask > 0], minlength=43)))
            total.append(np.cumsum(np.bincount(level.ravel(), minlength=43)))
    inside, total = (np.pad(np.array(a, float), ((0, 0), (1, 0))) for a in (inside, total))
    best = 0.0
    for low in range(43):
        for high in range(low + 1, 44):
            hit, chosen = inside[:, high] - inside[:, low], total[:, high] - total[:, low]
            rest = inside[:, -1] - hit, total[:, -1] - chosen  # everything but the band
            for true, positive in ((hit, chosen), rest):
                best = max(best, np.mean(2 * true / (positive + inside[:, -1])))
    assert 0.05 < best < 0.6
