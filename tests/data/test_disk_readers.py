"""Traps in image, mask and volume files, each with what is read, or with the line that a user sees."""

import gzip
import io

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from m2s import data
from m2s.data.disk.images import FilePair
from m2s.data.disk.nifti import VolumePair
from m2s.errors import InputError

NR206 = data.CATALOGUE["nr206"]
HALF = np.zeros((6, 8), np.uint8)
HALF[:, 4:] = 1


def message(call, *arguments, **named) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_16_bit_images_are_scaled_not_clipped(tmp_path):
    wide = np.linspace(1000, 61000, 48).reshape(6, 8).astype(np.uint16)
    expected = np.round((wide.astype(float) - 1000) / 60000 * 255)
    Image.fromarray(wide).save(tmp_path / "1.png")
    tifffile.imwrite(tmp_path / "1.tif", wide)
    Image.fromarray(wide.astype(np.float32)).save(tmp_path / "float.tif")
    assert np.asarray(Image.open(tmp_path / "1.png").convert("L")).min() == 255, "what Pillow does by itself"
    for file in ("1.png", "1.tif", "float.tif"):
        image = data.read_image(tmp_path / file)
        assert image.shape == (6, 8, 3) and image.dtype == np.uint8
        assert np.abs(image[..., 0] - expected).max() <= 1 and (image[..., 0] == image[..., 2]).all()
    tifffile.imwrite(tmp_path / "colour.tif", np.stack([wide] * 3, -1), photometric="rgb")
    assert np.abs(data.read_image(tmp_path / "colour.tif")[..., 1] - expected).max() <= 1
    Image.fromarray(np.full((6, 8), 700, np.uint16)).save(tmp_path / "flat.png")
    assert (data.read_image(tmp_path / "flat.png") == 0).all()


def test_an_open_file_is_read_as_its_path_is(tmp_path):
    colors = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    Image.fromarray(colors).save(tmp_path / "1.png")
    tifffile.imwrite(tmp_path / "1.tif", colors, planarconfig="contig", photometric="rgb", bigtiff=True)
    for name in ("1.png", "1.tif"):
        file = io.BytesIO((tmp_path / name).read_bytes())
        file.name = name
        assert np.array_equal(data.read_image(file), colors)
    file = io.BytesIO(b"no picture")
    file.name = "mine.txt"
    assert message(data.read_image, file) == "cannot read mine.txt: this is not an image; fetch it again"


def test_16_bit_masks(tmp_path):
    for highest in (1, 255, 65535):
        Image.fromarray(HALF.astype(np.uint16) * np.uint16(highest)).save(tmp_path / "m.png")
        assert np.array_equal(data.read_mask(tmp_path / "m.png"), HALF), highest


def test_jpeg_masks_and_grey_edges(tmp_path):
    shape = np.zeros((64, 64), np.uint8)
    shape[11:43, 13:50] = 1
    Image.fromarray(shape * 255).save(tmp_path / "m.jpg", quality=90)
    assert len(np.unique(Image.open(tmp_path / "m.jpg"))) > 2
    assert np.array_equal(data.read_mask(tmp_path / "m.jpg"), shape)
    Image.fromarray(np.array([[0, 64, 127, 128, 200, 255]], np.uint8)).save(tmp_path / "g.png")
    assert data.read_mask(tmp_path / "g.png").tolist() == [[0, 0, 0, 1, 1, 1]]


@pytest.mark.parametrize("colour", [(255, 255, 255), (128, 0, 0), (0, 0, 200)])
def test_palette_masks_of_any_colour(tmp_path, colour):
    picture = Image.frombytes("P", (8, 6), HALF.tobytes())
    picture.putpalette([0, 0, 0, *colour])
    picture.save(tmp_path / "m.png")
    assert Image.open(tmp_path / "m.png").mode == "P"
    assert np.array_equal(data.read_mask(tmp_path / "m.png"), HALF)


