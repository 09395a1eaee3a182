"""The errors that reach a user: bad input (exit code 2), a package that is not installed, a run that failed (1)."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path


class InputError(ValueError):
    """Something the user gave is wrong. The message is one line: what is wrong, where, and what to do."""


class NotFound(InputError):
    """A data set is not in the folder that was given; others may be."""


class RunError(RuntimeError):
    """A run started well and failed on its way, for instance because its loss became NaN."""


def is_first_process() -> bool:
    """Whether this process is the only one, or the first of those that ``torchrun`` has started: it alone speaks."""
    return "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK") == "0"


def require_extra(extra: str, *modules: str) -> None:
    """Raise an InputError if modules of an extra (``pyproject.toml``) are not installed; call it before importing."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise InputError(f"this needs {', '.join(missing)}: {install_extra(extra)}")


def install_extra(extra: str) -> str:
    """What a user types to get an extra."""
    return f'python -m pip install -e ".[{extra}]" in the folder of the repository installs it'


def unknown(kind: str, name: object, known: Iterable[object]) -> InputError:
    """The error for a name that is not known, with the nearest known names (or all, where they are few)."""
    names = [str(one) for one in known]
    near = get_close_matches(str(name), names, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif not names:
        hint = "there are none here"
    elif len(names) <= 20:
        hint = f"known: {', '.join(names)}"
    else:
        hint = f"there are {len(names)} known names, none of them near"
    return InputError(f"unknown {kind} '{name}': {hint}")


def unreadable(path: Path, error: Exception) -> InputError:
    """The error for a file that a decoder could not read, with the first line of what it says."""
    reason = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), type(error).__name__)
    if isinstance(error, UnicodeError):
        return InputError(f"cannot read {path}: this is no text in UTF-8; save it as such")
    if isinstance(error, OSError) and error.errno:  # no such file, a folder, no permission: nothing to fetch
        return InputError(f"cannot read {path}: {reason}")
    if isinstance(error, MemoryError) or type(error).__name__ == "DecompressionBombError":
        return InputError(f"cannot read {path}: the picture or volume is too large ({reason}); make it smaller")
    return InputError(f"cannot read {path}: {reason}; fetch it again")


@contextmanager
def told_where(path: Path) -> Iterator[None]:
    """What the system refuses below ``path``, for instance a folder without permission, becomes an InputError."""
    try:
        yield
    except OSError as error:
        raise unreadable(error.filename or path, error) from error


def show_plain(text: str) -> str:
    """A message in one line: line ends, and what else in a file's name would steer a terminal, are written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def some(names: list[str]) -> str:
    """The first three names, for a message that also counts them."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
