"""Made-up dermoscopy: a lesion on skin, as seen through oil and a magnifying lens, with an exact mask of it.

Colour is made as in skin: melanin and blood take light away, each its own part of the spectrum (brown and red), and
what is left is the picture. On top lie hairs, bubbles in the oil, a ruler, ink, and the dark rim of the lens.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from m2s.phantoms.wall import F4, Array, Ground, blob, noise, plane, step

VERSION = 2
"""Counted up with every change to the pictures: it enters the fingerprint."""

MELANIN = np.array([0.55, 1.0, 1.35], F4)
"""How strongly it absorbs red, green and blue."""
BLOOD = np.array([0.12, 1.0, 0.75], F4)


@dataclass(frozen=True)
class Style:
    """The manner of one data set."""

    sizes: tuple[tuple[int, int], ...]
    """Heights and widths, of which the caller of :func:`paint` draws one."""
    share: tuple[float, float, float]
    """Part of the picture that is lesion: median, lowest, highest."""
    share_spread: float
    """Standard deviation of its logarithm."""
    contrast: tuple[float, float]
    """Melanin that the lesion has more than the skin: lowest and highest."""
    tone: tuple[float, float]
    """Melanin of the skin: lowest and highest."""
    redness: tuple[float, float]
    """Blood in the skin: lowest and highest."""
    pale: float = 0.1
    """How often a lesion is pink, with little pigment."""
    light: tuple[float, float] = (0.85, 1.05)
    """Brightness of the lamp: lowest and highest."""
    tint: float = 0.04
    """How much its colour differs from image to image."""
    centred: float = 0.25
    """Standard deviation of the lesion's distance from the middle, in half heights."""
    rim: float = 0.3
    """How often the lens's dark rim is seen."""
    hairs: float = 0.5
    """How often there are hairs."""
    ruler: float = 0.0
    ink: float = 0.0
    bubbles: float = 0.2


STYLES = {
    "isic2018": Style(
        sizes=((352, 472), (336, 448), (352, 528), (352, 400)), share=(0.16, 0.015, 0.6), share_spread=0.8,
        contrast=(0.12, 1.2), tone=(0.05, 0.75), redness=(0.05, 0.4), pale=0.15, light=(0.7, 1.1), tint=0.07, rim=0.35,
        ruler=0.2, ink=0.12,
    ),
    "ph2": Style(
        sizes=((352, 472),), share=(0.2, 0.04, 0.6), share_spread=0.7, contrast=(0.15, 1.2), tone=(0.25, 0.65),
        redness=(0.1, 0.25), pale=0.05, light=(0.65, 1.1), tint=0.03, centred=0.12, rim=0.85, hairs=0.35, bubbles=0.1,
    ),
}  # fmt: skip


@dataclass
class Skin(Ground):
    """What is seen through the lens; arrays (H, W) float32."""

    melanin: Array
    blood: Array
    light: Array


def paint(rng: np.random.Generator, size: tuple[int, int], style: Style) -> tuple[Array, Array]:
    """One image, uint8 (H, W, 3), RGB, and its mask, uint8 (H, W): 1 is lesion."""
    skin = _skin(rng, size, style)
    median, low, high = style.share
    share = float(np.clip(median * np.exp(rng.normal(0, style.share_spread)), low, high))
    at = tuple(np.clip(rng.normal(0, style.centred, 2), -0.5, 0.5))
    inside, veil = _lesion(rng, skin, at, share, rng.uniform(*style.contrast), rng.random() < style.pale)
    lamp = rng.uniform(*style.light) * np.exp(rng.normal(0, style.tint, 3))
    image = np.empty((*size, 3), F4)
    for c in range(3):
        absorbed = MELANIN[c] * skin.melanin + BLOOD[c] * skin.blood
        image[..., c] = F4(lamp[c] * (0.97, 0.90, 0.86)[c]) * skin.light * np.exp(-absorbed)
    image += veil[..., None] * (np.array([0.42, 0.47, 0.58], F4) - image)
    if rng.random() < style.bubbles:
        _bubbles(rng, skin, image)
    if rng.random() < style.ink:
        _ink(rng, skin, image)
    if rng.random() < style.hairs:
        _hairs(rng, image)
    if rng.random() < style.ruler:
        _ruler(rng, image)
    if rng.random() < style.rim:
        r = np.hypot(skin.x - F4(rng.normal(0, 0.05)), skin.y - F4(rng.normal(0, 0.05)))
        radius, soft = rng.uniform(1.02, 1.5), rng.uniform(0.02, 0.25)
        image *= step(F4(radius) - r, -soft, soft)[..., None]
        inside &= r < radius  # what cannot be seen is not marked
    image += F4(rng.uniform(0.004, 0.015)) * rng.standard_normal(size, dtype=F4)[..., None]
    return (np.clip(image, 0, 1) * 255).astype(np.uint8), inside.astype(np.uint8)


