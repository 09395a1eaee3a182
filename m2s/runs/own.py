"""Train on a user's own images: settings that suit the machine, and what came out in numbers and pictures."""

from math import ceil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from m2s import figures
from m2s.data.imageset import ImageSet, short_hash
from m2s.errors import InputError, is_first_process
from m2s.paths import results_root, whole_file
from m2s.pretrained import list_pretrained
from m2s.runs.build import build_network
from m2s.runs.curves import draw_curves
from m2s.runs.execute import execute
from m2s.runs.models import load_network, pick_device
from m2s.runs.predict import predict
from m2s.runs.store import list_runs_by_name, read_scores
from m2s.studies.recipe import Recipe
from m2s.studies.run import Run

LABEL = "own"
"""Of these runs' data, and of their folder of results."""
ENCODER = "tf_efficientnet_lite0"
SIZES = {"cuda": (256, 16, 2000), "cpu": (128, 8, 600)}
"""By device: side in pixels, images in a batch, and the steps that a training takes by default."""
MOST_EPOCHS = 200


def plan_own_run(
    train_set: ImageSet, held_out: ImageSet, model: str = "m2snet", encoder: str = ENCODER, size: int | None = None,
    epochs: int | None = None, seed: int = 0,
) -> Run:  # fmt: skip
    """The run that trains ``model`` on a user's images.

    Without a GPU the images are 128 px and a training is about 600 steps of 8 images, some ten minutes on a laptop;
    with one, 256 px and 2000 steps of 16. The encoder is pretrained, the loss that of M2SNet without LossNet, whose
    weight would have to be found for each set.

    Raises:
        InputError: a network that is unknown or takes volumes, or a name that another run or network has.
    """
    side, batch, steps = SIZES[pick_device().type]
    batch = min(batch, len(train_set))
    epochs = epochs or min(MOST_EPOCHS, ceil(steps / max(1, len(train_set) // batch)))
    classes = train_set.entry.classes
    recipe = Recipe(size=size or side, epochs=epochs, batch_size=batch, seed=seed)
    run = Run(
        data=LABEL, model=model, encoder=encoder, recipe=recipe, classes=classes,
        num_classes=1 if len(classes) == 1 else len(classes) + 1,
        train_sets=(f"{train_set.name}/train",), test_sets=(f"{train_set.name}/test",),
        fingerprint=short_hash(train_set.fingerprint, held_out.fingerprint), threads=torch.get_num_threads(),
        watch=len(classes) == 1,
    )  # fmt: skip
    if any(p.ndim == 5 for p in build_network(run, pretrained=False).parameters()):
        raise InputError(f"{model} takes volumes: choose a network for images (m2s list)")
    known = list_runs_by_name().get(run.name)
    if run.name in list_pretrained() or (known and known.name != run.key):
        raise InputError(f"there is a network called {run.name} with other settings or images: give another --name")
    return run


def train_own(run: Run, train_set: ImageSet, held_out: ImageSet) -> Path:
    """Train and score the run, or go on with it; its folder, with ``curves.png`` and ``worst.png`` added."""
    folder = execute(run, results_root() / LABEL, LABEL, own=(train_set, held_out))
    if not is_first_process():
        return folder
    figures.style()
    for name, draw in (("curves", lambda: draw_curves(folder)), ("worst", lambda: draw_worst(folder, held_out))):
        with whole_file(folder / f"{name}.png") as temporary:
            fig = draw()
            fig.savefig(temporary, format="png")
            plt.close(fig)
    return folder


def summarize_scores(folder: Path) -> pd.DataFrame:
    """Dice at 0.5 over the held-out images, a row for each class: n, mean, sd, the 95 % interval of the mean, worst.

    The interval is from 2000 bootstrap samples of the images: what another choice of images like these might give.
    """
    scores = read_scores(folder)
    rows, rng = [], np.random.default_rng(0)
    for name, dice in scores.groupby("dataset", sort=False)["Dice"]:
        means = rng.choice(dice.to_numpy(), (2000, len(dice))).mean(axis=1)
        low, high = np.percentile(means, (2.5, 97.5))
        sd = dice.std() if len(dice) > 1 else 0.0
        rows.append({
            "class": name.rpartition(":")[2], "images": len(dice), "mean": dice.mean(), "sd": sd, "low": low,
            "high": high, "worst": dice.min(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def draw_worst(folder: Path, held_out: ImageSet, count: int = 6) -> Figure:
    """The held-out images with the lowest Dice (the mean over classes), with the outlines of mask and prediction."""
    scores = read_scores(folder)
    worst = scores.groupby("image")["Dice"].mean().nsmallest(count)
    network, columns = load_network(folder), min(3, len(worst))
    fig, axes = plt.subplots(
        ceil(len(worst) / columns), columns, figsize=(2.6 * columns, 2.7 * ceil(len(worst) / columns)),
        layout="constrained", squeeze=False,
    )  # fmt: skip
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (name, dice) in zip(axes.flat, worst.items(), strict=False):
        sample = held_out[held_out.names.index(name)]
        prediction = predict(network, sample.image)
        area = prediction.argmax(0) if prediction.ndim == 3 else prediction
        figures.overlay(ax, sample.image, sample.mask, area, title=f"{name}\nDice {dice:.2f}")
    handles, names = axes.flat[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    fig.suptitle(f"{held_out.name}: the worst of {len(held_out)} held-out images")
    return fig
