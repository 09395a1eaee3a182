"""What the camera and the recorder make of a painted scene: exposure, colour, frame, overlays, blur, noise, JPEG."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from m2s.phantoms.wall import F4, Canvas, plane


@dataclass(frozen=True)
class Frame:
    """The visible part of the picture, and what the recorder writes over it."""

    corner: tuple[float, float] = (0.2, 0.45)
    """How far the four corners are cut, as a share of the height: lowest and highest."""
    border: tuple[float, float] = (0.0, 0.0)
    """Black border at the sides and at top and bottom, as shares of width and height."""
    grey: float = 0.0
    """Brightness of the border."""
    inset: float = 0.0
    """How often there is a green position display, or the black box of one, in the lower left corner."""
    text: float = 0.0
    """How often there is writing at the left edge."""


@dataclass(frozen=True)
class Overlay:
    """What covers the scene: the border's grey, the kind of inset and its box, and whether there is writing."""

    grey: float
    inset: str
    text: bool
    box: tuple[int, int, int, int]


def choose_frame(rng: np.random.Generator, shape: tuple[int, int], style: Frame) -> tuple[np.ndarray, Overlay]:
    """Where the scene is visible, bool (H, W), and the overlays."""
    h, w = shape
    x, y = plane(shape)
    aspect = w / h
    side, top = (max(0.0, b + rng.normal(0, b / 6)) for b in style.border)
    half_x, half_y = aspect * (1 - 2 * side), 1 - 2 * top
    cut = rng.uniform(*style.corner) * 2
    inside = (abs(x) < half_x) & (abs(y) < half_y) & (abs(x) + abs(y) < half_x + half_y - cut)
    if rng.random() < 0.4:
        inside &= (x / (half_x * 1.04)) ** 2 + (y / (half_y * 1.22)) ** 2 < 1.05
    inset = ""
    width, height = int(w * rng.uniform(0.24, 0.34)), int(h * rng.uniform(0.26, 0.34))
    box = (0, h - height, width, h)
    if rng.random() < style.inset:
        inset = rng.choice(["green", "black"])
        inside[box[1] :, : box[2]] = False
    return inside, Overlay(style.grey, str(inset), bool(rng.random() < style.text), box)


def expose(rng: np.random.Generator, canvas: Canvas, color: np.ndarray) -> np.ndarray:
    """The scene in colour, float32 (H, W, 3), about 0 to 1: dim light is redder, bright light paler."""
    vignette = 1 - F4(rng.uniform(0.05, 0.22)) * (canvas.x**2 + canvas.y**2)
    light = np.maximum(canvas.light * vignette * F4(rng.uniform(0.95, 1.45)), F4(1e-3))
    log = np.log(light)
    r, g, b = color.astype(F4)
    warmth, yellow = canvas.warmth, np.clip(canvas.yellow, 0, 1)
    image = np.empty((*canvas.shape, 3), F4)
    image[..., 0] = r * np.exp(F4(0.85) * log - F4(0.08) * warmth)
    image[..., 1] = g * np.exp(F4(1.12) * log - F4(0.55) * warmth + F4(0.12) * yellow)
    image[..., 2] = b * np.exp(F4(1.2) * log - F4(0.55) * warmth - F4(1.1) * yellow)
    # Overexposed parts saturate gently instead of being cut off.
    image = np.where(image > 0.75, 0.75 + F4(0.25) * np.tanh((image - F4(0.75)) / F4(0.25)), image)
    return image + (F4(1.0) - image) * np.clip(canvas.gloss, 0, 1)[..., None]


def record(
    rng: np.random.Generator, image: np.ndarray, visible: np.ndarray, overlay: Overlay, blur: float, shift: float
) -> np.ndarray:
    """Blur, sensor noise, frame, overlays and JPEG: uint8 (H, W, 3)."""
    if (pixels := round(shift)) > 0:
        image[:, pixels:, 0], image[:, :-pixels, 2] = image[:, :-pixels, 0].copy(), image[:, pixels:, 2].copy()
    picture = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))
    (h, w), scale = visible.shape, 1 / (1 + blur)
    coarse = picture.resize((max(1, round(w * scale)), max(1, round(h * scale))), Image.Resampling.BILINEAR)
    picture = coarse.resize((w, h), Image.Resampling.BICUBIC)
    image = np.asarray(picture, F4)
    grain = rng.standard_normal(visible.shape, dtype=F4) * F4(rng.uniform(0.8, 3.0))
    image = (image + grain[..., None]) * visible[..., None]
    image += F4(255 * overlay.grey) * ~visible[..., None]
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    _draw(rng, picture, overlay)
    store = io.BytesIO()
    picture.save(store, "JPEG", quality=int(rng.integers(72, 95)))
    return np.asarray(Image.open(store))


def _draw(rng: np.random.Generator, picture: Image.Image, overlay: Overlay) -> None:
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = overlay.box
    if overlay.inset == "green":
        draw.rectangle((left + 8, top + 6, right - 6, bottom - 8), fill=(18, 196, 150))
        points = rng.uniform((left + 0.3 * right, top + 12), (0.8 * right, bottom - 14), (5, 2))
        draw.line([tuple(point) for point in points], fill=(20, 70, 60), width=2, joint="curve")
    if overlay.text:
        for line in range(rng.integers(3, 7)):
            y = int(picture.height * (0.16 + 0.055 * line))
            text = "".join(rng.choice(list("0123456789:/"), rng.integers(5, 11)))
            draw.text((3, y), text, fill=(215, 215, 215))
