"""Data sets in the layouts people keep them in, and one clear line for each thing that can be wrong with them."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, UnidentifiedImageError

from m2s import data
from m2s.data.sets import find_source
from m2s.errors import InputError


def encoded(array: np.ndarray, form: str) -> bytes:
    store = io.BytesIO()
    if form == "TIFF":
        tifffile.imwrite(store, array)
    else:
        Image.fromarray(array).save(store, form)
    return store.getvalue()


IMAGE = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(6, 8, 3)
MASK = np.zeros((6, 8), np.uint8)
MASK[1:3, 2:7] = 255


def fill(folder: Path, names, array: np.ndarray, extension: str = "png", prefix: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    form = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "tif": "TIFF", "tiff": "TIFF", "bmp": "BMP"}[extension.lower()]
    content = encoded(array, form)
    for name in names:
        (folder / f"{prefix}{name}.{extension}").write_bytes(content)


def make(root: Path, images: str, masks: str, names, extension: str = "png", mask_extension="png", prefix="") -> Path:
    fill(root / images, names, IMAGE, extension)
    fill(root / masks, names, MASK, mask_extension, prefix)
    return root


POLYPS = {name: data.CATALOGUE[name] for name in find_source("pranet").provides}
NAMES = {name: entry.names for name, entry in POLYPS.items()}

ORIGINALS = [
    ("kvasir", "Kvasir-SEG/images", "Kvasir-SEG/masks", "jpg", "jpg", ""),
    ("kvasir", "kvasir_seg/Kvasir-SEG/images", "kvasir_seg/Kvasir-SEG/masks", "jpeg", "PNG", ""),
    ("clinicdb", "CVC-ClinicDB/Original", "CVC-ClinicDB/Ground Truth", "tif", "tif", ""),
    ("clinicdb", "CVC-ClinicDB/PNG/Original", "CVC-ClinicDB/PNG/Ground Truth", "png", "png", ""),
    ("colondb", "CVC-ColonDB/images", "CVC-ColonDB/masks", "PNG", "JPG", ""),
    ("cvc300", "CVC-300/bbdd", "CVC-300/gtpolyp", "bmp", "bmp", ""),
    ("etis", "ETIS-LaribPolypDB/ETIS-LaribPolypDB", "ETIS-LaribPolypDB/Ground Truth", "tif", "tif", "p"),
    ("etis", "ETIS-LaribPolypDB/images", "ETIS-LaribPolypDB/masks", "png", "png", ""),
]


@pytest.mark.parametrize("case", ORIGINALS, ids=lambda c: f"{c[0]}-{c[1]}-{c[3]}")
def test_sets_as_distributed(tmp_path, case):
    name, images, masks, extension, mask_extension, prefix = case
    make(tmp_path, images, masks, NAMES[name]["all"], extension, mask_extension, prefix)
    for split, count in data.CATALOGUE[name].counts.items():
        found = data.load_images(name, split, root=tmp_path)
        assert len(found) == count and found.names == NAMES[name][split] and not found.made_up
    sample = data.load_images(name, "all", root=tmp_path)[0]
    assert sample.image.shape == (6, 8, 3) and sample.image.dtype == np.uint8
    assert sample.mask.shape == (6, 8) and sample.mask.dtype == np.uint8
    if "jp" not in mask_extension.lower():
        assert np.array_equal(sample.mask, MASK > 0)


@pytest.mark.parametrize("folders", [("image", "masks"), ("images", "mask")])
def test_pranets_layout_with_two_sets_in_one_folder(tmp_path, folders):
    image, mask = folders
    mixed = NAMES["kvasir"]["train"] + NAMES["clinicdb"]["train"]
    make(tmp_path / "TrainDataset", image, mask, mixed)
    for name, entry in POLYPS.items():
        title = "Kvasir" if name == "kvasir" else entry.title
        make(tmp_path / "TestDataset" / title, image, mask, NAMES[name]["test"])
    for name, entry in POLYPS.items():
        for split in entry.counts:
            assert data.load_images(name, split, root=tmp_path).names == NAMES[name][split]
    assert len(data.load_images("kvasir", "all", root=tmp_path)) == 1000
    assert "TrainDataset" in data.load_images("kvasir", "train", root=tmp_path).source


def test_cvc300_is_found_inside_colondb_and_says_so(tmp_path):
    make(tmp_path, "CVC-ColonDB/images", "CVC-ColonDB/masks", NAMES["colondb"]["test"])
    found = data.load_images("cvc300", "test", root=tmp_path)
    assert found.names == tuple(str(i) for i in range(149, 209))
    assert found.source == "CVC-300 as part of CVC-ColonDB in CVC-ColonDB"


def test_videos_are_frames_of_the_stills_split_by_clips(tmp_path):
    make(tmp_path, "CVC-ClinicDB/Original", "CVC-ClinicDB/Ground Truth", [str(i) for i in range(1, 613)])
    assert "no CVC-300-TV in" in error("cvc300tv", "train", root=tmp_path), "its frames are ColonDB's"
    make(tmp_path, "CVC-ColonDB/images", "CVC-ColonDB/masks", NAMES["colondb"]["test"])
    counts = {("cvc300tv", "train"): 180, ("cvc300tv", "test"): 120, ("cvc612v", "train"): 367}
    counts |= {("cvc612v", "test"): 123, ("cvc612t", "test"): 122, ("endoscene", "all"): 912}
    found = {key: data.load_images(*key, root=tmp_path) for key in counts}
    assert {key: len(images) for key, images in found.items()} == counts
    frames = {key: [item.image for item in images.items] for key, images in found.items()}
    files = [file for key, of_set in frames.items() if key[0] != "endoscene" for file in of_set]
    assert len(files) == len(set(files)) == 912 and set(files) == set(frames["endoscene", "all"])
    by_clip = {key: {item.group for item in images.items} for key, images in found.items()}
    assert len(by_clip["cvc300tv", "train"]) == 7 and by_clip["cvc300tv", "test"] == {"3", "5", "6", "7", "8", "12"}
    parts = [by_clip[key] for key in (("cvc612v", "train"), ("cvc612v", "test"), ("cvc612t", "test"))]
    assert [len(part) for part in parts] == [18, 6, 5] and len(set.union(*parts)) == 29, "no clip is in two parts"
    seventh = found["cvc300tv", "test"]
    assert [item.image.stem for item in seventh.items if item.group == "7"] == ["204", "205", "206", "207", "208"]
    assert seventh.source == "CVC-300-TV as part of CVC-ColonDB in CVC-ColonDB" and "7-204" in seventh.names
    message = error("cvc612t", "train", root=tmp_path)
    assert "no images of the split 'train'; it has test, all" in message
    (tmp_path / "CVC-ClinicDB/Original/612.png").unlink()
    (tmp_path / "CVC-ClinicDB/Ground Truth/612.png").unlink()
    assert "1 of the 367 images of CVC-612-V's train split are missing (28-612)" in error(
        "cvc612v", "train", root=tmp_path
    )


def test_clips_named_as_in_the_lists_are_split_by_them_and_others_by_the_rule(tmp_path):
    for clip, frame in (("7", "204"), ("7", "205"), ("8", "209")):
        make(tmp_path, f"CVC-300-TV/Frame/{clip}", f"CVC-300-TV/GT/{clip}", [frame])
    assert data.load_images("cvc300tv", "all", root=tmp_path).names == ("7-204", "7-205", "8-209")
    assert "117 of the 120 images" in error("cvc300tv", "test", root=tmp_path)
    for number in range(5):
        make(tmp_path, f"CVC-612-V/Frame/video{number}", f"CVC-612-V/GT/video{number}", ["1", "2"])
    assert [len(data.load_images("cvc612v", s, root=tmp_path)) for s in ("train", "val", "test")] == [6, 2, 2]


def test_root_may_be_the_folder_of_the_set_itself(tmp_path):
    make(tmp_path / "ClinicDB", "Original", "Ground Truth", ["1", "300"], "tif", "tif")
    assert data.load_images("clinicdb", "all", root=tmp_path / "ClinicDB").names == ("1", "300")


def test_masks_are_cut_at_127_and_masks_of_0_and_1_are_taken_as_they_are(tmp_path):
    grey = np.array([[0, 5, 127, 128, 250, 255]], np.uint8)
    (tmp_path / "grey.png").write_bytes(encoded(grey, "PNG"))
    (tmp_path / "index.png").write_bytes(encoded((grey > 100).astype(np.uint8), "PNG"))
    assert data.read_mask(tmp_path / "grey.png").tolist() == [[0, 0, 0, 1, 1, 1]]
    assert data.read_mask(tmp_path / "index.png").tolist() == [[0, 0, 1, 1, 1, 1]]


def test_tiff_that_pillow_cannot_open(tmp_path):
    path = tmp_path / "1.TIF"
    tifffile.imwrite(path, IMAGE, planarconfig="separate", photometric="rgb", compression=None, bigtiff=True)
    with pytest.raises(UnidentifiedImageError):
        Image.open(path)
    assert np.array_equal(data.read_image(path), IMAGE)


def test_limit_is_a_seeded_part(tmp_path):
    make(tmp_path, "CVC-ClinicDB/Original", "CVC-ClinicDB/Ground Truth", NAMES["clinicdb"]["all"])

    def names(limit, seed):
        return set(data.load_images("clinicdb", "test", root=tmp_path, limit=limit, seed=seed).names)

    assert names(5, 0) < names(9, 0) < set(NAMES["clinicdb"]["test"])
    assert len(names(9, 0)) == 9 and names(9, 0) != names(9, 1)
    assert len(names(1000, 0)) == 62


def test_joined_sets_and_fingerprints(tmp_path):
    make(tmp_path, "CVC-ClinicDB/Original", "CVC-ClinicDB/Ground Truth", NAMES["clinicdb"]["all"])
    make(tmp_path, "ETIS/images", "ETIS/masks", NAMES["etis"]["all"])
    a, b = data.load_images("clinicdb", "test", root=tmp_path), data.load_images("etis", "test", root=tmp_path)
    both = a + b
    assert len(both) == 62 + 196 and both[62].name == "1" and both.name == "clinicdb+etis" and both.split == "test"
    assert len({a.fingerprint, b.fingerprint, both.fingerprint, (b + a).fingerprint}) == 4
    assert data.load_images("etis", "test", root=tmp_path).fingerprint == b.fingerprint
    (tmp_path / "ETIS/images/7.png").write_bytes(encoded(IMAGE, "PNG") + b" ")
    assert data.load_images("etis", "test", root=tmp_path).fingerprint != b.fingerprint
    with pytest.raises(InputError, match="cannot join made-up with real"):
        a + data.load_images("etis", "test", limit=2)


def error(*names, **arguments) -> str:
    with pytest.raises(InputError) as caught:
        found = data.load_images(*names, **arguments)
        for i in range(len(found)):
            found[i]
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_unknown_names():
    assert error(name="kvasirr") == "unknown data set 'kvasirr': did you mean kvasir?"
    assert error(name="colondb", split="train").startswith("unknown split of CVC-ColonDB 'train'")
    assert error(name="kvasir", limit=0) == "limit must be at least 1, not 0"


def test_missing_and_wrong_folders(tmp_path):
    where = tmp_path / "nowhere"
    wanted = f"no such folder: {where}; give the folder that holds the data sets, or 'sample' or 'phantom'"
    assert error(name="kvasir", root=where) == wanted
    (tmp_path / "photos").mkdir()
    message = error(name="kvasir", root=tmp_path)
    assert message.startswith(f"no Kvasir-SEG in {tmp_path}: expected Kvasir-SEG/{{images,masks}}, or PraNet's")
    assert message.endswith("found photos")
    (tmp_path / "Kvasir-SEG" / "pictures").mkdir(parents=True)
    assert error(name="kvasir", root=tmp_path) == (
        f"{tmp_path / 'Kvasir-SEG'} has the wrong layout: expected Kvasir-SEG/{{images,masks}}, found pictures"
    )
    (tmp_path / "TestDataset" / "ETIS-LaribPolypDB" / "imgs").mkdir(parents=True)
    assert error(name="etis", split="test", root=tmp_path).endswith(
        "expected ETIS-LaribPolypDB/{images,masks}, found imgs"
    )
    (tmp_path / "CVC-ClinicDB/Original").mkdir(parents=True)
    (tmp_path / "CVC-ClinicDB/Ground Truth").mkdir()
    assert error(name="clinicdb", root=tmp_path).startswith(f"no images in {tmp_path / 'CVC-ClinicDB/Original'}")


def test_images_without_masks_and_the_other_way_round(tmp_path):
    root = make(tmp_path, "CVC-ClinicDB/Original", "CVC-ClinicDB/Ground Truth", NAMES["clinicdb"]["all"])
    images, masks = root / "CVC-ClinicDB/Original", root / "CVC-ClinicDB/Ground Truth"
    for name in ("5", "6", "7", "8"):
        (masks / f"{name}.png").rename(masks / f"{name}.txt")
    assert error(name="clinicdb", root=root) == f"4 images in {images} have no mask in {masks}: 5, 6, 7, …"
    for name in ("5", "6", "7", "8"):
        (masks / f"{name}.txt").rename(masks / f"{name}.png")
    (images / "9.png").unlink()
    assert error(name="clinicdb", root=root) == f"1 masks in {masks} have no image in {images}: 9"
    (masks / "9.png").unlink()
    assert error(name="clinicdb", split="train", root=root) == (
        "CVC-ClinicDB: 1 of the 550 images of CVC-ClinicDB's train split are missing (9); fetch the whole set, or take "
        "what is there with split 'all'"
    )
    assert len(data.load_images("clinicdb", "all", root=root)) == 611
    fill(images, ["1"], IMAGE, "bmp")
    assert error(name="clinicdb", root=root) == f"two files for the name '1' in {images}: 1.bmp and 1.png"


def test_names_of_another_set(tmp_path):
    make(tmp_path, "Kvasir-SEG/images", "Kvasir-SEG/masks", ["cat", "dog"])
    message = error(name="kvasir", split="all", root=tmp_path)
    assert message == "Kvasir-SEG: none of the 2 images there is one of Kvasir-SEG's 1000"


def test_broken_files(tmp_path):
    root = make(tmp_path / "CVC-ColonDB", "images", "masks", ["1"], "jpg")
    path = root / "images/1.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    path.write_bytes(encoded(noise, "JPEG")[:2000])
    assert error(name="colondb", split="all", root=root).startswith(f"cannot read {path}: ")
    path.write_bytes(b"no picture")
    message = error(name="colondb", split="all", root=root)
    assert message == f"cannot read {path}: this is not an image; fetch it again"
    path.write_bytes(encoded(noise, "JPEG"))
    assert error(name="colondb", split="all", root=root) == (
        f"{root / 'masks/1.png'} is 8×6 pixels, but its image {path} is 64×64"
    )
    found = data.load_images("colondb", "all", root=root)
    path.unlink()
    with pytest.raises(InputError, match=r"cannot read .*1\.jpg: No such file or directory"):
        found[0]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_truncated_files_of_every_kind(tmp_path, form):
    path = tmp_path / f"1.{form.lower()}"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    content = encoded(noise, form)
    for length in (0, 20, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=f"cannot read {path}: "):
            data.read_image(path)
