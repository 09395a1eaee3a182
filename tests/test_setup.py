"""The project installs itself: the lock, the conda environment, the Makefile and continuous integration agree."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from m2s.paths import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins() -> list[tuple[Requirement, str]]:
    """Every requirement of the lock with the lines of its hashes."""
    parts = re.split(r"\n(?=[a-z0-9])", LOCK.strip())
    return [(Requirement(part.split(" \\\n")[0]), part) for part in parts]


def test_every_line_of_the_lock_is_pinned_and_hashed():
    assert len(pins()) > 100
    for requirement, text in pins():
        assert [s.operator for s in requirement.specifier] == ["=="], requirement
        assert "--hash=sha256:" in text, requirement
        hashes = text.split(" \\\n")[1:]
        assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}", line) for line in hashes), requirement


def test_the_lock_names_no_host_and_no_index():
    for trace in ("://", "index-url", "find-links", "trusted-host", "@ file", ".internal"):
        assert trace not in LOCK
    assert not [line for line in LOCK.splitlines() if line.startswith(("-", "#"))]


def test_the_lock_covers_every_dependency_within_its_bounds():
    extras = [
        one
        for name, extra in PROJECT["optional-dependencies"].items()
        if name not in ("foundation", "nnunet")
        for one in extra
    ]
    wanted = [one for one in map(Requirement, PROJECT["dependencies"] + extras) if one.name != "m2s"]
    locked: dict[str, list[Requirement]] = {}
    for requirement, _ in pins():
        locked.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    for requirement in wanted:
        found = locked.get(canonicalize_name(requirement.name), [])
        assert found, f"{requirement} is not in the lock: make lock"
        for pin in found:
            assert requirement.specifier.contains(next(iter(pin.specifier)).version), f"{pin} against {requirement}"


def test_the_build_backend_is_in_the_lock():
    """The package itself is installed without build isolation, so that nothing unpinned is fetched."""
    assert "setuptools" in {requirement.name for requirement, _ in pins()}


def test_the_conda_environment_installs_the_same_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["--require-hashes", "-r requirements.lock"]}
    python = next(d for d in conda if d.startswith("python=")).removeprefix("python=")
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python)


def test_citation_is_whole():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"]
    titles = " ".join(reference["title"] for reference in citation["references"])
    assert "M2SNet" in titles and "Automatic Polyp Segmentation" in titles and "dual-level multiscale" in titles


def test_continuous_integration_runs_make_test(tmp_path):
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    (tmp_path / ".ci").mkdir()
    shutil.copy(script, tmp_path / ".ci" / "run")
    (tmp_path / "Makefile").write_text(".venv/.installed:\n\t@true\ntest:\n\t@echo tested\n\t@exit $(CODE)\n")
    for code in (0, 3):
        command = ["bash", tmp_path / ".ci" / "run"]
        ended = subprocess.run(
            command, env=os.environ | {"CODE": str(code)}, capture_output=True, text=True, check=False
        )
        assert "tested" in ended.stdout and bool(ended.returncode) == bool(code)


@pytest.fixture
def checkout(tmp_path):
    """A bare checkout, as far as the Makefile is concerned."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(checkout, *arguments) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    command = ["make", *arguments]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not shutil.which("make"), reason="no make on this machine")
class TestMakefile:
    def test_a_bare_checkout_installs_the_lock_first(self, checkout):
        plan = make(checkout, "-n", "test").stdout
        assert plan.index("--require-hashes --compile-bytecode --requirement requirements.lock") < plan.index(
            "-m pytest"
        )
        assert "--no-deps" in plan

    def test_a_second_call_starts_no_installation(self, checkout):
        (checkout / ".venv").mkdir()
        (checkout / ".venv" / ".installed").touch()
        for target in ("test", "reproduce", "lab"):
            plan = make(checkout, "-n", target)
            assert plan.returncode == 0 and "install" not in plan.stdout, plan.stdout

    def test_a_changed_lock_and_an_interrupted_installation_start_one(self, checkout):
        (checkout / ".venv").mkdir()
        (checkout / ".venv" / ".installing").touch()
        assert "pip install" in make(checkout, "-n", "test").stdout
        (checkout / ".venv" / ".installed").touch()
        later = (checkout / ".venv" / ".installed").stat().st_mtime + 10
        os.utime(checkout / "requirements.lock", (later, later))
        assert "pip install" in make(checkout, "-n", "test").stdout

    def test_a_python_that_is_too_old_is_named_in_one_line(self, checkout):
        old = checkout / "python3.8"
        old.write_text("#!/bin/sh\nexit 1\n")  # says no to the question for its version, as an old one does
        old.chmod(0o755)
        ended = make(checkout, "test", f"PYTHON={old}")
        assert ended.returncode == 2 and not (checkout / ".venv").exists()
        assert f"m2s: error: {old} is not Python 3.11, 3.12 or 3.13" in ended.stderr.splitlines()[0]

    def test_reproduce_passes_its_two_knobs(self, checkout):
        (checkout / ".venv").mkdir()
        (checkout / ".venv" / ".installed").touch()
        assert '-m m2s reproduce --profile lab --data "sample"' in make(checkout, "-n", "reproduce").stdout
        plan = make(checkout, "-n", "reproduce", "PROFILE=full", "DATA=/data/my polyps").stdout
        assert '-m m2s reproduce --profile full --data "/data/my polyps"' in plan

    def test_help_names_every_target(self, checkout):
        text = (checkout / "Makefile").read_text()
        phony = set(re.search(r"^\.PHONY: (.*)$", text, re.M)[1].split())
        assert {line.split()[1] for line in make(checkout).stdout.splitlines()} == phony


def test_this_python_is_one_that_the_project_allows():
    version = ".".join(map(str, sys.version_info[:2]))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version)


def test_hooks_download_nothing():
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]:
        assert repository["repo"] == "local"
        assert all(hook["language"] == "system" for hook in repository["hooks"])


def test_the_workflow_runs_what_continuous_integration_runs():
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]["test"]
    assert job["steps"][-1] == {"run": ".ci/run"}
    for version in job["strategy"]["matrix"]["python"]:
        assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version)


def test_the_guide_for_additions_names_what_is_there():
    for name in re.findall(r"`([\w/.]+/[\w/.]*)`", (ROOT / "CONTRIBUTING.md").read_text()):
        assert (ROOT / name).exists(), name
