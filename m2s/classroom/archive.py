"""One archive for a room without a network: notebooks, library, data and trained networks."""

import re
import zipfile
from pathlib import Path

import nbformat

from m2s import paths
from m2s.classroom.copies import TOP, format_answers, make_student_copy, read_masters, write_texts, write_whole
from m2s.errors import InputError, some

FOLDERS = ["m2s", "samples", "weights", "notebooks/drawings"]
FOLDERS += ["results/bench", "results/published", "results/full-real/runs", "results/full-real/tables"]
FOLDERS += ["results/large-real/runs"]
"""The folders of the repository that are in the archive as they are."""


def write_student(out: Path, profile: str = "lab") -> Path:
    """Write ``student/`` (the copies), ``answers.md`` (for the teacher) and ``m2s-student.zip`` into ``out``.

    The archive holds all that a room without a network needs but the packages of ``requirements.lock``: the copies,
    the library, the sample of real images, the drawings, the published tables, the committed results and networks, and
    the profile's finished runs on the sample with their networks in float16. Made-up images are drawn by the library
    and need no file. Equal contents give an equal archive.
    """
    masters = read_masters()
    copies = {f"{stem}.ipynb": nbformat.writes(make_student_copy(master)) + "\n" for stem, master in masters.items()}
    kept = _list_files(profile)
    texts = {"README.md": README} | {f"notebooks/{name}": text for name, text in copies.items()}
    target = out / f"{TOP}.zip"
    written = {out / "student" / name: text for name, text in copies.items()}
    for drawing in (paths.ROOT / "notebooks" / "drawings").glob("*.svg"):
        written[out / "student" / "drawings" / drawing.name] = drawing.read_text(encoding="utf-8")
    write_texts(written | {out / "answers.md": format_answers(masters)}, target)
    with write_whole(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(kept | texts):
            content = texts[name].encode() if name in texts else _read_file(kept[name])
            archive.writestr(_make_entry(name), content)
    return target


def _list_files(profile: str) -> dict[str, Path]:
    """The files of the archive, by their names there, but for the notebooks and its README."""
    trained, lacking = find_class_runs(profile)
    if lacking:
        raise InputError(
            f"{len(lacking)} of the {len(trained) + len(lacking)} runs of profile {profile} have no trained network in "
            f"{paths.results_dir(profile, 'sample')} ({some(lacking)}): run make reproduce PROFILE={profile} first"
        )
    from m2s.runs.store import MODEL, RECORD, SCORES
    from m2s.tables.cells import COSTS

    library = [paths.ROOT / name for name in ("LICENSE", "pyproject.toml", "requirements.lock")]
    library += [*(paths.ROOT / "results/full-real").glob("*.csv")]
    library += [path for folder in FOLDERS for path in (paths.ROOT / folder).rglob("*")]
    files = {path.relative_to(paths.ROOT).as_posix(): path for path in library if path.is_file()}
    left_out = rf"(^|/)(\.|__pycache__/)|^results/.*{re.escape(MODEL)}$"  # networks that are not committed
    files = {name: path for name, path in files.items() if not re.search(left_out, name)}
    results = [folder / name for folder in trained for name in (RECORD, SCORES, "log.csv", MODEL)]
    tables = [paths.results_dir(profile, "sample") / "tables" / name for name in COSTS]
    results += [table for table in tables if table.exists()]
    return files | {f"results/{path.relative_to(paths.results_root()).as_posix()}": path for path in results}


def _read_file(path: Path) -> bytes:
    """The bytes of a file; of a run's network, those of the same network in float16."""
    from safetensors.torch import load_file, save

    from m2s.pretrained import halve_state
    from m2s.runs.store import MODEL

    return save(halve_state(load_file(path))) if path.name == MODEL else path.read_bytes()


def find_class_runs(profile: str) -> tuple[list[Path], list[str]]:
    """The folders of the profile's finished runs on the sample, and the keys of those without a network."""
    from m2s.runs.plan import list_runs
    from m2s.runs.store import MODEL, RECORD, run_folder

    results = paths.results_dir(profile, "sample")
    trained, lacking = [], []
    for run in list_runs(profile, "sample"):
        folder = run_folder(run, results)
        if (folder / RECORD).exists() and (folder / MODEL).exists():
            trained.append(folder)
        else:
            lacking.append(run.key)
    return trained, lacking


def _make_entry(name: str) -> zipfile.ZipInfo:
    """A file of the archive: the same date and rights on every machine; networks as they are, as they do not shrink."""
    entry = zipfile.ZipInfo(f"{TOP}/{name}", (1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr = 3, 0o100644 << 16
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(".safetensors") else zipfile.ZIP_DEFLATED
    return entry


README = """# M2SNet, for a class

Notebooks with exercises, the library `m2s`, a sample of real images (`samples/README.md` has their licences), and
networks that were trained beforehand. Made-up images are drawn as you go. Nothing needs a network but the installation.

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
