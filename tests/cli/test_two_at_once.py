"""Two people reproduce different notebooks in one folder of results at once: what both need is trained once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from m2s.runs.plan import notebook_runs

STEMS = ("50_lgmsnet_blocks", "52_generalisation")  # which show the same three runs
CELLS = [
    nbformat.v4.new_code_cell('profile = "lab"\ndata = "phantom"', metadata={"tags": ["parameters"]}),
    nbformat.v4.new_code_cell("profile"),
]


def start(folder: Path, stem: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "m2s", "reproduce", "--profile", "smoke", "--data", "phantom", "--only", stem]
    environment = os.environ | {"M2S_RESULTS": str(folder / "results")}
    return subprocess.Popen(
        [*command, "--notebooks", str(folder / "notebooks")],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "notebooks").mkdir()
    for stem in STEMS:
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(metadata=kernel, cells=CELLS), tmp_path / "notebooks" / f"{stem}.ipynb")
    return tmp_path


def test_both_end_well_and_a_run_that_both_need_is_trained_once(folder):
    both = [start(folder, stem) for stem in STEMS]
    told = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    results = folder / "results" / "smoke-phantom"
    assert all((results / "notebooks" / f"{stem}.done").exists() for stem in STEMS)
    trained = [line for out, _ in told for line in out.splitlines() if "  run " in line]
    batches = [re.search(r"run (\S+):", line)[1] for line in trained]
    assert batches and len(set(batches)) == len(batches), "each is trained once"
    runs = [run.key for stem in STEMS for run in notebook_runs(stem, "smoke", "phantom")]
    assert len(runs) == 2 * len(set(runs)) and all((results / "runs" / key / "record.json").exists() for key in runs)
    assert sum("is at work in" in err and "waiting for it" in err for _, err in told) == 1, told
    assert not list((results / "runs").glob(".*.lock")) and not list(results.rglob("*.partial"))
