"""Executed notebooks as pages to read: what the site (``build.py``) and ``docs/executed`` (``executed.py``) share."""

import sys
import tomllib
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output

from m2s.paths import ROOT, data_label, describe_data, results_root

WIDGET = "application/vnd.jupyter.widget-view+json"
NO_WIDGET = "*Here stands a widget, live in JupyterLab (`make explore`); this page has the same as still pictures.*"
TEXTS = {"text", "text/plain", "text/html", "text/markdown"}
NOTE = "note"
"""The tag of a cell that was put in and says how the notebook was executed."""
BADGES = {
    "00_start_here": "labpath=notebooks/00_start_here.ipynb",
    "01_subtraction_units": "labpath=notebooks/01_subtraction_units.ipynb",
    "41_explorer": "urlpath=voila/render/notebooks/41_explorer.ipynb",
}
"""The notebooks that are offered to be run on mybinder.org, and how each is opened there."""


def read_executed(path: Path) -> NotebookNode | None:
    """The executed notebook at ``path``; ``None`` if there is none, or if its execution failed or is still going on.

    ``metadata.m2s`` tells its profile, its kind of data, the date and the seconds. No folder of this machine is named,
    there are no widgets, and no cell that says how it was executed.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError):
        return None
    run = notebook.metadata.pop("papermill", None)
    if run:
        if not run.get("end_time") or run.get("exception"):
            return None
        told = {"profile": run.parameters.profile, "data": data_label(run.parameters.data)}
        notebook.metadata.m2s = told | {"date": run.end_time[:10], "seconds": round(run.duration)}
        hide_places(notebook, run.parameters.data)
    elif "m2s" not in notebook.metadata:
        return None
    notebook.metadata.pop("widgets", None)
    notebook.cells = [cell for cell in notebook.cells if NOTE not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [replace_widget(output) for output in cell.outputs]
    return notebook


def describe_execution(notebook: NotebookNode) -> tuple[str, str]:
    """Two sentences on how an executed notebook was made: profile and images; date and time."""
    run = notebook.metadata.m2s
    what = f"Executed with profile {run.profile} on {describe_data(run.data)}"
    return what, f"On {run.date}, in {run.seconds} seconds."


def hide_places(notebook: NotebookNode, data: str) -> None:
    """Take the folders of this machine out of a notebook's code and printed results."""
    names = {f"{results_root()}/": "results/", f"{sys.prefix}/": ".venv/", f"{ROOT}/": "", f"{Path.home()}/": "~/"}
    if data_label(data) == "real":
        names = {data: "FOLDER"} | names
    for cell in notebook.cells:
        for texts in (cell, *cell.get("outputs", []), *(output.get("data", {}) for output in cell.get("outputs", []))):
            for kind in texts.keys() & (TEXTS | {"source"}):
                for place, name in names.items():
                    texts[kind] = texts[kind].replace(place, name)


def replace_widget(output: NotebookNode) -> NotebookNode:
    """The output itself, or a line in its place if it is the view of a widget: that needs a kernel."""
    if WIDGET in output.get("data", {}):
        return new_output("display_data", {"text/markdown": NO_WIDGET})
    return output


def list_sources(notebook: NotebookNode) -> list[str]:
    """The text of all cells, less the parameters that were put in for an execution."""
    return [cell.source for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]


def move_links(notebook: NotebookNode, old: str, new: str) -> None:
    """Let relative links and pictures of the text begin with ``new`` in place of ``old``, for another folder."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for begin in ("](", 'src="', 'href="'):
                cell.source = cell.source.replace(begin + old, begin + new)


def format_binder_link(stem: str, pyproject: Path = ROOT / "pyproject.toml") -> str:
    """The address that opens a notebook on mybinder.org; "" for one that is not offered.

    Also "" as long as ``pyproject.toml`` names no repository on GitHub: ``[project.urls]``, ``Repository``.
    """
    urls = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"].get("urls", {})
    _, on_github, name = urls.get("Repository", "").removesuffix("/").removesuffix(".git").partition("github.com/")
    return f"https://mybinder.org/v2/gh/{name}/HEAD?{BADGES[stem]}" if on_github and stem in BADGES else ""
