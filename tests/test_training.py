"""The loop: its schedule, learning rates, resume after a kill, and what happens when a loss diverges."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
import torch

import m2s
from m2s import data
from m2s.errors import RunError
from m2s.losses import SegmentationLoss
from m2s.training import Recipe, make_optimizer, predict, resize_batch, schedule, train

RECIPE = Recipe(size=64, epochs=3, batch_size=4, seed=3)


@pytest.fixture(scope="module")
def tensors() -> data.TensorSet:
    images = data.load("kvasir", "train", root="phantom", limit=6)
    return data.TensorSet(images, RECIPE.size, augment=True, seed=RECIPE.seed)


def tiny() -> torch.nn.Module:
    torch.manual_seed(0)
    return m2s.create_model("m2snet", encoder="test_efficientnet", pretrained=False)


def test_schedule_is_the_released_triangle():
    assert [round(schedule(e, 3), 6) for e in range(3)] == [0.5, 1.0, 0.5]
    factors = [schedule(e, 50) for e in range(50)]
    assert max(factors) == pytest.approx(50 / 51)
    assert factors == pytest.approx(factors[::-1])
    assert min(factors) > 0


def test_encoder_and_the_rest_have_their_own_learning_rates():
    model = tiny()
    groups = make_optimizer(model, Recipe()).param_groups
    assert [group["peak"] for group in groups] == [0.005, 0.05]
    assert {id(p) for p in groups[0]["params"]} == {id(p) for p in model.encoder.parameters()}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_batches_are_resized_with_binary_masks():
    images, masks = resize_batch(torch.rand(2, 3, 64, 64), (torch.rand(2, 1, 64, 64) > 0.5).float(), 48)
    assert images.shape == (2, 3, 48, 48) and masks.shape == (2, 1, 48, 48)
    assert set(masks.unique().tolist()) <= {0.0, 1.0}


SCRIPT = """
    import sys
    from pathlib import Path
    import torch
    import m2s
    from m2s import data
    from m2s.losses import SegmentationLoss
    from m2s.training import Recipe, train
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = m2s.create_model("m2snet", encoder="test_efficientnet", pretrained=False)
    recipe = Recipe(size=64, epochs=int(sys.argv[2]), batch_size=4, seed=3)
    tensors = data.TensorSet(data.load("kvasir", "train", root="phantom", limit=6), 64, True, 3)
    train(model, SegmentationLoss(), tensors, recipe, Path(sys.argv[1]))
    torch.save(model.state_dict(), Path(sys.argv[1]) / "end.pt")
"""


def test_a_killed_training_ends_where_an_uninterrupted_one_ends(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
    epochs, killed, whole = "12", tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([*command, str(killed), epochs], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not (killed / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(torch.load(killed / "checkpoint.pt", weights_only=True)["log"])
    assert 1 <= done < int(epochs), "killed in the middle"
    assert not (killed / "end.pt").exists()
    for folder in (killed, whole):
        subprocess.run([*command, str(folder), epochs], check=True, stdout=subprocess.DEVNULL)
    ends = [torch.load(folder / "end.pt", weights_only=True) for folder in (killed, whole)]
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[1])
    logs = [pd.read_csv(folder / "log.csv").drop(columns="seconds") for folder in (killed, whole)]
    pd.testing.assert_frame_equal(*logs)
    assert len(logs[0]) == int(epochs)


def test_training_lowers_the_loss_and_moves_every_part(tensors, tmp_path):
    model = tiny()
    before = {name: p.clone() for name, p in model.named_parameters()}
    recipe = Recipe(size=64, epochs=7, batch_size=3, multiscale=False, lr=0.01)
    log = train(model, SegmentationLoss(), tensors, recipe, tmp_path)
    assert log["loss"].iloc[-1] < 0.9 * log["loss"].iloc[0]
    assert list(log["lr"]) == pytest.approx([0.01 * f for f in (0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25)])
    assert list(log["encoder_lr"]) == pytest.approx([0.5 * lr for lr in log["lr"]])
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters())


class Poisoned(SegmentationLoss):
    """A loss that becomes NaN at one call."""

    def __init__(self, at: int):
        super().__init__()
        self.calls, self.at = 0, at

    def parts(self, outputs, mask):
        self.calls += 1
        parts = super().parts(outputs, mask)
        return {k: v * float("nan") for k, v in parts.items()} if self.calls == self.at else parts


def test_a_nan_stops_the_run_with_its_step_and_keeps_the_last_good_checkpoint(tensors, tmp_path):
    steps = len(tensors) // RECIPE.batch_size
    with pytest.raises(RunError, match=r"the loss is nan at epoch 2, step 1; the checkpoint of epoch 1 is kept in"):
        train(tiny(), Poisoned(at=steps + 1), tensors, RECIPE, tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert len(state["log"]) == 1
    assert all(torch.isfinite(value.float()).all() for value in state["model"].values())
    with pytest.raises(RunError, match=r"epoch 1, step 1; no epoch was finished before"):
        train(tiny(), Poisoned(at=1), tensors, RECIPE, tmp_path / "other")


@pytest.mark.parametrize(("classes", "shape"), [(1, (50, 70)), (3, (3, 50, 70))])
def test_prediction_has_the_size_of_the_image(classes, shape):
    model = m2s.create_model("msnet", encoder="test_efficientnet", pretrained=False, num_classes=classes).eval()
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    probabilities = predict(model, image, 64)
    assert probabilities.shape == shape and probabilities.dtype == np.float32
    assert probabilities.min() >= 0 and probabilities.max() <= 1


def test_deep_supervision_and_several_classes_train(tmp_path):
    images = data.load("kvasir", "train", root="phantom", limit=4)
    tensors = data.TensorSet(images, 64)
    model = m2s.create_model(
        "m2snet", encoder="test_efficientnet", pretrained=False, num_classes=2, deep_supervision=True
    )
    log = train(model, SegmentationLoss(form="written"), tensors, Recipe(size=64, epochs=1, batch_size=2), tmp_path)
    assert np.isfinite(log["loss"]).all()
