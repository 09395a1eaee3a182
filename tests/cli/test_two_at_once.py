"""Two people reproduce different notebooks in one results folder, side by side: what both need is trained once."""

import os
import subprocess
import sys
import time
from ast import literal_eval
from contextlib import ExitStack
from pathlib import Path

import nbformat
import pytest

from m2s import paths
from m2s.runs.plan import batch_runs, list_runs, notebook_runs

STEMS = ("50_lgmsnet_blocks", "52_generalisation")  # which show the same three runs
OTHER = "22_lung_table"  # whose runs are trained by another job
SHOW_DATES = """
from m2s import paths

records = sorted(paths.results_dir(profile, data).glob("runs/*/record.json"))
print({path.parent.name: path.stat().st_mtime_ns for path in records})
"""
CELLS = [
    nbformat.v4.new_code_cell('profile = "lab"\ndata = "phantom"', metadata={"tags": ["parameters"]}),
    nbformat.v4.new_code_cell(SHOW_DATES),
]


def find_keys(stem: str) -> set[str]:
    """The keys of the runs that a notebook shows."""
    return {run.key for run in notebook_runs(stem, "smoke", "phantom", list_runs("smoke", "phantom"))}


def start(folder: Path, *only: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "m2s", "reproduce", "--profile", "smoke", "--data", "phantom", "--only", *only]
    environment = os.environ | {"M2S_RESULTS": str(folder / "results")}
    return subprocess.Popen(
        [*command, "--notebooks", str(folder / "notebooks")],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "notebooks").mkdir()
    for stem in (*STEMS, OTHER):
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(metadata=kernel, cells=CELLS), tmp_path / "notebooks" / f"{stem}.ipynb")
    return tmp_path


def read_dates(executed: Path) -> dict[str, int]:
    """When each run was published, as a notebook found it."""
    return literal_eval(nbformat.read(executed, as_version=4).cells[-1].outputs[0].text)


def test_both_work_side_by_side_and_a_run_that_both_need_is_trained_once(folder):
    both = [start(folder, stem) for stem in STEMS]
    told = [process.communicate(timeout=1800) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert [err for _, err in told] == ["", ""], "neither reproduction waits for the other"
    results = folder / "results" / "smoke-phantom"
    first, second = (read_dates(results / "notebooks" / f"{stem}.ipynb") for stem in STEMS)
    keys, others = (find_keys(stem) for stem in STEMS)
    assert keys == others and keys <= first.keys()
    assert first == second, "no run was published twice"
    assert not list((results / "runs").glob(".*.lock")) and not list(results.rglob("*.partial"))
    assert not list(results.rglob("*.pids"))


def test_a_run_that_somebody_else_has_finished_meanwhile_is_not_made_again(folder):
    """Two jobs are planned, for one core: the first waits for somebody else's runs, who finishes those of both."""
    results = folder / "results" / "smoke-phantom"
    runs = find_keys(STEMS[0]) | find_keys(OTHER)
    batches = batch_runs("smoke", list_runs("smoke", "phantom"))
    keys = [run.key for batch in batches for run in batch if runs & {run.key for run in batch}]
    with ExitStack() as stack:
        for key in keys:
            stack.enter_context(paths.hold_lock(results / "runs" / f".{key}.lock", "busy"))
        process = start(folder, STEMS[0], OTHER, "--cores", "1")
        while not any("waiting for it" in log.read_text() for log in results.glob("logs/*.log")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.2)
        assert len(list(results.glob("logs/*.log"))) == 1, "the second job has not begun"
        for key in keys:
            (results / "runs" / key).mkdir(exist_ok=True)
            (results / "runs" / key / "record.json").write_text("somebody else's")
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 0, out + err
    assert {(results / "runs" / key / "record.json").read_text() for key in keys} == {"somebody else's"}
