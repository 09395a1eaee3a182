"""Reading an ablation: steps with a verdict, variants over seeds by hand, and the real results that are committed."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import m2s.tables
from m2s.paths import ROOT
from m2s.tables import ablation


@pytest.fixture
def displayed(monkeypatch):
    shown = []
    monkeypatch.setattr("m2s.tables.ablation.display", shown.append)
    monkeypatch.setattr("m2s.tables.book.display", shown.append)
    monkeypatch.setattr(plt, "show", lambda: None)
    yield shown
    plt.close("all")


def test_variants_are_compared_seed_by_seed():
    scores = ablation.repeat_experiment(lambda seed: {"a": seed, "b": seed + 1 + seed / 10}, seeds=3)
    table = ablation.compare_variants(scores, "a")
    assert table.loc["a", ["mean", "sd"]].tolist() == [1, 1] and np.isnan(table.loc["a", "difference"])
    # differences 1, 1.1, 1.2: mean 1.1, sd 0.1, half an interval t(2 degrees) 4.303 × 0.1 / √3
    assert table.loc["b", "difference"] == pytest.approx(1.1) and table.loc["b", "ahead"] == 3
    assert table.loc["b", "high"] - 1.1 == pytest.approx(4.303 * 0.1 / 3**0.5, abs=1e-4)


def test_a_step_is_decided_by_its_interval_and_enough_images(monkeypatch):
    gaps = pd.DataFrame(
        {"images": [100, 100, 100, 19], "difference": [0.1, -0.1, 0.1, 0.1]}
        | {"low": [0.05, -0.2, -0.1, np.nan], "high": [0.2, -0.05, 0.2, np.nan], "paper": np.nan},
        index=pd.Index(list("abcd"), name="dataset"),
    )
    monkeypatch.setattr(ablation, "find_gaps", lambda *args: gaps)
    book = m2s.tables.open_real("wiring", "lab", "phantom")
    steps = ablation.find_steps(book, next(iter(book.study.rows)))
    assert steps["verdict"][:4].tolist() == ["ahead", "behind", "undecided", "undecided"]


def test_a_small_profile_shows_the_real_results_of_the_repository(tmp_path, monkeypatch, displayed):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
    book = m2s.tables.open_real("aggregation", "lab", "phantom")
    assert not any(book.kinds) and book.folder == ROOT / "results" / "full-real"
    book.read("baseline", {"+ SU_5": "all orders"})
    table = next(shown for shown in displayed if isinstance(shown, pd.DataFrame))
    csv = pd.read_csv(ROOT / "results" / "full-real" / "tables" / "30_aggregation.csv")
    cell = csv[(csv["row"] == "+ SU_5") & (csv["dataset"] == "Kvasir") & (csv["metric"] == "mDice")]
    assert table.loc["all orders", "Kvasir"] == f"{cell['ours'].item():.3f}"
    assert "ETIS" not in table and not table.isna().any(axis=None)
    assert [path.name for path in sorted(tmp_path.rglob("*.png"))] == ["30_aggregation_steps.png"]
    assert not list(tmp_path.rglob("*.csv"))  # the tables of these results are in the repository


def test_a_large_profile_on_real_data_shows_its_own_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
    assert m2s.tables.open_real("aggregation", "paper", tmp_path / "data").folder == tmp_path / "paper-real"


def test_without_a_measured_row_the_reasons_are_shown(tmp_path, monkeypatch, displayed):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
    m2s.tables.open_real("aggregation", "full", tmp_path / "data").read("baseline")
    assert len(displayed) == 1 and "No row of this table has been run on real images yet" in displayed[0].data
    assert "not run yet" in displayed[0].data


def test_an_experiment_is_shown_as_points_and_differences(tmp_path, monkeypatch, displayed):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
    book = m2s.tables.open_real("aggregation", "lab", "phantom")
    scores = pd.DataFrame({"a": [0.1, 0.2, 0.3], "b": [0.2, 0.3, 0.4]})
    book.experiment(scores, "a", "score", "30_small")
    assert displayed[0].loc["b"].tolist() == ["0.300 ± 0.100", "+0.100 [+0.100, +0.100]", "3 of 3 seeds"]
    assert displayed[0].loc["a"].tolist()[1:] == ["–", "–"] and list(tmp_path.rglob("30_small.png"))


def test_a_step_that_would_hide_the_others_is_written():
    steps = pd.DataFrame({
        "dataset": "one", "row": ["near", "far", "very far"], "difference": [0.01, -0.52, 0.61],
        "verdict": ["undecided", "behind", "ahead"], "paper": [np.nan, -0.02, np.nan],
    })  # fmt: skip
    steps = steps.assign(low=steps["difference"] - 0.02, high=steps["difference"] + 0.02)
    ax = ablation.draw_steps(steps, "mDice").axes[0]
    assert [text.get_text() for text in ax.texts] == ["← −0.52", "0.61 →"] and ax.get_xlim()[0] > -0.1
    assert [text.get_position()[1] for text in ax.texts] == [1, 2]
    ax = ablation.draw_steps(steps[1:], "mDice").axes[0]
    assert not ax.texts and ax.get_xlim()[1] > 0.61, "all of them are far: they are drawn"
