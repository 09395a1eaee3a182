"""What the networks of a study draw: predictions beside one another, and where one of them fails. Images by rule."""

from collections.abc import Mapping, Sequence
from textwrap import fill

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
from m2s.studies.run import Run, split_of
from m2s.tables.cells import LOWER_IS_BETTER
from m2s.tables.results import Results


def draw_predictions(
    results: Results,
    rows: Sequence[str],
    images: Mapping[str, Sequence[str]] | None = None,
    metric: str = "mDice",
) -> Figure | None:
    """The image, its mask, and a column per network (the paper's Fig. 6): prediction at 0.5 over the image.

    ``images`` names images by our data set's name. By default they are chosen by rule: of each data set the median
    and the worst by the mean ``metric`` over the rows shown. Of several seeds the first is drawn,
    of folds the one that an image is tested in. A row without a checkpoint here is left out; None where none is left.
    """
    scores = {row: table for row in rows if len(table := _drawable_scores(results, row))}
    if not scores:
        return None
    known = pd.concat([table[metric] for table in scores.values()], axis=1, join="inner").mean(axis=1)
    if images is None:
        chosen = _by_rule(known, metric)
    else:
        chosen = [(dataset, image, "") for dataset, names in images.items() for image in names]
    opened = _OpenSets(results)
    first = next(iter(scores.values()))
    samples = [(where, opened.sample(first, *where[:2])) for where in chosen if where[:2] in known.index]
    samples = [(where, sample) for where, sample in samples if sample is not None]
    if not samples:
        return None
    count, titles = len(scores) + 2, results.study.datasets
    width = count * min(max(figures.TWO_COLUMNS / count, 1.25), 1.6)
    shape = np.mean([sample.mask.shape[0] / sample.mask.shape[1] for _, sample in samples])
    height = (width / count * shape + 0.4) * len(samples) + 0.3
    fig, axes = plt.subplots(len(samples), count, figsize=(width, height), squeeze=False, layout="constrained")
    for line, ((dataset, image, why), sample) in zip(axes, samples, strict=True):
        figures.overlay(line[0], sample.image, title=_title(titles.get(dataset, dataset), image, why))
        figures.overlay(line[1], sample.image, sample.mask, title="mask")
    for column, (row, table) in zip(axes[:, 2:].T, scores.items(), strict=True):
        cells = [table.loc[where[:2]] for where, _ in samples]
        _draw_cells(results, column, cells, [sample for _, sample in samples], metric, [fill(row, 18)] * len(samples))
    return _finish(fig)


def draw_failures(results: Results, row: str, count: int = 8, metric: str = "mDice") -> Figure | None:
    """The ``count`` images on which one row scores worst, of all data sets of the study together, the worst first."""
    scores = _drawable_scores(results, row)
    if scores.empty:
        return None
    worst = scores.sort_values(metric, ascending=metric not in LOWER_IS_BETTER, kind="stable").index[:count]
    opened = _OpenSets(results)
    samples = {where: opened.sample(scores, *where) for where in worst}
    samples = {where: sample for where, sample in samples.items() if sample is not None}
    if not samples:
        return None
    lines, titles = -(-len(samples) // 4), results.study.datasets
    fig, axes = plt.subplots(lines, 4, figsize=(figures.TWO_COLUMNS, 2.3 * lines), squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    headings = [_title(titles.get(dataset, dataset), image) for dataset, image in samples]
    cells = [scores.loc[where] for where in samples]
    _draw_cells(results, list(axes.flat)[: len(samples)], cells, list(samples.values()), metric, headings)
    return _finish(fig)


def _drawable_scores(results: Results, row: str) -> pd.DataFrame:
    """The scores by (dataset, image), with the first run of the row that scored the image and has a checkpoint."""
    tables = []
    for run, _, scores in results.finished_of(row):
        if (run_folder(run, results.folder) / MODEL).is_file():
            tables.append(scores.assign(run=[run] * len(scores)))
    if not tables:
        return pd.DataFrame()
    return pd.concat(tables).drop_duplicates(["dataset", "image"]).set_index(["dataset", "image"])


def _by_rule(score: pd.Series, metric: str) -> list[tuple[str, str, str]]:
    """Of each data set the median and the worst image, with the word that says which."""
    chosen = []
    for dataset, values in score.groupby(level=0, sort=False):
        images = values.droplevel(0).sort_values(ascending=metric not in LOWER_IS_BETTER, kind="stable").index
        picked = {images[(len(images) - 1) // 2]: "median"} | {images[0]: "worst"}
        chosen += [(dataset, image, why) for image, why in picked.items()]
    return chosen


class _OpenSets:
    """The test sets from which one figure takes its images, each listed once."""

    def __init__(self, results: Results):
        self.data = results.data
        self.sets: dict[tuple, ImageSet | None] = {}

    def sample(self, scores: pd.DataFrame, dataset: str, image: str) -> Sample | None:
        """The image from the test set that its run was scored on; None where it is not there."""
        run: Run = scores.loc[(dataset, image), "run"]
        for name, split in (split_of(test_set, "test") for test_set in run.test_sets):
            if name == dataset.partition(":")[0]:  # "goals:RNFL" is one layer of the images of "goals"
                images = self._open(name, split, run.test_limit)
                return images[images.names.index(image)] if images and image in images.names else None
        return None

    def _open(self, *which: object) -> ImageSet | None:
        if which not in self.sets:
            name, split, limit = which
            try:
                self.sets[which] = load_images(name, split, self.data, limit)
            except InputError:
                self.sets[which] = None
        return self.sets[which]


def _draw_cells(
    results: Results,
    axes: Sequence[Axes],
    cells: Sequence[pd.Series],
    samples: Sequence[Sample],
    metric: str,
    titles: Sequence[str],
) -> None:
    """Predict each sample with the run that scored it, and draw it; a network is loaded once for all of its images."""
    from m2s.runs.models import load_model  # here, because tables need no network
    from m2s.runs.predict import predict

    model, size, loaded = None, 0, ""
    for i in sorted(range(len(cells)), key=lambda i: cells[i]["run"].key):
        run = cells[i]["run"]
        if loaded != run.key:
            (model, size), loaded = load_model(run_folder(run, results.folder)), run.key
        prediction = predict(model, samples[i].image, size)
        if prediction.ndim == 3:  # several classes: the border of each
            prediction = prediction.argmax(axis=0)
        title = f"{titles[i]}\n{metric} {cells[i][metric]:.2f}"
        figures.overlay(axes[i], samples[i].image, samples[i].mask, prediction, title=title)


def _finish(fig: Figure) -> Figure:
    for ax in fig.axes:
        ax.title.set_fontsize("x-small")  # names of images are long
    handles, names = max((ax.get_legend_handles_labels() for ax in fig.axes), key=lambda legend: len(legend[1]))
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def _title(dataset: str, image: str, why: str = "") -> str:
    name = fill(image, 26, break_on_hyphens=False)
    return f"{dataset}, {why}\n{name}" if why else f"{dataset}\n{name}"
