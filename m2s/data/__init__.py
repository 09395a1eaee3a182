"""Images with masks: real data sets in the layouts people keep them in, or made-up ones ("phantom"), nothing to fetch.

>>> from m2s import data
>>> train = data.load_images("kvasir", "train", limit=8)
>>> name, image, mask = train[0]
>>> tensors = data.TensorSet(train, size=96, augment="m2snet")
"""

from importlib import import_module

_HOME = {
    "AUGMENTATIONS": "tensors",
    "CATALOGUE": "sets",
    "CropSet": "crops",
    "DataSet": "sets.entry",
    "ImageSet": "imageset",
    "Sample": "imageset",
    "TensorSet": "tensors",
    "find_example": "tensors",
    "load_images": "load",
    "multiscale_sizes": "tensors",
    "normalize": "tensors",
    "read_image": "disk.images",
    "read_mask": "disk.images",
    "read_volume": "disk.nifti",
    "read_volume_mask": "disk.nifti",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    """Import what is asked for when it is asked for: torch is needed for tensors only."""
    if name in _HOME:
        return getattr(import_module(f"m2s.data.{_HOME[name]}"), name)
    raise AttributeError(f"module 'm2s.data' has no attribute '{name}'")
