"""Made-up CT slices of lungs with infection: chest wall, heart, vessels and airways, and patches of denser lung.

Brightness is that of a lung window, 0 to 1: air 0, lung about 0.15, soft tissue about 0.9. An infection lies anywhere
between lung and soft tissue, and so do fat, breathing blur, dependent lung and small vessels: brightness alone does not
tell them apart. Coordinates as in :mod:`m2s.phantoms.wall`; front is up, unless the style turns the picture.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from m2s.phantoms.wall import F4, Array, noise, plane, step

VERSION = 1


@dataclass(frozen=True)
class Style:
    """The manner of one data set."""

    sizes: tuple[tuple[int, int], ...]
    zoom: tuple[float, float]
    """How large the chest is: at 1 its width is the picture's height; lowest and highest."""
    turned: bool
    """The front is at the left, as in COVID-SemiSeg."""
    share: tuple[float, float]
    """Part of the lung that is infected, at least and at most; small ones are more frequent."""
    sharp: tuple[float, float]
    """Strength of the edge-enhancing kernel."""
    grain: tuple[float, float]


STYLES = {
    "lung": Style(((352, 352), (384, 384)), (0.92, 1.1), False, (0.01, 0.5), (0.0, 0.5), (0.01, 0.045)),
    "covidsemiseg": Style(
        ((376, 296), (400, 336), (432, 352), (352, 320)), (1.2, 1.4), True, (0.02, 0.65), (0.3, 1.0), (0.02, 0.06)),
    "covid19ct": Style(((352, 352),), (0.92, 1.1), False, (0.005, 0.4), (0.0, 0.3), (0.01, 0.03)),
}  # fmt: skip


