"""The engine, end to end: the smallest profile on made-up images, every notebook, and one that fails on purpose."""

import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import nbformat
import pytest
from filelock import FileLock, Timeout

from m2s import paths
from m2s.cli import reproduce, side_by_side
from m2s.errors import InputError
from m2s.runs import plan
from m2s.runs.plan import batch_runs, list_runs, rank_batches
from m2s.studies import STUDIES

FAILING = nbformat.v4.new_notebook(
    metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}},
    cells=[
        nbformat.v4.new_markdown_cell("# 99 A notebook that fails in its third cell"),
        nbformat.v4.new_code_cell('profile = "lab"\ndata = "phantom"', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell('{"mIoU": 0.5}["mDice"]'),
    ],
)


@dataclass
class Reproduction:
    """A results folder and a folder of notebooks to reproduce into it."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "results of a test" / "smoke-phantom"

    @property
    def notebooks(self) -> Path:
        return self.root / "notebooks"

    @property
    def stems(self) -> list[str]:
        return sorted(path.stem for path in self.notebooks.glob("*.ipynb"))

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """``m2s reproduce`` from another folder."""
        command = [sys.executable, "-m", "m2s", "reproduce", "--profile", "smoke", "--data", "phantom"]
        command += ["--notebooks", str(self.notebooks)]
        environment = os.environ | {"M2S_RESULTS": str(self.results.parent)}
        return subprocess.run(
            [*command, *arguments], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )

    def files(self) -> dict[str, int]:
        """When each file of the results was written; the engine's own notes left out."""
        every = (p for p in self.results.rglob("*") if p.is_file())
        return {str(p): p.stat().st_mtime_ns for p in every if not {".snakemake", side_by_side.OWN} & {*p.parts}}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> tuple[Reproduction, subprocess.CompletedProcess]:
    """The whole reproduction, once, with one more notebook that fails, and with a run that was begun before."""
    made = Reproduction(tmp_path_factory.mktemp("reproduction"))
    shutil.copytree(paths.ROOT / "notebooks", made.notebooks, ignore=shutil.ignore_patterns(".*"))
    nbformat.write(FAILING, made.notebooks / "99_fails.ipynb")
    begun = made.results / "runs" / f"{list_runs('smoke', 'phantom')[0].key}.partial"
    begun.mkdir(parents=True)
    (begun / "begun.txt").touch()
    return made, made.run()


def test_a_failing_notebook_is_named_and_does_not_stop_the_others(first):
    made, ended = first
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "1 of " in ended.stderr and "notebook 99_fails: cell 3: KeyError: 'mDice'" in ended.stderr, ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 2, ended.stderr
    done = {path.stem for path in (made.results / "notebooks").glob("*.done")}
    assert done == set(made.stems) - {"99_fails"}
    assert (made.results / "notebooks" / "99_fails.ipynb").exists(), "the executed copy is kept to look into"


def test_every_job_is_reported_once(first):
    made, ended = first
    batches = batch_runs("smoke", list_runs("smoke", "phantom"))
    count = len(batches) + len(made.stems) + 1
    lines = ended.stdout.splitlines()
    assert len(lines) == count and lines[-1].startswith(f"[{count}/{count}]")
    assert sum("FAILED  notebook 99_fails" in line for line in lines) == 1
    for batch in batches:
        more = f" (and {len(batch) - 1} more)" * (len(batch) > 1)
        assert sum(line.endswith(f"run {batch[0].key}: {batch[0].title}{more}") for line in lines) == 1


def test_the_longest_runs_begin_first(first):
    made, _ = first
    log = (made.results / side_by_side.OWN / f"{side_by_side.WHOLE}.log").read_text(encoding="utf-8")
    begun = re.findall(r"^Job \d+: run (\S+):", log, re.MULTILINE)
    batches = batch_runs("smoke", list_runs("smoke", "phantom"))
    ranks = dict(zip((batch[0].key for batch in batches), rank_batches(batches, "phantom"), strict=True))
    assert sorted(ranks.values()) == list(range(1, len(batches) + 1)) and ranks.keys() == set(begun)
    # What begins at the same moment is told in any order.
    late = [abs(len(batches) - ranks[key] - place) for place, key in enumerate(begun)]
    assert max(late) < reproduce._count_cores()


def test_every_run_has_its_record_and_a_begun_one_goes_on(first):
    made, _ = first
    runs = list_runs("smoke", "phantom")
    assert all((made.results / "runs" / run.key / "record.json").exists() for run in runs)
    assert (made.results / "runs" / runs[0].key / "begun.txt").exists()
    assert len((made.results / "runs.csv").read_text().splitlines()) == len(runs) + 1
    assert not list(made.results.rglob("*.partial")) and not list(made.results.rglob("*.tmp"))


def test_notebooks_are_executed_with_the_asked_parameters_and_this_environment(first):
    made, _ = first
    for stem in set(made.stems) - {"99_fails"}:
        executed = nbformat.read(made.results / "notebooks" / f"{stem}.ipynb", as_version=4)
        injected = next(c for c in executed.cells if "injected-parameters" in c.metadata.get("tags", []))
        assert 'profile = "smoke"' in injected.source and 'data = "phantom"' in injected.source
        code = [c for c in executed.cells if c.cell_type == "code" and c.source.strip()]
        assert all(c.execution_count for c in code) and any(c.outputs for c in code)
        for name in re.findall(r"\]\((drawings/\w+\.svg)\)", nbformat.writes(executed)):
            assert (made.results / "notebooks" / name).exists(), "a drawing that the executed copy shows"


