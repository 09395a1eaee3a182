"""Our results beside the papers': every cell says how it came to be, and ours come from score files alone."""

import html
from pathlib import Path

import numpy as np
import pandas as pd

from m2s.data.sets import CATALOGUE
from m2s.paths import data_label, is_made_up
from m2s.runs.plan import find_lack
from m2s.studies import STUDIES, published
from m2s.studies.profiles import find_profile
from m2s.studies.run import Run, split_of
from m2s.studies.study import GAIN_OVER, NotRun, Status, published_only
from m2s.tables.results import Finished, Results

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
    "54_lgmsnet_ablations_cost.csv",
)
"""What five notebooks count and time, as CSV in the folder of tables: parameters, multiply-adds, speed need no run."""
NO_SCORES = {
    ("F1_stars", "IoU_stars"): published_only("how significant the paper found a difference of its own runs"),
    ("Modality", "Eval_sets", "2D", "3D", "MS", "Global", "General"): published_only("a property of a network"),
}
"""Columns of LGMSNet's Tables 2 and 5 that no run measures."""
EXTRA = "no paper prints this"


def compare(results: Results) -> pd.DataFrame:
    """A study's table in long form: one line for each row, data set and metric, in the order of print.

    Columns: row, dataset, metric as printed; ``paper``, ``paper_spread``, ``unit``, ``doubt`` as published; ``ours``,
    the mean over images and then over runs, in the paper's unit; ``sd``, the standard deviation over the folds of a
    cross-validation, else over seeds (NaN for a single one); ``seeds`` (how many), ``seed_list``, ``images`` (test
    images); ``data``, whose images ours are about, "real" or "made-up"; ``status``, a :class:`Status`, and ``reason``,
    why, or, for a measured cell, what differs from the profile ``paper``; ``runs``, the keys of the runs behind the
    cell. ``ours`` is NaN unless ``status`` is "measured". What we measured and no paper prints comes last, with an
    empty ``paper``.

    Raises InputError for a score file that does not agree with its record.
    """
    cells = _cells(results)
    parts = []
    for (row, dataset), part in cells.groupby(["row", "dataset"], sort=False):
        scores, how = _cell(results, row, dataset)
        scale = np.where(part["unit"] == "%", 100, 1)  # our scores are fractions
        ours, sd = (part["metric"].map(values).astype(float) * scale for values in (scores.mean(), scores.std()))
        part = part.assign(ours=ours, sd=sd, **how)
        if how["status"] == Status.MEASURED:
            none = part["ours"].isna()
            known = part["metric"].isin(scores.columns)
            part.loc[none, "status"] = Status.NOT_RUN
            part.loc[none & ~known, "reason"] = "not run: the scores were written without this metric"
            part.loc[none & known, "reason"] = "not run: no image has this score (a distance needs both borders)"
        parts.append(part)
    table = fill_gains(pd.concat(parts).sort_index().reset_index(drop=True))
    shown = table[(table["doubt"] != EXTRA) | (table["status"] == Status.MEASURED) | (not results.study.published)]
    return shown.replace({"doubt": {EXTRA: ""}}).reset_index(drop=True)


def _cells(results: Results) -> pd.DataFrame:
    """The printed cells that a study covers, and after them those that only its runs have."""
    study = results.study
    here = {dataset: task for task in study.tasks.values() for dataset in task.datasets.values()}
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
    small = study.ablation and study.published and find_profile(results.profile).small  # scored on printed sets alone
    for task in () if small else study.tasks_of(results.profile, results.data).values():
        like = metrics.get(task.title) or next(iter(metrics.values()), study.shown)
        for row in study.rows:
            sets = [d for d in task.datasets.values() if d not in known or row in extra]
            rows += [(row, dataset, m) for dataset in sets for m in like]
    ours = pd.DataFrame(rows, columns=KEYS).assign(paper=np.nan, paper_spread=np.nan, doubt=EXTRA)
    # The first rows': a table may end with rows of relative gains, in percent.
    ours["unit"] = ours["metric"].map(printed.drop_duplicates("metric").set_index("metric")["unit"]).fillna("")
    return pd.concat([printed, ours], ignore_index=True) if len(ours) else printed.reset_index(drop=True)


