"""The package's public names, and that naming it costs nothing until something is used."""

import subprocess
import sys

import pytest

import m2s


def test_every_public_name_is_there():
    assert all(callable(getattr(m2s, name)) for name in m2s.__all__)
    assert set(m2s.__all__) <= set(dir(m2s))
    assert m2s.paths.data_label("phantom") == "phantom"
    with pytest.raises(AttributeError, match="no attribute 'create_modell'"):
        _ = m2s.create_modell


def test_importing_the_package_does_not_import_torch():
    code = "import sys, m2s; assert 'torch' not in sys.modules; m2s.structure_loss; assert 'torch' in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
