"""Paint what a made-up colonoscopy image shows: a wall with folds and vessels, polyps on it, and things that mislead.

Not a model of optics. Everything is a height or a brightness over the picture's plane, lit by a lamp at the camera.
Coordinates: the picture's half height is 1, x to the right, y down, the centre is (0, 0).
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

Array = np.ndarray
F4 = np.float32


def noise(rng: np.random.Generator, shape: tuple[int, int], cells: float, octaves: int = 1, gain: float = 0.5) -> Array:
    """Smooth noise (H, W), mean 0, about unit deviation: ``cells`` bumps over the height, each octave twice as many."""
    h, w = shape
    picture, power = None, 0.0
    for octave in range(octaves):
        n = cells * 2**octave
        grid = rng.standard_normal((max(2, round(n) + 1), max(2, round(n * w / h) + 1)), dtype=F4) * F4(gain**octave)
        power += gain ** (2 * octave)
        if picture is not None:  # the coarser octaves grow with the finer ones, so that only the last step is large
            grid += np.asarray(picture.resize(grid.shape[::-1], Image.Resampling.BICUBIC))
        picture = Image.fromarray(grid)
    return np.asarray(picture.resize((w, h), Image.Resampling.BICUBIC)) / F4(0.75 * np.sqrt(power))


def plane(shape: tuple[int, int]) -> tuple[Array, Array]:
    """Coordinates x (1, W) and y (H, 1)."""
    h, w = shape
    x = ((np.arange(w, dtype=F4) + 0.5) * 2 - w) / h
    y = ((np.arange(h, dtype=F4) + 0.5) * 2 - h) / h
    return x[None, :], y[:, None]


def step(values: Array, low: float, high: float) -> Array:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((values - F4(low)) / F4(high - low), 0, 1)
    return t * t * (3 - 2 * t)


@dataclass
class Ground:
    """The picture's plane, which bodies are placed on: coordinates x (1, W) and y (H, 1), float32."""

    x: Array
    y: Array

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.y), self.x.shape[1]


@dataclass
class Canvas(Ground):
    """The picture while it is painted; all (H, W) float32."""

    light: Array
    """Brightness, about 0 to 1.2."""
    warmth: Array
    """Redness against the wall's own colour: positive is redder, negative paler."""
    yellow: Array
    """How yellow, from 0 to 1: stool and fluid."""
    gloss: Array
    """Wet highlights, 0 to 1."""
    relief: Array
    """Small height differences of the wall."""


def paint_wall(rng: np.random.Generator, shape: tuple[int, int], lumen: float, folds: float, vessels: float) -> Canvas:
    """The colon's inside: a view along it (with probability ``lumen``) or of one side; folds, vessels, colour."""
    x, y = plane(shape)
    bend = noise(rng, shape, 2.5) * F4(0.10) + noise(rng, shape, 6) * F4(0.025)
    view = _along if rng.random() < lumen else _facing
    light = view(rng, x, y, bend, folds)
    light *= 1 + F4(0.07) * noise(rng, shape, 3, 2)
    relief = noise(rng, shape, 5, 4, 0.42)
    warmth = F4(0.10) * noise(rng, shape, 3, 3) + F4(0.035) * noise(rng, shape, 60)
    if vessels > 0:
        strength = step(noise(rng, shape, 2.2), -0.7, 1.2) * F4(vessels)
        lines = noise(rng, shape, 4.5, 3, 0.45)
        thin = noise(rng, shape, 11, 2)
        net = np.exp(-((lines / 0.06) ** 2)) + F4(0.6) * np.exp(-((thin / 0.09) ** 2))
        warmth += F4(0.5) * net * strength
        light *= 1 - F4(0.16) * net * strength
    return Canvas(x, y, light, warmth, np.zeros(shape, F4), np.zeros(shape, F4), relief)


