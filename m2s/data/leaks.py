"""Images that occur more than once, within a split, across splits and across data sets, and what they do to a score.

Exact repeats have the same decoded pixels. Near repeats (another frame of the same view, another compression, a
mirrored copy) are close in a perceptual hash: imagehash's DCT hash of 256 bits, compared by the number of bits that
differ, in four views (as it is, mirrored, upside down, turned by 180°).
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations_with_replacement

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.cluster.hierarchy import DisjointSet

from m2s.data.imageset import ImageSet
from m2s.data.sets import CATALOGUE
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
def hash_images(images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Of all images of a set the SHA-256 of their pixels (images,), and hash bits, uint64 (views, images, 4)."""
    pairs = map_in_threads(lambda i: _hash_image(images[i].image), len(images), f"hashes of {images.title}")
    exact, bits = zip(*pairs, strict=True)
    return np.array(exact), np.stack(bits, axis=1)


def _list_splits(images: ImageSet | Mapping[str, ImageSet]) -> list[str]:
    """The set or split of each image: the name of its set, or of one whole set the published lists that hold it."""
    if isinstance(images, Mapping):
        return [name for name, image_set in images.items() for _ in image_set.items]
    if images.split != "all" or images.made_up or images.name not in CATALOGUE:
        return [images.split] * len(images)
    lists = {split: set(names) for split, names in CATALOGUE[images.name].names.items() if split != "all"}
    return [";".join(split for split, names in lists.items() if name in names) for name in images.names]


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
    sets = list(images.values()) if isinstance(images, Mapping) else [images]
    name = np.array([name for image_set in sets for name in image_set.names], object)
    split = np.array(_list_splits(images), object)
    hashes, bits = zip(*map(hash_images, sets), strict=True)
    exact, bits = np.concatenate(hashes), np.concatenate(bits, axis=1)
    found = []
    for start in range(0, len(name), 256):  # in blocks, so that thousands of images need little memory
        apart = np.stack([distances(bits[0, start : start + 256], view[start:]) for view in bits])
        i, j = np.nonzero(apart.min(axis=0) <= threshold)
        i, j = i[i < j], j[i < j]  # each pair once, and none of an image with itself
        view = apart[:, i, j].argmin(axis=0)
        found.append((i + start, j + start, apart[view, i, j].astype(int), view))
    i, j, distance, view = (np.concatenate(column) for column in zip(*found, strict=True))
    table = pd.DataFrame({"a": name[i], "b": name[j], "split_a": split[i], "split_b": split[j]}).assign(
        kind=np.where(exact[i] == exact[j], "exact", "near").astype(object),
        distance=distance,
        view=np.array(list(VIEWS), object)[view],
    )
    return table.sort_values(["kind", "distance"], kind="stable", ignore_index=True)


def groups(pairs: pd.DataFrame) -> list[tuple[tuple[str, str], ...]]:
    """Images that are connected by ``pairs``, as tuples of (split, name): the largest group first."""
    left, right = (list(zip(pairs[f"split_{k}"], pairs[k], strict=True)) for k in "ab")
    linked = DisjointSet(left + right)
    for pair in zip(left, right, strict=True):
        linked.merge(*pair)
    members: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for image in linked:
        members.setdefault(linked[image], []).append(image)
    return sorted(map(tuple, members.values()), key=len, reverse=True)


def summary(images: ImageSet | Mapping[str, ImageSet], threshold: int = THRESHOLD) -> pd.DataFrame:
    """The leak report of a data set: a row within each split and between each two, and of each kind.

    Columns: ``within`` (the split, or two), ``images`` (in both), ``kind`` (exact, or near and exact together),
    ``pairs``, ``groups`` (of connected images), ``repeated`` (images in those groups), ``example``.
    """
    pairs = leaks(images, threshold)
    sizes = Counter(_list_splits(images))
    rows = []
    for a, b in combinations_with_replacement(sizes, 2):
        here = pairs[((pairs.split_a == a) & (pairs.split_b == b)) | ((pairs.split_a == b) & (pairs.split_b == a))]
        for kind, part in (("exact", here[here.kind == "exact"]), ("exact or near", here)):
            connected = groups(part)
            example = " = ".join(name for _, name in connected[0][:3]) if connected else ""
            repeated = sum(map(len, connected))
            within, count = (a, sizes[a]) if a == b else (f"{a} and {b}", sizes[a] + sizes[b])
            rows.append((within, count, kind, len(part), len(connected), repeated, example))
    return pd.DataFrame(rows, columns=["within", "images", "kind", "pairs", "groups", "repeated", "example"])


def effect(scores: pd.DataFrame, pairs: pd.DataFrame, split: str, metric: str = "mDice") -> pd.DataFrame:
    """What repeated images do to the mean score of a test set.

    ``scores`` has a row per image, with its name in ``image``, as in a run's ``scores.csv`` (of one data set).
    ``pairs`` is what :func:`leaks` found, and ``split`` the name that the scored images have there.

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
    (_, known), (_, asked) = hash_images(train), hash_images(test)
    apart = np.stack([distances(asked[0], view) for view in known], axis=1)  # (test images, views, training images)
    transposes = list(VIEWS.values())
    rows = []
    for (name, _, mask), away in zip(test, apart, strict=True):
        view, j = np.unravel_index(away.argmin(), away.shape)
        nearest, _, other = train[int(j)]
        copy = Image.fromarray(other)
        copy = copy if transposes[view] is None else copy.transpose(transposes[view])
        guess, truth = np.asarray(copy.resize(mask.shape[::-1], Image.Resampling.NEAREST)) > 0, mask > 0
        total = int(guess.sum() + truth.sum())
        rows.append((name, nearest, int(away[view, j]), 2 * int((guess & truth).sum()) / total if total else 1.0))
    table = pd.DataFrame(rows, columns=["image", "nearest", "distance", "dice"])
    return table.assign(leaked=table.distance <= threshold)
