"""A reproduction on a real Slurm: jobs that are cancelled, a node that dies, a notebook that fails, and Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from slurm import PATIENCE, Slurm, find_lack, wait_for

from m2s import paths

pytestmark = [
    pytest.mark.skipif(bool(find_lack()), reason=find_lack()),
    pytest.mark.skipif(
        find_spec("snakemake_executor_plugin_slurm") is None, reason="profiles/slurm/requirements.txt is not installed"
    ),
]

PROFILE = "retries: 1\nlatency-wait: 20\nslurm-init-seconds-before-status-checks: 3\n"
FAILING = {
    "cells": [
        {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": 'profile = "lab"\ndata = "phantom"'},
        {"cell_type": "code", "metadata": {}, "source": '{"mIoU": 0.5}["mDice"]'},
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 4,
}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[Slurm]:
    cluster = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory) -> Path:
    """A table of four runs, and a notebook that fails in its second cell."""
    folder = tmp_path_factory.mktemp("notebooks")
    shutil.copy(paths.ROOT / "notebooks" / "22_lung_table.ipynb", folder)
    cells = [cell | {"outputs": [], "execution_count": None} for cell in FAILING["cells"]]
    (folder / "99_fails.ipynb").write_text(json.dumps(FAILING | {"cells": cells}), encoding="utf-8")
    return folder


def start(slurm: Slurm, results: Path, notebooks: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "m2s", "reproduce", "--profile", "smoke", "--data", "phantom"]
    command += ["--notebooks", str(notebooks), *arguments]
    environment = slurm.environment | {"M2S_RESULTS": str(results), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's "&" had it ignored
    )  # fmt: skip


def list_files(results: Path) -> dict[str, bytes]:
    """The tables and scores: what has to be the same wherever it was made."""
    root = results / "smoke-phantom"
    files = [*root.glob("tables/**/*"), *root.glob("runs/*/scores.csv")]
    return {str(path.relative_to(root)): path.read_bytes() for path in files if path.is_file()}


def test_a_reproduction_survives_what_a_cluster_does_to_it(slurm, notebooks, tmp_path):
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "config.yaml").write_text(PROFILE)
    both = ["--only", "22", "99", "--executor", "slurm", "--jobs", "2", "--workflow-profile", str(tmp_path / "profile")]
    remote, local = tmp_path / "remote", tmp_path / "local"

    process = start(slurm, remote, notebooks, *both)
    slurm.wait_for_job("train")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and "the same command goes on from there" in told, told
    wait_for(lambda: not slurm.list_jobs(), PATIENCE, "Ctrl-C left jobs on the cluster")

    process = start(slurm, remote, notebooks, *both)
    cancelled, _ = slurm.wait_for_job("train")
    slurm.ask("scancel", cancelled)
    wait_for(lambda: cancelled not in [job for job, _, _ in slurm.list_jobs()], PATIENCE, "scancel did nothing")
    again, _ = slurm.wait_for_job("train")
    assert again != cancelled
    lost, node = slurm.wait_for_job("22_lung_table")
    slurm.kill_node(node, lost)
    wait_for(lambda: "down" in slurm.ask("sinfo", "-h", "-n", node, "-o", "%T"), PATIENCE, "a dead node is not noticed")
    slurm.start_node(node)
    out, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, out + told
    assert "1 of 3 jobs failed" in told and "notebook 99_fails: cell 2: KeyError: 'mDice'" in told, told
    assert "notebook 22_lung_table" in out
    assert not slurm.list_jobs(), "nothing is left running"
    assert not slurm.list_processes(lost)
    left = {path.parent.name for path in (remote / "smoke-phantom").rglob("*.lock")}
    assert left == {".reproduce"}, "a file of a lock is left for each notebook, and none for a run"

    process = start(slurm, local, notebooks, "--only", "22")
    out, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    files = list_files(local)
    assert any(name.startswith("tables/") for name in files) and list_files(remote) == files


def test_a_job_that_slurm_ends_is_named_with_slurms_own_words(slurm, notebooks, tmp_path):
    (tmp_path / "config.yaml").write_text(PROFILE.replace("retries: 1", "retries: 0"))
    one = ["--only", "22", "--executor", "slurm", "--workflow-profile", str(tmp_path)]
    process = start(slurm, tmp_path / "results", notebooks, *one)
    job, _ = slurm.wait_for_job("train")
    slurm.ask("scancel", job)
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and "1 of 2 jobs failed, 1 that need them did not run" in told, told
    assert f"JOB {job} ON n" in told and "CANCELLED" in told, told
