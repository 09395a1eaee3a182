"""What can be wrong with the files of a run and with weights, each told in one line; a run that is started twice."""

import json
import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import save_file
from torch import nn

from m2s.encoders import Encoder, Features
from m2s.errors import InputError, RunError
from m2s.lossnet import LossNet
from m2s.pretrained import load_pretrained
from m2s.runs import execute as execute_module
from m2s.runs.execute import execute
from m2s.runs.models import load_model
from m2s.runs.sizes import choose_sizes
from m2s.runs.store import MODEL, RECORD, SCORES, list_runs_by_name, load_scores, read_record, run_folder, write_index
from m2s.runs.train import CHECKPOINT
from m2s.studies import STUDIES
from m2s.weights import create_timm, read_state_dict
from m2s.zoo import create_model

RUN = STUDIES["polyps"].runs("M2SNet", "smoke", "phantom")[0]


def refusal(call, *arguments, error=InputError) -> str:
    with pytest.raises(error) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """The results of a finished run, as far as they are read."""
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
    folder = run_folder(RUN, tmp_path / "smoke-phantom")
    folder.mkdir(parents=True)
    settings = {**RUN.__dict__, "recipe": RUN.recipe.__dict__}
    (folder / RECORD).write_text(json.dumps({"key": RUN.key, "settings": settings, "finished": "now"}))
    (folder / SCORES).write_text("dataset,image,mDice\nkvasir,1,0.5\n")
    return folder


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 1}'])
def test_a_damaged_record_is_told_and_the_other_runs_are_listed(finished, content, capsys):
    assert list(list_runs_by_name()) == [RUN.name]
    broken = finished.with_name("broken")
    broken.mkdir()
    (broken / RECORD).write_text(content)
    (broken / MODEL).touch()
    told = refusal(read_record, broken)
    assert str(broken / RECORD) in told and "train the run again" in told
    assert refusal(load_model, broken) == refusal(write_index, finished.parents[1]) == told
    assert list(list_runs_by_name()) == [RUN.name] and told in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "nothing\n1\n", '"'])
def test_damaged_scores_are_told(finished, content):
    (finished / SCORES).write_text(content)
    assert str(finished / SCORES) in refusal(load_scores, RUN, finished.parents[1])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no checkpoint"])
def test_a_damaged_checkpoint_of_a_training_is_told(tmp_path, content):
    folder = run_folder(RUN, tmp_path)
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    (partial / CHECKPOINT).write_bytes(content)
    assert refusal(execute, RUN, tmp_path, "phantom", error=RunError) == (
        f"{partial / CHECKPOINT} is damaged: delete it, and the run starts anew"
    )


def test_a_folder_with_a_dot_in_its_name_is_a_run(finished):
    """Encoders with a tag of timm have a dot in their name, and so has the folder of the run."""
    folder = finished.rename(finished.with_name("m2snet-resnet10t.c3_in1k-s0-12345678"))
    assert "not a finished run" in refusal(load_model, folder), "the folder itself is looked at, which has no network"
    record = json.loads((folder / RECORD).read_text())
    record["settings"]["encoder"] = "resnet10t.c3_in1k"
    (folder / RECORD).write_text(json.dumps(record))
    model = create_model("m2snet", "resnet10t.c3_in1k", False, **dict(RUN.options))
    save_file(model.state_dict(), folder / MODEL)
    assert load_model(folder)[1] == load_model(folder / MODEL)[1] == RUN.recipe.size


def test_a_run_that_is_started_twice_is_waited_for(tmp_path, monkeypatch, capsys):
    folder = run_folder(RUN, tmp_path)
    folder.parent.mkdir(parents=True)
    worked = []
    monkeypatch.setattr(execute_module, "_execute", lambda *_: worked.append(1))
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        second = threading.Thread(target=execute, args=(RUN, tmp_path, "phantom"))
        second.start()
        second.join(1)
        assert second.is_alive() and not worked
        folder.mkdir()
        (folder / RECORD).write_text("{}")  # the first has finished
    second.join(10)
    assert not second.is_alive() and not worked
    assert f"run {RUN.key} is at work in another process: waiting for it" in capsys.readouterr().err
    assert [path.name for path in folder.parent.iterdir()] == [RUN.key]


def test_what_training_programs_save_around_a_state_dict_is_taken_off(tmp_path):
    state = nn.Linear(2, 3).state_dict()
    forms = {
        "plain": state, "state_dict": {"state_dict": state, "epoch": 3}, "model": {"model": state, "optimizer": {}},
        "model_state_dict": {"model_state_dict": state, "best": torch.tensor(0.5)},
        "module": {f"module.{name}": tensor for name, tensor in state.items()},
        "both": {"model_state_dict": {f"module._orig_mod.{name}": tensor for name, tensor in state.items()}},
    }  # fmt: skip
    for form, content in forms.items():
        torch.save(content, tmp_path / "w.pth")
        read = read_state_dict(tmp_path / "w.pth")
        assert list(read) == list(state) and all(torch.equal(read[name], state[name]) for name in state), form


