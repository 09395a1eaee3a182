"""The package's public names, and that naming it costs nothing until something is used."""

import subprocess
import sys

import pytest

import m2s

PUBLIC = {
    "LossNet", "MultiScaleSubtractionUnit", "SegmentationLoss", "SubtractionUnit", "capture", "create_model",
    "list_models", "list_pretrained", "load_pretrained", "load_released", "predict", "results_dir", "score",
    "structure_loss",
}  # fmt: skip


def test_every_public_name_is_there():
    assert set(m2s.__all__) >= PUBLIC  # names may come, and none goes: others rely on them
    assert all(callable(getattr(m2s, name)) for name in m2s.__all__)
    assert set(m2s.__all__) <= set(dir(m2s))
    assert [m2s.paths.data_label(data) for data in ("sample", "phantom")] == ["sample", "phantom"]
    with pytest.raises(AttributeError, match="no attribute 'create_modell'"):
        _ = m2s.create_modell


def test_importing_the_package_does_not_import_torch():
    code = "import sys, m2s; assert 'torch' not in sys.modules; m2s.structure_loss; assert 'torch' in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("package", ["m2s.studies", "m2s.tables", "m2s.phantoms", "m2s.runs.plan"])
def test_definitions_tables_and_made_up_images_need_no_torch(package):
    code = f"""
import importlib, pkgutil, sys
package = importlib.import_module({package!r})
for module in pkgutil.iter_modules(getattr(package, "__path__", []), "{package}."):
    importlib.import_module(module.name)
sys.exit("torch" in sys.modules)"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