def test_1_bit_transparent_and_palette_files(tmp_path):
    Image.fromarray(HALF * 255).convert("1").save(tmp_path / "bit.png")
    Image.fromarray(HALF * 255).convert("1").save(tmp_path / "bit.tif", compression="group4")
    alpha = np.dstack([np.full((6, 8, 3), 255, np.uint8), HALF * 255])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    for file in ("bit.png", "bit.tif", "alpha.png"):
        assert np.array_equal(data.read_mask(tmp_path / file), HALF), file
    colours = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    Image.fromarray(np.dstack([colours, HALF * 255])).save(tmp_path / "rgba.png")
    assert np.array_equal(data.read_image(tmp_path / "rgba.png"), colours)
    flat = Image.fromarray(colours).quantize(200)
    flat.save(tmp_path / "palette.png")
    assert np.array_equal(data.read_image(tmp_path / "palette.png"), np.asarray(flat.convert("RGB")))


def test_an_empty_mask_is_read_and_an_empty_file_is_not(tmp_path):
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / "none.png")
    assert data.read_mask(tmp_path / "none.png").sum() == 0
    (tmp_path / "nothing.png").touch()
    wanted = f"cannot read {tmp_path / 'nothing.png'}: the file is empty; fetch it again"
    assert message(data.read_mask, tmp_path / "nothing.png") == wanted


def test_tiff_variants(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    forms = {
        "lzw": {"compression": "tiff_lzw"}, "deflate": {"compression": "tiff_adobe_deflate"}, "raw": {},
    }  # fmt: skip
    for name, options in forms.items():
        Image.fromarray(colours).save(tmp_path / f"{name}.TIF", **options)
    tifffile.imwrite(tmp_path / "planes.TIF", colours.transpose(2, 0, 1), planarconfig="separate", photometric="rgb")
    tifffile.imwrite(tmp_path / "big.TIF", colours, photometric="rgb", bigtiff=True)
    tifffile.imwrite(tmp_path / "bytes.TIF", colours, photometric="rgb", byteorder=">")
    for name in (*forms, "planes", "big", "bytes"):
        assert np.array_equal(data.read_image(tmp_path / f"{name}.TIF"), colours), name


def test_colour_masks_become_class_indices(tmp_path):
    classes = np.arange(9, dtype=np.uint8).repeat(2).reshape(3, 6)
    coloured = np.dstack([np.array(NR206.colors, np.uint8)[classes], np.full((3, 6), 255, np.uint8)])
    Image.fromarray(coloured).save(tmp_path / "m.png")
    assert len(NR206.classes) == 8
    assert np.array_equal(data.read_mask(tmp_path / "m.png", 8, NR206.colors), classes)
    coloured[0, 0] = (1, 2, 3, 255)
    Image.fromarray(coloured).save(tmp_path / "m.png")
    assert message(data.read_mask, tmp_path / "m.png", 8, NR206.colors).startswith(
        f"{tmp_path / 'm.png'} holds the colour (1, 2, 3) in 1 pixels, which stands for no class; known: (0, 0, 0), "
    )


def test_grey_levels_of_goals_and_indices_of_prepared_masks(tmp_path):
    goals = data.CATALOGUE["goals"]
    Image.fromarray(np.array([[255, 0, 80, 160]], np.uint8)).save(tmp_path / "m.png")
    assert data.read_mask(tmp_path / "m.png", 3, goals.colors).tolist() == [[0, 1, 2, 3]]
    Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8)).save(tmp_path / "m.png")
    assert data.read_mask(tmp_path / "m.png", 3).tolist() == [[0, 1, 2, 3]]
    assert message(data.read_mask, tmp_path / "m.png", 2) == (
        f"{tmp_path / 'm.png'} holds the value 3, but the classes are 0 to 2"
    )


def test_several_masks_are_merged_and_each_must_fit(tmp_path):
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / "a (1).png")
    for name, mask in (("a (1)_mask.png", HALF), ("a (1)_mask_1.png", HALF[:, ::-1]), ("small.png", HALF[:3])):
        Image.fromarray(mask * 255).save(tmp_path / name)
    image, one, two, small = (tmp_path / n for n in ("a (1).png", "a (1)_mask.png", "a (1)_mask_1.png", "small.png"))
    assert np.array_equal(FilePair("a", image, (one,)).read()[1], HALF)
    assert FilePair("a", image, (one, two)).read()[1].all()
    assert message(FilePair("a", image, (one, small)).read) == f"{small} is 8×3 pixels, but its image {image} is 8×6"