def _along(rng: np.random.Generator, x: Array, y: Array, bend: Array, folds: float) -> Array:
    """Brightness of a tube seen along its axis: dark far away, with rings of folds that hide what lies behind them."""
    angle, distance = rng.uniform(0, 2 * np.pi), 1.2 * np.sqrt(rng.random())
    u = x - F4(np.cos(angle) * distance) + bend
    v = y - F4(np.sin(angle) * distance) - bend
    uu, vv = u * u, v * v
    r = np.sqrt(uu + vv) + F4(1e-3)
    phase = rng.uniform(0, 2 * np.pi)
    # Three bands of muscle make the hollow three-sided: cos(3θ + phase), without computing θ.
    three = u * (uu - 3 * vv) * F4(np.cos(phase)) - v * (3 * uu - vv) * F4(np.sin(phase))
    r *= 1 + F4(rng.uniform(0.03, 0.16)) * three / (r * r * r)
    radius = rng.uniform(0.08, 0.42)
    ring = np.log(r / F4(radius)) * F4(rng.uniform(0.8, 2.4)) + bend * F4(2.0)
    index = np.floor(ring)
    # Just outside a ring's inner edge is its lit crest; just inside that edge, the shadow behind it.
    depth = (folds * rng.uniform(0.1, 0.75, 16)).astype(F4)[np.clip(index.astype(np.intp) + 4, 0, 15)]
    depth *= step(noise(rng, r.shape, 1.5), -1.2, 0.6)
    t = ring - index
    light = 1 - depth * t * (F4(0.4) + F4(0.6) * t)
    rr, reach = r * r, rng.uniform(0.8, 1.9) * radius
    hole = step(-ring, -0.03, 0.03) * step(-r, -0.5, -0.1)
    return light * (F4(0.75) + F4(0.3) * r) * rr / (rr + F4(reach**2)) * (F4(1.12) - F4(0.84) * hole)


def _facing(rng: np.random.Generator, x: Array, y: Array, bend: Array, folds: float) -> Array:
    """Brightness of the wall from the side: one lit region, and up to three folds across the picture."""
    angle = rng.uniform(0, 2 * np.pi)
    cx, cy = rng.uniform(-0.9, 0.9, 2)
    reach = rng.uniform(0.6, 2.2)
    light = F4(1.25) / (1 + ((x - F4(cx)) ** 2 + (y - F4(cy)) ** 2) * F4(reach**-2))
    for _ in range(rng.integers(0, 4)):
        angle += rng.normal(0, 0.5)
        c, s = F4(np.cos(angle)), F4(np.sin(angle))
        along = s * x - c * y
        across = c * x + s * y + F4(rng.uniform(-0.5, 0.5)) * along * along + 2 * bend - F4(rng.uniform(-0.9, 0.9))
        behind = step(across, -0.015, rng.uniform(0.02, 0.08))
        hidden = behind * np.exp(-np.maximum(across, 0) / F4(rng.uniform(0.15, 0.7)))
        crest = (1 - behind) * np.exp(np.minimum(across, 0) / F4(rng.uniform(0.1, 0.3)))
        present = folds * step(noise(rng, light.shape, 1.5), -1.5, 0.5)
        light *= 1 + present * (F4(0.16) * crest - F4(rng.uniform(0.25, 0.8)) * hidden)
    return light


def blob(
    rng: np.random.Generator, canvas: Ground, at: tuple[float, float], share: float, visible: Array, long: float = 0.3
) -> Array:
    """Squared radius (H, W) of an irregular body: 0 at its middle, 1 on its outline, which encloses ``share`` of it.

    One to three ellipses melted into one another, and, for a polyp on a stalk, a long thin one beside the head.
    ``long`` is the largest logarithm of the stretch.
    """
    radius = np.sqrt(4 * share * canvas.shape[1] / canvas.shape[0] / np.pi)
    rough = noise(rng, canvas.shape, min(40, 2.2 / radius), 2) * F4(0.07 * radius)
    x = canvas.x - F4(at[0]) + rough
    y = canvas.y - F4(at[1]) + rough[:, ::-1]
    stretch = np.exp(rng.uniform(0.0, long))
    total = _ellipse(x, y, rng.uniform(0, np.pi), radius * stretch, radius / stretch)
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
        turn, off = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.4, 0.9)
        size = radius * rng.uniform(0.45, 0.8)
        px, py = x - F4(np.cos(turn) * off), y - F4(np.sin(turn) * off)
        total += _ellipse(px, py, rng.uniform(0, np.pi), size * 1.15, size / 1.15)
    if rng.random() < 0.12:
        turn, reach = rng.uniform(0, 2 * np.pi), radius * rng.uniform(1.0, 1.4)
        px, py = x - F4(np.cos(turn) * reach), y - F4(np.sin(turn) * reach)
        total += F4(0.8) * _ellipse(px, py, turn, reach * 0.85, radius * rng.uniform(0.3, 0.5))
    squared = -np.log(np.maximum(total, F4(1e-30)))
    # Choose the outline so that the body covers the wanted share of the picture, whatever its shape became.
    inside = squared[visible]
    count = int(np.clip(share * squared.size, 1, inside.size - 1))
    level, lowest = np.partition(inside, count)[count], squared.min()
    return (squared - lowest) / max(level - lowest, F4(1e-6))


