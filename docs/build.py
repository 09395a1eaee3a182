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
from nbformat.v4 import new_markdown_cell
from pages import describe_execution, format_binder_link, list_sources, move_links, read_executed

import m2s
from m2s.classroom.copies import make_student_copy
from m2s.cli.guard import guarded
from m2s.errors import InputError, RunError
from m2s.paths import ROOT, data_label, results_dir
from m2s.studies.profiles import find_profile

DOCS = Path(__file__).parent

GROUPS = {
    "Start and units": "0",
    "Data sets": "1",
    "Comparisons": "2",
    "Ablations": "3",
    "Looking inside": "4",
    "LGMSNet": "5",
    "Your own data": "6",
    "Gathered": "9",
}
"""The notebooks by the first digit of their number."""

PAGES = ["notebooks", "results", "tables", "running", "cluster", "data", "teachers", "library"]
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
    source, new, site = target / "site-source", target / "site.partial", target / "site"
    for folder in (source, new):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    copy_pages(source, results_dir(profile, data))
    executed = copy_notebooks(source, notebooks, profile, data)
    write_library(source, floors)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-E", "-d", str(target / "site-doctrees")]
    warnings = target / "site-warnings.txt"
    ended = subprocess.run([*command, "-w", str(warnings), str(source), str(new)], check=False)
    stays = "an older site stays as it was"
    if ended.returncode:
        raise RunError(f"Sphinx ended with {ended.returncode}; its messages are above, and {stays}")
    # Of a file that it cannot copy Sphinx only warns: half a MathJax would leave the equations unset.
    if lost := re.search(r"^.*(?:cannot|Failed to) copy .*$", warnings.read_text(encoding="utf-8"), re.M):
        raise RunError(f"Sphinx could not copy all files ({lost[0]}); {stays}")
    shutil.rmtree(site, ignore_errors=True)
    new.rename(site)
    message = f"{site / 'index.html'}: {len(executed)} notebooks, {sum(executed)} of them executed"
    if any(executed) and data_label(data) == "real":
        message += "\nIt shows images of the data sets: read their licences before you publish it."
    return message


def copy_pages(source: Path, results: Path) -> None:
    """The README, the pages of ``docs/``, the measured and published tables, and the files that the pages link to."""
    (source / "docs").mkdir()
    for name in ("index.md", "conf.py", "site.css"):
        shutil.copy(DOCS / name, source)
    pages = [ROOT / "README.md", *(DOCS / f"{page}.md" for page in PAGES)]
    linked = re.findall(
        r"\]\((?:\.\./)?((?:results|weights)/[^)#]+|CONTRIBUTING\.md)\)",
        "".join(page.read_text(encoding="utf-8") for page in pages),
    )
    for name in [*linked, *(str(page.relative_to(ROOT)) for page in pages)]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    for page, link in (("README.md", "docs/notebooks.md"), ("docs/notebooks.md", "#the-notebooks")):
        text = (source / page).read_text(encoding="utf-8")  # in the site the notebooks' own pages are as executed
        (source / page).write_text(re.sub(r"\]\((docs/)?executed/README\.md\)", f"]({link})", text), "utf-8")
    for table in results.glob("tables/*.md"):
        copy = source / "results" / results.name / "tables" / table.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(table, copy)
    tables = sorted(source.glob("results/*/tables/*.md"))
    add_pages(source / "docs" / "tables.md", [f"/{table.relative_to(source)}" for table in tables], "Measured")
    for title, pattern in (("Speed", "results/bench"), ("Networks", "weights/*"), ("Published", "results/published")):
        readmes = [f"/{page.relative_to(source)}" for page in sorted(source.glob(f"{pattern}/README.md"))]
        add_pages(source / "docs" / "tables.md", readmes, title)
    add_pages(source / "index.md", [*(f"docs/{page}" for page in PAGES), "CONTRIBUTING"])


def add_pages(page: Path, entries: list[str], title: str = "") -> None:
    """Put pages under a page: in its side bar, under a title, in this order."""
    if entries:
        caption = [f":caption: {title}"] * bool(title)
        with open(page, "a", encoding="utf-8") as file:
            file.write("\n".join(["\n```{toctree}", ":hidden:", *caption, "", *entries, "```\n"]))


def copy_notebooks(source: Path, notebooks: Path, profile: str, data: str) -> list[bool]:
    """Write each notebook as it is shown, the drawings, and the groups; the result says for each if it was executed."""
    paths = sorted(notebooks.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise InputError(f"no notebooks in {notebooks}")
    shutil.copytree(ROOT / "notebooks" / "drawings", source / "notebooks" / "drawings")
    (source / "download" / "student").mkdir(parents=True)
    executed = []
    for path in paths:
        notebook, done = prepare_notebook(path, profile, data)
        nbformat.write(notebook, source / "notebooks" / path.name)
        shutil.copy(path, source / "download")
        nbformat.write(make_student_copy(nbformat.read(path, as_version=4)), source / "download/student" / path.name)
        executed.append(done)
    for title, digit in GROUPS.items():
        entries = [f"/notebooks/{path.stem}" for path in paths if path.stem[0] == digit]
        add_pages(source / "docs" / "notebooks.md", entries, title)
    return executed


def prepare_notebook(path: Path, profile: str, data: str) -> tuple[NotebookNode, bool]:
    """A notebook as executed, or its source where it was not, with a note below its title that says which.

    What ``make reproduce`` executed with this profile and data comes first, then the copy in ``docs/executed``. Cells
    with a solution are folded. The note has the links to download the notebook, with and without solutions.
    """
    source = nbformat.read(path, as_version=4)
    executed = read_executed(results_dir(profile, data) / "notebooks" / path.name)
    if executed is None and (executed := read_executed(DOCS / "executed" / path.name)):
        move_links(executed, "../../notebooks/", "")
        move_links(executed, "../../", "../")
    again = f"`make reproduce PROFILE={profile} DATA={'FOLDER' if data_label(data) == 'real' else data}`"
    if executed is None:
        title, note = "Not executed here", f"This page shows the source without results. {again} executes it."
    else:
        title, note = describe_execution(executed)
        if list_sources(executed) != list_sources(source):
            note += f" The notebook has changed since: {again} executes it again."
    notebook = executed or source
    for cell in notebook.cells:
        if "### BEGIN SOLUTION" in cell.source:
            cell.metadata.tags = [*cell.metadata.get("tags", []), "hide-input"]
    links = f"{{download}}`Download the notebook <../download/{path.name}>`, "
    links += f"{{download}}`without the solutions <../download/student/{path.name}>`"
    binder = format_binder_link(path.stem)
    links += f", [open it on Binder]({binder})" * bool(binder)
    notebook.cells.insert(1, new_markdown_cell(f":::{{admonition}} {title}\n{note}\n\n{links}\n:::"))
    return notebook, executed is not None


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
        lines = ["\n## Names that others rely on\n", "```{eval-rst}", ".. autosummary::", "", *names, "```\n"]
        file.write("\n".join(lines))
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
