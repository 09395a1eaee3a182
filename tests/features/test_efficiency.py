"""Multiply-adds against a count by hand, and networks timed in turns."""

import time

import pytest
import torch
from torch import nn

import m2s
from m2s.errors import InputError
from m2s.features.cost import count, count_memory, measure

COLUMNS = ["Params_M", "FLOPs_G", "FLOPs_ratio", "FPS", "speed_ratio", "speed_low", "speed_high"]


class Sleeps(nn.Module):
    """A network of known cost, 1×1 convolution of 3 to 5 channels, and known slowness."""

    def __init__(self, seconds: float):
        super().__init__()
        self.seconds, self.conv = seconds, nn.Conv2d(3, 5, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        return self.conv(x)


def test_count_is_the_count_by_hand_and_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.BatchNorm2d(8), nn.Conv2d(8, 2, 1)).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    counted = count(network, 10)
    assert counted["FLOPs_G"] == pytest.approx((27 * 8 + 8 * 2) * 5 * 5 / 1e9)
    assert counted["Params_M"] == pytest.approx((27 * 8 + 8 + 8 + 8 + 16 + 2) / 1e6)
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert network(torch.zeros(2, 3, 10, 10)).shape == (2, 2, 5, 5)  # real numbers as before


def test_memory_is_the_sum_by_hand_and_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.ReLU()).eval()
    weights, image, features = 12, 3 * 10 * 10, 4 * 10 * 10
    assert count_memory(network, 10) * 1e6 == 4 * (weights + image + 2 * features)  # before and behind the ReLU
    assert count_memory(network, 10, batch=3) * 1e6 == 4 * (weights + 3 * (image + 2 * features))
    # While the gradient goes through the ReLU the image, the kept feature, the sum and its gradient are alive as well.
    assert count_memory(network, 10, training=True) > count_memory(network, 10)
    assert not network.training and all(p.grad is None and not p.is_meta for p in network.parameters())


def test_memory_of_training_holds_the_features_of_all_layers():
    """Each ReLU keeps its output for the backward pass, and prediction drops it when the next layer has its own."""
    deep = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), *(nn.Tanh() for _ in range(20)))
    feature = 4 * 4 * 32 * 32 / 1e6
    assert count_memory(deep, 32) < 4 * feature
    assert 20 * feature < count_memory(deep, 32, training=True) < 26 * feature


class OnTokens(nn.Module):
    """A transformer layer on the pixels as tokens, 16 channels, in two heads."""

    def __init__(self):
        super().__init__()
        self.project, self.layer = nn.Conv2d(3, 16, 1), nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(self.project(x).flatten(2).mT)


def test_attention_is_counted():
    n, c = 16, 16
    projections, products, mlp = n * c * 4 * c, 2 * n * n * c, 2 * n * c * 32
    counted = count(OnTokens(), 4)["FLOPs_G"] * 1e9
    assert counted == pytest.approx(n * 3 * c + projections + products + mlp)


def test_the_papers_9_giga_are_msnet_at_256_pixels():
    network = m2s.create_model("msnet", "res2net50d", pretrained=False)
    assert count(network, 256)["FLOPs_G"] == pytest.approx(8.91, abs=0.005)
    assert count(network, 256)["Params_M"] == pytest.approx(27.7, abs=0.05)


def test_measure_takes_turns_and_compares_with_the_reference():
    models = {"M2SNet": lambda: Sleeps(0.02), "slow": lambda: Sleeps(0.06)}
    table = measure(models, size=32, rounds=3)
    assert list(table.index) == list(models) and list(table.columns) == COLUMNS
    assert table.loc["M2SNet", ["FLOPs_ratio", "speed_ratio", "speed_low", "speed_high"]].tolist() == [1, 1, 1, 1]
    assert table.loc["slow", "FLOPs_G"] == pytest.approx(15 * 32 * 32 / 1e9)
    assert 0.1 < table.loc["slow", "speed_ratio"] < 0.9
    assert table.loc["slow", "FPS"] < 1 / 0.06
    assert (table["speed_low"] <= table["speed_ratio"]).all() and (table["speed_ratio"] <= table["speed_high"]).all()
    other = measure(models, size=32, rounds=1, reference="slow")
    assert other.loc["M2SNet", "speed_ratio"] > 1


def test_user_errors():
    with pytest.raises(InputError, match="rounds is 0: give at least 1"):
        measure({"M2SNet": lambda: Sleeps(0)}, size=32, rounds=0)
    with pytest.raises(InputError, match="unknown reference network 'M2SNet'"):
        measure({"unet": lambda: Sleeps(0)}, size=32)
