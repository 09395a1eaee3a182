"""Tables of :func:`m2s.tables.cells.compare` to look at: Markdown, LaTeX, and the sentences around them."""

import html
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from m2s.paths import describe_data, whole_file
from m2s.studies.study import Status
from m2s.tables.cells import describe_lossnet


def describe_settings(profile: str, data: str, records: Sequence[dict]) -> str:
    """What the measured numbers were measured with: one paragraph for people, from the runs' own records."""
    images = describe_data(data)
    if not records:
        return f"Profile {profile}, {images}: nothing has been run yet."

    def of_all(describe: Callable[[dict], object]) -> str:
        """What holds for all records, or each different value with the networks that it belongs to."""
        networks: dict[str, list[str]] = {}
        for record in records:
            networks.setdefault(str(describe(record)), []).append(record["settings"]["model"])
        if len(networks) == 1:
            return next(iter(networks))
        return ", ".join(f"{value} ({' '.join(dict.fromkeys(names))})" for value, names in networks.items())

    seeds = sorted({str(record["settings"]["recipe"]["seed"]) for record in records})
    text = (
        f"Profile {profile}, {images}. "
        f"Networks: {', '.join(dict.fromkeys(r['settings']['model'] for r in records))}; "
        f"encoder {of_all(lambda r: r['settings']['encoder'])} (weights: {of_all(lambda r: r['weights'])}); "
        f"{of_all(lambda r: r['settings']['recipe']['size'])} px; "
        f"{of_all(lambda r: r['settings']['recipe']['epochs'])} epochs; "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(seeds)}; "
        f"{of_all(lambda r: r['data'][0]['images'])} training images; "
        f"{of_all(lambda r: describe_lossnet(r['settings']))}. "
        f"Machine: {of_all(lambda r: r['machine']['processor'])}, {of_all(lambda r: r['machine']['cores'])} cores, "
        f"GPU {of_all(lambda r: r['machine']['gpu'] or 'none')}; "
        f"torch {of_all(lambda r: r['machine']['versions']['torch'])}."  # no date: equal runs give equal tables
    )
    return html.escape(text, quote=False)  # it is shown as Markdown, and a record may come from anybody


def wide_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table of ``compare``, or a part of it, to look at: rows × (data set, metric), "ours (the paper's)" as text.

    ``0.731 (0.758)``; ``0.731 ± 0.004 (0.758)`` over seeds; ``not run (0.758)``; ``– (0.758)`` where the figure is
    published only; a trailing ``?`` for a published figure in doubt. The name of the first level of the columns says
    what stands in the cells, and a data set is called made-up where ours is.
    """
    shown = table.assign(text=[_text(cell) for cell in table.itertuples()])
    columns = pd.MultiIndex.from_frame(shown[["dataset", "metric"]].drop_duplicates())
    shown = shown.pivot(index="row", columns=["dataset", "metric"], values="text")
    shown = shown.reindex(index=table["row"].unique(), columns=columns).fillna("")
    if made_up := set(table.loc[table["data"] == "made-up", "dataset"]):
        shown = shown.rename(columns={name: f"made-up {name}" for name in made_up}, level=0)
    legend = "ours, on made-up images (the paper's, on the real sets)" if made_up else "ours (the paper's)"
    if made_up and made_up != set(table["dataset"]):
        legend = "ours, on made-up images where it says so (the paper's, on the real sets)"
    if table["paper"].isna().all():
        legend = legend.partition(" (")[0]
    return shown.rename_axis(index=None, columns=[legend, ""])


def list_reasons(table: pd.DataFrame) -> list[str]:
    """One line for each status and reason in a table of ``compare``: how many cells, of which rows and sets."""
    lines = []
    for (status, reason), cells in table.groupby(["status", "reason"], sort=False):
        rows, datasets = (", ".join(cells[column].unique()) for column in ("row", "dataset"))
        lines.append(f"{len(cells)} cells {status} ({rows}; {datasets}): {reason.removeprefix(f'{status}: ')}")
    return lines


def write_table(table: pd.DataFrame, folder: Path, name: str, title: str, footer: str) -> list[Path]:
    """Write a table of ``compare``: ``name.csv`` in long form, ``name.md`` and ``name.tex`` to look at.

    The last two hold a small table per data set and ``footer``, the settings; the Markdown all reasons.
    """
    shown = wide_table(table)
    legend = f"Each cell: {shown.columns.names[0]}. –: published only. ?: a doubt about the printed figure."
    markdown, latex = [f"# {title}", legend], [f"% {line}" for line in (title, legend, footer)]
    for dataset in shown.columns.unique(level=0):
        block = shown[dataset].rename_axis(columns=None)
        lines = [["", *block.columns], ["---"] * (1 + block.shape[1]), *block.reset_index().to_numpy().tolist()]
        markdown += [f"## {dataset}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
        latex.append(block.style.to_latex(hrules=True, caption=dataset))
    markdown += ["## How the cells came to be", "\n".join(f"- {line}" for line in list_reasons(table)), footer]
    texts = {"csv": table.to_csv(index=False), "md": "\n\n".join(markdown) + "\n", "tex": "\n".join(latex)}
    return [write_text(folder / f"{name}.{suffix}", text) for suffix, text in texts.items()]


def write_text(path: Path, text: str) -> Path:
    """Write a text file, never half of it."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _text(cell) -> str:
    digits = 2 if cell.unit == "%" else 3
    paper = "" if np.isnan(cell.paper) else f" ({cell.paper:.{digits}f}{'?' if cell.doubt else ''})"
    spread = "" if np.isnan(cell.sd) else f" ± {cell.sd:.{digits}f}"
    ours = {Status.MEASURED: f"{cell.ours:.{digits}f}{spread}", Status.PUBLISHED: "–", Status.NOT_RUN: "not run"}
    return ours[cell.status] + paper
