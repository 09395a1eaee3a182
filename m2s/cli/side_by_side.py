"""Several reproductions side by side in one results folder: each holds the notebooks that it works on."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from m2s import paths

OWN = ".reproduce"
"""The folder in that of the results where reproductions have their files: a lock and the processes for each notebook,
and settings and Snakemake's words under the name of a reproduction's first notebook."""
WHOLE = "all"
"""Comes before the notebooks of a reproduction of all of them, which also writes the index of the runs."""


@contextmanager
def lock_notebooks(results: Path, held: Sequence[str], wait: bool) -> Iterator[None]:
    """Hold notebooks, each after any other reproduction that works on it; end what a killed call left at work on them.

    ``held`` is sorted, so that two reproductions never wait for each other.
    """
    with ExitStack() as stack:
        for stem in held:
            pids = results / OWN / f"{stem}.pids"
            about = "all notebooks" if stem == WHOLE else f"notebook {stem}"
            busy = f"another reproduction (process {_read_pids(pids)[0]}) is at work on {about} in {results}"
            stack.enter_context(paths.hold_lock(results / OWN / f"{stem}.lock", busy, wait))
            stack.callback(pids.unlink, missing_ok=True)
            _end_left_over(results, pids)
        yield


def _read_pids(pids: Path) -> tuple[int, int]:
    """The processes of a notebook's last reproduction: ``m2s reproduce`` and Snakemake; 0 where unknown."""
    try:
        caller, engine = pids.read_text(encoding="utf-8").split()
        return int(caller), int(engine)
    except (OSError, ValueError):
        return 0, 0


def _end_left_over(results: Path, pids: Path) -> None:
    """End the Snakemake of a reproduction that was killed outright; its number may belong to another process by now."""
    with suppress(psutil.Error):
        engine = psutil.Process(_read_pids(pids)[1])
        if str(results) in engine.cmdline():
            end_tree(engine)


def note_processes(results: Path, held: Sequence[str], engine: int) -> None:
    """Write down which processes work on the held notebooks: this one, and Snakemake."""
    for stem in held:
        (results / OWN / f"{stem}.pids").write_text(f"{os.getpid()} {engine}", encoding="utf-8")


def end_tree(process: psutil.Process) -> None:
    """End a process and all that it has started, by force what is still there after five seconds."""
    tree = [process, *process.children(recursive=True)]
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for one in tree:
            with suppress(psutil.NoSuchProcess):
                end(one)
        _, tree = psutil.wait_procs(tree, timeout=5)