def _cell(results: Results, row: str, dataset: str) -> tuple[pd.DataFrame, dict[str, object]]:
    """The mean scores of one row on one data set, a line per seed or fold, and how they came to be."""
    study, scores = results.study, pd.DataFrame(dtype=float)
    how = {"seeds": 0, "seed_list": "", "images": 0, "data": "made-up" if dataset in results.made_up else "real"}
    how |= {"status": Status.NOT_RUN, "reason": "", "runs": ""}
    name, task = next((n, t) for n, t in study.tasks.items() if dataset in t.datasets.values())
    label = next(ours for ours, printed in task.datasets.items() if printed == dataset)
    if not_run := study.why_not(row, results.profile, results.data, name):
        return scores, how | {"status": not_run.status, "reason": str(not_run)}
    if label not in results.datasets:
        missing = "made up here, and a network that is trained on real images is not scored on made-up ones"
        return scores, how | {"reason": f"not run: the images of this set are {missing}"}
    runs = results.runs(row, name)
    if not (finished := [done for done in results.finished[row] if done.run in runs]):
        return scores, how | {"reason": find_lack(runs[0], results.data, results.lacks) or _not_yet(results)}
    paper = next(iter(study.runs(row, "paper", results.data, name)), None)  # none of a short study
    scores, measured = _measured(finished, label, runs, paper)
    return scores, how | measured


def versus(profile: str, data: str | Path, results: Path | None = None) -> pd.DataFrame:
    """Every cell of every published table, once, with ours where a study covers it, and a reason where none does.

    The columns of :func:`m2s.studies.published.load_table`, the ``name`` of the table before them, and those of
    :func:`compare`. What the two versions of M2SNet both print is in both tables, with the same measurement beside it.
    """
    printed = pd.concat([published.load_table(name).assign(name=name) for name in published.list_tables()])
    covered = []
    for name, study in STUDIES.items():
        opened = Results.of(name, profile, data, results)
        covered += [compare(opened)[[*KEYS, *OURS]].assign(name=table) for table in _reprints(study.published)]
    table = printed.merge(pd.concat(covered), on=["name", *KEYS], how="left", validate="one_to_one")
    uncovered = {"status": Status.NOT_RUN, "reason": "not run: no study covers this cell", "seeds": 0, "images": 0}
    uncovered |= dict.fromkeys(("seed_list", "data", "runs"), "")
    table = table.fillna(uncovered).astype({"seeds": int, "images": int})
    for metrics, reason in NO_SCORES.items():
        table.loc[table["metric"].isin(metrics), ["status", "reason"]] = reason.status, str(reason)
    for (printed_in, row), reason in _never_run().items():  # also in columns that are no scores
        here = (table["name"] == printed_in) & (table["row"] == row)
        table.loc[here, ["status", "reason"]] = reason.status, str(reason)
    costs = [opened.folder / "tables" / name for name in COSTS]
    if parts := [pd.read_csv(path) for path in costs if path.is_file()]:
        counted = pd.concat(parts).dropna(subset="ours").set_index(["table", "row", "metric"])
        cells = pd.MultiIndex.from_frame(table[["name", "row", "metric"]])
        here = cells.isin(counted.index)
        table.loc[here, ["ours", "reason"]] = counted.loc[cells[here], ["ours", "reason"]].to_numpy()
        table.loc[here, "status"] = Status.MEASURED
        table["ours"] = table["ours"].astype(float)
    return fill_gains(table)[["name", *table.columns.drop("name")]]


def fill_gains(table: pd.DataFrame) -> pd.DataFrame:
    """The same table with the printed rows "A, gain over B" measured where A and B are.

    That is by how many percent of B's figure A is better, as the papers have it: a smaller error is a positive gain.
    """
    keys = [key for key in ("name", *KEYS) if key in table]
    measured = table[table["status"] == Status.MEASURED].set_index(keys)
    gains = table[table["row"].str.contains(GAIN_OVER) & (table["doubt"] != EXTRA)]
    filled = table.copy()
    for index, gain in gains.iterrows():
        pair = [tuple({**gain, "row": row}[key] for key in keys) for row in gain["row"].split(GAIN_OVER)]
        if not all(cell in measured.index for cell in pair):
            continue
        better, base = (measured.loc[cell] for cell in pair)
        sign = -1 if gain["metric"] in LOWER_IS_BETTER else 1
        few = min(better, base, key=lambda cell: cell["seeds"])
        how = {name: few[name] for name in ("seeds", "seed_list", "images", "data")} | {
            "ours": sign * 100 * (better["ours"] / base["ours"] - 1),
            "status": Status.MEASURED,
            "reason": f"from the rows of both; {few['reason']}",
            "runs": " ".join(filter(None, (better["runs"], base["runs"]))),
        }
        filled.loc[index, list(how)] = list(how.values())
    return filled


