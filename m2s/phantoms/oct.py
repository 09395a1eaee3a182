"""Made-up OCT of the retina: layers of differing brightness under speckle, shadows of vessels, fading with depth.

"goals" is a circle around the optic disc unrolled into a picture: left and right edge meet, and the nerve fibre layer
is thick above and below the disc, that is at a quarter and three quarters of the width. "nr206" is a cut through the
fovea, where the inner layers thin out. Several layers are equally bright, so that only their order tells them apart.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from m2s.phantoms.wall import F4, Array, noise, step

VERSION = 1

LAYERS = ("vitreous", "RNFL", "GCIPL", "INL", "OPL", "ONL", "IS", "OS", "RPE", "choroid", "sclera")
"""From top to bottom."""

LIGHT = (0.06, 0.75, 0.5, 0.32, 0.48, 0.26, 0.62, 0.5, 0.85, 0.5, 0.3)
"""Mean brightness of each, 0 to 1."""


@dataclass(frozen=True)
class Style:
    """The manner of one data set."""

    sizes: tuple[tuple[int, int], ...]
    thick: tuple[float, ...]
    """Mean thickness of the layers between vitreous and sclera, in picture heights."""
    classes: tuple[str, ...]
    """The layers that are to be found, in the order of their class indices."""
    fovea: bool
    speckle: tuple[float, float]
    background: tuple[float, float]


STYLES = {
    "goals": Style(
        ((400, 552),), (0.09, 0.08, 0.035, 0.03, 0.065, 0.018, 0.02, 0.025, 0.13),
        ("RNFL", "GCIPL", "choroid"), False, (0.22, 0.42), (0.02, 0.12),
    ),
    "nr206": Style(
        ((336, 504),), (0.03, 0.065, 0.035, 0.025, 0.055, 0.016, 0.016, 0.035, 0.11),
        LAYERS[1:9], True, (0.3, 0.5), (0.1, 0.18),
    ),
}  # fmt: skip


def paint(rng: np.random.Generator, size: tuple[int, int], style: Style) -> tuple[Array, Array]:
    """One picture: image uint8 (H, W, 3), three equal channels, and mask uint8 (H, W), indices of ``style.classes``."""
    h, w = size
    edges = _edges(rng, w, style) * F4(h)
    rows = np.arange(h, dtype=F4)[:, None]
    label = np.zeros(size, np.uint8)
    for edge in edges:
        label += rows >= edge
    light = np.asarray(LIGHT, F4) * np.exp(rng.normal(0, 0.13, len(LIGHT))).astype(F4)
    light[0] = rng.uniform(*style.background)
    image = light[label]
    below = np.maximum(rows - edges[0], 0) / h
    image *= 1 + F4(0.12) * noise(rng, size, 4, 2)
    grain = noise(rng, size, 16, 2) * F4(0.07)
    image += grain * (label > 0)
    image = np.where(label == 9, image * (1 + F4(0.35) * _vessels(rng, size)), image)
    image = np.where(label == 10, image * np.exp(-(rows - edges[9]) / F4(h * rng.uniform(0.06, 0.25))), image)
    # Fading with depth, and from column to column: the beam, vessels of the retina, folds of the eye's optics.
    gain = 1 + F4(0.18) * _line(rng, w, 3, ring=not style.fovea) + F4(0.05) * _line(rng, w, 60, ring=False)
    shadow = np.ones(w, F4)
    column = np.arange(w, dtype=F4)
    for at, wide in zip(rng.uniform(0, w, 10), rng.uniform(0.002, 0.014, 10) * w, strict=True):
        shadow *= 1 - F4(rng.uniform(0.1, 0.7)) * np.exp(-(((column - F4(at)) / F4(wide)) ** 2))
    deep = step(below, 0.02, 0.08)
    image *= np.clip(gain, 0.35, 1.6) * (1 - deep * (1 - shadow)) * np.exp(-below * F4(rng.uniform(0.0, 1.8)))
    image += light[0] * F4(0.8) * (label > 8)  # the floor of the detector
    if rng.random() < 0.5:  # haze in the vitreous, as bright as a layer
        haze = noise(rng, size, 5, 3)
        haze = haze + F4(2) * np.exp(-((below + rows / h - F4(rng.uniform(0.05, 0.3))) ** 2) / F4(0.01))
        image += F4(rng.uniform(0.05, 0.25)) * step(haze, 1.2, 2.5) * (label == 0)
    if rng.random() < 0.6:  # the vitreous' own membrane
        veil = edges[0] - F4(h) * (F4(rng.uniform(0.02, 0.08)) + F4(0.02) * _line(rng, w, 3, ring=False))
        image += F4(rng.uniform(0.1, 0.4)) * np.exp(-(((rows - veil) / F4(1.5)) ** 2)) * (label == 0)

    fine = rng.standard_normal(size, dtype=F4)
    soft = noise(rng, size, h / 2.5)
    speckle = F4(rng.uniform(*style.speckle))
    image = image * (1 + speckle * (F4(0.7) * fine + F4(0.6) * soft)) + F4(0.02) * fine
    image = np.clip(image * F4(rng.uniform(0.8, 1.2)), 0, 1) ** F4(rng.uniform(0.8, 1.25))
    store = io.BytesIO()
    Image.fromarray((image * 255).astype(np.uint8)).save(store, "JPEG", quality=92)
    grey = np.asarray(Image.open(store))
    class_of = np.zeros(len(LAYERS), np.uint8)
    for index, name in enumerate(style.classes, start=1):
        class_of[LAYERS.index(name)] = index
    return np.repeat(grey[..., None], 3, axis=2), class_of[label]


def _edges(rng: np.random.Generator, w: int, style: Style) -> Array:
    """Upper edges of the ten layers under the vitreous, (10, W), in picture heights, none above the one before."""
    x = (np.arange(w, dtype=F4) + F4(0.5)) / F4(w)
    ring = not style.fovea
    top = F4(rng.uniform(0.2, 0.38)) + F4(rng.uniform(0.01, 0.05)) * _line(rng, w, 1 if ring else 2, ring)
    thick = np.asarray(style.thick, F4) * np.exp(rng.normal(0, 0.12, len(style.thick))).astype(F4)
    layers = thick[:, None] * (1 + F4(0.06) * np.stack([_line(rng, w, 4, ring) for _ in thick]))
    if ring:
        turn, loss = rng.normal(0, 0.03), rng.uniform(0.25, 1.0)  # glaucoma thins the nerve fibres
        humps = np.exp(-(((x - F4(0.27 + turn)) / F4(0.1)) ** 2)) + np.exp(-(((x - F4(0.73 + turn)) / F4(0.1)) ** 2))
        layers[0] *= F4(0.35 + 0.35 * loss) + F4(1.0 * loss) * humps + F4(0.07) * _line(rng, w, 10, ring)
        layers[1] *= F4(rng.uniform(0.65, 1.1)) * (F4(1.1) - F4(0.3) * humps)
        mean = F4(rng.uniform(0.6, 1.5))
        layers[8] *= mean * (1 + F4(0.18) * _line(rng, w, 3, ring) + F4(0.05) * _line(rng, w, 14, ring))
    else:
        side = rng.choice([-1, 1])
        pit = np.exp(-(((x - F4(rng.uniform(0.42, 0.58))) / F4(rng.uniform(0.09, 0.14))) ** 2))
        layers[:4] *= 1 - pit * np.asarray([0.85, 0.95, 0.9, 0.6], F4)[:, None]
        layers[0] *= F4(0.55) + F4(1.3) * step(side * (x - F4(0.5)), -0.1, 0.6)
        layers[4] *= 1 + F4(0.5) * pit
        layers[6] *= 1 + F4(0.5) * pit
        top = top + pit * F4(thick[:4].sum() * 0.62) + F4(rng.uniform(-0.1, 0.25)) * (x - F4(0.5)) ** 2
    return np.concatenate([top[None], top + np.cumsum(np.maximum(layers, 0), axis=0)]).astype(F4)


def _line(rng: np.random.Generator, w: int, waves: int, ring: bool) -> Array:
    """A smooth random line (W,), mean 0 and about unit deviation, with ``waves`` bumps; of a ring both ends meet."""
    x = np.linspace(0, 2 * np.pi, w, dtype=F4)
    if ring:
        phases, line = rng.uniform(0, 2 * np.pi, waves), np.zeros(w, F4)
        for k, phase in enumerate(phases, start=1):
            line += np.cos(k * x + F4(phase))
        return line * F4(np.sqrt(2 / waves))
    knots = rng.standard_normal(waves + 3)
    return np.interp(x, np.linspace(0, 2 * np.pi, waves + 3), knots).astype(F4) if waves > 20 else _cubic(knots, w)


def _cubic(knots: Array, w: int) -> Array:
    picture = Image.fromarray(np.tile(knots.astype(F4), (2, 1)))
    return np.asarray(picture.resize((w, 2), Image.Resampling.BICUBIC))[0]


def _vessels(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    """The choroid's own pattern (H, W): dark vessels between brighter tissue."""
    return np.clip(noise(rng, size, rng.uniform(14, 24), 2) * F4(1.4), -1.3, 0.8)
