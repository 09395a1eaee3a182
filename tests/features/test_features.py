"""Capture: every node by its name equals what the network's own parts give, and the model is left as it was."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import m2s
from m2s.errors import InputError
from m2s.features.capture import channel_spectrum, effective_rank, principal_components, receptive_fields

IMAGE = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)


def network(name="m2snet", **options):
    torch.manual_seed(0)
    model = m2s.create_model(name, encoder="resnet10t", pretrained=False, **options).eval()
    for module in model.modules():  # statistics as after a training
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2)
    return model


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"wiring": "paper"},
        {"orders": 3},
        {"orders": 1},
        {"unit": "addition"},
        {"style": "aspp"},
        {"deep_supervision": True},
        {"kernels": (1, 3, 7), "filter": "gaussian", "num_classes": 3},
    ],
    ids=str,
)
def test_nodes_are_what_the_parts_of_the_network_give(options):
    model = network(**options)
    nodes = m2s.capture(model, IMAGE, size=64)
    x = torch.from_numpy(IMAGE).permute(2, 0, 1)[None] / 255
    x = nn.functional.interpolate(x, (64, 64), mode="bilinear", antialias=True)
    x = m2s.data.normalize(x, model.mean, model.std)
    with torch.inference_mode():
        levels = model.encoder(x)
        pyramid = model.pyramid(levels)
        enhanced = model.complement(levels, pyramid)
        logits = model(x)
    wanted = {f"E^{i}": level for i, level in enumerate(levels, start=1)}
    wanted |= {f"MS_{n}^{i}": feature for (n, i), feature in pyramid.items()}
    wanted |= {f"CE^{i}": feature for i, feature in enhanced.items()}
    for name, feature in wanted.items():
        assert torch.equal(nodes[name].feature, feature[0]), name
        assert nodes[name].stride == 64 // feature.shape[-1]
    rest = {n.kind for n in nodes.values() if n.name not in wanted}
    assert rest == {"D", "logit"} | ({"difference"} if options.get("orders") != 1 else set())
    assert torch.equal(nodes.probability, logits[0].sigmoid())
    assert all(name in nodes for node in nodes.values() for name in node.inputs) and "MS_6^1" not in nodes


def test_differences_at_each_scale_add_up_to_what_the_unit_gets():
    model = network()
    nodes = m2s.capture(model, IMAGE, size=64)
    with torch.inference_mode():
        for name in ("MS_2^1", "MS_3^2", "MS_4^1"):
            deep, shallow = (nodes[n].feature[None] for n in nodes[name].inputs)
            total = sum(nodes[f"{name} k={k}"].feature for k in (1, 3, 5))
            torch.testing.assert_close(total, model.difference(deep, shallow)[0])
            torch.testing.assert_close(model.units[name.removeprefix("MS_")].conv(total[None])[0], nodes[name].feature)
    assert nodes["MS_2^1 k=5"].label == "$|f_5(MS_1^2) - f_5(MS_1^1)|$"
    assert nodes["MS_2^1 k=1"].label == "$|MS_1^2 - MS_1^1|$"


def test_the_model_is_left_as_it_was():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    m2s.capture(model, IMAGE, size=64, off=["MS_2^3"])
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(InputError, match="more than 0 MB: give a smaller size, or in names"):
        m2s.capture(model, IMAGE, limit_mb=0)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_unit_that_is_off_gives_zeros_and_changes_what_depends_on_it():
    model = network()
    whole, without = m2s.capture(model, IMAGE, size=64), m2s.capture(model, IMAGE, size=64, off=["MS_2^4"])
    assert not without["MS_2^4"].feature.any() and whole["MS_2^4"].feature.any()
    changed = {name for name in whole if not torch.equal(whole[name].feature, without[name].feature)}
    assert {"MS_3^3", "MS_4^2", "MS_5^1", "CE^4", "D^4", "logit"} <= changed
    assert not changed & {"MS_1^4", "MS_2^1", "MS_2^2", "MS_2^3", "CE^5"}


def test_only_what_is_asked_for_is_kept():
    nodes = m2s.capture(network(), IMAGE, names=["CE^1", "MS_2^1 k=3"])
    assert list(nodes) == ["MS_2^1 k=3", "CE^1"]
    assert nodes["CE^1"].feature.shape == (64, 24, 32) and nodes["CE^1"].stride == 4  # at its own size


def test_errors_name_what_is_wrong():
    model = network()
    with pytest.raises(InputError, match=r"unknown node 'MS_2\^5'"):
        m2s.capture(model, IMAGE, size=64)["MS_2^5"]
    with pytest.raises(InputError, match="unknown node 'CE'"):
        m2s.capture(model, IMAGE, names=["CE"])
    with pytest.raises(InputError, match=r"unknown unit 'MS_1\^1'"):
        m2s.capture(model, IMAGE, off=["MS_1^1"])
    with pytest.raises(InputError, match="training mode"):
        m2s.capture(model.train(), IMAGE)
    with pytest.raises(InputError, match="Unet has no pyramid"):
        m2s.capture(m2s.create_model("unet", encoder="resnet10t", pretrained=False).eval(), IMAGE)


def test_receptive_field_of_plain_convolutions_by_hand():
    """An encoder of one 3×3 convolution with stride 4 or 2 a level: windows 3, 7 and so on can be counted by hand."""

    class Plain(nn.Module):
        deepest = 32

        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 8, 3, stride=4, padding=1)
            self.rest = nn.ModuleList(nn.Conv2d(8, 8, 3, stride=2, padding=1) for _ in range(3))

        def forward(self, x):
            levels = [self.first(x)] * 2
            for convolution in self.rest:
                levels.append(convolution(levels[-1]))
            return levels

    model = network("msnet", wiring="paper")
    model.encoder = Plain()
    model.reduce = nn.ModuleDict({str(i): nn.Conv2d(8, 64, 3, padding=1) for i in range(1, 6)})
    fields = receptive_fields(model)
    assert [fields[f"E^{i}"] for i in range(1, 6)] == [3, 3, 3 + 2 * 4, 3 + 2 * 4 + 2 * 8, 3 + 2 * 4 + 2 * 8 + 2 * 16]
    assert fields["MS_1^1"] == 3 + 2 * 4 and fields["MS_1^5"] == fields["E^5"] + 2 * 32
    # a unit of two features of one stride: the same window, and its 3×3 convolution adds two pixels of stride 4
    assert fields["MS_2^1 k=1"] == fields["MS_1^1"] and fields["MS_2^1"] == fields["MS_1^1"] + 2 * 4
    assert fields["MS_2^4"] > fields["MS_1^5"]
    assert fields["logit"] == max(fields.values()) < math.inf


def test_global_pooling_sees_the_whole_image():
    torch.manual_seed(0)
    model = m2s.create_model("msnet", encoder="mobilenetv3_small_050", pretrained=False).eval()
    fields = receptive_fields(model, width=1024)
    assert fields["E^5"] == math.inf


def rank(feature):
    return effective_rank(channel_spectrum(feature))


def test_spectrum_and_components_of_known_features():
    one = torch.rand(1, 12, 12)
    assert rank(one.repeat(8, 1, 1)) == pytest.approx(1)
    noise = torch.randn(4, 200, 200, generator=torch.Generator().manual_seed(0))
    assert rank(noise) == pytest.approx(4, abs=0.01)
    assert channel_spectrum(noise).sum() == pytest.approx(1)
    mixed = torch.cat([3 * noise[:1], -3 * noise[:1], 0.1 * noise[1:2]])
    maps = principal_components(mixed)
    assert np.corrcoef(maps[0].flatten(), noise[0].flatten())[0, 1] ** 2 > 0.999
    assert maps[0].var() > maps[1].var() > 0 and not maps[2].abs().max() > 1e-3
    assert rank(torch.zeros(3, 4, 4)) == pytest.approx(1, abs=1e-3)
