"""Our results beside the papers': every cell says how it came to be, and ours come from score files alone."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from m2s import published, runs
from m2s.data import CATALOGUE
from m2s.errors import InputError, unknown
from m2s.paths import data_label, results_dir, whole_file
from m2s.runs import Run
from m2s.studies import STUDIES, Study, study_runs

MEASURED, PUBLISHED, NOT_RUN = "measured", "published only", "not run"
"""How a cell came to be. ``reason`` says why, or, for a measured one, what differs from the profile ``paper``."""

REPRINTS = {
    f"m2snet_v1_table{first:02d}": f"m2snet_revised_table{revised:02d}"
    for first, revised in (*((n, n) for n in range(1, 7)), (7, 10), (8, 14))
}
"""Tables of M2SNet's first version that the revised version prints again (a few digits differ)."""

KEYS = ["row", "dataset", "metric"]
OURS = ["ours", "sd", "seeds", "seed_list", "images", "data", "status", "reason", "runs"]
LOWER_IS_BETTER = ("MAE",)

Finished = tuple[Run, dict, pd.DataFrame]
"""A run with its record and its scores."""


def compare(study: str, profile: str, data: str | Path, results: Path | None = None) -> pd.DataFrame:
    """A study's table in long form: one line for each row, data set and metric, in the order of print.

    Columns: row, dataset, metric as printed; ``paper``, ``paper_spread``, ``unit``, ``doubt`` as published; ``ours``,
    the mean over images and then over seeds, in the paper's unit; ``sd``, the standard deviation over seeds (NaN for a
    single one); ``seeds`` (how many), ``seed_list``, ``images`` (test images); ``data``, whose images ours are about,
    "real" or "made-up"; ``status`` and ``reason``; ``runs``, the keys of the runs behind the cell. ``ours`` is NaN
    unless ``status`` is "measured". ``results`` is the folder of one profile, by default :func:`m2s.results_dir`.

    Raises InputError for an unknown study or profile, and for a score file that does not agree with its record.
    """
    rows, folder = _runs_by_row(study, profile, data), Path(results or results_dir(profile, data))
    chosen = STUDIES[study]
    here = {theirs: ours for ours, theirs in chosen.datasets.items()}
    finished = {row: _finished(wanted, folder) for row, wanted in rows.items()}
    printed = published.load(chosen.published)
    covered = printed["row"].isin(rows) & printed["dataset"].isin(here) & printed["metric"].isin(chosen.metrics)
    printed = printed.loc[covered, [*KEYS, "value", "spread", "unit", "doubt"]]
    printed = printed.rename(columns={"value": "paper", "spread": "paper_spread"})
    parts = []
    for (row, dataset), cells in printed.groupby(["row", "dataset"], sort=False):
        how = {
            "seeds": 0,
            "seed_list": "",
            "images": 0,
            "data": _kind(data),
            "status": NOT_RUN,
            "reason": "",
            "runs": "",
        }
        scores = pd.DataFrame(columns=chosen.metrics, dtype=float)
        if not rows[row]:
            how |= {"status": PUBLISHED, "reason": chosen.rows[row]}
        elif not finished[row]:
            how["reason"] = _not_yet(chosen, profile, data)
        else:
            paper = chosen.runs(row, "paper", str(data))[0]
            scores, measured = _measured(finished[row], here[dataset], len(rows[row]), paper)
            how |= measured
        scale = np.where(cells["unit"] == "%", 100, 1)  # our scores are fractions
        ours, sd = (cells["metric"].map(values).astype(float) * scale for values in (scores.mean(), scores.std()))
        parts.append(cells.assign(ours=ours, sd=sd, **how))
    return pd.concat(parts).sort_index().reset_index(drop=True)


def versus(profile: str, data: str | Path, results: Path | None = None) -> pd.DataFrame:
    """Every cell of every published table, once, with ours where a study covers it, and a reason where none does.

    The columns of :func:`m2s.published.load`, the ``name`` of the table before them, and those of :func:`compare`. What
    the two versions of M2SNet both print is in both tables, with the same measurement beside it.
    """
    printed = pd.concat([published.load(name).assign(name=name) for name in published.tables()], ignore_index=True)
    covered = []
    for name, study in STUDIES.items():
        ours = compare(name, profile, data, results)[[*KEYS, *OURS]]
        covered += [ours.assign(name=table) for table in {study.published, REPRINTS.get(study.published)} if table]
    table = printed.merge(pd.concat(covered), on=["name", *KEYS], how="left", validate="one_to_one")
    uncovered = {"status": NOT_RUN, "reason": "not run: no study yet", "seed_list": "", "data": "", "runs": ""}
    table = table.fillna(uncovered | {"seeds": 0, "images": 0}).astype({"seeds": int, "images": int})
    return table[["name", *table.columns.drop("name")]]


