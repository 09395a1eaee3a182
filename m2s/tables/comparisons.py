"""Which differences are larger than chance, and whether a printed ordering holds in our runs."""

from itertools import combinations

import numpy as np
import pandas as pd

from m2s.errors import InputError, unknown
from m2s.studies import published
from m2s.tables.cells import LOWER_IS_BETTER
from m2s.tables.results import Results

ENOUGH = 20
"""Test images below which there is no interval and no verdict: from a handful the bootstrap claims too much."""


def find_gaps(results: Results, row: str, other: str, metric: str = "mDice") -> pd.DataFrame:
    """How far ``row`` is ahead of ``other`` on each data set: the paper's gap, and ours with its paired bootstrap.

    Positive is better, also for errors such as MAE. Scores are averaged over seeds per image first. The columns of
    :func:`bootstrap_pairs`, ``paper``, the printed gap, and ``beside``, the printed data sets that it is of: where the
    table does not print the scored set, the mean over those of the same modality that it does print. A data set
    without scores of both is left out. Ours are fractions.
    """
    scores = (_gather_scores(results, name, metric) for name in (row, other))
    a, b = (table.groupby(["dataset", "image"], sort=False)[[metric]].mean() for table in scores)
    # The folds that both have, and images on which the metric is defined for both.
    common = a.join(b, how="inner", lsuffix="_a", rsuffix="_b").dropna().index
    if common.empty:
        empty = pd.DataFrame(columns=["images", "difference", "low", "high", "share", "paper"], dtype=float)
        return empty.rename_axis("dataset").assign(beside="")
    table = bootstrap_pairs(a.loc[common].reset_index(), b.loc[common].reset_index(), metric)
    printed = _printed(results.study.published, metric)
    table = table.rename(index=results.study.datasets)
    beside = [results.study.beside(dataset) for dataset in table.index]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    differences = [
        [sign * (printed.get((row, d), np.nan) - printed.get((other, d), np.nan)) for d in sets] for sets in beside
    ]
    return table.assign(paper=[np.mean(d or np.nan) for d in differences], beside=[", ".join(sets) for sets in beside])


def find_gaps_by_seed(results: Results, row: str, other: str, metric: str = "mDice") -> dict[int, float]:
    """How far ``row`` is ahead of ``other`` with each seed that both have: the mean over the sets both are scored on.

    Sets that not every seed was scored on are left out. Positive is better, also for errors such as MAE. Of a
    cross-validation the mean is over the images of all folds.
    """
    scores = (_gather_scores(results, name, metric) for name in (row, other))
    a, b = (table.groupby(["seed", "dataset"])[metric].mean().unstack() for table in scores)
    gaps = (a - b).dropna(how="all")  # the seeds that both have
    return gaps.dropna(axis="columns").mean(axis=1).to_dict()


def _gather_scores(results: Results, row: str, metric: str) -> pd.DataFrame:
    """The score of every image with every seed of a row, more being better: seed, dataset, image and the metric."""
    columns, sign = ["seed", "dataset", "image", metric], -1 if metric in LOWER_IS_BETTER else 1
    tables = [done.scores.assign(seed=done.run.recipe.seed) for done in results.finished_of(row)]
    tables = [table[columns] for table in tables if metric in table]
    gathered = pd.concat(tables) if tables else pd.DataFrame(columns=columns)
    return gathered.assign(**{metric: sign * gathered[metric].astype(float)})


def _printed(table: str, metric: str) -> dict[tuple[str, str], float]:
    """The printed values of one metric by row and data set, as fractions."""
    if not table:
        return {}
    cells = published.load_table(table)
    cells = cells[cells["metric"] == metric]
    values = cells["value"].where(cells["unit"] != "%", cells["value"] / 100)
    return dict(zip(zip(cells["row"], cells["dataset"], strict=True), values, strict=True))


def list_differences(results: Results, reference: str, metric: str = "mDice") -> pd.DataFrame:
    """Every other measured row less ``reference`` on every set that both were scored on, as text to look at.

    The difference as in :func:`find_gaps`, by :func:`describe_interval`. Empty where there is none.
    """
    gaps = {row: find_gaps(results, row, reference, metric) for row in results.study.rows}
    texts = {
        row: {g.Index: describe_interval(g.difference, g.low, g.high) for g in gap.itertuples()}
        for row, gap in gaps.items()
        if row != reference and len(gap)
    }
    return pd.DataFrame.from_dict(texts, orient="index").fillna("")


def describe_interval(difference: float, low: float, high: float) -> str:
    """``+0.012 [-0.003, +0.027]``: a difference and its interval of 95 %, or ``+0.012`` where there is no interval."""
    return f"{difference:+.3f}" + ("" if np.isnan(low) else f" [{low:+.3f}, {high:+.3f}]")


def find_ordering(results: Results, metric: str = "mDice") -> pd.DataFrame:
    """Every pair of measured rows that the paper orders, on each data set: does the order hold in our runs?

    Columns: dataset, row (ahead in print), other, ``paper`` (the printed gap, > 0) and ``beside`` (of which sets),
    ``difference``, ``low``, ``high`` (ours and its 95 % interval, as :func:`find_gaps`), images, and ``verdict``:
    "holds" (beyond the chance of the test images), "reversed" (beyond it too), or "undecided" (the interval contains 0,
    or there is none, from fewer than 20 images).
    """
    rows = [row for row, finished in results.finished.items() if finished]
    parts = []
    for row, other in combinations(rows, 2):
        gap = find_gaps(results, row, other, metric).reset_index().assign(row=row, other=other)
        ahead, behind = gap[gap["paper"] > 0], gap[gap["paper"] < 0]  # a printed tie orders nothing
        parts.append(pd.concat([ahead, turn_pairs(behind)]).sort_index())
    columns = ["dataset", "row", "other", "paper", "beside", "difference", "low", "high", "images", "verdict"]
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts, ignore_index=True)
    return table.assign(verdict=judge_intervals(table))[columns]


