"""What every data-set notebook shows: facts, what was found, sizes, grey values, locations, splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from m2s import data
from m2s.data.imageset import ImageSet
from m2s.data.sets import CATALOGUE
from m2s.errors import InputError, NotFound
from m2s.metrics.overlap import compare_areas

GRID = 48
"""Cells along each side of a location map."""


def find_images(name: str, root: str | Path, split: str = "all", limit: int | None = None) -> ImageSet:
    """The data set ``name`` from ``root`` (a folder, or the sample) where it is there, else made up in its manner.

    A folder that does not exist, and a set that is there but broken, are errors and not replaced.
    """
    try:
        return data.load_images(name, split, root=root, limit=limit)
    except NotFound:
        return data.load_images(name, split, root="phantom", limit=limit)


def list_facts(names: Sequence[str]) -> pd.DataFrame:
    """The catalogue's row for each set: title, modality, classes, published counts, home, licence, citation, note."""
    rows = []
    for entry in map(CATALOGUE.__getitem__, names):
        counts = ", ".join(f"{split} {count}" for split, count in (entry.expected or entry.counts).items())
        row = {"data set": entry.title, "classes": ", ".join(entry.classes)}
        told = {name: getattr(entry, name) for name in ("size", "home", "licence", "citation", "note")}
        rows.append(row | {"images (published)": counts or "not given"} | told)
    return pd.DataFrame(rows, index=pd.Index(names, name="name"))


def list_sets(sets: Sequence[ImageSet]) -> pd.DataFrame:
    """What this notebook really uses: each set, real or made up, images, and where from."""
    rows = [(CATALOGUE[s.name].title, "made up" if s.made_up else "real", len(s), s.source) for s in sets]
    return pd.DataFrame(rows, [s.name for s in sets], ("data set", "images are", "images here", "from"))


@dataclass(frozen=True)
class Survey:
    """What one pass over an image set measures."""

    images: ImageSet
    table: pd.DataFrame
    """A row for each image and class: ``image, width, height, class, share, diameter`` (of a disc with that
    share, at 352 px)``, x, y`` (centre, 0 to 1)``, contrast`` (mean inside − mean of a ring around it, in [−1, 1])
    ``, parts`` (connected pieces)``, set``. A class that is absent has share 0."""
    histograms: np.ndarray
    """(images, classes + 1, 256): how many pixels of each class have each grey value."""
    locations: np.ndarray
    """(classes, GRID, GRID): in what part of the images a place belongs to the class."""

    @cached_property
    def best_threshold(self) -> tuple[float, str]:
        """The best mean Dice of any one brightness threshold for "foreground", and its rule, over images that have one.

        Chosen on the very images that it is scored on: an upper bound for any fixed threshold.
        """
        outside, inside = self.histograms[:, 0], self.histograms[:, 1:].sum(1)
        outside, inside = outside[inside.sum(1) > 0], inside[inside.sum(1) > 0]
        if not len(inside):
            return 0.0, "no foreground"
        best = (0.0, "")
        for rule, step in (("at least", -1), ("at most", 1)):
            true, false = (h[:, ::step].cumsum(1)[:, ::step] for h in (inside, outside))
            dice = (2 * true / (true + false + inside.sum(1, keepdims=True))).mean(0)
            best = max(best, (float(dice.max()), f"grey value {rule} {dice.argmax()}"))
        return best


def measure_images(images: ImageSet) -> Survey:
    """Read each image of a set once and measure it; 2-D sets only."""
    classes = CATALOGUE[images.name].classes
    rows, histograms = [], np.zeros((len(images), len(classes) + 1, 256), np.int64)
    locations = np.zeros((len(classes), GRID, GRID))
    for i, (name, image, mask) in enumerate(images):
        grey = np.asarray(Image.fromarray(image).convert("L"))
        scale = min(1.0, 256 / max(mask.shape))
        shape = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
        small = np.asarray(Image.fromarray(grey).resize(shape, Image.Resampling.BILINEAR)) / 255
        small_mask = np.asarray(Image.fromarray(mask).resize(shape, Image.Resampling.NEAREST))
        for index in range(len(classes) + 1):
            area = mask == index
            histograms[i, index] = np.bincount(grey[area], minlength=256)
            if index:
                row = {"image": name, "width": mask.shape[1], "height": mask.shape[0], "class": classes[index - 1]}
                rows.append(row | {"share": area.mean()} | _describe(small, small_mask == index))
                cells = Image.fromarray(area.astype(np.float32)).resize((GRID, GRID), Image.Resampling.BOX)
                locations[index - 1] += np.asarray(cells) / len(images)
    table = pd.DataFrame(rows)
    table["diameter"] = 2 * np.sqrt(table.share / np.pi) * 352
    table["set"] = images.title
    return Survey(images, table, histograms, locations)


