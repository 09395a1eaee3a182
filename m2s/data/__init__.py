"""Images with masks: real data sets in the layouts people keep them in, or made-up ones ("phantom"), nothing to fetch.

>>> from m2s import data
>>> train = data.load("kvasir", "train", root="phantom", limit=8)
>>> name, image, mask = train[0]
>>> tensors = data.TensorSet(train, size=96, augment="m2snet")
"""

from .catalogue import CATALOGUE, DataSet
from .crops import CropSet
from .imageset import ImageSet, Sample, load
from .readers import read_image, read_mask
from .tensors import AUGMENTATIONS, TensorSet, multiscale_sizes, normalise
from .volumes import read_volume, read_volume_mask

__all__ = [
    "AUGMENTATIONS",
    "CATALOGUE",
    "CropSet",
    "DataSet",
    "ImageSet",
    "Sample",
    "TensorSet",
    "load",
    "multiscale_sizes",
    "normalise",
    "read_image",
    "read_mask",
    "read_volume",
    "read_volume_mask",
]
