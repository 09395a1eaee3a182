"""Images that occur more than once, within a split, across splits and across data sets, and what they do to a score.

Exact repeats have the same decoded pixels. Near repeats (another frame of the same view, another compression, a
mirrored copy) are close in a perceptual hash: imagehash's DCT hash of 256 bits, compared by the number of bits that
differ, in four views (as it is, mirrored, upside down, turned by 180°).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from m2s.data.get.manifest import list_splits
from m2s.data.imageset import ImageSet
from m2s.data.threads import map_in_threads
from m2s.errors import InputError

THRESHOLD = 24
"""Of 256 bits. On the real sets the pairs looked at up to here (all four of Kvasir-SEG, three of BUSI) showed the same
scene; at 32, two of three pairs of ColonDB frames matched for little more than their equal black border."""

VIEWS = {
    "": None,
    "mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
    "upside down": Image.Transpose.FLIP_TOP_BOTTOM,
    "turned": Image.Transpose.ROTATE_180,
}

_SIDE = 16  # of the hash; the DCT is taken of a picture four times as large


@dataclass(frozen=True)
class Hashes:
    """What stands for the images of one set: SHA-256 of the pixels, and bits, uint64 (views, images, 4)."""

    exact: np.ndarray
    bits: np.ndarray


def _shrink(image: np.ndarray) -> Image.Image:
    """An image as a small grey picture; of a volume float (D, H, W) its middle slice."""
    if image.ndim == 3 and image.shape[-1] != 3:
        image = image[len(image) // 2].astype(np.float32)
        low, high = image.min(), image.max()
        image = ((image - low) * (255 / max(high - low, 1e-6))).astype(np.uint8)
    return Image.fromarray(image).convert("L").resize((4 * _SIDE, 4 * _SIDE), Image.Resampling.LANCZOS)


def _hash_image(image: np.ndarray) -> tuple[str, np.ndarray]:
    exact = hashlib.sha256(f"{image.dtype} {image.shape}".encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
    picture = _shrink(image)
    views = [picture if view is None else picture.transpose(view) for view in VIEWS.values()]
    bits = [np.packbits(imagehash.phash(view, hash_size=_SIDE).hash) for view in views]
    return exact, np.stack(bits).view(np.uint64)


@lru_cache(maxsize=16)
def hash_images(images: ImageSet) -> Hashes:
    """The hashes of all images of a set. Each is decoded once.

    Raises:
        InputError: an image cannot be read.
    """
    pairs = map_in_threads(lambda i: _hash_image(images[i].image), len(images), f"hashes of {images.title}")
    exact, bits = zip(*pairs, strict=True)
    return Hashes(np.array(exact), np.stack(bits, axis=1))


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Differing bits between all hashes of a, uint64 (N, 4), and of b (M, 4): uint16 (N, M)."""
    total = np.zeros((len(a), len(b)), np.uint16)
    for i in range(a.shape[1]):
        total += np.bitwise_count(a[:, None, i] ^ b[None, :, i])
    return total


def leaks(images: ImageSet | Mapping[str, ImageSet], threshold: int = THRESHOLD) -> pd.DataFrame:
    """Every pair of images that are equal, or so similar that at most ``threshold`` of 256 bits differ.

    ``images`` is one set, or several under names that tell them apart, for instance ``{"train": …, "test": …}`` or
    ``{"colondb": …, "cvc300": …}``. Of one set, the split of each image is that of the published lists.

    Returns:
        A row per pair: ``a``, ``b`` (names), ``split_a``, ``split_b`` (name of the set or split), ``kind`` (exact or
        near), ``distance`` (0 to 256) and ``view`` (how b must be turned to match a: "" for not at all); the exact
        ones first, then by distance.
    """
    if not 0 <= threshold <= 256:
        raise InputError(f"the threshold counts differing bits of 256, so it cannot be {threshold}")
    sets = images if isinstance(images, Mapping) else {"": images}
    name = np.array([n for s in sets.values() for n in s.names], object)
    split = np.array([t for key, s in sets.items() for t in ([key] * len(s) if key else list_splits(s))], object)
    hashes = [hash_images(s) for s in sets.values()]
    exact, bits = np.concatenate([h.exact for h in hashes]), np.concatenate([h.bits for h in hashes], axis=1)
    pairs = []
    for start in range(0, len(name), 256):  # in blocks, so that thousands of images need little memory
        block = slice(start, start + 256)
        apart = np.stack([distances(bits[0, block], view[start:]) for view in bits])
        view = apart.argmin(axis=0)
        nearest = np.triu(np.minimum(apart.min(axis=0), 257) + 1, 1)  # 0 is now what need not be compared
        same = np.triu(exact[block, None] == exact[None, start:], 1)
        i, j = np.nonzero(same | ((nearest > 0) & (nearest <= threshold + 1)))
        equal = same[i, j]
        distance = np.where(equal, 0, nearest[i, j].astype(int) - 1)
        pairs.append((i + start, j + start, equal, distance, np.where(equal, 0, view[i, j])))
    i, j, equal, distance, view = (np.concatenate(column) for column in zip(*pairs, strict=True))
    table = pd.DataFrame(
        {
            "a": name[i],
            "b": name[j],
            "split_a": split[i],
            "split_b": split[j],
            "kind": np.where(equal, "exact", "near").astype(object),
            "distance": distance,
            "view": np.array(list(VIEWS), object)[view],
        }
    )
    return table.sort_values(["kind", "distance"], kind="stable", ignore_index=True)


