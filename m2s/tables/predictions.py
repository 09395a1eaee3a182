"""What the networks of a study draw: predictions beside one another, and where one of them fails. Images by rule."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from m2s import data as datasets
from m2s import figures
from m2s.data import imageset
from m2s.errors import InputError
from m2s.paths import results_dir
from m2s.runs.models import load_model
from m2s.runs.predict import predict
from m2s.runs.store import MODEL, RECORD, load_scores, run_folder
from m2s.studies import STUDIES
from m2s.tables.cells import LOWER_IS_BETTER

_load_model = lru_cache(maxsize=1)(load_model)  # the columns of a picture are drawn one network after another
_load_images = lru_cache(maxsize=32)(datasets.load_images)


def qualitative(
    study: str,
    rows: Sequence[str],
    profile: str,
    data: str | Path,
    images: Mapping[str, Sequence[str]] | None = None,
    metric: str = "mDice",
    results: Path | None = None,
) -> Figure | None:
    """The image, its mask, and a column per network (the paper's Fig. 6): prediction at 0.5 over the image.

    ``images`` names images by our data set's name. By default they are chosen by rule: of each data set the median
    and the worst by the mean ``metric`` over the rows shown. Of several seeds the first is drawn,
    of folds the one that an image is tested in. A row without a checkpoint here is left out; None where none is left.
    """
    folder = Path(results or results_dir(profile, data))
    found = {row: _drawable(study, row, profile, data, folder) for row in rows}
    found = {row: table for row, table in found.items() if len(table)}
    if not found:
        return None
    known = pd.concat([table[metric] for table in found.values()], axis=1, join="inner").mean(axis=1)
    if images is None:
        chosen = _by_rule(known, metric)
    else:
        chosen = [(dataset, image, "") for dataset, names in images.items() for image in names]
    first = next(iter(found.values()))
    samples = [(where, _sample(first, *where[:2], data)) for where in chosen if where[:2] in known.index]
    samples = [(where, sample) for where, sample in samples if sample is not None]
    if not samples:
        return None
    count, titles = len(found) + 2, STUDIES[study].datasets
    width = count * min(max(figures.TWO_COLUMNS / count, 1.25), 1.6)
    shape = np.mean([sample.mask.shape[0] / sample.mask.shape[1] for _, sample in samples])
    height = (width / count * shape + 0.4) * len(samples) + 0.3
    fig, axes = plt.subplots(len(samples), count, figsize=(width, height), squeeze=False, layout="constrained")
    for line, ((dataset, image, why), sample) in zip(axes, samples, strict=True):
        figures.overlay(line[0], sample.image, title=_title(titles.get(dataset, dataset), image, why))
        figures.overlay(line[1], sample.image, sample.mask, title="mask")
    for column, (row, table) in enumerate(found.items(), 2):
        for ax, ((dataset, image, _), sample) in zip(axes[:, column], samples, strict=True):
            _draw(ax, sample, table.loc[(dataset, image)], folder, metric, fill(row, 18))
    return _finish(fig)


def failures(
    study: str,
    row: str,
    profile: str,
    data: str | Path,
    count: int = 8,
    metric: str = "mDice",
    results: Path | None = None,
) -> Figure | None:
    """The ``count`` images on which one row scores worst, of all data sets of the study together, the worst first."""
    folder = Path(results or results_dir(profile, data))
    found = _drawable(study, row, profile, data, folder)
    if found.empty:
        return None
    worst = found.sort_values(metric, ascending=metric not in LOWER_IS_BETTER, kind="stable").index[:count]
    samples = {where: _sample(found, *where, data) for where in worst}
    samples = {where: sample for where, sample in samples.items() if sample is not None}
    if not samples:
        return None
    lines, titles = -(-len(samples) // 4), STUDIES[study].datasets
    fig, axes = plt.subplots(lines, 4, figsize=(figures.TWO_COLUMNS, 2.3 * lines), squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, ((dataset, image), sample) in zip(axes.flat, samples.items(), strict=False):
        _draw(ax, sample, found.loc[(dataset, image)], folder, metric, _title(titles.get(dataset, dataset), image))
    return _finish(fig)


def _drawable(study: str, row: str, profile: str, data: str | Path, folder: Path) -> pd.DataFrame:
    """The scores by (dataset, image), with the first run of the row that scored the image and has a checkpoint."""
    tables = []
    for run in STUDIES[study].runs(row, profile, str(data)):
        place = run_folder(run, folder)
        if (place / RECORD).is_file() and (place / MODEL).is_file():
            table = load_scores(run, folder)
            tables.append(table.assign(run=[run] * len(table)))
    if not tables:
        return pd.DataFrame()
    table = pd.concat(tables).drop_duplicates(["dataset", "image"])
    return table[table["dataset"].isin(STUDIES[study].datasets)].set_index(["dataset", "image"])


def _by_rule(score: pd.Series, metric: str) -> list[tuple[str, str, str]]:
    """Of each data set the median and the worst image, with the word that says which."""
    chosen = []
    for dataset, values in score.groupby(level=0, sort=False):
        images = values.droplevel(0).sort_values(ascending=metric not in LOWER_IS_BETTER, kind="stable").index
        picked = {images[(len(images) - 1) // 2]: "median"} | {images[0]: "worst"}
        chosen += [(dataset, image, why) for image, why in picked.items()]
    return chosen


def _sample(found: pd.DataFrame, dataset: str, image: str, data: str | Path) -> imageset.Sample | None:
    """The image from the test set that its run was scored on; None where it is not there."""
    run = found.loc[(dataset, image), "run"]
    for name, _, split in (entry.partition("/") for entry in run.test_sets):
        if name == dataset.partition(":")[0]:  # "goals:RNFL" is one layer of the images of "goals"
            try:
                images = _load_images(name, split or "test", str(data), run.test_limit)
            except InputError:
                return None
            return images[images.names.index(image)] if image in images.names else None
    return None


def _draw(ax: Axes, sample: imageset.Sample, cell: pd.Series, folder: Path, metric: str, title: str) -> None:
    model, size = _load_model(run_folder(cell["run"], folder))
    prediction = predict(model, sample.image, size)
    if prediction.ndim == 3:  # several classes: the border of each
        prediction = prediction.argmax(axis=0)
    figures.overlay(ax, sample.image, sample.mask, prediction, title=f"{title}\n{metric} {cell[metric]:.2f}")


def _finish(fig: Figure) -> Figure:
    for ax in fig.axes:
        ax.title.set_fontsize("x-small")  # names of images are long
    handles, names = max((ax.get_legend_handles_labels() for ax in fig.axes), key=lambda found: len(found[1]))
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def _title(dataset: str, image: str, why: str = "") -> str:
    name = fill(image, 26, break_on_hyphens=False)
    return f"{dataset}, {why}\n{name}" if why else f"{dataset}\n{name}"
