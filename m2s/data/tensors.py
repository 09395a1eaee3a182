"""From images of any size to uint8 tensors of one size, ready for training: cached, augmented, normalised."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from m2s.data.imageset import ImageSet
from m2s.data.threads import map_in_threads
from m2s.errors import InputError, unknown

BILINEAR = v2.InterpolationMode.BILINEAR


class RandomQuarterTurns(v2.Transform):
    """A rotation by 0°, 90°, 180° or 270°."""

    def make_params(self, flat_inputs: list[Tensor]) -> dict[str, int]:
        return {"turns": int(torch.randint(4, ()))}

    def transform(self, inpt: Tensor, params: dict[str, int]) -> Tensor:
        return tv_tensors.wrap(inpt.rot90(params["turns"], (-2, -1)), like=inpt)


AUGMENTATIONS = {
    "m2snet": v2.Compose([v2.RandomHorizontalFlip(), v2.RandomRotation(10, interpolation=BILINEAR)]),
    "lgmsnet": v2.Compose([RandomQuarterTurns(), v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]),
    "lgmsnet_kvasir": v2.Compose([
        v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(), v2.ColorJitter(0.4, 0.2, 0.2, 0.02),
        v2.RandomAffine(90, (0.1, 0.1), (0.8, 1.2), interpolation=BILINEAR),
        v2.RandomApply([v2.ElasticTransform(50.0, 5.0, interpolation=BILINEAR)]),
    ]),
}  # fmt: skip
"""By name (images bilinear, masks nearest): of M2SNet's released training, a flip and a rotation by up to ±10°; of
LGMSNet, quarter turns and flips; of LGMSNet's released training on Kvasir, colours, affine and elastic transforms as
well, whose strengths are this project's choice."""


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread, with the same result to the bit.

    One image is too little work to share out: on a busy machine the threads wait for each other in every small
    operation, ten times as long as the work itself takes.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def item_seed(seed: int, epoch: int, index: int) -> int:
    """A well-mixed seed for what happens to one item in one epoch of one run."""
    return int(np.random.SeedSequence([seed, epoch, index]).generate_state(1, np.uint64)[0])


class TensorSet(Dataset):
    """An :class:`ImageSet` at one size: ``[i]`` → image uint8 (3, size, size) and mask uint8 (1, size, size).

    Every image is decoded and resized once, here, into one tensor in memory that DataLoader workers share (images
    antialiased bilinear, masks nearest). ``augment`` names one of :data:`AUGMENTATIONS`: each item is changed at random
    by (``seed``, epoch, ``i``) alone, so that neither the number of workers nor a resume changes what an epoch sees.
    Call ``set_epoch`` before each.
    """

    def __init__(self, image_set: ImageSet, size: int, augment: str | None = None, seed: int = 0) -> None:
        if augment is not None and augment not in AUGMENTATIONS:
            raise unknown("augmentation", augment, AUGMENTATIONS)
        if size < 1:
            raise InputError(f"the image size must be at least 1 pixel, not {size}")
        if not len(image_set):
            raise InputError(f"{image_set.title} ({image_set.split}) holds no images")
        self.image_set, self.size, self.augment, self.seed = image_set, size, augment, seed
        self.images = torch.empty(len(image_set), 3, size, size, dtype=torch.uint8)
        self.masks = torch.empty(len(image_set), 1, size, size, dtype=torch.uint8)
        # Shared, so that persistent workers see a new epoch as well.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        list(map_in_threads(self._decode, len(image_set), f"{image_set.title} at {size} px"))

    def _decode(self, index: int) -> None:
        _, image, mask = self.image_set[index]
        if mask.ndim != 2:
            raise InputError(f"{self.image_set.title} holds volumes; a TensorSet takes images: cut slices first")
        size = [self.size, self.size]
        self.images[index] = F.resize(torch.from_numpy(image.copy()).permute(2, 0, 1), size, antialias=True)
        self.masks[index] = F.resize(torch.from_numpy(mask)[None], size, interpolation=v2.InterpolationMode.NEAREST)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose augmentation is wanted."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        index = range(len(self))[index]  # -1 is the last image, not another seed
        return self.change(self.images[index], self.masks[index], index)

    def change(self, image: Tensor, mask: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """What the augmentation makes of image and mask, or of all frames of a clip, at ``index`` in this epoch."""
        if self.augment is None:
            return image, mask
        with torch.random.fork_rng(devices=[]), _one_thread():
            # Not torch.manual_seed: that would also set the GPU's generator, which is the training's own.
            torch.default_generator.manual_seed(item_seed(self.seed, int(self._epoch), index))
            image, mask = AUGMENTATIONS[self.augment](tv_tensors.Image(image), tv_tensors.Mask(mask))
        return image.as_subclass(Tensor), mask.as_subclass(Tensor)


def find_example(tensors: TensorSet) -> int:
    """The index of an image to show: the largest object of those that keep away from the image's edge.

    The edge is a twentieth of the side. Where every object touches it, the largest object of all.
    """
    rim = max(1, tensors.size // 20)
    inside = tensors.masks > 0  # (N, 1, size, size)
    areas = inside.sum((1, 2, 3))
    whole = (inside[..., rim:-rim, rim:-rim].sum((1, 2, 3)) == areas) & (areas > 0)
    return int((areas + whole * tensors.size**2).argmax())


def multiscale_sizes(size: int) -> tuple[int, ...]:
    """The sizes that a batch is resized to in multi-scale training: 224, 256, 288, 320, 352 for a size of 352.

    For another size, these in proportion, each rounded to a multiple of 16, without repeats.
    """
    scaled = (max(16, round(s * size / 352 / 16) * 16) for s in (224, 256, 288, 320, 352))
    return tuple(dict.fromkeys(scaled))


def normalize(images: Tensor, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor) -> Tensor:
    """``(images − mean) / std`` for images (…, 3, H, W), uint8 or floats in [0, 1]; mean and std of RGB in [0, 1].

    A GPU is not waited for if ``mean`` and ``std`` are tensors on it.
    """
    return F.normalize(F.to_dtype(images, torch.float32, scale=True), mean, std)  # type: ignore[arg-type]
