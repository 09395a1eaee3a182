"""What the networks of a study draw: predictions beside one another, and where one of them fails. Images by rule."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from m2s import figures
from m2s.data.imageset import ImageSet, Sample
from m2s.data.load import load_images
from m2s.errors import InputError
from m2s.runs.store import MODEL, run_folder
from m2s.studies.run import split_of
from m2s.tables.cells import LOWER_IS_BETTER
from m2s.tables.results import Results


def draw_predictions(
    results: Results,
    rows: Sequence[str],
    images: Mapping[str, Sequence[str]] | None = None,
    metric: str = "mDice",
    titles: Mapping[str, str] | None = None,
) -> Figure | None:
    """The image, its mask, and a column per network (the paper's Fig. 6): prediction at 0.5 over the image.

    ``images`` names images by our data set's name. By default they are chosen by rule: of each data set the median
    and the worst by the mean ``metric`` over the rows shown. Of several seeds the first is drawn,
    of folds the one that an image is tested in. A row without a checkpoint here is left out; None where none is left.
    ``titles`` gives a row another title than its name in the table.
    """
    scores = {row: table for row in rows if len(table := _drawable_scores(results, row))}
    if not scores:
        return None
    known = pd.concat([table[metric] for table in scores.values()], axis=1, join="inner").mean(axis=1)
    if images is None:
        chosen = _by_rule(known, metric)
    else:
        chosen = {(dataset, image): "" for dataset, names in images.items() for image in names}
    samples = _open_samples(results, next(iter(scores.values())), [where for where in chosen if where in known.index])
    if not samples:
        return None
    count = len(scores) + 2
    width = count * min(max(figures.TWO_COLUMNS / count, 1.25), 1.6)
    shape = np.mean([sample.mask.shape[0] / sample.mask.shape[1] for sample in samples.values()])
    height = (width / count * shape + 0.4) * len(samples) + 0.3
    fig, axes = plt.subplots(len(samples), count, figsize=(width, height), squeeze=False, layout="constrained")
    for line, (where, sample) in zip(axes, samples.items(), strict=True):
        figures.overlay(line[0], sample.image, title=_title(results, *where, chosen[where]))
        figures.overlay(line[1], sample.image, sample.mask, title="mask")
    for column, (row, table) in zip(axes[:, 2:].T, scores.items(), strict=True):
        title = figures.break_lines((titles or {}).get(row, row), 18)
        _draw_cells(results, column, table, samples, metric, [title] * len(samples))
    return _finish(fig)


def draw_failures(results: Results, row: str, count: int = 8, metric: str = "mDice") -> Figure | None:
    """The ``count`` images on which one row scores worst, of all data sets of the study together, the worst first."""
    scores = _drawable_scores(results, row)
    if scores.empty:
        return None
    worst = scores.sort_values(metric, ascending=metric not in LOWER_IS_BETTER, kind="stable").index[:count]
    samples = _open_samples(results, scores, worst)
    if not samples:
        return None
    lines = -(-len(samples) // 4)
    fig, axes = plt.subplots(lines, 4, figsize=(figures.TWO_COLUMNS, 2.3 * lines), squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    headings = [_title(results, *where) for where in samples]
    _draw_cells(results, axes.flat[: len(samples)], scores, samples, metric, headings)
    return _finish(fig)


def _drawable_scores(results: Results, row: str) -> pd.DataFrame:
    """The scores by (dataset, image), with the first run of the row that scored the image and has a checkpoint."""
    drawable = [done for done in results.finished_of(row) if (run_folder(done.run, results.folder) / MODEL).is_file()]
    tables = [scores.assign(run=[run] * len(scores)) for run, _, scores in drawable]
    if not tables:
        return pd.DataFrame()
    return pd.concat(tables).drop_duplicates(["dataset", "image"]).set_index(["dataset", "image"])


def _by_rule(score: pd.Series, metric: str) -> dict[tuple[str, str], str]:
    """Of each data set the median and the worst image, with the word that says which."""
    chosen = {}
    for dataset, values in score.groupby(level=0, sort=False):
        images = values.droplevel(0).sort_values(ascending=metric not in LOWER_IS_BETTER, kind="stable").index
        chosen |= {(dataset, images[(len(images) - 1) // 2]): "median"} | {(dataset, images[0]): "worst"}
    return chosen


Samples = dict[tuple[str, str], Sample]
"""By our data set's name and the image's."""


def _open_samples(results: Results, scores: pd.DataFrame, chosen: Iterable[tuple[str, str]]) -> Samples:
    """The chosen images that are there, from the test sets that their runs were scored on; each set is listed once."""

    @cache
    def open_set(name: str, split: str, limit: int | None) -> ImageSet | None:
        try:
            return load_images(name, split, results.data, limit)
        except InputError:
            return None

    samples = {}
    for dataset, image in chosen:
        run, name = scores.loc[(dataset, image), "run"], dataset.partition(":")[0]  # "goals:RNFL" is a layer of "goals"
        splits = dict(split_of(test_set, "test") for test_set in run.test_sets)
        images = open_set(name, splits[name], run.test_limit) if name in splits else None
        if images and image in images.names:
            samples[dataset, image] = images[images.names.index(image)]
    return samples


def _draw_cells(
    results: Results, axes: Sequence[Axes], scores: pd.DataFrame, samples: Samples, metric: str, titles: Sequence[str]
) -> None:
    """Predict each sample with the run that scored it, and draw it; a network is loaded once for all of its images."""
    from m2s.runs.models import load_model  # here, because tables need no network
    from m2s.runs.predict import predict

    model, size, loaded = None, 0, ""
    cells = [(scores.loc[where], sample) for where, sample in samples.items()]
    for ax, (cell, sample), title in sorted(zip(axes, cells, titles, strict=True), key=lambda c: c[1][0]["run"].key):
        run = cell["run"]
        if loaded != run.key:
            (model, size), loaded = load_model(run_folder(run, results.folder)), run.key
        prediction = predict(model, sample.image, size)
        if prediction.ndim == 3:  # several classes: the border of each
            prediction = prediction.argmax(axis=0)
        figures.overlay(ax, sample.image, sample.mask, prediction, title=f"{title}\n{metric} {cell[metric]:.2f}")


def _finish(fig: Figure) -> Figure:
    for ax in fig.axes:
        ax.title.set_fontsize("x-small")  # names of images are long
    handles, names = max((ax.get_legend_handles_labels() for ax in fig.axes), key=lambda legend: len(legend[1]))
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def _title(results: Results, dataset: str, image: str, why: str = "") -> str:
    heading = results.study.datasets.get(dataset, dataset) + (f", {why}" if why else "")
    return f"{heading}\n{figures.break_lines(image, 26)}"
