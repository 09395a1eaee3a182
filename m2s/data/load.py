"""Load the images of a data set: real files from a folder or from the sample on board, or made-up ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from m2s.data.disk import layouts
from m2s.data.disk.images import FilePair
from m2s.data.disk.nifti import VolumePair
from m2s.data.imageset import ImageSet, short_hash
from m2s.data.sets import find_set
from m2s.errors import InputError, told_where, unknown
from m2s.paths import expand, image_root


def load_images(
    name: str, split: str = "train", root: str | Path = "sample", limit: int | None = None, seed: int = 0
) -> ImageSet:
    """The images of a data set: ``load_images("kvasir", "test", root="data")``.

    Names, pairs and counts are checked here, the pictures when they are decoded.

    Args:
        split: one of ``CATALOGUE[name].splits``: from shipped lists of names, from the folders, or by a rule, and
            ``"all"`` for whatever is there.
        root: a folder that holds the data sets; ``"phantom"`` for made-up images that look like this set's; or
            ``"sample"`` for the real images that come with the repository, and made-up ones of every other set.
        limit: take that many: of real images a random choice by ``seed`` (a smaller one is part of a larger one), of
            made-up ones as many as asked for, made from ``seed``.
        seed: of that choice, or of the made-up images.

    Raises:
        InputError: an unknown name or split, no such folder, or a set that is not there or not whole.
    """
    entry = find_set(name)
    if split not in entry.splits:
        raise unknown(f"split of {entry.title}", split, entry.splits)
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, not {limit}")
    root = image_root(name, root)
    if str(root) == "phantom":
        from m2s.data.made_up import make_phantoms

        return make_phantoms(entry, split, limit, seed)
    root = expand(root)
    with told_where(root):
        pairs, source = layouts.find_pairs(entry, split, root)
    if limit is not None and limit < len(pairs):
        order = np.random.default_rng([seed, len(pairs)]).permutation(len(pairs))
        pairs = [pairs[i] for i in sorted(order[:limit])]
    with told_where(root):  # also of a link that leads nowhere
        fingerprint = fingerprint_files(name, pairs)
    return ImageSet(name, entry.title, split, source, False, fingerprint, tuple(pairs), entry)


def fingerprint_files(name: str, pairs: Sequence[FilePair | VolumePair]) -> str:
    """A short hash of a set's name and of the names and file sizes of its images and masks."""
    sizes = [" ".join(map(str, (p.name, *(f.stat().st_size for f in (p.image, *p.masks))))) for p in pairs]
    return short_hash(name, *sizes)
