"""How long the profile ``paper`` takes on 1, 8 and 64 GPUs, on paper: ``python results/bench/paper_hours.py``.

From two measured trainings on one H200 (results/large-real): M2SNet's whole seconds, scaled to another network by its
multiply-adds, to other images by their number and size. No training is faster an image than MSNet's was, where the
loader and the launches of kernels set the pace. Runs are dealt out, the longest first, each to the first free GPU.
"""

import heapq
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from m2s.data.load import load_images
from m2s.data.sets import CATALOGUE
from m2s.data.tensors import multiscale_sizes
from m2s.errors import InputError
from m2s.runs.build import build_network
from m2s.runs.plan import study_runs
from m2s.runs.store import read_record
from m2s.studies import STUDIES
from m2s.studies.run import Run, split_of

MEASURED = Path(__file__).parents[1] / "large-real" / "runs"
M2SNET = MEASURED / "m2snet-tf_efficientnet_lite0-s0-328403cc"
MSNET = MEASURED / "msnet-tf_efficientnet_lite0-s0-089f46a1"


def count_work(run: Run, known: dict[tuple, int]) -> float:
    """Floating-point operations of the forward passes of a whole training; without values, on the device "meta"."""
    recipe = run.recipe
    sizes = multiscale_sizes(recipe.size) if recipe.multiscale else (recipe.size,)
    kind = run.model, run.encoder, run.options, run.num_classes, recipe.size, run.clip
    if kind not in known:
        known[kind] = count_flops(run)
    # A batch of another size costs in proportion to its pixels.
    pixels = sum((size / recipe.size) ** 2 for size in sizes) / len(sizes)
    return known[kind] * pixels * count_published_images(run)


def count_flops(run: Run) -> int:
    """Floating-point operations of one image or crop."""
    size = run.recipe.size
    shape = (1, 1, size, size, size) if run.volumetric else (1, 3, size, size)
    image = torch.zeros((1, run.clip, *shape[1:]) if run.clip > 1 else shape, device="meta")
    with FlopCounterMode(display=False) as counter:
        build_network(run, pretrained=False).to("meta").eval()(image)
    return counter.get_total_flops() // run.clip


def count_published_images(run: Run) -> int:
    """Images that a whole training sees: the sets' published numbers or, where there is none, those of made-up ones."""
    images = 0
    for name, split in (split_of(one, "train") for one in run.train_sets):
        images += CATALOGUE[name].counts.get(split) or len(load_images(name, split, "phantom"))
    return images * run.recipe.epochs


def deal_out(seconds: list[float], gpus: int) -> float:
    """When the last of the runs ends, in hours."""
    free = [0.0] * gpus
    for taken in sorted(seconds, reverse=True):
        heapq.heapreplace(free, free[0] + taken)
    return max(free) / 3600


def main() -> None:
    """Print the table of ``docs/cluster.md``."""
    m2snet, msnet, known = read_record(M2SNET), read_record(MSNET), {}
    per_work = m2snet["seconds"]["training"] / count_work(Run.from_settings(m2snet["settings"]), known)
    per_image = msnet["seconds"]["training"] / count_published_images(Run.from_settings(msnet["settings"]))
    runs = {run.key: run for study in STUDIES for run in study_runs(study, "paper", "real")}
    taken, left_out = {}, {}
    for key, run in runs.items():
        try:
            taken[key] = max(per_work * count_work(run, known), per_image * count_published_images(run))
        except InputError as error:  # a network of an extra that is not installed
            left_out[key] = str(error)
    hours = {"M2SNet's tables": 0.0, "LGMSNet's tables in 2-D": 0.0, "volumes": 0.0}
    for key in taken:
        run = runs[key]
        kind = "volumes" if run.volumetric else list(hours)[run.recipe.schedule == "poly"]
        hours[kind] += taken[key] / 3600
    longest = max(taken, key=taken.__getitem__)
    print(*(f"{len(left_out)} runs are not counted: {reason}" for reason in set(left_out.values())), sep="\n")
    print(f"{len(taken)} runs; the longest, {taken[longest] / 3600:.0f} h: {runs[longest].title}")
    print(*(f"{kind}: {spent:.0f} GPU hours" for kind, spent in hours.items()), sep="\n")
    print("\n| GPUs | hours |\n|---|---|")
    for gpus in (1, 8, 64):
        print(f"| {gpus} | {deal_out(list(taken.values()), gpus):.0f} |")


if __name__ == "__main__":
    main()
