"""The whole reproduction by one call: Snakemake runs the graph in ``Snakefile``, and this file reports its progress."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from m2s import paths
from m2s.cli import estimates
from m2s.cli.cluster import estimate_needs, find_slurm_error, list_executor_arguments
from m2s.cli.side_by_side import OWN, WHOLE, end_tree, lock_notebooks, note_processes
from m2s.errors import InputError, RunError, require_extra, unknown
from m2s.runs.plan import find_sources, list_runs, notebook_runs
from m2s.runs.store import load_record
from m2s.studies.run import Run


@dataclass
class Job:
    """A job that Snakemake has started, or would start: some runs, a notebook, or the index of the runs."""

    rule: str
    title: str
    notebook: str | None
    logs: list[Path]
    """Relative to the folder of results."""
    started: float = field(default_factory=time.monotonic)


@dataclass
class Progress:
    """What Snakemake has reported so far: the jobs by number, and the numbers of those that are done or failed."""

    total: int = 0
    jobs: dict[int, Job] = field(default_factory=dict)
    done: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)

    def take_event(self, event: dict) -> int | None:
        """Take one event of :mod:`m2s.cli.engine`; return the number of a job that has just ended well or badly."""
        number = event.get("jobid", event.get("job_id"))
        if event["event"] == "run_info":
            self.total = sum(count for rule, count in event["stats"].items() if rule not in ("all", "total"))
        elif event["event"] == "job_info" and event["rule_name"] != "all":
            logs = [Path(path) for path in event["log"]]
            notebook = (event["wildcards"] or {}).get("stem")
            self.jobs[number] = Job(event["rule_name"], event["rule_msg"], notebook, logs)
            if number in self.failed:  # on a cluster: it is submitted again
                self.failed.remove(number)
        elif event["event"] == "job_finished" and number in self.jobs:
            self.done.append(number)
            return number
        elif event["event"] == "job_error" and number not in self.failed:
            self.failed.append(number)
            return number
        return None


def reproduce(
    profile: str,
    data: str = "sample",
    cores: int | None = None,
    only: Sequence[str] = (),
    dry_run: bool = False,
    notebooks: Path | None = None,
    executor: str = "local",
    jobs: int | None = None,
    workflow_profile: Path | None = None,
) -> None:
    """Train every run and execute every notebook that is not yet done, and print one line for each.

    What was done before is kept: a second call has nothing to do, and a call after a kill goes on where the last one
    stopped. A failing job does not stop the others, and is reported at the end by a ``RunError``.

    ``only`` names notebooks (``20_polyp_table`` or just ``20``): they and the runs that they need. Reproductions of
    different notebooks can be at work in one results folder; one that shares a notebook waits. ``dry_run`` prints
    what would be done, and how long it will take here. ``notebooks`` is another folder of notebooks. With another
    ``executor``, Snakemake submits each job to a cluster (:func:`m2s.cli.cluster.list_executor_arguments`).
    """
    require_extra("reproduce", "snakemake", "papermill")
    notebooks = (notebooks or paths.ROOT / "notebooks").resolve()
    data = paths.resolve_data(data)
    cores = cores or _count_cores()
    runs = list_runs(profile, data)  # reports a wrong profile or data folder in one line
    remote = executor != "local" and not dry_run
    placed = list_executor_arguments(executor, jobs, workflow_profile) if remote else ["--cores", str(cores)]
    results = paths.results_dir(profile, data)
    every = _list_notebooks(notebooks)
    stems = _match_notebooks(only, every)
    gathered = {source for stem in stems for source in find_sources(stem)}.intersection(every)
    held = sorted(gathered.union(stems)) or [WHOLE, *every]
    config, log = (results / OWN / f"{held[0]}.{kind}" for kind in ("json", "log"))
    command = [sys.executable, "-m", "m2s.cli.engine", "--snakefile", str(paths.ROOT / "Snakefile")]
    command += ["--directory", str(results), *placed, "--nolock", "--nocolor"]
    command += ["--keep-going", "--rerun-triggers", "mtime", "--rerun-incomplete", "--keep-incomplete"]
    command += ["--dry-run"] if dry_run else []
    command += [f"notebooks/{stem}.done" for stem in stems]
    settings = {"profile": profile, "data": data, "notebooks": str(notebooks), "results": str(paths.results_root())}
    command += ["--configfile", str(config)]  # of its arguments it makes numbers, lists and comments
    if remote:
        settings["needs"] = estimate_needs(_list_todo(runs, stems, profile, data), profile, data)
    with lock_notebooks(results, held, wait=not dry_run):
        config.write_text(json.dumps(settings), encoding="utf-8")
        if not dry_run and (notebooks / "drawings").is_dir():  # beside the executed copies, which show them
            drawings = results / "notebooks" / "drawings"
            with paths.hold_lock(results / OWN / "drawings.lock", "another reproduction copies the drawings"):
                shutil.copytree(notebooks / "drawings", drawings, copy_function=paths.copy_file, dirs_exist_ok=True)
        progress, code = _run_engine(command, results, held, dry_run, remote)
    if dry_run and code == 0:
        _print_plan(progress, runs, profile, data, cores)
    elif progress.failed:
        raise RunError(_describe_failures(progress, results))
    elif code:
        raise RunError(f"Snakemake ended with {code}: {_last_line(log)} (all of it: {log})")
    else:
        print(f"everything is done: {results}")


def _list_notebooks(notebooks: Path) -> list[str]:
    """The stems of the notebooks in a folder, sorted."""
    if not (stems := sorted(path.stem for path in notebooks.glob("[0-9][0-9]_*.ipynb"))):
        raise InputError(f"no notebooks in {notebooks}")
    return stems


def _match_notebooks(only: Iterable[str], stems: Sequence[str]) -> list[str]:
    """Those of ``stems`` that ``only`` names by stem, by file or by number."""
    by_name = {stem[:2]: stem for stem in stems} | {stem: stem for stem in stems}
    names = [Path(name).name.removesuffix(".ipynb") for name in only]
    for name in names:
        if name not in by_name:
            raise unknown("notebook", name, stems)
    return [by_name[name] for name in names]


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_engine(
    command: list[str], results: Path, held: Sequence[str], dry_run: bool, remote: bool
) -> tuple[Progress, int]:
    """Run Snakemake, keep its words in a log, print a line for each job that ends; return its exit code."""
    progress, start = Progress(), time.monotonic()
    with open(results / OWN / f"{held[0]}.log", "w", encoding="utf-8") as log:
        # A session of its own, so that Ctrl-C reaches it by us alone, and it does not end before it is told to.
        process = psutil.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            encoding="utf-8",
            env=os.environ | _replace_home(results),
        )
        try:
            note_processes(results, held, process.pid)
            for line in process.stdout:
                ended = progress.take_event(json.loads(line))
                if ended is not None and not dry_run:
                    _print_job(progress, ended, start)
            return progress, process.wait()
        finally:
            if process.poll() is None and remote:
                print("m2s: cancelling the jobs on the cluster", file=sys.stderr, flush=True)
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(120)
            if process.poll() is None:
                end_tree(process)


def _replace_home(results: Path) -> dict[str, str]:
    """The setting of another home folder where the user's own cannot be written to: Snakemake and Jupyter need one."""
    home = Path(os.path.expanduser("~"))
    if home.is_dir() and os.access(home, os.W_OK | os.X_OK):
        return {}
    other = results / ".snakemake" / "home"
    other.mkdir(parents=True, exist_ok=True)
    return {"HOME": str(other)}


