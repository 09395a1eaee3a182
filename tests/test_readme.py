"""What the README says is there: its links, its notebooks, its commands, and the measured numbers it shows."""

import re

import pytest

from m2s import comparisons, tables
from m2s.paths import ROOT

README = (ROOT / "README.md").read_text()


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


@pytest.fixture(scope="module")
def shown() -> dict[tuple[str, str], str]:
    """The cells of the results table, by row and data set."""
    header, _, *lines = re.search(r"(\| mDice, ours.*?)\n\n", README, re.DOTALL)[1].splitlines()
    datasets = [cell.strip() for cell in header.strip("| ").split("|")][1:]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    return {(row, dataset): cell for row, *cells in rows for dataset, cell in zip(datasets, cells, strict=True)}


def test_the_results_it_shows_are_the_measured_ones(shown):
    table = tables.compare("polyps", "full", "a folder of real data")
    table = table[table["metric"] == "mDice"].set_index(["row", "dataset"])
    measured_rows = table.index[table["status"] == "measured"].get_level_values("row").unique()
    assert {row for row, _ in shown} == set(measured_rows) and len(shown) == 5 * len(measured_rows)
    for place, cell in shown.items():
        measured = table.loc[place]
        ours = f"{measured['ours']:.3f}" if measured["status"] == "measured" else "not run"
        if measured["seeds"] > 1:
            ours += f" ± {measured['sd']:.3f}"
        assert cell == f"{ours} ({measured['paper']:.3f})", place


@pytest.mark.parametrize("study", ["aggregation", "losses", "kernels"])
def test_the_verdicts_it_counts_are_those_of_the_runs(study):
    counts = re.search(rf"\| \[{study}\]\([^)]+\) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", README).groups()
    found = comparisons.ordering(study, "mDice", "full", "a folder of real data")["verdict"]
    verdicts = found.value_counts().reindex(["holds", "reversed", "undecided"], fill_value=0)
    assert [int(c) for c in counts] == [len(found), *verdicts]
