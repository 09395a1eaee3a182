"""For a class: student copies of the notebooks, one archive for a room without a network, nbgrader's source, answers.

The notebooks of the repository are the masters. In them an exercise is a markdown cell with the task, a code cell with
the solution between two comment lines, and the code cells up to the next markdown cell, which check it. Two tags mark
what students do not get: ``answer``, a markdown cell that tells what comes out, and ``hidden-check``, a code cell with
checks on other, tiny inputs. Masters are executed whole, so hidden checks are tested like everything else.
"""

import re
import shutil
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import nbformat
from nbformat import NotebookNode

from m2s import paths
from m2s.errors import InputError, some

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
        found = re.findall(r"^###+ (.+)$", self.task.source, re.M) or re.findall(
            r"^\*\*(\d.*?)\*\*", self.task.source, re.M
        )
        return found[-1] if found else "Exercise"


def tags(cell: NotebookNode) -> set[str]:
    """The tags of a cell."""
    return set(cell.metadata.get("tags", []))


def read_masters(folder: Path | None = None) -> dict[str, NotebookNode]:
    """The notebooks, with their exercises solved, by file name without ``.ipynb``.

    Raises:
        InputError: ``folder`` (by default the checkout's ``notebooks``) has none, or holds student copies.
    """
    folder = folder or paths.ROOT / "notebooks"
    found = {path.stem: nbformat.read(path, as_version=4) for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    if not any(exercises(master) for master in found.values()):
        raise InputError(f"no notebook with solved exercises in {folder}: work in a checkout of the repository")
    return found


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """The exercises of a master, in order."""
    found: list[Exercise] = []
    task, last = None, None
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            if last and ANSWER in tags(cell):
                last.answers.append(cell)
            elif ANSWER not in tags(cell):
                task, last = cell, None
        elif _SOLUTION.search(cell.source):
            last = Exercise(task, cell)
            found.append(last)
        elif last:
            (last.hidden if HIDDEN in tags(cell) else last.checks).append(cell)
    return found


def solutions(source: str) -> list[str]:
    """The code between the marks of a cell, one text for each place."""
    return [dedent(body) for _, body in _SOLUTION.findall(source)]


def student_copy(master: NotebookNode) -> NotebookNode:
    """What a student gets: solutions replaced by a stub; no answers, hidden checks or outputs.

    The cells of an exercise are tagged so that "Run All Cells" goes on after one that is not solved yet.
    """
    copy = deepcopy(master)
    for exercise in exercises(copy):
        for cell in (exercise.solution, *exercise.checks):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), GOES_ON]
        exercise.solution.source = _SOLUTION.sub(rf"\1{STUB}", exercise.solution.source)
    copy.cells = [cell for cell in copy.cells if not tags(cell) & {ANSWER, HIDDEN}]
    return _stripped(copy)


def _stripped(notebook: NotebookNode) -> NotebookNode:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.validate(notebook)
    return notebook


def nbgrader_source(master: NotebookNode) -> NotebookNode:
    """The notebook as nbgrader's ``generate_assignment`` takes it: one point for each exercise.

    The last check of an exercise is the cell that is graded. The hidden checks are put at its end, between nbgrader's
    marks, so that they are cut out of what students get and come back when their work is graded.
    """
    source = deepcopy(master)
    for number, exercise in enumerate(exercises(source), start=1):
        roles = [(exercise.solution, "solution", {"solution": True, "grade": False, "locked": False})]
        graded = exercise.checks[-1]
        roles.append((graded, "check", {"solution": False, "grade": True, "locked": True, "points": 1}))
        for cell, name, role in roles:
            named = {"schema_version": 3, "grade_id": f"exercise{number}-{name}", "task": False}
            cell.metadata["nbgrader"] = named | role
        for cell in exercise.hidden:
            graded.source += f"\n\n### BEGIN HIDDEN TESTS\n{cell.source}\n### END HIDDEN TESTS"
    source.cells = [cell for cell in source.cells if not tags(cell) & {ANSWER, HIDDEN}]
    return _stripped(source)


def write_course(folder: Path) -> list[Path]:
    """An nbgrader course: ``source/NOTEBOOK/NOTEBOOK.ipynb`` for each notebook that has hidden checks, and a config.

    An assignment is a whole notebook: it runs in about a minute and trains nothing.
    """
    written = []
    for stem, master in read_masters().items():
        if any(exercise.hidden for exercise in exercises(master)):
            written.append(folder / "source" / stem / f"{stem}.ipynb")
            _write(written[-1], nbformat.writes(nbgrader_source(master)) + "\n")
    _write(folder / "nbgrader_config.py", CONFIG)
    return written


def answers(masters: dict[str, NotebookNode]) -> str:
    """The teacher's page of answers in Markdown: each solution, and what the cells tagged ``answer`` say."""
    parts = [f"# Answers\n\nFrom the notebooks in `notebooks/`, for the teacher. No part of the archive {TOP}.zip.\n"]
    for master in filter(exercises, masters.values()):
        parts.append("## " + master.cells[0].source.splitlines()[0].lstrip("# ") + "\n")
        for exercise in exercises(master):
            code = re.sub(r"^[ \t]*### (BEGIN|END) SOLUTION\n?", "", exercise.solution.source, flags=re.M)
            parts.append(f"### {exercise.title}\n\n```python\n{code.rstrip()}\n```\n")
            parts += [cell.source + "\n" for cell in exercise.answers]
    return "\n".join(parts)


