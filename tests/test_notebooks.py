"""Every committed notebook keeps to the form: stripped, parameters first, complete exercises."""

import ast
import re

import nbformat
import pytest

from m2s.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def source(cell) -> str:
    return "".join(cell.source)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    found = nbformat.read(request.param, as_version=nbformat.NO_CONVERT)
    nbformat.validate(found)
    return found


def test_there_are_notebooks_with_numbers_of_their_own():
    numbers = [re.match(r"(\d\d)_\w+$", path.stem)[1] for path in NOTEBOOKS]
    assert numbers and len(set(numbers)) == len(numbers)


def test_is_stripped(notebook):
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert set(notebook.metadata.language_info) == {"name"}
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None


def test_runs_on_the_kernel_of_its_environment(notebook):
    assert notebook.metadata.kernelspec.name == "python3"


def test_first_cell_names_the_topic_the_minutes_and_the_device(notebook, request):
    first = notebook.cells[0]
    number = request.node.callspec.params["notebook"].stem[:2]
    assert first.cell_type == "markdown" and re.match(rf"# {number}\b", source(first))
    assert "you will learn" in source(first) and "\n- " in source(first)
    assert "minute" in source(first) and re.search(r"\b[CG]PU\b", source(first))


def test_second_cell_holds_the_parameters_as_plain_literals(notebook):
    tagged = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == [1]
    values = {}
    for statement in ast.parse(source(notebook.cells[1])).body:
        assert isinstance(statement, ast.Assign), ast.unparse(statement)
        values[statement.targets[0].id] = ast.literal_eval(statement.value)
    assert values["profile"] == "lab" and values["data"] == "sample"


def test_exercises_have_whole_solutions(notebook):
    solutions = 0
    for cell in notebook.cells:
        marks = re.findall(r"^\s*### (BEGIN|END) SOLUTION\s*$", source(cell), re.M)
        assert marks == ["BEGIN", "END"] * (len(marks) // 2), source(cell)
        assert len(marks) == source(cell).count("SOLUTION"), source(cell)
        assert not marks or cell.cell_type == "code"
        solutions += bool(marks)
    mentioned = any(re.search(r"^#+ .*exercise", source(cell), re.M | re.I) for cell in notebook.cells)
    assert bool(solutions) == mentioned, "exercises and solutions go together"


def test_names_no_place_of_one_machine(notebook):
    for cell in notebook.cells:
        assert not re.search(r"/(home|root|work|tmp|Users)/", source(cell)), source(cell)
