"""Folders as strangers keep them: links, permissions, names in other forms, a manifest that a spreadsheet has saved."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m2s import data
from m2s.data.disk import prepared
from m2s.data.get import prepare, status
from m2s.errors import InputError

BUSI = {"benign": "benign (1)", "malignant": "malignant (1)", "normal": "normal (1)"}


@pytest.fixture
def root(tmp_path):
    """Two data sets: breast ultrasound by class, and dermoscopy."""
    for group, name in BUSI.items():
        folder = tmp_path / "Dataset_BUSI_with_GT" / group
        folder.mkdir(parents=True)
        for end in ("", "_mask"):
            Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(folder / f"{name}{end}.png")
    for part in ("Dermoscopic_Image", "lesion"):
        folder = tmp_path / "PH2Dataset" / "PH2 Dataset images" / "IMD001" / f"IMD001_{part}"
        folder.mkdir(parents=True)
        Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(folder / f"IMD001{'_lesion' * (part == 'lesion')}.bmp")
    return tmp_path


def list_states(root) -> dict[str, str]:
    return {source["name"]: source["status"] for source in status.describe_all_sources(root)}


def test_a_dangling_link_in_one_set_is_told_and_the_others_are_listed(root):
    assert list_states(root)["busi"] == list_states(root)["ph2"] == "found as distributed"
    image = root / "Dataset_BUSI_with_GT" / "benign" / "benign (1).png"
    image.unlink()
    image.symlink_to("nowhere.png")
    with pytest.raises(InputError) as caught:
        data.load_images("busi", "all", root)
    assert str(caught.value) == f"cannot read {image}: No such file or directory"
    assert list_states(root)["busi"] == "wrong layout" and list_states(root)["ph2"] == "found as distributed"
    assert status.describe_source("busi", root)["problem"] == str(caught.value)


def test_a_folder_without_permission_in_one_set_is_told_and_the_others_are_listed(root, monkeypatch):
    forbidden, iterdir = root / "Dataset_BUSI_with_GT", Path.iterdir

    def refuse(folder):  # the superuser may read everything, so the refusal is played
        if folder == forbidden:
            raise PermissionError(13, "Permission denied", str(folder))
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match=r"BUSI_with_GT: Permission denied"):
        data.load_images("busi", "all", root)
    assert list_states(root)["busi"] == "wrong layout" and list_states(root)["ph2"] == "found as distributed"


def test_a_manifest_that_a_spreadsheet_has_saved(root):
    folder = prepare.prepare_set("ph2", root, root / "new", part=True)
    before = data.load_images("ph2", "all", root / "new")
    path = folder / prepared.MANIFEST
    lines = path.read_text().splitlines()
    assert len(lines) == 2 and lines[0].startswith("name,file,")
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    assert data.load_images("ph2", "all", root / "new") == before
    semicolons = [line.replace(",", ";") for line in lines]
    semicolons[1] = semicolons[1].replace("0.125", "0,125")
    assert semicolons[1].count("0,125") == 1
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(semicolons).encode() + b"\r\n")
    assert data.load_images("ph2", "all", root / "new") == before
    assert not [p for p in prepare.find_problems("ph2", root / "new") if "published" not in p]


def test_a_prepared_set_from_a_disk_that_decomposes_names(root):
    case = root / "PH2Dataset" / "PH2 Dataset images" / "IMD001"
    for path in [*case.rglob("*.bmp"), *case.glob("IMD*"), case]:
        path.rename(path.with_name(path.name.replace("IMD001", "IMDé")))
    folder = prepare.prepare_set("ph2", root, root / "new", part=True)
    before = data.load_images("ph2", "all", root / "new").names
    for path in folder.glob("*/*"):
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    moved = data.load_images("ph2", "all", root / "new")
    assert moved.names == before == (unicodedata.normalize("NFC", "IMDé"),) and moved[0].mask.sum() == 8
