"""How an ablation is read: measured rows against one of them, and a small experiment repeated over seeds."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib.figure import Figure
from scipy import stats

from m2s import figures
from m2s.studies.study import GAIN_OVER, Status
from m2s.tables.comparisons import find_gaps, judge_intervals
from m2s.tables.plots import draw_intervals
from m2s.tables.results import Results
from m2s.tables.text import list_reasons, wide_table

if TYPE_CHECKING:
    from m2s.tables.book import Book

VERDICTS = {"ahead": figures.PALETTE["blue"], "behind": figures.PALETTE["vermilion"], "undecided": "0.6"}
FAR = 0.3
"""A larger difference of scores (0 to 1) is written, not drawn: it would hide all others."""


def find_steps(results: Results, reference: str, metric: str = "mDice") -> pd.DataFrame:
    """Every measured row less ``reference``: the columns of :func:`find_gaps`, with row, dataset and ``verdict``.

    A verdict is "ahead" or "behind" where the 95 % interval excludes 0, else "undecided", as where there is none.
    """
    gaps = [
        find_gaps(results, row, reference, metric).reset_index().assign(row=row)
        for row in results.study.rows
        if row != reference
    ]
    steps = pd.concat(gaps, ignore_index=True)
    return steps.assign(verdict=judge_intervals(steps, "ahead", "behind"))


def read_ablation(
    book: "Book", reference: str, names: Mapping[str, str] | None = None, metric: str = "mDice", name: str | None = None
) -> None:
    """Show an ablation in four steps: scores, differences from ``reference``, their count, and how they were measured.

    Data sets and rows without a measurement are left out of the table and the picture, and named below with the reason.

    Args:
        reference: the row that the others are compared with.
        names: row → a shorter name.
        metric: of the table and the picture.
        name: of the picture's file; by default that of the study's notebook and ``_steps``.
    """
    images = "made-up images" if all(book.kinds) else "real images"
    names = {row: (names or {}).get(row, row) for row in book.study.rows}
    table = book.table()
    if book.out is None:
        book.write(table, name)
    scored = table[~table["row"].str.contains(GAIN_OVER)]
    cells = scored[(scored["metric"] == metric) & (scored["status"] == Status.MEASURED)]
    if cells.empty:
        reasons = "\n".join(f"- {line}" for line in list_reasons(table.replace({"row": names})))
        none = f"**No row of this table has been run on {images} yet, so nothing is shown as ours.**"
        display(Markdown(f"{none}\n\n<details><summary>Why not</summary>\n\n{reasons}\n\n</details>"))
        return
    shown = wide_table(cells).rename(index=names).droplevel(1, axis=1)
    steps = find_steps(book, reference, metric).replace({"row": names})
    counts = steps.groupby("row")["verdict"].value_counts().unstack(fill_value=0).reindex(columns=list(VERDICTS))
    counts = counts.fillna(0).astype(int)
    shown[f"against {names[reference]}"] = [
        ", ".join(f"{verdict} on {n}" for verdict, n in counts.loc[row].items() if n) if row in counts.index else "–"
        for row in shown.index
    ]
    shown["seeds"] = cells.groupby("row", sort=False)["seeds"].max().rename(names).reindex(shown.index)
    display(Markdown(f"**{metric} on {images}**, {shown.columns.name}:"))
    display(shown.rename_axis(columns=None))
    ours = scored.loc[scored["status"] != Status.PUBLISHED, "row"].unique()
    if absent := [names[row] for row in ours if row not in set(cells["row"])]:
        display(Markdown(f"Not run yet, and so not shown: {', '.join(absent)}."))
    book.show(draw_steps(steps, f"{metric} less that of '{names[reference]}'"), f"{name or book.study.notebook}_steps")
    book.explain(table.replace({"row": names}))


def draw_steps(steps: pd.DataFrame, label: str) -> Figure | None:
    """What :func:`find_steps` gives: a panel for each data set, the 95 % intervals colored by their verdict.

    Differences above :data:`FAR` are written at the edge, unless all are.
    """
    if steps.empty:
        return None
    steps = steps.assign(color=steps["verdict"].map(VERDICTS)).set_index("row")
    rows, far = steps.index.unique(), steps["difference"].abs() > FAR
    far &= not far.all()
    near = steps.assign(difference=steps["difference"].mask(far))
    panels = {
        str(dataset): here.reindex(rows).fillna({"color": "white"})
        for dataset, here in near.groupby("dataset", sort=False)
    }
    size = (figures.TWO_COLUMNS, 0.22 * len(rows) + 1.2)
    papers = "the paper's" if steps["paper"].notna().any() else None
    fig = draw_intervals(panels, size, {v: c for v, c in VERDICTS.items() if v in set(steps["verdict"])}, papers)
    for ax in fig.axes:
        ax.tick_params(axis="x", labelsize="x-small")
    for ax, dataset in zip(fig.axes, panels, strict=False):
        for step in steps[far & (steps["dataset"] == dataset)].itertuples():
            text = f"← −{-step.difference:.2f}" if step.difference < 0 else f"{step.difference:.2f} →"
            left = not step.paper < np.mean(ax.get_xlim())  # where the diamond is not
            style = {"ha": "left" if left else "right", "va": "center", "fontsize": "x-small", "color": step.color}
            place = 0.03 if left else 0.97
            ax.text(place, rows.get_loc(step.Index), text, transform=ax.get_yaxis_transform(), **style)
    fig.supxlabel(label, fontsize="small")
    return fig


def repeat_experiment(experiment: Callable[[int], Mapping[str, float]], seeds: int = 8) -> pd.DataFrame:
    """A line per seed from 0 on, a column per variant: what ``experiment(seed)`` measures."""
    return pd.DataFrame([experiment(seed) for seed in range(seeds)]).rename_axis("seed")


def compare_variants(scores: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Each variant of :func:`repeat_experiment` beside ``reference``, seed by seed.

    Columns: ``mean`` and ``sd`` over seeds; ``difference`` from the reference, ``low`` and ``high``, its 95 % interval
    by Student's t over the seeds; ``ahead``, in how many seeds the variant is above the reference.
    """
    steps = scores.sub(scores[reference], axis=0).drop(columns=reference)
    half = stats.t.ppf(0.975, len(scores) - 1) * steps.std() / np.sqrt(len(scores))
    table = pd.DataFrame({"mean": scores.mean(), "sd": scores.std()})
    steps = pd.DataFrame({
        "difference": steps.mean(), "low": steps.mean() - half, "high": steps.mean() + half, "ahead": (steps > 0).sum()
    })  # fmt: skip
    return table.join(steps)


