"""The checkout, its commit, and where results live: one folder per profile and kind of data."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The checkout that this package runs from.

:meta hide-value:
"""


def data_label(data: str | Path) -> str:
    """``"phantom"`` for made-up images, ``"real"`` for any folder of data sets."""
    return "phantom" if str(data) == "phantom" else "real"


def results_root() -> Path:
    """The folder of all results: the variable ``M2S_RESULTS``, or ``results/`` in the checkout."""
    return Path(os.environ.get("M2S_RESULTS") or ROOT / "results").resolve()


def results_dir(profile: str, data: str | Path) -> Path:
    """The results of one profile on one kind of data, for instance ``results/lab-phantom``."""
    return results_root() / f"{profile}-{data_label(data)}"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to that replaces ``path`` at the end: a reader finds the old file or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@cache
def commit() -> str | None:
    """The checkout's git commit; ``None`` where it is no checkout or there is no git."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return None
    asked = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else None
