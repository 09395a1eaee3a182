"""What a stranger's mask, image or volume holds: the right value of each kind, or one line with the file and why."""

import matplotlib
import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from m2s import data
from m2s.data.disk.images import FilePair
from m2s.data.disk.nifti import VolumePair
from m2s.data.disk.pictures import TURNS
from m2s.errors import InputError

LESION = np.zeros((40, 60), np.uint8)
LESION[10:30, 20:45] = 1  # 500 pixels
PHOTO = np.random.default_rng(1).integers(0, 255, (40, 60, 3), np.uint8)


def save(path, values, **options):
    if path.suffix == ".tif" and values.dtype.kind == "f":
        tifffile.imwrite(path, values)
    else:
        Image.fromarray(values).save(path, **options)
    return path


def refusal(call, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "low", "high", "kind"),
    [
        ("m.png", 0, 38, np.uint8), ("m.png", 0, 100, np.uint8), ("m.png", 0, 2, np.uint8), ("m.png", 1, 2, np.uint8),
        ("m.png", 0, 1, np.uint8), ("m.png", 0, 255, np.uint8), ("m.png", 9, 12, np.uint8), ("m.bmp", 0, 3, "u1"),
        ("m.png", 0, 1000, np.uint16), ("m.png", 0, 2, np.uint16), ("m.png", 0, 65535, np.uint16),
        ("m.tif", 0.1, 1.0, np.float32), ("m.tif", 0, 0.3, np.float64), ("m.tif", 0, 1, np.float16),
        ("m.tif", 0, 255, np.float32), ("m.tif", -1, 1, np.int16), ("m.tif", 0, 7, np.int32), ("m.tif", 5, 7, "u2"),
    ],
)  # fmt: skip
def test_of_two_values_the_higher_is_foreground(tmp_path, name, low, high, kind):
    values = np.where(LESION, high, low).astype(kind)
    if name.endswith("tif"):
        tifffile.imwrite(tmp_path / name, values)
    else:
        save(tmp_path / name, values)
    assert np.array_equal(data.read_mask(tmp_path / name), LESION)


@pytest.mark.parametrize("color", [(64, 0, 0), (0, 0, 1), (255, 255, 0), (10, 200, 10)])
def test_of_two_colors_the_one_that_is_not_black_is_foreground(tmp_path, color):
    rgb = LESION[..., None] * np.array(color, np.uint8)
    palette = Image.fromarray(LESION, "L").convert("P")
    palette.putpalette([0, 0, 0, *color])
    palette.save(tmp_path / "palette.png")
    save(tmp_path / "rgb.png", rgb)
    save(tmp_path / "edge.png", np.asarray(Image.fromarray(rgb).resize((120, 80)).resize((60, 40))))
    for name in ("palette.png", "rgb.png") + (("edge.png",) if max(color) > 5 else ()):
        read = data.read_mask(tmp_path / name)
        assert np.count_nonzero(read != LESION) <= (0 if name != "edge.png" else 90), name


def test_jpeg_changes_no_mask(tmp_path):
    for high in (38, 100, 255):
        save(tmp_path / "m.jpg", LESION * np.uint8(high), quality=75)
        assert np.count_nonzero(data.read_mask(tmp_path / "m.jpg") != LESION) <= 12, high
    save(tmp_path / "m.jpg", LESION[..., None] * np.array((200, 0, 0), np.uint8), quality=90)
    assert np.count_nonzero(data.read_mask(tmp_path / "m.jpg") != LESION) <= 100


def test_a_noise_of_five_is_an_empty_mask(tmp_path):
    noise = np.random.default_rng(0).integers(0, 6, LESION.shape, np.uint8)
    assert not data.read_mask(save(tmp_path / "n.png", noise)).any()
    for quality in (60, 75, 90, 100):
        assert not data.read_mask(save(tmp_path / "n.jpg", noise, quality=quality)).any()
    assert not data.read_mask(save(tmp_path / "n.jpg", np.full_like(noise, 3))).any()
    assert data.read_mask(save(tmp_path / "n.png", 255 - noise)).all()


def test_one_value(tmp_path):
    for value in (1, 255):
        assert data.read_mask(save(tmp_path / "m.png", np.full((4, 4), value, np.uint8))).all()
    assert not data.read_mask(save(tmp_path / "m.png", np.zeros((4, 4), np.uint8))).any()
    path = save(tmp_path / "m.png", np.full((4, 4), 38, np.uint8))
    assert refusal(data.read_mask, path) == f"{path} holds the value 38 alone: a mask holds 0 and one other value"


