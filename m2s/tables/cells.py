"""Our results beside the papers': every cell says how it came to be, and ours come from score files alone."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from m2s.data.sets import CATALOGUE
from m2s.errors import InputError
from m2s.paths import data_label, results_dir
from m2s.runs.plan import lacking, study_runs
from m2s.runs.store import SCORES, load_record, load_scores, run_folder
from m2s.studies import STUDIES, published
from m2s.studies.profiles import find_profile
from m2s.studies.run import Run, split_of
from m2s.studies.study import Study

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
        printed = published.load_table(study.published)
        printed = printed[printed["row"].isin(study.rows) & printed["dataset"].isin(here)]
    else:
        printed = published.load_table().iloc[:0]
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
    if not (finished_runs := _finished(wanted, folder)):
        return scores, how | {"reason": lacking(wanted[0], data) or _not_yet(study, profile, data)}
    paper = study.runs(row, "paper", data, name)[0]
    scores, measured = _measured(finished_runs, label, wanted, paper)
    return scores, how | measured


def versus(profile: str, data: str | Path, results: Path | None = None) -> pd.DataFrame:
    """Every cell of every published table, once, with ours where a study covers it, and a reason where none does.

    The columns of :func:`m2s.published.load`, the ``name`` of the table before them, and those of :func:`compare`. What
    the two versions of M2SNet both print is in both tables, with the same measurement beside it.
    """
    printed = pd.concat(
        [published.load_table(name).assign(name=name) for name in published.list_tables()], ignore_index=True
    )
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


def finished_records(study: str, profile: str, data: str | Path, results: Path | None = None) -> dict[str, list[dict]]:
    """The records of a study's finished runs, by row; an empty list for a row that is not run, or not yet."""
    found = finished_runs(study, profile, data, results)
    return {row: [record for _, record, _ in runs] for row, runs in found.items()}


def finished_runs(study: str, profile: str, data: str | Path, results: Path | None = None) -> dict[str, list[Finished]]:
    """A study's finished runs with their records and their scores on the study's data sets, by row."""
    study_runs(study, profile, str(data))  # tells unknown names
    folder, chosen = Path(results or results_dir(profile, data)), STUDIES[study]
    found = {row: _finished(chosen.runs(row, profile, str(data)), folder) for row in chosen.rows}
    return {
        row: [(run, record, scores[scores["dataset"].isin(chosen.datasets)]) for run, record, scores in runs]
        for row, runs in found.items()
    }


def _finished(wanted: Iterable[Run], folder: Path) -> list[Finished]:
    """Those of the runs that have a record, with their scores; the two must agree on the number of images."""
    found = []
    for run in wanted:
        record, path = load_record(run, folder), run_folder(run, folder) / SCORES
        if record is None:
            continue
        if not path.is_file():
            raise InputError(f"{path} is missing, though the run has a record: delete the record to score it again")
        scores = load_scores(run, folder)
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
    scored = [(run, scores[scores["dataset"] == label]) for run, _, scores in finished_runs]
    scored = [(run, scores) for run, scores in scored if len(scores)]
    name = label.split(":")[0]
    if not scored:
        record = finished_runs[0][1]
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
    return f"{run.encoder}, {run.recipe.size} px, {run.recipe.epochs} epochs, {describe_lossnet(vars(run))}{limit}"


def _not_yet(study: Study, profile: str, data: str | Path) -> str:
    where = "" if data_label(data) == "phantom" else " --data FOLDER"
    return f"not run yet: m2s reproduce --profile {profile}{where} --only {study.notebook}"


def _kind(data: str | Path) -> str:
    return "made-up" if data_label(data) == "phantom" else "real"


def describe_lossnet(settings: dict[str, object]) -> str:
    """LossNet in words, from the settings of a run."""
    network, weight = settings["lossnet"], settings["lossnet_weight"]
    return f"LossNet on {network} weighted {weight:g}" if network else "no LossNet"
