"""The loop: its schedule, learning rates, resume after a kill, and what happens when a loss diverges."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from timm.data import IMAGENET_DEFAULT_STD

import m2s
from m2s import data
from m2s.errors import InputError, RunError
from m2s.losses import SegmentationLoss
from m2s.runs.build import RELEASED, build_network, find_normalization
from m2s.runs.execute import execute
from m2s.runs.plan import list_runs
from m2s.runs.predict import predict
from m2s.runs.train import make_optimizer, mean_iou, rate, resize_batch, train
from m2s.studies import STUDIES
from m2s.studies.recipe import Recipe

RECIPE = Recipe(size=64, epochs=3, batch_size=4, seed=3)


@pytest.fixture(scope="module")
def tensors() -> data.TensorSet:
    images = data.load_images("kvasir", "train", root="phantom", limit=6)
    return data.TensorSet(images, RECIPE.size, augment="m2snet", seed=RECIPE.seed)


def tiny() -> torch.nn.Module:
    torch.manual_seed(0)
    return m2s.create_model("m2snet", encoder="test_efficientnet", pretrained=False)


def test_m2snets_schedule_is_the_released_triangle():
    def factors(epochs: int) -> list[float]:
        return [rate(Recipe(epochs=epochs), epoch, 3, 10) for epoch in range(epochs)]

    assert factors(3) == pytest.approx([0.5, 1.0, 0.5])
    assert max(factors(50)) == pytest.approx(50 / 51)
    assert factors(50) == pytest.approx(factors(50)[::-1])
    assert min(factors(50)) > 0


def test_lgmsnets_schedules():
    poly = Recipe(epochs=10, schedule="poly")
    assert rate(poly, 0) == 1 and rate(poly, 5) == pytest.approx(0.5**0.9)
    assert rate(poly, 9, 19, 20) == pytest.approx((1 / 200) ** 0.9)  # the last of 200 steps
    cosine = Recipe(epochs=12, schedule="cosine", warmup=2)
    assert [rate(cosine, 0, step, 2) for step in range(2)] == pytest.approx([0.25, 0.5])
    assert rate(cosine, 1, 1, 2) == pytest.approx(1.0)
    assert [rate(cosine, epoch) for epoch in (2, 7)] == pytest.approx([1.0, 0.5])
    assert 0 < rate(cosine, 11, 9, 10) < 0.001
    assert rate(Recipe(epochs=4, schedule="cosine"), 0) == 1  # without a warm-up
    with pytest.raises(InputError, match="triangle, poly, cosine"):
        rate(Recipe(schedule="step"), 0)


def test_optimizers():
    model = tiny()
    nesterov, sgd, adamw = (make_optimizer(model, Recipe(optimizer=name)) for name in ("nesterov", "sgd", "adamw"))
    assert nesterov.defaults["nesterov"] and not sgd.defaults["nesterov"]
    assert sgd.defaults["momentum"] == 0.9 and sgd.defaults["weight_decay"] == 5e-4
    assert isinstance(adamw, torch.optim.AdamW) and adamw.defaults["weight_decay"] == 5e-4
    with pytest.raises(InputError, match="unknown optimizer 'adam'"):
        make_optimizer(model, Recipe(optimizer="adam"))


def test_what_is_watched_is_written_down_and_changes_nothing(tensors, tmp_path):
    recipe = replace(RECIPE, epochs=1)
    plain = data.TensorSet(tensors.image_set, RECIPE.size)
    logs, weights = [], []
    for name, watched in (("alone", None), ("watched", plain)):
        model = tiny()
        logs.append(train(model, SegmentationLoss(), tensors, recipe, tmp_path / name, watched))
        weights.append(model.state_dict())
    assert "watched_IoU" not in logs[0] and logs[1]["watched_IoU"].between(0, 1).all()
    assert logs[0]["loss"].equals(logs[1]["loss"])
    assert all(torch.equal(a, b) for a, b in zip(weights[0].values(), weights[1].values(), strict=True))


def test_mean_iou_by_hand():
    class Constant(torch.nn.Module):
        mean, std = (0.0,) * 3, (1.0,) * 3

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x):
            logits = -torch.ones(len(x), 1, *x.shape[2:])
            logits[..., :1, :2] = 1  # two pixels of the first row
            return logits

    masks = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    masks[0, 0, 0] = 1  # four pixels, two of them found; the second image has none
    pairs = list(zip(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), masks, strict=True))
    assert mean_iou(Constant(), pairs, 1) == pytest.approx((2 / 4 + 0) / 2)


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
    from m2s.runs.train import train
    from m2s.studies.recipe import Recipe
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = m2s.create_model("m2snet", encoder="test_efficientnet", pretrained=False)
    recipe = Recipe(size=64, epochs=int(sys.argv[2]), batch_size=4, seed=3)
    tensors = data.TensorSet(data.load_images("kvasir", "train", root="phantom", limit=6), 64, "m2snet", 3)
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
    images = data.load_images("kvasir", "train", root="phantom", limit=4)
    tensors = data.TensorSet(images, 64)
    model = m2s.create_model(
        "m2snet", encoder="test_efficientnet", pretrained=False, num_classes=2, deep_supervision=True
    )
    log = train(model, SegmentationLoss(form="written"), tensors, Recipe(size=64, epochs=1, batch_size=2), tmp_path)
    assert np.isfinite(log["loss"]).all()


def test_a_network_of_clips_trains_and_predicts_every_frame_once(tmp_path):
    run = next(run for run in STUDIES["videos"].runs("PNS-Net", "full", "phantom", "videos") if run.recipe.seed == 0)
    assert (run.clip, run.recipe.batch_size) == (5, 4)
    run = replace(
        run, encoder="test_efficientnet", pretrained=False, train_sets=("cvc300tv",), test_sets=("cvc300tv",),
        train_limit=13, test_limit=13, recipe=replace(run.recipe, size=64, epochs=2, batch_size=2),
    )  # fmt: skip
    folder = execute(run, tmp_path, "phantom")
    scores = pd.read_csv(folder / "scores.csv")
    assert list(scores["image"]) == list(data.load_images("cvc300tv", "test", "phantom", 13).names)
    log = pd.read_csv(folder / "log.csv")
    assert len(log) == 2 and log["loss"].iloc[1] < log["loss"].iloc[0]


def test_only_videos_are_cut_into_clips():
    runs = STUDIES["boundaries"].runs("PNS-Net", "paper", "real")
    by_clip = {run.clip: run for run in runs}
    assert set(by_clip) == {1, 5}
    assert by_clip[5].train_sets == ("cvc300tv", "cvc612v")
    assert by_clip[1].recipe.batch_size == 16


@pytest.mark.parametrize("encoder", ["resnet10t", "tf_efficientnet_lite0"])
def test_the_released_normalisation_shifts_and_scales_the_input_of_every_encoder_alike(encoder):
    """The training's input over the prediction's: EfficientNet-Lite0 predicts with 0.5, others with ImageNet's."""
    run = replace(list_runs("full", "phantom")[0], encoder=encoder, normalisation="released")
    network = build_network(run, pretrained=False)
    assert (network.std == IMAGENET_DEFAULT_STD) == (encoder == "resnet10t")
    trained = find_normalization(run, network)
    if encoder == "resnet10t":
        assert [np.allclose(trained[name], RELEASED[name]) for name in ("mean", "std")] == [True, True]
    black_and_white = np.array([[0.0], [1.0]])
    own, training = ((black_and_white - n["mean"]) / np.array(n["std"]) for n in (vars(network), trained))
    scale = np.diff(training, axis=0)[0] / np.diff(own, axis=0)[0]
    # Of the two figures for ImageNet: 58.395 / 56.77, …, and (123.675 − 124.55) / 56.77, …
    assert scale == pytest.approx([1.0286, 1.0206, 0.9978], abs=1e-4)
    assert (training - scale * own)[0] == pytest.approx([-0.0154, -0.0468, 0.0103], abs=1e-4)
    assert find_normalization(replace(run, normalisation="model"), network) == {n: getattr(network, n) for n in trained}
