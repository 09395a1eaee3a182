"""Kill a reproduction at random moments, again and again, let it end, and compare it with one that nobody killed.

``python tests/cli/kill_reproduction.py --kills 12`` works in a temporary folder. ``kill -9`` hits the whole tree of
processes at once: the command, Snakemake, the training or the notebook's kernel.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from m2s import paths

PROFILE, DATA = "smoke", "phantom"


def start(results: Path, notebooks: list[str]) -> psutil.Popen:
    command = [sys.executable, "-m", "m2s", "reproduce", "--profile", PROFILE, "--data", DATA, "--only", *notebooks]
    environment = os.environ | {"M2S_RESULTS": str(results), "PYTHONPATH": str(paths.ROOT)}
    return psutil.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def kill_tree(process: psutil.Popen) -> None:
    """End a process and all that it has started with signal 9; they are halted first, so that none starts another."""
    tree: list[psutil.Process] = []
    while new := [one for one in list_tree(process) if one not in tree]:
        for one in new:
            with suppress(psutil.NoSuchProcess):
                one.suspend()
        tree += new
    for one in tree:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(tree, timeout=30)
    process.communicate()


def list_tree(process: psutil.Popen) -> list[psutil.Process]:
    try:
        return [psutil.Process(process.pid), *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def finish(results: Path, notebooks: list[str]) -> float:
    """Reproduce to the end; the seconds that it took."""
    begin = time.monotonic()
    process = start(results, notebooks)
    told, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the reproduction ended with {process.returncode}: {told}")
    return time.monotonic() - begin


def list_files(results: Path) -> dict[str, Path]:
    """Every file by its name within the results; the engine's own notes, and logs, left out."""
    root = results / f"{PROFILE}-{DATA}"
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    own = (".snakemake/", ".reproduce/", "logs/")
    return {name: path for name, path in files.items() if not name.startswith(own)}


def compare(whole: Path, killed: Path) -> list[str]:
    """What differs: a left-over or missing file, a table or scores with other bytes."""
    one, other = list_files(whole), list_files(killed)
    told = [f"left over: {name}" for name in sorted(other.keys() - one.keys())]
    told += [f"missing: {name}" for name in sorted(one.keys() - other.keys())]
    exact = [name for name in sorted(one.keys() & other.keys()) if name.startswith("tables/") or "scores.csv" in name]
    if not exact:
        told.append("there is no table to compare")
    return told + [f"differs: {name}" for name in exact if one[name].read_bytes() != other[name].read_bytes()]


def kill_and_compare(folder: Path, kills: int, notebooks: list[str], seed: int) -> list[str]:
    """The whole trial in ``folder``: how an interrupted reproduction differs from a whole one, a line each."""
    chance = random.Random(seed)
    seconds = finish(folder / "whole", notebooks)
    print(f"without a kill: {seconds:.0f} s", flush=True)
    for number in range(1, kills + 1):
        process = start(folder / "killed", notebooks)
        wait = chance.uniform(0, 2 * seconds / (kills + 1))
        time.sleep(wait)
        alive = process.poll() is None
        kill_tree(process)
        print(f"kill {number} after {wait:.0f} s" + ("" if alive else ", when it had ended"), flush=True)
    finish(folder / "killed", notebooks)
    return compare(folder / "whole", folder / "killed")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--only", nargs="+", default=["20_polyp_table"], metavar="NOTEBOOK")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = kill_and_compare(Path(folder), args.kills, args.only, args.seed)
    print("\n".join(told) or "the tables are the same, byte for byte, and nothing is left over")
    return bool(told)


if __name__ == "__main__":
    sys.exit(main())
