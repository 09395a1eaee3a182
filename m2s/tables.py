"""Our results beside the papers': every cell says how it came to be, and ours come from score files alone."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from m2s import published, runs
from m2s.data import CATALOGUE
from m2s.errors import InputError
from m2s.paths import data_label, results_dir, whole_file
from m2s.profiles import find_profile
from m2s.runs import Run, split_of
from m2s.studies import STUDIES, Study, lacking, study_runs

MEASURED, PUBLISHED, NOT_RUN = "measured", "published only", "not run"
"""How a cell came to be. ``reason`` says why, or, for a measured one, what differs from the profile ``paper``."""

REPRINTS = {
    f"m2snet_v1_table{first:02d}": f"m2snet_revised_table{revised:02d}"
    for first, revised in (*((n, n) for n in range(1, 7)), (7, 10), (8, 14))
}
"""Tables of M2SNet's first version that the revised version prints again (a few digits differ)."""

KEYS = ["row", "dataset", "metric"]
OURS = ["ours", "sd", "seeds", "seed_list", "images", "data", "status", "reason", "runs"]
LOWER_IS_BETTER = ("MAE", "ASD", "HD95", "MED", "FLOPs_G", "Params_M")
COSTS = (
    "25_efficiency.csv",
    "34_multiscale_styles_cost.csv",
    "51_lgmsnet_2d_table_cost.csv",
    "53_lgmsnet_3d_cost.csv",
)
"""What four notebooks count and time, in the folder of tables: parameters, multiply-adds and speed need no run."""
EXTRA = "no paper prints this"

Finished = tuple[Run, dict, pd.DataFrame]
"""A run with its record and its scores."""


def compare(study: str, profile: str, data: str | Path, results: Path | None = None) -> pd.DataFrame:
    """A study's table in long form: one line for each row, data set and metric, in the order of print.

    Columns: row, dataset, metric as printed; ``paper``, ``paper_spread``, ``unit``, ``doubt`` as published; ``ours``,
    the mean over images and then over runs, in the paper's unit; ``sd``, the standard deviation over the folds of a
    cross-validation, else over seeds (NaN for a single one); ``seeds`` (how many), ``seed_list``, ``images`` (test
    images); ``data``, whose images ours are about, "real" or "made-up"; ``status`` and ``reason``; ``runs``, the keys
    of the runs behind the cell. ``ours`` is NaN unless ``status`` is "measured". What we measured and no paper prints
    comes last, with an empty ``paper``. ``results`` is the folder of one profile, by default :func:`m2s.results_dir`.

    Raises InputError for an unknown study or profile, and for a score file that does not agree with its record.
    """
    study_runs(study, profile, str(data))  # tells unknown names
    chosen, folder = STUDIES[study], Path(results or results_dir(profile, data))
    cells = _cells(chosen, profile, str(data))
    parts = []
    for (row, dataset), part in cells.groupby(["row", "dataset"], sort=False):
        scores, how = _cell(chosen, row, dataset, profile, str(data), folder)
        scale = np.where(part["unit"] == "%", 100, 1)  # our scores are fractions
        ours, sd = (part["metric"].map(values).astype(float) * scale for values in (scores.mean(), scores.std()))
        part = part.assign(ours=ours, sd=sd, **how)
        if how["status"] == MEASURED:
            none = part["ours"].isna()
            known = part["metric"].isin(scores.columns)
            part.loc[none, "status"] = NOT_RUN
            part.loc[none & ~known, "reason"] = "not run: the scores were written without this metric"
            part.loc[none & known, "reason"] = "not run: no image has this score (a distance needs both borders)"
        parts.append(part)
    table = pd.concat(parts).sort_index().reset_index(drop=True)
    shown = table[(table["doubt"] != EXTRA) | (table["status"] == MEASURED) | (not chosen.published)]
    return shown.replace({"doubt": {EXTRA: ""}}).reset_index(drop=True)


