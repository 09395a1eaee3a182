"""The list of runs behind all published tables, for the engine, the notebooks and the command line."""

from functools import lru_cache
from pathlib import Path

from m2s import data as datasets
from m2s import weights
from m2s.data.sets import CATALOGUE
from m2s.errors import InputError, NotFound, unknown
from m2s.paths import data_label
from m2s.studies import STUDIES
from m2s.studies.m2snet import NOT_BUILT, TASKS
from m2s.studies.profiles import PROFILES, Profile, find_profile
from m2s.studies.run import Run, split_of
from m2s.studies.study import Study, Task

__all__ = ["NOT_BUILT", "PROFILES", "STUDIES", "TASKS", "Profile", "Study", "Task"]


def lacking(run: Run, data: str) -> str:
    """What a run needs and does not find, as the reason for which it is not run; "" if all is there."""
    if data_label(data) == "real":
        for name in run.train_sets:
            if reason := _no_images(*split_of(name, "train"), data):
                return f"not run: {reason}"
    networks = [run.encoder] * run.pretrained + [run.lossnet] * bool(run.lossnet and run.lossnet_pretrained)
    for name in networks:
        if not weights.available(name):
            return f"not run: no pretrained weights of {name} were at hand (a file in M2S_WEIGHTS, or timm's hub)"
    return ""


@lru_cache
def _no_images(name: str, split: str, root: str) -> str:
    if not Path(root).is_dir():  # results are shown without their data as well
        return ""
    try:
        datasets.load_images(name, split, root)
    except NotFound:
        return f"{CATALOGUE[name].title} not found in the data folder"
    return ""


def study_runs(study: str, profile: str, data: str) -> list[Run]:
    """Every run of one study, row by row, whether or not what it needs is there."""
    find_profile(profile)
    if study not in STUDIES:
        raise unknown("study", study, STUDIES)
    chosen = STUDIES[study]
    return [run for row in chosen.rows for run in chosen.runs(row, profile, data)]


def list_runs(profile: str, data: str) -> list[Run]:
    """Every run of every study that the data and weights at hand allow, each once: what the engine works through.

    Table by table, and the first seeds of all before the second ones, so that a run over several days has something of
    everything early. Raises :class:`m2s.errors.InputError` for an unknown profile, and where nothing can be run.
    """
    if data_label(data) == "real" and not Path(data).is_dir():
        raise InputError(f"no such folder: {data}; give the folder that holds the data sets, or 'phantom'")
    every = [run for study in STUDIES for run in study_runs(study, profile, data)]
    wanted: dict[str, Run] = {}
    for run in every:  # the same run in two tables is scored on the test sets of both
        known = wanted.get(run.key)
        wanted[run.key] = run if known is None else known.joined(run)
    reasons = {key: lacking(run, data) for key, run in wanted.items()}
    found = [run for key, run in wanted.items() if not reasons[key]]
    if not found:
        told = "; ".join(dict.fromkeys(reason.removeprefix("not run: ") for reason in reasons.values()))
        raise InputError(f"nothing to run with profile {profile}: {told}")
    return sorted(found, key=lambda run: run.recipe.seed)


def batch_runs(profile: str, data: str) -> list[list[Run]]:
    """The runs in the groups that share one process: one task and size after the other, ``Profile.batch`` in each."""
    size = find_profile(profile).batch
    groups: dict[tuple, list[Run]] = {}
    for run in list_runs(profile, data):
        groups.setdefault((run.recipe.seed, run.recipe.size, run.num_classes, run.train_sets), []).append(run)
    return [group[i : i + size] for group in groups.values() for i in range(0, len(group), size)]


def find_run(profile: str, data: str, key: str) -> Run:
    """The run with this key."""
    by_key = {run.key: run for run in list_runs(profile, data)}
    if key not in by_key:
        raise unknown("run", key, by_key)
    return by_key[key]


FIRST_RUNS = {
    "00_start_here": [("polyps", "M2SNet")],
    "28_one_model": [("lung", "M2SNet"), ("breast", "M2SNet"), ("polyps", "M2SNet")],
    "40_feature_maps": [("polyps", "M2SNet"), ("polyps", "MSNet"), ("aggregation", "+ L_f"), ("aggregation", "SU→AU")],
    "41_explorer": [("polyps", "M2SNet"), ("polyps", "MSNet")],
    "50_lgmsnet_blocks": [("lgmsnet", "LGMSNet"), ("lgmsnet", "U-Net"), ("lgmsnet", "M2SNet")],
}
"""Notebooks that show the first network of a few rows: study and row."""


def notebook_runs(notebook: str, profile: str, data: str) -> list[Run]:
    """The runs that a notebook shows; for ``90_paper_versus_ours`` all of them, for most notebooks none."""
    if notebook == "90_paper_versus_ours":
        return list_runs(profile, data)
    shown = {
        run.key for name, s in STUDIES.items() if s.notebook == notebook for run in study_runs(name, profile, data)
    }
    firsts = (STUDIES[study].runs(row, profile, data)[:1] for study, row in FIRST_RUNS.get(notebook, ()))
    shown |= {run.key for found in firsts for run in found}
    return [run for run in list_runs(profile, data) if run.key in shown]
