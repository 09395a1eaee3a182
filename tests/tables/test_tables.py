"""Tables: where every cell comes from, and that no number is called ours unless a score file holds it."""

import json
import time
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from m2s import tables
from m2s.errors import InputError
from m2s.runs import plan
from m2s.runs.store import run_folder
from m2s.studies import STUDIES, published
from m2s.studies.m2snet import OTHER_TEAM
from m2s.studies.profiles import PROFILES, Profile
from m2s.studies.study import Status
from m2s.tables import comparisons
from m2s.tables import results as opened
from m2s.tables.ablation import find_steps
from m2s.tables.cells import COSTS, KEYS, REPRINTS, _cells, fill_gains, versus
from m2s.tables.comparisons import bootstrap_pairs
from m2s.tables.text import wide_table, write_table

POLYPS = STUDIES["polyps"]
SETS = tuple(POLYPS.datasets)
MISSING = "ETIS-LaribPolypDB not found in the data folder"
REAL = "some/folder"


@pytest.fixture
def three_seeds(monkeypatch):
    """The smoke profile with the seeds 0, 1 and 2."""
    profile = PROFILES["smoke"]
    monkeypatch.setitem(PROFILES, "smoke", Profile(**{**vars(profile), "seeds": (0, 1, 2)}))


def finish(run, results, dice=0.5, sets=SETS, missing=(), images=4):
    """Lay down what a finished run leaves: made-up scores around ``dice``, and the record that goes with them."""
    folder = run_folder(run, results)
    folder.mkdir(parents=True)
    names = [f"image{i}" for i in range(images)]
    per_image = dice + np.linspace(-0.1, 0.1, images)
    scores = [
        pd.DataFrame({"dataset": name, "image": names} | {metric: per_image for metric in POLYPS.metrics})
        for name in sets
    ]
    pd.concat(scores).to_csv(folder / "scores.csv", index=False)
    described = [{"name": name, "split": "test", "images": images, "fingerprint": "0"} for name in sets]
    record = {
        "key": run.key,
        "settings": asdict(run),
        "weights": "random",
        "finished": "2026-01-02 03:04 UTC",
        "parameters": 1,
        "data": [{"name": "kvasir+clinicdb", "split": "train", "images": 8, "fingerprint": "0"}, *described],
        "missing": {name: MISSING for name in missing},
        "machine": {"processor": "A processor", "cores": 2, "gpu": None, "versions": {"torch": "2.0"}},
    }
    (folder / "record.json").write_text(json.dumps(record))
    return folder


def run_of(row, data="phantom", profile="smoke", seed=0):
    return POLYPS.runs(row, profile, data)[seed]


def cell(table, row, dataset, metric="mDice"):
    return table.set_index(KEYS).loc[(row, dataset, metric)]


def test_no_file_is_read_and_no_set_looked_for_twice(tmp_path, monkeypatch):
    looked, read = [], []
    load, scores = plan.load_images, opened.load_scores
    monkeypatch.setattr(plan, "load_images", lambda *a: looked.append(a) or load(*a))
    monkeypatch.setattr(opened, "load_scores", lambda run, folder: read.append(run.key) or scores(run, folder))
    (tmp_path / "data").mkdir()
    table = tables.open("polyps", "full", str(tmp_path / "data"), tmp_path).table()
    assert table["reason"].str.contains("not found in the data folder").sum() > 50
    assert len(looked) <= 3, "once for each choice of encoder and LossNet, not for each row and set"

    for row in ("MSNet", "M2SNet", "PraNet"):
        finish(run_of(row), tmp_path)
    book = tables.open("polyps", "smoke", "phantom", tmp_path)
    book.table(), book.ordering(), book.gaps("M2SNet", "MSNet")
    assert len(read) == len(set(read)) == 3


def test_tables_and_bootstrap_take_time_in_proportion_to_the_images(tmp_path):
    """From 10 to 10,000 test images a set, in seconds of the processor."""
    seconds = {}
    for images in (10, 100, 1000, 10_000):
        for dice, row in ((0.5, "MSNet"), (0.6, "M2SNet")):
            finish(run_of(row), tmp_path / str(images), dice, images=images)
        start = time.process_time()
        book = tables.open("polyps", "smoke", "phantom", tmp_path / str(images))
        assert cell(book.table(), "M2SNet", "ETIS")["images"] == images
        assert book.gaps("M2SNet", "MSNet")["difference"].to_numpy() == pytest.approx(0.1)
        seconds[images] = time.process_time() - start
    assert seconds[10_000] < 30
    assert seconds[10_000] < 20 * seconds[1000]


