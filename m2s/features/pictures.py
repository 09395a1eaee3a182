"""Pictures of features: the maps that the explorer shows, and the same as static figures."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from scipy import ndimage
from torch import Tensor

from m2s import figures
from m2s.errors import InputError, unknown
from m2s.features.capture import Capture, Node, channel_spectrum, effective_rank, principal_components
from m2s.lossnet import LossNet

VIEWS = ("channel mean", "single channel", "principal components", "overlay")
"""How a feature of many channels becomes one picture."""

COLORS = plt.get_cmap("viridis")(np.arange(256))[:, :3]
NETWORK_COLORS = (figures.PALETTE["blue"], figures.PALETTE["vermilion"])


def stretch(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """``low`` to 0 and ``high`` to 1, by default the smallest and the largest value; a constant map to 0.

    What differs by rounding alone counts as constant: stretched, it would be a picture of noise.
    """
    low, high = (float(values.min()) if low is None else low, float(values.max()) if high is None else high)
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        return np.zeros_like(values)
    return np.clip((values - low) / (high - low), 0, 1)


def color(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """A map (h, w) in the colours of the style, uint8 (h, w, 3), stretched as by :func:`stretch`."""
    index = (stretch(values, low, high) * 255).round().astype(np.uint8)
    return (COLORS[index] * 255).round().astype(np.uint8)


def draw_feature(
    feature: Tensor, view: str = "channel mean", channel: int = 0, image: np.ndarray | None = None
) -> np.ndarray:
    """A feature (C, h, w) as a picture, uint8 (h, w, 3), each stretched to its own range.

    ``view`` is one of :data:`VIEWS`: the mean over the channels; the channel with the number ``channel``; the first
    three principal components of the channels as red, green and blue; the mean over ``image``, uint8 (H, W, 3), half
    and half at the image's size.
    """
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    if view == "principal components":
        return (np.stack([stretch(m.numpy()) for m in principal_components(feature)], -1) * 255).astype(np.uint8)
    if view == "single channel":
        if not 0 <= channel < len(feature):
            raise InputError(f"channel {channel}: the feature has the channels 0 to {len(feature) - 1}")
        return color(feature[channel].numpy())
    mean = feature.mean(0)
    if view == "channel mean":
        return color(mean.numpy())
    if image is None:
        raise InputError("the view 'overlay' needs the image")
    mean = F.interpolate(mean[None, None], image.shape[:2], mode="bilinear")[0, 0]
    return (color(mean.numpy()) // 2 + image // 2).astype(np.uint8)


def draw_borders(image: np.ndarray, mask: np.ndarray | None, prediction: np.ndarray | None = None) -> np.ndarray:
    """An image uint8 (H, W, 3) with the inner borders of a mask (sky blue) and of a prediction (yellow), both > 0.5.

    The colours are those of :func:`m2s.figures.overlay`; this is the fast form, for a picture that is drawn often.
    """
    drawn = image.copy()
    for area, color_name in ((mask, figures.MASK_COLOR), (prediction, figures.PREDICTION_COLOR)):
        if area is not None:
            inside = np.asarray(area) > 0.5
            border = inside & ~ndimage.binary_erosion(inside, iterations=max(1, len(image) // 150))
            drawn[border] = (np.array(to_rgb(color_name)) * 255).round()
    return drawn


def arrange_nodes(capture: Capture) -> list[list[str]]:
    """The names of a capture's nodes as the triangle shows them: a column per level, a row per order, then the rest."""
    rows = [[f"E^{i}" for i in range(1, 6)]]
    rows += [[f"MS_{n}^{i}" for i in range(1, 7 - n)] for n in range(1, 6)]
    rows += [[f"CE^{i}" for i in range(1, 6)], ["logit", "D^2", "D^3", "D^4"]]
    return [present for row in rows if (present := [name for name in row if name in capture])]


def draw_triangle(capture: Capture, image: np.ndarray, mask: np.ndarray | None = None) -> Figure:
    """All features of the subtraction module, as the paper's Fig. 8: a column per level, a row per order; below it the
    enhanced features and the decoder's stages, then image, mask and prediction. Channel means, each to its own range.
    """
    rows = arrange_nodes(capture)
    size = (figures.TWO_COLUMNS * 0.62, figures.TWO_COLUMNS * 0.62 * len(rows) / 5 * 1.2)
    fig, axes = plt.subplots(len(rows), 5, figsize=size, squeeze=False, layout="constrained")
    for line, names in zip(axes, rows, strict=True):
        for ax in line:
            ax.set_axis_off()
        for ax, name in zip(line, names, strict=False):
            ax.imshow(draw_feature(capture[name].feature))
            ax.set_title(capture[name].label, fontsize="small")
    figures.overlay(axes[-1, 4], image, mask, capture.probability[0].numpy(), title="image")
    return fig


