"""What is scored, and on which images: the conventions of the metrics, and the leak between two frames of one clip."""

import numpy as np
from canvas import NORMAL, SMALL, Drawing

from m2s.metrics.conventions import curves, score

MAP = np.array([[0, 0, 0, 0], [0, 1, 0.8, 0], [0, 0.6, 0.4, 0], [0, 0.5, 0, 0]])
MASK = np.zeros((4, 4), dtype=bool)
MASK[1:3, 1:3] = True


def draw_metrics() -> Drawing:
    """Notebook 04's map of sixteen pixels under the four conventions, with their real scores."""
    d = Drawing(
        "One prediction, four conventions",
        "A map of 4×4 probabilities and its mask. The curve shows the Dice at every threshold. A table says what "
        "each convention does: released, pranet, lgmsnet and monai; whether the map is stretched, how Dice, IoU "
        "and E-measure take a threshold, what an empty mask gives, and the Dice of this map.",
        520,
    )
    left, top, cell = 40, 76, 38
    d.grid(left + 2 * cell, top + 2 * cell, cell, MAP.tolist(), "orange")
    corner = left + cell, top + cell
    far = left + 3 * cell, top + 3 * cell
    d.line(corner, (far[0], corner[1]), far, (corner[0], far[1]), corner, color="blue", width=3)
    d.text(left + 2 * cell, 60, "map p; the mask is framed", SMALL)
    dice, scores = (
        curves(MAP, MASK)["Dice"],
        {name: score(MAP, MASK, name) for name in ("released", "pranet", "lgmsnet")},
    )
    x0, y0, w, h = 330, 232, 300, 160
    d.line((x0, y0 - h), (x0, y0), (x0 + w, y0), color="grey")
    d.line(*((x0 + w * t, y0 - h * v) for t, v in _steps(dice.index, dice)), color="blue", width=2.2)
    for t in (0, 0.5, 1):
        d.text(x0 + w * t, y0 + 14, f"{t:g}", SMALL)
        d.text(x0 - 10, y0 - h * t, f"{t:g}", SMALL, "end")
    d.text(x0 + w / 2, y0 + 32, "threshold", SMALL)
    d.text(x0 - 34, y0 - h - 18, "Dice, p ≥ threshold", SMALL, "start")
    mean, half = scores["pranet"]["mDice"], scores["lgmsnet"]["Dice"]
    d.line((x0, y0 - h * mean), (x0 + w, y0 - h * mean), color="purple", dashed=True)
    d.text(x0 + w + 8, y0 - h * mean, f"mean {mean:.3f}", SMALL, "start")
    d.line((x0 + w / 2, y0), (x0 + w / 2, y0 - h * half), color="green", dashed=True)
    d.dot(x0 + w / 2 + 2, y0 - h * half, 5, "green")
    d.text(x0 + w / 2 + 14, y0 - h * half - 10, f"p > 0.5: {half:.3f}", SMALL, "start")
    soft = scores["released"]["mDice"]
    header = ("", "released", "pranet", "lgmsnet", "monai")
    rows = (
        ("used by", "MSNet, M2SNet", "PraNet's script", "LGMSNet", "MONAI, nnU-Net"),
        ("map", "stretched to 0 … 1", "stretched to 0 … 1", "as it is", "as it is"),
        ("Dice", "soft, no threshold", "mean of 256", "p > 0.5", "p > 0.5"),
        ("IoU", "p > 0.5", "mean of 256", "p > 0.5", "p > 0.5"),
        ("E-measure", "threshold 2·mean", "max and mean of 256", "–", "–"),
        ("empty mask", "1 if p = 0, else ≈ 0", "Dice 0, IoU 0", "Dice 0; IoU 1 if p = 0", "left out"),
        ("Dice here", f"{soft:.3f}", f"{mean:.3f}", f"{half:.3f}", f"{half:.3f}"),
    )
    columns = (20, 118, 296, 474, 652)
    for i, row in enumerate((header, *rows)):
        y = 300 + 27 * i
        if i:
            d.line((20, y - 14), (780, y - 14), color="grey", width=0.6)
        for x, words in zip(columns, row, strict=True):
            heading = i in (0, len(rows)) or x == 20
            d.text(x, y, words, NORMAL if i in (0, len(rows)) else SMALL, "start", bold=heading)
    return d


def _steps(thresholds, values):
    """The corners of a step curve: ``values[i]`` holds above the threshold before and up to ``thresholds[i]``."""
    corners, before = [], 0.0
    for threshold, value in zip(thresholds, values, strict=True):
        if corners and corners[-1][1] == value:
            corners.pop()  # the step goes on
        else:
            corners.append((before, value))
        corners.append((threshold, value))
        before = threshold
    return corners


def draw_leak() -> Drawing:
    """Frames of three clips, dealt one by one or clip by clip."""
    d = Drawing(
        "The leak: neighbouring frames on both sides of a split",
        "Three clips of six frames. Split by frame, every test frame has a nearly equal neighbour in training. "
        "Split by clip, no polyp is in training and in test.",
        366,
    )
    by_frame = ((1, 4), (2, 5), (0, 3))
    for x0, title, tests, words in (
        (20, "split by frame", by_frame, "Every test frame has its neighbour in training:\nremembering is enough."),
        (420, "split by clip", ((), (), range(6)), "The test clip shows a polyp that training\nhas not seen."),
    ):
        d.text(x0, 62, title, NORMAL, "start", bold=True)
        for clip, test in enumerate(tests):
            y = 108 + 72 * clip
            d.text(x0, y, f"clip {clip + 1}", SMALL, "start")
            for frame in range(6):
                x = x0 + 74 + 52 * frame
                held = frame in test
                d.area(x, y, 44, 44, "orange" if held else "sky", 3)
                d.dot(x - 8 + 3 * frame + (-3, 1, 4)[clip], y + (-6, 4, 0)[clip] + frame, (7, 10, 5)[clip], "purple")
                if held and clip < 3 and len(test) < 6:
                    near = x - 52 if frame else x + 52
                    d.arrow((near, y + 24), (near, y + 33), (x, y + 33), (x, y + 23), color="vermilion")
        d.text(x0, 326, words, NORMAL, "start")
    d.area(590, 26, 16, 16, "sky", 2), d.area(690, 26, 16, 16, "orange", 2)
    d.text(604, 26, "training", SMALL, "start")
    d.text(704, 26, "test", SMALL, "start")
    return d
