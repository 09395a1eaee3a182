"""One training by several processes: the weights of one process, resume after a kill, and a loss that diverges.

In float64, after eight steps, they agree to 1e-10, relative to each value or, for values below 1, absolutely.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
import torch.nn.functional as F

from m2s import paths
from m2s.runs.plan import list_runs
from m2s.runs.processes import SharedStatistics, normalize_batch

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="torchrun with gloo, and signal 9")


def start(command: list[str], **variables: str) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(paths.ROOT), "OMP_NUM_THREADS": "1"} | variables
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(command: list[str], **variables: str) -> tuple[int, str, str]:
    process = start(command, **variables)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


# Twelve images in batches of five: shares of three and two, and two images that an epoch leaves out. The shares of the
# filters' norm, which all ten units of M2SNet use, are those of a batch norm that is no layer.
SCRIPT = """
    import os, sys
    from pathlib import Path
    import torch
    import m2s
    from m2s import data, losses
    from m2s.losses import SegmentationLoss
    from m2s.runs.processes import join_processes
    from m2s.runs.train import train
    from m2s.studies.recipe import Recipe

    class Loss(SegmentationLoss):
        calls = 0

        def parts(self, outputs, masks):
            Loss.calls += 1
            parts = super().parts(outputs, masks)
            broken = Loss.calls == 3 and (sys.argv[2], os.environ.get("RANK")) == ("broken", "1")
            return {name: part * float("nan") for name, part in parts.items()} if broken else parts

    split = losses.one_vs_rest
    losses.one_vs_rest = lambda mask, channels: split(mask, channels).double()  # so that all is in float64

    def work():
        torch.manual_seed(0)
        model = m2s.create_model("m2snet", encoder="test_efficientnet", pretrained=False).double()
        model.register_forward_pre_hook(lambda module, inputs: tuple(x.double() for x in inputs))
        tensors = data.TensorSet(data.load_images("kvasir", "train", root="phantom", limit=12), 64, "m2snet", 3)
        recipe = Recipe(size=64, epochs=4, batch_size=5, seed=3, lr=0.005, encoder_lr=0.0005)
        with join_processes():
            train(model, Loss(), tensors, recipe, Path(sys.argv[1]))
        if os.environ.get("RANK", "0") == "0":
            torch.save(model.state_dict(), Path(sys.argv[1]) / "end.pt")
        return 0

    from m2s.cli.guard import guarded
    sys.exit(guarded(work)())
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("script") / "share.py"
    path.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    return str(path)


def test_two_processes_end_at_the_weights_of_one(script, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert finish([sys.executable, script, str(one), ""])[0] == 0
    code, told, error = finish([*TORCHRUN, "2", script, str(two), ""])
    assert code == 0, error
    assert len([line for line in told.splitlines() if line.startswith("epoch")]) == 4, "the first process alone speaks"
    ends = [torch.load(folder / "end.pt", weights_only=True) for folder in (one, two)]
    assert ends[0].keys() == ends[1].keys()
    for name, value in ends[0].items():
        torch.testing.assert_close(
            ends[1][name], value, rtol=1e-10, atol=1e-10, msg=lambda text, name=name: name + text
        )
    logs = [pd.read_csv(folder / "log.csv").drop(columns="seconds") for folder in (one, two)]
    pd.testing.assert_frame_equal(*logs, rtol=1e-9)


def test_a_loss_that_one_process_finds_broken_stops_all_with_one_line(script, tmp_path):
    code, _, error = finish([*TORCHRUN, "2", script, str(tmp_path), "broken"])
    assert code == 1
    lines = [line for line in error.splitlines() if line.startswith("m2s: ")]
    assert len(lines) == 1 and "the loss is nan at epoch 2, step 1; the checkpoint of epoch 1 is kept" in lines[0], (
        error
    )
    assert error.count("Traceback") <= 1, "that of torchrun itself"


def test_more_processes_than_a_batch_has_images_are_refused(script, tmp_path):
    code, _, error = finish([*TORCHRUN, "6", script, str(tmp_path), ""])
    lines = [line for line in error.splitlines() if line.startswith("m2s: ")]
    assert code == 1 and lines == ["m2s: error: 6 processes for batches of 5: give torchrun --nproc-per-node 5"], error


def train_by_two(results: Path, key: str) -> subprocess.Popen:
    command = [*TORCHRUN, "2", "-m", "m2s", "train", "--profile", "smoke", "--data", "phantom", "--key", key]
    return start(command, M2S_RESULTS=str(results))


def test_a_run_whose_second_process_is_killed_goes_on_and_ends_the_same(tmp_path):
    run = next(run for run in list_runs("smoke", "phantom") if run.model == "m2snet" and run.recipe.epochs == 2)
    killed, whole = (tmp_path / name / "smoke-phantom" / "runs" for name in ("killed", "whole"))
    process = train_by_two(tmp_path / "killed", run.key)
    checkpoint, deadline = killed / f"{run.key}.partial" / "checkpoint.pt", time.monotonic() + 240
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = [one for one in psutil.Process(process.pid).children() if one.environ().get("RANK") == "1"]
    os.kill(workers[0].pid, signal.SIGKILL)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1 and not (killed / run.key).exists(), error
    assert len([line for line in error.splitlines() if line.startswith("m2s: ")]) == 1, error
    for folder in (tmp_path / "killed", tmp_path / "whole"):
        process = train_by_two(folder, run.key)
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
    for name in ("model.safetensors", "scores.csv"):
        assert (killed / run.key / name).read_bytes() == (whole / run.key / name).read_bytes(), name
    assert json.loads((whole / run.key / "record.json").read_text())["processes"] == 2
    assert [path.name for path in killed.iterdir()] == [run.key], "no lock and no partial folder is left"


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 6), (4, 3, 6, 5), (2, 3, 4, 5, 6)])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_normalisation_is_torchs_own(shape, affine, monkeypatch):
    monkeypatch.setattr("torch.distributed.all_reduce", lambda sums: None)  # one process
    torch.manual_seed(0)
    ends = []
    x = torch.randn(shape, dtype=torch.float64) + 3
    weight, bias = (torch.randn(3, dtype=torch.float64) for _ in range(2)) if affine else (None, None)
    for normalize in (F.batch_norm, normalize_batch):
        taken = x.clone().requires_grad_()
        mean, var = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
        out = normalize(taken, mean, var, weight, bias, training=True, momentum=0.3)
        (out**3).sum().backward()
        ends.append((out, taken.grad, mean, var))
    for ours, theirs in zip(*ends, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_in_evaluation_nothing_is_shared():
    layer = torch.nn.BatchNorm2d(3).eval()
    x = torch.randn(2, 3, 4, 4)
    expected = layer(x)
    with SharedStatistics():
        assert torch.equal(layer(x), expected)
