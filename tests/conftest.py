"""Fixtures: the recorded golden figures, and real data and weights where a machine has them."""

import json
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent


def _found(variable: str, folder: str) -> Path | None:
    candidates = [Path(os.environ[variable])] if os.environ.get(variable) else []
    candidates.append(HERE.parents[1] / "shared" / folder)
    return next((c for c in candidates if c.is_dir()), None)


@pytest.fixture
def real_data() -> Path:
    found = _found("M2S_DATA", "data")
    if found is None:
        pytest.skip("no real data: set M2S_DATA to a folder of data sets")
    return found


@pytest.fixture
def real_weights(monkeypatch) -> Path:
    found = _found("M2S_WEIGHTS", "weights")
    if found is None:
        pytest.skip("no weights folder: set M2S_WEIGHTS")
    monkeypatch.setenv("M2S_WEIGHTS", str(found))
    return found


@pytest.fixture(scope="session")
def golden_json() -> dict:
    return json.loads((HERE / "golden" / "released_128.json").read_text())


@pytest.fixture(scope="session")
def golden_npz() -> dict[str, np.ndarray]:
    return dict(np.load(HERE / "golden" / "released_128.npz"))


@pytest.fixture
def no_room():
    """``with no_room(1000):`` no file can grow above so many bytes: the system refuses, as where a disk is full."""

    @contextmanager
    def limit(most: int):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit
