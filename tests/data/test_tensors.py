"""Images as tensors of one size: resizing, augmentation that depends on the seed alone, sizes, normalising."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from m2s import data
from m2s.errors import InputError
from m2s.features.cost import loader_rate


@pytest.fixture(scope="module")
def images() -> data.ImageSet:
    return data.load_images("clinicdb", "train", limit=6)


def epoch_of(tensors: data.TensorSet, epoch: int, workers: int = 0) -> torch.Tensor:
    tensors.set_epoch(epoch)
    parts = [torch.cat([i, m], 1) for i, m in DataLoader(tensors, batch_size=4, num_workers=workers)]
    return torch.cat(parts)


def test_shapes_and_values(images):
    tensors = data.TensorSet(images, 48)
    image, mask = tensors[2]
    assert image.shape == (3, 48, 48) and image.dtype == torch.uint8
    assert mask.shape == (1, 48, 48) and mask.dtype == torch.uint8
    assert set(mask.unique().tolist()) <= {0, 1}
    sample = images[2]
    assert abs(mask.float().mean() - sample.mask.mean()) < 0.01
    assert abs(image.float().mean() - sample.image.mean()) < 2
    assert type(image) is torch.Tensor
    own = data.TensorSet(images, sample.mask.shape[0])
    assert torch.equal(own[2][1][0].unique(), torch.tensor([0, 1], dtype=torch.uint8))


def test_augmentation_follows_seed_epoch_and_index_alone(images):
    first = data.TensorSet(images, 32, augment="m2snet", seed=3)
    zero, one = epoch_of(first, 0), epoch_of(first, 1)
    assert not torch.equal(zero, one)
    assert torch.equal(epoch_of(first, 0), zero)
    assert torch.equal(epoch_of(first, 1, workers=2), one), "the number of workers must not matter"
    resumed = data.TensorSet(images, 32, augment="m2snet", seed=3)
    resumed.set_epoch(1)
    assert torch.equal(torch.cat(resumed[4]), one[4]), "a resume at epoch 1 must see what a whole run saw"
    assert torch.equal(torch.cat(resumed[-1]), one[5])
    assert not torch.equal(epoch_of(data.TensorSet(images, 32, augment="m2snet", seed=4), 1), one)


def test_persistent_workers_see_a_new_epoch(images):
    tensors = data.TensorSet(images, 32, augment="m2snet")
    expected = epoch_of(tensors, 1)
    loader = DataLoader(tensors, batch_size=6, num_workers=1, persistent_workers=True)
    tensors.set_epoch(0)
    next(iter(loader))
    tensors.set_epoch(1)
    assert torch.equal(torch.cat(next(iter(loader)), 1), expected)


def test_augmentation_leaves_the_random_state_alone_and_moves_both_alike(images):
    tensors = data.TensorSet(images, 64, augment="m2snet")
    tensors.images[:, :] = tensors.masks * 255
    torch.manual_seed(0)
    state = torch.get_rng_state()
    agreements = []
    flipped = 0
    for epoch in range(8):
        tensors.set_epoch(epoch)
        for i in range(len(tensors)):
            image, mask = tensors[i]
            agreements.append(((image[0] > 127) == mask[0].bool()).float().mean().item())
            assert set(mask.unique().tolist()) <= {0, 1}
            plain = tensors.masks[i].float()
            same = (plain * mask).sum() - (plain.flip(-1) * mask).sum()
            flipped += bool(same < 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert min(agreements) > 0.95
    assert 8 < flipped < 40


def test_errors(images):
    with pytest.raises(InputError, match="at least 1 pixel, not 0"):
        data.TensorSet(images, 0)


def test_the_example_is_the_largest_object_that_keeps_away_from_the_edge(images):
    tensors = data.TensorSet(images, 40)
    tensors.masks[:] = 0
    assert len(tensors) > 2
    tensors.masks[0, 0, :30, :30] = 1  # the largest, but at the edge
    assert data.find_example(tensors) == 0
    tensors.masks[1, 0, 10:20, 10:20] = 1
    tensors.masks[2, 0, 10:20, 10:21] = 3  # of several classes
    assert data.find_example(tensors) == 2


def test_multiscale_sizes():
    assert data.multiscale_sizes(352) == (224, 256, 288, 320, 352)
    for size in (32, 64, 96, 128, 192, 256):
        sizes = data.multiscale_sizes(size)
        assert sizes[-1] == size and len(set(sizes)) == len(sizes)
        assert all(s % 16 == 0 for s in sizes) and sizes[0] >= 0.5 * size


def test_normalise():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    images = torch.randint(0, 256, (2, 3, 5, 4), dtype=torch.uint8)
    expected = (images.numpy() / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    for given in (images, images / 255, images.double() / 255):
        result = data.normalize(given, mean, std)
        assert result.dtype == torch.float32
        np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)
    assert data.normalize(images[0], mean, std).shape == (3, 5, 4)


def test_augmenting_leaves_the_number_of_threads_alone(images):
    before = torch.get_num_threads()
    data.TensorSet(images, 16, augment="m2snet")[0]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_is_measured(workers):
    assert loader_rate(size=64, workers=workers, limit=4, epochs=1) > 0


def test_lgmsnets_augmentation_only_turns_and_flips(images):
    plain, turned = data.TensorSet(images, 32), data.TensorSet(images, 32, augment="lgmsnet")
    found = set()
    for epoch in range(12):
        turned.set_epoch(epoch)
        image, mask = turned[0]
        ways = [(turns, axes) for turns in range(4) for axes in ((), (2,))]
        (way,) = (w for w in ways if torch.equal(image, plain[0][0].rot90(w[0], (1, 2)).flip(w[1])))
        assert torch.equal(mask, plain[0][1].rot90(way[0], (1, 2)).flip(way[1]))
        found.add(way)
    assert len(found) > 4


def test_every_augmentation_keeps_sizes_and_classes(images):
    for name in data.AUGMENTATIONS:
        image, mask = data.TensorSet(images, 48, augment=name)[1]
        assert image.shape == (3, 48, 48) and image.dtype == torch.uint8
        assert set(mask.unique().tolist()) <= {0, 1}
    with pytest.raises(InputError, match="m2snet, lgmsnet, lgmsnet_kvasir"):
        data.TensorSet(images, 48, augment="all")
    with pytest.raises(InputError, match="unknown augmentation 'True'"):
        data.TensorSet(images, 48, augment=True)
