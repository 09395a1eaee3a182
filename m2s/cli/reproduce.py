"""The whole reproduction by one call: Snakemake runs the graph in ``Snakefile``, and this file tells how it goes."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import psutil

from m2s import paths
from m2s.cli import estimates
from m2s.errors import InputError, RunError, unknown
from m2s.runs.plan import list_runs, notebook_runs
from m2s.runs.store import load_record


@dataclass
class Progress:
    """What Snakemake has said so far: the jobs by their number, which of them are done and which failed."""

    total: int = 0
    titles: dict[str, str] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def read(self, line: str) -> str | None:
        """Take one line of Snakemake's output; return the number of a job that has just ended well or badly."""
        if match := re.match(r"Job (\d+): (.*)", line):
            self.titles[match[1]], self.started[match[1]] = match[2].strip(), time.monotonic()
        elif match := re.match(
            r"(?:train_\d+|notebook|index) +(\d+)$", line
        ):  # from the table of jobs before the first
            self.total += int(match[1])
        elif (match := re.match(r"Finished jobid: (\d+)", line)) and match[1] in self.titles:
            self.done.append(match[1])
            return match[1]
        elif (match := re.match(r" +jobid: (\d+)", line)) and match[1] in self.titles and match[1] not in self.failed:
            self.failed.append(match[1])  # a job with a message shows its number on such a line only in an error
            return match[1]
        return None


def reproduce(
    profile: str,
    data: str = "phantom",
    cores: int | None = None,
    only: Sequence[str] = (),
    dry_run: bool = False,
    notebooks: Path | None = None,
) -> None:
    """Train every run and execute every notebook that is not yet done, and print one line for each.

    ``only`` names notebooks (``20_polyp_table`` or just ``20``): they and the runs that they need. ``notebooks`` is
    another folder of notebooks. What was done before is kept: a second call has nothing to do, and a call after a
    kill goes on where the last one stopped. A failing job does not stop the others.

    Raises ``InputError`` for a bad argument or a results folder that cannot be written, ``RunError`` if a job failed.
    """
    notebooks = (notebooks or paths.ROOT / "notebooks").resolve()
    data = data if data == "phantom" else str(Path(data).resolve())
    list_runs(profile, data)  # a wrong profile or data folder is told here, in one line
    targets = [f"notebooks/{stem}.done" for stem in _named(only, notebooks)]
    results = paths.results_dir(profile, data)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(paths.ROOT / "Snakefile")]
    command += ["--directory", str(results), "--cores", str(cores or _cores())]
    command += ["--keep-going", "--rerun-triggers", "mtime", "--rerun-incomplete", "--keep-incomplete"]
    command += ["--nolock", "--nocolor"]
    command += ["--dry-run"] if dry_run else []
    command += [str(results / target) for target in targets]
    command += ["--config", f"profile={profile}", f"data={data}", f"notebooks={notebooks}"]
    command += [f"results={paths.results_root()}"]
    with _locked(results) as lock:
        progress, code, tail = _follow(command, results / "reproduce.log", lock, dry_run)
    if dry_run and code == 0:
        _print_plan(progress, profile, data, cores or _cores())
    elif progress.failed:
        raise RunError(_failures(progress, results))
    elif code:
        raise RunError(f"Snakemake ended with {code}: {tail} (all of it: {results / 'reproduce.log'})")
    else:
        print(f"everything is done: {results}")


def _named(only: Iterable[str], notebooks: Path) -> list[str]:
    """The stems of the notebooks that ``only`` names by stem, by file or by number."""
    stems = sorted(path.stem for path in notebooks.glob("[0-9][0-9]_*.ipynb"))
    if not stems:
        raise InputError(f"no notebooks in {notebooks}")
    by_name = {stem[:2]: stem for stem in stems} | {stem: stem for stem in stems}
    names = [Path(name).name.removesuffix(".ipynb") for name in only]
    for name in names:
        if name not in by_name:
            raise unknown("notebook", name, stems)
    return [by_name[name] for name in names]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _locked(results: Path) -> Iterator[TextIO]:
    """Hold the results folder. The system lets go of the lock when its last holder ends, however it ends."""
    try:
        results.mkdir(parents=True, exist_ok=True)
        lock = open(results / ".reproduce.lock", "a+")  # noqa: SIM115
    except OSError as error:
        raise InputError(f"cannot write to the results folder {results}: {error.strerror}; set M2S_RESULTS") from error
    with lock:
        if not _take(lock):
            lock.seek(0)
            caller, _, group = lock.read().partition(" ")
            if not group or psutil.pid_exists(int(caller)):
                raise InputError(
                    f"another reproduction (process {caller}) is at work in {results}; wait for it or end it"
                )
            # Its caller was killed outright and left Snakemake behind, which holds the lock.
            os.killpg(int(group), signal.SIGTERM)
            if not _take(lock, patience=10):
                raise InputError(f"a left-over process group {group} is at work in {results}; end it")
        _note(lock, str(os.getpid()))
        yield lock