def test_what_is_no_mask_of_one_class_is_refused(tmp_path):
    """Index and grey masks of several classes, a heat map, two colours without black, a photo."""
    bands = np.arange(60, dtype=np.uint8)[None].repeat(40, 0) // 12
    jet = (matplotlib.colormaps["jet"](LESION.astype(float))[..., :3] * 255).astype(np.uint8)
    soft = np.asarray(Image.fromarray(LESION * 255).resize((7, 5)).resize((60, 40), Image.Resampling.BICUBIC))
    red = np.where(LESION[..., None], np.uint8([255, 0, 0]), np.uint8(255))
    wrong = {
        "indices": bands[:, :48], "greys": bands * np.uint8(60), "heat": jet, "red on white": red,
        "smooth heat": (matplotlib.colormaps["jet"](soft / 255)[..., :3] * 255).astype(np.uint8),
        "faint map": np.arange(60, dtype=np.uint8)[None].repeat(40, 0), "photo": PHOTO,
        "thin lines": (np.arange(40, dtype=np.uint8)[:, None].repeat(60, 1) % 3),
    }  # fmt: skip
    for name, values in wrong.items():
        path = save(tmp_path / f"{name}.png", values)
        assert str(path) in refusal(data.read_mask, path), name
    assert refusal(data.read_mask, tmp_path / "indices.png") == (
        f"{tmp_path / 'indices.png'} holds 4 values (0, 1, 2, … up to 3) that stand for no single class: write 0 for "
        "background and 255 for foreground"
    )


@pytest.mark.parametrize("grey", [255, 128, 1, 0])
def test_grey_with_transparency_reads_as_color_with_transparency(tmp_path, grey):
    """The mask lies in the transparency, whatever the colour, also of what is not seen."""
    for background in (grey, 255, 0):
        values = np.where(LESION, grey, background).astype(np.uint8)
        save(tmp_path / "la.png", np.dstack([values, LESION * 255]))
        save(tmp_path / "rgba.png", np.dstack([values] * 3 + [LESION * 255]))
        for name in ("la.png", "rgba.png"):
            assert np.array_equal(data.read_mask(tmp_path / name), LESION), (name, background)


def test_transparency_that_says_nothing_is_dropped(tmp_path):
    for alpha in (0, 255):
        for channels in (1, 3):
            values = np.dstack([LESION * 255] * channels + [np.full_like(LESION, alpha)])
            assert np.array_equal(data.read_mask(save(tmp_path / "m.png", values)), LESION)
    assert Image.open(tmp_path / "m.png").mode == "RGBA"


@pytest.mark.parametrize("extension", ["png", "jpg", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_turns_image_and_mask_alike(tmp_path, orientation, extension):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = save(tmp_path / f"i.{extension}", PHOTO, exif=exif)
    tagged = save(tmp_path / f"m.{extension}", LESION * 255, exif=exif)
    with Image.open(image) as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened))
    turn = TURNS[orientation]
    if extension != "jpg":
        assert np.array_equal(turn(PHOTO), upright)
    assert np.array_equal(data.read_image(image), upright)
    read = FilePair("1", image, (tagged,)).read()
    assert np.array_equal(read[0], upright) and np.array_equal(read[1], turn(LESION))
    stored, turned = save(tmp_path / "s.png", LESION), save(tmp_path / "t.png", np.ascontiguousarray(turn(LESION)))
    for mask in (stored, turned):
        if 2 <= orientation <= 4:
            assert f"EXIF orientation {orientation}" in refusal(FilePair("1", image, (mask,)).read)
        else:
            read = FilePair("1", image, (mask,)).read()
            assert np.array_equal(read[0], upright) and np.array_equal(read[1], turn(LESION))


