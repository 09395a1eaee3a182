"""The committed records: each is still a run of the studies, and the committed tables hold what they say."""

import json

import pandas as pd
import pytest

from m2s import tables
from m2s.paths import ROOT
from m2s.runs.plan import study_runs
from m2s.studies import STUDIES

RECORDS = sorted(ROOT.glob("results/*-*/runs/*/record.json"))
CALIBRATION = {"m2snet-tf_efficientnet_lite0-s0-b7ce6565"}
"""A run of no table, with another weight of LossNet: README quotes its score."""


@pytest.mark.skipif(not RECORDS, reason="no results beside the library")
def test_every_committed_run_is_a_run_of_the_studies():
    keys = {}
    for path in RECORDS:
        profile, _, label = path.parents[2].name.partition("-")
        keys.setdefault((profile, label), set()).add(path.parent.name)
        assert json.loads(path.read_text())["key"] == path.parent.name
    for (profile, label), committed in keys.items():
        data = "a folder of data sets" if label == "real" else label
        known = {run.key for study in STUDIES for run in study_runs(study, profile, data)}
        assert committed - known <= CALIBRATION


@pytest.mark.skipif(not RECORDS, reason="no results beside the library")
@pytest.mark.parametrize(
    "study",
    ["polyps", "videos", "breast", "aggregation", "losses", "kernels", "styles", "lgmsnet", "generalisation"],
)
def test_a_committed_table_holds_the_scores_of_the_committed_runs(study):
    def choose(table: pd.DataFrame) -> pd.Series:
        measured = table[table["status"] == "measured"]
        return measured.set_index(["row", "dataset", "metric"])["ours"].sort_index()

    written = pd.read_csv(ROOT / "results" / "full-real" / "tables" / f"{STUDIES[study].notebook}.csv")
    measured = choose(tables.open(study, "full", "a folder of data sets").table())
    assert len(measured)
    pd.testing.assert_series_equal(choose(written), measured, check_dtype=False, atol=1e-9)