def test_without_a_run_nothing_is_ours(tmp_path):
    table = tables.open("polyps", "smoke", "phantom", tmp_path).table()
    assert len(table) == 9 * 5 * 6
    assert table[["ours", "sd"]].isna().all().all() and not table["images"].any()
    assert table["paper"].tolist() == published.load_table()["value"].tolist()  # all of it, in the order of print
    waiting = cell(table, "M2SNet", "ETIS")
    team = cell(tables.open("oct", "smoke", "phantom", tmp_path).table(), "LaTIM", "GOALS RNFL", "Dice")
    assert waiting["status"] == "not run"
    assert waiting["reason"] == "not run yet: m2s reproduce --profile smoke --data phantom --only 20_polyp_table"
    assert (team["status"], team["reason"]) == ("published only", str(OTHER_TEAM))
    real = tables.open("polyps", "full", REAL, tmp_path).table()
    assert cell(real, "MSNet", "ETIS")["reason"].endswith("--profile full --data FOLDER --only 20_polyp_table")


def test_a_measured_cell_says_what_it_is(tmp_path):
    run = run_of("M2SNet")
    finish(run, tmp_path, dice=0.6)
    table = tables.open("polyps", "smoke", "phantom", tmp_path).table()
    ours = cell(table, "M2SNet", "Kvasir")
    assert ours["ours"] == pytest.approx(0.6) and ours["paper"] == 0.912
    assert np.isnan(ours["sd"])  # one seed: the spread over images is another thing
    assert (ours["seeds"], ours["seed_list"], ours["images"], ours["runs"]) == (1, "0", 4, run.key)
    assert (ours["status"], ours["data"]) == ("measured", "made-up")
    assert ours["reason"].startswith("made-up images, not the paper's data; here test_efficientnet, 64 px, 2 epochs")
    assert "profile paper: res2net50d, 352 px, 50 epochs, LossNet on vgg16 weighted 0.1" in ours["reason"]
    assert (table["status"] == "measured").sum() == 30
    assert table["ours"].notna().equals(table["status"] == "measured")
    assert (cell(table, "MSNet", "Kvasir")["status"], cell(table, "UTNet", "Kvasir")["doubt"]) == ("not run", "")
    assert cell(table, "UTNet", "ColonDB")["doubt"]


def test_seeds_are_averaged_and_counted(tmp_path, three_seeds):
    for seed, dice in enumerate((0.5, 0.6)):
        finish(run_of("M2SNet", seed=seed), tmp_path, dice)
    ours = cell(tables.open("polyps", "smoke", "phantom", tmp_path).table(), "M2SNet", "CVC-300")
    assert ours["ours"] == pytest.approx(0.55) and ours["sd"] == pytest.approx(0.1 / np.sqrt(2))
    assert (ours["seeds"], ours["seed_list"]) == (2, "0 1") and "2 of 3 seeds so far" in ours["reason"]


def test_the_papers_own_settings_need_no_excuse(tmp_path):
    finish(run_of("M2SNet", REAL, "paper"), tmp_path, sets=("kvasir",), images=100)
    ours = cell(tables.open("polyps", "paper", REAL, tmp_path).table(), "M2SNet", "Kvasir")
    assert (ours["data"], ours["reason"]) == ("real", "1 of 3 seeds so far")


def test_a_test_set_that_was_not_there(tmp_path):
    found = tuple(name for name in SETS if name not in ("etis", "cvc300"))
    finish(run_of("M2SNet", REAL), tmp_path, sets=found, missing=("etis",))
    table = tables.open("polyps", "smoke", REAL, tmp_path).table()
    etis, forgotten = cell(table, "M2SNet", "ETIS"), cell(table, "M2SNet", "CVC-300")
    assert (etis["status"], etis["reason"]) == ("not run", f"not run: {MISSING}")
    assert forgotten["status"] == "not run" and "was not scored on this set" in forgotten["reason"]
    assert np.isnan(etis["ours"]) and np.isnan(forgotten["ours"])
    assert cell(table, "M2SNet", "ClinicDB")["status"] == "measured"


