"""The committed records: each is still a run of the studies, and the committed tables hold what they say."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from m2s import tables
from m2s.paths import ROOT
from m2s.runs.build import build_network
from m2s.runs.plan import study_runs
from m2s.studies import STUDIES
from m2s.tables.cells import COSTS, _reprints

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


EFFICIENCY = ("m2snet_v1_table06", "m2snet_revised_table06")
"""The tables of parameters and multiply-adds, whose rows are those of four other studies."""


def find_study(table: str, row: str) -> str:
    """The study that has a row of a printed table."""
    of_table = [name for name, study in STUDIES.items() if study.published in _reprints(table)]
    studies = ("polyps", "videos", "lung", "breast") if table in EFFICIENCY else of_table
    return next(name for name in studies if row in STUDIES[name].rows)


@pytest.mark.skipif(not RECORDS, reason="no results beside the library")
@pytest.mark.parametrize("file", COSTS)
def test_a_committed_table_of_costs_counts_the_networks_as_they_are_now(file):
    table = pd.read_csv(ROOT / "results" / "full-real" / "tables" / file).dropna(subset="ours")
    counted = table[table["metric"] == "Params_M"]
    assert len(counted) >= 4
    for line in counted.itertuples():
        run = STUDIES[find_study(line.table, line.row)].runs(line.row, "paper", "real")[0]
        if "with res2net50d" in line.reason:
            run = replace(run, encoder="res2net50d")
        with torch.device("meta"):
            network = build_network(run, pretrained=False)
        parameters = sum(p.numel() for p in network.parameters())
        assert parameters / 1e6 == pytest.approx(line.ours, abs=6e-5), f"{line.row} of {line.table}"