def draw_unit(captures: Mapping[str, Capture], name: str, image: np.ndarray) -> Figure:
    """One node from close: a row per network with what goes in, the difference at each scale, and what comes out; below
    it the values and the redundancy of the channels (:func:`plot_values`, :func:`plot_spectrum`).

    ``captures`` are one or two passes of the same image by the networks' names.
    """
    rows = {network: list_parts(capture, name) for network, capture in captures.items()}
    wide = max(len(nodes) for nodes in rows.values()) + 1
    height = figures.TWO_COLUMNS / wide * 1.25 * len(rows)
    fig = plt.figure(figsize=(figures.TWO_COLUMNS, height + 1.8))
    above, below = fig.subfigures(2, 1, height_ratios=(height, 1.8))
    axes = above.subplots(len(rows), wide, squeeze=False)
    for line, (network, nodes) in zip(axes, rows.items(), strict=True):
        for ax in line:
            ax.set(xticks=[], yticks=[], visible=False)
        shown = [(node.label, draw_feature(node.feature)) for node in nodes]
        over = ("on the image", draw_feature(captures[network][name].feature, "overlay", image=image))
        for ax, (title, picture) in (*zip(line, shown, strict=False), (line[-1], over)):
            ax.set_visible(True)
            ax.imshow(picture)
            ax.set_title(title, fontsize="x-small")
        line[0].set_ylabel(network, fontsize="small")
    features = {network: capture[name].feature for network, capture in captures.items()}
    left, right = below.subplots(1, 2)
    plot_values(left, features)
    plot_spectrum(right, features)
    return fig


def list_parts(capture: Capture, name: str) -> list[Node]:
    """A node with what it is made of: its inputs, then the difference at each scale, then the node itself."""
    node = capture[name]
    scales = [capture[other] for other in capture if other.startswith(f"{name} k=")]
    return [*(capture[other] for other in node.inputs if other in capture), *scales, node]


def plot_values(ax: Axes, features: Mapping[str, Tensor]) -> None:
    """Histograms of the values of one feature in one or two networks; the share of zeros in the legend."""
    for (network, feature), line_color in zip(features.items(), NETWORK_COLORS, strict=False):
        values = feature.numpy()
        counts, edges = np.histogram(values[values != 0], bins=50)
        ax.stairs(counts, edges, color=line_color, label=f"{network}: {np.mean(values == 0):.0%} zeros")
    ax.set(xlabel="value", ylabel="pixels, all channels", yscale="log")
    # Few ticks in plain text: the explorer draws this often, and formulas take long to set.
    ax.yaxis.set_major_locator(LogLocator(numticks=4))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.legend(fontsize="x-small")


def plot_spectrum(ax: Axes, features: Mapping[str, Tensor]) -> None:
    """Shares of the variance in the singular values of the channels, summed up; the effective rank in the legend."""
    for (network, feature), line_color in zip(features.items(), NETWORK_COLORS, strict=False):
        share = channel_spectrum(feature)
        label = f"{network}: effective rank {effective_rank(share):.1f} of {len(feature)}"
        ax.plot(np.arange(1, len(share) + 1), share.cumsum(0), "o-", markersize=2, color=line_color, label=label)
    ax.set(xlabel="singular values", ylabel="share of variance", ylim=(0, 1.03), yticks=(0, 0.5, 1))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.legend(fontsize="x-small", loc="lower right")


@torch.inference_mode()
def run_lossnet(lossnet: LossNet, side: np.ndarray) -> list[Tensor]:
    """The features of a prediction or a mask (H, W) in [0, 1] at LossNet's four levels, each (C, h, w) on the CPU."""
    image = torch.from_numpy(np.ascontiguousarray(side, np.float32))[None, None]
    return [level[0].cpu() for level in lossnet.features(image.to(lossnet.mean.device))]


def compare_lossnet_features(prediction: Sequence[Tensor], mask: Sequence[Tensor]) -> list[tuple[np.ndarray, ...]]:
    """What to show of two :func:`run_lossnet`: at each level (prediction, mask, distance), each float32 (h, w).

    The first two are means over the channels; the distance is the mean over the channels of the squared difference, so
    that its own mean is the term l_f^i of Eq. 6.
    """
    pairs = zip(prediction, mask, strict=True)
    return [(p.mean(0).numpy(), m.mean(0).numpy(), (p - m).square().mean(0).numpy()) for p, m in pairs]


def color_level(prediction: np.ndarray, mask: np.ndarray, distance: np.ndarray) -> list[np.ndarray]:
    """One level of :func:`compare_lossnet_features` in colours: two sides in their common range, and the distance."""
    low, high = min(prediction.min(), mask.min()), max(prediction.max(), mask.max())
    return [color(prediction, low, high), color(mask, low, high), color(distance)]


def draw_lossnet(maps: Sequence[tuple[np.ndarray, ...]], prediction: np.ndarray, mask: np.ndarray) -> Figure:
    """The paper's Fig. 4: prediction and mask at LossNet's four levels, and the distance of the two, with l_f^i."""
    fig, axes = plt.subplots(3, 5, figsize=(figures.TWO_COLUMNS, figures.TWO_COLUMNS * 0.66), layout="constrained")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    distance = np.abs(prediction - mask)
    as_they_are = {"prediction": prediction, "mask": mask, "distance": distance}
    for ax, (name, side) in zip(axes[:, 0], as_they_are.items(), strict=True):
        ax.imshow(side, cmap="gray", vmin=0, vmax=1)
        ax.set_ylabel(name)
    axes[0, 0].set_title("as they are")
    axes[2, 0].set_xlabel(f"mean {distance.mean():.3f}", fontsize="small")
    for level, (column, sides) in enumerate(zip(axes[:, 1:].T, maps, strict=True), start=1):
        for ax, picture in zip(column, color_level(*sides), strict=True):
            ax.imshow(picture)
        column[0].set_title(f"level {level}")
        column[2].set_xlabel(f"$l_f^{level}$ = {sides[2].mean():.3g}", fontsize="small")
    return fig
