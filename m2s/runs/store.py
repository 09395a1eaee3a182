"""Where runs are kept: their records, scores and index. No network is needed to read them."""

import json
from pathlib import Path

import pandas as pd

from m2s.paths import whole_file
from m2s.studies.run import Run

RECORD, MODEL, SCORES = "record.json", "model.safetensors", "scores.csv"


def run_folder(run: Run, results: Path) -> Path:
    """Where the run is published."""
    return results / "runs" / run.key


def load_record(run: Run, results: Path) -> dict | None:
    """The record of a finished run, or ``None``."""
    path = run_folder(run, results) / RECORD
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def load_scores(run: Run, results: Path) -> pd.DataFrame:
    """The scores of a finished run: dataset, image and a column per metric."""
    return pd.read_csv(run_folder(run, results) / SCORES, dtype={"image": str})


def write_index(results: Path) -> Path:
    """Write ``runs.csv``: a row per finished run, with its settings, means per test set, seconds and machine."""
    rows = []
    for path in sorted(results.glob(f"runs/*/{RECORD}")):
        record = json.loads(path.read_text(encoding="utf-8"))
        settings = record["settings"]
        row = {"key": record["key"], **{k: settings[k] for k in ("model", "encoder", "lossnet", "lossnet_weight")}}
        row |= settings["recipe"] | {"options": dict(settings["options"]) or ""}
        row |= {"train_images": record["data"][0]["images"], "parameters": record["parameters"]}
        scores = pd.read_csv(path.with_name(SCORES)).drop(columns="image")
        for name, means in scores.groupby("dataset", sort=False).mean().iterrows():
            row |= {f"{name} {metric}": round(mean, 4) for metric, mean in means.items()}
        row |= {"training_seconds": record["seconds"]["training"], "machine": record["machine"]["processor"]}
        rows.append(row | {"finished": record["finished"]})
    with whole_file(results / "runs.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    return results / "runs.csv"