def gaps(
    study: str, row: str, other: str, metric: str, profile: str, data: str | Path, results: Path | None = None
) -> pd.DataFrame:
    """How far ``row`` is ahead of ``other`` on each data set: the paper's gap, and ours with its paired bootstrap.

    Positive is better, also for errors such as MAE. Scores are averaged over seeds per image first. The columns of
    :func:`paired_bootstrap`, and ``paper``; a data set without scores of both is left out. Ours are fractions.
    """
    rows, folder = _runs_by_row(study, profile, data), Path(results or results_dir(profile, data))
    for name in (row, other):
        if name not in rows:
            raise unknown(f"row of study {study}", name, rows)
    chosen = STUDIES[study]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    scores = [[scores for *_, scores in _finished(rows[name], folder)] for name in (row, other)]
    if not all(scores):
        empty = pd.DataFrame(columns=["images", "difference", "low", "high", "share", "paper"], dtype=float)
        return empty.rename_axis("dataset")
    a, b = (pd.concat(s).groupby(["dataset", "image"], sort=False)[[metric]].mean() * sign for s in scores)
    common = a.index.unique("dataset").intersection(b.index.unique("dataset"), sort=False)
    table = paired_bootstrap(a.loc[common].reset_index(), b.loc[common].reset_index(), metric)
    printed = published.load(chosen.published).set_index(KEYS)["value"]
    paper = [sign * (printed[row, d, metric] - printed[other, d, metric]) for d in map(chosen.datasets.get, common)]
    return table.assign(paper=paper).rename(index=chosen.datasets)


