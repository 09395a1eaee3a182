"""Runs: their keys, publication by one rename, resume, the records, and the list of studies."""

import dataclasses
import json

import pandas as pd
import pytest
import torch

from m2s.errors import InputError
from m2s.runs import execute as module
from m2s.runs.execute import execute
from m2s.runs.models import load_model
from m2s.runs.store import load_record, load_scores, run_folder, write_index
from m2s.studies.recipe import Recipe
from m2s.studies.run import CODE_VERSION, Run


def tiny(**changes) -> Run:
    settings = {
        "data": "phantom",
        "model": "msnet",
        "encoder": "test_efficientnet",
        "recipe": Recipe(size=64, epochs=2, batch_size=2),
        "pretrained": False,
        "train_limit": 2,
        "test_sets": ("kvasir",),
        "test_limit": 2,
    }
    return Run(**settings | changes)


def test_keys_follow_what_shapes_the_training_and_nothing_else():
    run = tiny()
    assert run.key == tiny().key
    assert run.key.startswith("msnet-test_efficientnet-s0-")
    assert tiny(test_sets=("etis",), test_limit=9, threads=4).key == run.key
    others = [
        tiny(model="unet"),
        tiny(lossnet="vgg16"),
        tiny(train_limit=3),
        tiny(options=(("wiring", "paper"),)),
        tiny(recipe=Recipe(size=64, epochs=2, batch_size=2, seed=1)),
        tiny(recipe=Recipe(size=64, epochs=2, batch_size=2, lr=0.01)),
    ]
    assert len({run.key, *(o.key for o in others)}) == 1 + len(others)


def test_a_run_is_trained_once_published_whole_and_found_again(tmp_path, monkeypatch):
    run = tiny()
    assert load_record(run, tmp_path) is None
    folder = execute(run, tmp_path, "phantom")
    files = ["log.csv", "model.safetensors", "record.json", "scores.csv", "training.json"]
    assert sorted(p.name for p in folder.iterdir()) == files
    assert not list(tmp_path.glob("runs/*.partial"))
    record = load_record(run, tmp_path)
    assert record["settings"]["recipe"]["epochs"] == 2 and record["weights"] == "random"
    assert record["machine"]["cores"] and record["missing"] == {}
    scores = load_scores(run, tmp_path)
    assert list(scores.columns[:8]) == ["dataset", "image", "mDice", "mIoU", "wFm", "Sm", "Em", "MAE"]
    assert {"Dice", "Jaccard", "Precision", "Recall", "Specificity", "ASD", "HD95", "F1", "IoU"} == set(
        scores.columns[8:]
    )
    assert len(scores) == 2 and scores[["mDice", "MAE"]].apply(lambda c: c.between(0, 1)).all(axis=None)
    monkeypatch.setattr(module, "train", None)  # any training now would be an error
    assert execute(run, tmp_path, "phantom") == folder

    model, size = load_model(folder)
    assert size == 64 and not model.training
    index = pd.read_csv(write_index(tmp_path))
    assert list(index["key"]) == [run.key]
    assert index["kvasir mDice"][0] == pytest.approx(scores["mDice"].mean(), abs=1e-4)

    # Without its record the run is scored again, with a new test set, and not trained again: elsewhere, this time.
    (folder / "record.json").unlink()
    training = json.loads((folder / "training.json").read_text())
    training["machine"]["gpu"] = "one of another machine"
    (folder / "training.json").write_text(json.dumps(training))
    execute(dataclasses.replace(run, test_sets=("kvasir", "etis")), tmp_path, "phantom")
    again = load_scores(run, tmp_path)
    assert set(again["dataset"]) == {"kvasir", "etis"}
    record = load_record(run, tmp_path)
    assert record["machine"]["gpu"] == "one of another machine" and record["scored_on"]["gpu"] is None
    pd.testing.assert_frame_equal(again[again["dataset"] == "kvasir"], scores, rtol=1e-3)


def test_a_run_that_fails_is_not_taken_for_a_finished_one(tmp_path, monkeypatch):
    run = tiny()

    def broken(*args):
        raise OSError("the disk is full")

    monkeypatch.setattr(module, "score_set", broken)
    with pytest.raises(OSError, match="disk is full"):
        execute(run, tmp_path, "phantom")
    assert load_record(run, tmp_path) is None
    assert not run_folder(run, tmp_path).exists()
    monkeypatch.undo()
    monkeypatch.setattr(module, "train", None)  # the training was whole, it is not repeated
    execute(run, tmp_path, "phantom")
    assert load_record(run, tmp_path)


def test_a_broken_test_set_is_an_error_before_any_training(tmp_path, monkeypatch):
    whole = module.load_images

    def load(name, split, *rest):
        if split == "test":
            raise InputError("2 images have no mask")
        return whole(name, split, *rest)

    monkeypatch.setattr(module, "load_images", load)
    monkeypatch.setattr(module, "train", None)
    with pytest.raises(InputError, match="2 images have no mask"):
        execute(tiny(), tmp_path, "phantom")
    assert load_record(tiny(), tmp_path) is None


def test_a_missing_test_set_is_recorded_with_its_reason(tmp_path, real_data):
    run = tiny(data="real", train_sets=("clinicdb",), test_sets=("etis",))
    execute(run, tmp_path, str(real_data))
    record = load_record(run, tmp_path)
    assert record["missing"] == {"etis": "ETIS-LaribPolypDB not found in the data folder"}
    assert load_scores(run, tmp_path).empty
    assert str(real_data) not in json.dumps(record), "no path of a machine in a record"


def test_errors_a_user_can_cause(tmp_path):
    with pytest.raises(InputError, match="made for phantom data, but data is /some/folder"):
        execute(tiny(), tmp_path, "/some/folder")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write to the results folder"):
        execute(tiny(), tmp_path / "file", "phantom")
    with pytest.raises(InputError, match="is not a finished run with a checkpoint"):
        load_model(tmp_path)
    folder = execute(tiny(), tmp_path, "phantom")
    other = execute(tiny(model="unet"), tmp_path, "phantom")
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="does not fit the network"):
        load_model(folder)


def test_the_code_version_is_raised_when_results_change(tmp_path):
    """If a change of what a run gives is meant: raise ``runs.CODE_VERSION`` and record the new loss here."""
    torch.set_num_threads(1)
    folder = execute(tiny(model="m2snet", test_sets=()), tmp_path, "phantom")
    loss = pd.read_csv(folder / "log.csv")["loss"][0]
    recorded = {1: 1.66338}
    assert loss == pytest.approx(recorded[CODE_VERSION], rel=1e-3)
