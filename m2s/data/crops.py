"""From volumes to crops of one size, ready for training: resampled, normalised, cut out at random, augmented."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from m2s.data.imageset import ImageSet
from m2s.data.tensors import item_seed
from m2s.errors import InputError

CT_WINDOW = (-175.0, 250.0)
"""Hounsfield units that become 0 … 1 (LGMSNet's code, as in 3D UX-Net's)."""


class Prepared(NamedTuple):
    """One volume as networks see it."""

    name: str
    volume: Tensor
    """float32 (1, D, H, W), at the data set's spacing and normalised (:func:`normalize_volume`)."""
    mask: Tensor
    """uint8 (1, D, H, W), of the same size."""
    own_mask: np.ndarray
    """uint8, class indices, as the file has it: what predictions are scored against."""


def prepare_volume(image_set: ImageSet, index: int) -> Prepared:
    """Read a volume and bring it to the data set's spacing: linearly, its mask by the nearest voxel."""
    entry = image_set.entry
    if not entry.volumetric:
        raise InputError(f"{image_set.title} holds images, not volumes")
    name, image, own_mask = image_set[index]
    volume, mask = torch.from_numpy(image)[None], torch.from_numpy(own_mask)[None]
    if entry.spacing and not image_set.made_up:  # phantoms are made at the spacing that is wanted
        size = measure_at_spacing(own_mask.shape, image_set.items[index].spacing, entry.spacing)
        volume = F.interpolate(volume[None], size, mode="trilinear", align_corners=False)[0]
        mask = F.interpolate(mask[None], size, mode="nearest")[0]
    return Prepared(name, normalize_volume(volume, entry.modality), mask, own_mask)


def measure_at_spacing(shape: Sequence[int], spacing: Sequence[float], wanted: Sequence[float]) -> list[int]:
    """The shape of a volume that is brought from one distance of voxels to another (both in mm, in axis order)."""
    steps = zip(shape, spacing, wanted, strict=True)
    return [max(1, round(voxels * step / new_step)) for voxels, step, new_step in steps]


def normalize_volume(volume: Tensor, modality: str) -> Tensor:
    """A volume (…, D, H, W) in its own units → what networks see.

    CT is clipped to :data:`CT_WINDOW` and brought to 0 … 1. MRI has no units: it is brought to mean 0 and deviation 1
    over the volume.
    """
    if modality.startswith("CT"):
        low, high = CT_WINDOW
        return (volume.clamp(low, high) - low) / (high - low)
    return (volume - volume.mean()) / volume.std().clamp_min(1e-6)


class CropSet(Dataset):
    """An :class:`ImageSet` of volumes: ``[i]`` → a crop float32 (1, size, size, size) of volume i, and its mask, uint8.

    As in LGMSNet's and 3D UX-Net's training, by MONAI: the centre of the crop lies in the foreground as often as
    outside; flips and quarter turns with probability 0.1 each, a shift of intensity with 0.5. All of it follows from
    (``seed``, epoch, ``i``) alone. Volumes smaller than the crop are padded with zeros. Every volume is read once and
    kept in memory.
    """

    def __init__(self, image_set: ImageSet, size: int, seed: int = 0) -> None:
        if not len(image_set):
            raise InputError(f"{image_set.title} ({image_set.split}) holds no volumes")
        self.image_set, self.size, self.seed = image_set, size, seed
        from monai import transforms as monai  # here, because it takes as long to import as torch

        both = {"keys": ["image", "mask"]}
        pad = monai.SpatialPadd(**both, spatial_size=[size] * 3)
        volumes = (prepare_volume(image_set, i) for i in range(len(image_set)))
        self.volumes = [pad({"image": v.volume, "mask": v.mask}) for v in volumes]
        self.augment = monai.Compose([
            monai.RandCropByPosNegLabeld(**both, label_key="mask", spatial_size=[size] * 3, num_samples=1),
            *(monai.RandFlipd(**both, prob=0.1, spatial_axis=axis) for axis in range(3)),
            monai.RandRotate90d(**both, prob=0.1, max_k=3, spatial_axes=(1, 2)),
            monai.RandShiftIntensityd(["image"], offsets=0.1, prob=0.5),
        ])  # fmt: skip
        # Shared, so that persistent workers see a new epoch as well.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose crops are wanted."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        index = range(len(self))[index]
        self.augment.set_random_state(item_seed(self.seed, int(self._epoch), index) % 2**32)
        (crop,) = self.augment(dict(self.volumes[index]))
        return crop["image"].as_tensor(), crop["mask"].as_tensor()
