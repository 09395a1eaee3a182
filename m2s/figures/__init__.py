"""One look for all figures, outlines over an image, and figures saved so that they say where they came from."""

import json
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib.patheffects as effects
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy.ndimage import binary_dilation

from m2s import paths

ONE_COLUMN = 3.5
"""Width in inches of a figure in one column of a paper."""
TWO_COLUMNS = 7.2
"""Width in inches of a figure across both columns."""

PALETTE = {
    "blue": "#0072B2", "orange": "#E69F00", "green": "#009E73", "purple": "#CC79A7",
    "sky": "#56B4E9", "vermilion": "#D55E00", "yellow": "#F0E442", "black": "#000000",
}  # fmt: skip
"""The eight colour-blind-safe colours of Okabe and Ito (2008), in the order of the style's colour cycle."""
MASK_COLOR = PALETTE["sky"]
PREDICTION_COLOR = PALETTE["yellow"]

break_lines = partial(fill, break_on_hyphens=False)
"""``break_lines(title, width)``: a title in lines of at most so many letters, broken between words, not in "U-Net"."""


def style() -> None:
    """Use ``m2s.mplstyle`` for every figure drawn from here on."""
    plt.style.use(Path(__file__).with_name("m2s.mplstyle"))


def overlay(
    ax: Axes, image: np.ndarray, mask: np.ndarray | None = None, prediction: np.ndarray | None = None, title: str = ""
) -> Axes:
    """An image with the outlines, named by ``ax.legend()``, of its mask (sky blue) and a prediction (yellow, dashed).

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8 or float in [0, 1].
        mask: (H, W) bool or class indices, of which each border is drawn; 0 and 255 is read as 0 and 1.
        prediction: (H, W) probabilities as float in [0, 1], cut at 0.5, or as the mask.
    """
    ax.imshow(image, cmap="gray", vmin=0, vmax=255 if np.asarray(image).dtype == np.uint8 else 1)
    looks = ("mask", mask, MASK_COLOR, "solid"), ("prediction", prediction, PREDICTION_COLOR, "dashed")
    for name, area, color, line in looks:
        if area is not None:
            _outline(ax, np.asarray(area), color, line)
            ax.plot([], [], color=color, linestyle=line, label=name)
    ax.set_title(title.replace("$", r"\$"))  # a file's name is no formula
    ax.set_axis_off()
    return ax


def _outline(ax: Axes, area: np.ndarray, color: str, line: str) -> None:
    values = area / 255 if area.max() == 255 else area.astype(float)
    levels = np.arange(np.ceil(values.max())) + 0.5
    levels = levels[(levels > values.min()) & (levels < values.max())]
    if levels.size:  # a mask that is empty or full has no border
        drawn = ax.contour(values, levels=levels, colors=color, linestyles=line, linewidths=1.4)
        # a dark rim keeps the line visible on bright and on dark tissue
        drawn.set_path_effects([effects.Stroke(linewidth=2.6, foreground="black", alpha=0.6), effects.Normal()])


def draw_outline(image: np.ndarray, area: np.ndarray) -> np.ndarray:
    """An image at its own size with the border of each class, in the colours of :data:`PALETTE` with a dark rim.

    Args:
        image: uint8 (H, W, 3), which stays as it is.
        area: (H, W) bool or class indices; 0 is the background.

    Returns:
        uint8 (H, W, 3).
    """
    drawn, width = image.copy(), max(1, round(max(image.shape[:2]) / 160))
    colors = [color for name, color in PALETTE.items() if name != "black"]
    colors = [PREDICTION_COLOR, *(color for color in colors if color != PREDICTION_COLOR)]
    for index in range(1, int(area.max()) + 1):
        one = area == index
        outside = binary_dilation(one, iterations=width) & ~one
        drawn[binary_dilation(one, iterations=2 * width) & ~one] = 0
        drawn[outside] = np.rint(255 * np.array(to_rgb(colors[(index - 1) % len(colors)])))
    return drawn


def made_up(fig: Figure) -> None:
    """Mark a figure as drawn from phantoms: the words "made-up images" below its lower right corner."""
    fig.text(1, 0, "made-up images", ha="right", va="top", fontsize="small", fontstyle="italic", color="0.35")


def mark_made_up(fig: Figure, kinds: Collection[bool]) -> None:
    """Say below a figure if all, or some, of what it shows is made up: one value for each of its data sets."""
    if kinds and all(kinds):
        made_up(fig)
    elif any(kinds):
        fig.text(1, 0, "made-up images where it says so", ha="right", va="top", fontsize="small", fontstyle="italic")


def fingerprints(*image_sets: Any) -> dict[str, str]:
    """Image sets → the fingerprint of each by ``"name/split"``, for :func:`save`."""
    return {f"{images.name}/{images.split}": images.fingerprint for images in image_sets}


def save(fig: Figure, path: str | Path, /, data_sets: Mapping[str, str] | None = None, **metadata) -> tuple[Path, Path]:
    """Write ``path.png`` and ``path.pdf``, never half of one, and return their paths.

    Both carry the file's name as Title and, as JSON in Subject: the notebook whose number the name begins with, the
    given key and value pairs, the data sets it was drawn from, as :func:`fingerprints` gives them, and the checkout's
    git commit where there is one. Neither carries a date: the same figure gives the same bytes.
    """
    target = Path(path)
    notebook = next((paths.ROOT / "notebooks").glob(f"{target.name[:3]}*.ipynb"), None)
    origin = ({"notebook": notebook.name} if notebook else {}) | metadata
    if data_sets:
        origin["data_sets"] = dict(data_sets)
    if paths.commit():
        origin["commit"] = paths.commit()
    subject = json.dumps(origin, default=str, ensure_ascii=True)
    written = []
    for kind, dates in (("png", {}), ("pdf", {"CreationDate": None})):
        written.append(target.with_name(f"{target.name}.{kind}"))
        with paths.whole_file(written[-1]) as temporary:
            fig.savefig(temporary, format=kind, metadata={"Title": target.name, "Subject": subject, **dates})
    return written[0], written[1]
