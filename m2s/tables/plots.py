"""The pictures of every study: bars, gaps, orderings, accuracy against cost, and one network against another.

Each function returns a Figure, or ``None`` where nothing has been measured yet.
"""

from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator, ScalarFormatter
from matplotlib.transforms import Bbox

from m2s import figures
from m2s.studies.study import GAIN_OVER, Status
from m2s.tables.cells import LOWER_IS_BETTER
from m2s.tables.comparisons import turn_pairs

OURS = figures.PALETTE["blue"]
PAPER = {"marker": "D", "color": "white", "markeredgecolor": "black", "linestyle": "none"}
PAPERS = {False: "the paper's", True: "the paper's, on the real sets"}
"""What legends call the paper's, by whether ours are about made-up images."""
VERDICTS = {"holds": figures.PALETTE["blue"], "reversed": figures.PALETTE["vermilion"], "undecided": "0.6"}


def draw_bars(
    table: pd.DataFrame,
    metrics: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
) -> Figure | None:
    """Ours as bars, with the standard deviation over seeds or folds; the paper's as diamonds, with the spread that it
    prints, if any. A panel for each metric and data set.

    ``table`` is what ``compare`` gives; ``datasets`` are its printed names. By default all metrics, all data sets, and
    the rows that are run here.
    """
    run = (table["status"] != Status.PUBLISHED) & ~table["row"].str.contains(GAIN_OVER)
    rows = list(rows or table.loc[run, "row"].unique())
    metrics = list(metrics or table["metric"].unique())
    columns = list(datasets or table["dataset"].unique())
    cells = table[table["row"].isin(rows) & table["metric"].isin(metrics) & table["dataset"].isin(columns)]
    if cells["ours"].isna().all():
        return None
    pairs = [(metric, dataset) for metric in metrics for dataset in columns]
    wide = len(columns) if len(columns) > 1 else len(metrics)
    high = -(-len(pairs) // wide)
    size = (figures.TWO_COLUMNS, high * (0.17 * len(rows) + 0.75) + 0.35)
    fig, axes = plt.subplots(high, wide, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for ax, (metric, dataset) in zip(axes.flat, pairs, strict=True):
        here = cells[(cells["metric"] == metric) & (cells["dataset"] == dataset)].set_index("row").reindex(rows)
        _draw_bar_panel(ax, here, metric)
        made_up = "made-up " if (here["data"] == "made-up").any() else ""
        ax.set_title(metric if len(columns) == 1 else f"{figures.break_lines(f'{made_up}{dataset}', 16)}\n{metric}")
    axes[0, 0].invert_yaxis()
    if len(columns) == 1:
        fig.suptitle(f"{made_up}{columns[0]}", fontsize="medium")
    legend = {"ours": plt.Rectangle((0, 0), 1, 1, color=OURS)}
    if cells["paper"].notna().any():
        legend[PAPERS[(cells["data"] == "made-up").any()]] = plt.Line2D([], [], markersize=4, **PAPER)
    fig.legend(legend.values(), legend, loc="outside lower center", ncols=2)
    return fig


def _draw_bar_panel(ax: Axes, here: pd.DataFrame, metric: str) -> None:
    """One metric on one data set: ``here`` has a line for each row, in order."""
    y = np.arange(len(here))
    ax.barh(y, here["ours"], 0.7, xerr=here["sd"], color=OURS, error_kw={"elinewidth": 1, "ecolor": "0.2"})
    ax.errorbar(here["paper"], y, xerr=here["paper_spread"], fmt="none", elinewidth=0.8, ecolor="0.5", zorder=2.5)
    ax.plot(here["paper"], y, markersize=4, clip_on=False, zorder=3, **PAPER)
    largest = np.nanmax([*here["ours"] + here["sd"].fillna(0), *here["paper"], 0])
    scale = 100 if (here["unit"] == "%").any() else 1
    bounded = largest <= scale and metric not in LOWER_IS_BETTER
    ax.set(xlim=(0, scale if bounded else max(1.15 * largest, 1e-3)), ylim=(-0.6, len(here) - 0.4))
    ax.set_yticks(y, here.index)
    ax.tick_params(axis="x", labelsize="x-small")
    for lane, (ours, status) in enumerate(zip(here["ours"], here["status"], strict=True)):
        if ours > 0.01 * ax.get_xlim()[1]:
            continue
        if pd.notna(ours):
            text = f"{ours:.3f}"  # measured, and too short to be seen
        else:
            text = status if status == Status.PUBLISHED else "not run" if pd.notna(status) else "not measured"
        left = not here["paper"].iloc[lane] < ax.get_xlim()[1] / 2  # where the diamond is not
        place = {"ha": "left" if left else "right", "va": "center", "transform": ax.get_yaxis_transform()}
        ax.text(0.03 if left else 0.97, lane, text, fontsize="x-small", color="0.4", **place)


def draw_gaps(
    gaps: Mapping[tuple[str, str], pd.DataFrame], metric: str, made_up: Collection[str] = ()
) -> Figure | None:
    """How far one row is ahead of another on each data set, with its interval; the paper's gap as a diamond.

    ``gaps`` holds what ``find_gaps`` gives, under (row, other); ``made_up`` names the sets of made-up images. A panel
    for each pair.
    """
    known = {f"{row} − {other}": gap.assign(color=OURS) for (row, other), gap in gaps.items() if len(gap)}
    if not known:
        return None
    known = {title: gap.rename(index={name: f"made-up {name}" for name in made_up}) for title, gap in known.items()}
    size = (min(figures.TWO_COLUMNS, 3.6 * len(known)), 0.25 * max(map(len, known.values())) + 1.2)
    printed = any(gap["paper"].notna().any() for gap in known.values())
    fig = draw_intervals(known, size, {"ours, 95 % of the draws": OURS}, PAPERS[bool(made_up)] if printed else None)
    for ax in fig.axes:
        ax.set_xlabel(f"gap in {metric}")
    return fig


def draw_ordering(
    ordering: pd.DataFrame, metric: str, row: str | None = None, made_up: Collection[str] = ()
) -> Figure | None:
    """Every pair of measured rows: our difference with its interval, colored by whether the paper's order holds.

    ``ordering`` is what ``find_ordering`` gives. ``row`` keeps the pairs with this row, turned so that
    it comes first. A panel for each data set; positive is better for the first of a pair.
    """
    if row is not None:
        behind = turn_pairs(ordering[ordering["other"] == row])
        ordering = pd.concat([ordering[ordering["row"] == row], behind]).sort_index()
    if ordering.empty:
        return None
    ordering = ordering.assign(
        pair=("" if row else ordering["row"] + " ") + "− " + ordering["other"],
        color=ordering["verdict"].map(VERDICTS),
    )
    panels = {}
    for dataset, pairs in ordering.groupby("dataset", sort=False):
        title = figures.break_lines(f"made-up {dataset}" if dataset in made_up else str(dataset), 16)
        panels[title] = pairs.set_index("pair").reindex(ordering["pair"].unique()).fillna({"color": "white"})
    size = (figures.TWO_COLUMNS, 0.2 * ordering["dataset"].value_counts().max() + 1.2)
    verdicts = {verdict: color for verdict, color in VERDICTS.items() if verdict in set(ordering["verdict"])}
    fig = draw_intervals(panels, size, verdicts, PAPERS[bool(made_up)])
    for ax in fig.axes:
        ax.tick_params(axis="x", labelsize="x-small")
    fig.supxlabel(f"{f'{row} ahead' if row else 'first row ahead'} by, in {metric}", fontsize="small")
    return fig


def draw_intervals(
    panels: Mapping[str, pd.DataFrame], size: tuple[float, float], colors: Mapping[str, str], papers: str | None
) -> Figure:
    """A panel for each title: a line per difference, named by the index, its interval in ``color``, and the paper's.

    ``size`` is that of one row of panels; more than four are drawn in several rows. ``colors`` and ``papers`` are what
    the legend says.
    """
    high = -(-len(panels) // 4)
    wide = -(-len(panels) // high)
    fig, axes = plt.subplots(
        high, wide, figsize=(size[0], high * size[1]), sharey=True, squeeze=False, layout="constrained"
    )
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (title, pairs) in zip(axes.flat, panels.items(), strict=False):
        for lane, pair in enumerate(pairs.itertuples()):
            ends = [[pair.difference - pair.low], [pair.high - pair.difference]]
            ax.errorbar(pair.difference, lane, xerr=ends, fmt="o", color=pair.color, capsize=2)
        ax.plot(pairs["paper"], range(len(pairs)), markersize=4, **PAPER)
        ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        ax.set_yticks(range(len(pairs)), pairs.index)
        ax.set_ylim(-0.5, len(pairs) - 0.5)
        ax.margins(x=0.12)
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.set_title(title)
    axes[0, 0].invert_yaxis()
    handles = {name: plt.Line2D([], [], color=color, marker="o") for name, color in colors.items()}
    if papers:
        handles[papers] = plt.Line2D([], [], markersize=4, **PAPER)
    fig.legend(handles.values(), handles, loc="outside upper center", ncols=len(handles))
    return fig


def draw_accuracy_against_cost(
    table: pd.DataFrame, costs: pd.Series, metric: str, datasets: Sequence[str] | None = None
) -> Figure | None:
    """A point per row: its cost, on a logarithmic axis, and its mean score over the data sets, ours and the paper's.

    Ours is over the data sets on which all rows that were run have a score: over others it would be another quantity.

    ``costs`` has the rows of ``table`` as index and says in its ``name`` what it counts, for instance
    "multiply-adds at 352 px (G)".
    """
    cells = table[table["metric"] == metric]
    cells = cells[cells["dataset"].isin(datasets)] if datasets is not None else cells
    cells = cells[cells["row"].isin(costs.dropna().index)]
    ours, paper = (cells.pivot(index="row", columns="dataset", values=kind) for kind in ("ours", "paper"))
    run = ours.dropna(how="all")
    shared = ours.columns[run.notna().all()]
    if run.empty or shared.empty:
        return None
    means = pd.DataFrame({"ours": ours[shared].mean(axis=1), "paper": paper[shared].mean(axis=1, skipna=False)})
    means = means.loc[cells["row"].unique()]
    x = costs.reindex(means.index)
    fig, ax = plt.subplots(figsize=(figures.TWO_COLUMNS * 0.7, 3), layout="constrained")
    made_up = (cells["data"] == "made-up").any()
    ax.plot(x, means["ours"], "o", color=OURS, label="ours, on made-up images" if made_up else "ours")
    if means["paper"].notna().any():
        ax.plot(x, means["paper"], label=PAPERS[made_up], **PAPER)
    ax.set(xscale="log", xlabel=costs.name, ylabel=f"{metric}, mean of {len(shared)} data set{'s' * (len(shared) > 1)}")
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
    ax.margins(x=0.2, y=0.1)
    left, right = ax.get_xlim()
    ax.set_xlim(min(left, 0.7 * x.min()), max(right, 1.4 * x.max()))  # costs that are nearly one shall look so
    ax.legend()
    points = means.stack().dropna().reset_index()
    _name_points(fig, ax, [(row, x[row], score) for row, _, score in points.itertuples(index=False)])
    return fig


def _name_points(fig: Figure, ax: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """The name of each point (name, x, y) at the first of its corners where it covers no point and no other name."""
    fig.draw_without_rendering()  # before it, constrained axes have no place
    reach = 3 * fig.dpi / 72  # 3 points
    taken = [
        Bbox.from_bounds(u - reach, v - reach, 2 * reach, 2 * reach)
        for u, v in ax.transData.transform([p[1:] for p in points])
    ]
    for name, x, y in points:
        label = ax.annotate(name, (x, y), (0, 0), textcoords="offset points", fontsize="x-small")
        for place, side in (((4, 3), "left"), ((4, -9), "left"), ((-4, 3), "right"), ((-4, -9), "right")):
            label.xyann = place
            label.set(horizontalalignment=side)
            if not label.get_window_extent().count_overlaps(taken):
                break
        taken.append(label.get_window_extent())


def draw_scatter(
    scores_a: pd.DataFrame, scores_b: pd.DataFrame, metric: str, names: tuple[str, str] = ("a", "b")
) -> Figure | None:
    """One network's score against another's, a point per test image, colored by data set.

    Both are as :meth:`m2s.tables.results.Results.scores` gives them; only images in both count. Axes say ``names``.
    """
    if scores_a.empty or scores_b.empty:
        return None
    pairs = scores_a.merge(scores_b, on=["dataset", "image"], suffixes=("_a", "_b")).rename(columns={"dataset": "set"})
    fig, ax = plt.subplots(figsize=(figures.ONE_COLUMN, figures.ONE_COLUMN), layout="constrained")
    x, y = f"{metric}_b", f"{metric}_a"
    sns.scatterplot(pairs, x=x, y=y, hue="set", style="set", s=14, alpha=0.7, ax=ax)
    top = np.nanmax([1 if metric not in LOWER_IS_BETTER else 0, *pairs[x], *pairs[y]])
    ax.plot([0, top], [0, top], color="0.5", linewidth=0.8, zorder=0)
    better = (pairs[y] < pairs[x] if metric in LOWER_IS_BETTER else pairs[y] > pairs[x]).mean()
    ax.set(xlabel=f"{metric} of {names[1]}", ylabel=f"{metric} of {names[0]}", aspect="equal")
    ax.set_title(f"{names[0]} better on {better:.0%} of {len(pairs)} images")
    ax.legend(fontsize="x-small")
    return fig
