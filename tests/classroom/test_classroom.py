"""For a class: complete exercises, student copies without a trace of a solution, the archive, and nbgrader."""

import ast
import os
import re
import sys
import zipfile
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
import torch
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from nbclient import NotebookClient
from safetensors.torch import load, save_file

from m2s import paths
from m2s.classroom import archive, copies, nbgrader
from m2s.cli import doctor
from m2s.cli.main import main

MASTERS = copies.read_masters()
GRADED = [stem for stem in MASTERS if stem[:2] in ("01", "02", "03", "04", *map(str, (*range(30, 37), *range(50, 55))))]
TRIVIAL = re.compile(r".{,14}|for\w+inrange\(\w+\):|withtorch\.no_grad\(\):")
"""Pieces that may stand anywhere: short ones, such as ``return x``, and the head of a plain loop or block."""


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def telling(lines: str) -> set[str]:
    """The pieces that would tell what stands in some lines: without spaces, comments, ``return`` and assigned names."""
    found = set()
    for line in lines.splitlines():
        line = re.sub(r"^\s*(return |[\w., \[\]\"]+ [+*]?= )", "", line.split("  #")[0])
        found.add(squeezed(line))
    return {piece for piece in found if not TRIVIAL.fullmatch(piece)}


def secrets(master) -> set[str]:
    """What of a master a student must not find: of solutions (but for what a task tells), answers, hidden checks."""
    found = set()
    for exercise in copies.list_exercises(master):
        task = squeezed(exercise.task.source.split("<details>")[0])
        for body in copies.list_solutions(exercise.solution.source):
            found |= {piece for piece in telling(body) if piece not in task}
        for cell in exercise.hidden:
            found |= {piece for piece in telling(cell.source) if piece.startswith("assert")}
        for cell in exercise.answers:
            found |= {squeezed(sentence) for sentence in re.split(r"(?<=[.?!:])\s", cell.source) if len(sentence) > 25}
    return found


@pytest.fixture(params=MASTERS)
def stem(request):
    return request.param


def test_every_exercise_has_a_task_a_hint_an_expected_result_and_a_check(stem):
    exercises = copies.list_exercises(MASTERS[stem])
    assert exercises
    for exercise in exercises:
        task = exercise.task.source
        assert re.search(r"expected", task, re.I), task
        hint = re.search(r"<details><summary>Hint</summary>\s*(.+?)\s*</details>", task, re.S)
        assert hint and 30 < len(hint[1]) < 500, task
        assert any("assert " in cell.source for cell in exercise.checks), exercise.solution.source
        assert exercise.title != "Exercise", task
    assert len({exercise.title for exercise in exercises}) == len(exercises)


def test_the_notebooks_that_nbgrader_grades_have_hidden_checks_for_every_exercise():
    assert len(GRADED) == 16
    for stem in GRADED:
        for exercise in copies.list_exercises(MASTERS[stem]):
            assert any("assert " in cell.source for cell in exercise.hidden), (stem, exercise.title)


def test_a_student_copy_is_a_whole_notebook_with_stubs(stem):
    copy = copies.make_student_copy(MASTERS[stem])
    nbformat.validate(copy)
    assert copy.cells[1] == MASTERS[stem].cells[1], "the parameters"
    stubs = sum(cell.source.count(copies.STUB) for cell in copy.cells)
    assert stubs == sum(len(copies.list_solutions(cell.source)) for cell in MASTERS[stem].cells)
    for cell in copy.cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)
            assert not cell.outputs and cell.execution_count is None
    for exercise in copies.list_exercises(MASTERS[stem]):  # what was outside of the marks is still there
        for line in re.findall(r"^ *(?:def|class) .*", exercise.solution.source, re.M):
            inside = any(line.strip() in body for body in copies.list_solutions(exercise.solution.source))
            assert inside or any(line in cell.source for cell in copy.cells), line


