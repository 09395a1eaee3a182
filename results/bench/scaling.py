"""How much faster two workers are than one: ``python results/bench/scaling.py local``, or ``slurm``, or ``processes``.

``local`` and ``slurm`` time ``m2s reproduce`` on all runs of a profile (the notebooks' own cells are left out) with one
worker and with two; ``slurm`` starts that of ``tests/cluster``, as root. ``processes`` times one training with two
threads, and by ``torchrun`` with two processes of one thread. Each adds two rows to ``scaling.csv``.
"""

import argparse
import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat

from m2s import paths
from m2s.runs.execute import execute
from m2s.runs.plan import list_runs, notebook_runs
from m2s.runs.processes import join_processes

TABLE = Path(__file__).with_name("scaling.csv")
NOTEBOOKS = [
    "20_polyp_table",
    "22_lung_table",
    "23_breast_table",
    "24_oct_table",
    "51_lgmsnet_2d_table",
    "53_lgmsnet_3d",
]
"""Which need all runs of ``lab``."""
DATA = "sample"


def time_command(command: list[str], results: Path, environment: dict[str, str]) -> float:
    """The seconds that a command of this Python takes, with results in an empty folder."""
    environment = environment | {
        "M2S_RESULTS": str(results),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", *command], env=environment, check=True)
    return time.perf_counter() - start


def make_notebooks(folder: Path) -> Path:
    """A folder of notebooks that only have the two parameters: their runs are what takes time."""
    cell = nbformat.v4.new_code_cell(f'profile = "lab"\ndata = "{DATA}"', metadata={"tags": ["parameters"]})
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    folder.mkdir()
    for stem in NOTEBOOKS:
        nbformat.write(nbformat.v4.new_notebook(metadata=kernel, cells=[cell]), folder / f"{stem}.ipynb")
    return folder


def time_reproductions(
    profile: str, folder: Path, arguments: Callable[[int], list[str]], environment: dict
) -> list[float]:
    """The seconds with one worker and with two; ``arguments`` says so to ``m2s reproduce``."""
    command = ["m2s", "reproduce", "--profile", profile, "--data", DATA, "--only", *NOTEBOOKS]
    command += ["--notebooks", str(make_notebooks(folder / "notebooks"))]
    return [time_command(command + arguments(n), folder / f"{n} workers", environment) for n in (1, 2)]


def time_local(profile: str, folder: Path) -> list[float]:
    """Snakemake on this machine, on one core and on two."""
    return time_reproductions(profile, folder, lambda n: ["--cores", str(n)], dict(os.environ))


def time_slurm(profile: str, folder: Path) -> list[float]:
    """Through Slurm, one job at a time and two."""
    sys.path.append(str(paths.ROOT / "tests" / "cluster"))
    from slurm import Slurm

    (folder / "slurm").mkdir()
    cluster = Slurm(folder / "slurm")
    try:
        cluster.start()
        return time_reproductions(
            profile, folder, lambda n: ["--executor", "slurm", "--jobs", str(n)], cluster.environment
        )
    finally:
        cluster.stop()


def time_processes(profile: str, folder: Path) -> list[float]:
    """One training with two threads, and by two processes of one thread; starting Python is part of it."""
    one = [__file__, "train", "--profile", profile, "--threads"]
    module = "torch.distributed.run"
    starts = [[module, "--nproc-per-node", "1", *one, "2"], [module, "--nproc-per-node", "2", *one, "1"]]
    return [time_command(start, folder / str(n), dict(os.environ)) for n, start in enumerate(starts)]


def train(profile: str, threads: int) -> None:
    """What ``processes`` times: the training of the first run of notebook 22."""
    run = notebook_runs("22_lung_table", profile, DATA, list_runs(profile, DATA))[0]
    with join_processes():
        execute(replace(run, threads=threads), paths.results_dir(profile, DATA), DATA)


MEASURES = {
    "local": (time_local, "one core", "two cores"),
    "slurm": (time_slurm, "one job at a time", "two jobs at a time"),
    "processes": (time_processes, "one process of two threads", "two processes of one thread"),
}


def main() -> None:
    """Time what is named, and add it to the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=[*MEASURES, "train"])
    parser.add_argument("--profile", default="lab")
    parser.add_argument("--threads", type=int, default=1, help="for train, which processes starts")
    args = parser.parse_args()
    if args.what == "train":
        train(args.profile, args.threads)
        return
    measure, *names = MEASURES[args.what]
    load = os.getloadavg()[0]
    with TemporaryDirectory() as folder:
        seconds = measure(args.profile, Path(folder))
    with open(TABLE, "a", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        if not file.tell():
            table.writerow(["date", "measured", "profile", "with", "seconds", "times_faster", "cores", "load_before"])
        for name, taken in zip(names, seconds, strict=True):
            day = datetime.now(UTC).strftime("%Y-%m-%d")
            row = [
                args.what,
                args.profile,
                name,
                f"{taken:.0f}",
                f"{seconds[0] / taken:.2f}",
                os.cpu_count(),
                f"{load:.1f}",
            ]
            table.writerow([day, *row])
            print(*row)


if __name__ == "__main__":
    main()
