"""A user's files are never written over: one function decides, before anything is written."""

import gzip
import os

import numpy as np
import pytest

from m2s.data.disk.images import encode_png
from m2s.errors import InputError
from m2s.paths import MARK, check_outputs

MAP = encode_png(np.zeros((3, 4), np.uint8))


def refusal(targets, given=(), **named) -> str:
    with pytest.raises(InputError) as caught:
        check_outputs(targets, given, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_new_file_and_an_own_one_may_be_written(tmp_path):
    own, packed, new = tmp_path / "own.png", tmp_path / "own.nii.gz", tmp_path / "deep" / "er" / "new.png"
    own.write_bytes(MAP)
    packed.write_bytes(gzip.compress(b"0" * 148 + MARK.encode()))
    check_outputs([own, packed, new], [own.with_name("image.jpg")])
    assert not new.parent.exists(), "it writes nothing itself"


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"a user's notes", b"\x89PNG\r\n\x1a\n"])
def test_a_foreign_file_is_not_written_over(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert "exists and is not a result of this command" in refusal([tmp_path / "a.png"])


def test_an_input_is_not_written_over_whatever_leads_to_it(tmp_path, monkeypatch):
    """Even one that an earlier call wrote: a map of one network can be the image that is given to another."""
    monkeypatch.chdir(tmp_path)
    image = tmp_path / "a.png"
    image.write_bytes(MAP)
    (tmp_path / "hard.png").hardlink_to(image)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "folder").mkdir()
    for name in ("a.png", "./a.png", "folder/../a.png", "link/a.png", "hard.png"):
        assert "is an input" in refusal([tmp_path.__class__(name)], [image]), name
    (tmp_path / "soft.png").symlink_to(image)
    assert "is an input" in refusal([tmp_path / "soft.png"], [image])
    assert "exists" in refusal([tmp_path / "soft.png"]), "the link would become a file"
    (tmp_path / "dangling.png").symlink_to("nowhere")
    assert "exists" in refusal([tmp_path / "dangling.png"])
    assert "exists" in refusal([tmp_path / "folder"])


def test_two_outputs_are_two_files_on_every_machine(tmp_path):
    for names in (("a", "A"), ("caf\u00e9", "cafe\u0301"), ("a", "./a")):
        assert "would be one file" in refusal([tmp_path / f"{name}.png" for name in names])


def test_a_folder_that_takes_no_file_is_told_before(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    assert refusal([tmp_path / "file" / "a.png"]) == (
        f"cannot write {tmp_path / 'file' / 'a.png'}: {tmp_path / 'file'} is no folder"
    )
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # root may write everywhere
    assert refusal([tmp_path / "new" / "a.png"]).endswith(f"{tmp_path} is read-only")
