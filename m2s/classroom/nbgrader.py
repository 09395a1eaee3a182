"""The notebooks as an nbgrader course, with hidden checks."""

import re
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from m2s.classroom import copies
from m2s.paths import ROOT


def make_nbgrader_source(master: NotebookNode) -> NotebookNode:
    """The notebook as nbgrader's ``generate_assignment`` takes it: one point for each exercise.

    The last check of an exercise is the cell that is graded. The hidden checks are put at its end, between nbgrader's
    marks, so that they are cut out of what students get and come back when their work is graded.
    """
    source = deepcopy(master)
    for number, exercise in enumerate(copies.list_exercises(source), start=1):
        graded = exercise.checks[-1]
        solution = {"solution": True, "grade": False, "locked": False}
        check = {"solution": False, "grade": True, "locked": True, "points": 1}
        for cell, name, role in ((exercise.solution, "solution", solution), (graded, "check", check)):
            named = {"schema_version": 3, "grade_id": f"exercise{number}-{name}", "task": False}
            cell.metadata["nbgrader"] = named | role
        for cell in exercise.hidden:
            graded.source += f"\n\n### BEGIN HIDDEN TESTS\n{cell.source}\n### END HIDDEN TESTS"
    return copies.strip_hidden(source)


def write_course(folder: Path) -> list[Path]:
    """An nbgrader course: ``source/NOTEBOOK/NOTEBOOK.ipynb`` for each notebook that has hidden checks, and a config.

    An assignment is a whole notebook: it runs in about a minute and trains nothing.
    """
    notebooks, drawings = {}, {}
    for stem, master in copies.read_masters().items():
        if any(exercise.hidden for exercise in copies.list_exercises(master)):
            path = folder / "source" / stem / f"{stem}.ipynb"
            notebooks[path] = nbformat.writes(make_nbgrader_source(master)) + "\n"
            for name in re.findall(r"\]\((drawings/\w+\.svg)\)", nbformat.writes(master)):
                drawings[path.parent / name] = (ROOT / "notebooks" / name).read_text(encoding="utf-8")
    copies.write_texts(notebooks | drawings | {folder / "nbgrader_config.py": CONFIG})
    return list(notebooks)


CONFIG = f'''"""nbgrader: an assignment for each notebook of m2s that is graded by identities and tiny tensors."""

c = get_config()
c.CourseDirectory.course_id = "m2s"
c.ClearSolutions.code_stub = {{"python": {copies.STUB!r}}}
c.ExecutePreprocessor.timeout = 600
'''
