"""The extra nnU-Net: its raw layout and the scoring always; planning, training and predicting where it is installed."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from m2s import data
from m2s.errors import InputError
from m2s.nnunet import run
from m2s.nnunet.__main__ import main

needs_nnunet = pytest.mark.skipif(
    find_spec("nnunetv2") is None, reason="nnU-Net is not installed (pip install 'm2s[nnunet]'): it is not in the lock"
)


@pytest.fixture(scope="module")
def train() -> data.ImageSet:
    return data.load_images("kvasir", "train", "phantom", limit=2) + data.load_images(
        "clinicdb", "train", "phantom", limit=1
    )


@pytest.fixture(scope="module")
def raw(train, tmp_path_factory):
    tests = [data.load_images("etis", "test", "phantom", limit=2)]
    return run.write_raw(train, tests, tmp_path_factory.mktemp("raw") / "Dataset901_Phantom", size=64)


def test_the_raw_layout_is_what_nnunet_reads(raw, train):
    described = json.loads((raw / "dataset.json").read_text())
    assert described["channel_names"] == {"0": "R", "1": "G", "2": "B"}
    assert described["labels"] == {"background": 0, "polyp": 1}
    assert described["numTraining"] == 3 and described["file_ending"] == ".png" and described["made_up"] is True
    assert not list(raw.parent.glob(".*.partial"))
    cases = pd.read_csv(raw / "cases.csv", dtype=str)
    assert list(cases["image"]) == [*train.names, *data.load_images("etis", "test", "phantom", limit=2).names]
    for part, dataset in (("Tr", "kvasir+clinicdb"), ("Ts", "etis")):
        listed = cases[cases["part"] == part]
        assert set(listed["dataset"]) == {dataset}
        assert {p.name for p in (raw / f"images{part}").iterdir()} == {f"{case}_0000.png" for case in listed["case"]}
        assert {p.name for p in (raw / f"labels{part}").iterdir()} == {f"{case}.png" for case in listed["case"]}


def test_training_pairs_are_shrunk_together_and_test_labels_keep_their_size(raw, train):
    image = Image.open(raw / "imagesTr" / "kvasir-clinicdb-0000_0000.png")
    label = Image.open(raw / "labelsTr" / "kvasir-clinicdb-0000.png")
    assert image.mode == "RGB" and label.mode == "L" and max(image.size) == 64 and label.size == image.size
    assert set(np.unique(label)) == {0, 1}
    assert np.asarray(label).mean() == pytest.approx(train[0].mask.mean(), abs=0.01)
    sample = data.load_images("etis", "test", "phantom", limit=2)[1]
    assert max(Image.open(raw / "imagesTs" / "etis-0001_0000.png").size) == 64
    np.testing.assert_array_equal(Image.open(raw / "labelsTs" / "etis-0001.png"), sample.mask)


def test_without_a_size_images_are_written_as_they_are(tmp_path):
    images = data.load_images("goals", "train", "phantom", limit=1)
    folder = run.write_raw(images, [], tmp_path / "Dataset902_Layers")
    np.testing.assert_array_equal(Image.open(folder / "imagesTr" / "goals-0000_0000.png"), images[0].image)
    np.testing.assert_array_equal(Image.open(folder / "labelsTr" / "goals-0000.png"), images[0].mask)
    labels = json.loads((folder / "dataset.json").read_text())["labels"]
    assert list(labels.values()) == list(range(1 + len(data.CATALOGUE["goals"].classes)))


def test_the_layout_is_written_whole_or_not_at_all(train, raw, tmp_path, monkeypatch):
    for folder, others, message in (
        (tmp_path / "Polyps", [], "for instance Dataset901_Polyps"),
        (raw, [], "is there already"),
        (tmp_path / "Dataset903_Mixed", [data.load_images("goals", "train", "phantom", limit=1)], "the same classes"),
    ):
        with pytest.raises(InputError, match=message):
            run.write_raw(train, others, folder)

    def full(*args, **settings):
        raise OSError("the disk is full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(InputError, match="Dataset904_Full: the disk is full"):
        run.write_raw(train, [], tmp_path / "Dataset904_Full")
    assert not list(tmp_path.iterdir())


def test_predictions_are_scored_at_the_masks_own_size_and_kept(raw, tmp_path):
    for index in range(2):  # perfect at the images' size, but for the loss of detail
        mask = Image.open(raw / "labelsTs" / f"etis-000{index}.png")
        mask.resize((64, 51), Image.Resampling.NEAREST).save(tmp_path / f"etis-000{index}.png")
    scores = run.score_predictions(raw, tmp_path)
    assert list(scores["dataset"]) == ["etis", "etis"]
    assert scores["mDice"].between(0.75, 0.999).all() and scores["MAE"].max() < 0.02
    np.testing.assert_allclose(scores["mDice"], scores["Dice"], atol=1e-4)  # maps of 0 and 1: nothing soft is left

    path = run.keep_scores(scores, "nnU-Net", "first", tmp_path)
    run.keep_scores(scores, "M2SNet (nnU-Net framework)", "other", tmp_path)
    run.keep_scores(scores.assign(mDice=0.5), "nnU-Net", "second", tmp_path)
    kept = pd.read_csv(path)
    assert kept.groupby("row")["settings"].first().to_dict() == {
        "nnU-Net": "second",
        "M2SNet (nnU-Net framework)": "other",
    }
    assert len(kept) == 4 and (kept.loc[kept["row"] == "nnU-Net", "mDice"] == 0.5).all()

    (tmp_path / "etis-0001.png").unlink()
    with pytest.raises(InputError, match="1 of 2 predictions are missing"):
        run.score_predictions(raw, tmp_path)
    with pytest.raises(InputError, match="holds no cases"):
        run.score_predictions(tmp_path, tmp_path)


def test_the_command_writes_and_tells_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    words = ["write", "Dataset901_Busi", "--train", "busi/fold1-train", "--test", "busi/fold1-test"]
    assert main([*words, "--train-limit", "2", "--test-limit", "1", "--size", "32"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "Dataset901_Busi")
    assert len(pd.read_csv(tmp_path / "Dataset901_Busi" / "cases.csv")) == 3
    assert main(["trainers"]) == 0
    assert (tmp_path / capsys.readouterr().out.strip() / "m2s_trainers.py").is_file()
    assert main(["short", "Dataset901_Busi", "--trainer", "M2SNetTrainr"]) == 2
    assert "did you mean M2SNetTrainer" in capsys.readouterr().err
    monkeypatch.delenv("nnUNet_raw")
    assert main(words) == 2
    assert "set nnU-Net's folders first" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("nnunetv2") is not None, reason="nnU-Net is installed")
def test_without_nnunet_one_line_says_how_to_get_it(monkeypatch):
    with pytest.raises(InputError, match="pip install 'm2s\\[nnunet\\]'"):
        run.short_run("Dataset901_Phantom", "M2SNetTrainer", 1, 1)
    with pytest.raises(InputError, match="pip install 'm2s\\[nnunet\\]'"):
        import m2s.nnunet.trainers.m2s_trainers  # noqa: F401


@needs_nnunet
def test_the_trainers_give_our_networks_for_rgb_images_only():
    from types import SimpleNamespace

    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from m2s.nnunet.trainers import m2s_trainers

    flat, deep = SimpleNamespace(patch_size=(64, 64)), SimpleNamespace(patch_size=(16, 64, 64))
    for name in ("M2SNetTinyTrainer", "UNetTinyTrainer"):
        trainer = getattr(m2s_trainers, name)
        assert issubclass(trainer, nnUNetTrainer)
        network = trainer.build_network_architecture(None, flat, 3, 4).eval()
        with torch.inference_mode():
            assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 4, 64, 64)
        with pytest.raises(InputError, match="train the configuration 2d"):
            trainer.build_network_architecture(None, deep, 3, 4)
        with pytest.raises(InputError, match="RGB images of 3 channels"):
            trainer.build_network_architecture(None, flat, 1, 4)
    assert all(hasattr(m2s_trainers, name) for name in run.ROWS)


@needs_nnunet
@pytest.mark.parametrize("trainer", ["M2SNetTinyTrainer", "UNetTinyTrainer", "nnUNetTrainer"])
def test_nnunet_plans_trains_and_predicts_with_each_trainer(trainer, tmp_path):
    """Through nnU-Net's own search for classes, in processes of its own; a minute or two each on a busy machine."""
    folders = {f"nnUNet_{name}": str(tmp_path / name) for name in ("raw", "preprocessed", "results")}
    environment = os.environ | folders | {"M2S_RESULTS": str(tmp_path / "ours"), "OMP_NUM_THREADS": "1"}
    sets = ["--train", "kvasir", "--test", "etis", "--train-limit", "8", "--test-limit", "2", "--size", "96"]
    steps = ["--trainer", trainer, "--epochs", "1", "--iterations", "2", "--profile", "smoke"]
    for words in (["write", "Dataset901_Phantom", *sets], ["short", "Dataset901_Phantom", *steps]):
        done = subprocess.run(
            [sys.executable, "-m", "m2s.nnunet", *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    kept = pd.read_csv(tmp_path / "ours" / "smoke-phantom" / "tables" / run.SCORES)
    assert set(kept["row"]) == {run.ROWS[trainer]} and list(kept["dataset"]) == ["etis", "etis"]
    assert kept[["mDice", "MAE"]].apply(lambda c: c.between(0, 1)).all(axis=None)
    assert f"{trainer}, fold all" in kept["settings"][0] and "1 epochs of 2 batches" in kept["settings"][0]
