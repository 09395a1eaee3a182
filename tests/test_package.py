"""The package's public names, and that naming it costs nothing until something is used."""

import os
import subprocess
import sys
import textwrap

import pytest
from PIL import Image

import m2s
from m2s import paths

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


EXTRAS = {
    "IPython", "ipykernel", "ipywidgets", "jupyter_client", "jupyterlab", "nbformat", "papermill", "snakemake",
    "snakemake_interface_logger_plugins",
}  # fmt: skip
"""Modules of the extras that a core install lacks."""

HIDE = """
import builtins, importlib.metadata, os, signal, sys
import m2s.cli.main

real = builtins.__import__
def hidden(name, where=None, *rest, **more):
    # What Python and other packages import is theirs: on Windows they go other ways.
    of_posix = name in {posix!r} and str((where or {{}}).get("__name__")).startswith("m2s")
    if of_posix or name.partition(".")[0] in {extras!r}:
        raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)
    return real(name, where, *rest, **more)
builtins.__import__ = hidden
found = list(importlib.metadata.distributions())
importlib.metadata.distributions = lambda: [one for one in found if one.name.replace("-", "_") not in {extras!r}]
for name in {extras!r}:
    sys.modules[name] = None  # for find_spec
for name in ("fork", "killpg", "setsid", "getpgid", "sched_getaffinity"):
    hasattr(os, name) and delattr(os, name)
hasattr(signal, "SIGHUP") and delattr(signal, "SIGHUP")
import m2s.cli.estimates
m2s.cli.estimates.measure_seconds_per_image = lambda run: 0.1  # it takes a minute
sys.exit(m2s.cli.main.main(sys.argv[1:]))
"""


@pytest.fixture
def core(tmp_path):
    """A function that calls ``m2s`` as if the extras, and what only POSIX has, were not there."""

    def call(*arguments) -> subprocess.CompletedProcess:
        code = HIDE.format(posix={"fcntl", "grp", "pwd", "resource", "termios"}, extras=EXTRAS)
        environment = os.environ | {"M2S_RESULTS": str(tmp_path / "results"), "PYTHONIOENCODING": "ascii"}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return call


def test_a_core_install_trains_and_predicts(core, tmp_path):
    trained = core("train", "--profile", "smoke", "--data", "phantom", "--epochs", 1)
    assert trained.returncode == 0, trained.stderr
    folder = trained.stdout.splitlines()[-1]
    Image.new("RGB", (70, 50)).save(tmp_path / "a.png")
    predicted = core("predict", tmp_path / "a.png", "--network", folder, "--out", tmp_path / "maps")
    assert predicted.returncode == 0, predicted.stderr
    assert [path.suffix for path in (tmp_path / "maps").iterdir()] == [".png"]


def test_the_installed_package_carries_networks_samples_and_tables(tmp_path):
    build = ["setup.py", "-q", "build", "--build-base", str(tmp_path / "base"), "--build-lib", str(tmp_path / "lib")]
    subprocess.run([sys.executable, *build], cwd=paths.ROOT, check=True, capture_output=True)
    code = """
        import m2s
        from m2s.data import load_images
        from m2s.paths import CARRIED, ROOT
        from m2s.studies import STUDIES
        assert CARRIED == ROOT / "m2s" / "carried", (CARRIED, ROOT)
        assert "m2snet-polyps" in m2s.list_pretrained()
        assert len(load_images("kvasir", "test", root=CARRIED / "samples")) == 100
        assert STUDIES["polyps"].metrics
    """
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "lib")}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, env=environment, check=True)


def test_a_core_installs_doctor_runs(core):
    ended = core("doctor")
    assert "extra notebooks, for the notebooks and the explorer: without " in ended.stdout
    assert ended.stdout.endswith("ready: m2s predict and m2s train\n")
    assert "class (with these, no notebook needs a network)\n  needs the extra notebooks" in ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [(("reproduce", "--profile", "smoke"), "reproduce"), (("student", "--out", "build-of-nothing"), "notebooks")],
)
def test_what_an_extra_is_needed_for_says_so_in_one_line(core, arguments, extra):
    ended = core(*arguments)
    assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("m2s: error: this needs ") and f'pip install -e ".[{extra}]"' in ended.stderr


@pytest.mark.parametrize(
    ("package", "module"), [("explorer", "ipywidgets"), ("tables", "IPython"), ("classroom", "nbformat")]
)
def test_a_package_without_its_extra_says_so(package, module):
    code = f"import sys; sys.modules[{module!r}] = None\nimport m2s.{package}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f'InputError: this needs {module}: python -m pip install -e ".[notebooks]"' in ended.stderr
