"""Any mask of two values, in any mode, depth, format and orientation, against a reference that is written here."""

import io

import numpy as np
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from m2s.data.disk.images import find_foreground, read_image
from m2s.data.disk.pictures import read_picture
from m2s.errors import InputError

# The upright place (row, column) of the stored pixel (r, c) of an H×W picture, by the tag, as TIFF's standard says it:
# 1 the first row is the top and the first column the left side, 2 top and right, 3 bottom and right, …
PLACES = {
    1: lambda r, c, h, w: (r, c),
    2: lambda r, c, h, w: (r, w - 1 - c),
    3: lambda r, c, h, w: (h - 1 - r, w - 1 - c),
    4: lambda r, c, h, w: (h - 1 - r, c),
    5: lambda r, c, h, w: (c, r),
    6: lambda r, c, h, w: (c, h - 1 - r),
    7: lambda r, c, h, w: (w - 1 - c, h - 1 - r),
    8: lambda r, c, h, w: (w - 1 - c, r),
}


def turn_by_place(stored: np.ndarray, orientation: int) -> np.ndarray:
    h, w = stored.shape
    upright = np.zeros((w, h) if orientation >= 5 else (h, w), stored.dtype)
    for r in range(h):
        for c in range(w):
            upright[PLACES[orientation](r, c, h, w)] = stored[r, c]
    return upright


def pair(lowest: int, highest: int) -> st.SearchStrategy:
    return (
        st.tuples(st.integers(lowest, highest), st.integers(lowest, highest)).filter(lambda p: p[0] != p[1]).map(sorted)
    )


MODES = {
    "1": st.just([0, 255]),
    "L": pair(0, 255),
    "LA": pair(0, 255),
    "alpha": pair(0, 255),
    "P": pair(0, 255),
    "RGB": pair(0, 255),
    "RGBA": pair(0, 255),
    "I;16": pair(0, 65535),
    "uint16": pair(0, 65535),
    "int16": pair(-32768, 32767),
    "float16": pair(0, 2048),
    "float32": pair(-1000, 1000),
    "float64": pair(-1000, 1000),
}


def write(mode: str, mask: np.ndarray, levels: list[int], orientation: int, kind: str, color: int) -> io.BytesIO:
    """A file that holds ``levels`` where the mask is 0 and 1; of a colour only some channels."""
    values, file = np.where(mask, levels[1], levels[0]), io.BytesIO()
    if mode in {"uint16", "int16", "float16", "float32", "float64"}:
        file.name = "m.tif"
        scale = 1 / 3 if mode in {"float32", "float64"} else 1
        tags = [(0x0112, "H", 1, orientation, True)]
        tifffile.imwrite(file, (values * scale).astype(mode), photometric="minisblack", extratags=tags)
        return file
    grey = values.astype(np.uint16 if mode == "I;16" else np.uint8)
    if mode == "P":
        picture = Image.fromarray(mask.astype(np.uint8)).convert("P")
        picture.putpalette([level for level in levels for _ in range(3)])
    elif mode in {"RGB", "RGBA"}:
        rgb = np.stack([grey if color >> i & 1 else np.zeros_like(grey) for i in range(3)], -1)
        picture = Image.fromarray(rgb if mode == "RGB" else np.dstack([rgb, np.full_like(grey, 255)]))
    elif mode in {"LA", "alpha"}:
        other = np.full_like(grey, 255)
        picture = Image.fromarray(np.dstack([grey, other] if mode == "LA" else [other, grey]))
    else:
        picture = Image.fromarray(grey).convert("1") if mode == "1" else Image.fromarray(grey)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(file, kind, exif=exif)
    file.name = f"m.{kind.lower()}"
    return file


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_mask_of_two_values_is_read_as_it_was_drawn(data):
    mode = data.draw(st.sampled_from(sorted(MODES)))
    levels = data.draw(MODES[mode])
    orientation = data.draw(st.integers(1, 8))
    kind = data.draw(st.sampled_from(["PNG", "TIFF"]))
    color = data.draw(st.integers(1, 7))
    if mode in {"RGB", "RGBA"} and color != 7 and levels[0] > levels[1] / 4:
        levels[0] = 0  # of two colours one is black
    h, w = data.draw(st.integers(1, 9)), data.draw(st.integers(2, 9))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=h * w, max_size=h * w))).reshape(h, w)
    mask.flat[0], mask.flat[-1] = False, True  # both values are there
    file = write(mode, mask, levels, orientation, kind, color)
    assert np.array_equal(find_foreground(read_picture(file)), turn_by_place(mask, orientation))


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_an_image_is_read_as_it_stands(data):
    """Grey of 8 and 16 bits and of floats: 0 to 255 between its lowest and highest value, or as it is for 8 bits."""
    mode = data.draw(st.sampled_from(["L", "I;16", "uint16", "float32"]))
    orientation = data.draw(st.integers(1, 8))
    h, w = data.draw(st.integers(1, 6)), data.draw(st.integers(2, 6))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=h * w, max_size=h * w))).reshape(h, w)
    mask.flat[0], mask.flat[-1] = False, True
    levels = data.draw(MODES[mode])
    image = read_image(write(mode, mask, levels, orientation, data.draw(st.sampled_from(["PNG", "TIFF"])), 7))
    expected = turn_by_place(np.where(mask, *(levels[::-1] if mode == "L" else (255, 0))), orientation)
    assert image.dtype == np.uint8 and np.array_equal(image, np.stack([expected] * 3, -1))


def test_a_file_with_changed_bytes_is_read_or_refused():
    """400 damaged files of each kind, the same at every call: any other error would be a traceback."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (20, 30, 3), np.uint8)
    image, grey = Image.fromarray(pixels), pixels[..., 0]
    whole: dict[str, bytes] = {}
    for kind, options in (("PNG", {}), ("JPEG", {}), ("BMP", {}), ("GIF", {}), ("TIFF", {"compression": "tiff_lzw"})):
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        whole[kind] = stream.getvalue()
    for kind in ("uint16", "float16", "float64", "int8"):
        stream = io.BytesIO()
        tifffile.imwrite(stream, grey.astype(kind))
        whole[kind] = stream.getvalue()
    for kind, content in whole.items():
        refused = 0
        for _ in range(400):
            changed = bytearray(content)
            for place in rng.integers(0, min(len(content), 400), rng.integers(1, 5)):
                changed[place] = rng.integers(0, 256)
            file = io.BytesIO(bytes(changed[: rng.integers(1, len(changed))] if rng.random() < 0.2 else changed))
            file.name = f"{kind}.tif"
            try:
                picture = read_picture(file)
                assert picture.values.size and picture.values.dtype.kind in "iuf"
            except InputError as error:
                assert file.name in str(error) and "\n" not in str(error)
                refused += 1
        assert refused > 40, kind
        assert refused == 400 if kind == "PNG" else refused < 400, kind  # PNG has check sums
