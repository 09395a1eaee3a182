"""Benchmarks: the channel-sum form of the all-one filters against the dense form, and the speed of the loader."""

import copy
import statistics
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from m2s.data import TensorSet, load
from m2s.network import M2SNet
from m2s.units import ReleasedFilter


class DenseFilter(nn.Module):
    """A :class:`m2s.units.ReleasedFilter` the costly way: a dense ``C×C×k×k`` convolution whose weights are all one."""

    def __init__(self, fast: ReleasedFilter):
        super().__init__()
        channels = fast.norm.num_features
        self.register_buffer("weight", fast.kernel.repeat(channels, channels, 1, 1))
        self.norm = copy.deepcopy(fast.norm)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(F.conv2d(x, self.weight, padding=self.weight.shape[-1] // 2)))


def with_dense_filters(model: M2SNet) -> M2SNet:
    """A copy of a model of released wiring whose fixed filters run as dense convolutions."""
    dense = copy.deepcopy(model)
    for size, fast in model.difference.filters.items():
        if isinstance(fast, ReleasedFilter):
            dense.difference.filters[size] = DenseFilter(fast)
    return dense


def filters_ratio(size: int = 352, rounds: int = 5, encoder: str = "res2net50d") -> float:
    """Median over rounds of (time of M2SNet as it is) / (time with dense filters), one image, evaluation mode."""
    model = M2SNet(encoder, pretrained=False).eval()
    pair = (model, with_dense_filters(model))
    image = torch.randn(1, 3, size, size)
    ratios = []
    with torch.inference_mode():
        for round in range(rounds + 1):
            seconds = []
            for network in pair:
                start = time.perf_counter()
                network(image)
                seconds.append(time.perf_counter() - start)
            if round:  # the first round warms up
                ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios)


def loader_rate(size: int = 352, workers: int = 0, root: str = "phantom", limit: int = 160, epochs: int = 3) -> float:
    """Images a second of the training loader (augmentation on, batches of 16): median of the epochs after the first."""
    images = TensorSet(load("clinicdb", "train", root=root, limit=limit), size, augment="m2snet")
    loader = DataLoader(images, batch_size=16, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    rates = []
    for epoch in range(epochs + 1):
        images.set_epoch(epoch)
        start = time.perf_counter()
        for _ in loader:
            pass
        rates.append(len(images) / (time.perf_counter() - start))
    return statistics.median(rates[1:])
