"""What README and docs/results.md say is there: links, notebooks, commands, and the measured numbers they show."""

import json
import re

import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import save_file

import m2s
from m2s import encoders, pretrained, tables, weights
from m2s.cli.commands import COMMANDS
from m2s.cli.main import main
from m2s.paths import ROOT
from m2s.studies import STUDIES

README = (ROOT / "README.md").read_text()
RESULTS = (ROOT / "docs" / "results.md").read_text()
WORDS = " ".join(RESULTS.split())
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
REAL = "a folder of real data"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_exists(page):
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    local = [target for target in targets if not target.startswith("http")]
    assert [target for target in local if not (page.parent / target).exists()] == []
    assert page.name != "README.md" or len(local) > 45


def test_its_length_and_its_contents():
    lines = README.splitlines()
    assert len(lines) <= 130 and max(len(line) for line in lines if not line.startswith(("|", "!"))) < 140
    headings = {re.sub(r"\W+", "-", heading.lower()) for heading in re.findall(r"^## (.+)", README, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) == headings


def test_every_notebook_is_in_the_table():
    names = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {name for name in names if f"(notebooks/{name})" not in README} == set()
    table = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    assert {name for name in names if f"(../notebooks/{name})" not in table} == set()


def test_every_make_target_it_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"^(?:make|`make) (\w+)|`make (\w+)", README, re.MULTILINE))
    for target in {a or b for a, b in named}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with what the README's snippets name, and a tiny untrained network under the name that they load."""
    network = m2s.create_model("m2snet", encoder="test_efficientnet", pretrained=False)
    (tmp_path / "weights" / "m2snet-polyps").mkdir(parents=True)
    save_file(pretrained.halve_state(network.state_dict()), tmp_path / "weights" / "m2snet-polyps" / pretrained.MODEL)
    config = {"model": "m2snet", "encoder": "test_efficientnet", "options": {}, "num_classes": 1, "classes": ["polyp"]}
    config |= {"size": 64, "mean": network.mean, "std": network.std, "run": "untrained"}
    (tmp_path / "weights" / "m2snet-polyps" / pretrained.CONFIG).write_text(json.dumps(config), encoding="utf-8")
    Image.new("RGB", (90, 70), "pink").save(tmp_path / "photo.jpg")
    for number in range(5):
        for name, color in (("photos", "pink"), ("masks", "black")):
            (tmp_path / name).mkdir(exist_ok=True)
            with Image.new("RGB", (64, 64), color) as picture:
                picture.paste("white", (10 * number, 20, 10 * number + 16, 36))
                picture.save(tmp_path / name / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "weights")
    return tmp_path


def test_every_line_of_python_runs(home):
    snippets = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    names = {}
    for snippet in snippets:
        exec(snippet, names)
    assert names["probabilities"].shape == (70, 90) and 0 <= names["probabilities"].min() <= 1
    assert sum(p.numel() for p in names["untrained"].parameters()) > 2e7


