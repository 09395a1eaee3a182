"""What holds for every file, of two dimensions or three: its values are numbers, and its labels are whole ones."""

from pathlib import Path

import numpy as np

from m2s.errors import InputError


def check_finite(values: np.ndarray, name: str | Path) -> None:
    """Raise an ``InputError`` that counts the values that are NaN or infinite."""
    if values.dtype.kind in "fc" and (wrong := np.count_nonzero(~np.isfinite(values))):
        raise InputError(f"{name} holds {wrong} values that are no numbers (NaN or infinity): write numbers there")


def to_indices(values: np.ndarray, classes: int, name: str | Path) -> np.ndarray:
    """A mask of several classes as uint8 of 0 to ``classes``; what is within 0.01 of a whole number is that number.

    Raises:
        InputError: another value.
    """
    check_finite(values, name)
    rounded = np.rint(values) if values.dtype.kind == "f" else values
    wrong = (rounded < 0) | (rounded > classes) | (np.abs(values - rounded) > 0.01)
    if wrong.any():
        raise InputError(f"{name} holds the value {values[wrong][0]:.6g}, but the classes are 0 to {classes}")
    return rounded.astype(np.uint8)