def test_nothing_of_a_solution_an_answer_or_a_hidden_check_is_left(stem):
    copy = copies.make_student_copy(MASTERS[stem])
    text = squeezed("\n".join(cell.source for cell in copy.cells))
    hidden = secrets(MASTERS[stem])
    assert hidden
    assert {secret for secret in hidden if secret in text} == set()
    assert "SOLUTION" not in text
    assert not any(copies.read_tags(cell) & {copies.ANSWER, copies.HIDDEN} for cell in copy.cells)


def test_the_search_for_leaks_finds_one():
    """It would: with a line of a solution put into a later cell under another name."""
    master = MASTERS["01_subtraction_units"]
    copy = copies.make_student_copy(master)
    copy.cells[-1].source += "\nd = padded.cumsum(0).cumsum(1)"
    text = squeezed("\n".join(cell.source for cell in copy.cells))
    assert [secret for secret in secrets(master) if secret in text] == ["padded.cumsum(0).cumsum(1)"]


@pytest.mark.parametrize("stem", ["04_metrics", "12_lung_ct", "33_kernels"])
def test_an_executed_student_copy_fails_at_its_exercises_and_nowhere_else(stem, tmp_path, monkeypatch):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
    copy = copies.make_student_copy(MASTERS[stem])
    copy.cells[1].source += '\nprofile = "smoke"'
    NotebookClient(copy, timeout=900, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    failed, allowed = [], []
    for cell in copy.cells:
        if copies.GOES_ON in copies.read_tags(cell):
            allowed.append(cell)
        errors = [o for o in cell.get("outputs", []) if o.output_type == "error"]
        if errors:
            failed.append(cell)
            assert (errors[0].ename, len(errors)) == ("NotImplementedError", 1), errors
    checks = [cell for cell in allowed if "### " not in cell.source and copies.STUB not in cell.source]
    assert failed == checks and len(failed) == len(copies.list_exercises(MASTERS[stem])) > 1


@pytest.fixture
def trained(tmp_path, monkeypatch) -> Path:
    """A results folder in which every smoke run seems finished, beside executed notebooks with solutions."""
    from m2s.runs.plan import list_runs

    results = tmp_path / "results"
    monkeypatch.setenv("M2S_RESULTS", str(results))
    for run in list_runs("smoke", "sample"):
        folder = results / "smoke-sample" / "runs" / run.key
        folder.mkdir(parents=True)
        for name in ("record.json", "scores.csv", "log.csv", "events.txt"):
            (folder / name).write_text(f"{name} of {run.key}")
        save_file({"weight": torch.full((3,), 1 / 3), "norm.running_var": torch.ones(1)}, folder / "model.safetensors")
    (results / "smoke-sample" / "notebooks").mkdir()
    (results / "smoke-sample" / "notebooks" / "01_subtraction_units.ipynb").write_text("solved")
    (results / "smoke-sample" / "tables").mkdir()
    (results / "smoke-sample" / "tables" / "25_efficiency.csv").write_text("row")
    return results


def test_the_archive_has_all_that_a_room_needs_and_no_solution(trained, tmp_path, capsys):
    assert main(["student", "--out", str(tmp_path / "build"), "--profile", "smoke"]) == 0
    said = capsys.readouterr().out
    assert f"{len(MASTERS)} notebooks" in said and "m2s-student.zip" in said
    with zipfile.ZipFile(tmp_path / "build" / "m2s-student.zip") as archive:
        assert archive.testzip() is None
        content = {name.removeprefix(f"{copies.TOP}/"): archive.read(name) for name in archive.namelist()}
    assert {"README.md", "LICENSE", "pyproject.toml", "requirements.lock", "m2s/__main__.py"} <= content.keys()
    assert {"m2s/data/sets/lists/busi/busi_fold1-test.txt", "results/published/m2snet_v1_table01.csv"} <= content.keys()
    library = {path.relative_to(paths.ROOT).as_posix() for path in (paths.ROOT / "m2s").rglob("*.py")}
    assert library <= content.keys()
    shown = {name for master in MASTERS.values() for name in re.findall(r"drawings/\w+\.svg", nbformat.writes(master))}
    assert shown and {f"notebooks/{name}" for name in shown} <= content.keys()
    assert all((tmp_path / "build" / "student" / name).exists() for name in shown)
    from m2s.runs.plan import list_runs

    for run in list_runs("smoke", "sample"):
        kept = {Path(name).name for name in content if f"/runs/{run.key}/" in name}
        assert kept == {"record.json", "scores.csv", "log.csv", "model.safetensors"}
        network = load(content[f"results/smoke-sample/runs/{run.key}/model.safetensors"])
        assert {name: tensor.dtype for name, tensor in network.items()} == {
            "weight": torch.float16,
            "norm.running_var": torch.float32,
        }
    assert "results/smoke-sample/tables/25_efficiency.csv" in content
    tops = {name.split("/")[0] for name in content}
    texts = {"README.md", "LICENSE", "pyproject.toml", "requirements.lock"}
    assert tops - {"docs"} == texts | {"m2s", "notebooks", "results", "samples", "weights"}
    committed = {name for name in content if name.startswith("results/full-real/")}
    assert {"results/full-real/runs.csv", "results/full-real/tables/20_polyp_table.csv"} <= committed
    assert not [name for name in committed if name.endswith(".safetensors")]
    notebooks = {name for name in content if name.endswith(".ipynb")}
    assert notebooks == {f"notebooks/{stem}.ipynb" for stem in MASTERS}
    for stem, master in MASTERS.items():
        copy = content[f"notebooks/{stem}.ipynb"]
        assert copy == (tmp_path / "build" / "student" / f"{stem}.ipynb").read_bytes()
        text = squeezed("\n".join(cell.source for cell in nbformat.reads(copy.decode(), as_version=4).cells))
        assert not {secret for secret in secrets(master) if secret in text}, stem
    assert not [name for name in content if "__pycache__" in name or name.endswith((".whl", ".pyc"))]


def test_the_archive_of_the_lab_has_the_size_that_the_teachers_page_says():
    from m2s.runs.build import build_network
    from m2s.runs.plan import list_runs

    networks = [build_network(run, pretrained=False) for run in list_runs("lab", "sample")]
    size = sum(2 * weights.numel() for network in networks for weights in network.parameters())
    committed = [path for folder in archive.FOLDERS for path in (paths.ROOT / folder).rglob("*")]
    committed = [path for path in committed if path.is_file() and "__pycache__" not in path.parts]
    committed = [path for path in committed if path.suffix != ".safetensors" or "weights" in path.parts]
    size += sum(path.stat().st_size for path in committed)
    page = (paths.ROOT / "docs" / "teachers.md").read_text(encoding="utf-8")
    told = int(re.search(r"without a network, about (\d+) MB", page)[1])
    assert size < 150e6 and abs(size / 1e6 - told) < 10


def test_without_room_no_half_archive_is_left_and_the_next_call_makes_it(trained, tmp_path, capsys, no_room):
    """The copies find room, the archive finds none; an older archive stays as it was."""
    arguments = ["student", "--out", str(tmp_path / "build"), "--profile", "smoke"]
    archive = tmp_path / "build" / f"{copies.TOP}.zip"
    for older in (False, True):
        before = archive.read_bytes() if older else None
        with no_room(1_000_000):
            assert main(arguments) == 2
        assert capsys.readouterr().err == f"m2s: error: cannot write {archive}: File too large\n"
        assert (archive.read_bytes() if older else None) == before
        assert sorted(path.name for path in archive.parent.iterdir()) == [
            "answers.md",
            *[archive.name] * older,
            "student",
        ]
        assert main(arguments) == 0


def test_the_same_contents_give_the_same_archive(trained, tmp_path):
    first, second = (archive.write_student(tmp_path / name, "smoke").read_bytes() for name in ("a", "b"))
    assert first == second


def test_the_answers_are_for_the_teacher(trained, tmp_path):
    archive.write_student(tmp_path, "smoke")
    text = (tmp_path / "answers.md").read_text()
    assert "By hand: $4 / (4 + 2\\sigma^2)$" in text
    for master in MASTERS.values():
        for exercise in copies.list_exercises(master):
            assert exercise.title in text
            for body in copies.list_solutions(exercise.solution.source):
                assert squeezed(body) in squeezed(text)
    assert "### BEGIN" not in text


def test_without_trained_runs_one_line_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path / "results"))
    assert main(["student", "--out", str(tmp_path / "build")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "run make reproduce PROFILE=lab first" in error
    assert not (tmp_path / "build").exists()


def test_student_copies_are_no_masters(tmp_path):
    for stem in ("04_metrics", "12_lung_ct"):
        nbformat.write(copies.make_student_copy(MASTERS[stem]), tmp_path / f"{stem}.ipynb")
    with pytest.raises(copies.InputError, match="no notebook with solved exercises"):
        copies.read_masters(tmp_path)


def test_the_course_holds_an_assignment_for_every_graded_notebook(tmp_path):
    written = nbgrader.write_course(tmp_path)
    assert [path.stem for path in written] == GRADED
    for path in written:
        source = nbformat.read(path, as_version=4)
        nbformat.validate(source)
        marked = [cell.metadata.nbgrader for cell in source.cells if "nbgrader" in cell.metadata]
        assert all(mark.schema_version == 3 for mark in marked)
        names = [mark.grade_id for mark in marked]
        assert len(set(names)) == len(names) == 2 * len(copies.list_exercises(MASTERS[path.stem]))
        assert sum(mark.get("points", 0) for mark in marked) == len(names) / 2
        assert not any(copies.read_tags(cell) & {copies.ANSWER, copies.HIDDEN} for cell in source.cells)
        hidden = sum(cell.source.count("### BEGIN HIDDEN TESTS") for cell in source.cells)
        assert hidden >= len(names) / 2
        for cell in source.cells:
            assert "HIDDEN TESTS" not in cell.source or cell.metadata.nbgrader.grade
            for name in re.findall(r"drawings/\w+\.svg", cell.source):
                assert (path.parent / name).exists()


def tiny_master():
    """Two exercises on numbers, in the form of the notebooks."""
    cells = [
        nbformat.v4.new_markdown_cell("# 01 Tiny"),
        nbformat.v4.new_code_cell('profile = "lab"', metadata={"tags": ["parameters"]}),
    ]
    for n, (name, body, shown, hidden) in enumerate(
        [("twice", "2 * x", "twice(1) == 2", "twice(5) == 10"), ("square", "x * x", "square(2) == 4", "square(3) == 9")]
    ):
        solved = f"def {name}(x):\n    ### BEGIN SOLUTION\n    return {body}\n    ### END SOLUTION"
        cells += [
            nbformat.v4.new_markdown_cell(f"### Exercise {n + 1}: {name}\n\nExpected: 2."),
            nbformat.v4.new_code_cell(solved),
            nbformat.v4.new_code_cell(f"assert {shown}"),
            nbformat.v4.new_code_cell(f"assert {hidden}", metadata={"tags": ["hidden-check"]}),
        ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def test_nbgrader_gives_full_points_for_the_solution_and_none_for_the_stub(tmp_path, monkeypatch):
    apps = pytest.importorskip("nbgrader.apps", reason="nbgrader is an extra: pip install '.[classroom]'")
    from traitlets.config import Config

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # it calls alembic
    master = tiny_master()
    source = tmp_path / "source" / "tiny" / "tiny.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(nbgrader.make_nbgrader_source(master), source)
    config = Config()
    config.CourseDirectory.root = str(tmp_path)
    config.CourseDirectory.course_id = "m2s"
    config.ClearSolutions.code_stub = {"python": copies.STUB}
    api = apps.NbGraderAPI(config=config)
    made = api.generate_assignment("tiny", create=True)
    assert made["success"], made
    released = nbformat.read(tmp_path / "release" / "tiny" / "tiny.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in released.cells)
    assert text.count(copies.STUB) == 2 and "assert twice(1) == 2" in text
    for secret in ("2 * x", "x * x", "twice(5)", "square(3)", "HIDDEN", "SOLUTION"):
        assert secret not in text

    works = {  # who hands in what
        "solved": ["return 2 * x", "return x * x"],
        "stub": [copies.STUB, copies.STUB],
        "fitted": ["return 2", "return x * x"],  # passes the visible check alone
    }
    for student, bodies in works.items():
        handed_in = deepcopy(released)
        parts = iter(bodies)
        for cell in handed_in.cells:
            if copies.STUB in cell.source:
                cell.source = cell.source.replace(copies.STUB, next(parts))
        target = tmp_path / "submitted" / student / "tiny" / "tiny.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(handed_in, target)
        graded = api.autograde("tiny", student)
        assert graded["success"], graded
    with api.gradebook as gradebook:
        scores = {s: gradebook.find_submission("tiny", s).score for s in works}
    assert scores == {"solved": 2, "stub": 0, "fitted": 1}


class TestDoctorBeforeClass:
    def test_all_is_there(self, tmp_path, monkeypatch):
        monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
        monkeypatch.setattr(archive, "find_class_runs", lambda profile: ([tmp_path] * 50, []))
        problems = []
        notebooks, kernel, networks = doctor._check_class(problems)
        assert re.fullmatch(rf"{len(MASTERS)} notebooks, which import \d\d packages, all installed", notebooks)
        assert kernel.startswith("kernel python3: ")
        assert networks == "50 of the 50 networks of profile lab are trained" and problems == []

    def test_networks_that_are_missing_are_counted_and_stop_nothing(self, tmp_path, monkeypatch):
        monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
        problems = []
        assert re.match(r"0 of the \d+ networks .* 'not run'; make reproduce", doctor._check_class(problems)[-1])
        assert problems == []

    @pytest.mark.parametrize(
        ("kernel", "words"),
        [(None, "no kernel python3"), ("/other/bin/python", "is another Python, /other/bin/python")],
    )
    def test_a_kernel_that_is_missing_or_of_another_python(self, kernel, words, monkeypatch):
        def find(self, name):
            if kernel is None:
                raise NoSuchKernel(name)
            return KernelSpec(argv=[kernel])

        monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", find)
        problems = []
        doctor._check_class(problems)
        assert len(problems) == 1 and words in problems[0]

    def test_a_package_that_a_notebook_wants(self, tmp_path, monkeypatch):
        monkeypatch.setattr(paths, "ROOT", tmp_path)
        cells = [nbformat.v4.new_code_cell("import no_such_package.part\nfrom pathlib import Path")]
        (tmp_path / "notebooks").mkdir()
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "01_wants.ipynb")
        problems = []
        assert doctor._check_class(problems)[0] == "1 notebooks, which import 2 packages, 1 of them missing"
        assert "no_such_package, which is not installed" in problems[0]


def test_the_teachers_page_has_every_notebook_with_its_minutes_and_exercises():
    page = (paths.ROOT / "docs" / "teachers.md").read_text()
    for stem in MASTERS:
        row = re.search(rf"^\| \[.*\]\(\.\./notebooks/{stem}\.ipynb\) \|(.*)\|$", page, re.M)
        assert row, stem
        minutes, _, exercises, graded = (cell.strip() for cell in row[1].split("|"))
        assert re.search(rf"\b{minutes} minutes to (read|work through|explore)", MASTERS[stem].cells[0].source), stem
        assert int(exercises) == len(copies.list_exercises(MASTERS[stem]))
        assert (graded == "yes") == (stem in GRADED)