def _measured(
    finished: list[Finished], label: str, runs: list[Run], paper: Run | None
) -> tuple[pd.DataFrame, dict[str, object]]:
    """The mean scores on one data set, a line per fold or seed, and how they came to be; or why there are none."""
    scored = [(run, scores[scores["dataset"] == label]) for run, _, scores in finished]
    scored = [(run, scores) for run, scores in scored if len(scores)]
    name = label.split(":")[0]
    if not scored:
        record = finished[0].record
        missing = record["missing"].get(name, f"{record['key']} was not scored on this set: delete its record")
        return pd.DataFrame(dtype=float), {"reason": f"not run: {html.escape(missing, quote=False)}"}
    here, images = scored[0][0], min(len(scores) for _, scores in scored)
    means = pd.DataFrame([scores.mean(numeric_only=True) for _, scores in scored])
    folds, done = ({run.train_sets for run in some} for some in (runs, [run for run, _ in scored]))
    seeds, trained = ({run.recipe.seed for run in some} for some in (runs, [run for run, _ in scored]))
    made_up = is_made_up(name, here.data)
    notes = ["made-up images, not the paper's data"] * made_up
    notes += ["of the paper's data the part that comes with the repository"] * (here.data == "sample" and not made_up)
    if paper is None:
        notes.append(f"a short run: {_settings(here)}")
    elif (ours := _settings(here)) != (papers := _settings(paper)):
        notes.append(f"here {ours}; profile paper: {papers}")
    # The set may be one that the run was scored on in earlier days.
    split = dict(split_of(test_set, "test") for test_set in here.test_sets).get(name, "test")
    if images < CATALOGUE[name].counts.get(split, images):
        notes.append(f"{images} test images")
    if len(folds) > 1:
        notes.append(f"mean and spread over {len(done)} folds" + (f" of {len(folds)} so far" if done != folds else ""))
    remarks = (html.escape(done.record["remark"], quote=False) for done in finished if "remark" in done.record)
    notes += dict.fromkeys(remarks)
    if len(trained) < len(seeds):
        notes.append(f"{len(trained)} of {len(seeds)} seeds so far")
    lines = [" ".join(run.train_sets) if len(done) > 1 else run.recipe.seed for run, _ in scored]
    return means.groupby(np.array(lines)).mean(), {
        "seeds": len(trained),
        "seed_list": " ".join(map(str, sorted(trained))),
        "images": images,
        "status": Status.MEASURED,
        "reason": "; ".join(notes) or "the settings of the profile paper",
        "runs": " ".join(run.key for run, _ in scored),
    }


def _reprints(name: str) -> set[str]:
    """A printed table and, where the other version of the paper has it too, that one."""
    pairs = REPRINTS | {revised: first for first, revised in REPRINTS.items()}
    return {table for table in (name, pairs.get(name)) if table}


def _never_run() -> dict[tuple[str, str], NotRun]:
    """Of every row that no profile runs the reason, by printed table and row."""
    rows = ((study.published, row, chosen) for study in STUDIES.values() for row, chosen in study.rows.items())
    return {(t, row): chosen for name, row, chosen in rows if isinstance(chosen, NotRun) for t in _reprints(name)}


def _settings(run: Run) -> str:
    limit = f", at most {run.train_limit} training images of each set" if run.train_limit else ""
    encoder = f"{run.encoder}, " * (run.encoder != "none")
    return f"{encoder}{run.recipe.size} px, {run.recipe.epochs} epochs, {describe_lossnet(vars(run))}{limit}"


def _not_yet(results: Results) -> str:
    label = data_label(results.data)
    where = {"sample": "", "phantom": " --data phantom"}.get(label, " --data FOLDER")
    return f"not run yet: m2s reproduce --profile {results.profile}{where} --only {results.study.notebook}"


def describe_lossnet(settings: dict[str, object]) -> str:
    """LossNet in words, from the settings of a run."""
    network, weight = settings["lossnet"], settings["lossnet_weight"]
    return f"LossNet on {network} weighted {weight:g}" if network else "no LossNet"
