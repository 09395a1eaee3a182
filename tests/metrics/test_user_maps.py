"""What a stranger's prediction maps hold, against their masks: the right score of each kind, or one line."""

import unicodedata

import matplotlib
import numpy as np
import pytest
import tifffile
from PIL import Image

from m2s.cli.main import main
from m2s.errors import InputError
from m2s.metrics.conventions import summary
from m2s.metrics.folders import evaluate_folders

LESION = np.zeros((40, 60), np.uint8)
LESION[10:30, 20:45] = 1


@pytest.fixture
def folders(tmp_path):
    for name in ("maps", "masks"):
        (tmp_path / name).mkdir()
    Image.fromarray(LESION * 255).save(tmp_path / "masks" / "a.png")
    return tmp_path / "maps", tmp_path / "masks"


def refusal(folders, **named) -> str:
    with pytest.raises(InputError) as caught:
        evaluate_folders(*folders, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_from_0_to_1_are_probabilities(folders, kind):
    faint = np.where(LESION, 0.45, 0.05).astype(kind)
    tifffile.imwrite(folders[0] / "a.tif", faint)
    assert summary(evaluate_folders(*folders, "lgmsnet"))["Dice"] == 0
    assert summary(evaluate_folders(*folders, "released"))["MAE"] == pytest.approx(0)
    tifffile.imwrite(folders[0] / "a.tif", np.where(LESION, 0.55, 0.05).astype(kind))
    assert summary(evaluate_folders(*folders, "lgmsnet"))["Dice"] == 1
    tifffile.imwrite(folders[0] / "a.tif", (LESION * 255).astype(kind))
    assert refusal(folders) == f"{folders[0] / 'a.tif'} holds 0 to 255: probabilities are between 0 and 1"
    tifffile.imwrite(folders[0] / "a.tif", np.where(LESION, np.nan, 0.05).astype(kind))
    assert "holds 500 values that are no numbers" in refusal(folders)


def test_a_map_in_color_is_refused_and_three_equal_channels_are_grey(folders):
    jet = (matplotlib.colormaps["jet"](LESION * 0.9)[..., :3] * 255).astype(np.uint8)
    Image.fromarray(jet).save(folders[0] / "a.png")
    assert "is coloured" in refusal(folders)
    for channels in ([LESION * 255] * 3, [LESION * 255, np.full_like(LESION, 255)]):
        Image.fromarray(np.dstack(channels)).save(folders[0] / "a.png")
        assert summary(evaluate_folders(*folders, "lgmsnet"))["Dice"] == 1


def test_a_map_with_width_and_height_exchanged_is_refused_and_another_size_is_resized(folders):
    Image.fromarray(LESION.T * 255).save(folders[0] / "a.png")
    assert refusal(folders) == (f"{folders[0] / 'a.png'} is 40×60 pixels, but its mask {folders[1] / 'a.png'} is 60×40")
    Image.fromarray(LESION * 255).resize((30, 30)).save(folders[0] / "a.png")
    assert summary(evaluate_folders(*folders, "lgmsnet"))["Dice"] > 0.9


def test_a_turned_mask_and_a_map_for_the_upright_or_the_stored_picture(folders):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(LESION * 255).save(folders[1] / "a.png", exif=exif)
    for upright in (np.rot90(LESION, -1), LESION):
        Image.fromarray(np.ascontiguousarray(upright) * 255).save(folders[0] / "a.png")
        assert summary(evaluate_folders(*folders, "lgmsnet"))["Dice"] == 1
    exif[0x0112] = 3
    Image.fromarray(LESION * 255).save(folders[1] / "a.png", exif=exif)
    assert "EXIF orientation 3" in refusal(folders)


@pytest.mark.parametrize("levels", [(0, 38), (0, 100), (0, 2), (0, 1), (0, 255)])
def test_masks_of_any_two_levels_score_perfect_maps_as_perfect(folders, levels):
    Image.fromarray(np.where(LESION, *map(np.uint8, levels[::-1]))).save(folders[1] / "a.png")
    Image.fromarray(LESION * 255).save(folders[0] / "a.png")
    assert summary(evaluate_folders(*folders))["mDice"] == pytest.approx(1)


def test_an_index_mask_is_refused(folders):
    Image.fromarray(LESION + 2 * np.eye(40, 60, 5, dtype=np.uint8)).save(folders[1] / "a.png")
    Image.fromarray(LESION * 255).save(folders[0] / "a.png")
    indices = np.arange(60, dtype=np.uint8)[None].repeat(40, 0) // 15
    Image.fromarray(indices).save(folders[1] / "a.png")
    assert "stand for no single class" in refusal(folders)


def test_composed_and_decomposed_names_pair(folders):
    (folders[1] / "a.png").unlink()
    for folder, form in zip(folders, ("NFC", "NFD"), strict=True):
        Image.fromarray(LESION * 255).save(folder / (unicodedata.normalize(form, "é ü %s {x} #1 'q'; $(a)") + ".png"))
    assert len({path.name for folder in folders for path in folder.iterdir()}) == 2
    assert len(evaluate_folders(*folders)) == 1


def test_stretched_maps_are_told_with_their_number(folders, capsys):
    Image.fromarray(np.where(LESION, np.uint8(115), np.uint8(0))).save(folders[0] / "a.png")
    for name in "bc":
        Image.fromarray(LESION * 255).save(folders[1] / f"{name}.png")
    Image.fromarray(LESION * 255).save(folders[0] / "b.png")
    Image.fromarray(LESION * 0).save(folders[0] / "c.png")  # nothing is stretched there
    for convention, told in (("released", True), ("pranet", True), ("lgmsnet", False), ("monai", False)):
        assert main(["evaluate", "--pred", str(folders[0]), "--gt", str(folders[1]), "--convention", convention]) == 0
        assert ("1 of 3 maps are above 0.5 nowhere; they were stretched" in capsys.readouterr().out) == told


def test_a_map_that_lies_in_the_transparency_is_refused(folders):
    """Its colour is white everywhere; transparency that says nothing is dropped."""
    Image.fromarray(np.dstack([np.full_like(LESION, 255), LESION * 255])).save(folders[0] / "a.png")
    assert refusal(folders) == (
        f"{folders[0] / 'a.png'} is transparent in part: write a prediction map in grey, 255 for probability 1"
    )
    Image.fromarray(np.dstack([LESION * 255, np.zeros_like(LESION)])).save(folders[0] / "a.png")
    assert summary(evaluate_folders(*folders, "lgmsnet"))["Dice"] == 1


@pytest.mark.parametrize("kind", ["uint16", "int8", "int32"])
def test_whole_numbers_of_other_kinds_are_refused(folders, kind):
    tifffile.imwrite(folders[0] / "a.tif", LESION.astype(kind))
    assert refusal(folders) == (
        f"{folders[0] / 'a.tif'} holds {kind} values: write predictions as 8-bit grey, 255 for probability 1"
    )