def _print_job(progress: Progress, number: int, start: float) -> None:
    ended = len(progress.done) + len(progress.failed)
    job, now = progress.jobs[number], time.monotonic()
    word = "FAILED" if number in progress.failed else f"{now - job.started:4.0f} s"
    clock = f"{int(now - start) // 60:d}:{int(now - start) % 60:02d}"
    print(f"[{ended:>{len(str(progress.total))}}/{progress.total}] {clock:>6}  {word}  {job.title}", flush=True)


def _list_todo(runs: Sequence[Run], stems: Sequence[str], profile: str, data: str) -> list[Run]:
    """Those of ``runs`` that are not done yet and that the notebooks need; all notebooks if none is named."""
    keys = {run.key for stem in stems for run in notebook_runs(stem, profile, data, runs)}
    results = paths.results_dir(profile, data)
    return [run for run in runs if (not stems or run.key in keys) and not load_record(run, results)]


def _print_plan(progress: Progress, runs: Sequence[Run], profile: str, data: str, cores: int) -> None:
    """The runs and notebooks that are not done yet, each run with the training time to expect, and the sum."""
    if not progress.jobs:
        print("nothing to do")
        return
    stems = sorted(job.notebook for job in progress.jobs.values() if job.notebook)
    whole = any(job.rule == "index" for job in progress.jobs.values())  # which needs every run
    todo = _list_todo(runs, [] if whole else stems, profile, data)
    total = 0.0
    for run, seconds in zip(todo, estimates.estimate_seconds(todo, data), strict=True):
        total += seconds
        print(f"would do: run {run.key}: {run.title}  (about {estimates.format_time(seconds)})", flush=True)
    for stem in stems:
        print(f"would do: notebook {stem}")
    whole = estimates.format_time(total / estimates.count_parallel(todo, cores))
    print(f"{len(todo)} runs and {len(stems)} notebooks to do" + f"; training takes about {whole} here" * bool(todo))


def _describe_failures(progress: Progress, results: Path) -> str:
    """The message for failed jobs: one line for each, with the notebook, cell and error, or the run's last line."""
    lines = []
    for job in map(progress.jobs.get, progress.failed):
        logs = [results / log for log in job.logs]
        error = job.notebook and notebook_error(logs[0])
        if not error and not (logs[-1].exists() and logs[-1].stat().st_size):  # the job itself had no say
            error, logs = find_slurm_error(results, job.rule) or (None, logs)
        error = error or _last_line(logs[-1])
        lines.append(f"{job.title}: {error} (see {logs[0]})")
    waiting = progress.total - len(progress.done) - len(progress.failed)
    summary = f"{len(progress.failed)} of {progress.total} jobs failed"
    summary += f", {waiting} that need them did not run" if waiting else ""
    return "\n  ".join([summary, *lines])


def notebook_error(executed: Path) -> str | None:
    """``"cell 7: KeyError: 'mDice'"`` for an executed notebook that failed; cells count from 1, as in its source."""
    try:
        cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
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
    if not log.exists():
        return "its log is gone, as where a folder or share was lost"
    lines = log.read_text(errors="replace", encoding="utf-8").strip().splitlines()
    return lines[-1].strip().removeprefix("m2s: error: ") if lines else "it left no message"