def _take(lock: TextIO, patience: float = 0) -> bool:
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.1)


def _note(lock: TextIO, text: str) -> None:
    lock.truncate(0)
    lock.write(text)
    lock.flush()


def _follow(command: list[str], log: Path, lock: TextIO, dry_run: bool) -> tuple[Progress, int, str]:
    """Run Snakemake, keep its words in ``log``, print a line for each job that ends. Its last line comes back too."""
    progress, start, tail = Progress(), time.monotonic(), ""
    # A session of its own, so that an interruption ends it and its jobs together; it shares the lock with us.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        pass_fds=(lock.fileno(),),
    )
    _note(lock, f"{os.getpid()} {process.pid}")
    try:
        with open(log, "w") as file:
            for line in process.stdout:
                file.write(line)
                file.flush()
                tail = line.strip() or tail
                job = progress.read(line)
                if job and not dry_run:
                    _print_job(progress, job, start)
        return progress, process.wait(), tail
    finally:
        _end(process)


def _end(process: subprocess.Popen) -> None:
    """End a process with all of its children; nothing to do if it has ended by itself."""
    for kind, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        if process.poll() is not None:
            return
        os.killpg(process.pid, kind)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def _print_job(progress: Progress, job: str, start: float) -> None:
    ended = len(progress.done) + len(progress.failed)
    now = time.monotonic()
    word = "FAILED" if job in progress.failed else f"{now - progress.started[job]:4.0f} s"
    clock = f"{int(now - start) // 60:d}:{int(now - start) % 60:02d}"
    print(
        f"[{ended:>{len(str(progress.total))}}/{progress.total}] {clock:>6}  {word}  {progress.titles[job]}", flush=True
    )


def _print_plan(progress: Progress, profile: str, data: str, cores: int) -> None:
    """The runs and notebooks that are not done yet, each run with the training time to expect, and the sum."""
    stems = [match[1] for title in progress.titles.values() if (match := re.match(r"notebook (\S+)", title))]
    wanted = {run.key for stem in stems for run in notebook_runs(stem, profile, data)}
    results = paths.results_dir(profile, data)
    whole = any(title.startswith("index ") for title in progress.titles.values())
    todo = [run for run in list_runs(profile, data) if (whole or run.key in wanted) and not load_record(run, results)]
    total = 0.0
    for run in todo:
        seconds = estimates.seconds(run, data)
        total += seconds
        print(f"would do: run {run.key}: {run.title}  (about {estimates.in_words(seconds)})", flush=True)
    for stem in sorted(stems):
        print(f"would do: notebook {stem}")
    if not progress.titles:
        print("nothing to do")
        return
    time = estimates.in_words(total / estimates.at_once(todo, cores))
    print(f"{len(todo)} runs and {len(stems)} notebooks to do" + f"; training takes about {time} here" * bool(todo))


def _failures(progress: Progress, results: Path) -> str:
    """The message for failed jobs: one line for each, with the notebook, cell and error, or the run's last line."""
    lines = []
    for job in progress.failed:
        kind, name = progress.titles[job].split(":")[0].split(" ", 1)
        log = results / "logs" / f"{name}.log"
        where = results / "notebooks" / f"{name}.ipynb" if kind == "notebook" else log
        error = (kind == "notebook" and notebook_error(where)) or _last_line(log)
        lines.append(f"{progress.titles[job]}: {error} (see {where})")
    waiting = progress.total - len(progress.done) - len(progress.failed)
    summary = f"{len(progress.failed)} of {progress.total} jobs failed"
    summary += f", {waiting} that need them did not run" if waiting else ""
    return "\n  ".join([summary, *lines])


def notebook_error(executed: Path) -> str | None:
    """``"cell 7: KeyError: 'mDice'"`` for an executed notebook that failed; cells count from 1, as in its source."""
    try:
        cells = json.loads(executed.read_text())["cells"]
    except (OSError, ValueError, KeyError):
        return None
    number = 0
    for cell in cells:
        added = {"injected-parameters", "papermill-error-cell-tag"} & set(cell["metadata"].get("tags", []))
        number += not added
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                return f"cell {number}: {output['ename']}: {output['evalue'].strip().partition(chr(10))[0]}"
    return None


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1].strip().removeprefix("m2s: error: ") if lines else "it left no message"
