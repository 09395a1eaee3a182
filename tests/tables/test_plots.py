"""The pictures of the studies: from made-up score frames, and from runs with random weights."""

import json
from dataclasses import asdict
from itertools import combinations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save_file

from m2s import data as datasets
from m2s import tables
from m2s.runs.build import build_network
from m2s.runs.store import MODEL, RECORD, SCORES, run_folder
from m2s.studies import STUDIES
from m2s.tables import plots, predictions


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def table(unit="", made_up=False):
    """Two measured rows, one that is not run and one published only, on two data sets and two metrics."""
    lines = []
    for i, row in enumerate(("A", "B", "C", "D")):
        for dataset in ("one", "two"):
            for metric in ("mDice", "MAE"):
                ours = (0.6 + 0.1 * i) * (100 if unit == "%" else 1) * (0.1 if metric == "MAE" else 1)
                lines.append(
                    {
                        "row": row,
                        "dataset": dataset,
                        "metric": metric,
                        "paper": ours * 1.1,
                        "paper_spread": 0.05 if i == 1 else np.nan,
                        "unit": unit,
                        "ours": ours if i < 2 else np.nan,
                        "sd": 0.02 if i == 0 else np.nan,
                        "data": "made-up" if made_up else "real",
                        "status": ("measured", "measured", "not run", "published only")[i],
                    }
                )
    return pd.DataFrame(lines)


def texts(fig):
    return [text.get_text() for ax in fig.axes for text in ax.texts]


def test_bars_show_ours_the_papers_and_what_is_not_run():
    fig = plots.draw_bars(table())
    assert [ax.get_title() for ax in fig.axes] == ["one\nmDice", "two\nmDice", "one\nMAE", "two\nMAE"]
    first = fig.axes[0]
    assert [p.get_width() for p in first.patches[:2]] == pytest.approx([0.6, 0.7])
    assert [t.get_text() for t in first.get_yticklabels()] == ["A", "B", "C"]  # D is published only
    assert texts(fig) == ["not run"] * 4
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ["ours", "the paper's"]
    unasked = plots.draw_bars(table().assign(paper=np.nan))
    assert [t.get_text() for t in unasked.legends[0].get_texts()] == ["ours"]
    diamonds = next(line for line in first.lines if line.get_marker() == "D")
    assert list(diamonds.get_xdata()) == pytest.approx([0.66, 0.77, 0.88])
    assert first.get_xlim() == (0, 1) and fig.axes[2].get_xlim()[1] < 0.2  # MAE is not stretched to 1
    ours, theirs = ([line for line in c.get_segments() if np.isfinite(line).all()] for c in first.collections)
    assert [x for line in ours for x, _ in line] == pytest.approx([0.58, 0.62])  # B has one seed
    assert [x for line in theirs for x, _ in line] == pytest.approx([0.72, 0.82])


def test_bars_of_one_data_set_in_percent():
    fig = plots.draw_bars(table("%"), ["mDice", "MAE"], ["one"], ["A", "D"])
    assert [ax.get_title() for ax in fig.axes] == ["mDice", "MAE"] and fig.get_suptitle() == "one"
    assert fig.axes[0].get_xlim() == (0, 100) and texts(fig) == ["published only"] * 2
    alone = table().query("row != 'D' or dataset != 'two'")  # no cell at all is not a cell that was not run
    assert texts(plots.draw_bars(alone, ["mDice"], rows=["A", "D"])) == ["published only", "not measured"]


def test_a_measured_zero_is_written_where_no_bar_can_be_seen():
    zero = table().assign(ours=lambda t: t["ours"].mask(t["row"] == "A", 0.0))
    assert texts(plots.draw_bars(zero, ["mDice"], ["one"])) == ["0.000", "not run"]


def test_made_up_images_are_named():
    fig = plots.draw_bars(table(made_up=True))
    assert fig.axes[0].get_title() == "made-up one\nmDice"
    assert "the paper's, on the real sets" in [t.get_text() for t in fig.legends[0].get_texts()]


