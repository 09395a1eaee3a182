"""An ImageSet is a fixed list of images with masks, from files or made up, each decoded only when it is asked for."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from .. import provenance
from ..errors import InputError, unknown
from . import catalogue, layouts


class Sample(NamedTuple):
    """One image with its mask, at its own size."""

    name: str
    image: np.ndarray
    """uint8 (H, W, 3), RGB; of a volume float32 (D, H, W), in its own units."""
    mask: np.ndarray
    """uint8 (H, W) or (D, H, W), class indices: 0 background, then the classes of the data set."""


class Item(Protocol):
    """Something that can be read as an image and its mask: a pair of files, or a phantom."""

    name: str
    group: str
    """Patient, clip or class, where it is known, else ""."""

    def read(self) -> tuple[np.ndarray, np.ndarray]: ...


@dataclass(frozen=True)
class ImageSet:
    """A sequence of :class:`Sample`. ``a + b`` joins two of them."""

    name: str
    title: str
    split: str
    source: str
    """Where the images come from, in words."""
    made_up: bool
    """True for phantoms: whatever is shown or measured with them says so."""
    fingerprint: str
    """A short hash of the names and file sizes, or of the generator's settings."""
    items: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        item = self.items[index]
        return Sample(item.name, *item.read())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.items)

    def __add__(self, other: "ImageSet") -> "ImageSet":
        if self.made_up != other.made_up:
            raise InputError(f"cannot join made-up with real images ({self.name} and {other.name})")
        return ImageSet(
            name=f"{self.name}+{other.name}",
            title=f"{self.title} and {other.title}",
            split=self.split if self.split == other.split else f"{self.split}+{other.split}",
            source=f"{self.source}; {other.source}",
            made_up=self.made_up,
            fingerprint=short_hash(self.fingerprint, other.fingerprint),
            items=self.items + other.items,
        )


def short_hash(*parts: object) -> str:
    """Twelve hexadecimal digits that stand for ``parts``."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:12]


def load(
    name: str, split: str = "train", root: str | Path = "phantom", limit: int | None = None, seed: int = 0
) -> ImageSet:
    """The images of a data set: ``load("kvasir", "test", root="data")``.

    ``root`` is a folder that holds the data sets, or ``"phantom"`` for made-up images in the manner of this set.
    ``split`` is one of ``CATALOGUE[name].splits``: from shipped lists of names, from the folders, or by a rule, and
    ``"all"`` for whatever is there. ``limit`` takes that many: of real images a random choice by ``seed`` (a smaller
    one is part of a larger one), of made-up ones as many as asked for, made from ``seed``. Names, pairs and counts are
    checked here, the pictures when they are decoded. Raises
    :class:`~m2s.errors.InputError`.
    """
    entry = catalogue.find(name)
    if split not in entry.splits:
        raise unknown(f"split of {entry.title}", split, entry.splits)
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, not {limit}")
    if str(root) == "phantom":
        from .phantom import phantoms

        images = phantoms(entry, split, limit, seed)
        provenance.used(name, split, images.fingerprint)
        return images
    pairs, source = layouts.find_pairs(entry, split, Path(root).expanduser())
    if limit is not None and limit < len(pairs):
        order = np.random.default_rng([seed, len(pairs)]).permutation(len(pairs))
        pairs = [pairs[i] for i in sorted(order[:limit])]
    sizes = [" ".join(map(str, (p.name, *(f.stat().st_size for f in (p.image, *p.masks))))) for p in pairs]
    fingerprint = short_hash(name, *sizes)
    provenance.used(name, split, fingerprint)
    return ImageSet(
        name=name,
        title=entry.title,
        split=split,
        source=source,
        made_up=False,
        fingerprint=fingerprint,
        items=tuple(pairs),
    )