def _skin(rng: np.random.Generator, size: tuple[int, int], style: Style) -> Skin:
    """Healthy skin: its tone, fine furrows, freckles, small vessels, redness in patches, and uneven light."""
    x, y = plane(size)
    melanin = F4(rng.uniform(*style.tone)) * (1 + F4(0.12) * noise(rng, size, 3, 4))
    blood = F4(rng.uniform(*style.redness)) * (1 + F4(0.2) * noise(rng, size, 2, 3))
    furrows = np.exp(-((noise(rng, size, rng.uniform(14, 30), 2) / F4(0.2)) ** 2))
    melanin += F4(rng.uniform(-0.02, 0.06)) * furrows + F4(0.015) * noise(rng, size, 70)
    if rng.random() < 0.4:
        freckles = step(noise(rng, size, rng.uniform(6, 20), 2) + F4(0.5) * noise(rng, size, 1.5), 1.5, 2.6)
        melanin += F4(rng.uniform(0.1, 0.5)) * freckles
    if rng.random() < 0.5:
        vessels = np.exp(-((noise(rng, size, rng.uniform(3, 8), 3) / F4(0.05)) ** 2))
        blood += F4(rng.uniform(0.1, 0.4)) * vessels * step(noise(rng, size, 2), 0.0, 1.5)
    slope = F4(rng.normal(0, 0.08)) * x + F4(rng.normal(0, 0.08)) * y
    light = np.exp(slope - F4(rng.uniform(0.0, 0.25)) * (x * x + y * y) + F4(0.04) * noise(rng, size, 1.5))
    return Skin(x, y, melanin, blood, light)


def _lesion(
    rng: np.random.Generator, skin: Skin, at: tuple[float, float], share: float, contrast: float, pale: bool
) -> tuple[Array, Array]:
    """Put a lesion there; returns where it is, bool (H, W), and how much of a blue-white veil lies over it, 0 to 1."""
    size, everywhere = skin.shape, np.ones(skin.shape, bool)
    radius = np.sqrt(4 * share * size[1] / size[0] / np.pi)
    squared = blob(rng, skin, at, share, everywhere)
    ragged = F4(rng.uniform(0.02, 0.22)) * noise(rng, size, min(60, 5 / radius), 3, 0.6)
    squared = squared * np.exp(ragged)
    inside, rho = squared < 1, np.sqrt(np.maximum(squared, 0))
    soft = F4(rng.uniform(0.03, 0.3)) * (1 + F4(0.6) * noise(rng, size, 1.5))  # fades here and there
    soft = np.clip(soft, 0.02, 0.4)
    edge = np.clip((1 - rho) / soft * F4(0.5) + F4(0.5), 0, 1)
    alpha = edge * edge * (3 - 2 * edge)
    # Colour in patches: shades of brown, one darker part, a paler (regressed) or a red one.
    detail = max(4.0, 2.5 / radius)
    shade = 1 + F4(rng.uniform(0.1, 0.35)) * noise(rng, size, 1.5 / radius, 4, 0.6)
    shade += F4(rng.uniform(-0.3, 0.7)) * step(noise(rng, size, 1.2 / radius, 2), 0.2, 1.2)
    shade -= F4(rng.uniform(0.0, 0.7)) * step(noise(rng, size, 1.2 / radius, 2), 0.9, 1.7)
    shade -= F4(rng.uniform(-0.4, 0.4)) * np.minimum(rho, 1)
    if rng.random() < 0.6:  # the network of pigment: dark lines around pale holes
        net = np.exp(-((noise(rng, size, rng.uniform(22, 45)) / F4(0.35)) ** 2)) - F4(0.3)
        shade += F4(rng.uniform(0.1, 0.45)) * net * step(noise(rng, size, detail / 2), -0.6, 0.8)
    if rng.random() < 0.5:  # dots and globules
        shade += F4(rng.uniform(0.2, 0.8)) * step(noise(rng, size, rng.uniform(18, 40)), 1.3, 2.0)
    pigment = contrast * (0.25 if pale else 1.0)
    skin.melanin += alpha * F4(pigment) * np.maximum(shade, F4(-0.2))
    flush = rng.uniform(0.15, 0.5) if pale else rng.uniform(-0.05, 0.25)
    skin.blood += alpha * F4(flush) * (1 + F4(0.4) * noise(rng, size, detail, 2))
    if rng.random() < 0.4:  # a red ring around it that is no part of it
        skin.blood += F4(rng.uniform(0.05, 0.3)) * np.exp(-(((rho - F4(1.15)) / F4(0.25)) ** 2))
    veil = np.zeros(size, F4)
    if not pale and contrast > 0.5 and rng.random() < 0.25:
        veil = alpha * F4(rng.uniform(0.3, 0.65)) * step(noise(rng, size, 1.3 / radius, 4, 0.6), 0.3, 1.4)
    return inside, veil