def groups(pairs: pd.DataFrame) -> list[tuple[tuple[str, str], ...]]:
    """Images that are connected by ``pairs``, as tuples of (split, name): the largest group first."""
    left, right = list(zip(pairs.split_a, pairs.a, strict=True)), list(zip(pairs.split_b, pairs.b, strict=True))
    images = list(dict.fromkeys(left + right))
    if not images:
        return []
    index = {image: i for i, image in enumerate(images)}
    rows, columns = [index[image] for image in left], [index[image] for image in right]
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(images), len(images)))
    count, labels = connected_components(graph, directed=False)
    members: list[list[tuple[str, str]]] = [[] for _ in range(count)]
    for image, label in zip(images, labels, strict=True):
        members[label].append(image)
    return sorted((tuple(group) for group in members), key=len, reverse=True)


def summary(images: ImageSet | Mapping[str, ImageSet], threshold: int = THRESHOLD) -> pd.DataFrame:
    """The leak report of a data set: a row within each split and between each two, and of each kind.

    Columns: ``within`` (the split, or two), ``images`` (in both), ``kind`` (exact, or near and exact together),
    ``pairs``, ``groups`` (of connected images), ``repeated`` (images in those groups), ``example``.
    """
    pairs = leaks(images, threshold)
    sets = images if isinstance(images, Mapping) else {"": images}
    split = pd.Series([t for key, s in sets.items() for t in ([key] * len(s) if key else list_splits(s))])
    sizes = split.value_counts(sort=False)
    rows = []
    for i, a in enumerate(sizes.index):
        for b in sizes.index[i:]:
            here = pairs[((pairs.split_a == a) & (pairs.split_b == b)) | ((pairs.split_a == b) & (pairs.split_b == a))]
            for kind in ("exact", "exact or near"):
                part = here[here.kind == "exact"] if kind == "exact" else here
                connected = groups(part)
                rows.append(
                    {
                        "within": a if a == b else f"{a} and {b}",
                        "images": int(sizes[a] if a == b else sizes[a] + sizes[b]),
                        "kind": kind,
                        "pairs": len(part),
                        "groups": len(connected),
                        "repeated": sum(map(len, connected)),
                        "example": " = ".join(name for _, name in connected[0][:3]) if connected else "",
                    }
                )
    return pd.DataFrame(rows)


def effect(scores: pd.DataFrame, pairs: pd.DataFrame, split: str, metric: str = "mDice") -> pd.DataFrame:
    """What repeated images do to the mean score of a test set.

    Args:
        scores: a row per image with its name in ``image``, as in a run's ``scores.csv`` (of one data set).
        pairs: what :func:`leaks` found; ``split`` is the name that the scored images have there.

    Returns:
        A row per way to count: ``counted``, ``images``, ``mean``, and ``change`` against all images.
    """
    here = (pairs.split_a == split) & (pairs.split_b == split)
    value = scores.set_index("image")[metric]
    value.index = value.index.astype(str)
    rows = {"all images": value}
    for kind, part in (("equal", pairs[here & (pairs.kind == "exact")]), ("equal or similar", pairs[here])):
        repeats = {name for group in groups(part) for _, name in group[1:]}
        rows[f"one of each group of {kind} images"] = value[~value.index.isin(repeats)]
    across = pairs[(pairs.split_a == split) != (pairs.split_b == split)]
    leaked = set(across.a.where(across.split_a == split, across.b))
    rows["without images that have a copy elsewhere"] = value[~value.index.isin(leaked)]
    rows["only images that have a copy elsewhere"] = value[value.index.isin(leaked)]
    table = pd.DataFrame([{"counted": k, "images": len(v), "mean": v.mean()} for k, v in rows.items() if len(v)])
    return table.assign(change=table["mean"] - table["mean"][0])


def copied_masks(train: ImageSet, test: ImageSet, threshold: int = THRESHOLD) -> pd.DataFrame:
    """Score a "model" that only remembers: it gives each test image the mask of the most similar training image.

    Where training and test images are near repeats, even that scores well, and so will any network: the score then
    tells of memory. The mask is resized to the test image (nearest) and turned as the view asks.

    Returns:
        A row per test image: ``image``, ``nearest``, ``distance``, ``dice`` (0 to 1, of all classes together; 1 where
        both masks are empty), ``leaked`` (``distance <= threshold``).
    """
    known, asked = hash_images(train).bits, hash_images(test).bits
    apart = np.stack([distances(asked[0], view) for view in known])
    rows = []
    for i, (view, j) in enumerate(zip(*_find_nearest(apart), strict=True)):
        name, _, mask = test[i]
        nearest, _, other = train[int(j)]
        transpose = list(VIEWS.values())[view]
        copy = Image.fromarray(other)
        copy = copy if transpose is None else copy.transpose(transpose)
        guess = np.asarray(copy.resize(mask.shape[::-1], Image.Resampling.NEAREST)) > 0
        total = int(guess.sum()) + int((mask > 0).sum())
        dice = 2 * int((guess & (mask > 0)).sum()) / total if total else 1.0
        rows.append((name, nearest, int(apart[view, i, j]), dice))
    table = pd.DataFrame(rows, columns=["image", "nearest", "distance", "dice"])
    return table.assign(leaked=table.distance <= threshold)


def _find_nearest(apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For distances (views, N, M): the view and the index of the nearest of the M for each of the N."""
    views, _, count = apart.shape
    flat = apart.transpose(1, 0, 2).reshape(-1, views * count).argmin(axis=1)
    return np.unravel_index(flat, (views, count))
