"""The site of `make site`: executed notebooks, tables and the library's names as static pages, without any network.

The sources are laid out anew in ``build/site-source`` as in the checkout, so that links hold, with a note in each
notebook that says how it was executed. Sphinx makes ``build/site`` of them. Nothing is executed.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

import m2s
from m2s.cli.main import guarded
from m2s.errors import InputError, RunError
from m2s.paths import ROOT, data_label, describe_data, results_dir
from m2s.studies.profiles import find_profile

DOCS = Path(__file__).parent
WIDGET = "application/vnd.jupyter.widget-view+json"
NO_WIDGET = "*Here stands a widget, live in JupyterLab (`make explore`); this page has the same as still pictures.*"

GROUPS = {
    "Start and units": "0",
    "Data sets": "1",
    "Comparisons": "2",
    "Ablations": "3",
    "Looking inside": "4",
    "LGMSNet": "5",
    "Gathered": "9",
}
"""The notebooks by the first digit of their number."""

PAGES = ["results", "tables", "running", "data", "teachers", "library"]
"""The pages of ``docs/`` that lie in the site as in the checkout, so that links hold; in the order of its menu."""

FLOORS = {
    "Units": ["units", "aspp"],
    "Networks": ["m2snet", "lgmsnet", "encoders", "weights", "released", "zoo"],
    "Baselines": ["baselines"],
    "Losses": ["losses", "lossnet"],
    "Data": ["data"],
    "Made-up images": ["phantoms"],
    "Metrics": ["metrics"],
    "Runs and studies": ["studies", "runs", "nnunet.run"],
    "Tables and figures": ["tables", "figures", "surveys"],
    "Looking inside": ["features", "explorer"],
}
"""The pages of the library with their modules; a folder stands for all modules in it.

A module that is named nowhere comes on the last page, "Further".
"""

APART = ("__main__", "nnunet.trainers")
"""What has no page: it starts a program, or can be imported with nnU-Net only."""


# A module in a page of Markdown; its docstrings are reStructuredText.
DOCSTRINGS = """
## m2s.{name}

```{{eval-rst}}
.. automodule:: m2s.{name}
```
"""


def build(profile: str, data: str, target: Path, notebooks: Path, floors: dict[str, list[str]]) -> str:
    """Lay out the sources in ``target/site-source``, make ``target/site``, and return a line that says what it shows.

    Raises:
        InputError: a bad argument, or packages that are missing.
        RunError: Sphinx gave up.
    """
    find_profile(profile)
    for package in ("myst-nb", "pydata-sphinx-theme", "sphinx-copybutton", "sphinx-mathjax-offline"):
        try:
            distribution(package)
        except PackageNotFoundError:
            raise InputError(f"the site needs {package}: pip install '.[site]', or make site") from None
    source, site = target / "site-source", target / "site"
    for folder in (source, site):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    copy_pages(source, results_dir(profile, data))
    executed = copy_notebooks(source, notebooks, profile, data)
    write_library(source, floors)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-E", "-d", str(target / "site-doctrees")]
    command += ["-w", str(target / "site-warnings.txt"), str(source), str(site)]
    ended = subprocess.run(command, check=False)
    if ended.returncode:
        raise RunError(f"Sphinx ended with {ended.returncode}; its messages are above")
    message = f"{site / 'index.html'}: {len(executed)} notebooks, {sum(executed)} of them executed"
    if any(executed) and data_label(data) == "real":
        message += "\nIt shows images of the data sets: read their licences before you publish it."
    return message


def copy_pages(source: Path, results: Path) -> None:
    """The README, the pages of ``docs/``, the measured and published tables, and the files that the pages link to."""
    (source / "docs").mkdir()
    for name in ("index.md", "notebooks.md", "conf.py", "site.css"):
        shutil.copy(DOCS / name, source)
    pages = [ROOT / "README.md", *(DOCS / f"{page}.md" for page in PAGES)]
    linked = re.findall(
        r"\]\((?:\.\./)?(results/[^)#]+|CONTRIBUTING\.md)\)",
        "".join(page.read_text(encoding="utf-8") for page in pages),
    )
    for name in [*linked, *(str(page.relative_to(ROOT)) for page in pages)]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    for table in results.glob("tables/*.md"):
        copy = source / "results" / results.name / "tables" / table.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(table, copy)
    tables = sorted(source.glob("results/*/tables/*.md"))
    add_pages(source / "docs" / "tables.md", [f"/{table.relative_to(source)}" for table in tables], "Measured")
    add_pages(source / "docs" / "tables.md", ["/results/published/README"], "Published")
    add_pages(source / "index.md", ["notebooks", *(f"docs/{page}" for page in PAGES), "CONTRIBUTING"])


def add_pages(page: Path, entries: list[str], title: str = "") -> None:
    """Put pages under a page: in its side bar, under a title, in this order."""
    if entries:
        caption = [f":caption: {title}"] * bool(title)
        with open(page, "a", encoding="utf-8") as file:
            file.write("\n".join(["\n```{toctree}", ":hidden:", *caption, "", *entries, "```\n"]))


def copy_notebooks(source: Path, notebooks: Path, profile: str, data: str) -> list[bool]:
    """Write each notebook as it is shown, and their groups; the result says for each whether it was executed."""
    paths = sorted(notebooks.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise InputError(f"no notebooks in {notebooks}")
    (source / "notebooks").mkdir()
    executed = []
    for path in paths:
        notebook, done = prepare_notebook(path, profile, data)
        nbformat.write(notebook, source / "notebooks" / path.name)
        executed.append(done)
    for title, digit in GROUPS.items():
        add_pages(source / "notebooks.md", [f"notebooks/{path.stem}" for path in paths if path.stem[0] == digit], title)
    return executed


def prepare_notebook(path: Path, profile: str, data: str) -> tuple[NotebookNode, bool]:
    """The executed copy of a notebook, or its source where there is none, with a note below its title that says which.

    Widgets are replaced by a line, cells with a solution are folded, and the folder of the data is not named.
    """
    source = nbformat.read(path, as_version=4)
    executed = read_executed(results_dir(profile, data) / "notebooks" / path.name)
    folder = data_label(data) == "real"
    again = f"`make reproduce PROFILE={profile} DATA={'FOLDER' if folder else data}`"
    if executed is None:
        title, note = "Not executed here", f"This page shows the source without results. {again} executes it."
    else:
        run = executed.metadata.papermill
        title = f"Executed with profile {profile} on {describe_data(data)}"
        note = f"On {run.end_time[:10]}, in {run.duration:.0f} seconds."
        if list_sources(executed) != list_sources(source):
            note += f" The notebook has changed since: {again} executes it again."
        if folder:
            hide_folder(executed, run.parameters.data)
    notebook = executed or source
    for record in ("papermill", "widgets"):
        notebook.metadata.pop(record, None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [replace_widget(output) for output in cell.outputs]
            if "### BEGIN SOLUTION" in cell.source:
                cell.metadata.tags = [*cell.metadata.get("tags", []), "hide-input"]
    notebook.cells.insert(1, new_markdown_cell(f":::{{admonition}} {title}\n{note}\n:::"))
    return notebook, executed is not None


def read_executed(path: Path) -> NotebookNode | None:
    """The executed notebook at ``path``; ``None`` if there is none, or if its execution failed or is still going on."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError):
        return None
    run = notebook.metadata.get("papermill", {})
    return notebook if run.get("end_time") and not run.get("exception") else None