def test_nothing_measured_gives_nothing(tmp_path, capsys):
    waiting = table().query("status == 'not run'")
    costs = pd.Series({"C": 1.0}, name="cost")
    empty = pd.DataFrame(columns=["dataset", "image", "mDice"])
    assert plots.draw_bars(waiting) is None
    assert plots.draw_accuracy_against_cost(waiting, costs, "mDice") is None
    assert plots.draw_gaps({("A", "B"): pd.DataFrame()}, "mDice") is None
    assert plots.draw_ordering(ordering().iloc[:0], "mDice") is None
    assert plots.draw_scatter(empty, scores([0.1]), "mDice") is None
    assert tables.open("polyps", "smoke", "phantom", tmp_path).scores("M2SNet").empty
    assert tables.open("polyps", "smoke", "phantom", tmp_path).predictions(["M2SNet"]) is None
    assert tables.open("polyps", "smoke", "phantom", tmp_path).failures("M2SNet") is None
    tables.open("polyps", "smoke", "phantom", tmp_path).show(None, "20_bars")
    assert "not run yet" in capsys.readouterr().out


def gaps():
    values = {"images": [60, 62], "difference": [0.02, -0.01], "low": [0.01, -0.04], "high": [0.03, 0.02]}
    return pd.DataFrame(values | {"paper": [0.03, 0.001]}, index=["one", "two"])


def test_gaps_have_intervals_and_the_papers_gap():
    fig = plots.draw_gaps({("A", "B"): gaps(), ("A", "C"): pd.DataFrame()}, "mDice", made_up={"one", "two"})
    assert [ax.get_title() for ax in fig.axes] == ["A − B"]
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["made-up one", "made-up two"]
    ends = [c.get_segments()[0] for c in fig.axes[0].collections]
    assert [x for line in ends for x, _ in line] == pytest.approx([0.01, 0.03, -0.04, 0.02])
    assert fig.axes[0].get_ylim() == (1.5, -0.5)  # the first on top
    assert [t.get_text() for t in fig.legends[0].get_texts()][1] == "the paper's, on the real sets"
    alone = plots.draw_gaps({("A", "B"): gaps().assign(paper=np.nan)}, "mDice")
    assert [t.get_text() for t in alone.legends[0].get_texts()] == ["ours, 95 % of the draws"]


def ordering():
    lines = [("one", "A", "B", "holds"), ("one", "C", "A", "reversed"), ("two", "A", "B", "undecided")]
    frame = pd.DataFrame(lines, columns=["dataset", "row", "other", "verdict"])
    return frame.assign(difference=[0.02, -0.03, 0.0], low=[0.01, -0.05, -0.1], high=[0.03, -0.01, 0.1], paper=0.05)


def test_orderings_are_coloured_by_verdict():
    fig = plots.draw_ordering(ordering(), "mDice")
    assert [ax.get_title() for ax in fig.axes] == ["one", "two"]
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["A − B", "C − A"]
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ["holds", "reversed", "undecided", "the paper's"]
    colours = [line.get_color() for line in fig.axes[0].lines if line.get_marker() == "o"]
    assert colours == [plots.VERDICTS["holds"], plots.VERDICTS["reversed"]]


def test_an_ordering_turned_to_one_row():
    fig = plots.draw_ordering(ordering(), "mDice", row="A")
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["− B", "− C"]
    ends = [c.get_segments()[0] for c in fig.axes[0].collections]
    assert [x for line in ends for x, _ in line] == pytest.approx([0.01, 0.03, 0.01, 0.05])
    diamonds = next(line for line in fig.axes[0].lines if line.get_marker() == "D")
    assert list(diamonds.get_xdata()) == pytest.approx([0.05, -0.05])


