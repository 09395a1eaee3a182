"""Made-up ultrasound of the breast and of the thyroid, with exact masks of the tumour or nodule.

Not a model of waves, but built in the order in which a scanner's picture comes about: tissue that reflects (``echo``)
and weakens (``loss``) the beam, the beam's way down, along which the loss adds up (so that a shadow lies below what
absorbs, and a bright band below a cyst), and speckle. The screen shows the logarithm, so that all of this is added.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from m2s.phantoms.wall import F4, Array, Ground, blob, noise, plane, step

VERSION = 2
"""Counted up with every change to the pictures: it enters the fingerprint."""


@dataclass(frozen=True)
class Style:
    """The manner of one data set."""

    organ: str
    """``"breast"`` or ``"thyroid"``."""
    sizes: tuple[tuple[int, int], ...]
    """Heights and widths, of which the caller of :func:`paint` draws one."""
    share: tuple[float, float, float]
    """Part of the picture that is tumour: median, lowest, highest."""
    share_spread: float
    """Standard deviation of its logarithm."""
    contrast: tuple[float, float]
    """Of tumours, 0 to 1: lowest and highest."""
    kinds: tuple[float, float, float, float]
    """How often one is solid and regular, solid and irregular, filled with fluid, or as bright as its surroundings."""
    normal: float = 0.0
    """How often there is no tumour."""
    speckle: tuple[float, float] = (0.03, 0.055)
    """Strength of the speckle: lowest and highest."""
    grain: float = 0.45
    """Speckles along the depth, for each row of the picture."""
    gain: tuple[float, float] = (-0.04, 0.12)
    """Brightness added to the whole picture: lowest and highest."""
    depth_loss: tuple[float, float] = (0.0, 0.35)
    """Brightness lost from top to bottom: lowest and highest."""
    sector: float = 0.1
    """How often the field of view is a fan."""
    text: float = 0.15
    """How often there is writing."""


STYLES = {
    "busi": Style(
        organ="breast", sizes=((352, 416), (352, 432), (336, 416), (320, 416), (368, 352)), share=(0.06, 0.008, 0.35),
        share_spread=0.9, contrast=(0.15, 0.9), kinds=(0.4, 0.33, 0.17, 0.1), normal=133 / 780,
    ),
    "bus": Style(
        organ="breast", sizes=((360, 480),), share=(0.035, 0.008, 0.2), share_spread=0.7, contrast=(0.25, 1.0),
        kinds=(0.4, 0.3, 0.25, 0.05), speckle=(0.06, 0.085), grain=0.28, gain=(-0.14, -0.02), depth_loss=(0.2, 0.45),
        sector=0.0, text=0.5,
    ),
    "tnscui": Style(
        organ="thyroid", sizes=((352, 400), (336, 416), (352, 464)), share=(0.09, 0.01, 0.3), share_spread=0.7,
        contrast=(0.1, 0.9), kinds=(0.4, 0.2, 0.1, 0.3), sector=0.0,
    ),
    "tucc": Style(
        organ="thyroid", sizes=((352, 496),), share=(0.045, 0.008, 0.2), share_spread=0.7, contrast=(0.1, 0.7),
        kinds=(0.35, 0.15, 0.15, 0.35), speckle=(0.06, 0.08), grain=0.3, gain=(-0.02, 0.14), depth_loss=(0.0, 0.25),
        sector=0.3, text=0.0,
    ),
}  # fmt: skip


@dataclass
class Scan(Ground):
    """What is scanned; arrays (H, W) float32, in parts of the screen's brightness."""

    echo: Array
    loss: Array
    """Brightness lost on the way through a whole picture's height of this tissue."""
    bend: Array
    """Waves that all borders of layers follow more or less."""

    @property
    def depth(self) -> Array:
        """0 at the skin, 1 at the bottom: (H, 1)."""
        return (self.y + 1) / 2