def paint(rng: np.random.Generator, size: tuple[int, int], style: Style) -> tuple[Array, Array]:
    """One slice: image uint8 (H, W, 3), three equal channels, and mask uint8 (H, W), 1 where the lung is infected."""
    shape = size[::-1] if style.turned else size
    x, y = plane(shape)
    zoom = F4(rng.uniform(*style.zoom))
    wobble = noise(rng, shape, 4, 2) * F4(0.018)
    x, y = x / zoom + wobble, (y - F4(rng.uniform(-0.05, 0.05))) / zoom * F4(1.12) + wobble[:, ::-1]
    chest = 1 - (x / F4(1.02)) ** 2 - (y / F4(0.82)) ** 2
    lungs, hilum = _lungs(rng, x, y)
    image = _body(rng, x, y, chest, lungs)
    inside = step(lungs, -0.03, 0.03)
    lung = F4(rng.uniform(0.08, 0.24)) + F4(0.025) * noise(rng, shape, 5, 3)
    lung += F4(rng.uniform(0.0, 0.22)) * step(y, -0.1, 0.75)  # the lung that lies below is denser
    rim = np.exp(-np.maximum(lungs, 0) / F4(0.05))
    lung += F4(rng.uniform(0.0, 0.35)) * rim * step(noise(rng, shape, 2.5), -0.2, 1.2)  # blur of breathing
    lung -= F4(0.12) * step(noise(rng, shape, rng.uniform(5, 9), 2), 1.5, 2.0)  # emphysema
    lung = np.maximum(lung, 0.02)
    depth, mask = _infection(rng, x, y, lungs, style.share)
    density = rng.uniform(0.3, 0.75)
    patch = F4(density) + F4(0.1) * noise(rng, shape, 24, 2) + F4(rng.uniform(0, 0.25)) * noise(rng, shape, 3, 2)
    lung = lung + np.clip(patch - lung, 0.15, 0.8) * depth
    vessels, airways = _trees(rng, shape, zoom, hilum, lungs)
    lung = lung + (F4(rng.uniform(0.75, 0.95)) - lung) * vessels
    lung = lung * (1 - airways)
    image = image + (lung - image) * inside
    grain = F4(rng.uniform(*style.grain))
    image += grain * noise(rng, shape, shape[0] / 2.2)
    soft = np.asarray(Image.fromarray(image).resize((shape[1] // 2, shape[0] // 2), Image.Resampling.BOX))
    soft = np.asarray(Image.fromarray(soft).resize(shape[::-1], Image.Resampling.BILINEAR))
    image = image + F4(rng.uniform(*style.sharp)) * (image - soft)
    width, level = rng.uniform(0.75, 1.3), rng.uniform(-0.08, 0.12)
    grey = (np.clip((image - F4(0.5)) / F4(width) + F4(0.5 + level), 0, 1) * 255).astype(np.uint8)
    if style.turned:
        grey, mask = np.rot90(grey), np.rot90(mask)
    return np.repeat(grey[..., None], 3, axis=2), np.ascontiguousarray(mask.astype(np.uint8))


def _ellipse(x: Array, y: Array, cx: float, cy: float, a: float, b: float) -> Array:
    return 1 - ((x - F4(cx)) / F4(a)) ** 2 - ((y - F4(cy)) / F4(b)) ** 2


def _lungs(rng: np.random.Generator, x: Array, y: Array) -> tuple[Array, list[tuple[float, float]]]:
    """Above 0 inside either lung (H, W), and where the vessels enter each. The heart is larger the lower the slice."""
    low = rng.uniform(0, 1)
    fields, hilum = [], []
    for side in (-1, 1):
        a, b = rng.uniform(0.37, 0.42), rng.uniform(0.6, 0.68)
        field = _ellipse(x, y, side * rng.uniform(0.47, 0.5), rng.uniform(-0.02, 0.04), a, b)
        fields.append(np.minimum(field, F4(6) * (side * x - F4(0.05))))
        hilum.append((side * rng.uniform(0.16, 0.22), rng.uniform(0.0, 0.12)))
    at_x, at_y = rng.uniform(0.05, 0.16), rng.uniform(-0.3, -0.12)
    heart = _ellipse(x, y, at_x, at_y, 0.16 + 0.3 * low, rng.uniform(0.26, 0.34) + 0.1 * low)
    spine = _ellipse(x, y, 0, rng.uniform(0.5, 0.56), 0.18, 0.24)
    middle = _ellipse(x, y, 0, 0.05, rng.uniform(0.1, 0.17), 0.62)
    return np.minimum(np.maximum(*fields), -np.maximum(np.maximum(heart, spine), middle)), hilum


def _body(rng: np.random.Generator, x: Array, y: Array, chest: Array, lungs: Array) -> Array:
    """Everything but the lungs: air, table, fat, muscle, ribs, spine, breastbone, great vessels, trachea."""
    shape = chest.shape
    image = np.zeros(shape, F4) + F4(0.02)
    table = y - F4(0.88) - F4(0.08) * x * x
    image += F4(rng.uniform(0.3, 0.6)) * np.exp(-((table / F4(0.015)) ** 2))
    fat, muscle = F4(rng.uniform(0.66, 0.82)), F4(rng.uniform(0.84, 0.95))
    image += (fat - image) * step(chest, -0.02, 0.02)
    wall = step(chest + F4(0.06) * noise(rng, shape, 4, 2), 0.1, 0.16)
    image += (muscle - image) * wall
    streaks = step(noise(rng, shape, 7, 3), 0.6, 1.0) * wall
    image += (fat - image) * streaks * F4(rng.uniform(0.3, 1.0))
    ring = np.exp(-(((chest - F4(0.22)) / F4(0.05)) ** 2))  # ribs: broken pieces of one ring
    angle = x * x - y * y + F4(0.7) * x * y
    pieces = step(np.sin(angle * F4(rng.uniform(9, 14)) + F4(rng.uniform(0, 6))), 0.1, 0.5)
    image += F4(0.45) * step(ring * pieces, 0.4, 0.6) * (1 - F4(0.3) * step(ring, 0.8, 1))
    for cy, a, b in ((0.56, 0.13, 0.11), (0.75, 0.03, 0.12), (-0.66, 0.12, 0.04)):
        bone = _ellipse(x, y, rng.normal(0, 0.01), cy, a, b) + F4(0.1) * noise(rng, shape, 14)
        image += F4(0.3) * step(bone, -0.05, 0.05) - F4(0.22) * step(bone, 0.3, 0.4)
    image += F4(rng.uniform(0.0, 0.12)) * step(_ellipse(x, y, 0.1, 0.36, 0.07, 0.075), -0.1, 0.1)  # aorta
    image += F4(0.05) * step(_ellipse(x, y, 0.1, -0.2, 0.2, 0.2), -0.3, 0.3)
    trachea = _ellipse(x, y, rng.normal(0, 0.02), rng.uniform(0.05, 0.2), rng.uniform(0.04, 0.07), 0.055)
    image -= (image - F4(0.03)) * step(trachea, -0.1, 0.1)
    return image


def _infection(
    rng: np.random.Generator, x: Array, y: Array, lungs: Array, share: tuple[float, float]
) -> tuple[Array, Array]:
    """How much of the infection's density is added, 0 to 1 (H, W), and its mask: patches, most of them at the edge."""
    shape = lungs.shape
    inside = lungs > 0
    field = noise(rng, shape, rng.uniform(3, 7), 3, 0.55)
    field += F4(rng.uniform(0.0, 1.4)) * np.exp(-np.maximum(lungs, 0) / F4(0.4))
    field += F4(rng.uniform(0.0, 1.2)) * y
    for _ in range(rng.integers(1, 5)):
        r = rng.uniform(0.07, 0.3)
        at_x, at_y = rng.choice([-1, 1]) * rng.uniform(0.25, 0.75), rng.uniform(-0.45, 0.55)
        field += F4(rng.uniform(1, 2.5)) * np.exp(-((x - F4(at_x)) ** 2 + (y - F4(at_y)) ** 2) / F4(r * r))
    part = share[0] * (share[1] / share[0]) ** rng.random()
    level = np.quantile(field[inside][::7], 1 - part)
    mask = inside & (field > level)
    soft = rng.uniform(0.03, 0.25)
    return step(field - level, -soft, soft), mask


def _trees(
    rng: np.random.Generator, shape: tuple[int, int], zoom: float, hilum: list[tuple[float, float]], lungs: Array
) -> tuple[Array, Array]:
    """Vessels and the holes of airways, 0 to 1 (H, W): trees from each hilum, and the dots of those that cross."""
    h, w = shape
    scale = h / 2 * zoom
    vessels, airways = Image.new("L", (w, h)), Image.new("L", (w, h))
    red, dark = ImageDraw.Draw(vessels), ImageDraw.Draw(airways)

    def pixel(px: float, py: float) -> tuple[float, float]:
        return px * scale + w / 2, py / 1.12 * scale + h / 2

    def dot(draw: ImageDraw.ImageDraw, at: tuple[float, float], r: float, value: int) -> None:
        draw.ellipse((at[0] - r, at[1] - r, at[0] + r, at[1] + r), fill=value)

    def grow(px: float, py: float, turn: float, width: float, depth: int) -> None:
        for _ in range(rng.integers(2, 4)):
            length, turn_now = rng.uniform(0.04, 0.09), turn + rng.normal(0, 0.2)
            qx, qy = px + length * np.cos(turn_now), py + length * np.sin(turn_now)
            value = 255 if width * scale > 1 else int(255 * max(0.3, width * scale))
            red.line((*pixel(px, py), *pixel(qx, qy)), fill=value, width=max(1, round(width * scale)))
            px, py, turn, width = qx, qy, turn_now, width * 0.9
        if depth:
            for bend in (rng.uniform(0.2, 0.8), -rng.uniform(0.2, 0.8)):
                grow(px, py, turn + bend, width * rng.uniform(0.6, 0.85), depth - 1)

    for side, (hx, hy) in zip((-1, 1), hilum, strict=True):
        for turn in rng.uniform(-1.4, 1.4, rng.integers(2, 5)):
            grow(hx, hy, turn if side > 0 else np.pi - turn, rng.uniform(0.012, 0.035), 3)
        for _ in range(rng.integers(1, 4)):
            px, py = hx + side * rng.uniform(0.0, 0.15), hy + rng.normal(0, 0.1)
            r = rng.uniform(0.012, 0.03)
            dot(red, pixel(px, py), r * scale * 1.6, 200)
            dot(dark, pixel(px, py), r * scale, 255)
        if rng.random() < 0.6:  # a fissure
            a, b = (side * 0.2, rng.uniform(-0.2, 0.3)), (side * 0.9, rng.uniform(-0.3, 0.5))
            red.line((*pixel(*a), *pixel(*b)), fill=int(rng.integers(40, 120)), width=1)
    for px, py in zip(rng.uniform(-0.9, 0.9, 140), rng.uniform(-0.6, 0.7, 140), strict=True):
        dot(red, pixel(px, py), max(0.6, np.exp(rng.normal(-5.1, 0.4)) * scale), int(rng.integers(90, 255)))
    return np.asarray(vessels, F4) / F4(255), np.asarray(airways, F4) / F4(255)
