"""Networks to take home: made from a finished run, loaded again, and the scores of those that are shipped."""

import importlib.util
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import m2s
from m2s import pretrained
from m2s.data import load_images
from m2s.errors import InputError
from m2s.metrics.conventions import score
from m2s.paths import ROOT
from m2s.runs.execute import execute
from m2s.runs.models import load_model, pick_device
from m2s.studies.recipe import Recipe
from m2s.studies.run import Run

_spec = importlib.util.spec_from_file_location("make_weights", ROOT / "weights" / "make.py")
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)

SHIPPED = pretrained.list_pretrained()


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run of seconds; its record then says "real", which the card is made for."""
    run = Run(
        data="phantom", model="m2snet", encoder="test_efficientnet", recipe=Recipe(size=64, epochs=1, batch_size=2),
        pretrained=False, train_limit=2, options=(("wiring", ("own_level", "enhance_5")),),
        test_sets=("kvasir", "cvc300"), test_limit=2,
    )  # fmt: skip
    folder = execute(run, tmp_path_factory.mktemp("results"), "phantom")
    record = json.loads((folder / "record.json").read_text())
    record["settings"]["data"] = "real"
    (folder / "record.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """An empty folder in the place of ``weights/``."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "weights")
    monkeypatch.setattr(make, "FOLDER", tmp_path / "weights")
    return tmp_path / "weights"


def test_a_run_is_made_into_a_network_that_predicts_as_the_run_does(weights, run_folder):
    folder = make.main(run_folder, "mine")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert m2s.list_pretrained() == ["mine"]
    stored = load_file(folder / "model.safetensors")
    for name, tensor in stored.items():
        if tensor.is_floating_point():
            assert tensor.dtype == (torch.float32 if "running_" in name else torch.float16), name
    network = m2s.load_pretrained("mine")
    assert network.size == 64 and network.classes == ("polyp",) and not network.training
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    ours, runs = m2s.predict(network, image), m2s.predict(load_model(run_folder)[0], image)
    assert ours.shape == (50, 70) and np.abs(ours - runs).max() < 5e-3  # float16 keeps three digits
    assert not np.array_equal(ours, m2s.predict(network, image, 96))
    np.testing.assert_array_equal(m2s.predict(m2s.load_pretrained(folder), image), ours)


def test_the_card_says_what_the_run_measured(weights, run_folder):
    make.main(run_folder, "mine")
    make.main(run_folder, "mine")  # again: the older one is replaced
    card = (weights / "mine" / "README.md").read_text()
    scores = json.loads((weights / "mine" / "config.json").read_text())["scores"]
    assert f"| Kvasir-SEG | 2 | {scores['kvasir']['mDice']:.3f} (0.912) |" in card
    for words in (
        "no medical device",
        "Known failures",
        "for research and education",
        "4 training images",
        "own_level",
    ):
        assert words in card
    assert "nan" not in card and str(run_folder) not in card


def test_an_unknown_name_is_one_line_with_the_names_that_are_there(weights, run_folder):
    with pytest.raises(InputError, match="unknown network 'm2snet-polyps'"):
        m2s.load_pretrained("m2snet-polyps")
    make.main(run_folder, "mine")
    with pytest.raises(InputError, match="unknown network 'mina': did you mean mine"):
        m2s.load_pretrained("mina")
    state = load_file(weights / "mine" / "model.safetensors")
    state.popitem()
    save_file(state, weights / "mine" / "model.safetensors")
    with pytest.raises(InputError, match="does not fit the network of config"):
        m2s.load_pretrained("mine")


def test_only_a_polyp_run_on_real_images_is_taken(weights, run_folder, tmp_path):
    record = json.loads((run_folder / "record.json").read_text())
    record["settings"]["data"] = "phantom"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "record.json").write_text(json.dumps(record))
    (tmp_path / "run" / "model.safetensors").write_bytes((run_folder / "model.safetensors").read_bytes())
    (tmp_path / "run" / "scores.csv").write_bytes((run_folder / "scores.csv").read_bytes())
    with pytest.raises(InputError, match="no run of MSNet or M2SNet on real polyp images"):
        make.main(tmp_path / "run", "mine")
    assert not weights.exists()


def test_weights_that_float16_cannot_hold_are_refused():
    layer = torch.nn.Linear(1, 1)
    layer.weight.data.fill_(1e6)
    with pytest.raises(InputError, match=r"weight do not fit into float16: their largest is 1e\+06"):
        pretrained.halve_state(layer.state_dict())


def test_a_network_that_knows_no_size_asks_for_one():
    network = m2s.create_model("msnet", encoder="test_efficientnet", pretrained=False).eval()
    with pytest.raises(InputError, match="give predict a size"):
        m2s.predict(network, np.zeros((40, 40, 3), np.uint8))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_files_are_small_and_give_the_scores_of_their_card_nearly_on_the_sample(name):
    """The sample holds Kvasir-SEG's test images at 320 px: its score is near that of the images at their own size."""
    folder = pretrained.FOLDER / name
    assert (folder / "model.safetensors").stat().st_size < 9e6
    network = m2s.load_pretrained(name).to(pick_device())
    images = load_images("kvasir", "test", ROOT / "samples")
    chosen = [images[index] for index in range(0, len(images), 4)]
    mean = np.mean([score(m2s.predict(network, image), mask)["mDice"] for _, image, mask in chosen])
    assert abs(mean - json.loads((folder / "config.json").read_text())["scores"]["kvasir"]["mDice"]) < 0.06


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_files_give_the_scores_of_their_card(name, real_data):
    network = m2s.load_pretrained(name).to(pick_device())
    printed = json.loads((pretrained.FOLDER / name / "config.json").read_text())["scores"]
    for dataset in ("cvc300", "clinicdb"):
        images = load_images(dataset, "test", real_data)
        mean = np.mean([score(m2s.predict(network, image), mask)["mDice"] for _, image, mask in images])
        assert mean == pytest.approx(printed[dataset]["mDice"], abs=0.002)