def test_accuracy_against_cost():
    costs = pd.Series({"A": 9.0, "B": 17.5, "D": 40.0}, name="multiply-adds (G)")
    ax = plots.draw_accuracy_against_cost(table(), costs, "mDice").axes[0]
    ours, paper = ax.lines
    assert list(ours.get_xdata()) == [9, 17.5, 40] and list(ours.get_ydata()[:2]) == pytest.approx([0.6, 0.7])
    assert np.isnan(ours.get_ydata()[2]) and paper.get_ydata()[2] == pytest.approx(0.99)
    assert ax.get_xlabel() == "multiply-adds (G)" and ax.get_xscale() == "log"
    on_two = (table()["row"] == "A") & (table()["dataset"] == "two")
    for missing in (table().assign(ours=table()["ours"].mask(on_two)), table()[~on_two]):
        ax = plots.draw_accuracy_against_cost(missing, costs, "mDice").axes[0]
        one = table()[(table()["dataset"] == "one") & (table()["metric"] == "mDice")].set_index("row")["ours"]
        assert list(ax.lines[0].get_ydata()[:2]) == pytest.approx([one["A"], one["B"]]), "a mean over the same sets"
        assert ax.get_ylabel() == "mDice, mean of 1 data set"


def test_names_of_near_points_lie_apart():
    near = pd.DataFrame(
        {"row": list("ABCD"), "dataset": "one", "metric": "mDice", "data": "real", "ours": [0.8, 0.8, 0.795, 0.5]}
    ).assign(paper=float("nan"))
    costs = pd.Series({"A": 9.0, "B": 9.01, "C": 9.3, "D": 40.0}, name="multiply-adds (G)")
    ax = plots.draw_accuracy_against_cost(near, costs, "mDice").axes[0]
    boxes = [text.get_window_extent() for text in ax.texts]
    assert [text.get_text() for text in ax.texts] == list("ABCD")
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_many_panels_stand_in_several_rows():
    pair = pd.DataFrame({"difference": [0.1], "low": [0.0], "high": [0.2], "paper": [0.1], "color": ["C0"]}, ["A"])
    fig = plots.draw_intervals({f"set {i}": pair for i in range(7)}, (7, 1.5), {"ours": "C0"}, None)
    assert [ax.get_visible() for ax in fig.axes] == [True] * 7 + [False] and tuple(fig.get_size_inches()) == (7, 3)
    assert [ax.get_title() for ax in fig.axes[:7]] == [f"set {i}" for i in range(7)]


def scores(values, dataset="one"):
    names = [f"image{i}" for i in range(len(values))]
    return pd.DataFrame({"dataset": dataset, "image": names, "mDice": values, "MAE": values})


