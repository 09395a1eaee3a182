"""Made-up colonoscopy clips: one scene each, over which the camera moves smoothly. Painted as the stills are."""

import zlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image

from m2s.phantoms import camera
from m2s.phantoms import wall as scene
from m2s.phantoms.stills import STYLES as STILLS
from m2s.phantoms.stills import Style
from m2s.phantoms.wall import F4, Array

VERSION = 1

FRAMES = 10
"""Of each clip."""

MARGIN = 1.5
"""How much larger the painted scene is than the picture, which moves over it."""

STYLES = {
    "cvc300tv": STILLS["cvc300"],
    "cvc612v": STILLS["clinicdb"],
    "cvc612t": replace(STILLS["clinicdb"], colour=(0.62, 0.44, 0.33), contrast=(0.1, 0.8), clutter=0.8),
}


@dataclass(frozen=True)
class Frame:
    """One frame of a clip: everything about it follows from these values."""

    module: str
    style: str
    split: str
    index: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.group}-{self.index % FRAMES:02d}"

    @property
    def group(self) -> str:
        """The clip. A split holds whole clips, so that no scene is in two of them."""
        return f"{self.style}-{self.split}-{self.seed}-clip{self.index // FRAMES:03d}"

    def read(self) -> tuple[Array, Array]:
        """Image uint8 (H, W, 3), RGB, and mask uint8 (H, W)."""
        where = zlib.crc32(f"{self.style}/{self.split}".encode())
        return _shoot((self.seed, where, self.index // FRAMES, VERSION), self.style, self.index % FRAMES)


item = Frame


@lru_cache(maxsize=2)
def _scene(clip: tuple[int, ...], style: Style) -> tuple[scene.Canvas, Array, tuple[int, int]]:
    """The whole scene of a clip, larger than the picture; where the polyp is; and the picture's size."""
    rng = np.random.default_rng([*clip, 0])
    h, w = style.sizes[rng.integers(len(style.sizes))]
    shape = int(h * MARGIN), int(w * MARGIN)
    canvas = scene.wall(rng, shape, style.lumen, style.folds, rng.uniform(*style.vessels))
    canvas.relief *= F4(rng.uniform(0.004, 0.014))
    everywhere = np.ones(shape, bool)
    share = rng.uniform(0.005, 0.04)
    at = rng.uniform(-0.75, 0.75, 2)
    scene.raise_wall(rng, canvas, scene.blob(rng, canvas, (at[0], at[1]), share, everywhere, long=0.9), share)
    median, low, high = style.share
    share = float(np.clip(median * np.exp(rng.normal(0, style.share_spread)), 2 * low, high)) / MARGIN**2
    at = rng.uniform(-0.35, 0.35, 2)
    body = scene.blob(rng, canvas, (at[0], at[1]), share, everywhere)
    scene.raise_body(rng, canvas, body, share, rng.uniform(*style.contrast))
    scene.distract(rng, canvas, style.clutter)
    return canvas, (body < 1).astype(F4), (h, w)


def _shoot(clip: tuple[int, ...], name: str, number: int) -> tuple[Array, Array]:
    """Frame ``number``: the part of the scene that the camera sees then, lit from where the camera is."""
    style = STYLES[name]
    whole, polyp, (h, w) = _scene(clip, style)
    rng = np.random.default_rng([*clip, 1])  # what stays the same from frame to frame
    visible, overlay = camera.frame(rng, (h, w), style.frame)
    window = _window(rng, number / FRAMES, (h, w))

    def see(values: Array, how: int = Image.Resampling.BILINEAR) -> Array:
        return np.asarray(Image.fromarray(values).transform((w, h), Image.Transform.AFFINE, window, how)).copy()

    x, y = scene.plane((h, w))
    seen = (see(v) for v in (whole.light, whole.warmth, whole.yellow, whole.gloss, whole.relief))
    canvas = scene.Canvas(x, y, *seen)
    scene.shine(rng, canvas, style.wet + rng.normal(0, 0.3))
    bright, orange, pink = rng.normal(0, style.spread, 3)
    colour = np.asarray(style.colour) * np.exp(bright + orange * np.array([0, 0.5, 0]) + pink * np.array([0, 0.5, 1.0]))
    image = camera.expose(rng, canvas, colour)
    blur, shift = rng.uniform(*style.blur), style.colour_shift * rng.random()
    image = camera.record(np.random.default_rng([*clip, 2, number]), image, visible, overlay, blur, shift)
    return image, ((see(polyp) > 0.5) & visible).astype(np.uint8)


def _window(rng: np.random.Generator, time: float, size: tuple[int, int]) -> tuple[float, ...]:
    """The affine map from the picture to the scene at a ``time`` from 0 to 1: the camera pans, turns and nears."""
    h, w = size
    phase, speed = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.3, 1.0, 4)
    pan_x, pan_y, turn, near = np.sin(phase + speed * 2 * np.pi * time)
    scale = 1 + 0.12 * near
    c, s = np.cos(0.12 * turn) * scale, np.sin(0.12 * turn) * scale
    x, y = w * (MARGIN / 2 + 0.07 * pan_x), h * (MARGIN / 2 + 0.07 * pan_y)
    return c, -s, x - c * w / 2 + s * h / 2, s, c, y - s * w / 2 - c * h / 2
