"""What the values of a mask mean: foreground of one class, or the colours of several."""

import numpy as np
import pandas as pd

from m2s.data.disk.pictures import Picture
from m2s.errors import InputError, some

Color = tuple[int, int, int]
NOISE = 5
"""How far JPEG has moved values from 0 or from 255 (Kvasir-SEG's masks); twice as far in a file that is JPEG itself."""


def find_foreground(picture: Picture) -> np.ndarray:
    """The foreground of a mask of one class, bool (H, W).

    - Two values or colours: the brighter one is foreground, whatever it is.
    - More: the upper half of 0 … 255 (of 16 bits, of 0 … 1 for fractions), because Kvasir-SEG's masks are JPEG files,
      with values 0–5 and 250–255, and some of ClinicDB's have grey edges. Between two other greys, their middle.
    - Nothing but a noise of at most 5 is an empty mask, nothing but one of at least 250 a full one.
    - Of a coloured mask the brightest channel counts; what is transparent is background.

    Raises:
        InputError: the values do not tell: several classes, several colours, or something that is no mask.
    """
    values, name = _reduce_colors(picture), picture.name
    levels, counts = _count_levels(values)
    low, high = float(levels[0]), float(levels[-1])
    whole = values.dtype.kind in "iu"
    full = next((top for top in ((255, 65535) if whole or high > 1 else (1,)) if high <= top), high)
    noise = NOISE * (1 + picture.lossy) if whole and full == 255 else 0
    if len(levels) == 1:
        if high == 0 or (picture.lossy and 1 < high <= noise):
            return np.zeros(values.shape, bool)
        if high == 1 or high >= 0.98 * full:
            return np.ones(values.shape, bool)
        raise InputError(f"{name} holds the value {high:g} alone: a mask holds 0 and one other value")
    if len(levels) == 2 and not (picture.lossy and high <= noise):
        return values == levels[1]
    if high <= noise:
        areas = np.mean(_count_equal_neighbors(values, 0)[values > 0] >= 2) > 0.5
        if areas and not picture.lossy:
            raise _several(name, levels)
        return values > 0 if areas and len(levels) == 2 and not low else np.zeros(values.shape, bool)
    if whole and low >= full - noise:
        return np.ones(values.shape, bool)
    span = high - low
    between = (values > low + span / 8) & (values < high - span / 8)
    if between.any() and np.mean(_count_equal_neighbors(values, span / 50)[between] >= 3) > 0.5:
        raise _several(name, levels)
    if low <= 0.02 * full and high >= 0.75 * full:
        return values > full // 2 if whole else values > full / 2
    thirds = [counts[part].sum() for part in _cut(levels, low + span / 3, high - span / 3)]
    if thirds[1] > min(thirds[0], thirds[2]):
        raise _several(name, levels)
    return values > (low + high) / 2


def _count_levels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values that there are, in order, and how many pixels have each."""
    if values.dtype != np.uint8:
        return np.unique(values, return_counts=True)
    counts = np.bincount(values.ravel(), minlength=256)  # many times as fast as sorting
    levels = np.flatnonzero(counts)
    return levels.astype(np.uint8), counts[levels]


def _cut(levels: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return levels < low, (levels >= low) & (levels <= high), levels > high


def _several(name: str, levels: np.ndarray) -> InputError:
    shown = some([f"{level:g}" for level in levels.tolist()])
    return InputError(
        f"{name} holds {len(levels)} values ({shown} up to {levels[-1]:g}) that stand for no single class: "
        "write 0 for background and 255 for foreground"
    )


def _count_equal_neighbors(values: np.ndarray, tolerance: float) -> np.ndarray:
    """How many of its four neighbours differ from a pixel by at most ``tolerance``: many in an area, few at an edge."""
    wide = values.astype(np.int16 if values.dtype == np.uint8 else np.float64)
    count = np.zeros(values.shape, np.uint8)
    across, down = (np.abs(np.diff(wide, axis=axis)) <= tolerance for axis in (1, 0))
    for here, equal in ((count[:, :-1], across), (count[:, 1:], across), (count[:-1], down), (count[1:], down)):
        here += equal
    return count


def _reduce_colors(picture: Picture) -> np.ndarray:
    """One value a pixel, (H, W): the brightest channel, 0 where it is transparent."""
    values, visible = picture.values, None
    if picture.alpha is not None and (picture.alpha != picture.alpha[0, 0]).any():
        levels = np.unique(picture.alpha)
        visible = picture.alpha > (127 if len(levels) > 2 else levels[0])
    if values.ndim == 3:
        peak = np.maximum(np.maximum(values[..., 0], values[..., 1]), values[..., 2])  # max(-1) takes ten times as long
        _check_one_color(picture, values, peak, visible)
        values = peak
    if visible is None:
        return values
    # Where all that is seen is black, the transparency itself is the mask.
    return np.where(visible, values if values[visible].any() else np.uint8(255), 0).astype(values.dtype)


def _check_one_color(picture: Picture, rgb: np.ndarray, peak: np.ndarray, visible: np.ndarray | None) -> None:
    """Raise an ``InputError`` for a coloured mask that is not one colour on black."""
    top = float(peak.max())
    darkest = np.minimum(np.minimum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])
    if top <= NOISE or float((peak - darkest).max()) <= top * (0.15 if picture.lossy else 0.04):
        return  # grey
    seen = np.ones(peak.shape, bool) if visible is None else visible
    bright = rgb[seen & (peak > max(NOISE, top / 2))].astype(np.float64)
    if not len(bright):  # all that is seen is black
        return
    hues = bright / bright.max(-1, keepdims=True)
    other = np.abs(hues - np.median(hues, axis=0)).max(-1) > 0.25
    black = visible is not None or peak.min() <= top / 4
    if not black or np.count_nonzero(other) > (len(other) // 100 if picture.lossy else 0):
        colors = pd.DataFrame(rgb[seen]).drop_duplicates().sort_values([0, 1, 2]).to_numpy()  # np.unique takes minutes
        raise InputError(
            f"{picture.name} holds {len(colors)} colours ({some([str(tuple(c)) for c in colors.tolist()])}), not one "
            "colour on black: write 0 for background and 255 for foreground"
        )


def look_up_colors(picture: Picture, colors: tuple[Color, ...]) -> np.ndarray:
    """The index of each pixel's colour in ``colors``, uint8 (H, W); a grey is a colour of three equal channels."""
    values, name = picture.values, picture.name
    if values.dtype != np.uint8:
        raise InputError(f"{name} holds {values.dtype} values, not a colour or a grey of 8 bits for each class")
    rgb = np.repeat(values[..., None], 3, 2) if values.ndim == 2 else values
    code = rgb.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    mask = np.full(code.shape, 255, np.uint8)
    for index, (r, g, b) in enumerate(colors):
        mask[code == (r << 16 | g << 8 | b)] = index
    if (unknown := mask == 255).any():
        r, g, b = rgb[unknown][0]
        raise InputError(
            f"{name} holds the colour ({r}, {g}, {b}) in {unknown.sum()} pixels, which stands for no class; "
            f"known: {', '.join(map(str, colors))}"
        )
    return mask