def _cells(study: Study, profile: str, data: str) -> pd.DataFrame:
    """The printed cells that a study covers, and after them those that only its runs have."""
    here = {theirs: task for task in study.tasks.values() for theirs in task.datasets.values()}
    if study.published:
        printed = published.load(study.published)
        printed = printed[printed["row"].isin(study.rows) & printed["dataset"].isin(here)]
    else:
        printed = published.load().iloc[:0]
    printed = printed[[*KEYS, "value", "spread", "unit", "doubt"]].rename(
        columns={"value": "paper", "spread": "paper_spread"}
    )
    metrics = {}  # of each task as printed
    for dataset, part in printed.groupby("dataset", sort=False):
        metrics.setdefault(here[dataset].title, list(part["metric"].unique()))
    known, rows = set(printed["dataset"]), []
    extra = [row for row in study.rows if row not in set(printed["row"])] if study.published else []
    small = study.ablation and study.published and find_profile(profile).small  # scored on printed sets alone
    for task in () if small else study.tasks_of(profile, data).values():
        like = metrics.get(task.title) or next(iter(metrics.values()), study.shown)
        for row in study.rows:
            sets = [d for d in task.datasets.values() if d not in known or row in extra]
            rows += [(row, theirs, m) for theirs in sets for m in like]
    ours = pd.DataFrame(rows, columns=KEYS).assign(paper=np.nan, paper_spread=np.nan, doubt=EXTRA)
    # The first rows': a table may end with rows of relative gains, in percent.
    ours["unit"] = ours["metric"].map(printed.drop_duplicates("metric").set_index("metric")["unit"]).fillna("")
    return pd.concat([printed, ours], ignore_index=True) if len(ours) else printed.reset_index(drop=True)


def _cell(
    study: Study, row: str, dataset: str, profile: str, data: str, folder: Path
) -> tuple[pd.DataFrame, dict[str, object]]:
    """The mean scores of one row on one data set, a line per seed or fold, and how they came to be."""
    how = {"seeds": 0, "seed_list": "", "images": 0, "data": _kind(data), "status": NOT_RUN, "reason": "", "runs": ""}
    scores = pd.DataFrame(dtype=float)
    name, task = next((n, t) for n, t in study.tasks.items() if dataset in t.datasets.values())
    label = next(ours for ours, theirs in task.datasets.items() if theirs == dataset)
    if reason := study.why_not(row, profile, data, name):
        return scores, how | {"status": PUBLISHED if reason.startswith(PUBLISHED) else NOT_RUN, "reason": reason}
    wanted = study.runs(row, profile, data, name)
    if not (finished := _finished(wanted, folder)):
        return scores, how | {"reason": lacking(wanted[0], data) or _not_yet(study, profile, data)}
    paper = study.runs(row, "paper", data, name)[0]
    scores, measured = _measured(finished, label, wanted, paper)
    return scores, how | measured


def versus(profile: str, data: str | Path, results: Path | None = None) -> pd.DataFrame:
    """Every cell of every published table, once, with ours where a study covers it, and a reason where none does.

    The columns of :func:`m2s.published.load`, the ``name`` of the table before them, and those of :func:`compare`. What
    the two versions of M2SNet both print is in both tables, with the same measurement beside it.
    """
    printed = pd.concat([published.load(name).assign(name=name) for name in published.tables()], ignore_index=True)
    covered = []
    for name, study in STUDIES.items():
        ours = compare(name, profile, data, results)[[*KEYS, *OURS]]
        covered += [ours.assign(name=table) for table in _reprints(study.published)]
    table = printed.merge(pd.concat(covered), on=["name", *KEYS], how="left", validate="one_to_one")
    uncovered = {
        "status": NOT_RUN,
        "reason": "not run: no study covers this cell",
        "seed_list": "",
        "data": "",
        "runs": "",
    }
    table = table.fillna(uncovered | {"seeds": 0, "images": 0}).astype({"seeds": int, "images": int})
    costs = [Path(results or results_dir(profile, data)) / "tables" / name for name in COSTS]
    if parts := [pd.read_csv(path) for path in costs if path.is_file()]:
        counted = pd.concat(parts).dropna(subset="ours").set_index(["table", "row", "metric"])
        found = pd.MultiIndex.from_frame(table[["name", "row", "metric"]])
        here = found.isin(counted.index)
        values = counted.loc[found[here], ["ours", "reason"]].to_numpy()
        table.loc[here, ["ours", "reason"]] = values
        table.loc[here, "status"] = MEASURED
        table["ours"] = table["ours"].astype(float)
    return table[["name", *table.columns.drop("name")]]