def hide_folder(notebook: NotebookNode, folder: str) -> None:
    """Write FOLDER wherever a notebook's code and printed results name the folder of the data."""
    for cell in notebook.cells:
        cell.source = cell.source.replace(folder, "FOLDER")
        for output in cell.get("outputs", []):
            for texts in (output, output.get("data", {})):
                for kind in texts.keys() & {"text", "text/plain", "text/html", "text/markdown"}:
                    texts[kind] = texts[kind].replace(folder, "FOLDER")


def list_sources(notebook: NotebookNode) -> list[str]:
    """The text of all cells, less the parameters that were put in for an execution."""
    return [cell.source for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]


def replace_widget(output: NotebookNode) -> NotebookNode:
    """The output itself, or a line in its place if it is the view of a widget: that needs a kernel."""
    if WIDGET in output.get("data", {}):
        return new_output("display_data", {"text/markdown": NO_WIDGET})
    return output


def write_library(source: Path, floors: dict[str, list[str]]) -> None:
    """A page for each floor of the library, and before them the names that others rely on."""
    (source / "library").mkdir()
    pages = []
    for title, modules in floors.items():
        pages.append(f"/library/{title.lower().replace(' ', '_')}")
        parts = "".join(DOCSTRINGS.format(name=name) for name in modules)
        (source / f"{pages[-1][1:]}.md").write_text(f"# {title}\n{parts}", encoding="utf-8")
    with open(source / "docs" / "library.md", "a", encoding="utf-8") as file:
        names = [f"   ~m2s.{home}.{name}" for name, home in m2s._HOME.items()]
        file.write("\n".join(["\n```{eval-rst}", ".. autosummary::", "", *names, "```\n"]))
    add_pages(source / "docs" / "library.md", pages)


def list_modules(package: str = "") -> list[str]:
    """The modules of m2s, or of one of its folders, by their dotted names; without empty ``__init__`` files."""
    root = ROOT / "m2s"
    folder = root / package.replace(".", "/")
    paths = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    parts = [path.relative_to(root).with_suffix("").parts for path in paths if path.stat().st_size]
    names = [".".join(part for part in path if part != "__init__") for path in parts]
    return [name for name in names if name and not re.search(rf"(^|\.)({'|'.join(APART)})(\.|$)", name)]


def expand_floors(floors: dict[str, list[str]]) -> dict[str, list[str]]:
    """The floors with the modules that their folders stand for, and a last one with those that none of them names."""
    pages = {title: [name for entry in entries for name in list_modules(entry)] for title, entries in floors.items()}
    named = {name for modules in pages.values() for name in modules}
    further = [name for name in list_modules() if name not in named]
    return pages | ({"Further": further} if further else {})


def main(argv: Sequence[str] | None = None) -> None:
    """Read the two knobs from the command line and build."""
    parser = argparse.ArgumentParser(description="Build build/site from what was executed.")
    parser.add_argument("--profile", default="lab", help="the profile whose results are shown (default: lab)")
    parser.add_argument(
        "--data", default="sample", help='"sample" (the default), "phantom", or the folder of real data sets'
    )
    args = parser.parse_args(argv)
    print(build(args.profile, args.data, ROOT / "build", ROOT / "notebooks", expand_floors(FLOORS)))


if __name__ == "__main__":
    sys.exit(guarded(main)())