def paired_bootstrap(
    a: pd.DataFrame, b: pd.DataFrame, metric: str = "mDice", n: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """How much of the difference of two networks is chance in the choice of the test images.

    The images of each data set are drawn n times with replacement, and the mean of a − b taken over the same images of
    both. This leaves out what training again with another seed would change, and that frames of one video are not
    independent: the true uncertainty is larger.

    Args:
        a, b: scores as :func:`m2s.runs.load_scores` gives them (dataset, image, metrics), of the same images.

    Returns:
        A row per data set: ``images``, ``difference`` (mean of a − b), ``low`` and ``high`` (95 % percentile interval),
        ``share`` (of the draws with a above b; draws of a tie count half).

    Raises:
        InputError: the metric is unknown, or the images differ.
    """
    for scores in (a, b):
        if metric not in scores:
            raise unknown("metric", metric, scores.columns.drop(["dataset", "image"]))
    pairs = a.merge(b, on=["dataset", "image"], suffixes=("_a", "_b"))
    if not len(a) == len(b) == len(pairs) or a.duplicated(["dataset", "image"]).any():
        raise InputError("the two runs were not scored on the same images, so they cannot be compared in pairs")
    differences = (pairs[f"{metric}_a"] - pairs[f"{metric}_b"]).groupby(pairs["dataset"], sort=False)
    rows = {}
    for dataset, difference in differences:
        values = difference.to_numpy()
        draws = np.random.default_rng(seed).integers(0, len(values), (n, len(values)))
        means = values[draws].mean(axis=1)
        low, high = np.quantile(means, (0.025, 0.975))
        share = (means > 0).mean() + (means == 0).mean() / 2
        rows[dataset] = {"images": len(values), "difference": values.mean(), "low": low, "high": high, "share": share}
    return pd.DataFrame.from_dict(rows, orient="index").astype({"images": int}).rename_axis("dataset")


def records(study: str, profile: str, data: str | Path, results: Path | None = None) -> dict[str, list[dict]]:
    """The records of a study's finished runs, by row; an empty list for a row that is not run, or not yet."""
    folder = Path(results or results_dir(profile, data))
    rows = _runs_by_row(study, profile, data)
    return {row: [record for _, record, _ in _finished(wanted, folder)] for row, wanted in rows.items()}


def settings_line(profile: str, data: str | Path, found: Iterable[dict]) -> str:
    """What the measured numbers were measured with: one paragraph for people, from the runs' own records."""
    found, images = list(found), "made-up images" if data_label(data) == "phantom" else "real data sets"
    if not found:
        return f"Profile {profile}, {images}: nothing has been run yet."

    def each(describe: Callable[[dict], object]) -> str:
        """What holds for all records, or each different value with the networks that it belongs to."""
        networks: dict[str, list[str]] = {}
        for record in found:
            networks.setdefault(str(describe(record)), []).append(record["settings"]["model"])
        if len(networks) == 1:
            return next(iter(networks))
        return ", ".join(f"{value} ({' '.join(dict.fromkeys(names))})" for value, names in networks.items())

    seeds = sorted({str(record["settings"]["recipe"]["seed"]) for record in found})
    return (
        f"Profile {profile}, {images}. Networks: {', '.join(dict.fromkeys(r['settings']['model'] for r in found))}; "
        f"encoder {each(lambda r: r['settings']['encoder'])} (weights: {each(lambda r: r['weights'])}); "
        f"{each(lambda r: r['settings']['recipe']['size'])} px; "
        f"{each(lambda r: r['settings']['recipe']['epochs'])} epochs; "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(seeds)}; "
        f"{each(lambda r: r['data'][0]['images'])} training images; {each(lambda r: _lossnet(r['settings']))}. "
        f"Machine: {each(lambda r: r['machine']['processor'])}, {each(lambda r: r['machine']['cores'])} cores, "
        f"GPU {each(lambda r: r['machine']['gpu'] or 'none')}; "
        f"torch {each(lambda r: r['machine']['versions']['torch'])}. Finished by {max(r['finished'] for r in found)}."
    )


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """A table of :func:`compare`, or a part of it, to look at: rows × (data set, metric), "ours (the paper's)" as text.

    ``0.731 (0.758)``; ``0.731 ± 0.004 (0.758)`` over seeds; ``not run (0.758)``; ``– (0.758)`` where the figure is
    published only; a trailing ``?`` for a published figure in doubt. The name of the first level of the columns says
    what stands in the cells, and a data set is called made-up where ours is.
    """
    shown = table.assign(text=[_text(cell) for cell in table.itertuples()])
    columns = pd.MultiIndex.from_frame(shown[["dataset", "metric"]].drop_duplicates())
    shown = shown.pivot(index="row", columns=["dataset", "metric"], values="text")
    shown = shown.reindex(index=table["row"].unique(), columns=columns)
    if made_up := (table["data"] == "made-up").any():
        shown = shown.rename(columns=lambda name: f"made-up {name}", level=0)
    legend = "ours, on made-up images (the paper's, on the real sets)" if made_up else "ours (the paper's)"
    return shown.rename_axis(index=None, columns=[legend, ""])


def reasons(table: pd.DataFrame) -> list[str]:
    """One line for each status and reason in a table of :func:`compare`: how many cells, of which rows and sets."""
    lines = []
    for (status, reason), cells in table.groupby(["status", "reason"], sort=False):
        rows, datasets = (", ".join(cells[column].unique()) for column in ("row", "dataset"))
        lines.append(f"{len(cells)} cells {status} ({rows}; {datasets}): {reason.removeprefix(f'{status}: ')}")
    return lines


