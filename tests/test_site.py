"""The site, built small: two notebooks, one of them executed, and one page of the library."""

import json
import re
import shutil
import subprocess
from html import unescape
from importlib import metadata
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from m2s.errors import InputError
from m2s.paths import ROOT

WIDGET = "application/vnd.jupyter.widget-view+json"
EQUATION = r"|A - B| = A + B - 2\min(A, B) \tag{1}"
FETCHED = re.compile(r"<(?:script|link|img|iframe|source|video)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")


@pytest.fixture(scope="module")
def docs():
    """``docs/build.py``, which is a script and no part of the package."""
    spec = spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        spec.loader.exec_module(module)
    return module


def notebook(*cells):
    """A notebook as they are in git: no outputs."""
    metadata = {"language_info": {"name": "python"}}
    return new_notebook(cells=[new_markdown_cell("# 00 Tiny"), *cells], metadata=metadata)


def executed(source, folder: str, widget: bool = False):
    """A copy of ``source`` as papermill leaves it, with made-up outputs."""
    run = {"end_time": "2026-11-21T10:00:00", "duration": 7.4, "exception": None}
    run["parameters"] = {"profile": "full" if "/" in folder else "smoke", "data": folder}
    copy = nbformat.from_dict(source | {"metadata": source.metadata | {"papermill": run, "widgets": {}}})
    parameters = new_code_cell(f'data = "{folder}"', metadata={"tags": ["injected-parameters"]})
    copy.cells = [cell.copy() for cell in source.cells]
    copy.cells.insert(1, parameters)
    view = {"text/plain": "interactive(children=…)", WIDGET: {"model_id": "0123"}}
    copy.cells[-1].outputs = [
        new_output("stream", text=f"images from {folder}\n"),
        *([new_output("display_data", view)] if widget else []),
        new_output("execute_result", {"text/markdown": r"a result, $x^2$"}, execution_count=1),
    ]
    return copy


@pytest.fixture(scope="module")
def site(docs, tmp_path_factory):
    """The folder of a built site."""
    folder = tmp_path_factory.mktemp("site")
    tiny = notebook(
        new_markdown_cell(f"Quokkas subtract.\n\n$$ {EQUATION} $$\n\n![The unit](drawings/su.svg)"),
        new_code_cell("### BEGIN SOLUTION\nanswer = 42\n### END SOLUTION"),
        new_code_cell("explore()"),
    )
    (folder / "notebooks").mkdir()
    nbformat.write(tiny, folder / "notebooks" / "00_tiny.ipynb")
    nbformat.write(notebook(new_code_cell("1 + 1")), folder / "notebooks" / "40_other.ipynb")
    done = folder / "results" / "smoke-phantom" / "notebooks"
    done.mkdir(parents=True)
    nbformat.write(executed(tiny, "phantom", widget=True), done / "00_tiny.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M2S_RESULTS", str(folder / "results"))
        told = docs.build("smoke", "phantom", folder, folder / "notebooks", {"Units": ["units", "paths"]})
    assert told == f"{folder / 'site' / 'index.html'}: 2 notebooks, 1 of them executed"
    return folder / "site"


def text(path: Path) -> str:
    return unescape(re.sub(r"<[^>]+>", "", path.read_text()))


def test_the_pages_are_there_and_link_to_each_other(site):
    start = (site / "index.html").read_text()
    for page in ("docs/notebooks", "docs/results", "docs/tables", "docs/running", "docs/data", "docs/library"):
        assert (site / f"{page}.html").exists() and f'href="{page}.html"' in start
    assert 'href="../notebooks/00_tiny.html"' in (site / "docs" / "notebooks.html").read_text()
    assert (site / "results" / "published" / "README.html").exists()
    pictures = re.findall(r'<img[^>]*src="([^"]+)"', start)
    assert pictures and all((site / picture).exists() for picture in pictures)


def test_a_page_shows_the_drawing_of_its_notebook(site):
    page = site / "notebooks" / "00_tiny.html"
    picture = re.search(r'<img[^>]*alt="The unit"[^>]*src="([^"]+)"', page.read_text(encoding="utf-8"))[1]
    drawn = (page.parent / picture).read_bytes()
    assert drawn == (ROOT / "notebooks" / "drawings" / "su.svg").read_bytes()