def paint(rng: np.random.Generator, size: tuple[int, int], style: Style) -> tuple[Array, Array]:
    """One image, uint8 (H, W, 3) with three equal channels, and its mask, uint8 (H, W): 1 is tumour or nodule."""
    loss = np.full(size, rng.uniform(*style.depth_loss), F4)
    scan = Scan(*plane(size), np.zeros(size, F4), loss, noise(rng, size, 1.3, 3))
    visible = _field_of_view(rng, scan, style.sector)
    home = {"breast": _breast, "thyroid": _thyroid}[style.organ](rng, scan)
    mask = np.zeros(size, bool)
    if rng.random() >= style.normal:
        median, low, high = style.share
        share = float(np.clip(median * np.exp(rng.normal(0, style.share_spread)), low, high))
        kind = ("regular", "irregular", "fluid", "alike")[rng.choice(4, p=style.kinds)]
        mask = _tumour(rng, scan, _somewhere(rng, scan, home & visible), share, kind, rng.uniform(*style.contrast))
        mask &= visible
    image = _listen(rng, scan, style) * visible
    picture = Image.fromarray((image * 255).astype(np.uint8))
    if rng.random() < style.text:
        _write(rng, picture)
    return np.repeat(np.asarray(picture)[..., None], 3, axis=2), mask.astype(np.uint8)


def _streaks(
    rng: np.random.Generator, shape: tuple[int, int], cells: float, long: float, octaves: int = 1, gain: float = 0.5
) -> Array:
    """Noise as :func:`noise` makes it, but ``long`` times as long as high: fibres that lie along the skin."""
    narrow = noise(rng, (shape[0], max(8, round(shape[1] / long))), cells, octaves, gain)
    return np.asarray(Image.fromarray(narrow).resize(shape[::-1], Image.Resampling.BICUBIC))


def _line(values: Array, width: float) -> Array:
    """1 where ``values`` cross 0, falling off within ``width``."""
    return np.exp(-((values / F4(width)) ** 2))


def _layers(rng: np.random.Generator, scan: Scan, layers: list[tuple[float, Array | float]], wave: float) -> None:
    """Lay tissue on tissue: each begins at its depth (0 to 1), behind a thin bright sheet."""
    for top, echo in layers:
        below = scan.depth - F4(top) - F4(wave * min(1, 5 * top)) * scan.bend[rng.integers(scan.shape[0])]
        soft = rng.uniform(0.004, 0.02)
        scan.echo += (echo - scan.echo) * step(below, -soft, soft)
        sheet = step(noise(rng, scan.shape, 2.5), -1.2, 0.8)
        scan.echo += F4(rng.uniform(0.08, 0.3)) * _line(below, rng.uniform(0.004, 0.009)) * sheet