def test_scatter_pairs_by_name():
    a, b = scores([0.9, 0.8, 0.1, 0.5]), scores([0.5, 0.7, 0.2]).iloc[::-1]
    ax = plots.draw_scatter(a, b, "mDice", ("A", "B")).axes[0]
    points = sorted(map(tuple, np.asarray(ax.collections[0].get_offsets()).tolist()))
    assert points == [(0.2, 0.1), (0.5, 0.9), (0.7, 0.8)]
    assert ax.get_title() == "A better on 67% of 3 images" and ax.get_ylabel() == "mDice of A"
    assert plots.draw_scatter(a, b, "MAE", ("A", "B")).axes[0].get_title().startswith("A better on 33%")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The two rows of the polyp study that the smoke profile runs, with random weights and scores laid down."""
    results, rng = tmp_path_factory.mktemp("results"), np.random.default_rng(0)
    for row in ("MSNet", "M2SNet"):
        run = STUDIES["polyps"].runs(row, "smoke", "phantom")[0]
        folder = run_folder(run, results)
        folder.mkdir(parents=True)
        parts, used = [], [{"name": "training", "split": "train", "images": 1, "fingerprint": ""}]
        for name in run.test_sets[:2]:
            used.append({"name": name, "split": "test", "images": run.test_limit, "fingerprint": ""})
            names = datasets.load_images(name, "test", "phantom", run.test_limit).names
            parts.append(pd.DataFrame({"dataset": name, "image": names, "mDice": rng.random(len(names)), "MAE": 0.1}))
        pd.concat(parts).to_csv(folder / SCORES, index=False)
        (folder / RECORD).write_text(json.dumps({"settings": asdict(run), "data": used}))
        save_file(
            {k: v.contiguous() for k, v in build_network(run, pretrained=False).state_dict().items()}, folder / MODEL
        )
    return results


def test_scores_of_a_row(finished):
    found = tables.open("polyps", "smoke", "phantom", finished).scores("M2SNet")
    assert list(found["dataset"].unique()) == list(STUDIES["polyps"].datasets)[:2] and len(found) == 6
    assert plots.draw_scatter(found, found, "mDice").axes[0].get_title().startswith("a better on 0% of 6")


def test_qualitative_chooses_the_median_and_the_worst(finished):
    rows = ["U-Net", "MSNet", "M2SNet"]  # the first has no run here
    fig = tables.open("polyps", "smoke", "phantom", finished).predictions(rows)
    titles = np.array([ax.get_title() for ax in fig.axes]).reshape(-1, 4)
    assert titles.shape == (4, 4)  # two sets, median and worst; image, mask and two networks
    assert [title.partition("\n")[0] for title in titles[:2, 0]] == ["ColonDB, median", "ColonDB, worst"]
    assert titles[0, 2].startswith("MSNet\nmDice 0.") and titles[0, 3].startswith("M2SNet\nmDice 0.")
    two = [tables.open("polyps", "smoke", "phantom", finished).scores(row) for row in rows[1:]]
    mean = pd.concat(two).query("dataset == 'colondb'").groupby("image")["mDice"].mean().sort_values()
    assert [title.partition("\n")[2].replace("\n", "") for title in titles[:2, 0]] == [mean.index[1], mean.index[0]]
    unknown = {"colondb": ["no such image"]}
    assert tables.open("polyps", "smoke", "phantom", finished).predictions(rows, unknown) is None
    one = tables.open("polyps", "smoke", "phantom", finished).predictions(rows, {"colondb": [mean.index[2]]})
    assert len(one.axes) == 4


def test_failures_are_the_worst_first(finished):
    fig = tables.open("polyps", "smoke", "phantom", finished).failures("M2SNet", count=5)
    shown = [float(ax.get_title().rpartition(" ")[2]) for ax in fig.axes if ax.get_title()]
    found = tables.open("polyps", "smoke", "phantom", finished).scores("M2SNet")["mDice"]
    assert shown == pytest.approx(sorted(found)[:5], abs=0.006) and len(fig.axes) == 8


def test_without_a_checkpoint_or_the_images_nothing_is_drawn(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(predictions, "MODEL", "gone.safetensors")
    assert tables.open("polyps", "smoke", "phantom", finished).predictions(["M2SNet"]) is None
    monkeypatch.undo()

    def absent(*_):
        raise predictions.InputError("not found")

    monkeypatch.setattr(predictions, "load_images", absent)
    assert tables.open("polyps", "smoke", "phantom", finished).failures("M2SNet") is None


def test_show_marks_and_keeps(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
    monkeypatch.setattr(plt, "show", lambda: None)
    for data, kind, patients, folder in (
        ("phantom", "phantom", True, "figures"),
        ("some/folder", "real", True, "notebooks"),
        ("some/folder", "real", False, "figures"),
    ):
        fig = plt.figure()
        tables.open("polyps", "smoke", data).show(fig, f"20_{patients}", patients)
        assert (tmp_path / f"smoke-{kind}" / folder / f"20_{patients}.png").is_file()
        assert [t.get_text() for t in fig.texts] == (["made-up images"] if kind == "phantom" else [])
