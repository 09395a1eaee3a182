"""What the README says is there: its links, its notebooks, its commands, and the measured numbers it shows."""

import re

import pandas as pd
import pytest

from m2s import tables
from m2s.paths import ROOT

README = (ROOT / "README.md").read_text()
WORDS = " ".join(README.split())
REAL = "a folder of real data"


def test_every_link_and_picture_exists():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    local = [target for target in targets if not target.startswith("http")]
    assert len(local) > 8
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_every_notebook_is_in_the_table():
    names = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {name for name in names if f"(notebooks/{name})" not in README} == set()


def test_every_make_target_it_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"^(?:make|`make) (\w+)|`make (\w+)", README, re.MULTILINE))
    for target in {a or b for a, b in named}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def shown(corner: str) -> dict[tuple[str, str], str]:
    """The cells of the results table whose header begins so, by row and column."""
    header, _, *lines = re.search(rf"(\| {re.escape(corner)}.*?)\n\n", README, re.DOTALL)[1].splitlines()
    columns = [cell.strip() for cell in header.strip("| ").split("|")][1:]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    return {(row, column): cell for row, *cells in rows for column, cell in zip(columns, cells, strict=True)}


def test_the_polyp_results_it_shows_are_the_measured_ones():
    cells = shown("mDice, ours")
    table = tables.open("polyps", "full", REAL).table()
    table = table[table["metric"] == "mDice"].set_index(["row", "dataset"])
    measured_rows = table.index[table["status"] == "measured"].get_level_values("row").unique()
    assert {row for row, _ in cells} == set(measured_rows) and len(cells) == 5 * len(measured_rows)
    for place, cell in cells.items():
        measured = table.loc[place]
        ours = f"{measured['ours']:.3f}" if measured["status"] == "measured" else "not run"
        if measured["seeds"] > 1:
            ours += f" ± {measured['sd']:.3f}"
        assert cell == f"{ours} ({measured['paper']:.3f})", place


def test_lgmsnets_results_it_shows_are_the_measured_ones():
    at_home, unseen = (tables.open(study, "full", REAL).table() for study in ("lgmsnet", "generalisation"))
    measured = pd.concat([at_home, unseen])
    measured = measured[(measured["metric"] == "IoU") & (measured["status"] == "measured")]
    cells, expected = shown("IoU in %, ours"), {}
    for cell in measured.itertuples():
        column = next(name for _, name in cells if name.startswith(cell.dataset))
        ours = f"{cell.ours:.1f}" + (f" ± {cell.sd:.1f}" if cell.sd > 0 else "")
        expected[cell.row, column] = ours + (f" ({cell.paper:.1f})" if cell.paper > 0 else "")
    assert cells == expected


def test_what_it_says_of_lgmsnet_in_words_is_measured():
    text = WORDS.replace("−", "-")
    gaps = (tables.open("lgmsnet", "full", REAL).gaps("LGMSNet", row, "IoU") for row in ("U-Net", "M2SNet"))
    unet, m2snet = (100 * gap.drop(columns="beside") for gap in gaps)
    for dataset in ("BUSI", "Kvasir"):
        gap = unet.loc[dataset]
        interval = rf"{gap.low:.1f} to {gap.high:.1f}; printed: {gap.paper:.1f}"
        assert re.search(rf"{gap.difference:.1f} (points )?on {dataset} \((95 % interval )?{interval}\)", text)
    gap = m2snet.loc["BUSI"]
    assert f"behind LGMSNet on BUSI by {gap.difference:.1f} points ({gap.low:.1f} to {gap.high:.1f})" in text


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


@pytest.mark.parametrize("study", ["aggregation", "losses", "kernels"])
def test_the_verdicts_it_counts_are_those_of_the_runs(study):
    counts = re.search(rf"\| \[{study}\]\([^)]+\) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", README).groups()
    found = tables.open(study, "full", REAL).ordering("mDice")["verdict"]
    verdicts = found.value_counts().reindex(["holds", "reversed", "undecided"], fill_value=0)
    assert [int(c) for c in counts] == [len(found), *verdicts]