def test_a_turned_square_picture_with_an_upright_mask_is_refused(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image, mask = save(tmp_path / "i.jpg", PHOTO[:40, :40], exif=exif), save(tmp_path / "m.png", LESION[:40, :40])
    assert refusal(FilePair("1", image, (mask,)).read) == (
        f"{image} has a tag that turns the picture (EXIF orientation 6) and {mask} has none, so nobody can tell "
        "whether they lie on each other: save both upright, without the tag"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_values_that_are_no_numbers_are_counted(tmp_path, value, kind):
    values = LESION.astype(kind)
    values[0, :3] = value
    path = tmp_path / "v.tif"
    tifffile.imwrite(path, values)
    wanted = f"{path} holds 3 values that are no numbers (NaN or infinity): write numbers there"
    assert refusal(data.read_image, path) == refusal(data.read_mask, path) == wanted
    volume = tmp_path / "v.nii.gz"
    nib.save(nib.Nifti1Image(np.stack([values] * 2, -1).astype(np.float32), np.eye(4)), volume)
    wanted = f"{volume} holds 6 values that are no numbers (NaN or infinity): write numbers there"
    assert refusal(data.read_volume, volume) == refusal(data.read_volume_mask, volume, 1) == wanted
    assert refusal(VolumePair("v", volume, (volume,)).read) == wanted


def test_several_pages_are_refused_and_thumbnails_are_none(tmp_path):
    for kind in (np.uint8, np.uint16, np.float32):
        tifffile.imwrite(tmp_path / "p.tif", np.stack([LESION, LESION]).astype(kind), photometric="minisblack")
        wanted = f"cannot read {tmp_path / 'p.tif'}: it holds 2 pages, not one picture; save each as its own file"
        assert refusal(data.read_mask, tmp_path / "p.tif") == refusal(data.read_image, tmp_path / "p.tif") == wanted
    frames = [Image.fromarray(LESION * 255), Image.fromarray(255 - LESION * 255)]
    frames[0].save(tmp_path / "film.png", save_all=True, append_images=frames[1:])
    assert "2 pages" in refusal(data.read_image, tmp_path / "film.png")
    with tifffile.TiffWriter(tmp_path / "t.tif") as tiff:
        tiff.write(LESION * 255)
        tiff.write(LESION[::4, ::4] * 255, subfiletype=1)
    assert np.array_equal(data.read_mask(tmp_path / "t.tif"), LESION)


def test_the_advice_fits_the_cause(tmp_path, monkeypatch):
    """ "Fetch it again" only for a damaged file: not for a folder, a missing file, or one that is too large."""
    (tmp_path / "folder.png").mkdir()
    assert refusal(data.read_image, tmp_path / "folder.png").endswith("Is a directory")
    assert refusal(data.read_image, tmp_path / "no.png").endswith("No such file or directory")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert refusal(data.read_image, save(tmp_path / "large.png", PHOTO)).endswith("make it smaller")
    monkeypatch.undo()
    (tmp_path / "cut.png").write_bytes((tmp_path / "large.png").read_bytes()[:3000])
    assert refusal(data.read_image, tmp_path / "cut.png").endswith("fetch it again")


def test_labels_within_a_hundredth_of_a_whole_number(tmp_path):
    """What a header's scaling leaves of 1 and 2."""
    labels = np.stack([LESION, 2 * LESION], -1).astype(np.float32)
    path = tmp_path / "l.nii.gz"
    for scale in (0.996, 1.00002):
        nib.save(nib.Nifti1Image(labels * np.float32(scale), np.eye(4)), path)
        assert np.array_equal(data.read_volume_mask(path, 2), labels.transpose(2, 1, 0))
    tifffile.imwrite(tmp_path / "l.tif", labels[..., 1] * np.float32(0.996))
    assert np.array_equal(data.read_mask(tmp_path / "l.tif", 2), 2 * LESION)
    nib.save(nib.Nifti1Image(labels * np.float32(1.1), np.eye(4)), path)
    assert refusal(data.read_volume_mask, path, 2) == (f"{path} holds the value 1.1, but the classes are 0 to 2")


def test_volumes_that_are_no_volumes_of_numbers(tmp_path):
    path = tmp_path / "v.nii"
    colors = np.zeros((4, 5, 6), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    for values in (colors, np.zeros((4, 5, 6), np.complex64)):
        nib.save(nib.Nifti1Image(values, np.eye(4)), path)
        assert "(colours or complex numbers), not numbers" in refusal(data.read_volume, path)
    for shape in ((4, 5), (4, 5, 6, 2), (4, 5, 6, 1, 1)):
        nib.save(nib.Nifti1Image(np.zeros(shape, np.float32), np.eye(4)), path)
        assert refusal(data.read_volume, path) == f"{path} has {len(shape)} dimensions {shape}; a volume has three"
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.float32), np.eye(4))
    image.header["srow_x"][0] = np.nan
    (tmp_path / "nan.nii").write_bytes(image.header.binaryblock + bytes(4) + bytes(480))
    assert str(tmp_path / "nan.nii") in refusal(data.read_volume, tmp_path / "nan.nii")


def test_a_photo_with_a_preview_is_one_picture_and_a_program_is_none(tmp_path):
    """Telephones write MPO files; PostScript would be run by another program."""
    photo = Image.fromarray(PHOTO)
    photo.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[photo.resize((6, 4))])
    with Image.open(tmp_path / "phone.jpg") as opened:
        assert opened.format == "MPO" and opened.n_frames == 2
    assert data.read_image(tmp_path / "phone.jpg").shape == PHOTO.shape
    photo.save(tmp_path / "program.eps")
    renamed = (tmp_path / "program.eps").rename(tmp_path / "program.png")
    assert refusal(data.read_image, renamed).endswith("this is not an image; fetch it again")
