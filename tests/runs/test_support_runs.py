"""A run of a network with a support set: the bank is recorded, saved, resumed from and used again."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from m2s.cli.main import main
from m2s.errors import InputError
from m2s.paths import ROOT
from m2s.runs.execute import execute
from m2s.runs.models import choose_task, load_model
from m2s.studies import STUDIES
from m2s.studies.recipe import Recipe
from m2s.studies.run import Run

SETTINGS = {
    "data": "phantom", "encoder": "test_efficientnet", "pretrained": False, "train_limit": 4, "test_limit": 2,
    "recipe": Recipe(size=32, epochs=1, batch_size=4, multiscale=False, lr=1e-3, optimizer="adamw"),
    "train_sets": ("kvasir", "busi/fold1-train"), "test_sets": ("kvasir", "busi/fold1-test"),
}  # fmt: skip
TASKS = ["colonoscopy", "breast ultrasound"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = Run(model="universeg", options=(("support", 3), ("width", 4)), **SETTINGS)
    return run, execute(run, tmp_path_factory.mktemp("results"), "phantom")


def test_the_examples_are_recorded_and_saved(finished):
    _, folder = finished
    record = json.loads((folder / "record.json").read_text())
    assert list(record["support"]) == TASKS and all(len(names) == 3 for names in record["support"].values())
    model, _ = load_model(folder)
    assert list(model.tasks) == TASKS and model.bank_images.shape == (6, 3, 32, 32) and model.bank_masks.any()
    scores = pd.read_csv(folder / "scores.csv")
    assert scores["dataset"].value_counts().to_dict() == {"kvasir": 2, "busi": 2}


def test_a_run_scored_again_has_the_same_examples_and_scores(finished):
    run, folder = finished
    before, record = (folder / "scores.csv").read_text(), json.loads((folder / "record.json").read_text())
    (folder / "record.json").unlink()
    execute(run, folder.parents[1], "phantom")
    assert (folder / "scores.csv").read_text() == before
    assert json.loads((folder / "record.json").read_text())["support"] == record["support"]


def test_predict_asks_for_the_task_where_there_are_several(finished, tmp_path, capsys):
    photo, (_, folder) = next((ROOT / "samples/kvasir/images").iterdir()), finished
    command = ["predict", str(photo), "--network", str(folder), "--out", str(tmp_path / "maps")]
    assert main(command) == 2
    assert 'choose one by --task "colonoscopy" or "breast ultrasound"' in capsys.readouterr().err
    assert main([*command, "--task", "skin"]) == 2
    assert "unknown task of this network 'skin'" in capsys.readouterr().err
    assert not main([*command, "--task", "breast ultrasound"])
    assert len(list((tmp_path / "maps").glob("*.png"))) == 1


def test_a_network_without_a_support_set_has_no_tasks():
    network = torch.nn.Linear(1, 1)
    assert choose_task(network, None) is network
    with pytest.raises(InputError, match="unknown task of this network 'a': there are none here"):
        choose_task(network, "a")


@pytest.mark.parametrize("row", ["UniverSeg", "Spider"])
def test_a_row_of_table_9_runs_at_a_small_size(row, tmp_path):
    run = STUDIES["one_model"].runs(row, "full", "phantom")[0]
    options = {"support": 2} | ({"drawn": 2} if row == "Spider" else {"width": 4})
    run = replace(run, options=tuple(options.items()), **SETTINGS)
    folder = execute(run, tmp_path, "phantom")
    assert load_model(folder)[0].bank_masks.any() and pd.read_csv(folder / "log.csv")["loss"].notna().all()
