"""Changed masks and images: sizes and places as asked for, and nothing changed where nothing is asked."""

import numpy as np
import pytest

from m2s.data import load_images
from m2s.errors import InputError
from m2s.features import perturbations


def disc(radius=10, centre=(32, 40), shape=(64, 80)):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


@pytest.mark.parametrize("grow", [-4, 0, 4])
def test_a_disc_grows_by_so_many_pixels(grow):
    changed = perturbations.change_mask(disc(), grow)
    assert np.mean(changed != disc(10 + grow)) < 0.01  # a pixel of the rounded border here and there
    assert changed.dtype == np.float32 and set(np.unique(changed)) == {0, 1}


def test_shift_and_blur_of_a_mask():
    moved = perturbations.change_mask(disc(), right=5, down=-3)
    assert np.array_equal(moved > 0, disc(centre=(29, 45)))
    blurred = perturbations.change_mask(disc() * 255, blur=2)
    assert blurred.sum() == pytest.approx(disc().sum(), rel=1e-3) and 0 < blurred[32, 50] < 1
    nothing = np.zeros((20, 20), np.uint8)
    assert not perturbations.change_mask(nothing, 3, blur=1).any() and perturbations.change_mask(~nothing, -3).all()


def test_image_changes_do_what_they_say():
    image = np.full((40, 50, 3), 100, np.uint8)
    image[:, 25:] = 200
    assert np.array_equal(perturbations.change_image(image), image)
    assert np.array_equal(perturbations.change_image(image, brightness=0.1), image + 26)  # 25.5, rounded half to even
    noisy = perturbations.change_image(image, noise=0.05)
    assert (noisy.astype(float) - image).std() == pytest.approx(0.05 * 255, rel=0.05)
    assert np.array_equal(noisy, perturbations.change_image(image, noise=0.05))
    edge = perturbations.change_image(image, blur=2)[20, :, 0].astype(int)
    assert edge[0] == 100 and edge[-1] == 200 and 140 < edge[25] < 165


def test_the_lesion_is_moved_and_its_place_filled():
    _, image, mask = load_images("kvasir", "test", "phantom", limit=1)[0]
    inside = mask > 0
    moved, where = perturbations.move_lesion(image, mask, right=20, down=10)
    assert np.array_equal(where, np.pad(inside, ((10, 0), (20, 0)))[: inside.shape[0], : inside.shape[1]])
    middle = tuple(np.argwhere(where).mean(0).astype(int))
    assert np.abs(moved[middle].astype(int) - image[middle[0] - 10, middle[1] - 20]).max() <= 2
    far = np.ones(inside.shape, bool)
    for area in (inside, where):
        rows, columns = np.nonzero(area)
        far[max(rows.min() - 60, 0) : rows.max() + 60, max(columns.min() - 60, 0) : columns.max() + 60] = False
    assert np.array_equal(moved[far], image[far])


def test_no_lesion_no_move():
    image = np.zeros((32, 32, 3), np.uint8)
    for mask in (np.zeros((32, 32)), np.ones((32, 32))):
        with pytest.raises(InputError, match="cannot be moved"):
            perturbations.move_lesion(image, mask, 1, 1)
