"""Made-up images in the manner of each data set, as an :class:`~m2s.data.imageset.ImageSet`."""

import importlib
import zlib
from dataclasses import astuple, dataclass

import numpy as np

from m2s.data.imageset import ImageSet, Item, short_hash
from m2s.data.sets.entry import DataSet
from m2s.errors import InputError
from m2s.phantoms.stills import STYLES, VERSION, paint


@dataclass(frozen=True)
class Phantom:
    """One made-up image: everything about it follows from these values."""

    style: str
    split: str
    index: int
    seed: int
    group = ""

    @property
    def name(self) -> str:
        return f"{self.style}-{self.split}-{self.seed}-{self.index:04d}"

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Image uint8 (H, W, 3), RGB, and mask uint8 (H, W)."""
        where = zlib.crc32(f"{self.style}/{self.split}".encode())
        return paint(STYLES[self.style], np.random.default_rng([self.seed, where, self.index, VERSION]))


PAINTERS = {
    "colonoscopy video": "clips",
    "lung CT": "ct",
    "breast ultrasound": "ultrasound",
    "thyroid ultrasound": "ultrasound",
    "OCT": "oct",
    "dermoscopy": "skin",
    "CT volume": "volumes",
    "MRI volume": "volumes",
}
"""The module of each further modality. It holds ``VERSION``; ``STYLES``, a dataclass for each set, whose ``sizes`` are
the shapes of which one is drawn; and ``paint(rng, size, style)``, which gives an image and its mask of that shape."""

MOST, MOST_VOLUMES = 200, 20
"""How many made-up images, or volumes, stand for a whole set other than the polyp stills."""

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
"""Of MOST, where a set's own counts are not known."""


@dataclass(frozen=True)
class Painted:
    """One made-up image of a further modality: everything about it follows from these values."""

    module: str
    style: str
    split: str
    index: int
    seed: int
    group: str = ""

    @property
    def name(self) -> str:
        return f"{self.style}-{self.split}-{self.seed}-{self.index:04d}"

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Image uint8 (H, W, 3) and mask uint8 (H, W), class indices; of volumes float32 and uint8 (D, H, W)."""
        painter = _painter(self.module)
        style = painter.STYLES[self.style]
        where = zlib.crc32(f"{self.style}/{self.split}".encode())
        rng = np.random.default_rng([self.seed, where, self.index, painter.VERSION])
        return painter.paint(rng, style.sizes[rng.integers(len(style.sizes))], style)


def _painter(module: str):
    return importlib.import_module(f"m2s.phantoms.{module}")


def make_phantoms(entry: DataSet, split: str, limit: int | None, seed: int) -> ImageSet:
    """Made-up images in the manner of ``entry``, made when read: as many as the set's split has, or ``limit``.

    Of a set other than the polyp stills there are at most :data:`MOST` in all (volumes: :data:`MOST_VOLUMES`), divided
    as the set is. An :class:`~m2s.errors.InputError` where nothing paints such images.
    """
    counts = _counts(entry, split, limit)
    if entry.modality == "colonoscopy":
        parts = (VERSION, seed, *astuple(STYLES[entry.name]))
        items: list[Item] = [Phantom(entry.name, s, i, seed) for s, n in counts.items() for i in range(n)]
    else:
        module = PAINTERS.get(entry.modality, "")
        if not module or entry.name not in _painter(module).STYLES:
            raise InputError(f"there are no made-up images in the manner of {entry.title}: give a folder of real ones")
        painter = _painter(module)
        parts = (painter.VERSION, seed, entry.name, *astuple(painter.STYLES[entry.name]))
        make = getattr(painter, "item", Painted)  # frames of one clip are not independent of one another
        items = [make(module, entry.name, s, i, seed) for s, n in counts.items() for i in range(n)]
    return ImageSet(
        name=entry.name,
        title=f"{entry.title} (made-up)",
        split=split,
        source=f"made-up images in the manner of {entry.title}, seed {seed}",
        made_up=True,
        fingerprint=short_hash(*parts, *counts.items()),
        items=tuple(items),
    )


def _counts(entry: DataSet, split: str, limit: int | None) -> dict[str, int]:
    """How many images of which split. "all" is every split, or of repeated splits (folds) the first pair of them."""
    known = [s for s in entry.splits if s != "all"] or ["all"]
    kind = (known[0] if split == "all" else split).rpartition("-")[0]
    siblings = [s for s in known if s.rpartition("-")[0] == kind]
    most = MOST_VOLUMES if "volume" in entry.modality else MOST
    sizes = {s: entry.counts.get(s) or round(most * SHARES.get(s, 1)) for s in siblings}
    total = sum(sizes.values())
    if entry.modality != "colonoscopy" and total > most:
        sizes = {s: max(1, round(n * most / total)) for s, n in sizes.items()}
        total = sum(sizes.values())
    if split != "all":
        return {split: limit or sizes[split]}
    wanted = limit or total
    counts = {s: wanted * n // total for s, n in sizes.items()}
    counts[siblings[-1]] += wanted - sum(counts.values())
    return counts
