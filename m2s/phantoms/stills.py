"""Made-up colonoscopy stills with exact masks, for use without real data. They are labelled "made-up" wherever shown.

Each data set has a manner of its own (size, colour, contrast, share of the picture that is polyp), so that between what
is trained on (kvasir, clinicdb) and the others there is a shift, as there is between the real ones. No measurement on
them says anything about patients.
"""

from dataclasses import dataclass, field

import numpy as np

from m2s.phantoms import camera, wall

VERSION = 2
"""Counted up with every change to the pictures: it enters the fingerprint."""


@dataclass(frozen=True)
class Style:
    """The manner of one data set."""

    sizes: tuple[tuple[int, int], ...]
    """Heights and widths, of which the caller of :func:`paint` draws one."""
    color: tuple[float, float, float]
    """Mean RGB of the lit wall, 0 to 1."""
    spread: float
    """How much that colour differs from image to image."""
    share: tuple[float, float, float]
    """Part of the picture that is polyp: median, lowest, highest."""
    share_spread: float
    """Standard deviation of its logarithm."""
    contrast: tuple[float, float]
    """Of polyps, 0 to 1: lowest and highest."""
    lumen: float = 0.5
    folds: float = 0.8
    vessels: tuple[float, float] = (0.0, 0.8)
    clutter: float = 0.6
    wet: float = 0.1
    blur: tuple[float, float] = (0.5, 1.1)
    frame: camera.Frame = field(default_factory=camera.Frame)
    second: float = 0.06
    """How often there are two polyps."""
    color_shift: float = 0.0
    """Shift in pixels between the colours of an interlaced camera, at most."""


STYLES = {
    "kvasir": Style(
        sizes=((352, 440), (336, 400), (352, 416), (320, 400), (344, 408)),
        color=(0.78, 0.46, 0.35), spread=0.16, share=(0.12, 0.012, 0.35), share_spread=0.75, contrast=(0.1, 1.0),
        clutter=0.7, wet=0.25, frame=camera.Frame(corner=(0.12, 0.32), inset=0.35, text=0.6), second=0.08,
    ),
    "clinicdb": Style(
        sizes=((288, 384),), color=(0.66, 0.45, 0.31), spread=0.16, share=(0.076, 0.007, 0.30), share_spread=0.75,
        contrast=(0.15, 1.0), lumen=0.6, frame=camera.Frame(corner=(0.14, 0.22), border=(0.12, 0.03), grey=0.08),
    ),
    "colondb": Style(
        sizes=((500, 574),), color=(0.66, 0.42, 0.29), spread=0.2, share=(0.036, 0.005, 0.30), share_spread=0.9,
        contrast=(0.0, 0.7), lumen=0.6, folds=1.0, vessels=(0.0, 0.5), clutter=0.8, blur=(1.0, 2.6),
        frame=camera.Frame(corner=(0.08, 0.16), border=(0.04, 0.0)), color_shift=3.0,
    ),
    "cvc300": Style(
        sizes=((500, 574),), color=(0.70, 0.48, 0.40), spread=0.1, share=(0.028, 0.006, 0.14), share_spread=0.6,
        contrast=(0.15, 0.75), lumen=0.75, vessels=(0.2, 0.8), clutter=0.25, wet=-0.1, blur=(0.9, 1.8),
        frame=camera.Frame(corner=(0.08, 0.16), border=(0.04, 0.0)),
    ),
    "etis": Style(
        sizes=((484, 612),), color=(0.72, 0.40, 0.26), spread=0.2, share=(0.025, 0.005, 0.20), share_spread=0.8,
        contrast=(0.05, 0.8), lumen=0.55, vessels=(0.2, 1.0), clutter=0.8, blur=(0.3, 0.7),
        frame=camera.Frame(corner=(0.12, 0.28), border=(0.1, 0.02)), second=0.05,
    ),
}  # fmt: skip
STYLES["endoscene"] = STYLES["clinicdb"]  # two thirds of its frames are


def paint(rng: np.random.Generator, size: tuple[int, int], style: Style) -> tuple[np.ndarray, np.ndarray]:
    """One image, uint8 (H, W, 3), RGB, and its mask, uint8 (H, W): 1 is polyp."""
    h, w = size
    visible, overlay = camera.choose_frame(rng, size, style.frame)
    canvas = wall.paint_wall(rng, size, style.lumen, style.folds, rng.uniform(*style.vessels))
    canvas.relief *= np.float32(rng.uniform(0.004, 0.014))
    mask = np.zeros(size, bool)

    def place() -> tuple[float, float]:
        for _ in range(20):
            at = rng.uniform(-0.75, 0.75) * w / h, rng.uniform(-0.75, 0.75)
            row, column = int((at[1] + 1) * h / 2), int((at[0] * h + w) / 2)
            if visible[row, column]:
                break
        return at

    for _ in range(rng.integers(0, 3)):  # bulges of healthy wall
        share = rng.uniform(0.005, 0.06)
        wall.raise_wall(rng, canvas, wall.blob(rng, canvas, place(), share, visible, long=0.9), share)
    median, low, high = style.share
    share = float(np.clip(median * np.exp(rng.normal(0, style.share_spread)), low, high))
    if two := rng.random() < style.second:
        share *= 0.66  # so that both together stay below the highest share
    for part in (share, share * rng.uniform(0.15, 0.5))[: 1 + two]:
        body = wall.blob(rng, canvas, place(), part, visible)
        wall.raise_body(rng, canvas, body, part, rng.uniform(*style.contrast))
        mask |= body < 1
    wall.distract(rng, canvas, style.clutter)
    wall.shine(rng, canvas, style.wet + rng.normal(0, 0.3))
    image = camera.expose(rng, canvas, choose_color(rng, style))
    image = camera.record(rng, image, visible, overlay, rng.uniform(*style.blur), style.color_shift * rng.random())
    return image, (mask & visible).astype(np.uint8)


def choose_color(rng: np.random.Generator, style: Style) -> np.ndarray:
    """The RGB of the lit wall of one image, (3,): brighter or darker, more orange or more pink than the set's."""
    bright, orange, pink = rng.normal(0, style.spread, 3)
    return np.asarray(style.color) * np.exp(bright + orange * np.array([0, 0.5, 0]) + pink * np.array([0, 0.5, 1.0]))