def test_sphinx_warns_of_nothing_but_the_notebooks_left_out_here(site):
    warnings = (site.parent / "site-warnings.txt").read_text().splitlines()
    assert [line for line in warnings if not re.search(r"'(\.\./)?notebooks/.*myst.xref_missing", line)] == []


def test_a_page_says_how_it_was_executed_or_that_it_was_not(site):
    tiny, other = (text(site / "notebooks" / f"{name}.html") for name in ("00_tiny", "40_other"))
    assert "Executed with profile smoke on made-up images" in tiny and "On 2026-11-21, in 7 seconds." in tiny
    assert "changed since" not in tiny and "Not executed" not in tiny
    assert "Not executed here" in other and "make reproduce PROFILE=smoke DATA=phantom executes it" in other


def test_a_page_has_the_notebook_to_download_with_and_without_solutions(site):
    page = (site / "notebooks" / "00_tiny.html").read_text(encoding="utf-8")
    links = re.findall(r'href="\.\./(_downloads/[^"]+/00_tiny\.ipynb)"', page)
    solved, open_ = ((site / link).read_text(encoding="utf-8") for link in links)
    assert "answer = 42" in solved and "answer = 42" not in open_ and "NotImplementedError" in open_
    assert "mybinder" not in page  # no address of the repository is set


def test_a_notebook_that_was_not_executed_here_is_shown_as_in_docs_executed(docs, tmp_path, monkeypatch):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
    path = ROOT / "notebooks" / "04_metrics.ipynb"
    shown, was_executed = docs.prepare_notebook(path, "full", "/home/me/polyps")
    assert was_executed and "Executed with profile lab on" in shown.cells[1].source
    assert any(cell.get("outputs") for cell in shown.cells)
    assert "](../../" not in "".join(cell.source for cell in shown.cells)


def test_a_widget_leaves_a_line_and_no_placeholder(site):
    path = site / "notebooks" / "00_tiny.html"
    assert "Here stands a widget, live in JupyterLab (make explore)" in text(path)
    page = path.read_text()
    assert "jupyter.widget" not in page and "interactive(children" not in page and "requirejs" not in page


def test_a_solution_is_folded(site):
    page = (site / "notebooks" / "00_tiny.html").read_text()
    details = re.search(r"<details.*?</details>", page, re.DOTALL)[0]
    assert "Show the solution" in details and "42" in details and page.count("<details") == details.count("<details")


def test_nothing_is_fetched_from_the_network(site):
    pages = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    assert len(pages) > 8
    assert {page.name: FETCHED.findall(page.read_text()) for page in pages if FETCHED.search(page.read_text())} == {}
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", styles)
    for page in pages:
        for script in re.findall(r'<script[^>]*\bsrc="([^"?]+)', page.read_text()):
            assert (page.parent / script).exists(), (page, script)


def test_equations_are_left_to_the_site_s_own_mathjax(site):
    page = (site / "notebooks" / "00_tiny.html").read_text()
    assert EQUATION in unescape(page) and r"\(x^2\)" in page
    assert re.search(r'<script[^>]*src="../_static/tex-svg.js', page)


@pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium on this machine")
def test_a_browser_without_network_draws_the_equations(site, tmp_path):
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}", "--dump-dom"]
    page = (site / "notebooks" / "00_tiny.html").as_uri()
    drawn = subprocess.run([*command, page], capture_output=True, text=True, timeout=120, check=True).stdout
    assert drawn.count("<mjx-container") == 2 and "data-mjx-error" not in drawn
    assert r"\tag{1}" not in drawn and 'id="mjx-eqn:1"' in drawn


def test_the_search_knows_the_words_of_a_notebook(site):
    index = json.loads(re.search(r"\((\{.*\})\)", (site / "searchindex.js").read_text(), re.DOTALL)[1])
    found = index["terms"]["quokka"]
    assert index["docnames"][found] == "notebooks/00_tiny"


