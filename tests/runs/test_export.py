"""ONNX files: what is exported, what it gives, and what it carries."""

import json
import shutil

import numpy as np
import pytest
import torch

import m2s
from m2s.baselines.blocks import ConvBN
from m2s.cli.main import main
from m2s.data.disk.images import read_image
from m2s.errors import InputError
from m2s.paths import ROOT
from m2s.runs import export, models
from m2s.runs.predict import predict
from m2s.zoo import create_model

pytest.importorskip("onnxruntime", reason="the extra export is not installed")


def make(name: str, dims: int = 2, **options):
    torch.manual_seed(0)
    network = create_model(name, "test_efficientnet" if dims == 2 else "resnet10", False, **options).eval()
    network.size, network.classes = (64, ("polyp",)) if dims == 2 else (32, ("anterior",))
    return network


@pytest.fixture(scope="module")
def m2snet(tmp_path_factory):
    network, folder = make("m2snet"), tmp_path_factory.mktemp("onnx")
    content, card = export.export_onnx(network, "an M2SNet")
    (folder / "a.onnx").write_bytes(content)
    return network, folder / "a.onnx", card


def test_the_file_predicts_what_the_network_does_for_any_number_and_size(m2snet):
    network, path, _ = m2snet
    loaded = m2s.load_onnx(path)
    for shape in ((1, 3, 64, 64), (3, 3, 64, 64), (2, 3, 96, 128)):
        x = torch.randn(shape)
        with torch.inference_mode():
            wanted, given = network(x), loaded(x)
        assert given.shape == wanted.shape and (given - wanted).abs().max() < 1e-4 * wanted.abs().max()
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    np.testing.assert_allclose(m2s.predict(loaded, image), m2s.predict(network, image), atol=1e-4)


def test_the_file_carries_what_prediction_needs(m2snet):
    network, path, card = m2snet
    loaded = m2s.load_onnx(path)
    for name in ("mean", "std", "size", "classes", "weights_source"):
        assert getattr(loaded, name) == getattr(network, name), name
    assert "any number × 3 × any side×any side" in card and "trained at 64 pixels" in card and "polyp" in card


def test_a_volume_network_is_exported(tmp_path):
    network = make("msnet3d", dims=3, num_classes=2)
    content, _ = export.export_onnx(network, "an MSNet in 3-D")
    (tmp_path / "a.onnx").write_bytes(content)
    loaded = m2s.load_onnx(tmp_path / "a.onnx")
    assert any(p.ndim == 5 for p in loaded.parameters())
    x = torch.randn(1, 1, 32, 32, 32)
    with torch.inference_mode():
        assert (loaded(x) - network(x)).abs().max() < 1e-4 * network(x).abs().max()


class Halving(torch.nn.Module):
    """Changes with its input in a way that tracing does not see."""

    mean, std, size = (0.0,) * 3, (1.0,) * 3, 64

    def forward(self, x):
        return x * float(x[0, 0, 0, 0])


def test_a_file_that_does_not_agree_is_refused():
    with pytest.raises(m2s.errors.RunError, match=r"does what this network does: its logits differ by "):
        export.export_onnx(Halving(), "wrong")


def test_a_file_of_fixed_shape_takes_images_one_by_one_and_one_size(m2snet, tmp_path):
    network, _, _ = m2snet
    content = export._trace(network, (1, 3, 64, 64), [])
    settings = {"mean": (0,) * 3, "std": (1,) * 3, "size": 64, "free": [], "title": "fixed"}
    (tmp_path / "a.onnx").write_bytes(export._add_settings(content, settings))
    loaded = m2s.load_onnx(tmp_path / "a.onnx")
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert (loaded(x) - network(x)).abs().max() < 1e-4 * network(x).abs().max()
    with pytest.raises(InputError, match="takes 64 pixels a side, not 96×96"):
        loaded(torch.randn(1, 3, 96, 96))


def test_files_that_are_none_of_ours_are_named(tmp_path):
    (tmp_path / "page.onnx").write_text("<html>")
    with pytest.raises(InputError, match=r"page\.onnx is no ONNX file of m2s export"):
        m2s.load_onnx(tmp_path / "page.onnx")
    with pytest.raises(InputError, match="no such file"):
        m2s.load_onnx(tmp_path / "none.onnx")


def test_the_command_writes_a_file_and_a_card_twice_and_never_over_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("m2s.runs.models.load_network", lambda name: make("msnet"))
    arguments = ["export", "mine", "--out", str(tmp_path / "mine.onnx")]
    assert main(arguments) == 0 and main(arguments) == 0
    assert 'load_onnx("mine.onnx")' in (tmp_path / "mine.md").read_text(encoding="utf-8")
    (tmp_path / "mine.md").write_text("my notes")
    assert main(arguments) == 2
    assert (tmp_path / "mine.md").read_text() == "my notes"
    assert main(["export", "mine", "--out", str(tmp_path / "mine.bin")]) == 2
    assert "give a name that ends in .onnx" in capsys.readouterr().err


