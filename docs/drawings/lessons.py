"""Pictures for single lessons: overlap, borders, folds, a bootstrap of pairs, windows over a volume."""

import numpy as np
from canvas import LARGE, NORMAL, SMALL, Drawing

from m2s.metrics.boundary import boundary

R, HALF = 30, 15
"""Radius of the discs P and G, and half of the distance of their centres."""


def _draw_discs(d: Drawing, x: float, y: float, shared: bool) -> None:
    """P and G over each other: what both have is filled, or what any of them has."""
    high = (R * R - HALF * HALF) ** 0.5
    bow = f"M{x},{y - high:.1f} A{R},{R} 0 {{0}} 1 {x},{y + high:.1f} A{R},{R} 0 {{0}} 1 {x},{y - high:.1f}Z"
    d.parts.append(f'<path d="{bow.format(0 if shared else 1)}" class="full-green" fill-opacity="0.55"/>')
    for side, color in ((-1, "orange"), (1, "sky")):
        d.ring(x + side * HALF, y, R, color)


def draw_overlap() -> Drawing:
    """Dice and IoU as areas."""
    d = Drawing(
        "Dice and IoU: the same two areas, counted in two ways",
        "Two overlapping discs, the prediction P and the mask G. Dice is twice the shared area over the sum of "
        "both areas. IoU is the shared area over the area that any of them covers.",
        270,
    )
    for x, name in ((20, "Dice  ="), (440, "IoU  =")):
        d.text(x, 150, name, LARGE, "start", bold=True)
        d.line((x + 90, 150), (x + (330 if x == 20 else 230), 150), color="grey", width=2)
    d.text(158, 100, "2 ×", LARGE)
    _draw_discs(d, 230, 100, shared=True)
    d.circle(160, 200, R, "P", "orange")
    d.text(214, 200, "+", 22)
    d.circle(268, 200, R, "G", "sky")
    _draw_discs(d, 600, 100, shared=True)
    _draw_discs(d, 600, 200, shared=False)
    d.text(680, 100, "in both", SMALL, "start")
    d.text(680, 200, "in one or both", SMALL, "start")
    d.note(
        252,
        "P: the prediction. G: the mask. Dice = 2·IoU / (1 + IoU): the larger number, and the same order.",
    )
    return d


def draw_boundaries() -> Drawing:
    """D and D', and what a false spot does to ASD and HD95."""
    rows, columns = np.mgrid[:200, :200]
    mask = np.hypot(rows - 100, columns - 70) < 46
    moved = np.hypot(rows - 100, columns - 82) < 46
    spot = mask | (np.hypot(rows - 100, columns - 176) < 12)
    d = Drawing(
        "Distances between borders: two predictions of one lesion",
        "Left: the prediction is moved to the side; arrows go from its border to the nearest point of the mask's "
        "border, and back. Right: the prediction is the mask and a false spot far away. Below: Dice, ASD and "
        "HD95.",
        368,
    )
    for x0, title, prediction in ((20, "moved by 12 pixels", moved), (420, "a false spot", spot)):
        x, y = x0 + 130, 170
        d.text(x0, 62, title, NORMAL, "start", bold=True)
        d.ring(x, y, 69, "sky")
        centers = [(x + 18, 69)] if prediction is moved else [(x, 66), (x + 159, 18)]
        for center, radius in centers:
            d.ring(center, y, radius, "orange", dashed=True)
        if prediction is moved:
            d.arrow((x + 87, y), (x + 70, y), color="vermilion", width=2)
            d.arrow((x - 69, y), (x - 52, y), color="vermilion", width=2)
        else:
            d.arrow((x + 141, y), (x + 70, y), color="vermilion", width=2)
        found = boundary(prediction, mask)
        dice = 2 * (prediction & mask).sum() / (prediction.sum() + mask.sum())
        d.text(x0, 278, f"Dice {dice:.3f}   ASD {found['ASD']:.1f}   HD95 {found['HD95']:.1f} pixels", NORMAL, "start")
    d.line((20, 318), (54, 318), color="sky", width=2.5)
    d.text(62, 318, "border of the mask", SMALL, "start")
    d.line((220, 318), (254, 318), color="orange", width=2.5, dashed=True)
    d.text(262, 318, "border of the prediction", SMALL, "start")
    words = "From each border pixel to the nearest of the other border, both ways."
    d.note(346, f"{words} ASD: the mean. HD95: the larger 95 % quantile.")
    return d


