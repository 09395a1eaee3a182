"""The papers' tables, cell by cell, as ``results/published/`` keeps them (its README lists files and doubts)."""

from collections.abc import Sequence

import pandas as pd

from m2s.errors import unknown
from m2s.paths import CARRIED

FOLDER = CARRIED / "results" / "published"


def list_tables() -> list[str]:
    """The names of all tables, for instance ``"m2snet_v1_table01"``, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*_table*.csv"))


def _printed(table: str) -> pd.DataFrame:
    if table not in list_tables():
        raise unknown("published table", table, list_tables())
    return pd.read_csv(FOLDER / f"{table}.csv", dtype=str, keep_default_na=False)


def load_table(table: str = "m2snet_v1_table01") -> pd.DataFrame:
    """One table in long form, one printed cell a row, in the order of print.

    Columns: paper, version, table, title, row, backbone, dataset, metric, value, spread, unit, doubt. ``table``,
    ``value`` and ``spread`` are numbers (NaN where nothing is printed or readable), the rest is text; ``doubt`` is
    ``""`` where no doubt is known. Raises InputError for a table that is not there.
    """
    frame = _printed(table)
    for column in ("table", "value", "spread"):
        frame[column] = pd.to_numeric(frame[column])
    return frame


def load_notes(table: str) -> pd.DataFrame:
    """What is known of printed costs of one table that is no doubt about them: columns row, metric, note.

    For instance which layers a printed number of parameters leaves out. Raises InputError for an unknown table.
    """
    _printed(table)
    notes = pd.read_csv(FOLDER / "notes.csv", dtype=str)
    return notes.loc[notes["table"] == table, ["row", "metric", "note"]].reset_index(drop=True)


def wide_table(table: str = "m2snet_v1_table01", metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """One table to look at: rows × (dataset, metric), text with the printed digits.

    ``71.52 ± 1.19`` where a spread is printed, a trailing ``?`` where the cell carries a doubt, ``""`` for no value.
    ``metrics`` keeps the named metrics only. Raises InputError for an unknown table or metric.
    """
    frame = _printed(table)
    known = frame["metric"].unique()
    for metric in metrics or ():
        if metric not in known:
            raise unknown(f"metric of {table}", metric, known)
    if metrics is not None:
        frame = frame[frame["metric"].isin(metrics)]
    spread = frame["spread"].where(frame["spread"] == "", " ± " + frame["spread"])
    mark = (frame["doubt"] != "").map({True: " ?", False: ""})
    text = (frame["value"] + spread + mark).where(frame["value"] != "", "")
    shown = frame.assign(text=text).pivot(index="row", columns=["dataset", "metric"], values="text").fillna("")
    columns = pd.MultiIndex.from_frame(frame[["dataset", "metric"]].drop_duplicates())
    return shown.reindex(index=frame["row"].unique(), columns=columns)
