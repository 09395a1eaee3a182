import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from m2s import create_model
from m2s.errors import InputError
from m2s.features.cost import count
from m2s.lgmsnet import GMS, LMS, from_sequences, to_sequences

GOLDEN = Path(__file__).parent / "golden"
NORMS = (nn.GroupNorm, nn.LayerNorm, nn.modules.batchnorm._NormBase)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def fill(model: nn.Module) -> nn.Module:
    """Made-up weights that depend on a layer's kind and shape alone (tests/golden/README.md)."""
    for module in model.modules():
        kind = "linear" if isinstance(module, nn.Linear) else "norm" if isinstance(module, NORMS) else "conv"
        for name, p in module.named_parameters(recurse=False):
            text = f"{kind}.{name}.{'x'.join(map(str, p.shape))}"
            r = np.random.RandomState(zlib.crc32(text.encode()))
            if name == "bias":
                value = 0.1 * r.randn(*p.shape)
            elif kind == "norm":
                value = r.uniform(0.5, 1.5, p.shape)
            else:
                value = r.randn(*p.shape) / np.sqrt(np.prod(p.shape[1:]))
            p.data = torch.from_numpy(np.asarray(value)).float()
    return model


@pytest.mark.parametrize("name, file, classes", [("lgmsnet", "lgmsnet_2d", 1), ("lgmsnet3d", "lgmsnet_3d", 14)])
def test_it_is_the_released_network(name, file, classes):
    golden = np.load(GOLDEN / f"{file}.npz")
    model = fill(create_model(name, num_classes=classes)).train()
    shape = tuple(int(n) for n in golden["x_shape"])
    x = torch.from_numpy(np.random.RandomState(int(golden["x_seed"])).randn(*shape)).float()
    with torch.no_grad():
        y = model(x)
    error = np.abs(y[:, 0].numpy().squeeze() - golden["train_channel_0"].squeeze()).max()
    assert error < 1e-4 * np.abs(golden["train_channel_0"]).max()
    axes = [0, *range(2, y.ndim)]
    np.testing.assert_allclose(y.mean(axes), golden["train_mean_per_channel"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y.std(axes, correction=0), golden["train_std_per_channel"], rtol=1e-3)


KERNELS = {
    (3, 3, 3, 3): 2_319_345,
    (1, 3, 5, 7): 2_320_113,
    (5, 5, 5, 5): 2_320_369,
    (3, 5, 7, 9): 2_321_393,
    (7, 7, 7, 7): 2_321_905,
    (9, 9, 9, 9): 2_323_953,
}
SHARES = {1.0: 2_388_081, 0.75: 2_321_393, 0.5: 2_254_705, 0.25: 2_188_017, 0.0: 2_121_329}


@pytest.mark.parametrize("kernels, expected", KERNELS.items())
def test_parameters_by_kernels(kernels, expected):
    with torch.device("meta"):
        assert parameters(create_model("lgmsnet", kernels=kernels)) == expected


@pytest.mark.parametrize("share, expected", SHARES.items())
def test_parameters_by_the_transformers_share(share, expected):
    with torch.device("meta"):
        model = create_model("lgmsnet", share=share)
    assert parameters(model) == expected
    assert model.encode["4"].split == (round(share * 128), round((1 - share) * 128))
    assert (model.encode["4"].conv is None) == (share == 1)


@pytest.mark.parametrize("depths, expected", [((1, 1, 1), 6_193_742), ((1, 1, 3), 6_227_854)])
def test_parameters_in_3d(depths, expected):
    with torch.device("meta"):
        assert parameters(create_model("lgmsnet3d", num_classes=14, depths=depths)) == expected


STAGES = {
    "stem": 480,
    "encode.1": 1_672,
    "encode.2": 1_960,
    "encode.3": 6_224,
    "encode.4": 391_424,
    "encode.5": 538_880,
    "up.4": 147_840,
    "decode.4": 833_792,
    "up.3": 73_920,
    "decode.3": 262_592,
    "up.2": 18_528,
    "decode.2": 31_392,
    "up.1": 4_656,
    "decode.1": 8_016,
    "head": 17,
}


def test_parameters_by_stage():
    with torch.device("meta"):
        model = create_model("lgmsnet")
    assert {name: parameters(model.get_submodule(name)) for name in STAGES} == STAGES
    assert sum(STAGES.values()) == parameters(model) == 2_321_393


def test_multiply_adds_at_256():
    cost = count(create_model("lgmsnet"), 256)
    assert cost["FLOPs_G"] == pytest.approx(
        5.01, abs=0.005
    )  # 4.70 of convolutions and linear layers, 0.31 of attention


@pytest.mark.parametrize("size", [(4, 6), (4, 2, 6)])
def test_a_sequence_holds_one_place_of_every_patch(size):
    x = torch.arange(2 * 3 * int(np.prod(size))).reshape(2, 3, *size)
    sequences = to_sequences(x)
    assert sequences.shape == (2 * 2 ** len(size), int(np.prod(size)) // 2 ** len(size), 3)
    assert torch.equal(from_sequences(sequences, size), x)
    every_other = x[0][(slice(None), *[slice(0, None, 2)] * len(size))]  # offset 0 in every direction
    assert torch.equal(sequences[0], every_other.flatten(1).T)
    if len(size) == 2:
        assert torch.equal(sequences[1], x[0, :, 0::2, 1::2].flatten(1).T)
        assert torch.equal(sequences[2], x[0, :, 1::2, 0::2].flatten(1).T)


def test_attention_reaches_the_whole_image_at_the_same_place_of_the_patch():
    block = GMS(4, 8, 8).eval()
    x = torch.randn(1, 8, 8, 8, requires_grad=True)
    y = from_sequences(block.transformer(to_sequences(x)), (8, 8))
    seen = torch.autograd.grad(y[0, :, 0, 0].sum(), x)[0][0].abs().sum(0) > 0
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[0::2, 0::2] = True
    assert torch.equal(seen, expected)


def test_each_quarter_of_lms_sees_its_own_kernel():
    block = LMS(16)
    for part, size in zip(range(4), (3, 5, 7, 9), strict=True):
        x = torch.zeros(1, 4, 15, 15)
        x[:, :, 7, 7] = 1
        seen = block.depthwise[part](x) - block.depthwise[part].bias[:, None, None]
        rows = seen[0, 0].abs().sum(1).nonzero().flatten()
        assert rows.tolist() == list(range(7 - size // 2, 8 + size // 2))


@pytest.mark.parametrize("dims", [2, 3])
def test_the_published_form_is_another_network_of_the_same_shape(dims):
    name, shape = ("lgmsnet", (2, 3, 32, 64)) if dims == 2 else ("lgmsnet3d", (1, 1, 32, 32, 64))
    torch.manual_seed(0)
    released, paper = create_model(name, num_classes=2), create_model(name, num_classes=2, wiring="paper")
    assert released(torch.randn(shape)).shape == paper(torch.randn(shape)).shape == (shape[0], 2, *shape[2:])
    assert parameters(released) != parameters(paper)
    assert len(paper.decode["1"]) == len(released.decode["1"]) + 1  # LMS in the decoder
    assert isinstance(released.decode["4"], GMS) and not isinstance(paper.decode["4"], GMS)


def test_every_parameter_has_a_gradient():
    for wiring in ("released", "paper"):
        model = create_model("lgmsnet", wiring=wiring)
        model(torch.randn(2, 3, 32, 64)).square().mean().backward()
        assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_doubled_division_is_a_matter_of_the_inputs_constants():
    plain, doubled = create_model("lgmsnet"), create_model("lgmsnet", doubled_division=True)
    bgr = np.random.default_rng(0).random((2, 2, 3))[..., ::-1]
    released = (bgr - plain.mean) / plain.std / 255  # by the constants of red, green, blue, whatever the order
    ours = (bgr[..., ::-1] - doubled.mean) / doubled.std
    np.testing.assert_allclose(ours[..., ::-1], released)


def test_errors_are_one_clear_line():
    with pytest.raises(InputError, match="image of 48×64: LGMSNet takes sides that are multiples of 32"):
        create_model("lgmsnet")(torch.zeros(1, 3, 48, 64))
    with pytest.raises(InputError, match="give odd sizes"):
        create_model("lgmsnet", kernels=(2, 3, 5, 7))
    with pytest.raises(InputError, match="of the 3 kernels"):
        create_model("lgmsnet", kernels=(3, 5, 7))
    with pytest.raises(InputError, match="give 0 to 128"):
        create_model("lgmsnet", share=1.5)
    with pytest.raises(InputError, match="released, paper"):
        create_model("lgmsnet", wiring="other")


def test_without_channels_for_the_transformer_it_is_a_convolution_alone():
    block = GMS(4, 8, 0).eval()
    x = torch.randn(1, 4, 8, 8, requires_grad=True)
    seen = torch.autograd.grad(block(x)[0, :, 0, 0].sum(), x)[0][0].abs().sum(0) > 0
    assert not seen[5:].any() and not seen[:, 5:].any()  # three 3×3 convolutions deep
