"""How long runs will take here, before any is started."""

import time
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import torch

from m2s.data.tensors import multiscale_sizes
from m2s.runs.build import build_loss, build_network, load_train_set
from m2s.runs.models import pick_device
from m2s.studies.run import Run


def seconds(run: Run, data: str) -> float:
    """A guess at the training time here, without scoring: the measured time of an image, times images and epochs."""
    return seconds_per_image(run) * images(run, data)


def images(run: Run, data: str) -> int:
    """How many images a run trains on, each epoch's counted anew."""
    return run.recipe.epochs * _train_images(run.train_sets, run.train_limit, data)


@lru_cache
def _train_images(train_sets: tuple[str, ...], limit: int | None, data: str) -> int:
    return len(load_train_set(Run(data, "", "", None, train_sets=train_sets, train_limit=limit), data))


def seconds_per_image(run: Run) -> float:
    """One measured step of a run's own network, size and loss, measured once for runs that differ in nothing else."""
    alike = replace(run, data="", train_sets=(), train_limit=None, recipe=replace(run.recipe, epochs=1, seed=0))
    return _step(replace(alike, lossnet_pretrained=False), run.volumetric)


@lru_cache
def _step(run: Run, volumetric: bool) -> float:
    torch.set_num_threads(run.threads)
    device = pick_device()
    model, loss = build_network(run, pretrained=False).train().to(device), build_loss(run).to(device)
    sizes = multiscale_sizes(run.recipe.size) if run.recipe.multiscale else (run.recipe.size,)
    # Two images instead of a whole batch: the time is in proportion, and a paper's batch can take minutes.
    size = sizes[len(sizes) // 2]
    batch = torch.rand(2, *((1, size, size, size) if volumetric else (3, size, size)), device=device)
    masks = (batch[:, :1] > 0.5).float()
    for _ in range(2):  # the first step warms up
        start = time.perf_counter()
        loss(model(batch), masks).backward()
        taken = time.perf_counter() - start
    return taken / len(batch)


def at_once(runs: Iterable[Run], cores: int) -> int:
    """How many of the runs a machine of so many cores trains side by side."""
    return max(1, cores // max((run.threads for run in runs), default=1))


def in_words(seconds: float) -> str:
    """A time in the unit that suits it: "85 s", "12 min", "7 h", "3 days"."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} days"
