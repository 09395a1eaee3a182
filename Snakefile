# The whole reproduction as a graph: runs → their index, and runs → notebooks → tables and figures.
# `m2s reproduce` calls it, also for a cluster (--executor slurm).
# config: profile, data ("sample", "phantom" or a folder), results (the folder of all results), notebooks (their folder),
# needs (by key, what the job of a run asks for on a cluster), train_mem_mb, train_runtime, train_partition (instead)
import os
import sys
from pathlib import Path

from m2s import paths
from m2s.runs.plan import batch_runs, find_sources, list_runs, notebook_runs, rank_batches

PROFILE = config.get("profile", "lab")
DATA = paths.resolve_data(config.get("data", "sample"))
# Absolute, because a notebook runs in its own folder. A kernel with another backend than its own shows no pictures.
os.environ.pop("MPLBACKEND", None)
os.environ["M2S_RESULTS"] = str(Path(config.get("results", paths.results_root())).resolve())
RESULTS = paths.results_dir(PROFILE, DATA)
SOURCES = Path(config.get("notebooks", paths.ROOT / "notebooks")).resolve()
RESULTS.mkdir(parents=True, exist_ok=True)


# All that is written has its name relative to this folder: the folder's own name may hold braces, which mean wildcards.
workdir: str(RESULTS)


def find_plain(folder, name):
    """A path to a folder without braces, which would be wildcards: where it has some, a link in that of the results."""
    if "{" not in str(folder):
        return folder
    link = Path(".snakemake") / name
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    return link


# Jobs replace their shell (exec), so that Snakemake, when it is interrupted, ends the work and not just the shell. The
# commands have nothing else that only a POSIX shell knows.
EXEC = "exec " if os.name == "posix" else ""
# The only list of runs is that of the studies; a run that has its record is done, with or without its checkpoint.
RUNS = list_runs(PROFILE, DATA)
KEYS = [run.key for run in RUNS]
THREADS = max((run.threads for run in RUNS), default=1)
os.environ |= {"OMP_NUM_THREADS": str(THREADS), "JUPYTER_PREFER_ENV_PATH": "1", "PYTHONUTF8": "1"}
# glibc keeps the memory that a step frees: to give it back and fetch it anew took 3 to 6 % of a training.
os.environ |= {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**33)}
NOTEBOOKS = sorted(path.stem for path in SOURCES.glob("[0-9][0-9]_*.ipynb"))
NEEDS = config.get("needs", {})
RECORD = "runs/{key}/record.json"
DONE = "notebooks/{stem}.done"
# A notebook runs again when the library changes, except the files that only start things.
LIBRARY = sorted(str(path) for path in find_plain(paths.ROOT / "m2s", "library").rglob("*.py"))
LIBRARY = [path for path in LIBRARY if Path(path).parent.name not in ("cli", "classroom", "nnunet", "trainers")]


def ask(batch):
    """What the job of some runs asks for on a cluster; more memory when it is tried again."""
    needs = [NEEDS[run.key] for run in batch if run.key in NEEDS]
    mem_mb = int(config.get("train_mem_mb", max((n["mem_mb"] for n in needs), default=4000)))
    asked = {"mem_mb": lambda wildcards, attempt: mem_mb * attempt}
    asked["runtime"] = int(config.get("train_runtime", sum(n["runtime"] for n in needs) or 60))
    if any(n["gpu"] for n in needs):
        asked["gpu"] = 1
    if "train_partition" in config:
        asked["slurm_partition"] = config["train_partition"]
    return asked


localrules:
    index,


wildcard_constraints:
    key="[^/]+",
    stem="[^/]+",


rule all:
    input:
        expand(RECORD, key=KEYS),
        expand(DONE, stem=NOTEBOOKS),
        "runs.csv",


# Short runs share a process, because starting Python takes as long. What a batch has finished before is no output of
# it any more: it would count as begun. What another reproduction finishes meanwhile is not deleted first (update).
# The longest of the first seed begin first, and a notebook, whose priority is higher, as soon as its runs are there.
BATCHES = batch_runs(PROFILE, RUNS)
for number, (batch, priority) in enumerate(zip(BATCHES, rank_batches(BATCHES, DATA), strict=True)):
    todo = [run for run in batch if not (RESULTS / RECORD.format(key=run.key)).exists()]
    if not todo:
        if workflow.is_main_process:
            continue
        todo = batch  # a job on a cluster that was ended after its last run

    rule:
        name:
            f"train_{number}"
        output:
            [update(RECORD.format(key=run.key)) for run in todo],
        log:
            f"logs/{batch[0].key}.log",
        params:
            chosen=" ".join(run.key for run in todo),
        threads: todo[0].threads
        priority: priority
        resources:
            **ask(batch),
        message:
            f"run {todo[0].key}: {todo[0].title}" + f" (and {len(todo) - 1} more)" * (len(todo) > 1)
        shell:
            "{EXEC}{sys.executable:q} -m m2s train --profile {PROFILE} --data {DATA:q} --key {params.chosen}"
            " > {log:q} 2>&1"


rule index:
    input:
        expand(RECORD, key=KEYS),
    output:
        "runs.csv",
    log:
        "logs/index.log",
    message:
        "index runs.csv"
    params:
        code="import sys, pathlib, m2s.runs.store; m2s.runs.store.write_index(pathlib.Path(sys.argv[1]))",
    shell:
        "{EXEC}{sys.executable:q} -c {params.code:q} {RESULTS:q} > {log:q} 2>&1"


# The executed copy is a log, because Snakemake deletes the outputs of a failed job and keeps its logs.
rule notebook:
    input:
        str(find_plain(SOURCES, "sources") / "{stem}.ipynb"),
        LIBRARY,
        lambda wildcards: expand(
            RECORD, key=[run.key for run in notebook_runs(wildcards.stem, PROFILE, DATA, RUNS)]
        ),
        lambda wildcards: expand(DONE, stem=find_sources(wildcards.stem)),
    output:
        touch(DONE),
    log:
        notebook="notebooks/{stem}.ipynb",
        messages="logs/{stem}.log",
    threads: THREADS
    priority: len(BATCHES) + 1
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=120,
    message:
        "notebook {wildcards.stem}"
    shell:
        "{EXEC}{sys.executable:q} -m m2s.cli.notebook {input[0]:q} {log.notebook:q} {SOURCES:q} {PROFILE} {DATA:q}"
        " > {log.messages:q} 2>&1"
