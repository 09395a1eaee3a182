"""An ImageSet is a fixed list of images with masks, from files or made up, each decoded only when it is asked for."""

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from m2s.data.sets.entry import DataSet
from m2s.errors import InputError


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

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Image and mask, as in :class:`Sample`."""


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
    entry: DataSet | None = field(default=None, repr=False, compare=False)
    """What the catalogue says about the set; of a user's own images their description; None of joined sets."""
    joined: tuple["ImageSet", ...] = field(default=(), repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        item = self.items[index]
        return Sample(item.name, *item.read())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.items)

    @property
    def parts(self) -> tuple["ImageSet", ...]:
        """The sets that it was joined from, or itself."""
        return self.joined or (self,)

    def __add__(self, other: "ImageSet") -> "ImageSet":
        if self.made_up != other.made_up:
            raise InputError(f"cannot join made-up with real images ({self.name} and {other.name})")
        name, title = f"{self.name}+{other.name}", f"{self.title} and {other.title}"
        split = self.split if self.split == other.split else f"{self.split}+{other.split}"
        source, fingerprint = f"{self.source}; {other.source}", short_hash(self.fingerprint, other.fingerprint)
        items, joined = self.items + other.items, self.parts + other.parts
        return ImageSet(name, title, split, source, self.made_up, fingerprint, items, joined=joined)


def short_hash(*parts: object) -> str:
    """Twelve hexadecimal digits that stand for ``parts``."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:12]
