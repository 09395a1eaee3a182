"""Made-up images with exact masks, for use without real data. They are labelled "made-up" wherever shown.

Here are the colonoscopy stills, and the choice of a painter for every other modality. Each data set has a manner of its
own (size, colour, contrast, share of the picture that is polyp), so that between what is trained on (kvasir, clinicdb)
and the others there is a shift, as there is between the real ones. No measurement on them says anything about patients.
"""

import importlib
import zlib
from dataclasses import astuple, dataclass, field

import numpy as np

from ..errors import InputError
from . import phantom_camera as camera
from . import phantom_scene as scene
from .catalogue import DataSet
from .imageset import ImageSet, Item, short_hash

VERSION = 2
"""Counted up with every change to the pictures: it enters the fingerprint."""


@dataclass(frozen=True)
class Style:
    """The manner of one data set."""

    sizes: tuple[tuple[int, int], ...]
    """Height and width, one of which is drawn."""
    colour: tuple[float, float, float]
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
    colour_shift: float = 0.0
    """Shift in pixels between the colours of an interlaced camera, at most."""


STYLES = {
    "kvasir": Style(
        sizes=((352, 440), (336, 400), (352, 416), (320, 400), (344, 408)),
        colour=(0.78, 0.46, 0.35), spread=0.16, share=(0.12, 0.012, 0.35), share_spread=0.75, contrast=(0.1, 1.0),
        clutter=0.7, wet=0.25, frame=camera.Frame(corner=(0.12, 0.32), inset=0.35, text=0.6), second=0.08,
    ),
    "clinicdb": Style(
        sizes=((288, 384),), colour=(0.66, 0.45, 0.31), spread=0.16, share=(0.076, 0.007, 0.30), share_spread=0.75,
        contrast=(0.15, 1.0), lumen=0.6, frame=camera.Frame(corner=(0.14, 0.22), border=(0.12, 0.03), grey=0.08),
    ),
    "colondb": Style(
        sizes=((500, 574),), colour=(0.66, 0.42, 0.29), spread=0.2, share=(0.036, 0.005, 0.30), share_spread=0.9,
        contrast=(0.0, 0.7), lumen=0.6, folds=1.0, vessels=(0.0, 0.5), clutter=0.8, blur=(1.0, 2.6),
        frame=camera.Frame(corner=(0.08, 0.16), border=(0.04, 0.0)), colour_shift=3.0,
    ),
    "cvc300": Style(
        sizes=((500, 574),), colour=(0.70, 0.48, 0.40), spread=0.1, share=(0.028, 0.006, 0.14), share_spread=0.6,
        contrast=(0.15, 0.75), lumen=0.75, vessels=(0.2, 0.8), clutter=0.25, wet=-0.1, blur=(0.9, 1.8),
        frame=camera.Frame(corner=(0.08, 0.16), border=(0.04, 0.0)),
    ),
    "etis": Style(
        sizes=((484, 612),), colour=(0.72, 0.40, 0.26), spread=0.2, share=(0.025, 0.005, 0.20), share_spread=0.8,
        contrast=(0.05, 0.8), lumen=0.55, vessels=(0.2, 1.0), clutter=0.8, blur=(0.3, 0.7),
        frame=camera.Frame(corner=(0.12, 0.28), border=(0.1, 0.02)), second=0.05,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Phantom:
    """One made-up image: everything about it follows from these values."""

    style: str
    split: str
    index: int
    seed: int
    group = ""

    @property
    def name(self) -> str:
        return f"{self.style}-{self.split}-{self.seed}-{self.index:04d}"

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Image uint8 (H, W, 3), RGB, and mask uint8 (H, W)."""
        where = zlib.crc32(f"{self.style}/{self.split}".encode())
        return paint(STYLES[self.style], np.random.default_rng([self.seed, where, self.index, VERSION]))


def paint(style: Style, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One image and its mask, in the given manner."""
    h, w = style.sizes[rng.integers(len(style.sizes))]
    visible, overlay = camera.frame(rng, (h, w), style.frame)
    canvas = scene.wall(rng, (h, w), style.lumen, style.folds, rng.uniform(*style.vessels))
    canvas.relief *= np.float32(rng.uniform(0.004, 0.014))
    mask = np.zeros((h, w), bool)

    def place() -> tuple[float, float]:
        for _ in range(20):
            at = rng.uniform(-0.75, 0.75) * w / h, rng.uniform(-0.75, 0.75)
            row, column = int((at[1] + 1) * h / 2), int((at[0] * h + w) / 2)
            if visible[row, column]:
                break
        return at

    for _ in range(rng.integers(0, 3)):  # bulges of healthy wall
        share = rng.uniform(0.005, 0.06)
        scene.raise_wall(rng, canvas, scene.blob(rng, canvas, place(), share, visible, long=0.9), share)
    median, low, high = style.share
    share = float(np.clip(median * np.exp(rng.normal(0, style.share_spread)), low, high))
    if two := rng.random() < style.second:
        share *= 0.66  # so that both together stay below the highest share
    for part in (share, share * rng.uniform(0.15, 0.5))[: 1 + two]:
        body = scene.blob(rng, canvas, place(), part, visible)
        scene.raise_body(rng, canvas, body, part, rng.uniform(*style.contrast))
        mask |= body < 1
    scene.distract(rng, canvas, style.clutter)
    scene.shine(rng, canvas, style.wet + rng.normal(0, 0.3))
    bright, orange, pink = rng.normal(0, style.spread, 3)
    colour = np.asarray(style.colour) * np.exp(bright + orange * np.array([0, 0.5, 0]) + pink * np.array([0, 0.5, 1.0]))
    image = camera.expose(rng, canvas, colour)
    image = camera.record(rng, image, visible, overlay, rng.uniform(*style.blur), style.colour_shift * rng.random())
    return image, (mask & visible).astype(np.uint8)


PAINTERS = {
    "colonoscopy video": "phantom_clips",
    "lung CT": "phantom_ct",
    "breast ultrasound": "phantom_ultrasound",
    "thyroid ultrasound": "phantom_ultrasound",
    "OCT": "phantom_oct",
    "dermoscopy": "phantom_skin",
    "CT volume": "phantom_volume",
    "MRI volume": "phantom_volume",
}
"""The module of each further modality. It holds ``VERSION``; ``STYLES``, a dataclass for each set, whose ``sizes`` are
the shapes of which one is drawn; and ``paint(rng, size, style)``, which gives an image and its mask of that shape."""

MOST, MOST_VOLUMES = 200, 20
"""How many made-up images, or volumes, stand for a whole set other than the polyp stills."""

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
"""Of MOST, where a set's own counts are not known."""


@dataclass(frozen=True)
class Painted:
    """One made-up image of a further modality: everything about it follows from these values."""

    module: str
    style: str
    split: str
    index: int
    seed: int
    group: str = ""

    @property
    def name(self) -> str:
        return f"{self.style}-{self.split}-{self.seed}-{self.index:04d}"

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Image uint8 (H, W, 3) and mask uint8 (H, W), class indices; of volumes float32 and uint8 (D, H, W)."""
        painter = _painter(self.module)
        style = painter.STYLES[self.style]
        where = zlib.crc32(f"{self.style}/{self.split}".encode())
        rng = np.random.default_rng([self.seed, where, self.index, painter.VERSION])
        return painter.paint(rng, style.sizes[rng.integers(len(style.sizes))], style)


def _painter(module: str):
    return importlib.import_module(f".{module}", __package__)


def phantoms(entry: DataSet, split: str, limit: int | None, seed: int) -> ImageSet:
    """Made-up images in the manner of ``entry``, made when read: as many as the set's split has, or ``limit``.

    Of a set other than the polyp stills there are at most :data:`MOST` in all (volumes: :data:`MOST_VOLUMES`), divided
    as the set is. An :class:`~m2s.errors.InputError` where nothing paints such images.
    """
    counts = _counts(entry, split, limit)
    if entry.modality == "colonoscopy":
        parts = (VERSION, seed, *astuple(STYLES[entry.name]))
        items: list[Item] = [Phantom(entry.name, s, i, seed) for s, n in counts.items() for i in range(n)]
    else:
        module = PAINTERS.get(entry.modality, "")
        if not module or entry.name not in _painter(module).STYLES:
            raise InputError(f"there are no made-up images in the manner of {entry.title}: give a folder of real ones")
        painter = _painter(module)
        parts = (painter.VERSION, seed, entry.name, *astuple(painter.STYLES[entry.name]))
        make = getattr(painter, "item", Painted)  # frames of one clip are not independent of one another
        items = [make(module, entry.name, s, i, seed) for s, n in counts.items() for i in range(n)]
    return ImageSet(
        name=entry.name,
        title=f"{entry.title} (made-up)",
        split=split,
        source=f"made-up images in the manner of {entry.title}, seed {seed}",
        made_up=True,
        fingerprint=short_hash(*parts, *counts.items()),
        items=tuple(items),
    )


def _counts(entry: DataSet, split: str, limit: int | None) -> dict[str, int]:
    """How many images of which split. "all" is every split, or of repeated splits (folds) the first pair of them."""
    known = [s for s in entry.splits if s != "all"] or ["all"]
    kind = (known[0] if split == "all" else split).rpartition("-")[0]
    siblings = [s for s in known if s.rpartition("-")[0] == kind]
    most = MOST_VOLUMES if "volume" in entry.modality else MOST
    sizes = {s: entry.counts.get(s) or round(most * SHARES.get(s, 1)) for s in siblings}
    total = sum(sizes.values())
    if entry.modality != "colonoscopy" and total > most:
        sizes = {s: max(1, round(n * most / total)) for s, n in sizes.items()}
        total = sum(sizes.values())
    if split != "all":
        return {split: limit or sizes[split]}
    wanted = limit or total
    counts = {s: wanted * n // total for s, n in sizes.items()}
    counts[siblings[-1]] += wanted - sum(counts.values())
    return counts
