"""Measures of redundancy, on features whose redundancy is known."""

import numpy as np
import pytest
import torch

import m2s
from m2s.errors import InputError
from m2s.features import redundancy

A, B = torch.randn(2, 6, 48, 48, generator=torch.Generator().manual_seed(0))


def test_alike_is_what_is_turned_or_scaled_and_nothing_else():
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1))).Q
    turned = torch.einsum("cd,dhw->chw", turn, A) * 3 + 7
    assert redundancy.cka(A, turned) == pytest.approx(1, abs=1e-5)
    assert redundancy.cka(A, B) < 0.01 and redundancy.cka(A, torch.ones(2, 48, 48)) == 0
    assert redundancy.cka(A, A + B) == pytest.approx(redundancy.cka(B, A + B), abs=0.02)
    assert redundancy.cka(A, B) == pytest.approx(redundancy.cka(B, A))


def test_subtraction_cancels_what_two_levels_share_and_addition_keeps_it():
    shared = torch.randn(6, 48, 48, generator=torch.Generator().manual_seed(2))
    low, high = shared + 0.3 * A, shared + 0.3 * B
    like = {how: redundancy.cka(redundancy.fuse(high, low, how), shared) for how in redundancy.FUSIONS}
    assert like["subtraction"] < 0.02 < 0.9 < like["concatenation"] < like["addition"] + 0.05
    with pytest.raises(InputError, match="unknown fusion 'sum'"):
        redundancy.fuse(high, low, "sum")


def test_fusion_is_done_at_the_shallow_size():
    deep = torch.randn(6, 24, 24)
    for how, channels in (("subtraction", 6), ("addition", 6), ("concatenation", 12)):
        assert redundancy.fuse(deep, A, how).shape == (channels, 48, 48)


def test_fine_detail_of_waves():
    x = torch.arange(32).float()
    for period, share in ((16, 0), (3, 1), (2, 1)):
        wave = torch.cos(2 * np.pi * x[:30] / period if period == 3 else 2 * np.pi * x / period)
        assert redundancy.fine_detail(wave.expand(2, len(wave), -1)) == pytest.approx(share, abs=1e-6)
    assert redundancy.fine_detail(torch.ones(1, 8, 8)) == 0


def test_measures_of_a_network():
    torch.manual_seed(0)
    model = m2s.create_model("msnet", encoder="resnet10t", pretrained=False).eval()
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    table = redundancy.measure(m2s.capture(model, image))
    assert table.groupby("fusion")["levels"].agg(list).map(tuple).unique().tolist() == [
        ("1, 2", "2, 3", "3, 4", "4, 5")
    ]
    values = table[list(redundancy.MEASURES)]
    assert values.isna().sum().to_dict() == dict.fromkeys(redundancy.MEASURES, 0) | {"like the next": 4}
    assert values.min().min() >= 0 and values.max().max() <= 1


def test_the_contracting_path_of_any_network_is_found_by_watching():
    found = redundancy.encoder_features(m2s.create_model("classic_unet", width=8).eval(), torch.randn(2, 3, 64, 64))
    assert {stride: tuple(x.shape) for stride, x in found.items()} == {
        stride: (8 * stride, 64 // stride, 64 // stride) for stride in (1, 2, 4, 8, 16)
    }
    model, x = m2s.create_model("lgmsnet").eval(), torch.randn(1, 3, 64, 64)
    found = redundancy.encoder_features(model, x)
    with torch.inference_mode():
        expected = model.encode["1"](model.stem(x))
    assert torch.equal(found[1], expected[0])
    assert [len(found[stride]) for stride in (1, 2, 4, 8, 16)] == [16, 32, 64, 128, 128]


def test_channels_that_are_needed():
    maps = torch.eye(8).view(8, 2, 4)  # less their mean they span seven dimensions
    assert redundancy.channels_needed(maps) == 7 / 8
    assert redundancy.channels_needed(maps[:1].expand(8, 2, 4)) == 1 / 8
    assert redundancy.channels_needed(maps, share=0.5) == 4 / 8
