"""Made-up volumes: a small abdominal CT with organs, and a small MRI of the hippocampus amid folded cortex.

Not anatomy, but bodies in their usual places, several of them equally bright. Axes are (z, y, x), each growing towards
the head, the front and the patient's right; coordinates run from -1 to 1 along each.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from m2s.phantoms.wall import F4, Array

VERSION = 1


@dataclass(frozen=True)
class Organ:
    """An ellipsoid at ``at`` with radii ``size``, both (z, y, x), and its mean density in Hounsfield units."""

    name: str
    at: tuple[float, float, float]
    size: tuple[float, float, float]
    density: float
    label: int


@dataclass(frozen=True)
class Style:
    """The manner of one data set."""

    sizes: tuple[tuple[int, int, int], ...]
    organs: tuple[Organ, ...] = ()
    """Painted in this order. Empty for the hippocampus."""
    growths: bool = False
    """Tumours (class 2) and cysts (class 3) in the kidneys."""


def _abdomen(labels: dict[str, int]) -> tuple[Organ, ...]:
    """The organs in BTCV's order; those not in ``labels`` are painted too, as background."""
    table = (
        ("stomach", (0.35, 0.35, -0.35), (0.4, 0.22, 0.24), 45),
        ("liver", (0.35, 0.12, 0.42), (0.6, 0.46, 0.38), 105),
        ("spleen", (0.35, -0.3, -0.62), (0.38, 0.22, 0.14), 115),
        ("right kidney", (-0.3, -0.34, 0.4), (0.5, 0.19, 0.16), 150),
        ("left kidney", (-0.2, -0.34, -0.38), (0.5, 0.19, 0.16), 150),
        ("gallbladder", (-0.1, 0.32, 0.38), (0.18, 0.11, 0.09), 15),
        ("pancreas", (0.0, 0.1, -0.08), (0.12, 0.09, 0.3), 95),
        ("aorta", (0.0, -0.24, -0.05), (3.0, 0.065, 0.065), 170),
        ("inferior vena cava", (0.0, -0.2, 0.13), (3.0, 0.065, 0.075), 140),
        ("portal and splenic veins", (0.15, -0.02, 0.08), (0.1, 0.06, 0.26), 145),
        ("oesophagus", (0.85, -0.12, -0.1), (0.35, 0.06, 0.06), 50),
        ("right adrenal gland", (0.18, -0.25, 0.28), (0.12, 0.07, 0.035), 70),
        ("left adrenal gland", (0.22, -0.25, -0.26), (0.12, 0.07, 0.035), 70),
    )
    return tuple(Organ(n, at, size, hu, labels.get(n, 0)) for n, at, size, hu in table)


BTCV = (
    "spleen", "right kidney", "left kidney", "gallbladder", "oesophagus", "liver", "stomach", "aorta",
    "inferior vena cava", "portal and splenic veins", "pancreas", "right adrenal gland", "left adrenal gland",
)  # fmt: skip
"""Its thirteen classes, in order."""

STYLES = {
    "btcv": Style(((32, 96, 96),), _abdomen({name: i for i, name in enumerate(BTCV, start=1)})),
    "kits23": Style(((32, 96, 96),), _abdomen({"right kidney": 1, "left kidney": 1}), growths=True),
    "hippocampus": Style(((36, 50, 35), (40, 48, 34), (32, 50, 36), (38, 52, 36))),
}

SPACING = {"btcv": (7.5, 3.5, 3.5), "kits23": (7.5, 3.5, 3.5), "hippocampus": (1.0, 1.0, 1.0)}
"""What a voxel (z, y, x) stands for, in mm: with these an abdomen is about 330 mm wide and a liver has 1.1 litres."""


def paint(rng: np.random.Generator, size: tuple[int, int, int], style: Style) -> tuple[Array, Array]:
    """One volume: image float32 (D, H, W), in Hounsfield units or scanner units, and mask uint8 (D, H, W)."""
    return _ct(rng, size, style) if style.organs else _mri(rng, size)


def smooth(rng: np.random.Generator, size: tuple[int, int, int], cells: float) -> Array:
    """Smooth noise (D, H, W), mean 0, about unit deviation: about ``cells`` bumps along the longest axis."""
    longest = max(size)
    counts = [max(3, round(cells * n / longest) + 2) for n in size]
    values = rng.standard_normal(counts, dtype=F4)
    for axis, (n, count) in enumerate(zip(size, counts, strict=True)):
        at = np.linspace(0, count - 1, n)
        left = np.minimum(at.astype(int), count - 2)
        t = at - left
        t = t * t * (3 - 2 * t)
        weights = np.zeros((n, count), F4)
        weights[np.arange(n), left], weights[np.arange(n), left + 1] = 1 - t, t
        values = np.moveaxis(np.tensordot(weights, values, (1, axis)), 0, axis)
    return values * F4(1.8)


def _grid(size: tuple[int, int, int]) -> tuple[Array, Array, Array]:
    z, y, x = (np.linspace(-1, 1, n, dtype=F4) for n in size)
    return z[:, None, None], y[None, :, None], x[None, None, :]


