"""Episodes: examples of the same task and never the image itself, repeatable, the bank."""

from itertools import chain

import pytest
import torch

from m2s.data.episodes import EpisodeSet
from m2s.data.load import load_images
from m2s.errors import InputError

TASKS = {"colonoscopy": range(4), "breast ultrasound": range(4, 8)}


@pytest.fixture(scope="module")
def joined():
    return load_images("kvasir", "train", "phantom", 4) + load_images("busi", "all", "phantom", 4)


def find(image: torch.Tensor, episodes: EpisodeSet) -> int:
    return next(i for i, other in enumerate(episodes.tensors.images) if torch.equal(image, other))


def test_examples_are_other_images_of_the_same_task(joined):
    episodes = EpisodeSet(joined, 2, 32)
    assert [part.name for part in joined.parts] == ["kvasir", "busi"]
    for index in range(8):
        image, mask, images, masks = episodes[index]
        assert (image.shape, mask.shape) == ((3, 32, 32), (1, 32, 32))
        assert (images.shape, masks.shape) == ((2, 3, 32, 32), (2, 1, 32, 32))
        found = {find(one, episodes) for one in images}
        of_task = next(of_task for of_task in TASKS.values() if index in of_task)
        assert len(found) == 2 and index not in found and found <= set(of_task)
        assert all(m.any() for m in masks)


def test_an_epoch_is_repeatable_and_the_next_one_differs(joined):
    episodes = EpisodeSet(joined, 2, 32, "m2snet", seed=1)
    drawn = []
    for epoch in (0, 1, 0):
        episodes.set_epoch(epoch)
        drawn.append(torch.stack([episodes[index][2] for index in range(8)]))
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[1])


def test_the_bank_is_of_the_seed_and_names_its_images(joined):
    episodes = EpisodeSet(joined, 2, 32, seed=3)
    images, masks, names = episodes.choose_bank(3)
    assert images.shape == (6, 3, 32, 32) and masks.shape == (6, 1, 32, 32) and list(names) == list(TASKS)
    found = [find(one, episodes) for one in images]
    assert [joined.names[i] for i in found] == [*chain.from_iterable(names.values())]
    assert set(found[:3]) <= set(TASKS["colonoscopy"]) and set(found[3:]) <= set(TASKS["breast ultrasound"])
    assert names == episodes.choose_bank(3)[2] != EpisodeSet(joined, 2, 32, seed=4).choose_bank(3)[2]


def test_a_task_needs_two_images_with_an_object(joined):
    alone = load_images("kvasir", "train", "phantom", 1)
    with pytest.raises(InputError, match="1 images show an object; examples need 2"):
        EpisodeSet(alone, 2, 32)