def test_a_second_call_has_nothing_to_do(first):
    made, _ = first
    (made.notebooks / "99_fails.ipynb").unlink()
    before, start = made.files(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    ended = made.run()
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"everything is done: {made.results}\n"
    assert made.files() == before
    # Processor time, so that whatever else the machine does is not counted.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start < 60


def test_a_record_without_its_checkpoint_is_done_and_a_missing_record_is_not(first):
    made, _ = first
    one, other, *_ = STUDIES["polyps"].runs("MSNet", "smoke", "phantom") + STUDIES["oct"].runs(
        "IIAU-Segmentors", "smoke", "phantom"
    )
    (made.results / "runs" / one.key / "model.safetensors").unlink()
    shutil.rmtree(made.results / "runs" / other.key)
    plan = made.run("--dry-run")
    assert plan.returncode == 0, plan.stderr
    assert f"would do: run {other.key}: {other.title}" in plan.stdout and one.key not in plan.stdout
    stem = made.stems[0]
    (made.results / "notebooks" / f"{stem}.done").unlink()
    plan = made.run("--dry-run", "--only", stem[:2])
    assert plan.stdout.splitlines() == [f"would do: notebook {stem}", "0 runs and 1 notebooks to do"], plan.stdout


def test_the_error_of_an_executed_notebook_counts_its_source_cells(tmp_path):
    cells = [
        {"metadata": {"tags": ["papermill-error-cell-tag"]}},
        {"metadata": {}},
        {"metadata": {"tags": ["injected-parameters"]}, "outputs": []},
        {"metadata": {}, "outputs": [{"output_type": "error", "ename": "ValueError", "evalue": "one\ntwo"}]},
    ]
    (tmp_path / "x.ipynb").write_text(json.dumps({"cells": cells}))
    assert reproduce.notebook_error(tmp_path / "x.ipynb") == "cell 2: ValueError: one"
    (tmp_path / "x.ipynb").write_text("half a noteb")
    assert reproduce.notebook_error(tmp_path / "x.ipynb") is None
    assert reproduce.notebook_error(tmp_path / "absent.ipynb") is None


HOLD = """
import signal, sys, time
from filelock import FileLock

if sys.argv[1] == "hold":
    lock = FileLock(sys.argv[2] + "/.reproduce/21.lock")
    lock.acquire()
signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to end"))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def start(tmp_path):
    """Start a process in a group of its own, on a results folder: it holds notebook 21, or only works."""
    processes = []
    (tmp_path / side_by_side.OWN).mkdir()

    def start_process(kind: str) -> subprocess.Popen:
        command = [sys.executable, "-c", HOLD, kind, str(tmp_path)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        processes.append(process)
        process.stdout.readline()
        return process

    yield start_process
    for process in processes:
        process.kill()
        process.wait()


def test_a_second_reproduction_of_a_notebook_waits_for_the_first(tmp_path, start, capsys):
    holder = start("hold")
    (tmp_path / side_by_side.OWN / "21.pids").write_text(f"{holder.pid} {os.getpid()}")
    with side_by_side.lock_notebooks(tmp_path, ["20", "22"], wait=False):
        pass
    busy = f"another reproduction (process {holder.pid}) is at work on notebook 21 in {tmp_path}"
    with pytest.raises(InputError, match=re.escape(f"{busy}: try again when it has ended")):
        side_by_side.lock_notebooks(tmp_path, ["20", "21"], wait=False).__enter__()
    assert holder.poll() is None
    Timer(1, holder.kill).start()  # a lock ends with its process
    with side_by_side.lock_notebooks(tmp_path, ["all", "20", "21"], wait=True):
        assert holder.wait(10) == -signal.SIGKILL
    assert capsys.readouterr().err == f"{busy}: waiting for it\n"


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", fail)
    with pytest.raises(InputError, match=r"has no locks, so that two processes could train the same run: mount it"):
        paths.hold_lock(tmp_path / "x.lock", "busy").__enter__()


def test_what_a_killed_reproduction_left_behind_is_ended(tmp_path, start):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    engine = start("work")
    for stem in ("20", "21"):
        (tmp_path / side_by_side.OWN / f"{stem}.pids").write_text(f"{gone.pid} {engine.pid}")
    with side_by_side.lock_notebooks(tmp_path, ["21", "22"], wait=True):
        engine.wait(10)
        assert engine.stderr.read() == "asked to end\n"
        with pytest.raises(Timeout):
            FileLock(tmp_path / side_by_side.OWN / "21.lock").acquire(timeout=0)


def test_a_process_that_took_the_number_of_a_left_over_one_goes_on(tmp_path, start):
    other = start("work")
    results = tmp_path / "results"
    pids = results / side_by_side.OWN / "20.pids"
    pids.parent.mkdir(parents=True)
    pids.write_text(f"{other.pid} {other.pid}")
    with side_by_side.lock_notebooks(results, ["20"], wait=True):
        assert other.poll() is None
    assert not pids.exists()


def test_a_notebook_that_gathers_others_is_held_with_them():
    assert plan.find_sources("90_paper_versus_ours") and not plan.find_sources("20_polyp_table")
    assert all((paths.ROOT / "notebooks" / f"{stem}.ipynb").exists() for stem in plan.COUNTED)
