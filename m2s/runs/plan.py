"""The list of runs behind all published tables, for the engine, the notebooks and the command line."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from m2s import weights
from m2s.data.load import load_images
from m2s.data.sets import CATALOGUE
from m2s.errors import InputError, NotFound, some, unknown
from m2s.paths import data_label
from m2s.studies import STUDIES
from m2s.studies.profiles import find_profile
from m2s.studies.run import Run, split_of
from m2s.zoo import FOUNDATION


def find_lack(run: Run, data: str, known: dict[tuple, str] | None = None) -> str:
    """What a run needs and does not find, as the reason for which it is not run; "" if all is there.

    ``known`` keeps the answers for the same ``data``, so that a data set or a network that many runs need is looked for
    once.
    """
    known = {} if known is None else known
    needs: list[tuple] = [(_find_images, name, data) for name in run.train_sets]
    needs += [(_find_extra, run.model)]
    needs += [(_find_weights, run.encoder)] * run.pretrained
    needs += [(_find_weights, run.lossnet)] * bool(run.lossnet and run.lossnet_pretrained)
    for need in needs:
        if need not in known:
            find, *what = need
            known[need] = find(*what)
        if known[need]:
            return known[need]
    return ""


def _find_images(name: str, data: str) -> str:
    if data_label(data) == "real" and Path(data).is_dir():  # results are shown without their data as well
        set_name, split = split_of(name, "train")
        try:
            load_images(set_name, split, data)
        except NotFound:
            return f"not run: {CATALOGUE[set_name].title} not found in the data folder"
    return ""


def _find_extra(model: str) -> str:
    lacks = model in FOUNDATION and find_spec("transformers") is None
    return "not run: transformers is not installed (the extra foundation)" if lacks else ""


def _find_weights(network: str) -> str:
    if weights.available(network):
        return ""
    return f"not run: no pretrained weights of {network} were at hand (a file in M2S_WEIGHTS, or timm's hub)"


def study_runs(study: str, profile: str, data: str) -> list[Run]:
    """Every run of one study, row by row, whether or not what it needs is there."""
    find_profile(profile)
    if study not in STUDIES:
        raise unknown("study", study, STUDIES)
    chosen = STUDIES[study]
    return [run for row in chosen.rows for run in chosen.runs(row, profile, data)]


def list_runs(profile: str, data: str) -> list[Run]:
    """Every run of every study that the available data and weights allow, each once: what the engine works through.

    Table by table, and the first seeds of all before the second ones. Raises :class:`m2s.errors.InputError` for an
    unknown profile, and where nothing can be run.
    """
    if data_label(data) == "real" and not Path(data).is_dir():
        raise InputError(f"no such folder: {data}; give the folder that holds the data sets, or 'sample' or 'phantom'")
    by_key: dict[str, Run] = {}
    for run in (run for study in STUDIES for run in study_runs(study, profile, data)):
        known = by_key.get(run.key)  # the same run in two tables is scored on the test sets of both
        by_key[run.key] = run if known is None else known.joined(run)
    lacks: dict[tuple, str] = {}
    possible = [run for run in by_key.values() if not find_lack(run, data, lacks)]
    if not possible:
        reasons = "; ".join(dict.fromkeys(lack.removeprefix("not run: ") for lack in lacks.values() if lack))
        raise InputError(f"nothing to run with profile {profile}: {reasons}")
    return sorted(possible, key=lambda run: run.recipe.seed)


def batch_runs(profile: str, runs: Sequence[Run]) -> list[list[Run]]:
    """``runs`` in the groups that share one process: one task and size after the other, ``Profile.batch`` in each."""
    size = find_profile(profile).batch
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        groups.setdefault((run.recipe.seed, run.recipe.size, run.num_classes, run.train_sets), []).append(run)
    return [group[i : i + size] for group in groups.values() for i in range(0, len(group), size)]


def rank_batches(batches: Sequence[Sequence[Run]], data: str) -> list[int]:
    """Of each batch its priority, the highest first: the lower seed, then the more pixels that its trainings see.

    Pixels or voxels, of all classes and epochs, are a rough measure of the time. What takes longest begins first, so
    that it is not alone at the end. Of equal ones the earlier in the list.
    """
    runs = [run for batch in batches for run in batch]
    pixels = {
        run.key: images * run.num_classes * run.recipe.size ** (3 if run.volumetric else 2)
        for run, images in zip(runs, count_images(runs, data), strict=True)
    }
    work = [(-batch[0].recipe.seed, sum(pixels[run.key] for run in batch), -i) for i, batch in enumerate(batches)]
    places = {place: rank for rank, place in enumerate(sorted(work), 1)}
    return [places[place] for place in work]


def count_images(runs: Sequence[Run], data: str) -> list[int]:
    """How many images each run trains on, each epoch's counted anew."""
    chosen = {(run.train_sets, run.train_limit) for run in runs}
    sizes = {
        (names, limit): sum(len(load_images(*split_of(name, "train"), data, limit)) for name in names)
        for names, limit in chosen
    }
    return [run.recipe.epochs * sizes[run.train_sets, run.train_limit] for run in runs]


def find_runs(profile: str, data: str, wanted: Sequence[str]) -> list[Run]:
    """The runs of the list with these keys, or with these names where no other has them."""
    runs, chosen = list_runs(profile, data), []
    for name in wanted:
        found = [run for run in runs if name in (run.key, run.name)]
        if not found:
            raise unknown("run", name, [run.key for run in runs])
        if len(found) > 1:
            raise InputError(f"{len(found)} runs are called {name}: give a key, {some([run.key for run in found])}")
        chosen += found
    return chosen


FIRST_RUNS = {
    "40_feature_maps": [("aggregation", "+ L_f"), ("aggregation", "SU→AU")],
    "50_lgmsnet_blocks": [("lgmsnet", "LGMSNet"), ("lgmsnet", "U-Net"), ("lgmsnet", "M2SNet")],
}
"""Notebooks that show the first network of a few rows: study and row."""


def notebook_runs(notebook: str, profile: str, data: str, runs: Sequence[Run]) -> list[Run]:
    """Those of ``runs`` (:func:`list_runs`) that a notebook shows: all for ``90_paper_versus_ours``, none for most."""
    if notebook == "90_paper_versus_ours":
        return list(runs)
    studies = [name for name, study in STUDIES.items() if study.notebook == notebook]
    shown = [run for name in studies for run in study_runs(name, profile, data)]
    shown += [run for name, row in FIRST_RUNS.get(notebook, ()) for run in STUDIES[name].runs(row, profile, data)[:1]]
    keys = {run.key for run in shown}
    return [run for run in runs if run.key in keys]


COUNTED = [
    "25_efficiency",
    "34_multiscale_styles",
    "51_lgmsnet_2d_table",
    "53_lgmsnet_3d",
    "54_lgmsnet_ablations",
]
"""The notebooks that count what networks cost (``tables.COSTS``), which the last one gathers."""


def find_sources(notebook: str) -> list[str]:
    """The notebooks whose results a notebook gathers."""
    return COUNTED if notebook == "90_paper_versus_ours" else []