def judge_intervals(gaps: pd.DataFrame, above: str = "holds", below: str = "reversed") -> np.ndarray:
    """Of each line of :func:`find_gaps` a word: whether its interval lies above 0, below it, or is "undecided"."""
    return np.select([gaps["low"] > 0, gaps["high"] < 0], [above, below], "undecided")


def turn_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """The same pairs of rows, the second of each first."""
    turned = pairs.rename(columns={"row": "other", "other": "row", "low": "high", "high": "low"})
    return turned.assign(**{name: -turned[name] for name in ("paper", "difference", "low", "high")})


def describe_ordering(results: Results, metric: str = "mDice") -> str:
    """In words, by fixed rules, whether the paper's ordering holds in our runs, and with what certainty."""
    study, pairs = results.study, find_ordering(results, metric)
    finished = {row: runs for row, runs in results.finished.items() if runs}
    if pairs.empty:
        what = f"{len(finished)} of {len(study.rows)} rows have been run" if finished else "nothing has been run yet"
        return f"{study.title}, {metric}: {what}, so nothing can be said of the paper's ordering."
    counts = pairs["verdict"].value_counts().reindex(["holds", "reversed", "undecided"], fill_value=0)
    seeds = [len({run.recipe.seed for run, *_ in runs}) for runs in finished.values()]
    answer = {
        (True, False): "The paper's ordering holds as far as our runs decide it",
        (False, True): "The paper's ordering does not hold in our runs, as far as they decide it",
        (True, True): "The paper's ordering holds in part",
        (False, False): "Our runs do not decide the paper's ordering",
    }[counts["holds"] > 0, counts["reversed"] > 0]
    kinds = set(pairs["dataset"].isin(results.made_up))
    images = "made-up images, which say nothing of the paper" if True in kinds else "real images"
    images = "real images, and made-up ones, which say nothing of the paper" if len(kinds) > 1 else images
    few = f" Sets of fewer than {ENOUGH} images decide nothing." if (pairs["images"] < ENOUGH).any() else ""
    once = f"{min(seeds)}" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}"
    count = pairs["dataset"].nunique()
    sets = f"{count} test set{'s' * (count > 1)}"
    if len(others := pairs[pairs["dataset"] != pairs["beside"]]):
        places = others.drop_duplicates("dataset").groupby("beside", sort=False)["dataset"].agg(", ".join)
        places = "; ".join(f"{sets} by the printed differences on {beside}" for beside, sets in places.items())
        sets += f" ({len(others)} on sets that the table does not print: {places})"
    return (
        f"{answer} ({metric}, {images}): of {len(pairs)} printed differences between {len(finished)} rows on {sets}, "
        f"{counts['holds']} have the same sign beyond the chance of the test images, "
        f"{counts['reversed']} the opposite sign beyond it, and {counts['undecided']} are undecided (95 % intervals, "
        f"paired bootstrap). Seeds behind a row: {once}.{few} The intervals leave out what another seed would change."
    )


def bootstrap_pairs(
    a: pd.DataFrame, b: pd.DataFrame, metric: str = "mDice", n: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """How much of the difference of two networks is chance in the choice of the test images.

    The images of each data set are drawn n times with replacement, and the mean of a − b taken over the same images of
    both. This leaves out what training again with another seed would change, and that frames of one video are not
    independent: the true uncertainty is larger.

    ``a`` and ``b`` are scores as :func:`m2s.runs.store.load_scores` gives them. Returns a row per data set: ``images``,
    ``difference`` (mean of a − b), ``low`` and ``high`` (95 % percentile interval), ``share`` (of the draws with a
    above b; draws of a tie count half). The last three are NaN below :data:`ENOUGH` images.
    Raises InputError for an unknown metric, no image, or images that differ.
    """
    for scores in (a, b):
        if metric not in scores:
            raise unknown("metric", metric, scores.columns.drop(["dataset", "image"]))
    pairs = a.merge(b, on=["dataset", "image"], suffixes=("_a", "_b"))
    if not 0 < len(a) == len(b) == len(pairs) or a.duplicated(["dataset", "image"]).any():
        raise InputError("the two runs were not scored on the same images, so they cannot be compared in pairs")
    differences = (pairs[f"{metric}_a"] - pairs[f"{metric}_b"]).groupby(pairs["dataset"], sort=False)
    rows = {}
    for dataset, difference in differences:
        values = difference.to_numpy()
        draws = np.random.default_rng(seed).integers(0, len(values), (n, len(values)))
        means = values[draws].mean(axis=1)
        low, high = np.quantile(means, (0.025, 0.975))
        share = (means > 0).mean() + (means == 0).mean() / 2
        row = {"images": len(values), "difference": values.mean(), "low": low, "high": high, "share": share}
        rows[dataset] = row if len(values) >= ENOUGH else row | dict.fromkeys(("low", "high", "share"), np.nan)
    return pd.DataFrame.from_dict(rows, orient="index").astype({"images": int}).rename_axis("dataset")
