"""Where runs are kept: their records, scores and index. No network is needed to read them."""

import sys
from collections import Counter
from pathlib import Path

import pandas as pd

from m2s.errors import InputError, unknown
from m2s.paths import read_json, results_root, whole_file
from m2s.studies.run import Run

RECORD, MODEL, SCORES, TRAINING = "record.json", "model.safetensors", "scores.csv", "training.json"


def run_folder(run: Run, results: Path) -> Path:
    """Where the run is published."""
    return results / "runs" / run.key


def load_record(run: Run, results: Path) -> dict | None:
    """The record of a finished run, or ``None``."""
    folder = run_folder(run, results)
    return read_record(folder) if (folder / RECORD).exists() else None


def read_record(folder: Path) -> dict:
    """The record in the folder of a finished run; a damaged one is an ``InputError``."""
    advice = f"delete the folder {folder} and train the run again"
    record = read_json(folder / RECORD, advice)
    if "settings" not in record:
        raise InputError(f"cannot read {folder / RECORD} (it has no settings): {advice}")
    return record


def read_scores(folder: Path) -> pd.DataFrame:
    """The scores in the folder of a finished run; a damaged file is an ``InputError``."""
    path = folder / SCORES
    try:
        scores = pd.read_csv(path, dtype={"image": str})
        if not {"dataset", "image"} <= set(scores):
            raise ValueError("it has no columns dataset and image")
        return scores
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise InputError(f"cannot read {path} ({reason}): delete {RECORD} beside it and score the run again") from error


def load_scores(run: Run, results: Path) -> pd.DataFrame:
    """The scores of a finished run: dataset, image and a column per metric."""
    return read_scores(run_folder(run, results))


def list_runs_by_name() -> dict[str, Path]:
    """The finished runs in all folders of results, by :attr:`Run.name`; the key's hash follows where two share one."""
    names, folders = [], []
    for path in sorted(results_root().glob(f"*/runs/*/{RECORD}")):
        if path.parent.suffix == ".partial":
            continue
        try:
            names.append(Run.from_settings(read_record(path.parent)["settings"]).name)
            folders.append(path.parent)
        except InputError as error:  # the others are listed all the same
            print(f"m2s: left out: {error}", file=sys.stderr)
    shared = {name for name, count in Counter(names).items() if count > 1}
    pairs = zip(names, folders, strict=True)
    return {f"{n}-{folder.name.rpartition('-')[2]}" if n in shared else n: folder for n, folder in pairs}


def find_run_folder(run: str | Path) -> Path:
    """The folder of a finished run, given its folder (or the network in it), its key or its name.

    Raises:
        InputError: there is none, or its record is missing.
    """
    path = Path(run)
    folder = path if path.is_dir() else path.parent
    if path.exists() and (folder / RECORD).is_file():
        return folder
    by_name = list_runs_by_name()
    by_key = {folder.name: folder for folder in by_name.values()}
    if found := by_name.get(str(run)) or by_key.get(str(run)):
        return found
    if same := [name for name in by_name if name.startswith(f"{run}-")]:
        raise InputError(f"{len(same)} runs are called {run}: give one of {', '.join(same)}")
    if path.exists():
        raise InputError(f"{folder} is not a finished run: expected {RECORD} in it")
    raise unknown("run", run, by_name)


def write_index(results: Path) -> Path:
    """Write ``runs.csv``: a row per finished run, with its settings, means per test set, seconds and machine."""
    rows = []
    for path in sorted(results.glob(f"runs/*/{RECORD}")):
        record = read_record(path.parent)
        settings = record["settings"]
        row = {"key": record["key"], "name": Run.from_settings(settings).name}
        row |= {k: settings[k] for k in ("model", "encoder", "lossnet", "lossnet_weight")}
        row |= settings["recipe"] | {"options": dict(settings["options"]) or ""}
        row |= {"train_images": record["data"][0]["images"], "parameters": record["parameters"]}
        scores = read_scores(path.parent).drop(columns="image")
        for name, means in scores.groupby("dataset", sort=False).mean().iterrows():
            row |= {f"{name} {metric}": round(mean, 4) for metric, mean in means.items()}
        row |= {"training_seconds": record["seconds"]["training"], "machine": record["machine"]["processor"]}
        rows.append(row | {"finished": record["finished"]})
    with whole_file(results / "runs.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    return results / "runs.csv"


def summarize_runs() -> pd.DataFrame:
    """A row per finished run in all folders of results: name, results, scores on each test set as text, finished."""
    rows = []
    for name, folder in list_runs_by_name().items():
        scores = read_scores(folder)
        means = scores.groupby("dataset", sort=False)["Dice" if "Dice" in scores else "mDice"].mean()
        record = read_record(folder)
        rows.append({
            "name": name, "results": folder.parents[1].name, "weights": (folder / MODEL).is_file(),
            "dice": ", ".join(f"{dataset} {mean:.3f}" for dataset, mean in means.items()),
            "finished": record["finished"],
        })  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "results", "weights", "dice", "finished"])