def _breast(rng: np.random.Generator, scan: Scan) -> Array:
    """Skin, fat with septa, gland with fibres and dark lobules, muscle, chest wall; returns where tumours sit."""
    shape = scan.shape
    patch = step(noise(rng, shape, 2, 2), -1.0, 1.0)
    fine = _streaks(rng, shape, rng.uniform(12, 18), rng.uniform(3, 6), 2)
    septa = _line(_streaks(rng, shape, rng.uniform(2, 5), 2.5, 2) + F4(0.2) * scan.bend, 0.07)
    fat = F4(rng.uniform(0.36, 0.48)) + F4(0.03) * noise(rng, shape, 6, 2) + F4(0.24) * septa * patch + F4(0.05) * fine
    fibres = _line(_streaks(rng, shape, rng.uniform(5, 9), rng.uniform(2.5, 5), 3), 0.25)
    gland = F4(rng.uniform(0.42, 0.56)) + F4(0.07) * _streaks(rng, shape, 4, 3, 4, 0.8) + F4(0.2) * fibres * patch
    gland += F4(rng.uniform(0.08, 0.18)) * fine
    gland -= F4(rng.uniform(0.05, 0.3)) * step(_streaks(rng, shape, rng.uniform(4, 9), 2, 2), 0.9, 1.8)
    muscle = F4(rng.uniform(0.28, 0.42)) + F4(0.2) * _line(_streaks(rng, shape, 12, 7, 2), 0.25)
    chest = F4(rng.uniform(0.15, 0.35)) + F4(0.07) * _streaks(rng, shape, 8, 4, 3)
    tops = np.cumsum([rng.uniform(0.025, 0.05), rng.uniform(0.08, 0.3), rng.uniform(0.25, 0.5), rng.uniform(0.08, 0.2)])
    scan.echo += F4(0.75)
    _layers(rng, scan, list(zip(tops, (fat, gland, muscle, chest), strict=True)), rng.uniform(0.02, 0.08))
    everywhere = np.ones(shape, bool)
    for _ in range(rng.integers(0, 4)):  # lobules of fat inside the gland: dark and oval like a tumour, but soft
        at = rng.uniform(-1, 1) * shape[1] / shape[0], rng.uniform(-0.8, 0.4)
        flat = Ground(scan.x / F4(1.5), scan.y * F4(1.5))
        soft = step(1 - blob(rng, flat, (at[0] / 1.5, at[1] * 1.5), rng.uniform(0.005, 0.05), everywhere), -0.6, 0.9)
        scan.echo -= F4(rng.uniform(0.05, 0.22)) * soft
    for _ in range(rng.integers(0, 3)):  # ligaments that take the sound away
        spot = ((scan.x - F4(rng.uniform(-1, 1))) / F4(rng.uniform(0.08, 0.5))) ** 2
        high = (scan.y - F4(rng.uniform(-0.9, 0.0))) / F4(0.08)
        scan.loss += F4(rng.uniform(0.5, 3.5)) * np.exp(-spot - high * high + F4(0.3) * scan.bend)
    deep_enough = (scan.depth > tops[0] + 0.06) & (scan.depth < min(0.75, tops[2] + 0.1))
    return deep_enough & (abs(scan.x) < scan.x.max() * F4(0.8))


def _thyroid(rng: np.random.Generator, scan: Scan) -> Array:
    """Skin, fat, strap muscles, lobe, deep muscle; across the neck also windpipe and carotid. Returns the lobe."""
    shape, aspect = scan.shape, scan.shape[1] / scan.shape[0]
    fat = F4(rng.uniform(0.42, 0.55)) + F4(0.18) * _line(_streaks(rng, shape, 5, 4, 2), 0.15)
    strap = F4(rng.uniform(0.22, 0.36)) + F4(0.16) * _line(_streaks(rng, shape, 10, 8, 2), 0.2)
    deep = F4(rng.uniform(0.24, 0.4)) + F4(0.18) * _line(_streaks(rng, shape, 7, 5, 2), 0.2)
    tops = np.cumsum([rng.uniform(0.02, 0.05), rng.uniform(0.03, 0.1), rng.uniform(0.1, 0.2)])
    scan.echo += F4(0.75)
    _layers(rng, scan, list(zip(tops, (fat, strap, deep), strict=True)), rng.uniform(0.01, 0.03))
    gland = F4(rng.uniform(0.46, 0.6)) + F4(0.035) * noise(rng, shape, 9, 3) + F4(0.04) * noise(rng, shape, 2.5, 2)
    across, side = rng.random() < 0.6, rng.choice([-1, 1])
    wide, everywhere = (1.15, 1.7)[not across], np.ones(shape, bool)
    flat = Ground(scan.x / F4(wide), scan.y * F4(wide))
    at = rng.uniform(-0.25, 0.25) / wide, rng.uniform(-0.15, 0.1) * wide
    lobe = blob(rng, flat, at, rng.uniform(0.28, 0.42), everywhere, long=0.15)
    scan.echo += (gland - scan.echo) * step(1 - lobe, -0.06, 0.06)
    scan.echo += F4(rng.uniform(0.08, 0.2)) * _line(lobe - 1, 0.1) * step(noise(rng, shape, 3), -0.8, 0.8)
    if across:
        middle = side * aspect * rng.uniform(0.95, 1.15), rng.uniform(-0.2, 0.15)
        _windpipe(rng, scan, middle, rng.uniform(0.35, 0.55))
        _vessel(rng, scan, (-side * aspect * rng.uniform(0.7, 0.9), rng.uniform(-0.1, 0.4)), rng.uniform(0.12, 0.24))
    elif rng.random() < 0.5:
        scan.echo -= F4(0.35) * _line(scan.depth - F4(rng.uniform(0.7, 0.9)) - F4(0.04) * scan.bend[0], 0.05)
    return (lobe < 0.35) & (abs(scan.x) < F4(0.5 * aspect))