def draw_folds() -> Drawing:
    """Four folds: each image is tested once."""
    d = Drawing(
        "Four folds: every image is tested once, by a network that has not seen it",
        "The images are dealt into four parts. In each of four trainings one part is the test set and the other "
        "three are the training set. A table gives the mean of the four scores and their standard deviation.",
        312,
    )
    for part in range(4):
        d.text(190 + 92 * part, 66, f"part {part + 1}", SMALL)
    for fold in range(4):
        y = 98 + 48 * fold
        d.text(20, y, f"training {fold + 1}", NORMAL, "start")
        for part in range(4):
            test = part == fold
            d.box(190 + 92 * part, y, 84, 34, "test" if test else "train", "orange" if test else "sky")
        score = d.box(580, y, 84, 34, f"score {fold + 1}", "green")
        d.arrow((516, y), score.left)
        d.line(score.right, (644, y), color="green")
    d.line((644, 98), (644, 242), color="green")
    mean = d.box(722, 170, 104, 56, "mean\n± their sd", "purple")
    d.arrow((644, 170), mean.left, color="green")
    d.note(
        290,
        "Copies of one picture belong into one part, or a test knows them. BUSI: 780 images, parts of 195.",
    )
    return d


def draw_bootstrap() -> Drawing:
    """How the interval of a difference comes about, with eight images so that one sees it."""
    a = np.array([0.90, 0.71, 0.85, 0.40, 0.93, 0.66, 0.80, 0.77])
    b = np.array([0.88, 0.73, 0.80, 0.31, 0.92, 0.60, 0.83, 0.70])
    difference = a - b
    draws = np.random.default_rng(0).integers(0, len(a), (2000, len(a)))
    means = difference[draws].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    d = Drawing(
        "A paired bootstrap: how much of a gap is chance in the choice of images",
        "Eight test images with the scores of two networks and their differences. Images are drawn again with "
        "replacement, 2000 times; each time the mean difference is taken. The middle 95 % of the means is the "
        "interval.",
        420,
    )
    for y, name in ((70, "image"), (102, "network A"), (132, "network B"), (164, "A − B")):
        d.text(20, y, name, SMALL, "start", bold=True)
    for i in range(len(a)):
        x = 150 + 62 * i
        d.text(x, 70, str(i + 1), SMALL, bold=True)
        d.text(x, 102, f"{a[i]:.2f}", SMALL)
        d.text(x, 132, f"{b[i]:.2f}", SMALL)
        d.box(
            x, 164, 54, 26, f"{difference[i]:+.2f}".replace("-", "−"), "green" if difference[i] > 0 else "orange", SMALL
        )
    d.text(690, 164, f"mean {difference.mean():+.3f}", SMALL, bold=True)
    for k in range(3):
        y = 214 + 34 * k
        d.text(20, y, f"draw {k + 1}", SMALL, "start", bold=True)
        for j, i in enumerate(draws[k]):
            d.box(150 + 62 * j, y, 54, 26, str(i + 1), "green" if difference[i] > 0 else "orange", SMALL)
        d.text(690, y, f"mean {means[k]:+.3f}", SMALL)
    counts, edges = np.histogram(means, bins=30)
    x0, scale, base = 150, 434 / (edges[-1] - edges[0]), 388
    for count, edge in zip(counts, edges[:-1], strict=True):
        inside = low <= edge + (edges[1] - edges[0]) / 2 <= high
        h, w = 62 * count / counts.max(), (edges[1] - edges[0]) * scale
        d.area(x0 + (edge - edges[0]) * scale + w / 2, base - h / 2, w - 2, h, "blue" if inside else "grey", 0)
    zero = x0 - edges[0] * scale
    d.line((zero, 318), (zero, base + 4), color="vermilion", width=2)
    d.text(zero, base + 14, "0", SMALL)
    d.text(20, 356, "2000 draws", SMALL, "start", bold=True)
    d.text(690, 356, f"95 % interval\n{low:+.3f} to {high:+.3f}", SMALL)
    return d


def draw_windows() -> Drawing:
    """Cubes in training and windows in prediction, drawn in two dimensions."""
    d = Drawing(
        "Volumes: random cubes to train on, a sliding window to predict",
        "Left: cubes are cut out of a volume at random, half of them centred in the foreground, half anywhere. "
        "Right: at test time a window of the same size moves in half steps; where windows overlap, logits are "
        "averaged.",
        364,
    )
    for x0, title in ((20, "training"), (420, "test")):
        d.text(x0, 62, title, NORMAL, "start", bold=True)
        d.area(x0 + 170, 186, 340, 208, "grey", 2)
        d.circle(x0 + 210, 170, 34, color="green")
    for x, y, color in ((216, 176, "orange"), (242, 156, "orange"), (82, 232, "sky"), (130, 136, "sky")):
        d.frame(x, y, 92, 92, color)
    for i in range(3):
        d.frame(486 + 46 * i, 148, 92, 92, ("sky", "orange", "purple")[i])
    d.arrow((666, 148), (706, 148), color="grey")
    d.text(692, 132, "half steps", SMALL)
    d.text(
        20,
        316,
        "half of the cubes centred in the foreground (orange),\nhalf anywhere (blue), flipped and turned now and then",
        SMALL,
        "start",
    )
    d.text(420, 316, "the logits of overlapping windows are averaged", SMALL, "start")
    d.note(350, "Drawn in two dimensions. The foreground is green.")
    return d