def _overlay(image: Array, sheet: Image.Image, color: tuple[float, float, float], strength: float) -> None:
    """Lay ``colour`` over the image where the sheet, drawn twice as large, is white."""
    small = np.asarray(sheet.resize((image.shape[1], image.shape[0]), Image.Resampling.BOX), F4) / F4(255)
    image += (small * F4(strength))[..., None] * (np.array(color, F4) - image)


def _hairs(rng: np.random.Generator, image: Array) -> None:
    """Bent lines, dark, brown or fair, mostly in one direction."""
    h, w = image.shape[:2]
    sheet = Image.new("L", (2 * w, 2 * h))
    draw, main = ImageDraw.Draw(sheet), rng.uniform(0, np.pi)
    t = np.linspace(-1, 1, 24)
    thick = rng.uniform(1.5, 4.5) * h / 352
    for _ in range(rng.choice([2, 4, 8, 16, 30])):
        angle, bend, length = rng.normal(main, 0.5), rng.normal(0, 0.3), rng.uniform(0.3, 1.6) * h
        along, across = t * length, bend * length * t * t
        x = rng.uniform(0, 2 * w) + np.cos(angle) * along - np.sin(angle) * across
        y = rng.uniform(0, 2 * h) + np.sin(angle) * along + np.cos(angle) * across
        points = np.stack([x, y], 1).ravel().tolist()
        draw.line(points, fill=int(rng.uniform(150, 255)), width=max(1, round(thick * rng.uniform(0.6, 1.3))))
    dark = rng.random() < 0.8
    color = np.array([0.16, 0.11, 0.09]) * rng.uniform(0.4, 2.0) if dark else np.array([0.86, 0.76, 0.62])
    _overlay(image, sheet, tuple(color), rng.uniform(0.6, 0.95))


def _ruler(rng: np.random.Generator, image: Array) -> None:
    """Marks of a scale along one side."""
    h, w = image.shape[:2]
    sheet = Image.new("L", (2 * w, 2 * h))
    draw, level = ImageDraw.Draw(sheet), 2 * h * rng.choice([0.06, 0.9])
    gap, tall = rng.uniform(0.025, 0.05) * 2 * w, rng.uniform(0.02, 0.035) * 2 * h
    for i in range(int(2 * w / gap)):
        length = tall * (2 if i % 10 == 0 else 1.4 if i % 5 == 0 else 1)
        draw.line((i * gap, level, i * gap, level + length), fill=255, width=max(2, round(h / 150)))
    if rng.random() < 0.4:
        sheet = sheet.rotate(rng.uniform(-12, 12))
    _overlay(image, sheet, (0.08, 0.08, 0.1), rng.uniform(0.5, 0.9))


def _ink(rng: np.random.Generator, skin: Skin, image: Array) -> None:
    """A stroke of a violet pen at the picture's border."""
    side = skin.x / skin.x.max() if rng.random() < 0.5 else skin.y + 0 * skin.x
    off = side * F4(rng.choice([-1, 1])) - F4(rng.uniform(0.75, 0.95)) + F4(0.06) * noise(rng, skin.shape, 2, 2)
    stroke = np.exp(-((off / F4(rng.uniform(0.04, 0.1))) ** 2)) * step(noise(rng, skin.shape, 5, 3), -1.2, 0.5)
    image += (F4(rng.uniform(0.4, 0.8)) * stroke)[..., None] * (np.array([0.36, 0.22, 0.50], F4) - image)


def _bubbles(rng: np.random.Generator, skin: Skin, image: Array) -> None:
    """Air in the oil: bright rings with a glint."""
    (h, w), aspect = skin.shape, skin.shape[1] / skin.shape[0]
    cx, cy = rng.uniform(-aspect, aspect), rng.uniform(-1, 1)
    for _ in range(rng.integers(3, 20)):
        radius = np.exp(rng.normal(-3.2, 0.6))
        bx, by = cx + rng.normal(0, 0.35), cy + rng.normal(0, 0.35)
        box = _window(bx, by, 1.3 * radius, (h, w))
        px, py = (skin.x[:, box[1]] - F4(bx)) / F4(radius), (skin.y[box[0]] - F4(by)) / F4(radius)
        ring = np.exp(-(((np.sqrt(px * px + py * py) - F4(0.9)) / F4(0.1)) ** 2))
        glint = np.exp(-((px + F4(0.4)) ** 2 + (py + F4(0.4)) ** 2) / F4(0.03))
        image[box] += (F4(0.3) * ring + F4(0.6) * glint)[..., None] * (1 - image[box])


def _window(x: float, y: float, reach: float, size: tuple[int, int]) -> tuple[slice, slice]:
    """The pixels within ``reach`` of a point, cut at the picture's border."""
    h, w = size
    column, row, far = (x * h + w) / 2, (y + 1) * h / 2, reach * h / 2
    low, high = max(0, int(row - far)), max(0, int(row + far) + 1)
    return np.s_[low:high, max(0, int(column - far)) : max(0, int(column + far) + 1)]