def test_the_way_without_make_installs_all_that_it_needs():
    block = re.search(r"^```sh\npython -m venv .venv\n.*?^```", README, re.MULTILINE | re.DOTALL)[0]
    assert block in (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "--no-build-isolation" in block and re.search(r"^setuptools==", lock, re.MULTILINE)


def test_every_command_runs(home, monkeypatch):
    build = weights.create_timm  # the encoder of timm's tests has no pretrained weights
    monkeypatch.setattr(encoders, "create_timm", lambda name, pretrained, **rest: build(name, False, **rest))
    small = {"train": ["--encoder", "test_efficientnet", "--size", "64", "--epochs", "1"]}
    lines = re.findall(r"^\.venv/bin/m2s (.+?)(?: +#.*)?$", README, re.MULTILINE)
    assert lines
    for line in lines:
        assert main(line.split() + small.get(line.split()[0], [])) == 0, line
    assert {line.split()[0] for line in lines} == {"predict", "train"}
    assert set(re.findall(r"`\.venv/bin/m2s (\w+)", README)) <= COMMANDS.keys()
    written = {path.relative_to(home).as_posix() for path in (home / "maps").rglob("*.*")}
    assert written == {"maps/photo.png", "maps/overlays/photo.png"}


def read_cells(corner: str, page: str) -> dict[tuple[str, str], str]:
    """The cells of the results table whose header begins so, by row and column."""
    header, _, *lines = re.search(rf"(\| {re.escape(corner)}.*?)\n\n", page, re.DOTALL)[1].splitlines()
    columns = [cell.strip() for cell in header.strip("| ").split("|")][1:]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    return {(row, column): cell for row, *cells in rows for column, cell in zip(columns, cells, strict=True)}


def count_verdicts(study: str, metric: str = "mDice") -> list[int]:
    """The differences that are compared, and how many of them are confirmed, reversed and inconclusive."""
    found = tables.open(study, "full", REAL).ordering(metric)["verdict"]
    return [len(found), *found.value_counts().reindex(["holds", "reversed", "undecided"], fill_value=0)]


def test_the_mean_below_its_first_picture_is_measured():
    scores = pd.read_csv(ROOT / "results" / "readme" / "examples.csv")["mDice"]
    assert len(scores) == 100 and f"Mean of all: {scores.mean():.2f}" in README


def test_its_results_are_those_of_the_page_of_results():
    section = RESULTS.split("### At the paper's image size")[1]
    cells = read_cells("mDice, ours", README)
    assert len(cells) == 12 and cells == read_cells("mDice, ours", section)


def test_the_polyp_results_it_shows_are_the_measured_ones():
    cells = read_cells("mDice, ours", RESULTS)
    table = tables.open("polyps", "full", REAL).table()
    table = table[table["metric"] == "mDice"].set_index(["row", "dataset"])
    measured_rows = table.index[table["status"] == "measured"].get_level_values("row").unique()
    assert {row for row, _ in cells} == set(measured_rows) and len(cells) == 5 * len(measured_rows)
    for place, cell in cells.items():
        measured = table.loc[place]
        ours = f"{measured['ours']:.3f}" if measured["status"] == "measured" else "not run"
        if measured["seeds"] > 1:
            ours += f" ± {measured['sd']:.3f}"
        doubt = "?" if measured["doubt"] else ""
        assert cell == f"{ours} ({measured['paper']:.3f}{doubt})", place
    count, confirmed, reversed_, inconclusive = count_verdicts("polyps")
    counts = f"{confirmed} of {count} differences are confirmed (95 % CI excludes 0), {reversed_} reversed, "
    for page in (README, RESULTS):
        assert counts + f"{inconclusive} inconclusive" in " ".join(page.split())


def test_the_video_results_it_shows_are_the_measured_ones():
    cells = read_cells("mDice on videos, ours", RESULTS)
    book = tables.open("videos", "full", REAL)
    table = book.table().query("metric == 'mDice' and status == 'measured'").set_index(["row", "dataset"])
    assert cells.keys() == set(table.index)
    for place, cell in cells.items():
        measured = table.loc[place]
        spread = f" ± {measured['sd']:.3f}" if measured["seeds"] > 1 else ""
        assert cell == f"{measured['ours']:.3f}{spread} ({measured['paper']:.3f})", place
    count, confirmed, reversed_, inconclusive = count_verdicts("videos")
    counts = f"{count} printed differences: {confirmed} confirmed, {reversed_} reversed, {inconclusive} inconclusive"
    assert counts in WORDS and f"The {len({row for row, _ in cells})} rows give" in WORDS
    gap, others = (gaps := book.gaps("M2SNet", "MSNet")).loc["CVC-300-TV"], gaps.drop("CVC-300-TV")
    interval = f"{gap.low:.3f} to {gap.high:.3f}; printed: {gap.paper:+.3f}"
    assert f"{gap.difference:+.3f} on CVC-300-TV ({interval})" in WORDS.replace("−", "-")
    assert ((others.low < 0) & (others.high > 0)).all()
    behind = [row for row in book.study.rows if row not in ("ACSNet", "MSNet", "M2SNet")]
    assert all((book.gaps("M2SNet", row)["low"] > 0).all() for row in behind)
    assert f"M2SNet is ahead of {', '.join(behind[:-1])} and {behind[-1]} on every set" in WORDS
    first, *others = (ahead := book.gaps("ACSNet", "M2SNet"))["difference"]
    told = f"by {first:.3f} (inconclusive), {others[0]:.3f} and {others[1]:.3f}"
    assert f"ACSNet is ahead of M2SNet on all three, against the print, {told}" in WORDS
    assert list(ahead["low"] > 0) == [False, True, True] and (ahead["paper"] < 0).all()


def test_lgmsnets_results_it_shows_are_the_measured_ones():
    at_home, unseen = (tables.open(study, "full", REAL).table() for study in ("lgmsnet", "generalisation"))
    measured = pd.concat([at_home, unseen])
    measured = measured[(measured["metric"] == "IoU") & (measured["status"] == "measured")]
    cells, expected = read_cells("IoU in %, ours", RESULTS), {}
    for cell in measured.itertuples():
        column = next(name for _, name in cells if name.startswith(cell.dataset))
        ours = f"{cell.ours:.1f}" + (f" ± {cell.sd:.1f}" if cell.sd > 0 else "")
        expected[cell.row, column] = ours + (f" ({cell.paper:.1f})" if cell.paper > 0 else "")
    assert {place: cell for place, cell in cells.items() if cell != "–"} == expected


def test_what_it_says_of_lgmsnet_in_words_is_measured():
    text = WORDS.replace("−", "-")
    gaps = (tables.open("lgmsnet", "full", REAL).gaps("LGMSNet", row, "IoU") for row in ("U-Net", "M2SNet"))
    unet, m2snet = (100 * gap.drop(columns="beside") for gap in gaps)
    for dataset in ("BUSI", "Kvasir", "ISIC 2018"):
        gap = unet.loc[dataset]
        interval = rf"{gap.low:.1f} to {gap.high:.1f}; printed: {gap.paper:.1f}"
        assert re.search(rf"{gap.difference:.1f} (points )?on {dataset} \(95 % CI {interval}\)", text)
    busi, isic = (m2snet.loc[name] for name in ("BUSI", "ISIC 2018"))
    assert f"behind LGMSNet on BUSI by {busi.difference:.1f} points ({busi.low:.1f} to {busi.high:.1f})" in text
    assert f"and on ISIC 2018 by {isic.difference:.1f} points ({isic.low:.1f} to {isic.high:.1f})" in text


def test_the_dice_it_says_of_volumes_is_measured():
    dice = tables.open("volumes", "full", REAL).table()
    dice = dice[(dice["metric"] == "Dice") & dice["dataset"].str.startswith("Hippocampus")]
    dice = dice.pivot(index="row", columns="dataset", values="ours")
    mean = dice.mean(axis=1)
    assert (
        f"{mean['LGMSNet']:.3f} for LGMSNet in 3-D, {mean['M2SNet in 3-D']:.3f} for M2SNet in 3-D and "
        f"{mean['U-Net in 3-D']:.3f} for MONAI's U-Net" in WORDS
    )
    released = dice.loc["M2SNet in 3-D, wiring as released"]
    assert f"misses a class ({released.iloc[0]:.3f} and {released.iloc[1]:.3f})" in WORDS
    norms = pd.read_csv(ROOT / "results" / "full-real" / "tables" / "53_lgmsnet_3d_norms.csv")
    assert "finds both ({:.3f} and {:.3f})".format(*norms["of the windows"]) in WORDS


def test_what_it_says_of_short_runs_is_measured():
    table = tables.open("short", "full", REAL).table().query("metric == 'mDice' and dataset == 'Kvasir'")
    scores = table.query("status == 'measured'").set_index("row")["ours"]
    limit = float(re.search(r"every pixel a polyp has an mDice of (\S+) on Kvasir", WORDS)[1])
    assert set(scores.index[scores <= limit]) == {"SAM 2", "MedSAM-2"} and len(scores) >= 30


@pytest.mark.parametrize("study", ["aggregation", "losses", "kernels", "styles"])
def test_the_verdicts_it_counts_are_those_of_the_runs(study):
    counts = rf"{STUDIES[study].notebook}.md\) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|"
    counts = re.search(counts, RESULTS).groups()
    assert [int(count) for count in counts] == count_verdicts(study)


def test_what_it_says_of_lung_and_breast_is_measured():
    for study, rows, form in (
        ("lung", ("MSNet", "U-Net", "M2SNet", "Inf-Net"), "{row} {ours:.3f}"),
        ("breast", ("MSNet", "M2SNet", "U-Net"), "{row} {ours:.1f} ± {sd:.1f}"),
    ):
        table = tables.open(study, "full", REAL).table()
        dice = table[(table["metric"] == "Dice") & (table["status"] == "measured")].set_index("row")
        assert ", ".join(form.format(row=row, **dice.loc[row]) for row in rows) in WORDS
    _, confirmed, reversed_, inconclusive = count_verdicts("lung", "Dice")
    assert f"six differences {confirmed} are confirmed, {reversed_} reversed, {inconclusive} inconclusive" in WORDS
    breast = tables.open("breast", "full", REAL).ordering("Dice").set_index(["row", "other"])["verdict"]
    assert breast.sort_values().to_list() == ["holds", "holds", "reversed"] and "M2SNet against MSNet is rev" in WORDS
    assert breast["M2SNet", "MSNet"] == "reversed"


def test_what_it_says_of_m2snet_and_msnet_is_measured():
    book = tables.open("polyps", "full", REAL)
    gaps = book.gaps("M2SNet", "MSNet", "mDice")
    colon = gaps.loc["ColonDB"]
    interval = f"95 % CI {colon.low:.3f} to {colon.high:.3f}; printed: {colon.paper:.3f}"
    assert f"better on ColonDB by {colon.difference:.3f} ({interval})" in WORDS
    others = gaps.drop("ColonDB")
    assert ((others.low < 0) & (others.high > 0)).all()
    assert f"inconclusive (printed: {others.paper.min():.3f} to {others.paper.max():.3f})" in WORDS
    for row in ("MSNet", "M2SNet"):
        low = book.gaps(row, "U-Net", "mDice")["low"]
        assert (low.drop("ClinicDB") > 0).all() and low["ClinicDB"] < 0


def test_the_cells_it_counts_are_those_of_the_table_of_all():
    cells = pd.read_csv(ROOT / "results" / "full-real" / "tables" / "paper_vs_ours.csv")
    measured, doubted = (cells["status"] == "measured").sum(), cells["doubt"].notna().sum()
    assert f"in the repository: {len(cells):,}, of which {doubted} have a doubt about a digit" in WORDS
    assert f"Beside {measured:,} of them stands a number of ours" in re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", WORDS)
    assert f"Beside {measured:,} of the papers' {len(cells):,} printed cells stands" in " ".join(README.split())


def test_what_it_says_of_lgmsnet_on_unseen_sets_is_measured():
    book, text = tables.open("generalisation", "full", REAL), WORDS.replace("−", "-")
    for row, words in (
        ("TinyU-Net", "of TinyU-Net by "),
        ("U-Net", "of the U-Net by "),
        ("M2SNet", "and of M2SNet by "),
    ):
        gaps = 100 * book.gaps("LGMSNet", row, "IoU").drop(columns="beside")
        gap = gaps.loc["PH2"]
        printed = f"; printed: {gap.paper:.1f}" if gap.paper > 0 else ""
        assert f"{words}{gap.difference:.1f} points ({gap.low:.1f} to {gap.high:.1f}{printed})" in text
        if row != "TinyU-Net":
            assert gaps.loc["CVC-300 (60 images)", "low"] < 0 < gaps.loc["CVC-300 (60 images)", "high"]
    home = 100 * tables.open("lgmsnet", "full", REAL).gaps("LGMSNet", "TinyU-Net", "IoU").drop(columns="beside")
    gap = home.loc["ISIC 2018"]
    interval = f"({gap.low:.1f} to {gap.high:.1f}; printed: {gap.paper:.1f})"
    assert f"on ISIC 2018, it is ahead of TinyU-Net by {gap.difference:.1f} points {interval}" in text
    table = book.table().query("row == 'LGMSNet' and metric == 'IoU'").set_index("dataset")
    ours, paper = table.loc["CVC-300 (912 images)", ["ours", "paper"]]
    gap = 100 * book.gaps("LGMSNet", "U-Net", "IoU").drop(columns="beside").loc["CVC-300 (912 images)"]
    interval = f"{gap.difference:.1f} points ({gap.low:.1f} to {gap.high:.1f})"
    assert f"it has {ours:.1f} ({paper:.1f}), ahead of the U-Net by {interval}" in text and gap.low < 0 < gap.high


LARGE = {
    "MSNet": "wiring as released, one filter",
    "M2SNet, wired as released": "wiring as released, filters as released",
    "M2SNet, wired as published": "wiring of the paper, filters of the paper",
}

LARGE_PAIRS = {
    "M2SNet as published − as released": (LARGE["M2SNet, wired as published"], LARGE["M2SNet, wired as released"]),
    "M2SNet as published − MSNet": (LARGE["M2SNet, wired as published"], LARGE["MSNet"]),
    "M2SNet as released − MSNet": (LARGE["M2SNet, wired as released"], LARGE["MSNet"]),
}

WIRING = {
    "M2SNet as published − as released": (
        "wiring of the paper, filters of the paper", "wiring as released, filters as released",
    ),
    "wired as published − as released, both with the filters of Eq. 2": (
        "wiring of the paper, filters of the paper", "wiring as released, filters of the paper",
    ),
    "three scales − one, as published": (
        "wiring of the paper, filters of the paper", "wiring of the paper, one filter",
    ),
    "three scales − one, as released": (
        "wiring as released, filters as released", "wiring as released, one filter",
    ),
}  # fmt: skip

PAIRS = {"full": WIRING, "large": LARGE_PAIRS}
"""The differences that the page shows, by profile: two rows of the study "wiring"."""


def describe_wiring(name: str, profile: str = "full") -> tuple[str, float, dict[int, float], int]:
    """A line of the page, and of it the mean difference, that of each seed, and the sets that decide it."""
    book, datasets = tables.open("wiring", profile, REAL), ["ColonDB", "Kvasir", "CVC-300", "ClinicDB"]
    pair = PAIRS[profile][name]
    gap, by_seed = book.gaps(*pair).loc[datasets], book.gaps_by_seed(*pair)
    cells = [f"{g.difference:+.3f} ({g.low:.3f} to {g.high:.3f})" for g in gap.itertuples()]
    line = " | ".join([name, *cells, ", ".join(f"{value:+.3f}" for value in by_seed.values())])
    decided = int(((gap["low"] > 0) | (gap["high"] < 0)).sum())
    return f"| {line} |".replace("-0.", "−0."), gap["difference"].mean(), by_seed, decided


def read_notebook(name: str) -> str:
    """The text of a notebook's file."""
    return (ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")


def test_the_polyp_results_at_the_papers_size_are_the_measured_ones():
    table = tables.open("wiring", "large", REAL).table().query("metric == 'mDice' and status == 'measured'")
    table = table.set_index(["row", "dataset"])
    section = RESULTS.split("### At the paper's image size")[1].split("\n## ")[0]
    cells = read_cells("mDice, ours", section)
    assert len(cells) == 12 and (table["seeds"] == 2).all() and "Means of two seeds" in section
    for (name, dataset), cell in cells.items():
        measured = table.loc[LARGE[name], dataset]
        assert cell.split(" (")[0] == f"{measured['ours']:.3f} ± {measured['sd']:.3f}"
    own = table.loc[LARGE["MSNet"], "ClinicDB"]["sd"] * 2**0.5  # of two values, their difference
    assert f"on ClinicDB MSNet's own two are {own:.3f} apart" in WORDS
    assert f"MSNet's own two lie {own:.3f} apart on ClinicDB" in read_notebook("36_paper_or_released")


@pytest.mark.parametrize("name", LARGE_PAIRS)
def test_the_differences_at_the_papers_size_are_the_measured_ones(name):
    line, mean, by_seed, decided = describe_wiring(name, "large")
    assert line in RESULTS
    readme = " ".join(README.split())
    if name == "M2SNet as published − as released":
        assert decided == 1 and min(by_seed.values()) > 0
        seeds = ", ".join(f"{value:.3f}" for value in by_seed.values())
        assert f"{mean:.3f} more in mDice than wired as released ({seeds};" in readme
        ahead = tables.open("wiring", "large", REAL).gaps(*LARGE_PAIRS[name])
        assert (ahead["difference"] > 0).all() and ahead.index[ahead["low"] > 0].to_list() == ["ClinicDB"]
    else:
        assert decided == 0 and "M2SNet minus MSNet is inconclusive on all sets, in both wirings" in readme
        assert "decided on no set in either wiring" in WORDS


def test_what_notebooks_say_of_the_papers_size_is_measured():
    printed = tables.open("polyps", "full", REAL).gaps("M2SNet", "MSNet")["paper"].mean()
    assert f"with a mean of {printed:.3f} on these sets" in WORDS
    assert f"prints, {printed:.3f} in the mean" in read_notebook("36_paper_or_released")
    polyps = tables.open("polyps", "large", REAL).table().query("metric == 'mDice' and status == 'measured'")
    told = "What is left is at most 0.04 of mDice. M2SNet, as released, is not ahead of MSNet"
    assert told in read_notebook("20_polyp_table")
    assert (polyps["paper"] - polyps["ours"]).max() < 0.04
    ours = polyps.pivot(index="row", columns="dataset", values="ours")
    assert (ours.loc["M2SNet"] < ours.loc["MSNet"]).all()


def test_with_every_kind_of_filter_the_papers_wiring_is_better_with_each_seed():
    for kind in ("one filter", "filters as released", "filters of the paper"):
        book = tables.open("wiring", "full", REAL)
        by_seed = book.gaps_by_seed(f"wiring of the paper, {kind}", f"wiring as released, {kind}")
        assert len(by_seed) >= 2 and min(by_seed.values()) > 0, kind


def test_what_it_says_of_the_parts_of_the_wiring_is_measured():
    book = tables.open("wiring", "full", REAL)
    released, together = (f"wiring {whose}, filters as released" for whose in ("as released", "of the paper"))
    parts = [row for row in book.study.rows if not row.startswith("wiring")]
    words = WORDS.replace("−", "-")
    assert len(parts) == 5
    for part in parts:
        assert f"{part} {book.gaps_by_seed(part, released)[0]:+.3f}" in words
    assert f"all five together {book.gaps_by_seed(together, released)[0]:+.3f}" in words
    assert book.gaps_by_seed(together, released)[0] == max(book.gaps_by_seed(together, released).values())
    means = [book.gaps(part, released)["difference"].mean() for part in parts]
    assert f"between {min(means):+.3f} and {max(means):+.3f}" in words


def test_what_it_says_of_loss_rates_and_normalisation_is_measured():
    book, words = tables.open("released", "full", REAL), WORDS.replace("−", "-")
    reference, _, *rows = book.study.rows
    assert len(rows) == 5
    for row in rows:
        difference = f"{book.gaps_by_seed(row, reference)[0]:+.3f}"
        assert f"{row} {difference}" in words or f"{row}: {difference}" in words, (row, difference)
    assert (book.gaps("one learning rate", reference)["high"] < 0).all()
    assert (book.scores("LossNet weighted ten times as much")["Dice"] < 0.0005).all()


@pytest.mark.parametrize("name", WIRING)
def test_what_it_says_of_paper_and_released_code_is_measured(name):
    line, mean, by_seed, decided = describe_wiring(name)
    assert line in RESULTS
    if name == "M2SNet as published − as released":
        assert min(by_seed.values()) > 0 and decided == 3
        seeds = ", ".join(f"{value:.3f}" for value in by_seed.values())
        assert f"it scores {mean:.3f} more ({seeds} with three seeds)" in " ".join(README.split())
        assert 0.45 < describe_wiring(name, "large")[1] / mean < 0.55 and "[half as large, " in RESULTS
    if name == "three scales − one, as published":
        assert decided == 0 and "wired as published no set decides it" in WORDS


def test_the_speed_on_a_gpu_it_says_is_measured():
    table = pd.read_csv(ROOT / "results" / "bench" / "gpu_h200.csv")
    chosen = table.query("encoder == 'res2net50d' and network == 'M2SNet' and batch == 1").set_index("form")
    for form in ("eager", "CUDA graph", "CUDA graph bf16"):
        assert f"{chosen.loc[form, 'images_per_second']:.0f}" in RESULTS.split("## Speed on a GPU")[1]
    later = pd.read_csv(ROOT / "results" / "bench" / "gpu_h200_2.csv")
    one = later.query("encoder == 'res2net50d' and batch == 1").set_index("form")["images_per_second"]
    assert f"{one['CUDA graph']:.0f} in float32" in RESULTS.split("## Speed on a GPU")[1]
    bench = " ".join((ROOT / "results" / "bench" / "README.md").read_text(encoding="utf-8").split())
    assert f"{one['CUDA graph']:.0f} images a second as a CUDA graph, {one['eager']:.0f} eager" in bench
    assert f"`torch.compile` gave {one['compiled with CUDA graphs']:.0f} images a second" in bench
    both = later[later["form"] == "CUDA graph, channels-last"].set_index(["encoder", "network", "batch"])
    rates = both["images_per_second"].loc["tf_efficientnet_lite0"].droplevel("batch")
    assert f"{rates['M2SNet'] / rates['MSNet']:.2f} of MSNet's images a second, as before" in bench
    busy = pd.read_csv(ROOT / "results" / "bench" / "gpu_h200_trainings.csv").query("second >= 60")
    alone, three = (busy.loc[busy["trainings"] == n, "busy_percent"] for n in (1, 3))
    assert f"{alone.min()} to {alone.max()} % busy** (M2SNet as released, {len(alone)} samples)" in bench
    assert f"{three.min()} to {three.max()} % busy**" in bench