def write_student(out: Path, profile: str = "lab") -> Path:
    """Write ``student/`` (the copies), ``answers.md`` (for the teacher) and ``m2s-student.zip`` into ``out``.

    The archive holds all that a room without a network needs but the packages of ``requirements.lock``: the copies,
    the library, the published tables, and the profile's finished runs on made-up images with their networks. The
    images themselves are drawn by the library and need no file. Equal contents give an equal archive.

    Raises:
        InputError: a run of the profile has not been trained, or ``out`` cannot be written.
    """
    masters = read_masters()
    copies = {f"{stem}.ipynb": nbformat.writes(student_copy(master)) + "\n" for stem, master in masters.items()}
    kept = dict(_files(profile))
    target = out / f"{TOP}.zip"
    for name, text in copies.items():
        _write(out / "student" / name, text)
    _write(out / "answers.md", answers(masters))
    try:
        with paths.whole_file(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            texts = {"README.md": README} | {f"notebooks/{name}": text for name, text in copies.items()}
            for name in sorted(kept | texts):
                with archive.open(_entry(name), "w") as into:
                    if name in texts:
                        into.write(texts[name].encode())
                    else:
                        with kept[name].open("rb") as content:
                            shutil.copyfileobj(content, into)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from error
    return target


def _files(profile: str) -> Iterator[tuple[str, Path]]:
    """What goes into the archive as it is: name in the archive, and file."""
    for path in _library():
        yield path.relative_to(paths.ROOT).as_posix(), path
    for path in _results(profile):
        yield (Path("results") / path.relative_to(paths.results_root())).as_posix(), path


def _library() -> Iterator[Path]:
    for name in ("LICENSE", "pyproject.toml", "requirements.lock"):
        yield paths.ROOT / name
    for folder in ("m2s", "results/published"):
        for path in (paths.ROOT / folder).rglob("*"):
            parts = path.relative_to(paths.ROOT).parts
            if path.is_file() and not any(p.startswith(".") or p == "__pycache__" for p in parts):
                yield path


def _results(profile: str) -> Iterator[Path]:
    """The finished runs of the profile, and the two tables that notebook 90 takes from 25 and 34. No notebooks."""
    found, lacking = class_runs(profile)
    if lacking:
        raise InputError(
            f"{len(lacking)} of the {len(found) + len(lacking)} runs of profile {profile} have no trained network in "
            f"{paths.results_dir(profile, 'phantom')} ({some(lacking)}): run make reproduce PROFILE={profile} first"
        )
    from m2s.tables import COSTS

    for folder in found:
        yield from (folder / name for name in ("record.json", "scores.csv", "log.csv", "model.safetensors"))
    costs = [paths.results_dir(profile, "phantom") / "tables" / name for name in COSTS]
    yield from (path for path in costs if path.exists())


def class_runs(profile: str) -> tuple[list[Path], list[str]]:
    """The folders of the profile's finished runs on made-up images, and the keys of those without a network."""
    from m2s import runs, studies

    results = paths.results_dir(profile, "phantom")
    wanted = {run.key: runs.folder_of(run, results) for run in studies.runs(profile, "phantom")}
    there = {key: (path / runs.RECORD).exists() and (path / runs.MODEL).exists() for key, path in wanted.items()}
    return [wanted[key] for key in wanted if there[key]], [key for key in wanted if not there[key]]


def _entry(name: str) -> zipfile.ZipInfo:
    """A file of the archive: the same date and rights on every machine; networks as they are, as they do not shrink."""
    entry = zipfile.ZipInfo(f"{TOP}/{name}", (1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr = 3, 0o100644 << 16
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(".safetensors") else zipfile.ZIP_DEFLATED
    return entry


def _write(path: Path, text: str) -> None:
    try:
        with paths.whole_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


CONFIG = f'''"""nbgrader: an assignment for each notebook of m2s that is graded by identities and tiny tensors."""

c = get_config()
c.CourseDirectory.course_id = "m2s"
c.ClearSolutions.code_stub = {{"python": {STUB!r}}}
c.ExecutePreprocessor.timeout = 600
'''

README = """# M2SNet, for a class

Notebooks with exercises, the library `m2s`, and networks that were trained beforehand on made-up images. The images are
drawn as you go. Nothing needs a network but the installation.

## Install, once, with a network

Python 3.11 to 3.13, on Linux several GB. In this folder (on Windows: `.venv\\Scripts\\python`):

```sh
python3 -m venv .venv
.venv/bin/python -m pip install uv
.venv/bin/python -m uv pip install --python .venv/bin/python --require-hashes -r requirements.lock
.venv/bin/python -m uv pip install --python .venv/bin/python --no-deps --no-build-isolation --offline -e .
```

A machine may have an environment with these packages already. Then, in this folder, put its Python in the place of
`.venv/bin/python` below, and `PYTHONPATH="$PWD"` in front of the commands.

## Begin, with or without a network

```sh
.venv/bin/python -m m2s doctor
.venv/bin/python -m jupyterlab notebooks
```

`doctor` says at "class" whether every notebook runs here. Begin with `00_start_here.ipynb`. Where a cell says
`NotImplementedError`, write your own code in its place; the cell below checks it. "Run All Cells" goes on after an
exercise that is not solved yet. Every exercise has a hint that opens with a click.
"""
