"""The executed notebooks in ``docs/executed``: small, of images that may be passed on, naming no machine."""

import base64
import re
from io import BytesIO

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from m2s.errors import InputError
from m2s.paths import ROOT

FOLDER = ROOT / "docs" / "executed"
COPIES = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="module")
def executed():
    """``docs/executed.py``, which is a script and no part of the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        import executed

        yield executed


@pytest.fixture(scope="module")
def pages(executed):
    import pages

    return pages


def encode(pixels: np.ndarray) -> str:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def decode(data: dict[str, str]) -> tuple[str, Image.Image]:
    ((kind, text),) = data.items()
    return kind, Image.open(BytesIO(base64.b64decode(text))).convert("RGB")


def test_the_whole_folder_is_small(executed):
    assert COPIES and sum(path.stat().st_size for path in FOLDER.iterdir()) < executed.LIMIT == 12e6


def test_the_readme_lists_every_copy_and_each_is_of_a_notebook():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((\d\d_\w+\.ipynb)\)", readme) == [path.name for path in COPIES]
    assert {path.name for path in COPIES} <= {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}


@pytest.mark.parametrize("path", COPIES, ids=lambda path: path.stem)
def test_a_copy_shows_what_may_be_passed_on_and_names_no_machine(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.m2s.data in ("sample", "phantom")  # no other images have been read
    assert set(notebook.metadata) <= {"kernelspec", "language_info", "m2s"}
    assert any(cell.get("outputs") for cell in notebook.cells)
    text = re.sub(r'"image/(png|jpeg)": "[^"]+"', "", path.read_text(encoding="utf-8"))
    assert not re.search(r"/(home|root|work|tmp|Users|opt|usr)/|\b[A-Z]:\\\\", text)
    assert "jupyter.widget" not in text
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            local = [target for target in re.findall(r"\]\(([^)#]+)\)", cell.source) if "://" not in target]
            books = [target for target in local if re.fullmatch(r"\d\d_\w+\.ipynb", target)]
            assert all((FOLDER / target).exists() for target in set(local) - set(books)), local
            assert all((ROOT / "notebooks" / target).exists() for target in books)


def test_a_chart_keeps_its_pixels_and_a_photograph_its_outline(executed):
    chart = np.full((300, 1600, 3), 255, np.uint8)
    chart[100:120] = (0, 114, 178)
    kind, small = decode(executed.shrink_picture(encode(chart)))
    assert kind == "image/png" and small.size == (1000, 188)
    assert small.getpixel((500, 69)) == (0, 114, 178) and small.getpixel((500, 10)) == (255, 255, 255)
    photograph = np.random.default_rng(0).integers(100, 160, (200, 300, 3)).astype(np.uint8)
    photograph[90:94] = (86, 180, 233)
    kind, small = decode(executed.shrink_picture(encode(photograph)))
    assert kind == "image/jpeg" and small.size == (300, 200)
    assert np.abs(np.subtract(small.getpixel((150, 92)), (86, 180, 233))).max() < 25


def write_run(folder, data: str, failed: bool = False) -> None:
    """An executed notebook as papermill leaves it, with a picture, a link and places of this machine."""
    run = {"end_time": "2026-11-21T10:00:00", "duration": 7.4, "exception": failed or None}
    run["parameters"] = {"profile": "lab", "data": data}
    info = {"kernelspec": {"name": "python3", "display_name": "Python"}, "language_info": {"name": "python"}}
    text = f"{folder / 'results' / 'lab-phantom' / 'runs.csv'} {ROOT / 'samples'}"
    outputs = [
        new_output("stream", text=text),
        new_output("display_data", {"image/png": encode(np.zeros((9, 9, 3), np.uint8)), "text/plain": "<Figure>"}),
    ]
    title = new_markdown_cell(
        "# 01 Tiny\n\n![a drawing](drawings/su.svg), [02](02_network.ipynb), [page](../docs/data.md)"
    )
    cells = [title, new_code_cell("1", outputs=outputs, metadata={"papermill": {"duration": 1}})]
    notebook = new_notebook(cells=cells, metadata=info | {"papermill": run, "widgets": {}})
    target = folder / "results" / "lab-phantom" / "notebooks" / "01_tiny.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def test_a_copy_is_made_of_an_executed_notebook(executed, pages, tmp_path, monkeypatch):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path / "results"))
    write_run(tmp_path, "phantom")
    target = tmp_path / "executed"
    assert executed.write_executed(tmp_path / "results" / "lab-phantom", target) == sum(
        path.stat().st_size for path in target.iterdir()
    )
    copy = nbformat.read(target / "01_tiny.ipynb", as_version=4)
    assert copy.metadata.m2s == {"profile": "lab", "data": "phantom", "date": "2026-11-21", "seconds": 7}
    title, note, code = copy.cells
    assert "](../../notebooks/drawings/su.svg), [02](02_network.ipynb), [page](../../docs/data.md)" in title.source
    assert note.source.startswith("> Executed with profile lab on made-up images. On 2026-11-21, in 7 seconds.")
    assert code.outputs[0].text == "results/lab-phantom/runs.csv samples" and not code.metadata
    readme = (target / "README.md").read_text(encoding="utf-8")
    assert "| [01 Tiny](01_tiny.ipynb) | lab, phantom | 2026-11-21 | 7 |" in readme
    again = pages.read_executed(target / "01_tiny.ipynb")  # as the site reads it
    assert [cell.source for cell in again.cells] == [title.source, "1"]


def test_what_failed_or_shows_other_images_is_not_taken(executed, tmp_path, monkeypatch):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path / "results"))
    write_run(tmp_path, "phantom", failed=True)
    with pytest.raises(InputError, match=r"no executed notebook in .*: run make reproduce first"):
        executed.write_executed(tmp_path / "results" / "lab-phantom", tmp_path / "executed")
    with pytest.raises(InputError, match="may not be passed on"):
        executed.main(["--data", str(tmp_path)])


def test_a_badge_needs_the_repository_s_address_alone(pages, tmp_path):
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text('[project]\nname = "m2s"\n', encoding="utf-8")
    assert pages.format_binder_link("00_start_here", pyproject) == ""
    pyproject.write_text('[project.urls]\nRepository = "https://github.com/someone/m2s.git"\n', encoding="utf-8")
    links = [
        pages.format_binder_link(stem, pyproject) for stem in ("01_subtraction_units", "41_explorer", "02_network")
    ]
    assert links == [
        "https://mybinder.org/v2/gh/someone/m2s/HEAD?labpath=notebooks/01_subtraction_units.ipynb",
        "https://mybinder.org/v2/gh/someone/m2s/HEAD?urlpath=voila/render/notebooks/41_explorer.ipynb",
        "",
    ]
    assert {f"{stem}.ipynb" for stem in pages.BADGES} <= {path.name for path in (ROOT / "notebooks").iterdir()}
