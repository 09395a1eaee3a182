"""The sets that are no polyp images, as distributed and as prepared."""

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from m2s import data
from m2s.errors import InputError, NotFound

IMAGE, MASK = np.full((6, 8, 3), 90, np.uint8), np.zeros((6, 8), np.uint8)
MASK[2:4] = 255


def put(path, array=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if array is None:
        path.write_bytes(b"debris")
    elif path.name.endswith(".nii.gz"):
        nib.save(nib.Nifti1Image(array, np.eye(4)), path)
    else:
        Image.fromarray(array).save(path)


def error(*arguments, **named) -> str:
    with pytest.raises(InputError) as caught:
        data.load_images(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_busi(tmp_path):
    for kind in ("benign", "malignant", "normal"):
        folder = tmp_path / "archive" / "Dataset_BUSI_with_GT" / kind
        put(folder / f"{kind} (1).png", IMAGE)
        put(folder / f"{kind} (1)_mask.png", MASK)
        for debris in (f"._{kind} (1).png", ".DS_Store", "Thumbs.db", f"__MACOSX/._{kind} (1).png"):
            put(folder / debris)
    put(folder.parent / "benign" / "benign (1)_mask_1.png", MASK[::-1])
    found = data.load_images("busi", "all", root=tmp_path / "archive")
    assert found.names == ("benign (1)", "malignant (1)", "normal (1)")
    assert [(i.group, len(i.masks)) for i in found.items] == [("benign", 2), ("malignant", 1), ("normal", 1)]
    assert found[0].mask.sum() == 16
    assert "of the 585 images of BUSI's fold1-train split are missing" in error(
        "busi", "fold1-train", root=tmp_path / "archive"
    )
    (folder / "normal (1)_mask.png").unlink()
    assert (
        error("busi", "all", root=tmp_path / "archive") == f"1 images in {folder} have no mask in {folder}: normal (1)"
    )


CASES = {
    "covidsemiseg": (
        "COVID-SemiSeg/Dataset/TrainingSet/LungInfection-Train/Doctor-label/{}/1.{}",
        "Imgs",
        "GT",
        "1",
        "",
    ),
    "lung": ("lung/train/{}/1.{}", "images", "masks", "1", ""),
    "bus": ("BUS/{}/000001.{}", "original", "GT", "000001", ""),
    "tnscui": ("TNSCUI/{}/7.{}", "image", "mask", "7", ""),
    "ph2": (
        "PH2Dataset/PH2 Dataset images/IMD002/IMD002_{}.{}",
        "Dermoscopic_Image/IMD002",
        "lesion/IMD002_lesion",
        "IMD002",
        "",
    ),
    "cvc612t": ("CVC-612-T/{}/clip2/001.{}", "Frame", "GT", "clip2-001", "clip2"),
    "tucc": ("TUCC/{}/9/001.{}", "images", "masks", "9-001", "9"),
}


@pytest.mark.parametrize("name", CASES)
def test_layouts_as_distributed(tmp_path, name):
    path, images, masks, stem, group = CASES[name]
    put(tmp_path / path.format(images, "BMP"), IMAGE)
    put(tmp_path / path.format(masks, "png"), MASK)
    found = data.load_images(name, "all", root=tmp_path)
    assert found.names == (stem,) and found.items[0].group == group
    assert np.array_equal(found[0].mask, MASK > 0)
    if data.CATALOGUE[name].rule == "folders":
        assert data.load_images(name, "train", root=tmp_path).names == (stem,)
        assert "nothing for" in error(name, "test", root=tmp_path)


@pytest.mark.parametrize("folder", ["", "ISIC2018/"])
def test_isic_also_without_a_folder_of_its_own(tmp_path, folder):
    put(tmp_path / f"{folder}ISIC2018_Task1-2_Training_Input/ISIC_0000001.jpg", IMAGE)
    put(tmp_path / f"{folder}ISIC2018_Task1_Training_GroundTruth/ISIC_0000001_segmentation.png", MASK)
    assert data.load_images("isic2018", "all", root=tmp_path).names == ("ISIC_0000001",)


def test_goals_and_images_with_secret_masks(tmp_path):
    put(tmp_path / "GOALS2022-Train/Train/Image/0001.png", IMAGE)
    put(
        tmp_path / "GOALS2022-Train/Train/Layer_Masks/0001.png",
        np.repeat([[255, 0, 80, 160]], 6, 0).astype(np.uint8).repeat(2, 1),
    )
    put(tmp_path / "GOALS2022-Train/Validation/Image/0101.png", IMAGE)
    found = data.load_images("goals", "train", root=tmp_path)
    assert found.names == ("0001",) and np.unique(found[0].mask).tolist() == [0, 1, 2, 3]


VOLUME = np.zeros((3, 4, 5), np.int16)


@pytest.mark.parametrize(
    ("name", "image", "label", "stem"),
    [
        ("hippocampus", "Task04_Hippocampus/imagesTr/h_1.nii.gz", "Task04_Hippocampus/labelsTr/h_1.nii.gz", "h_1"),
        (
            "btcv",
            "Abdomen/RawData/Training/img/img0001.nii.gz",
            "Abdomen/RawData/Training/label/label0001.nii.gz",
            "0001",
        ),
        (
            "kits23",
            "KiTS23/dataset/case_00000/imaging.nii.gz",
            "KiTS23/dataset/case_00000/segmentation.nii.gz",
            "case_00000",
        ),
    ],
)
def test_volumes(tmp_path, name, image, label, stem):
    put(tmp_path / image, VOLUME)
    put(tmp_path / label, (VOLUME + 1).astype(np.uint8))
    put((tmp_path / image).parent / f"._{(tmp_path / image).name}")
    found = data.load_images(name, "all", root=tmp_path)
    assert found.names == (stem,) and found[0].image.shape == found[0].mask.shape == (5, 4, 3)
    assert found[0].image.dtype == np.float32 and found[0].mask.dtype == np.uint8
    with pytest.raises(InputError, match="holds volumes; a TensorSet takes images"):
        data.TensorSet(found, 32)


def test_prepared_sets_are_found_first(tmp_path):
    put(tmp_path / "Task04_Hippocampus" / "wrong.txt")
    put(tmp_path / "nr206/images/a.png", IMAGE)
    put(tmp_path / "nr206/masks/a.png", MASK // 255 * 8)
    manifest = tmp_path / "nr206/manifest.csv"
    manifest.write_text("name,file,mask,split,group\na (1),images/a.png,masks/a.png,train;x,p1\n")
    found = data.load_images("nr206", "train", root=tmp_path)
    assert found.names == ("a (1)",) and found.items[0].group == "p1" and found[0].mask.max() == 8
    assert error("nr206", "val", root=tmp_path) == f"{manifest} has no images of the split 'val'; it has train, x, all"
    (tmp_path / "nr206/masks/a.png").unlink()
    assert error("nr206", "all", root=tmp_path) == (
        f"{tmp_path / 'nr206/masks/a.png'} is in manifest.csv but not there; prepare the set again"
    )
    manifest.write_text("<html>")
    assert "is no manifest" in error("nr206", "all", root=tmp_path)


def test_absent_and_wrong(tmp_path):
    with pytest.raises(NotFound, match=r"no BUSI in .*expected Dataset_BUSI_with_GT"):
        data.load_images("busi", "all", root=tmp_path)
    put(tmp_path / "Task04_Hippocampus/readme.txt")
    folder = tmp_path / "Task04_Hippocampus"
    assert error("hippocampus", "all", root=tmp_path).startswith(f"{folder} has the wrong layout: expected ")
    for part in ("train", "test"):
        put(tmp_path / f"lung/{part}/images/1.png", IMAGE)
        put(tmp_path / f"lung/{part}/masks/1.png", MASK)
    assert error("lung", "all", root=tmp_path).startswith("1 names are in two splits of ")


@pytest.mark.parametrize("images, masks, content", [("images", "masks", "png"), ("imagesTr", "labelsTr", "nii.gz")])
def test_a_foreign_folder_passes_for_no_known_set(tmp_path, images, masks, content):
    """Whatever its folders hold is somebody's own, unless a name says otherwise: of the folder, or of each file."""
    for index in range(10):
        put(tmp_path / "holiday" / images / f"{index}.{content}", IMAGE if content == "png" else VOLUME)
        put(tmp_path / "holiday" / masks / f"{index}.{content}", MASK if content == "png" else VOLUME.astype(np.uint8))
    for name, entry in data.CATALOGUE.items():
        for split in entry.splits:
            with pytest.raises(InputError):
                data.load_images(name, split, root=tmp_path / "holiday")
    if content == "png":
        assert "m2s train --images DIR --masks DIR" in error("lung", "all", root=tmp_path / "holiday")
