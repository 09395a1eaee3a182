"""How long runs will take here, before any is started."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from m2s.data.tensors import multiscale_sizes
from m2s.runs.build import build_loss, build_network
from m2s.runs.models import pick_device
from m2s.runs.plan import count_images
from m2s.studies.recipe import Recipe
from m2s.studies.run import Run

LONG = 5
"""Seconds of a training step that need no second measurement."""


def estimate_seconds(runs: Sequence[Run], data: str) -> Iterator[float]:
    """The training time to expect of each run here, without scoring: the measured time of an image, times images.

    Runs whose steps take as long, because only their images or numbers of the training differ, are measured once.
    """
    measured: dict[tuple[Run, bool], float] = {}
    for run, images in zip(runs, count_images(runs, data), strict=True):
        recipe = Recipe(size=run.recipe.size, multiscale=run.recipe.multiscale)
        numbers = {"normalisation": "model", "lossnet_pretrained": False, "lossnet_weight": 0.1}
        alike = replace(run, data="", train_sets=(), train_limit=None, recipe=recipe, **numbers)
        kind = alike, run.volumetric
        if kind not in measured:
            measured[kind] = measure_seconds_per_image(run)
        yield measured[kind] * images


def measure_seconds_per_image(run: Run) -> float:
    """The seconds an image that one training step of a run's own network, size and loss takes here."""
    torch.set_num_threads(run.threads)
    device = pick_device()
    model = build_network(run, pretrained=False).train().to(device)
    loss = build_loss(replace(run, lossnet_pretrained=False)).to(device)
    sizes = multiscale_sizes(run.recipe.size) if run.recipe.multiscale else (run.recipe.size,)
    # Two images instead of a whole batch: the time is in proportion, and a paper's batch can take minutes.
    size = sizes[len(sizes) // 2]
    batch = torch.rand(2, *((1, size, size, size) if run.volumetric else (3, size, size)), device=device)
    masks = (batch[:, :1] > 0.5).float()
    taken = 0.0
    for _ in range(2):  # the first step warms up, which matters where it is short
        if taken < LONG:
            start = time.perf_counter()
            loss(model(batch), masks).backward()
            taken = time.perf_counter() - start
    return taken / len(batch)


def count_parallel(runs: Sequence[Run], cores: int) -> int:
    """How many of the runs a machine of so many cores trains side by side."""
    return max(1, cores // max((run.threads for run in runs), default=1))


def format_time(seconds: float) -> str:
    """A time in the unit that suits it: "85 s", "12 min", "7 h", "3 days"."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} days"
