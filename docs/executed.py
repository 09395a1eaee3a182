"""The notebooks as executed, small enough to be read in the repository: ``make executed`` writes ``docs/executed``.

They are what ``make reproduce`` executed with the same two knobs. Only images that may be passed on are shown: those of
``samples/``, and made-up ones.
"""

import argparse
import base64
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from pages import NOTE, describe_execution, format_binder_link, move_links, read_executed
from PIL import Image

from m2s.cli.guard import guarded
from m2s.errors import InputError
from m2s.paths import ROOT, data_label, results_dir, whole_file

TARGET = ROOT / "docs" / "executed"
LIMIT = 12e6
"""Bytes of the whole folder."""
WIDTH, QUALITY, CHART = 1000, 75, 2048
"""Of a picture: the largest width in pixels; the quality of a JPEG; the most colors of a chart."""
TOP = """# The notebooks as executed

To read on the web, with results and pictures. `make executed` writes this folder anew from what `make reproduce`
executed; to run and change a notebook, take the one in `notebooks/`.

| notebook | profile, images | executed | seconds |
|---|---|---|---|
"""


def write_executed(results: Path, target: Path) -> int:
    """Write the small copy of every notebook that was executed in ``results``, and a README that lists them.

    A notebook that was not executed keeps the copy that is there.

    Returns:
        The bytes of the whole folder.

    Raises:
        InputError: nothing was executed, or the folder is larger than ``LIMIT``.
    """
    executed = {path.name: read_executed(path) for path in sorted(results.glob("notebooks/[0-9][0-9]_*.ipynb"))}
    if not any(executed.values()):
        raise InputError(f"no executed notebook in {results / 'notebooks'}: run make reproduce first")
    for name, notebook in executed.items():
        if notebook:
            with whole_file(target / name) as temporary:
                nbformat.write(make_small(notebook, name), temporary)
    lines = [format_line(path) for path in sorted(target.glob("[0-9][0-9]_*.ipynb"))]
    with whole_file(target / "README.md") as temporary:
        temporary.write_text(TOP + "\n".join(lines) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in target.iterdir())
    if size > LIMIT:
        raise InputError(f"{target} has {size / 1e6:.1f} MB, more than {LIMIT / 1e6:.0f}: lower WIDTH or QUALITY")
    return size


def make_small(notebook: NotebookNode, name: str) -> NotebookNode:
    """The notebook itself with small pictures, a note below its title, and links that hold in ``docs/executed``."""
    kept = {key: notebook.metadata[key] for key in ("kernelspec", "language_info", "m2s")}
    notebook.metadata = nbformat.from_dict(kept)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in cell.metadata.keys() & {"tags"}})
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data |= shrink_picture(output.data.pop("image/png"))
    move_links(notebook, "../", "../../")
    move_links(notebook, "drawings/", "../../notebooks/drawings/")
    binder = format_binder_link(Path(name).stem)
    note = f"> {'. '.join(describe_execution(notebook))} To run it: [notebooks/{name}](../../notebooks/{name})"
    note += f" · [![Binder](https://mybinder.org/badge_logo.svg)]({binder})" * bool(binder)
    notebook.cells.insert(1, new_markdown_cell(note, metadata={"tags": [NOTE]}, id=NOTE))
    return notebook


def shrink_picture(png: str) -> dict[str, str]:
    """A picture at most ``WIDTH`` pixels wide, by its kind, in base64: charts as PNG, photographs as JPEG.

    The palette of a PNG would take the color of thin outlines over a photograph.
    """
    picture = Image.open(BytesIO(base64.b64decode(png))).convert("RGBA")
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    if picture.width > WIDTH:
        picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
    small = BytesIO()
    if picture.getcolors(CHART):
        picture.quantize(256).save(small, "PNG", optimize=True)
    else:
        picture.save(small, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return {Image.open(small).get_format_mimetype(): base64.b64encode(small.getvalue()).decode()}


def format_line(path: Path) -> str:
    """The line of the README's table for one notebook."""
    notebook = nbformat.read(path, as_version=4)
    title, run = notebook.cells[0].source.splitlines()[0].lstrip("# "), notebook.metadata.m2s
    binder = format_binder_link(path.stem)
    badge = f" [![Binder](https://mybinder.org/badge_logo.svg)]({binder})" * bool(binder)
    return f"| [{title}]({path.name}){badge} | {run.profile}, {run.data} | {run.date} | {run.seconds} |"


def main(argv: Sequence[str] | None = None) -> None:
    """Read the two knobs from the command line and write ``docs/executed``."""
    parser = argparse.ArgumentParser(description="Write docs/executed from what was executed.")
    parser.add_argument("--profile", default="lab", help="the profile whose notebooks are taken (default: lab)")
    parser.add_argument("--data", default="sample", help="sample (the default) or phantom")
    args = parser.parse_args(argv)
    if data_label(args.data) == "real":
        raise InputError("images of other data sets may not be passed on: give sample or phantom as --data")
    size = write_executed(results_dir(args.profile, args.data), TARGET)
    print(f"{TARGET}: {len(list(TARGET.glob('*.ipynb')))} notebooks, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(guarded(main)())