def test_without_room_one_line_is_told_and_the_next_call_writes_both(m2snet, tmp_path, monkeypatch, capsys, no_room):
    """An older export stays as it was."""
    network, written, card = m2snet
    monkeypatch.setattr("m2s.runs.models.load_network", lambda name: network)
    monkeypatch.setattr(export, "export_onnx", lambda *_: (written.read_bytes(), card))
    arguments = ["export", "mine", "--out", str(tmp_path / "mine.onnx")]
    for before in ([], ["mine.md", "mine.onnx"]):
        older = {name: (tmp_path / name).read_bytes() for name in before}
        with no_room(100_000):
            assert main(arguments) == 2
        assert capsys.readouterr().err == f"m2s: error: cannot write {tmp_path / 'mine.onnx'}: File too large\n"
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == older
        assert main(arguments) == 0
        assert len(m2s.load_onnx(tmp_path / "mine.onnx").classes) == 1


def test_the_metadata_are_plain_json(m2snet):
    import onnxruntime

    session = onnxruntime.InferenceSession(m2snet[1])
    settings = json.loads(session.get_modelmeta().custom_metadata_map["m2s"])
    assert settings["free"] == [0, 2, 3] and settings["error"] < 1e-4 and settings["title"] == "an M2SNet"


def test_padding_in_numbers_is_that_of_same():
    x = torch.randn(1, 4, 20, 24)
    for kernel, dilation in ((3, 1), (3, 5), ((1, 7), 1), ((5, 1), 1), (1, 1)):
        conv = ConvBN(4, 4, kernel, dilation)[0]
        same = torch.nn.functional.conv2d(x, conv.weight, padding="same", dilation=dilation)
        torch.testing.assert_close(conv(x), same)


@pytest.mark.parametrize("name", ["msnet", "unet", "unetpp", "pranet", "bcsnet", "transunet", "unext"])
def test_other_networks_have_files_for_any_number_and_size(name):
    _, card = export.export_onnx(make(name), name)
    assert "any number × 3 × any side×any side" in card


@pytest.mark.parametrize("name", ["acsnet", "erdunet", "madgnet", "medt", "utnet"])
def test_networks_without_an_onnx_form_say_so_and_docs_name_them(name):
    with pytest.raises(m2s.errors.RunError, match="no ONNX file does what this network does"):
        export.export_onnx(make(name), name)
    listed = (ROOT / "docs" / "running.md").read_text(encoding="utf-8").split("No ONNX form have ")[1].split(";")[0]
    assert f"`{name}`" in listed


@pytest.fixture
def photos(tmp_path):
    """A folder of three real images; their masks are in ``masks`` beside it."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for path in sorted((ROOT / "samples" / "kvasir" / folder).glob("*.*"))[:3]:
            shutil.copy(path, tmp_path / folder)
    return tmp_path / "images"


def read_maps(folder, capsys, monkeypatch, pays_from):
    """What ``m2s predict`` writes for the photos, and what it says on standard error."""
    monkeypatch.setattr(models, "ONNX_PAYS_FROM", pays_from)
    out = folder.parent / f"from {pays_from}"
    assert main(["predict", str(folder), "--network", "mine", "--size", "96", "--out", str(out)]) == 0
    maps = [read_image(path)[..., 0].astype(int) for path in sorted(out.glob("*.png"))]
    return maps, capsys.readouterr().err.replace("\r", "\n")


def test_many_images_are_run_by_onnx_runtime_and_their_maps_agree_within_a_grey_level(photos, capsys, monkeypatch):
    network = m2s.load_pretrained("m2snet-polyps")  # a trained one: maps of random weights are 0 or 1 everywhere
    monkeypatch.setattr(models, "load_network", lambda name: network)
    monkeypatch.setattr(models, "pick_device", lambda: torch.device("cpu"))
    few, said = read_maps(photos, capsys, monkeypatch, 4)
    assert "ONNX" not in said
    many, said = read_maps(photos, capsys, monkeypatch, 3)
    assert "3 images by ONNX Runtime\n" in said
    assert len(few) == len(many) == 3 and max(one.max() for one in few) > 100
    assert max(np.abs(a - b).max() for a, b in zip(few, many, strict=True)) <= 1
    image = read_image(next(photos.iterdir()))
    by_torch, by_onnx = (predict(models.place_network(network, images, 96), image, 96) for images in (2, 3))
    assert 0 < np.abs(by_torch - by_onnx).max() < 1e-4

    arguments = ["evaluate", "--images", str(photos), "--gt", str(photos.parent / "masks"), "--network", "mine"]
    assert main(arguments) == 0
    assert "3 images by ONNX Runtime\n" in capsys.readouterr().err


def test_many_images_are_run_by_torch_where_there_is_no_other_way(photos, capsys, monkeypatch):
    monkeypatch.setattr(models, "load_network", lambda name: make("utnet"))
    monkeypatch.setattr(models, "pick_device", lambda: torch.device("cpu"))
    _, said = read_maps(photos, capsys, monkeypatch, 3)
    assert "3 images by PyTorch: no ONNX file does what this network does" in said
    monkeypatch.setattr(models, "load_network", lambda name: make("m2snet"))
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    _, said = read_maps(photos, capsys, monkeypatch, 3)
    assert '3 images by PyTorch; ONNX Runtime is faster: python -m pip install -e ".[export]"' in said


def test_a_file_and_a_volume_network_are_left_as_they_are(m2snet, monkeypatch):
    monkeypatch.setattr(models, "pick_device", lambda: torch.device("cpu"))
    for network in (m2s.load_onnx(m2snet[1]), make("msnet3d", dims=3, num_classes=2)):
        assert models.place_network(network, 1000, 64) is network
