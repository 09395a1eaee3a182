"""The engine in folders whose names mean something to a shell, to YAML, to a URL or to Python's formatting."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from m2s import paths

# The last letters: "é" in two parts, "ü" in one, and a sign outside the basic plane.
NAMES = ["a {b} $(touch pwned) %d #1 [x]: *y* 'q' \"r\" ~ & ; | %20 \\n cafe\u0301 \u00fc \U0001f600", "007"]

NOTEBOOK = nbformat.v4.new_notebook(
    metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}},
    cells=[
        nbformat.v4.new_code_cell('profile = "lab"\ndata = "phantom"', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("from m2s import paths\nprint(paths.results_dir(profile, data))"),
        nbformat.v4.new_code_cell("import matplotlib.pyplot as plt\nplt.plot([0, 1]);"),
    ],
)


@pytest.mark.skipif(os.name != "posix", reason="Windows refuses most of these names")
@pytest.mark.parametrize("name", NAMES)
def test_project_results_and_notebooks_in_a_folder_of_any_name(tmp_path, name):
    """The results are where they should be, the notebook knows, and MPLBACKEND takes no picture away."""
    home = tmp_path / name
    (home / "notebooks" / name).mkdir(parents=True)
    nbformat.write(NOTEBOOK, home / "notebooks" / name / "98_any.ipynb")
    shutil.copytree(paths.ROOT / "m2s", home / "project" / "m2s", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(paths.ROOT / "results" / "published", home / "project" / "results" / "published")
    for file in ("Snakefile", "pyproject.toml"):
        shutil.copy(paths.ROOT / file, home / "project")
    results = home / "results" / name
    environment = os.environ | {"M2S_RESULTS": str(results), "MPLBACKEND": "Agg", "PYTHONPATH": str(home / "project")}
    ended = subprocess.run(
        [sys.executable, "-m", "m2s", "reproduce", "--profile", "smoke", "--data", "phantom", "--only", "98",
         "--notebooks", str(home / "notebooks" / name)],
        cwd=home / "project", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    executed = nbformat.read(results / "smoke-phantom" / "notebooks" / "98_any.ipynb", as_version=4)
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    assert outputs[0]["text"].strip() == str(results / "smoke-phantom")
    assert [o for o in outputs if "image/png" in o.get("data", {})]
    assert sorted(path.name for path in home.iterdir()) == ["notebooks", "project", "results"]
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.skipif(os.name != "posix", reason="Windows finds home folders in another way")
def test_a_reproduction_needs_no_home_folder(tmp_path):
    (tmp_path / "notebooks").mkdir()
    nbformat.write(NOTEBOOK, tmp_path / "notebooks" / "98_any.ipynb")
    environment = os.environ | {"M2S_RESULTS": str(tmp_path / "results"), "HOME": "/proc/none"}
    ended = subprocess.run(
        [sys.executable, "-m", "m2s", "reproduce", "--profile", "smoke", "--data", "phantom", "--only", "98",
         "--notebooks", str(tmp_path / "notebooks")],
        cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "results" / "smoke-phantom" / "notebooks" / "98_any.ipynb").is_file()


@pytest.mark.skipif(os.name != "posix", reason="Windows refuses the name")
def test_a_data_folder_that_reads_like_a_command_is_a_folder(tmp_path):
    """It goes through the shell to the training, and through papermill into the notebook."""
    (tmp_path / "notebooks").mkdir()
    shown = "import pathlib\nprint(data)\nprint(pathlib.Path(data).is_dir())"
    notebook = nbformat.v4.new_notebook(
        metadata=NOTEBOOK.metadata, cells=[NOTEBOOK.cells[0], nbformat.v4.new_code_cell(shown)]
    )
    nbformat.write(notebook, tmp_path / "notebooks" / "98_any.ipynb")
    data = tmp_path / NAMES[0] / "\"); import os; os.system('touch pwned') #"
    shutil.copytree(paths.ROOT / "samples", data)
    ended = subprocess.run(
        [sys.executable, "-m", "m2s", "reproduce", "--profile", "smoke", "--data", str(data), "--only", "98",
         "--notebooks", str(tmp_path / "notebooks")],
        cwd=paths.ROOT, env=os.environ | {"M2S_RESULTS": str(tmp_path / "results")}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    executed = nbformat.read(tmp_path / "results" / "smoke-real" / "notebooks" / "98_any.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0]["text"].splitlines() == [str(data), "True"]
    assert not list(tmp_path.rglob("pwned")) and not (paths.ROOT / "pwned").exists()