class Hostile:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_a_checkpoint_runs(tmp_path, monkeypatch):
    """A pickle that would make a file, alone and in other formats; a whole model; a wild header."""
    pwned = tmp_path / "pwned"
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps(Hostile(pwned)))
    torch.save({"w": torch.zeros(1), "x": Hostile(pwned)}, tmp_path / "torch.pt")
    (tmp_path / "tensors.safetensors").write_bytes(pickle.dumps(Hostile(pwned)))
    torch.save(nn.Linear(2, 2), tmp_path / "model.bin")
    for header in (b"\xff" * 8, (1 << 40).to_bytes(8, "little") + b"{}", (9).to_bytes(8, "little") + b'{"w": 1}x'):
        (tmp_path / "header.safetensors").write_bytes(header)
        assert "fetch it again" in refusal(read_state_dict, tmp_path / "header.safetensors")
    for name in ("pickle.pth", "torch.pt", "model.bin"):
        assert "whole pickled model or other Python objects" in refusal(read_state_dict, tmp_path / name), name
    assert "fetch it again" in refusal(read_state_dict, tmp_path / "tensors.safetensors")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "model.bin").read_bytes()[:100])
    assert "fetch it again" in refusal(read_state_dict, tmp_path / "cut.pth")
    assert refusal(read_state_dict, tmp_path).endswith("is a folder, not a file of weights")
    monkeypatch.setenv("M2S_WEIGHTS", str(tmp_path))
    (tmp_path / "pickle.pth").rename(tmp_path / "resnet10t.pth")
    assert "whole pickled model" in refusal(create_timm, "resnet10t")
    assert not pwned.exists()


def test_an_unknown_tag_of_timm_is_told():
    for call in (lambda: create_model("m2snet", "resnet10t.bogus", False), lambda: create_timm("resnet10t.bogus")):
        assert refusal(call) == "encoder resnet10t.bogus: timm knows resnet10t, but no weights of that tag"


@pytest.mark.parametrize("name", ["swin_s3_tiny_224", "swinv2_cr_tiny_ns_224"])
def test_encoders_that_give_channels_last_work_at_any_size(name):
    for build in (Encoder, Features):
        encoder = build(name, False).eval()
        with torch.inference_mode():
            for side in (96, 160):
                shapes = [tuple(level.shape[1:]) for level in encoder(torch.zeros(1, 3, side, side))]
                assert shapes[-1] == (encoder.channels[-1], side // 32, side // 32)
                assert [shape[0] for shape in shapes] == encoder.channels
    with torch.inference_mode():
        features = LossNet("swin_s3_tiny_224", False, 224).features(torch.zeros(1, 1, 50, 60))
    assert [tuple(f.shape[1:]) for f in features] == [(96, 56, 56), (192, 28, 28), (384, 14, 14), (768, 7, 7)]


class Picky(nn.Module):
    """Takes multiples of ``step`` pixels."""

    def __init__(self, step: int):
        super().__init__()
        self.step, self.weight = step, nn.Parameter(torch.zeros(1))

    def forward(self, x):
        if x.shape[-1] % self.step:
            raise InputError(f"sides must be multiples of {self.step}")
        return x


def test_sizes_of_multi_scale_training_are_those_that_the_network_takes():
    assert choose_sizes(Picky(16), 352, True) == (224, 256, 288, 320, 352)
    assert choose_sizes(Picky(32), 96, True) == (64, 96)  # of 64, 80, 96
    assert choose_sizes(Picky(7), 98, True) == (224,) or choose_sizes(Picky(7), 98, True) == (98,)
    assert choose_sizes(Picky(32), 96, False) == (96,)
    assert refusal(choose_sizes, Picky(32), 100, True) == (
        "this network cannot be trained on images of 100×100 pixels: sides must be multiples of 32"
    )
    lgmsnet = create_model("lgmsnet", None, False)
    assert choose_sizes(lgmsnet, 96, True) == (64, 96) and lgmsnet.training
    assert "100×100" in refusal(choose_sizes, lgmsnet, 100, True)


def test_a_full_disk_ends_a_training_in_one_line_and_it_goes_on_later(tmp_path, monkeypatch, capsys):
    """The second checkpoint finds no room; what the first holds is used by the next call."""
    from pathlib import Path

    from m2s.cli.guard import guarded

    run = replace(RUN, recipe=replace(RUN.recipe, epochs=2))
    write_bytes, written = Path.write_bytes, []

    def refuse(path, content):
        if path.name == f".{CHECKPOINT}.partial":
            written.append(path)
            if len(written) == 2:
                raise OSError(28, "No space left on device", str(path))
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    assert guarded(lambda: execute(run, tmp_path, "phantom") and None)() == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("m2s: error: ") and "No space left on device; what was finished is kept" in told
    folder = run_folder(run, tmp_path)
    assert not folder.exists() and (folder.with_name(folder.name + ".partial") / CHECKPOINT).exists()
    assert execute(run, tmp_path, "phantom") == folder
    whole = execute(run, tmp_path / "whole", "phantom")
    assert (folder / SCORES).read_bytes() == (whole / SCORES).read_bytes()
    assert np.isfinite(load_scores(run, tmp_path)["mDice"]).all()


@pytest.mark.parametrize("content", ["", "[]", '{"model": "m2snet"}'])
def test_a_damaged_network_to_take_home_is_told(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    told = refusal(load_pretrained, tmp_path)
    assert str(tmp_path / "config.json") in told and told.endswith("get the folder again")