@pytest.mark.parametrize("damage", ["no file", "a row less"])
def test_no_number_without_a_whole_score_file(tmp_path, damage):
    scores = finish(run_of("M2SNet"), tmp_path) / "scores.csv"
    if damage == "no file":
        scores.unlink()
    else:
        scores.write_text("\n".join(scores.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(InputError, match=r"scores\.csv .*delete the record"):
        tables.open("polyps", "smoke", "phantom", tmp_path).table()


def test_a_half_written_run_is_not_a_result(tmp_path):
    folder = finish(run_of("M2SNet"), tmp_path)
    folder.rename(folder.with_name(folder.name + ".partial"))
    assert not (tables.open("polyps", "smoke", "phantom", tmp_path).table()["status"] == "measured").any()


def test_percent(tmp_path, monkeypatch):
    """Ours is given in the paper's unit."""
    monkeypatch.setattr(published, "load_table", lambda name, load=published.load_table: load(name).assign(unit="%"))
    finish(run_of("M2SNet"), tmp_path, dice=0.6)
    table = tables.open("polyps", "smoke", "phantom", tmp_path).table()
    assert cell(table, "M2SNet", "Kvasir")["ours"] == pytest.approx(60)


def test_names_that_do_not_exist(tmp_path):
    with pytest.raises(InputError, match="unknown study 'polyp': did you mean polyps"):
        tables.open("polyp", "smoke", "phantom", tmp_path).table()
    with pytest.raises(InputError, match="unknown profile"):
        tables.open("polyps", "tiny", "phantom", tmp_path).table()
    with pytest.raises(InputError, match="unknown row of study polyps 'M2Net'"):
        tables.open("polyps", "smoke", "phantom", tmp_path).gaps("M2Net", "MSNet", "mDice")


def test_versus_holds_every_published_cell_once(tmp_path):
    finish(run_of("M2SNet"), tmp_path, dice=0.6)
    table = versus("smoke", "phantom", tmp_path)
    cells = ["name", "row", "dataset", "metric"]
    printed = pd.concat([published.load_table(name).assign(name=name) for name in published.list_tables()])
    assert not table.duplicated(cells).any()
    assert set(map(tuple, table[cells].to_numpy())) == set(map(tuple, printed[cells].to_numpy()))
    assert len(table) == len(printed) and table["value"].sum() == pytest.approx(printed["value"].sum())
    assert set(table["status"]) == {"measured", "published only", "not run"} and (table["reason"] != "").all()
    measured = table[table["status"] == "measured"]
    assert measured["name"].value_counts().to_dict() == {
        "m2snet_v1_table01": 30,
        "m2snet_revised_table01": 30,
        "m2snet_revised_table07": 4,  # the row "MSNet framework" is the same run
    }
    assert table["ours"].notna().equals(table["status"] == "measured")
    assert (table.loc[table["dataset"] == "BTCV Avg", "reason"] == "not run: no study covers this cell").all()
    differences = table[table["row"].str.contains(", gain over ")]
    told = {"published only: a gain over another row, and not both are measured"}
    assert set(differences["reason"]) == told, "in parameters as well"
    assert set(table.loc[table["metric"] == "IoU_stars", "status"]) == {"published only"}


def test_versus_takes_what_is_counted_without_a_run(tmp_path):
    counted = pd.DataFrame(
        {
            "table": ["m2snet_v1_table06", "m2snet_revised_table14"],
            "row": ["M2SNet", "M2SNet"],
            "metric": ["Params_M", "FLOPs_G"],
            "ours": [27.7, 8.9],
            "reason": ["with res2net50d", "at 256 px"],
        }
    )
    (tmp_path / "tables").mkdir()
    for name, line in zip(COSTS[:2], (counted[:1], counted[1:]), strict=True):
        line.to_csv(tmp_path / "tables" / name, index=False)
    table = versus("smoke", "phantom", tmp_path)
    measured = table[table["status"] == "measured"].set_index("name").loc[counted["table"]].reset_index()
    assert measured[["name", "row", "metric", "ours", "reason"]].to_numpy().tolist() == counted.to_numpy().tolist()


def test_gains_follow_from_the_rows_they_compare():
    """With the printed figures in the place of ours, the gains are the printed ones, but for their doubts."""
    names = ["m2snet_v1_table08", "m2snet_revised_table14", "lgmsnet_table06"]
    printed = pd.concat([published.load_table(name).assign(name=name) for name in names], ignore_index=True)
    gains = printed["row"].str.contains(", gain over ")
    table = printed.assign(ours=printed["value"].mask(gains), status=Status.MEASURED, reason="here 128 px")
    table = table.assign(seeds=3, seed_list="0 1 2", images=60, data="real", runs="a-run")
    table.loc[gains, "status"] = Status.PUBLISHED
    table.loc[(table["row"] == "MSNet") & (table["dataset"] == "BUSI"), ["seeds", "images"]] = 1, 50
    filled = fill_gains(table)
    pd.testing.assert_frame_equal(filled[~gains], table[~gains], check_dtype=False)
    filled = filled[gains]
    assert set(filled["status"]) == {"measured"} and set(filled["runs"]) == {"a-run a-run"} and len(filled) == 120
    assert filled.loc[filled["dataset"] == "BUSI", ["seeds", "images"]].min().to_list() == [1, 50]
    assert (filled["reason"] == "from the rows of both; here 128 px").all()
    sure = filled[filled["doubt"] == ""]
    assert (sure["ours"] - sure["value"]).abs().max() < 0.06, "one digit behind the point is printed, for some two"
    table.loc[table["row"] == "MSNet", "status"] = Status.NOT_RUN
    filled = fill_gains(table)[gains]
    assert set(filled.loc[filled["status"] == "measured", "name"]) == {"lgmsnet_table06"}, "MSNet is in no pair of it"


def test_seeds_are_compared_on_the_same_sets(monkeypatch):
    """One seed alone was scored on videos, too: its mean leaves them out."""
    places = {"seed": [0, 0, 1], "dataset": ["images", "videos", "images"], "image": "x"}
    scores = {"A": pd.DataFrame(places | {"mDice": [0.6, 0.1, 0.7]}), "B": pd.DataFrame(places | {"mDice": 0.5})}
    monkeypatch.setattr(comparisons, "_gather_scores", lambda results, row, metric: scores[row])
    assert comparisons.find_gaps_by_seed(None, "A", "B") == pytest.approx({0: 0.1, 1: 0.2})


def test_reprints_are_the_same_tables():
    """The two versions share 720 cells (README of the published tables)."""
    shared = 0
    for pair in REPRINTS.items():
        first, revised = (published.load_table(name).set_index(KEYS).index for name in pair)
        assert len(first.intersection(revised)), pair
        shared += len(first.intersection(revised))
    assert shared == 720


def test_wide_marks_every_kind_of_cell(tmp_path, three_seeds):
    for seed, dice in enumerate((0.5, 0.6)):
        finish(run_of("M2SNet", seed=seed), tmp_path, dice)
    table = tables.open("polyps", "smoke", "phantom", tmp_path).table()
    shown = wide_table(table[table["metric"].isin(["mDice", "MAE"])])
    assert shown.shape == (9, 10) and list(shown.index) == list(POLYPS.rows)
    assert shown.columns.names[0] == "ours, on made-up images (the paper's, on the real sets)"
    assert shown.loc["M2SNet", ("made-up Kvasir", "mDice")] == "0.550 ± 0.071 (0.912)"
    assert shown.loc["MSNet", ("made-up Kvasir", "mDice")] == "not run (0.907)"
    assert shown.loc["UTNet", ("made-up ColonDB", "mDice")] == "not run (0.676?)"
    layers = wide_table(tables.open("oct", "smoke", "phantom", tmp_path).table())
    assert layers.loc["LaTIM", ("made-up GOALS RNFL", "Dice")] == "– (0.955)"
    real = wide_table(tables.open("polyps", "smoke", REAL, tmp_path).table())
    assert real.columns.names[0] == "ours (the paper's)" and ("Kvasir", "mDice") in real.columns


def test_write_keeps_the_conditions_with_the_numbers(tmp_path):
    finish(run_of("M2SNet"), tmp_path)
    finish(run_of("U-Net"), tmp_path)
    book = tables.open("polyps", "smoke", "phantom", tmp_path)
    table, line = book.table(), book.settings()
    for part in ("smoke", "made-up images", "unet, m2snet", "test_efficientnet", "64 px", "2 epochs", "seed 0"):
        assert part in line
    assert (
        "no LossNet (unet), LossNet on tf_efficientnet_lite0 weighted 0.001 (m2snet)" in line
        and "A processor, 2 cores" in line
    )
    written = write_table(table, tmp_path / "tables", "polyps", "A title", line)
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == ["polyps.csv", "polyps.md", "polyps.tex"]
    again = pd.read_csv(written[0], keep_default_na=False, na_values={"ours": "", "sd": "", "paper_spread": ""})
    pd.testing.assert_frame_equal(again, table, check_dtype=False)
    markdown = written[1].read_text()
    assert line in markdown and "| M2SNet | 0.500 (0.912) |" in markdown and "made-up Kvasir" in markdown
    assert "60 cells measured (U-Net, M2SNet; ColonDB" not in markdown  # their reasons differ: LossNet
    assert r"\toprule" in written[2].read_text() and f"% {line}" in written[2].read_text()


def test_settings_before_anything_ran(tmp_path):
    assert (
        tables.open("polyps", "lab", REAL, tmp_path).settings()
        == "Profile lab, real data sets: nothing has been run yet."
    )


def scores(values, dataset="kvasir"):
    names = [f"image{i}" for i in range(len(values))]
    return pd.DataFrame({"dataset": dataset, "image": names, "mDice": values})


def test_bootstrap_of_equal_networks_contains_zero():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.4, 0.9, 100)
    a, b = (pd.concat([scores(truth + rng.normal(0, 0.05, 100)), scores(truth, "etis")]) for _ in "ab")
    found = bootstrap_pairs(a, b)
    assert list(found.index) == ["kvasir", "etis"]
    assert found.loc["kvasir", "low"] < 0 < found.loc["kvasir", "high"] and 0.02 < found.loc["kvasir", "share"] < 0.98
    assert found.loc["etis", ["difference", "low", "high", "share"]].tolist() == [0, 0, 0, 0.5]


def test_bootstrap_finds_a_known_difference():
    rng = np.random.default_rng(1)
    truth, noise = rng.uniform(0.2, 0.9, 200), rng.normal(0, 0.1, 200)
    a, b = scores(truth + 0.03 + noise), scores(truth)
    found = bootstrap_pairs(a, b).loc["kvasir"]
    assert found["difference"] == pytest.approx(0.03 + noise.mean())
    error = noise.std() / np.sqrt(200)  # of the mean; a percentile interval is about 1.96 of them to each side
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert found["low"] < found["difference"] < found["high"] and found["share"] > 0.99
    swapped = bootstrap_pairs(b, a).loc["kvasir"]
    assert swapped[["low", "high"]].tolist() == pytest.approx([-found["high"], -found["low"]])
    shuffled = bootstrap_pairs(a, b.sample(frac=1, random_state=0)).loc["kvasir"]  # pairs go by name
    assert shuffled.tolist() == pytest.approx(found.tolist())


def test_bootstrap_needs_the_same_images():
    with pytest.raises(InputError, match="not scored on the same images"):
        bootstrap_pairs(scores([0.1, 0.2, 0.3]), scores([0.1, 0.2]))
    with pytest.raises(InputError, match="not scored on the same images"):
        bootstrap_pairs(scores([]), scores([]))
    with pytest.raises(InputError, match="unknown metric 'mdice': did you mean mDice"):
        bootstrap_pairs(scores([0.1]), scores([0.1]), "mdice")


@pytest.mark.parametrize(("images", "verdict"), [(19, "undecided"), (20, "holds")])
def test_from_few_images_there_is_no_interval_and_no_verdict(tmp_path, images, verdict):
    """Nowhere does an interval without 0 stand beside "undecided": without a verdict there is no interval."""
    for row, dice in (("M2SNet", 0.6), ("MSNet", 0.5)):
        finish(run_of(row), tmp_path, dice, sets=("kvasir",), images=images)
    book = tables.open("polyps", "smoke", "phantom", tmp_path)
    pair, gap = book.ordering("mDice").iloc[0], book.gaps("M2SNet", "MSNet").loc["Kvasir"]
    told = book.differences("MSNet").loc["M2SNet", "Kvasir"]
    assert pair["verdict"] == verdict and gap["difference"] == pytest.approx(0.1)
    assert find_steps(book, "MSNet")["verdict"].tolist() == ["ahead" if verdict == "holds" else "undecided"]
    limits = np.array([pair["low"], pair["high"], gap["low"], gap["high"], gap["share"]], float)
    assert np.isnan(limits).all() if verdict == "undecided" else np.isfinite(limits).all()
    assert told == ("+0.100" if verdict == "undecided" else "+0.100 [+0.100, +0.100]")


def test_gaps_beside_the_papers(tmp_path):
    found = ("clinicdb", "kvasir", "colondb")
    finish(run_of("M2SNet"), tmp_path, dice=0.6, sets=found, images=20)
    assert tables.open("polyps", "smoke", "phantom", tmp_path).gaps("M2SNet", "MSNet", "mDice").empty
    finish(run_of("MSNet"), tmp_path, dice=0.5, sets=found[1:], images=20)
    gaps = tables.open("polyps", "smoke", "phantom", tmp_path).gaps("M2SNet", "MSNet", "mDice")
    assert list(gaps.index) == ["Kvasir", "ColonDB"]
    assert gaps.loc["Kvasir", ["difference", "low", "high"]].tolist() == pytest.approx([0.1] * 3)
    assert gaps.loc["Kvasir", "paper"] == pytest.approx(0.912 - 0.907) and gaps.loc["Kvasir", "images"] == 20
    errors = tables.open("polyps", "smoke", "phantom", tmp_path).gaps("M2SNet", "MSNet", "MAE")
    assert errors.loc["ColonDB", "difference"] == pytest.approx(-0.1)  # ours is 0.6 against 0.5: worse
    assert errors.loc["ColonDB", "paper"] == pytest.approx(0.041 - 0.038)


def test_the_order_of_print_holds_is_reversed_or_undecided(tmp_path):
    for row, dice in (("M2SNet", 0.6), ("MSNet", 0.7), ("U-Net", 0.6)):
        finish(run_of(row), tmp_path, dice, sets=("kvasir",), images=20)
    book = tables.open("polyps", "smoke", "phantom", tmp_path)
    verdicts = book.ordering("mDice").set_index(["row", "other"])["verdict"].to_dict()
    assert verdicts == {
        ("M2SNet", "MSNet"): "reversed",
        ("MSNet", "U-Net"): "holds",
        ("M2SNet", "U-Net"): "undecided",
    }
    assert book.sentence("mDice").startswith("The paper's ordering holds in part (mDice, made-up images")
    assert "of 3 printed differences between 3 rows on 1 test set, 1 have the same" in book.sentence("mDice")


def test_sets_that_a_table_does_not_print_are_judged_by_those_that_it_does(tmp_path):
    kernels = STUDIES["kernels"]
    three, one = (kernels.runs(f"M2SNet (kernel scales {k})", "full", REAL)[0] for k in ("1,3,5", "1"))
    finish(three, tmp_path, 0.6, sets=("kvasir",), images=20), finish(one, tmp_path, 0.5, sets=("kvasir",), images=20)
    pair = tables.open("kernels", "full", REAL, tmp_path).ordering("mDice").iloc[0]
    assert (pair["dataset"], pair["beside"], pair["verdict"]) == ("Kvasir", "ETIS", "holds")
    assert pair["paper"] == pytest.approx(0.749 - 0.719)  # of ETIS, the only polyp set in Table 13
    told = tables.open("kernels", "full", REAL, tmp_path).differences("M2SNet (kernel scales 1)", "mDice")
    assert told.to_dict() == {"Kvasir": {"M2SNet (kernel scales 1,3,5)": "+0.100 [+0.100, +0.100]"}}
    text = tables.open("kernels", "full", REAL, tmp_path).sentence("mDice")
    assert "(1 on sets that the table does not print: Kvasir by the printed differences on ETIS)" in text
    assert STUDIES["lung"].beside("COVID-SemiSeg") == ("Lung infection",)


def test_cells_that_a_table_does_not_print_have_the_unit_of_its_scores_not_of_its_gains():
    cells = _cells(tables.open("styles", "paper", "phantom"))
    extra = cells[(cells["dataset"] == "Kvasir") & (cells["metric"] == "mDice")]
    assert len(extra) == len(STUDIES["styles"].rows) and set(extra["unit"]) == {""}


def test_html_in_a_record_is_text(tmp_path, monkeypatch):
    """Records may come from anybody; what they say is shown as Markdown, in notebooks and on the site."""
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    folder = finish(run_of("M2SNet"), tmp_path / "smoke-phantom", sets=SETS[:1], missing=["etis"])
    record = json.loads((folder / "record.json").read_text())
    record |= {"weights": evil, "remark": evil, "missing": {"etis": evil}}
    record["machine"]["processor"] = evil
    (folder / "record.json").write_text(json.dumps(record))
    book = tables.open("polyps", "smoke", "phantom")
    book.write(book.table(), "evil")
    written = (tmp_path / "smoke-phantom" / "tables" / "evil.md").read_text()
    assert written.count("&lt;script&gt;") >= 3 and "<script" not in written and "<img" not in written
    data = pd.DataFrame({evil: [evil]}, index=[evil])
    assert "<script" not in data._repr_html_(), "names of files and classes are shown in plain tables"