def _ellipse(x: Array, y: Array, angle: float, a: float, b: float) -> Array:
    c, s = F4(np.cos(angle)), F4(np.sin(angle))
    return np.exp(-(((c * x + s * y) / F4(a)) ** 2) - ((c * y - s * x) / F4(b)) ** 2)


def raise_body(rng: np.random.Generator, canvas: Canvas, squared: Array, share: float, contrast: float) -> None:
    """Put a polyp with outline ``squared = 1`` on the wall: it bulges, has its own colour and casts a shadow.

    ``contrast`` is 0 for one that is all but the wall's colour, 1 for one that stands out.
    """
    h, w = canvas.shape
    radius = np.sqrt(4 * share * w / h / np.pi)
    box = _box(squared < 4)
    sq, light = squared[box], canvas.light[box]
    rho = np.sqrt(np.maximum(sq, 0))
    soft = rng.uniform(1.0, 2.5) + (1 - contrast) * rng.uniform(1, 6)
    alpha = step((1 - rho) * F4(radius * h / 2), -soft / 2, soft / 2)
    turn, x, y = rng.uniform(0, 2 * np.pi), canvas.x[:, box[1]], canvas.y[box[0]]
    side = step(F4(np.cos(turn)) * (x - x.mean()) + F4(np.sin(turn)) * (y - y.mean()), -0.5 * radius, radius)
    shadow = np.exp(-np.maximum(rho - 1, 0) / F4(rng.uniform(0.08, 0.35)))
    light = light * (1 - F4(rng.uniform(0.0, 0.15) + 0.4 * contrast) * shadow * side)
    ring = light[(sq > 1) & (sq < 2)]
    near = float(np.quantile(ring, 0.75)) if ring.size else float(light.mean())
    bright = near * (1.06 + contrast * rng.uniform(0.0, 0.4))  # it is nearer to the lamp than the wall
    through = F4(rng.uniform(0.0, 0.25) + 0.4 * (1 - contrast))  # of what lies behind
    canvas.light[box] = light * (1 - alpha) + alpha * (through * light + (1 - through) * F4(bright))
    height = radius * (0.10 + contrast * rng.uniform(0.2, 0.75))
    dome = (np.maximum(1 - sq, 0) + F4(0.02)) ** F4(rng.uniform(0.55, 1.0))
    canvas.relief[box] = canvas.relief[box] * (1 - F4(0.5) * alpha) + F4(height) * dome * alpha
    if rng.random() < 0.7:  # a wet top, beside the middle
        off_x, off_y = rng.normal(0, 0.25 * radius, 2)
        top = (x - x.mean() - F4(off_x)) ** 2 + (y - y.mean() - F4(off_y)) ** 2
        drops = noise(rng, sq.shape, 6 * sq.shape[0] / h / radius, 2)
        canvas.gloss[box] += step(drops + 2 * np.exp(-top / F4(0.1 * radius**2)), 2.2, 2.8) * alpha
    tint = contrast * rng.choice([1.0, -0.7]) * rng.uniform(0.0, 0.8)
    grain = F4(rng.uniform(0.03, 0.12)) * noise(rng, sq.shape, 7 / max(radius, 0.1) * sq.shape[0] / h, 2, 0.7)
    keep = F4(rng.uniform(0.2, 0.5) + 0.3 * (1 - contrast))
    canvas.warmth[box] = canvas.warmth[box] * (1 - alpha * (1 - keep)) + alpha * (F4(tint) + grain)