def _windpipe(rng: np.random.Generator, scan: Scan, at: tuple[float, float], radius: float) -> None:
    """A bright arch of cartilage; behind it air, which gives only echoes of the arch, weaker and weaker."""
    r = np.sqrt((scan.x - F4(at[0])) ** 2 + (scan.y - F4(at[1])) ** 2) / F4(radius) + F4(0.03) * scan.bend
    inside, front = step(1 - r, -0.02, 0.02), step(F4(at[1]) - scan.y, -0.3 * radius, 0.5 * radius)
    inner = F4(0.25) + F4(0.15) * np.cos(r * F4(rng.uniform(22, 40)))
    scan.echo += (inner * r - scan.echo) * inside + F4(0.4) * _line(r - 1, 0.05) * front
    scan.loss += F4(rng.uniform(0.6, 1.6)) * inside


def _vessel(rng: np.random.Generator, scan: Scan, at: tuple[float, float], radius: float) -> None:
    """The carotid in cross-section: round and black, with a bright wall; blood takes little of the sound."""
    turn = rng.uniform(0.8, 1.25)
    r = np.sqrt(((scan.x - F4(at[0])) * F4(turn)) ** 2 + ((scan.y - F4(at[1])) / F4(turn)) ** 2) / F4(radius)
    inside = step(1 - r, -0.06, 0.06)
    scan.echo += (F4(rng.uniform(0.0, 0.12)) - scan.echo) * inside + F4(0.2) * _line(r - F4(1.08), 0.08)
    scan.loss -= F4(0.5) * inside


def _somewhere(rng: np.random.Generator, scan: Scan, home: Array) -> tuple[float, float]:
    """A random point of ``home`` as (x, y)."""
    places = np.flatnonzero(home)
    row, column = divmod(int(rng.choice(places)), scan.shape[1])
    return float(scan.x[0, column]), float(scan.y[row, 0])


