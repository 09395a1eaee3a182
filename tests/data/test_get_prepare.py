"""Preparing: pixels stay what they were, the manifest says what is there, and nothing half-written is left behind."""

import errno
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pooch import file_hash

from m2s import data
from m2s.data.get import prepare as module
from m2s.data.get.prepare import find_problems, prepare_set
from m2s.errors import InputError, NotFound

NAMES = data.CATALOGUE["cvc300"].names["all"]
MASK = np.zeros((6, 8), np.uint8)
MASK[1:3, 2:7] = 255


def image_of(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.fixture
def raw(tmp_path):
    """CVC-300 as distributed, but in a mixture of formats."""
    images, masks = tmp_path / "raw/CVC-300/images", tmp_path / "raw/CVC-300/masks"
    images.mkdir(parents=True), masks.mkdir()
    for i, name in enumerate(NAMES):
        Image.fromarray(image_of(i)).save(images / f"{name}.{['png', 'JPG', 'bmp', 'tif'][i % 4]}")
        Image.fromarray(MASK).save(masks / f"{name}.PNG")
    for i, mode in enumerate(("L", "P", "RGBA", "1")):
        Image.fromarray(image_of(i)).convert(mode).save(images / f"{NAMES[4 * i]}.png")
    deep = np.linspace(0, 65535, 48, dtype=np.uint16).reshape(6, 8)
    Image.fromarray(deep).save(images / f"{NAMES[16]}.png")
    Image.fromarray((MASK > 0).astype(np.uint8)).save(masks / f"{NAMES[20]}.PNG")
    return tmp_path / "raw"


def test_pixels_and_ordinary_files_stay_as_they_are(raw, tmp_path, capsys):
    before = {s.name: s for s in data.load_images("cvc300", "all", root=raw)}
    folder = prepare_set("cvc300", raw, tmp_path / "out")
    assert folder == tmp_path / "out/cvc300"
    assert capsys.readouterr().err == f"CVC-300: 60 images prepared in {folder}\n"
    rows = pd.read_csv(folder / "manifest.csv", dtype={"name": str})
    assert tuple(rows.name) == NAMES and set(rows.split) == {"test"} and set(rows.depth) == {1}
    assert ",".join(rows.columns[:10]) == "name,file,mask,width,height,depth,split,group,sha256,foreground"
    assert (rows.width == 8).all() and (rows.height == 6).all() and np.allclose(rows.foreground, 10 / 48, atol=1e-6)
    for row in rows.itertuples():
        assert np.array_equal(data.read_image(folder / row.file), before[row.name].image), row.file
        stored = np.asarray(Image.open(folder / row.mask))
        assert stored.dtype == np.uint8 and np.array_equal(stored, before[row.name].mask)
    originals = raw / "CVC-300/images"
    assert (folder / f"images/{NAMES[1]}.jpg").read_bytes() == (originals / f"{NAMES[1]}.JPG").read_bytes()
    assert (folder / f"images/{NAMES[0]}.png").read_bytes() == (originals / f"{NAMES[0]}.png").read_bytes()
    with Image.open(folder / f"images/{NAMES[16]}.png") as deep:
        assert deep.mode == "L" and deep.getextrema() == (0, 255), "16 bits are scaled to 8"
    assert find_problems("cvc300", tmp_path / "out") == []


def test_a_prepared_set_is_loaded_and_left_alone(raw, tmp_path):
    folder = prepare_set("cvc300", raw, tmp_path / "out")
    stamp = (folder / "manifest.csv").stat().st_mtime_ns
    shutil.rmtree(raw)
    assert prepare_set("cvc300", raw, tmp_path / "out") == folder
    assert (folder / "manifest.csv").stat().st_mtime_ns == stamp
    found = data.load_images("cvc300", "test", root=tmp_path / "out")
    assert found.names == NAMES and set(np.unique(found[0].mask)) == {0, 1}


def test_what_a_killed_run_left_is_cleared(raw, tmp_path):
    debris = tmp_path / "out/.cvc300.partial/images/half.png"
    debris.parent.mkdir(parents=True)
    debris.write_bytes(b"half")
    prepare_set("cvc300", raw, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["cvc300"]
    assert find_problems("cvc300", tmp_path / "out") == []


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_or_an_interruption_leaves_nothing(raw, tmp_path, monkeypatch, fault):
    def fail(*_):
        raise fault

    monkeypatch.setattr(module.shutil, "copyfile", fail)
    with pytest.raises((InputError, KeyboardInterrupt)) as caught:
        prepare_set("cvc300", raw, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    if isinstance(fault, OSError):
        where = tmp_path / "out"
        wanted = f"cannot prepare CVC-300 in {where}: the disk is full; free some space and run it again"
        assert str(caught.value) == wanted
    monkeypatch.undo()
    assert find_problems("cvc300", prepare_set("cvc300", raw, tmp_path / "out").parent) == []


def test_errors_of_the_source_come_before_anything_is_written(raw, tmp_path):
    (raw / f"CVC-300/images/{NAMES[0]}.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="this is not an image; fetch it again"):
        prepare_set("cvc300", raw, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "out/cvc300").mkdir()
    with pytest.raises(InputError, match=r"exists and is not a prepared set \(no manifest.csv\)"):
        prepare_set("cvc300", raw, tmp_path / "out")


def test_counts_are_compared_and_known_differences_explained(tmp_path, capsys):
    images, masks = tmp_path / "raw/CVC-ColonDB/images", tmp_path / "raw/CVC-ColonDB/masks"
    images.mkdir(parents=True), masks.mkdir()
    for i in range(1, 302):
        Image.fromarray(image_of(i)).save(images / f"{i}.png")
        Image.fromarray(MASK).save(masks / f"{i}.png")
    with pytest.raises(InputError) as caught:
        prepare_set("colondb", tmp_path / "raw", tmp_path / "out")
    assert "has 301 images, published are 380" in str(caught.value)
    assert "as first published holds 300" in str(caught.value) and "\n" not in str(caught.value)
    (images / "301.png").unlink(), (masks / "301.png").unlink()
    folder = prepare_set("colondb", tmp_path / "raw", tmp_path / "out")
    assert "published: 380; the set's own paper has 300 frames" in capsys.readouterr().err
    assert find_problems("colondb", tmp_path / "out") == []
    assert set(pd.read_csv(folder / "manifest.csv", keep_default_na=False).split) == {""}, "the split is not whole"
    (images / "7.png").unlink(), (masks / "7.png").unlink()
    prepare_set("colondb", tmp_path / "raw", tmp_path / "part", part=True)
    assert "299 images prepared" in capsys.readouterr().err
    assert "lists 299 images, published are 380" in find_problems("colondb", tmp_path / "part")[0]


def test_file_names_that_systems_forbid_or_take_for_the_same():
    names = ("a (1)", "A (1)", "clip 1/frame:2", "clip 1_frame_2", ".hidden", "é[0]")
    wanted = ["a (1)", "A (1)-2", "clip 1_frame_2", "clip 1_frame_2-2", "hidden", "é[0]"]
    assert module._make_stems(names) == wanted


def test_check_names_every_fault_with_its_file(raw, tmp_path):
    with pytest.raises(NotFound, match="no prepared CVC-300 in"):
        find_problems("cvc300", tmp_path / "out")
    folder = prepare_set("cvc300", raw, tmp_path / "out")
    rows = pd.read_csv(folder / "manifest.csv", dtype={"name": str})
    (folder / rows.file[0]).unlink()
    (folder / rows.file[1]).write_bytes(b"changed")
    bad = np.full((6, 8), 7, np.uint8)
    Image.fromarray(bad).save(folder / rows["mask"][2])
    Image.fromarray(bad[:4] * 0).save(folder / rows["mask"][3])
    for i in (2, 3):
        rows.loc[i, "mask_sha256"] = file_hash(str(folder / rows["mask"][i]))
    rows.loc[4, "foreground"] = 0.9
    rows.to_csv(folder / "manifest.csv", index=False)
    (folder / "images/stray.png").write_bytes(b"")
    problems = find_problems("cvc300", tmp_path / "out")
    again = f"delete {folder} and prepare the set again"
    assert problems[0] == f"{folder / 'images/stray.png'} is not in the manifest; delete it, or {again}"
    assert problems[1] == f"{folder / rows.file[0]} is missing; {again}"
    assert problems[2] == f"{folder / rows.file[1]} was changed: its SHA-256 is not that of the manifest; {again}"
    assert "holds the value 7" in problems[3] and rows["mask"][2] in problems[3]
    assert "does not have the size of its image" in problems[4] and rows["mask"][3] in problems[4]
    assert "foreground 0.9, not 0.208333" in problems[5] and len(problems) == 6
    assert all("\n" not in p and p.endswith(again) for p in problems)
    (folder / "manifest.csv").write_text("name,file\n")
    assert find_problems("cvc300", tmp_path / "out") == [
        f"{folder / 'manifest.csv'} lacks the columns mask, width, height, …; {again}"
    ]


def test_real_sets(real_data, tmp_path):
    for name, count in (("cvc300", 60), ("covidsemiseg", 98)):
        folder = prepare_set(name, real_data, tmp_path)
        assert find_problems(name, tmp_path) == []
        rows = pd.read_csv(folder / "manifest.csv", dtype=str)
        assert len(rows) == count and not rows.split.isna().any()


def test_real_volumes(real_data, tmp_path):
    small = tmp_path / "raw/Task04_Hippocampus"
    for kind in ("imagesTr", "labelsTr"):
        (small / kind).mkdir(parents=True)
        for path in sorted((real_data / "Task04_Hippocampus" / kind).glob("hippocampus_*"))[:5]:
            shutil.copy(path, small / kind)
    before = data.load_images("hippocampus", "all", root=tmp_path / "raw")
    prepare_set("hippocampus", tmp_path / "raw", tmp_path / "out", part=True)
    after = data.load_images("hippocampus", "all", root=tmp_path / "out")
    assert before.names == after.names and len(after) == 5
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a.image, b.image) and np.array_equal(a.mask, b.mask)
    problems = find_problems("hippocampus", tmp_path / "out")
    assert len(problems) == 1 and "lists 5 images, published are 260" in problems[0]
