"""What a network costs: parameters, multiply-adds, speed (M2SNet paper, Table 6 of both versions), memory, loading."""

import copy
import statistics
import sys
import time
import weakref
from collections.abc import Callable, Mapping

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from m2s.data import load_images
from m2s.data.tensors import TensorSet
from m2s.errors import InputError, unknown
from m2s.m2snet import M2SNet
from m2s.units import ReleasedFilter


def count(model: nn.Module, size: int) -> dict[str, float]:
    """Parameters and multiply-adds of a network for one image of ``size`` × ``size``, in evaluation mode.

    Image and weights have shapes but no values (the device "meta"), so that nothing is computed, whatever the size.

    Returns:
        ``Params_M``, millions of learned numbers; ``FLOPs_G``, 10⁹ multiply-adds of convolutions, matrix products and
        attention, each counted once. Papers print them as FLOPs. Sums, norms and resizes are not counted.
    """
    was_training = model.training
    without_values = {name: tensor.to("meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    # With gradients on: without them nn.TransformerEncoder takes a fused path, which the counter does not know.
    with FlopCounterMode(display=False) as counter, torch.enable_grad():
        functional_call(model.eval(), without_values, torch.zeros(1, 3, size, size, device="meta"))
    model.train(was_training)
    parameters = sum(p.numel() for p in model.parameters())
    return {"Params_M": parameters / 1e6, "FLOPs_G": counter.get_total_flops() / 2e9}


class _LivingTensors(TorchDispatchMode):
    """While open, counts the bytes of all tensors that are alive at once, and keeps the largest sum."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            # Not the weights with values, from which those on "meta" are made while this is open.
            if isinstance(leaf, Tensor) and leaf.is_meta:
                self.add(leaf.untyped_storage())
        return result

    def add(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self.known:  # views share a storage
            self.known.add(storage._cdata)
            self.alive += storage.nbytes()
            self.peak = max(self.peak, self.alive)
            weakref.finalize(storage, self.drop, storage._cdata, storage.nbytes())

    def drop(self, storage: int, size: int) -> None:
        self.known.discard(storage)
        self.alive -= size


def count_memory(model: nn.Module, size: int, batch: int = 1, training: bool = False) -> float:
    """10⁶ bytes of all tensors that are alive at once, at most, for a float32 batch of images of ``size`` × ``size``.

    Weights, images, features and, where ``training``, gradients; not the buffers inside of convolutions, nor what an
    optimizer keeps. As in :func:`count`, nothing is computed.
    """
    was_training = model.training
    with torch.set_grad_enabled(training), _LivingTensors() as memory:
        tensors = {n: t.detach().to("meta") for n, t in (*model.named_parameters(), *model.named_buffers())}
        for name, parameter in model.named_parameters():
            tensors[name].requires_grad_(training and parameter.requires_grad)
        images = torch.empty(batch, 3, size, size, device="meta")
        logits = functional_call(model.train(training), tensors, images)
        if training:
            logits.sum().backward()
    model.train(was_training)
    return memory.peak / 1e6


def measure(
    models: Mapping[str, Callable[[], nn.Module]],
    size: int,
    rounds: int = 5,
    reference: str = "M2SNet",
    device: str = "cpu",
) -> pd.DataFrame:
    """Cost and speed of networks side by side, one image at a time, in evaluation mode.

    They are timed in turns (:func:`time_in_turns`), so the ratios hold better than the times do. ``models`` gives for
    each name a function that builds the network; all are held in memory at once.

    Returns:
        A line per network: ``Params_M`` and ``FLOPs_G`` as :func:`count` gives them; ``FLOPs_ratio``, FLOPs over the
        reference's; ``FPS``, images a second (median over rounds); ``speed_ratio``, the median over rounds of the
        reference's time / own time, above 1 where faster; ``speed_low`` and ``speed_high``, the extremes over rounds.
    """
    if rounds < 1:
        raise InputError(f"rounds is {rounds}: give at least 1")
    if reference not in models:
        raise unknown("reference network", reference, models)
    networks = {name: build().eval() for name, build in models.items()}
    table = pd.DataFrame({name: count(network, size) for name, network in networks.items()}).T
    times = time_in_turns(networks, size, rounds, device)
    ratios = times.rdiv(times[reference], axis=0)
    return table.assign(
        FLOPs_ratio=table["FLOPs_G"] / table.loc[reference, "FLOPs_G"],
        FPS=1 / times.median(),
        speed_ratio=ratios.median(),
        speed_low=ratios.min(),
        speed_high=ratios.max(),
    )


def time_in_turns(
    networks: Mapping[str, nn.Module], size: int, rounds: int, device: str = "cpu", batch: int = 1
) -> pd.DataFrame:
    """Seconds that networks in evaluation mode take for a batch: a row for each round, a column for each network.

    They take turns, so that a machine that is busy or slows down hits all of them alike. A first round that is not
    counted warms up; a progress line names the network at work. All networks are held on the device at once.
    """
    networks = {name: network.to(device) for name, network in networks.items()}
    image = torch.randn(batch, 3, size, size, device=device)
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    progress = tqdm([*networks] * (rounds + 1), unit="batch", leave=False, disable=not sys.stderr.isatty())
    with torch.inference_mode():
        for name in progress:
            progress.set_description(name)
            start = time.perf_counter()
            networks[name](image)
            if image.is_cuda:
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - start)
    return pd.DataFrame(seconds).iloc[1:]


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
    times = time_in_turns({"fast": model, "dense": with_dense_filters(model)}, size, rounds)
    return float((times["fast"] / times["dense"]).median())


def loader_rate(size: int = 352, workers: int = 0, root: str = "phantom", limit: int = 160, epochs: int = 3) -> float:
    """Images a second of the training loader (augmentation on, batches of 16): median of the epochs after the first."""
    images = TensorSet(load_images("clinicdb", "train", root=root, limit=limit), size, augment="m2snet")
    loader = DataLoader(images, batch_size=16, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    rates = []
    for epoch in range(epochs + 1):
        images.set_epoch(epoch)
        start = time.perf_counter()
        for _ in loader:
            pass
        rates.append(len(images) / (time.perf_counter() - start))
    return statistics.median(rates[1:])