def write(table: pd.DataFrame, folder: Path, name: str, title: str, footer: str) -> list[Path]:
    """Write a table of :func:`compare`: ``name.csv`` in long form, ``name.md`` and ``name.tex`` to look at.

    The last two hold one small table per data set and ``footer``, the :func:`settings_line`; the Markdown all reasons.
    """
    shown = wide(table)
    legend = f"Each cell: {shown.columns.names[0]}. –: published only. ?: a doubt about the printed figure."
    markdown, latex = [f"# {title}", legend], [f"% {line}" for line in (title, legend, footer)]
    for dataset in shown.columns.unique(level=0):
        block = shown[dataset].rename_axis(columns=None)
        lines = [["", *block.columns], ["---"] * (1 + block.shape[1]), *block.reset_index().to_numpy().tolist()]
        markdown += [f"## {dataset}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
        latex.append(block.style.to_latex(hrules=True, caption=dataset))
    markdown += ["## How the cells came to be", "\n".join(f"- {line}" for line in reasons(table)), footer]
    texts = {"csv": table.to_csv(index=False), "md": "\n\n".join(markdown) + "\n", "tex": "\n".join(latex)}
    return [write_text(folder / f"{name}.{suffix}", text) for suffix, text in texts.items()]


def write_text(path: Path, text: str) -> Path:
    """Write a text file, never half of it."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _runs_by_row(study: str, profile: str, data: str | Path) -> dict[str, list[Run]]:
    study_runs(study, profile, str(data))  # tells unknown names
    return {row: STUDIES[study].runs(row, profile, str(data)) for row in STUDIES[study].rows}


def _finished(wanted: Iterable[Run], folder: Path) -> list[Finished]:
    """Those of the runs that have a record, with their scores; the two must agree on the number of images."""
    found = []
    for run in wanted:
        record, path = runs.load(run, folder), runs.folder_of(run, folder) / runs.SCORES
        if record is None:
            continue
        if not path.is_file():
            raise InputError(f"{path} is missing, though the run has a record: delete the record to score it again")
        scores = runs.load_scores(run, folder)
        told = {d["name"]: d["images"] for d in record["data"] if d["split"] == "test"}
        if (held := scores["dataset"].value_counts().to_dict()) != told:
            raise InputError(f"{path} holds {held} images and its record says {told}: delete the record to score again")
        found.append((run, record, scores))
    return found


def _measured(finished: list[Finished], dataset: str, seeds: int, paper: Run) -> tuple[pd.DataFrame, dict[str, object]]:
    """The mean scores of one row on one data set, a line per seed, and how they came to be; or why there are none."""
    scored = [(run, scores[scores["dataset"] == dataset]) for run, _, scores in finished]
    scored = [(run, scores) for run, scores in scored if len(scores)]
    if not scored:
        record = finished[0][1]
        missing = record["missing"].get(dataset, f"{record['key']} was not scored on this set: delete its record")
        return pd.DataFrame(dtype=float), {"reason": f"not run: {missing}"}
    here, images = scored[0][0], min(len(scores) for _, scores in scored)
    notes = ["made-up images, not the paper's data"] if here.data == "phantom" else []
    if (ours := _settings(here)) != (theirs := _settings(paper)):
        notes.append(f"here {ours}; profile paper: {theirs}")
    if images < CATALOGUE[dataset].counts["test"]:
        notes.append(f"{images} test images")
    if len(scored) < seeds:
        notes.append(f"{len(scored)} of {seeds} seeds so far")
    return pd.DataFrame([scores.drop(columns=["dataset", "image"]).mean() for _, scores in scored]), {
        "seeds": len(scored),
        "seed_list": " ".join(str(run.recipe.seed) for run, _ in scored),
        "images": images,
        "status": MEASURED,
        "reason": "; ".join(notes) or "the settings of the profile paper",
        "runs": " ".join(run.key for run, _ in scored),
    }


def _settings(run: Run) -> str:
    limit = f", at most {run.train_limit} training images of each set" if run.train_limit else ""
    return f"{run.encoder}, {run.recipe.size} px, {run.recipe.epochs} epochs, {_lossnet(vars(run))}{limit}"


def _lossnet(settings: dict[str, object]) -> str:
    network, weight = settings["lossnet"], settings["lossnet_weight"]
    return f"LossNet on {network} weighted {weight:g}" if network else "no LossNet"


def _not_yet(study: Study, profile: str, data: str | Path) -> str:
    where = "" if data_label(data) == "phantom" else " --data FOLDER"
    return f"not run yet: m2s reproduce --profile {profile}{where} --only {study.notebook}"


def _kind(data: str | Path) -> str:
    return "made-up" if data_label(data) == "phantom" else "real"


def _text(cell) -> str:
    digits = 2 if cell.unit == "%" else 3
    paper = "" if np.isnan(cell.paper) else f" ({cell.paper:.{digits}f}{'?' if cell.doubt else ''})"
    spread = "" if np.isnan(cell.sd) else f" ± {cell.sd:.{digits}f}"
    return {MEASURED: f"{cell.ours:.{digits}f}{spread}", PUBLISHED: "–", NOT_RUN: NOT_RUN}[cell.status] + paper
