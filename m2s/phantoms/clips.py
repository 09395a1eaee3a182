"""Made-up colonoscopy clips: one scene each, over which the camera moves smoothly. Painted as the stills are."""

from dataclasses import replace

import numpy as np
from PIL import Image

from m2s.phantoms import camera, wall
from m2s.phantoms.stills import STYLES as STILLS
from m2s.phantoms.stills import Style, choose_color
from m2s.phantoms.wall import F4, Array

VERSION = 1

FRAMES = 10
"""Of each clip."""

MARGIN = 1.5
"""How much larger the painted scene is than the picture, which moves over it."""

STYLES = {
    "cvc300tv": STILLS["cvc300"],
    "cvc612v": STILLS["clinicdb"],
    "cvc612t": replace(STILLS["clinicdb"], color=(0.62, 0.44, 0.33), contrast=(0.1, 0.8), clutter=0.8),
}

Scene = tuple[wall.Canvas, Array, tuple[int, int]]
"""The whole scene of a clip, larger than the picture; where the polyp is, float32; and the picture's size."""


class Clip:
    """One scene, and the camera that moves over it. All of it follows from ``seeds`` and ``style``."""

    def __init__(self, seeds: tuple[int, ...], style: Style) -> None:
        self.seeds, self.style = seeds, style
        self._scene: Scene | None = None

    def paint_frame(self, number: int) -> tuple[Array, Array]:
        """Frame ``number``, from 0 to ``FRAMES - 1``: image uint8 (H, W, 3), RGB, and mask uint8 (H, W).

        The scene is painted with the first frame and kept until the last: all scenes of a set would be too much.
        """
        scene = self._scene or _paint_scene(np.random.default_rng([*self.seeds, 0]), self.style)
        self._scene = scene if number < FRAMES - 1 else None
        return self._shoot(scene, number)

    def _shoot(self, scene: Scene, number: int) -> tuple[Array, Array]:
        """The part of the scene that the camera sees then, lit from where the camera is."""
        whole, polyp, (h, w) = scene
        rng = np.random.default_rng([*self.seeds, 1])  # what stays the same from frame to frame
        visible, overlay = camera.choose_frame(rng, (h, w), self.style.frame)
        window = _window(rng, number / FRAMES, (h, w))

        def see(values: Array) -> Array:
            picture = Image.fromarray(values)
            return np.array(picture.transform((w, h), Image.Transform.AFFINE, window, Image.Resampling.BILINEAR))

        x, y = wall.plane((h, w))
        layers = (see(v) for v in (whole.light, whole.warmth, whole.yellow, whole.gloss, whole.relief))
        canvas = wall.Canvas(x, y, *layers)
        wall.shine(rng, canvas, self.style.wet + rng.normal(0, 0.3))
        image = camera.expose(rng, canvas, choose_color(rng, self.style))
        blur, shift = rng.uniform(*self.style.blur), self.style.color_shift * rng.random()
        noise = np.random.default_rng([*self.seeds, 2, number])
        image = camera.record(noise, image, visible, overlay, blur, shift)
        return image, ((see(polyp) > 0.5) & visible).astype(np.uint8)


def _paint_scene(rng: np.random.Generator, style: Style) -> Scene:
    h, w = style.sizes[rng.integers(len(style.sizes))]
    shape = int(h * MARGIN), int(w * MARGIN)
    canvas = wall.paint_wall(rng, shape, style.lumen, style.folds, rng.uniform(*style.vessels))
    canvas.relief *= F4(rng.uniform(0.004, 0.014))
    everywhere = np.ones(shape, bool)
    share = rng.uniform(0.005, 0.04)
    at = rng.uniform(-0.75, 0.75, 2)
    wall.raise_wall(rng, canvas, wall.blob(rng, canvas, (at[0], at[1]), share, everywhere, long=0.9), share)
    median, low, high = style.share
    share = float(np.clip(median * np.exp(rng.normal(0, style.share_spread)), 2 * low, high)) / MARGIN**2
    at = rng.uniform(-0.35, 0.35, 2)
    body = wall.blob(rng, canvas, (at[0], at[1]), share, everywhere)
    wall.raise_body(rng, canvas, body, share, rng.uniform(*style.contrast))
    wall.distract(rng, canvas, style.clutter)
    return canvas, (body < 1).astype(F4), (h, w)


def _window(rng: np.random.Generator, time: float, size: tuple[int, int]) -> tuple[float, ...]:
    """The affine map from the picture to the scene at a ``time`` from 0 to 1: the camera pans, turns and nears."""
    h, w = size
    phase, speed = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.3, 1.0, 4)
    pan_x, pan_y, turn, near = np.sin(phase + speed * 2 * np.pi * time)
    scale = 1 + 0.12 * near
    c, s = np.cos(0.12 * turn) * scale, np.sin(0.12 * turn) * scale
    x, y = w * (MARGIN / 2 + 0.07 * pan_x), h * (MARGIN / 2 + 0.07 * pan_y)
    return c, -s, x - c * w / 2 + s * h / 2, s, c, y - s * w / 2 - c * h / 2