def records(study: str, profile: str, data: str | Path, results: Path | None = None) -> dict[str, list[dict]]:
    """The records of a study's finished runs, by row; an empty list for a row that is not run, or not yet."""
    found = finished(study, profile, data, results)
    return {row: [record for _, record, _ in runs] for row, runs in found.items()}


def finished(study: str, profile: str, data: str | Path, results: Path | None = None) -> dict[str, list[Finished]]:
    """A study's finished runs with their records and their scores on the study's data sets, by row."""
    study_runs(study, profile, str(data))  # tells unknown names
    folder, chosen = Path(results or results_dir(profile, data)), STUDIES[study]
    found = {row: _finished(chosen.runs(row, profile, str(data)), folder) for row in chosen.rows}
    return {
        row: [(run, record, scores[scores["dataset"].isin(chosen.datasets)]) for run, record, scores in runs]
        for row, runs in found.items()
    }


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
    shown = shown.reindex(index=table["row"].unique(), columns=columns).fillna("")
    if made_up := (table["data"] == "made-up").any():
        shown = shown.rename(columns=lambda name: f"made-up {name}", level=0)
    legend = "ours, on made-up images (the paper's, on the real sets)" if made_up else "ours (the paper's)"
    if table["paper"].isna().all():
        legend = legend.partition(" (")[0]
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
        told = {d["name"]: d["images"] for d in record["data"][1:]}  # the first is the training set
        held = scores.assign(dataset=scores["dataset"].str.split(":").str[0]).groupby("dataset")["image"].nunique()
        if held.to_dict() != told:
            raise InputError(
                f"{path} holds {held.to_dict()} images and its record says {told}: delete the record to score again"
            )
        found.append((run, record, scores))
    return found


def _measured(
    finished: list[Finished], label: str, wanted: list[Run], paper: Run
) -> tuple[pd.DataFrame, dict[str, object]]:
    """The mean scores on one data set, a line per fold or seed, and how they came to be; or why there are none."""
    scored = [(run, scores[scores["dataset"] == label]) for run, _, scores in finished]
    scored = [(run, scores) for run, scores in scored if len(scores)]
    name = label.split(":")[0]
    if not scored:
        record = finished[0][1]
        missing = record["missing"].get(name, f"{record['key']} was not scored on this set: delete its record")
        return pd.DataFrame(dtype=float), {"reason": f"not run: {missing}"}
    here, images = scored[0][0], min(len(scores) for _, scores in scored)
    means = pd.DataFrame(
        [
            {"fold": " ".join(_fold(run)), "seed": run.recipe.seed}
            | scores.drop(columns=["dataset", "image"]).mean().to_dict()
            for run, scores in scored
        ]
    )
    folds, seeds = (list(dict.fromkeys(of(run) for run in wanted)) for of in (_fold, lambda run: run.recipe.seed))
    done = list(dict.fromkeys(_fold(run) for run, _ in scored))
    notes = ["made-up images, not the paper's data"] if here.data == "phantom" else []
    if (ours := _settings(here)) != (theirs := _settings(paper)):
        notes.append(f"here {ours}; profile paper: {theirs}")
    if images < CATALOGUE[name].counts.get(_test_split(here, name), images):
        notes.append(f"{images} test images")
    if len(folds) > 1:
        notes.append(f"mean and spread over {len(done)} folds" + (f" of {len(folds)} so far" if done != folds else ""))
    if (trained := means["seed"].nunique()) < len(seeds):
        notes.append(f"{trained} of {len(seeds)} seeds so far")
    return means.groupby("fold" if len(done) > 1 else "seed").mean(numeric_only=True), {
        "seeds": trained,
        "seed_list": " ".join(map(str, sorted(means["seed"].unique()))),
        "images": images,
        "status": MEASURED,
        "reason": "; ".join(notes) or "the settings of the profile paper",
        "runs": " ".join(run.key for run, _ in scored),
    }


def _test_split(run: Run, name: str) -> str:
    """The split of a data set that a run is tested on; the set may be one that it was scored on in earlier days."""
    return dict(split_of(test_set, "test") for test_set in run.test_sets).get(name, "test")


def _fold(run: Run) -> tuple[str, ...]:
    return run.train_sets


def _reprints(name: str) -> set[str]:
    """A printed table and, where the other version of the paper has it too, that one."""
    pairs = REPRINTS | {revised: first for first, revised in REPRINTS.items()}
    return {table for table in (name, pairs.get(name)) if table}


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
