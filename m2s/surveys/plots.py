"""The pictures of every data-set notebook: examples with outlines, sizes, grey values, locations."""

from collections.abc import Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from m2s import figures
from m2s.data.imageset import ImageSet
from m2s.data.sets import CATALOGUE
from m2s.surveys.measure import Survey, join_tables

COLORS = tuple(figures.PALETTE[c] for c in ("sky", "orange", "green", "purple", "yellow", "vermilion", "blue", "black"))
"""One colour-blind-safe colour for each class of a mask; from the ninth class on they repeat."""


def mark_made_up(fig: Figure, sets: Sequence[ImageSet]) -> None:
    """Say below a figure if the images of all, or of some, of its sets are made up."""
    figures.mark_made_up(fig, [images.made_up for images in sets])


def draw_outlines(ax: Axes, image: np.ndarray, mask: np.ndarray, classes: int) -> Axes:
    """An image with the border of each class of its mask (H, W), 1 … ``classes``, in that class's own colour.

    The image is (H, W) or (H, W, 3), uint8, or any floats, which are stretched to black and white.
    """
    ax.imshow(image, cmap="gray", **({"vmin": 0, "vmax": 255} if image.dtype == np.uint8 else {}))
    for index in range(1, classes + 1):
        area = mask == index
        if area.any() and not area.all():
            # padded, so that a border along the image's edge is drawn as well
            x, y = np.arange(-1, mask.shape[1] + 1), np.arange(-1, mask.shape[0] + 1)
            ax.contour(x, y, np.pad(area, 1), levels=[0.5], colors=[pick_color(index)], linewidths=1)
    ax.set(xlim=(-0.5, mask.shape[1] - 0.5), ylim=(mask.shape[0] - 0.5, -0.5))
    ax.set_axis_off()
    return ax


def pick_color(index: int) -> str:
    """The colour of class ``index`` (1 is the first)."""
    return COLORS[(index - 1) % len(COLORS)]


def add_legend(fig: Figure, classes: Sequence[str], place: str = "upper") -> None:
    """Name the classes' colours above ("upper") or below ("lower") a figure."""
    lines = [plt.Line2D([], [], color=pick_color(i), label=name) for i, name in enumerate(classes, 1)]
    fig.legend(handles=lines, loc=f"outside {place} center", ncols=min(5, len(lines)), fontsize="small", frameon=False)


def draw_gallery(sets: Sequence[ImageSet], columns: int = 3) -> Figure:
    """A row for each set: ``columns`` images spread over the set, each alone and with the outlines of its mask."""
    samples = [[s[i] for i in np.linspace(0, len(s) - 1, min(columns, len(s))).astype(int)] for s in sets]
    ratios = [max(image.shape[0] / image.shape[1] for _, image, _ in row) for row in samples]
    heights = [figures.TWO_COLUMNS / (2 * columns) * ratio + 0.25 for ratio in ratios]
    fig = plt.figure(figsize=(figures.TWO_COLUMNS, sum(heights) + 0.25), layout="constrained")
    parts = fig.subfigures(len(sets), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, images, chosen in zip(parts, sets, samples, strict=True):
        part.suptitle(images.title, x=0.01, ha="left", fontsize=8)
        row = part.subplots(1, 2 * columns, squeeze=False)[0]
        for ax in row:
            ax.set_axis_off()
        classes = len(CATALOGUE[images.name].classes)
        for (left, right), (_, image, mask) in zip(row.reshape(-1, 2), chosen, strict=False):
            figures.overlay(left, image)
            draw_outlines(right, image, mask, classes)
    names = {CATALOGUE[s.name].classes for s in sets}
    if len(names) == 1:
        add_legend(fig, names.pop())
    return fig


def draw_sizes(surveys: Sequence[Survey], hue: str = "set") -> Figure:
    """The foreground share as a cumulative curve, and the diameter at 352 px as boxes, coloured by ``hue``."""
    table = join_tables(surveys).query("share > 0")
    table[hue] = table[hue].map(lambda name: figures.break_lines(name, 24))
    names = table[hue].drop_duplicates()
    colors = COLORS if hue == "class" else tuple(figures.PALETTE.values())
    fig, axes = plt.subplots(1, 2, figsize=(figures.TWO_COLUMNS, 2.1 + 0.12 * len(names)), layout="constrained")
    shared = {"hue": hue, "palette": dict(zip(names, cycle(colors), strict=False)), "legend": False}
    sns.ecdfplot(table, x="share", log_scale=True, ax=axes[0], **shared)
    axes[0].set(xlabel="foreground share", ylabel="part of the images with less")
    axes[0].xaxis.set_minor_formatter(NullFormatter())
    sns.boxplot(table, y=hue, x="diameter", width=0.6, fliersize=2, ax=axes[1], **shared)
    axes[1].set(xlabel="diameter of an equal disc at 352 px", ylabel="")
    return fig


def draw_intensities(surveys: Sequence[Survey]) -> Figure:
    """The grey values inside each class and outside, one panel for each set."""
    fig = plt.figure(figsize=(figures.TWO_COLUMNS, 2.3), layout="constrained")
    axes = fig.subplots(1, len(surveys), squeeze=False, sharex=True)[0]
    for ax, s in zip(axes, surveys, strict=True):
        names = ("background", *CATALOGUE[s.images.name].classes)
        counts = s.histograms.sum(0).reshape(len(names), 64, 4).sum(-1)
        for index, (name, values) in enumerate(zip(names, counts, strict=True)):
            look = {"color": pick_color(index)} if index else {"color": "0.4", "linestyle": "dashed"}
            if values.sum():
                ax.plot(np.arange(2, 256, 4), values / values.sum(), label=name, linewidth=1.2, **look)
        ax.set(xlabel="grey value", yscale="log", ylim=(1e-5, 1.2))
        ax.set_title(s.images.title, fontsize=8)
        if len(names) < 6:  # more would cover the curves; the gallery names the colours
            ax.legend(fontsize="x-small", frameon=False)
    axes[0].set_ylabel("part of the pixels")
    return fig


def draw_locations(surveys: Sequence[Survey]) -> Figure:
    """How often a place is foreground: one map for each set and class, each in a square whatever the image's shape."""
    maps = []
    for s in surveys:
        titles = [f"{figures.break_lines(s.images.title, 22)}\n{name}" for name in CATALOGUE[s.images.name].classes]
        maps += zip(titles, s.locations, strict=True)
    columns = min(5, len(maps))
    rows = -(-len(maps) // columns)
    size = (figures.TWO_COLUMNS * max(columns, 3) / 5, 1.75 * rows + 0.2)
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    top = max(float(values.max()) for _, values in maps)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, values) in zip(axes.flat, maps, strict=False):
        shown = ax.imshow(values, vmin=0, vmax=top, cmap="cividis")
        ax.set_title(title, fontsize=7)
    fig.colorbar(shown, ax=axes, label="part of the images", shrink=0.8)
    return fig