def test_the_library_s_page_and_its_names(site, docs):
    page = (site / "library" / "units.html").read_text()
    assert 'id="m2s.units.SubtractionUnit"' in page and 'id="m2s.paths.ROOT"' in page and str(ROOT) not in page
    names = text(site / "docs" / "library.html")
    assert all(name in names for name in docs.m2s.__all__)


def test_every_notebook_is_in_a_group(docs):
    assert {path.stem[0] for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")} <= set(docs.GROUPS.values())


def test_every_module_is_on_a_page(docs):
    floors = docs.expand_floors(docs.FLOORS)
    named = [name for modules in floors.values() for name in modules]
    every = {path.stem for path in (ROOT / "m2s").glob("[a-z]*.py")} | {"figures", "data.sets.polyps", "baselines.unet"}
    assert every <= set(named) and len(named) == len(set(named))


def test_a_changed_notebook_and_the_folder_of_the_data(docs, tmp_path, monkeypatch):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
    source = notebook(new_code_cell("1 + 1"))
    done = tmp_path / "full-real" / "notebooks" / "00_tiny.ipynb"
    done.parent.mkdir(parents=True)
    nbformat.write(executed(source, "/home/me/polyps"), done)
    source.cells[-1].source = "1 + 2"
    nbformat.write(source, tmp_path / "00_tiny.ipynb")
    shown, was_executed = docs.prepare_notebook(tmp_path / "00_tiny.ipynb", "full", "/home/me/polyps")
    assert was_executed and "/home/me" not in nbformat.writes(shown)
    assert "on real data sets" in shown.cells[1].source and "changed since" in shown.cells[1].source
    assert shown.cells[-1].source == "1 + 1" and shown.cells[-1].outputs[0].text == "images from FOLDER\n"


@pytest.mark.parametrize("run", [{}, {"end_time": None}, {"end_time": "2026-11-21T10:00:00", "exception": True}])
def test_what_is_not_finished_is_not_shown_as_executed(docs, tmp_path, run):
    nbformat.write(new_notebook(metadata={"papermill": run}), tmp_path / "half.ipynb")
    (tmp_path / "torn.ipynb").write_text('{"cells": [')
    for name in ("half", "torn", "none"):
        assert docs.read_executed(tmp_path / f"{name}.ipynb") is None


def test_what_a_user_gets_wrong_is_an_error_of_the_input(docs, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="unknown profile 'labs'"):
        docs.main(["--profile", "labs"])
    with pytest.raises(InputError, match="no notebooks in"):
        docs.build("smoke", "phantom", tmp_path, tmp_path, {})
    monkeypatch.setattr(docs, "distribution", lambda name: metadata.distribution("not-installed-" + name))
    with pytest.raises(InputError, match="the site needs myst-nb"):
        docs.build("smoke", "phantom", tmp_path, tmp_path, {})


@pytest.mark.parametrize("most", [20_000, 700_000])
def test_without_room_the_older_site_stays(docs, tmp_path, monkeypatch, capfd, no_room, most):
    """There is no room for what is copied first, or none for what Sphinx writes."""
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook(new_code_cell("1 + 1")), tmp_path / "notebooks" / "00_tiny.ipynb")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("older")
    build = docs.guarded(lambda: docs.build("smoke", "phantom", tmp_path, tmp_path / "notebooks", {"Units": ["units"]}))
    with no_room(most):
        assert build() == 1
    assert (tmp_path / "site" / "index.html").read_text() == "older"
    told = capfd.readouterr().err.splitlines()[-1]
    assert told.startswith("m2s: error: ") and "File too large" in told
    assert ("an older site stays" in told) == (most == 700_000)


@pytest.mark.skipif(not shutil.which("make"), reason="no make on this machine")
def test_make_site_passes_its_two_knobs(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "requirements.lock", ".venv/.installed"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    command = ["make", "-n", "--no-print-directory", "site", "PROFILE=full", "DATA=/data/my polyps"]
    plan = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert plan == '.venv/bin/python docs/build.py --profile full --data "/data/my polyps"\n'
