"""Rarer kinds of pictures: the right values, or one line with the file and why."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_user_masks import LESION, refusal

from m2s import data

COLORS = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8).repeat(8, 0).repeat(8, 1)
GREY = COLORS[..., 0]


def scale(values: np.ndarray) -> np.ndarray:
    """What an image of more than 8 bits is shown as: 0 for its lowest value, 255 for its highest."""
    wide = values.astype(np.float64)
    grey = np.round((wide - wide.min()) * 255 / (wide.max() - wide.min())).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2) if grey.ndim == 2 else grey


def write_deep_png(path, values: np.ndarray):
    """A PNG of 16 bits in 1 to 4 channels, which Pillow cannot write."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "u8"])
def test_where_the_lowest_value_is_white_it_is_turned_over(tmp_path, kind):
    """TIFF's PhotometricInterpretation 0, for any number of bits; of fractions nobody knows what white is."""
    top, path = np.iinfo(kind).max, tmp_path / "w.tif"
    for high in {min(top, 1000), top}:
        tifffile.imwrite(path, (top - LESION.astype(kind) * high).astype(kind), photometric="miniswhite")
        assert np.array_equal(data.read_mask(path), LESION)
    tifffile.imwrite(path, (top - GREY.astype(kind)).astype(kind), photometric="miniswhite")
    assert np.array_equal(data.read_image(path), np.repeat(GREY[..., None], 3, 2) if kind == "u1" else scale(GREY))
    tifffile.imwrite(path, LESION.astype(np.float32), photometric="miniswhite")
    assert "save it with the highest as white" in refusal(data.read_mask, path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "u2", "u4", "i8", "u8", "f4", "f8"])
def test_numbers_of_any_kind_and_order_of_bytes(tmp_path, kind, order):
    path, dtype = tmp_path / "n.tif", np.dtype(order + kind)
    low, high = (0, 1) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    tifffile.imwrite(path, np.where(LESION, high, low).astype(dtype), byteorder=order, photometric="minisblack")
    assert np.array_equal(data.read_mask(path), LESION)
    values = (GREY.astype(np.int64) - 128 * (dtype.kind == "i")).astype(dtype)
    tifffile.imwrite(path, values, byteorder=order, photometric="minisblack")
    assert np.array_equal(data.read_image(path), scale(GREY))


def test_other_colors_and_layouts(tmp_path):
    path = tmp_path / "c.tif"
    image = Image.fromarray(COLORS)
    for extension, options in (("jpg", {"quality": 100, "subsampling": 0}), ("tif", {})):
        image.convert("CMYK").save(tmp_path / f"c.{extension}", **options)
        assert np.abs(data.read_image(tmp_path / f"c.{extension}").astype(int) - COLORS).max() <= 6
    tifffile.imwrite(path, COLORS.transpose(2, 0, 1), planarconfig="separate", photometric="rgb")
    assert np.array_equal(data.read_image(path), COLORS)
    image.save(path, compression="tiff_lzw")
    assert np.array_equal(data.read_image(path), COLORS)
    Image.fromarray(GREY.astype(np.uint16) * 257).save(path, compression="tiff_lzw")
    assert np.array_equal(data.read_image(path), scale(GREY))
    tifffile.imwrite(path, COLORS.astype(np.uint16) * 257, photometric="rgb")
    assert np.array_equal(data.read_image(path), scale(COLORS))
    tifffile.imwrite(path, np.dstack([COLORS, COLORS[..., :1]]).astype(np.uint16), photometric="separated")
    assert refusal(data.read_image, path) == f"cannot read {path}: its colours are SEPARATED; save it as RGB or grey"
    tifffile.imwrite(path, GREY.astype(np.complex64))
    assert refusal(data.read_image, path) == f"{path} holds complex64 values, not numbers that can be shown"


def test_one_bit_and_few_colors(tmp_path):
    for name, options in (("b.png", {}), ("b.bmp", {}), ("b.tif", {"compression": "group4"})):
        Image.fromarray(LESION * 255).convert("1").save(tmp_path / name, **options)
        assert np.array_equal(data.read_mask(tmp_path / name), LESION), name
    indices = Image.fromarray(LESION, "L").convert("P")
    for palette in ([0, 0, 0, 128, 0, 0], [0] * 6, [255] * 6):  # two of them show one colour alone
        indices.putpalette(palette)
        indices.save(tmp_path / "p.png", bits=2)
        assert np.array_equal(data.read_mask(tmp_path / "p.png"), LESION), palette
    Image.fromarray(LESION * 255).save(tmp_path / "webp.png", "WEBP", quality=60)
    assert np.array_equal(data.read_mask(tmp_path / "webp.png"), LESION)


def test_transparency_of_16_bits(tmp_path):
    path = tmp_path / "t.tif"
    values = np.dstack([LESION.astype(np.uint16) * 1000, np.full(LESION.shape, 65535, np.uint16)])
    tifffile.imwrite(path, values, photometric="minisblack", extrasamples=["unassalpha"], planarconfig="contig")
    assert np.array_equal(data.read_mask(path), LESION)


def test_a_deep_png_in_color_is_not_read_as_black(tmp_path):
    """Pillow reads the upper byte alone, which is 0 for a mask of 0 and 200."""
    path, deep = tmp_path / "d.png", LESION[..., None].astype(np.uint16)
    opaque = np.full_like(deep, 65535)
    for values in (np.repeat(deep, 3, 2), np.dstack([deep, opaque]), np.dstack([deep] * 3 + [opaque])):
        full = np.where(values == 1, 65535, values).astype(np.uint16)
        assert np.array_equal(data.read_mask(write_deep_png(path, full)), LESION)
        small = np.where(values == 1, 200, values).astype(np.uint16)
        assert refusal(data.read_mask, write_deep_png(path, small)).endswith("save it as TIFF, or with 8 bits")
    assert np.array_equal(data.read_mask(write_deep_png(path, deep * 200)), LESION)
    assert np.array_equal(data.read_image(write_deep_png(path, COLORS.astype(np.uint16) * 257)), COLORS)


@pytest.mark.parametrize("name", ["photo.heic", "drawing.svg", "page.pdf", "scan.ppm"])
def test_other_formats_are_to_be_converted_not_fetched(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(40))
    advice = "PNG, JPEG, BMP, TIFF, GIF, WEBP and DICOM are read here; save it as one of them"
    assert refusal(data.read_image, tmp_path / name) == f"cannot read {tmp_path / name}: {advice}"