def _ct(rng: np.random.Generator, size: tuple[int, int, int], style: Style) -> tuple[Array, Array]:
    z, y, x = _grid(size)
    wobble = smooth(rng, size, 5)
    image = np.full(size, -1000, F4)
    body = (x / F4(0.94)) ** 2 + (y / F4(rng.uniform(0.68, 0.8))) ** 2 + F4(0.04) * wobble
    muscle = F4(rng.uniform(45, 65))
    image[body < 1] = -100
    image[body < rng.uniform(0.72, 0.9)] = muscle
    gut = smooth(rng, size, 12)  # bowel between fat, in the lower half, as bright as the organs
    cavity = (body < 0.6) & (y > -0.35)
    image[cavity] = -95
    image[cavity & (gut > 0.1)] = rng.uniform(30, 120)
    image[cavity & (gut > 1.7)] = -600
    spine = (x / F4(0.13)) ** 2 + ((y + F4(0.45)) / F4(0.15)) ** 2 + F4(0.1) * wobble
    image[spine < 1] = 250
    image[(spine > 0.6) & (spine < 1)] = 500
    mask = np.zeros(size, np.uint8)
    contrast, shift = rng.uniform(0.3, 1.2), rng.normal(0, 0.04, 3)
    for organ in style.organs:
        at = np.asarray(organ.at) + shift + rng.normal(0, 0.035, 3)
        radii = np.asarray(organ.size) * np.exp(rng.normal(0, 0.12, 3))
        distance = sum(((c - F4(a)) / F4(r)) ** 2 for c, a, r in zip((z, y, x), at, radii, strict=True))
        inside = (distance + F4(0.22) * wobble < 1) & (body < 0.88)
        wobble = np.flip(wobble, int(rng.integers(3)))
        density = 40 + (organ.density - 40) * contrast + rng.normal(0, 10)
        image[inside], mask[inside] = density, organ.label
        if style.growths and organ.label:
            _growths(rng, (z, y, x), at, radii, body, image, mask)
    image += smooth(rng, size, 40) * F4(rng.uniform(8, 16)) + smooth(rng, size, 4) * F4(8)
    image += rng.standard_normal(size, dtype=F4) * F4(rng.uniform(10, 30))
    return np.clip(image, -1024, 3000), mask


def _growths(
    rng: np.random.Generator, grid: tuple[Array, ...], at: Array, radii: Array, body: Array, image: Array, mask: Array
) -> None:
    """A tumour, a cyst, both or neither, at the rim of one kidney."""
    for label, density, chance in ((2, rng.uniform(50, 110), 0.7), (3, rng.uniform(-5, 20), 0.4)):
        if rng.random() > chance:
            continue
        turn = rng.normal(size=3)
        centre = at + radii * 0.7 * turn / np.linalg.norm(turn)
        r = rng.uniform(0.08, 0.16)
        ratio = (1.6, 1, 1)  # slices are further apart than pixels
        ball = sum(((c - F4(m)) / F4(r * k)) ** 2 for c, m, k in zip(grid, centre, ratio, strict=True)) < 1
        ball &= body < 0.88
        image[ball], mask[ball] = density, label


def _mri(rng: np.random.Generator, size: tuple[int, int, int]) -> tuple[Array, Array]:
    """A bent body of grey matter, its head (class 1) in front and below, its tail (class 2) behind and above."""
    z, y, x = _grid(size)
    shift = rng.normal(0, 0.06, 3)
    bend = smooth(rng, size, 3) * F4(0.07)
    folds = smooth(rng, size, 5) + F4(0.3) * smooth(rng, size, 10)
    image = np.where(np.abs(folds) > F4(rng.uniform(0.65, 0.85)), F4(0.87), F4(0.54))  # white matter, folds of grey
    image = np.where(np.abs(folds) < 0.1, F4(0.28), image)  # fluid within the folds
    stem = ((x - F4(1.0)) / F4(0.6)) ** 2 + ((y + F4(0.2)) / F4(0.8)) ** 2 + ((z - F4(0.6)) / F4(0.8)) ** 2
    image = np.where(stem + F4(0.15) * folds < 1, F4(0.83), image)
    leaves = F4(0.62) + F4(0.14) * np.sin(F4(rng.uniform(22, 30)) * (z + x * F4(rng.uniform(0.6, 1.2)) + bend))
    image = np.where((y < F4(-0.3) - F4(0.5) * z) & (x > -0.1) & (z < -0.2), leaves, image)  # the cerebellum
    t = (y - F4(shift[1] - 0.05)) / F4(0.72)  # -1 at the tail's end, 1 at the head's
    path_z = F4(-0.02 + shift[0]) - F4(rng.uniform(0.36, 0.5)) * t + bend
    path_x = F4(-0.12 + shift[2]) + F4(0.2) * t + F4(rng.uniform(-0.1, 0.2)) * (1 - t * t) + np.flip(bend, 1)
    grow = 1 + F4(0.3) * np.clip(t, -1, 0.7)  # the head is larger
    wide, tall = F4(rng.uniform(0.32, 0.4)) * grow, F4(rng.uniform(0.27, 0.34)) * grow
    ends = np.maximum(np.abs(t) - F4(0.6), 0) ** 2 * F4(6)
    distance = ((x - path_x) / wide) ** 2 + ((z - path_z) / tall) ** 2 + ends + F4(0.16) * smooth(rng, size, 8)
    around = smooth(rng, size, 4)
    image = np.where((distance < 1.6) & (around > -0.7), F4(0.88), image)  # a rim of white matter, in places of fluid
    image = np.where((distance < 1.5) & (around > 0.9), F4(0.25), image)
    body = distance < 1
    image = np.where(body, F4(rng.uniform(0.52, 0.6)) + F4(0.05) * smooth(rng, size, 10), image)
    cut = F4(shift[1] + rng.uniform(0.0, 0.12)) + F4(0.15) * (z - path_z)
    mask = np.where(body, np.where(y > cut, 1, 2), 0).astype(np.uint8)
    image = gaussian_filter(image, 0.55, truncate=2)
    image = image * (1 + F4(0.08) * smooth(rng, size, 2)) + F4(0.02) * smooth(rng, size, 20)
    image += rng.standard_normal(size, dtype=F4) * F4(rng.uniform(0.02, 0.05))
    return np.clip(image, 0, None).astype(F4) * F4(rng.uniform(300, 1200)), mask
