"""All data sets of the papers under their short names."""

from ..errors import unknown
from .catalogue_others import IMAGES, VOLUMES
from .catalogue_polyps import POLYPS, VIDEOS
from .dataset import DataSet

CATALOGUE: dict[str, DataSet] = {entry.name: entry for entry in (*POLYPS, *VIDEOS, *IMAGES, *VOLUMES)}


def find(name: str) -> DataSet:
    """The entry called ``name``; an :class:`~m2s.errors.InputError` with the nearest names if there is none."""
    if name not in CATALOGUE:
        raise unknown("data set", name, CATALOGUE)
    return CATALOGUE[name]
