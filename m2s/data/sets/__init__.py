"""All data sets of the papers under their short names, and how to get each."""

from m2s.data.sets.breast import BREAST
from m2s.data.sets.entry import DataSet, Source
from m2s.data.sets.lung import LUNG
from m2s.data.sets.polyps import POLYPS, PRANET
from m2s.data.sets.retina import RETINA
from m2s.data.sets.skin import SKIN
from m2s.data.sets.thyroid import THYROID
from m2s.data.sets.videos import VIDEOS
from m2s.data.sets.volumes import VOLUMES
from m2s.errors import unknown

CATALOGUE: dict[str, DataSet] = {
    entry.name: entry for entry in (*POLYPS, *VIDEOS, *LUNG, *BREAST, *RETINA, *THYROID, *SKIN, *VOLUMES)
}
SOURCES: dict[str, Source] = {"pranet": PRANET, **{name: entry.source for name, entry in CATALOGUE.items()}}


def find_set(name: str) -> DataSet:
    """The entry called ``name``; an :class:`~m2s.errors.InputError` with the nearest names if there is none."""
    if name not in CATALOGUE:
        raise unknown("data set", name, CATALOGUE)
    return CATALOGUE[name]


def find_source(name: str) -> Source:
    """The source called ``name``; an :class:`~m2s.errors.InputError` with the nearest names if there is none."""
    if name not in SOURCES:
        raise unknown("data set", name, SOURCES)
    return SOURCES[name]
