"""The headline claims: their rows are in the tables, the verdict follows from the intervals, the page is up to date."""

import numpy as np
import pandas as pd
import pytest

import m2s
from m2s.paths import ROOT
from m2s.studies import STUDIES, published
from m2s.tables.claims import CLAIMS, _count_verdicts, format_claims, judge_claim, judge_claims


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.text)
def test_a_claim_is_one_that_its_table_prints(claim):
    cells = published.load_table(STUDIES[claim.study].published)
    cells = cells[cells["metric"] == claim.metric]
    assert {claim.row, claim.other} <= set(cells["row"])


def test_the_verdict_counts_sets_by_their_intervals():
    def verdict(*intervals: tuple[float, float]) -> str:
        return _count_verdicts(pd.DataFrame(intervals, columns=["low", "high"]))

    above, below, around, none = (0.01, 0.02), (-0.02, -0.01), (-0.01, 0.01), (np.nan, np.nan)
    assert verdict(above, above) == "holds on all of its 2 sets" and verdict(below) == "reversed on its one set"
    assert verdict(around, none, above, below) == "holds on 1 of 4 sets, reversed on 1, undecided on 2"


def test_a_claim_without_runs_is_not_run(tmp_path):
    claim = CLAIMS[0]
    said = judge_claim(claim, m2s.tables.results.Results.of(claim.study, "full", "real", tmp_path))
    assert said["verdict"] == "not run yet" and not said["ours"] and not said["seeds"]


def test_one_set_of_runs_by_hand():
    claim = next(claim for claim in CLAIMS if claim.study == "breast")
    results = m2s.tables.open_real(claim.study, "lab", "sample")
    said, means = judge_claim(claim, results), []
    for row in (claim.row, claim.other):
        means.append(pd.concat([done.scores for done in results.finished_of(row)])[claim.metric].mean())
    assert said["ours"] == f"BUSI {means[0] - means[1]:+.3f}" and said["images"] == "780"


def test_the_page_of_results_has_the_claims_as_judged_today():
    full, large = (
        {study: m2s.tables.open_real(study, "lab", "sample", committed) for study in STUDIES}
        for committed in (None, "large")
    )
    claims = judge_claims(full, large)
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert format_claims(claims) in page, "put the table of notebook 90, section 4, into docs/results.md"
    twice = claims[claims.duplicated("claim")]
    assert (twice["settings"] == "352 px, 50 epochs").all() and claims["claim"].nunique() == len(CLAIMS)
    assert CLAIMS[0].text in set(twice["claim"])