def _describe(grey: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Centre, contrast with a ring a tenth of the object's diameter wide (at least two pixels), and pieces."""
    if not inside.any():
        return {"x": np.nan, "y": np.nan, "contrast": np.nan, "parts": 0}
    width = max(2.0, 0.2 * np.sqrt(inside.sum() / np.pi))
    distance = ndimage.distance_transform_edt(~inside)
    ring = (distance > 1) & (distance <= 1 + width)
    y, x = ndimage.center_of_mass(inside)
    contrast = grey[inside].mean() - grey[ring].mean() if ring.any() else np.nan
    place = {"x": (x + 0.5) / inside.shape[1], "y": (y + 0.5) / inside.shape[0]}
    return place | {"contrast": contrast, "parts": ndimage.label(inside)[1]}


def join_tables(surveys: Sequence[Survey]) -> pd.DataFrame:
    """The tables of several surveys under one another."""
    return pd.concat([s.table for s in surveys], ignore_index=True)


def summarize_surveys(surveys: Sequence[Survey]) -> pd.DataFrame:
    """A row for each set and class: images, how many lack it, quantiles of the share, size, contrast, pieces."""
    groups = join_tables(surveys).groupby(["set", "class"], sort=False)
    return groups.agg(
        images=("share", "size"),
        without=("share", lambda s: int((s == 0).sum())),
        share_5=("share", lambda s: s[s > 0].quantile(0.05)),
        share_median=("share", lambda s: s[s > 0].median()),
        share_95=("share", lambda s: s[s > 0].quantile(0.95)),
        diameter=("diameter", lambda d: d[d > 0].median()),
        contrast=("contrast", "median"),
        brighter=("contrast", lambda c: (c.dropna() > 0).mean()),
        several_parts=("parts", lambda p: (p[p > 0] > 1).mean()),
    )


def try_thresholds(surveys: Sequence[Survey]) -> pd.DataFrame:
    """How far one brightness threshold goes, beside "everything is foreground", whose Dice is 2s/(1+s)."""
    rows = []
    for s in surveys:
        shares = s.histograms[:, 1:].sum((1, 2)) / s.histograms.sum((1, 2))
        shares = shares[shares > 0]
        rows.append((s.images.title, *s.best_threshold, (2 * shares / (1 + shares)).mean()))
    columns = ("set", "best threshold: Dice", "rule", "everything: Dice")
    return pd.DataFrame(rows, columns=columns).set_index("set")


def count_splits(images: ImageSet, root: str | Path) -> pd.DataFrame:
    """Each published split of a set: images in print, and images found here (made-up sets: as many as asked for)."""
    entry, rows = CATALOGUE[images.name], []
    for split in entry.splits[:-1]:
        try:
            here = "made up" if images.made_up else len(data.load_images(images.name, split, root=root))
        except InputError as error:
            here = f"not whole: {error}"
        rows.append((split, entry.counts.get(split, "not given"), here))
    return pd.DataFrame(rows, columns=("split", "published", "here")).set_index("split")


def mean_dice(prediction: np.ndarray, mask: np.ndarray) -> float:
    """The mean Dice over the classes that either map has, in [0, 1]; NaN if both hold only background."""
    classes = [index for index in np.union1d(prediction, mask) if index]
    scores = [compare_areas(prediction == index, mask == index)["Dice"] for index in classes]
    return float(np.mean(scores)) if scores else float("nan")
