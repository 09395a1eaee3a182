"""Made-up images that look like those of each data set, as an :class:`~m2s.data.imageset.ImageSet`."""

import zlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field

import numpy as np

from m2s.data.imageset import ImageSet, short_hash
from m2s.data.sets.entry import DataSet
from m2s.errors import InputError
from m2s.phantoms import clips, ct, oct, skin, stills, ultrasound, volumes

PAINTERS = {
    "colonoscopy": stills,
    "colonoscopy video": clips,
    "lung CT": ct,
    "breast ultrasound": ultrasound,
    "thyroid ultrasound": ultrasound,
    "OCT": oct,
    "dermoscopy": skin,
    "CT volume": volumes,
    "MRI volume": volumes,
}
"""The module that paints each modality. It holds ``VERSION``; ``STYLES``, a dataclass for each set, whose ``sizes`` are
the shapes of which one is drawn; and ``paint(rng, size, style)``, which gives an image and its mask of that shape
(``clips`` has :class:`~m2s.phantoms.clips.Clip` instead, since the frames of one clip show one scene)."""

MOST, MOST_VOLUMES = 200, 20
"""How many made-up images, or volumes, stand for a whole set other than the polyp stills."""

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
"""Of MOST, where a set's own counts are not known."""


@dataclass(frozen=True)
class Phantom:
    """One made-up image: everything about it follows from these values."""

    modality: str
    style: str
    split: str
    index: int
    seed: int
    clip: clips.Clip | None = field(default=None, compare=False, repr=False)
    """Of a video, the clip whose frame this is: it paints the scene once for all its frames."""

    @property
    def group(self) -> str:
        """The clip, or "". A split holds whole clips, so that no scene is in two of them."""
        return f"{self.style}-{self.split}-{self.seed}-clip{self.index // clips.FRAMES:03d}" if self.clip else ""

    @property
    def name(self) -> str:
        if self.clip:
            return f"{self.group}-{self.index % clips.FRAMES:02d}"
        return f"{self.style}-{self.split}-{self.seed}-{self.index:04d}"

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Image uint8 (H, W, 3) and mask uint8 (H, W), class indices; of volumes float32 and uint8 (D, H, W)."""
        if self.clip:
            return self.clip.paint_frame(self.index % clips.FRAMES)
        painter = PAINTERS[self.modality]
        style = painter.STYLES[self.style]
        rng = np.random.default_rng(_list_seeds(self.style, self.split, self.index, self.seed, painter.VERSION))
        return painter.paint(rng, style.sizes[rng.integers(len(style.sizes))], style)


def _list_seeds(style: str, split: str, index: int, seed: int, version: int) -> tuple[int, int, int, int]:
    return seed, zlib.crc32(f"{style}/{split}".encode()), index, version


def make_phantoms(entry: DataSet, split: str, limit: int | None, seed: int) -> ImageSet:
    """Made-up images that look like those of ``entry``, painted when read: as many as its split has, or ``limit``.

    Of a set other than the polyp stills there are at most :data:`MOST` in all (volumes: :data:`MOST_VOLUMES`), divided
    as the set is.
    """
    painter = PAINTERS.get(entry.modality)
    if painter is None or entry.name not in painter.STYLES:
        raise InputError(f"there are no made-up images like those of {entry.title}: give a folder of real ones")
    counts = _count_phantoms(entry, split, limit)
    name = () if painter is stills else (entry.name,)  # the stills' fingerprints never held it
    fingerprint = short_hash(painter.VERSION, seed, *name, *astuple(painter.STYLES[entry.name]), *counts.items())
    items = tuple(item for part, count in counts.items() for item in _make_items(entry, part, count, seed))
    source = f"made-up images in the manner of {entry.title}, seed {seed}"
    title = f"{entry.title} (made-up)"
    return ImageSet(entry.name, title, split, source, True, fingerprint, items, entry)


def _make_items(entry: DataSet, split: str, count: int, seed: int) -> Iterator[Phantom]:
    clip = None
    for index in range(count):
        if entry.modality == "colonoscopy video" and index % clips.FRAMES == 0:
            seeds = _list_seeds(entry.name, split, index // clips.FRAMES, seed, clips.VERSION)
            clip = clips.Clip(seeds, clips.STYLES[entry.name])
        yield Phantom(entry.modality, entry.name, split, index, seed, clip)


def _count_phantoms(entry: DataSet, split: str, limit: int | None) -> dict[str, int]:
    """How many images of which split. "all" is every split, or of repeated splits (folds) the first pair of them."""
    known = [s for s in entry.splits if s != "all"] or ["all"]
    kind = (known[0] if split == "all" else split).rpartition("-")[0]
    siblings = [s for s in known if s.rpartition("-")[0] == kind]
    most = MOST_VOLUMES if entry.volumetric else MOST
    sizes = {s: entry.counts.get(s) or round(most * SHARES.get(s, 1)) for s in siblings}
    total = sum(sizes.values())
    if entry.modality != "colonoscopy" and total > most:
        sizes = {s: max(1, round(n * most / total)) for s, n in sizes.items()}
        total = sum(sizes.values())
    if split != "all":
        return {split: limit or sizes[split]}
    count = limit or total
    counts = {s: count * n // total for s, n in sizes.items()}
    counts[siblings[-1]] += count - sum(counts.values())
    return counts
