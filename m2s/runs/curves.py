"""How a training went: the curves of a finished run."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from m2s import figures
from m2s.paths import is_made_up
from m2s.runs.store import read_record
from m2s.studies.run import Run, split_of

LOG = "log.csv"
PARTS = {
    "loss": "whole loss", "iou": "IoU loss", "bce": "cross-entropy", "lossnet": "LossNet", "dice": "Dice loss",
    "ce": "cross-entropy", "watched_IoU": "IoU on the watched images",
}  # fmt: skip
"""Columns of the log in words."""


def draw_curves(folder: Path) -> Figure:
    """The loss and its parts, the IoU on the watched images where there are some, and the learning rate, by epoch.

    ``folder`` is that of a finished run (:func:`m2s.runs.store.find_run_folder`).
    """
    log = pd.read_csv(folder / LOG, index_col="epoch").drop(columns="seconds")
    run = Run.from_settings(read_record(folder)["settings"])
    rates = [column for column in ("lr", "encoder_lr") if column in log]
    watched = [column for column in ("watched_IoU",) if column in log]
    losses = [column for column in log if column not in (*rates, *watched)]
    panels = [("loss", losses), *([("IoU", watched)] if watched else []), ("learning rate", rates)]
    fig, axes = plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 2.8), layout="constrained")
    for ax, (title, columns) in zip(axes, panels, strict=True):
        for column in columns:
            named = {"lr": "network", "encoder_lr": "encoder"} | PARTS
            ax.plot(log.index, log[column], marker="." if len(log) < 30 else None, label=named.get(column, column))
        ax.set(title=title, xlabel="epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
        if len(columns) > 1:
            ax.legend(fontsize="small")
    if is_made_up(split_of(run.train_sets[0], "train")[0], run.data):
        figures.made_up(fig)
    fig.suptitle(run.name)
    return fig
