"""No room on the disk, or a folder that is lost: one line, no half file, and the next call goes on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image
from test_cli import checkpoint, refused, results  # noqa: F401

from m2s import paths
from m2s.cli.guard import guarded
from m2s.cli.main import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no limit on the size of files")

CELLS = {
    "96_large": "import os\nif os.path.exists(flag):\n    print('x' * 3_000_000)",
    "97_lost": (
        "import os, shutil\nfrom m2s import paths\nif os.path.exists(flag):\n    shutil.rmtree(paths.results_root())"
    ),
}


@pytest.fixture
def notebooks(tmp_path) -> Path:
    """Two notebooks that make trouble as long as there is a file ``trouble``."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    for stem, code in CELLS.items():
        cells = [
            nbformat.v4.new_code_cell('profile = "lab"\ndata = "phantom"', metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(f"flag = {str(tmp_path / 'trouble')!r}\n{code}"),
        ]
        nbformat.write(nbformat.v4.new_notebook(metadata=kernel, cells=cells), folder / f"{stem}.ipynb")
    (tmp_path / "trouble").touch()
    return folder


def reproduce(notebooks: Path, stem: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "m2s", "reproduce", "--profile", "smoke", "--data", "phantom", "--only", stem]
    environment = os.environ | {
        "M2S_RESULTS": str(notebooks.parent / "results"), "IPYTHONDIR": str(notebooks.parent / "ipython"),
        "PYTHONPATH": str(paths.ROOT),
    }  # fmt: skip
    return subprocess.run(
        [*command, "--notebooks", str(notebooks)], cwd=paths.ROOT, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_without_room_an_executed_notebook_is_whole_and_named(notebooks, tmp_path, no_room):
    """What papermill wrote after the last cell that found room stays, marked as unfinished."""
    executed = tmp_path / "results" / "smoke-phantom" / "notebooks" / "96_large.ipynb"
    with no_room(2_000_000):
        ended = reproduce(notebooks, "96_large")
    assert ended.returncode == 1
    first, second = ended.stderr.splitlines()
    assert first == "m2s: error: 1 of 1 jobs failed"
    assert second.startswith(f"  notebook 96_large: {executed}: File too large; what was finished is kept")
    assert nbformat.read(executed, as_version=4).metadata.papermill.end_time is None
    assert not executed.with_suffix(".done").exists() and not list(executed.parent.glob(".*"))
    assert (tmp_path / "trouble").exists()
    assert reproduce(notebooks, "96_large").returncode == 0
    assert len(nbformat.read(executed, as_version=4).cells[-1].outputs[0].text) == 3_000_001


def test_results_that_are_lost_on_the_way_are_told(notebooks, tmp_path):
    ended = reproduce(notebooks, "97_lost")
    results = tmp_path / "results" / "smoke-phantom"  # noqa: F811
    assert ended.returncode == 1
    assert ended.stderr == (
        "m2s: error: Snakemake ended with 1: its log is gone, as where a folder or share was lost "
        f"(all of it: {results / '.reproduce' / '97_lost.log'})\n"
    )
    (tmp_path / "trouble").unlink()
    assert reproduce(notebooks, "97_lost").returncode == 0
    assert nbformat.read(results / "notebooks" / "97_lost.ipynb", as_version=4).metadata.papermill.end_time


def test_without_room_predict_and_evaluate_leave_no_half_file(capsys, tmp_path, checkpoint, no_room):  # noqa: F811
    """The first map finds room and stays; the second finds none."""
    (tmp_path / "images").mkdir()
    for name, side in (("a", 4), ("b", 900)):
        Image.new("RGB", (side, side)).save(tmp_path / "images" / f"{name}.png")
    arguments = ["predict", "images", "--network", str(checkpoint), "--out", "maps"]
    with no_room(500):
        assert main(arguments) == 2
    assert "m2s: error: cannot write maps/b.png: File too large\n" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["a.png"]
    assert main(arguments) == 0
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["a.png", "b.png"]
    shutil.copytree(tmp_path / "maps", tmp_path / "masks")
    for path in (tmp_path / "masks").iterdir():
        Image.fromarray(np.eye(len(np.asarray(Image.open(path))), dtype=np.uint8) * 255).save(path)
    evaluate = ["evaluate", "--pred", "maps", "--gt", "masks", "--json", "means.json"]
    with no_room(10):
        assert main(evaluate) == 2
    assert "cannot write means.json: File too large" in capsys.readouterr().err
    assert not list(tmp_path.glob("*means.json*")) and main(evaluate) == 0
    assert json.loads((tmp_path / "means.json").read_text())


def test_a_folder_that_cannot_be_copied_is_one_line(tmp_path, capsys, no_room):
    """``shutil`` gathers what went wrong with every file."""
    for name in ("a", "b"):
        (tmp_path / "from").mkdir(exist_ok=True)
        (tmp_path / "from" / name).write_bytes(bytes(1000))
    copy = guarded(
        lambda: (
            shutil.copytree(tmp_path / "from", tmp_path / "to", copy_function=paths.copy_file, dirs_exist_ok=True)
            and None
        )
    )
    with no_room(500):
        assert copy() == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and f"m2s: error: {tmp_path / 'to'}" in told and "File too large" in told
    assert not list((tmp_path / "to").iterdir()) and copy() == 0
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["a", "b"]
