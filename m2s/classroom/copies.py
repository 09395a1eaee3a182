"""For a class: student copies of the notebooks, and the teacher's page of answers.

The notebooks of the repository are the masters. In them an exercise is a markdown cell with the task, a code cell with
the solution between two comment lines, and the code cells up to the next markdown cell, which check it. Two tags mark
what students do not get: ``answer``, a markdown cell that tells what comes out, and ``hidden-check``, a code cell with
checks on other, tiny inputs. Masters are executed whole, so hidden checks are tested like everything else.
"""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import nbformat
from nbformat import NotebookNode

from m2s import paths
from m2s.errors import InputError

ANSWER, HIDDEN, GOES_ON = "answer", "hidden-check", "raises-exception"
"""Tags of cells. The last one is Jupyter's own: "Run All Cells" goes on after an error in such a cell."""

STUB = 'raise NotImplementedError("exercise: write your code here")'
TOP = "m2s-student"
"""The archive's one folder, and the beginning of its name."""

_SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION[ \t]*$", re.M | re.S)


@dataclass
class Exercise:
    """The cells of one exercise, as they stand in their notebook."""

    task: NotebookNode
    solution: NotebookNode
    checks: list[NotebookNode] = field(default_factory=list)
    hidden: list[NotebookNode] = field(default_factory=list)
    answers: list[NotebookNode] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The last heading of the task, or its first words in bold."""
        headings = re.findall(r"^###+ (.+)$", self.task.source, re.M)
        titles = headings or re.findall(r"^\*\*(\d.*?)\*\*", self.task.source, re.M)
        return titles[-1] if titles else "Exercise"


def read_tags(cell: NotebookNode) -> set[str]:
    """The tags of a cell."""
    return set(cell.metadata.get("tags", []))


def read_masters(folder: Path | None = None) -> dict[str, NotebookNode]:
    """The notebooks of a folder, by default the checkout's, with exercises solved, by file name without ``.ipynb``."""
    folder = folder or paths.ROOT / "notebooks"
    masters = {path.stem: nbformat.read(path, as_version=4) for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    if not any(list_exercises(master) for master in masters.values()):
        raise InputError(f"no notebook with solved exercises in {folder}: work in a checkout of the repository")
    return masters


def list_exercises(notebook: NotebookNode) -> list[Exercise]:
    """The exercises of a master, in order."""
    exercises: list[Exercise] = []
    task, last = None, None
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            if last and ANSWER in read_tags(cell):
                last.answers.append(cell)
            elif ANSWER not in read_tags(cell):
                task, last = cell, None
        elif _SOLUTION.search(cell.source):
            last = Exercise(task, cell)
            exercises.append(last)
        elif last:
            (last.hidden if HIDDEN in read_tags(cell) else last.checks).append(cell)
    return exercises


def list_solutions(source: str) -> list[str]:
    """The code between the marks of a cell, one text for each place."""
    return [dedent(body) for _, body in _SOLUTION.findall(source)]


def make_student_copy(master: NotebookNode) -> NotebookNode:
    """What a student gets: solutions replaced by a stub; no answers, hidden checks or outputs.

    The cells of an exercise are tagged so that "Run All Cells" goes on after one that is not solved yet.
    """
    copy = deepcopy(master)
    for exercise in list_exercises(copy):
        for cell in (exercise.solution, *exercise.checks):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), GOES_ON]
        exercise.solution.source = _SOLUTION.sub(rf"\1{STUB}", exercise.solution.source)
    return strip_hidden(copy)


def strip_hidden(notebook: NotebookNode) -> NotebookNode:
    """The notebook itself, without answers, hidden checks and outputs, checked to be a valid one."""
    notebook.cells = [cell for cell in notebook.cells if not read_tags(cell) & {ANSWER, HIDDEN}]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.validate(notebook)
    return notebook


def format_answers(masters: dict[str, NotebookNode]) -> str:
    """The teacher's page of answers in Markdown: each solution, and what the cells tagged ``answer`` say."""
    parts = [f"# Answers\n\nFrom the notebooks in `notebooks/`, for the teacher. No part of the archive {TOP}.zip.\n"]
    for master in filter(list_exercises, masters.values()):
        parts.append("## " + master.cells[0].source.splitlines()[0].lstrip("# ") + "\n")
        for exercise in list_exercises(master):
            code = re.sub(r"^[ \t]*### (BEGIN|END) SOLUTION\n?", "", exercise.solution.source, flags=re.M)
            parts.append(f"### {exercise.title}\n\n```python\n{code.rstrip()}\n```\n")
            parts += [cell.source + "\n" for cell in exercise.answers]
    return "\n".join(parts)


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """As :func:`m2s.paths.whole_file`, with an :class:`m2s.errors.InputError` where the file cannot be written."""
    try:
        with paths.whole_file(path) as temporary:
            yield temporary
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def write_texts(texts: dict[Path, str], archive: Path | None = None) -> None:
    """Write whole files in UTF-8, and none if one of them, or ``archive``, would replace a file of the user's.

    Older files are replaced in the checkout's ``build/`` alone; elsewhere only an equal one, or an older archive.
    """

    def is_own(path: Path) -> bool:
        if path.resolve().is_relative_to(paths.ROOT / "build"):
            return True
        if path == archive:
            with zipfile.ZipFile(path) as opened:
                return all(name.startswith(f"{TOP}/") for name in opened.namelist())
        return path.read_text(encoding="utf-8") == texts[path]

    paths.check_outputs([*texts, *([archive] if archive else [])], is_own=is_own)
    for path, text in texts.items():
        with write_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