def test_exif_orientation_turns_image_and_mask_alike(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "1.png", exif=exif)
    Image.fromarray(HALF).save(tmp_path / "stored.png")
    Image.fromarray(HALF).save(tmp_path / "tagged.png", exif=exif)
    Image.fromarray(np.rot90(HALF, -1).copy()).save(tmp_path / "turned.png")
    assert np.array_equal(data.read_image(tmp_path / "1.png"), np.rot90(pixels, -1))
    for mask in ("stored.png", "tagged.png", "turned.png"):
        image, read = FilePair("1", tmp_path / "1.png", (tmp_path / mask,)).read()
        assert np.array_equal(image, np.rot90(pixels, -1)) and np.array_equal(read, np.rot90(HALF, -1)), mask


VOXELS = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)  # x, y, z in RAS+
LABELS = (VOXELS > 1).astype(np.uint8) + (VOXELS > 1.5)
AFFINE = np.array([[2, 0, 0, -10], [0, 3, 0, 4], [0, 0, 4.0, 1], [0, 0, 0, 1]])


def store(path, voxels, codes="RAS", affine=AFFINE):
    """Write RAS+ voxels as a file whose axes run as ``codes`` say: the same place of every voxel, another order."""
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(codes))
    )
    image = nib.Nifti1Image(voxels, affine).as_reoriented(turn)
    assert "".join(nib.aff2axcodes(image.affine)) == codes
    nib.save(image, path)
    return path


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "PIR", "SLA"])
def test_volumes_of_any_orientation(tmp_path, codes):
    image = store(tmp_path / "v.nii.gz", VOXELS, codes)
    volume, spacing = data.read_volume(image)
    assert volume.dtype == np.float32 and spacing == (4.0, 3.0, 2.0)
    assert np.array_equal(volume, VOXELS.transpose(2, 1, 0))
    # Image and mask may be stored in two ways: they are aligned all the same.
    mask = store(tmp_path / "m.nii", LABELS, "LPS")
    read, labels = VolumePair("v", image, (mask,), "", 2).read()
    assert np.array_equal(labels, LABELS.transpose(2, 1, 0)) and labels.dtype == np.uint8
    assert np.array_equal(read, volume) and np.array_equal(data.read_volume_mask(mask, 2), labels)


def test_volumes_that_are_wrong(tmp_path):
    image = store(tmp_path / "v.nii.gz", VOXELS)
    moved = store(tmp_path / "moved.nii.gz", LABELS, affine=AFFINE + np.eye(4, k=3) * 5)
    assert message(VolumePair("v", image, (moved,), "", 2).read) == (
        f"{moved} does not lie on {image}: 5×6×7 voxels from (-5.0, 4.0, 1.0) mm against 5×6×7 voxels from "
        "(-10.0, 4.0, 1.0) mm; mask and image must cover the same voxels"
    )
    mask = store(tmp_path / "m.nii.gz", LABELS)
    assert message(data.read_volume_mask, mask, 1) == f"{mask} holds the value 2, but the classes are 0 to 1"
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 3), np.float32), np.eye(4)), tmp_path / "four.nii")
    assert message(data.read_volume, tmp_path / "four.nii") == (
        f"{tmp_path / 'four.nii'} has 4 dimensions (2, 2, 2, 3); a volume has three"
    )
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(image.read_bytes()[:300])
    assert message(data.read_volume, cut).startswith(f"cannot read {cut}: ")
    short = tmp_path / "short.nii.gz"
    short.write_bytes(gzip.compress(gzip.decompress(image.read_bytes())[:500]))
    assert message(data.read_volume, short).startswith(f"cannot read {short}: ")
    for content in (b"", b"<html>quota exceeded</html>"):
        cut.write_bytes(content)
        assert message(data.read_volume, cut).startswith(f"cannot read {cut}: ")
    assert message(data.read_volume, tmp_path / "no.nii").startswith(f"cannot read {tmp_path / 'no.nii'}: ")