def raise_wall(rng: np.random.Generator, canvas: Canvas, squared: Array, share: float) -> None:
    """A bulge of healthy wall: round like a polyp, but with the wall's own colour and vessels."""
    box = _box(squared < 1.5)
    sq, (h, w) = squared[box], canvas.shape
    dome = np.maximum(1 - sq / F4(1.5), 0) ** F4(rng.uniform(0.9, 2.0))
    canvas.relief[box] += F4(np.sqrt(4 * share * w / h / np.pi) * rng.uniform(0.15, 0.6)) * dome


def _box(inside: Array) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    return np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def distract(rng: np.random.Generator, canvas: Canvas, amount: float) -> None:
    """Bubbles, bits of stool and pools of fluid: things that are round or coloured and are no polyps."""
    h, w = canvas.shape
    aspect = w / h
    if rng.random() < 0.45 * amount:
        cover = noise(rng, canvas.shape, 2, 3)
        pool = step(cover + F4(rng.uniform(0.3, 0.9)) * canvas.y * rng.choice([-1, 1]), 1.3, 1.8)
        canvas.yellow += F4(rng.uniform(0.3, 0.8)) * pool
        canvas.relief *= 1 - F4(0.7) * pool
    if rng.random() < 0.5 * amount:
        bits = noise(rng, canvas.shape, rng.uniform(6, 18), 3, 0.6)
        field = step(bits + noise(rng, canvas.shape, 1.5), 2.2, 2.7)
        canvas.yellow += field * F4(rng.uniform(0.4, 0.9))
        canvas.light *= 1 + field * F4(rng.uniform(-0.5, 0.15))
    if rng.random() < 0.35 * amount:
        cx, cy = rng.uniform(-aspect, aspect), rng.uniform(-1, 1)
        for _ in range(rng.integers(2, 16)):
            radius = np.exp(rng.normal(-3.3, 0.5))
            bx, by = cx + rng.normal(0, 0.15), cy + rng.normal(0, 0.15)
            left, top = round((bx - 1.4 * radius + aspect) * h / 2), round((by - 1.4 * radius + 1) * h / 2)
            size = max(4, round(2.8 * radius * h / 2))
            box = np.s_[max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)]
            if not canvas.light[box].size:
                continue
            px, py = canvas.x[:, box[1]] - F4(bx), canvas.y[box[0]] - F4(by)
            r = np.sqrt(px * px + py * py) / F4(radius)
            rim = np.exp(-(((r - 0.9) / 0.13) ** 2))
            spot = np.exp(-((px / radius + 0.35) ** 2 + (py / radius + 0.35) ** 2) / 0.03)
            canvas.light[box] *= 1 + F4(0.25) * rim - F4(0.18) * step(1 - r, -0.1, 0.2)
            canvas.gloss[box] += F4(0.8) * spot + F4(0.12) * rim


def shine(rng: np.random.Generator, canvas: Canvas, wet: float) -> None:
    """Light the relief from the camera's lamp, and let the wet surface glint where it faces the lamp."""
    h, _ = canvas.shape
    gy, gx = np.gradient(canvas.relief * F4(h / 2))
    lx, ly = (rng.uniform(-0.35, 0.35, 2)).astype(F4)
    tilt_x, tilt_y = lx - F4(0.25) * canvas.x, ly - F4(0.25) * canvas.y
    facing = (1 - gx * tilt_x - gy * tilt_y) / np.sqrt(1 + gx * gx + gy * gy)
    canvas.light *= F4(0.25) + F4(0.75) * np.clip(facing, 0, 1.4)
    # Glints: where the slope is close to the one that mirrors the lamp, in wet patches, broken up into drops.
    off = (gx + tilt_x * F4(0.6)) ** 2 + (gy + tilt_y * F4(0.6)) ** 2
    mirror = F4(1.2) / (1 + off * F4(40)) + F4(1.7) * step(noise(rng, canvas.shape, 2.5, 3) + F4(wet), 0.5, 2.2)
    drops = np.maximum(noise(rng, canvas.shape, 40, 2, 0.6), noise(rng, canvas.shape, 15, 3, 0.6) - F4(0.4))
    canvas.gloss += step(drops + mirror, 3.9, 4.3) * step(canvas.light, 0.2, 0.6)