def _tumour(
    rng: np.random.Generator, scan: Scan, at: tuple[float, float], share: float, kind: str, contrast: float
) -> Array:
    """Put a tumour or nodule there and return where it is, bool (H, W)."""
    shape, everywhere = scan.shape, np.ones(scan.shape, bool)
    irregular, radius = kind == "irregular", np.sqrt(4 * share * shape[1] / shape[0] / np.pi)
    wide = np.exp(rng.uniform(-0.2, 0.1) if irregular else rng.uniform(0.0, 0.3))
    at = at[0], max(at[1], 0.8 * radius - 0.88)  # below the skin
    flat = Ground(scan.x / F4(wide), scan.y * F4(wide))
    squared = blob(rng, flat, (at[0] / wide, at[1] * wide), share, everywhere, 0.15)
    if irregular:  # lobes and spikes
        rough = np.exp(F4(rng.uniform(0.1, 0.35)) * noise(rng, shape, min(50, 3 / radius), 2, 0.7))
        squared = np.maximum(squared * rough, squared - 1)  # but no islands far off
    inside = squared < 1
    rho = np.sqrt(np.maximum(squared, 0))
    soft = rng.uniform(0.02, 0.08) + (0.15 * rng.random() if irregular else 0)
    alpha = step(1 - rho, -soft, soft)
    ring = scan.echo[(squared > 1) & (squared < 1.8)]
    near = float(ring.mean()) if ring.size else 0.45
    texture = F4(rng.uniform(0.02, 0.07)) * noise(rng, shape, min(60, 4 / radius), 3, 0.7)
    calcified = 0.0
    if kind == "fluid":
        level, texture = rng.uniform(0.0, 0.1) + 0.15 * (1 - contrast), texture * F4(0.5)
        scan.loss -= F4(rng.uniform(0.05, 0.2) / radius) * alpha
        edge = rng.uniform(0.0, 0.2)
    elif kind == "alike":
        level = near + rng.choice([-1, 1]) * (0.03 + 0.1 * contrast)
        edge, calcified = rng.uniform(-0.25, -0.08), 0.2
        scan.loss += F4(rng.uniform(-0.1, 0.1)) * alpha
    else:
        level = max(0.06, near - 0.06 - 0.3 * contrast)
        edge = rng.uniform(0.0, 0.2) if irregular else rng.uniform(-0.05, 0.2)
        scan.loss += F4((rng.uniform(0.03, 0.25) if irregular else rng.uniform(-0.12, 0.06)) / radius) * alpha
        calcified = 0.5 if irregular else 0.1
    scan.echo += alpha * (F4(level) + texture - scan.echo)
    # A thin bright capsule or, if negative, a dark halo; broken here and there.
    scan.echo += F4(edge) * _line(rho - F4(1.0 if edge > 0 else 0.93), 0.07) * step(noise(rng, shape, 3), -1.0, 0.8)
    if rng.random() < calcified:
        specks = step(noise(rng, shape, min(90, 9 / radius)), 1.9, 2.4) * step(0.7 - rho, 0, 0.2)
        scan.echo += F4(0.4) * specks
        scan.loss += F4(rng.uniform(0, 3)) * specks
    return inside


def _field_of_view(rng: np.random.Generator, scan: Scan, sector: float) -> Array:
    """Where the screen shows the scan, bool (H, W): all of it, or a fan."""
    if rng.random() >= sector:
        return np.ones(scan.shape, bool)
    aspect, apex = scan.shape[1] / scan.shape[0], rng.uniform(1.6, 3.0)
    distance = np.hypot(scan.x, scan.y + 1 + F4(apex))
    opening = aspect * rng.uniform(0.6, 0.85) / apex
    return (abs(scan.x) < F4(opening) * (scan.y + 1 + F4(apex))) & (distance > apex) & (distance < apex + 1.97)


def _listen(rng: np.random.Generator, scan: Scan, style: Style) -> Array:
    """The screen's brightness, 0 to 1: echo less what was lost on the way down, and speckle."""
    h, w = scan.shape
    lost = np.cumsum(scan.loss, axis=0, dtype=F4) / F4(h)
    contact = noise(rng, (h, w), 2.5, 3)[0] * F4(rng.uniform(0.0, 0.08))  # of the probe, column by column
    real, imaginary = (_streaks(rng, (h, w), h * style.grain, rng.uniform(1.4, 2.2)) for _ in range(2))
    speckle = np.log(real * real + imaginary * imaginary + F4(0.03))
    shown = scan.echo - lost + contact * (F4(0.5) + scan.depth) + F4(rng.uniform(*style.speckle)) * speckle
    shown += F4(rng.uniform(*style.gain) + 0.02)
    # Where next to nothing comes back, the amplifier's noise is all there is.
    floor = F4(0.03) + F4(0.02) * rng.standard_normal((h, w), dtype=F4)
    return np.clip(np.maximum(shown, floor), 0, 1) ** F4(rng.uniform(1.0, 1.35))


def _write(rng: np.random.Generator, picture: Image.Image) -> None:
    """A few letters, as the examiner types them."""
    text = " ".join(rng.choice(["RT", "LT", "UOQ", "12H", "TRANS", "LONG", "3CM", "10.5"], rng.integers(1, 4)))
    place = rng.uniform(0.05, 0.7) * picture.width, rng.choice([0.04, 0.9]) * picture.height
    ImageDraw.Draw(picture).text(place, text, fill=int(rng.integers(170, 256)))