def show_experiment(
    book: "Book", scores: pd.DataFrame, reference: str, label: str, name: str, made_up: bool = True
) -> None:
    """Show what :func:`repeat_experiment` measured: a point per seed, and the differences from ``reference``.

    Args:
        label: what the scores are, for the axis.
        name: of the picture's file.
        made_up: whether the experiment is about made-up numbers or images.
    """
    compared, y = compare_variants(scores, reference), np.arange(scores.shape[1])
    fig, ax = plt.subplots(figsize=(figures.TWO_COLUMNS * 0.75, 0.3 * len(y) + 0.9), layout="constrained")
    for values in scores.to_numpy():  # the points of one seed are joined: what counts is the step within a seed
        ax.plot(values, y, color="0.8", linewidth=0.8, zorder=1)
        ax.plot(values, y, "o", color=figures.PALETTE["blue"], markersize=4, alpha=0.5, markeredgewidth=0)
    ax.plot(scores.mean(), y, "|", color="black", markersize=16, markeredgewidth=2)
    ax.set(xlabel=f"{label}; a point is a seed, a bar the mean of {len(scores)}", yticks=y, yticklabels=scores.columns)
    ax.set_ylim(len(y) - 0.5, -0.5)
    book.show(fig, name, made_up=made_up)
    columns = ["mean ± sd", f"less {reference}, 95 % interval", "ahead in"]
    lines = {}
    for variant, (mean, sd, difference, low, high, ahead) in compared.iterrows():
        step = [f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]", f"{ahead:.0f} of {len(scores)} seeds"]
        lines[variant] = [f"{mean:.3f} ± {sd:.3f}", *(step if variant != reference else ["–", "–"])]
    display(pd.DataFrame.from_dict(lines, orient="index", columns=columns))
