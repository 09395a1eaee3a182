"""How long networks take on this machine: the forms of M2SNet side by side, and the parts of a training step."""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from m2s.data.load import load_images
from m2s.data.tensors import TensorSet, normalize
from m2s.features.cost import count, time_in_turns, with_dense_filters
from m2s.losses import SegmentationLoss
from m2s.lossnet import LossNet
from m2s.runs.export import export_onnx, load_onnx
from m2s.runs.machine import describe_machine
from m2s.runs.train import make_optimizer
from m2s.studies.recipe import Recipe
from m2s.zoo import create_model

REFERENCE = "M2SNet, dense filters as released"
PARTS = ("loader", "network", "loss", "LossNet", "backward", "optimizer")
"""Of a training step, in the order in which they work; "loss" and "LossNet" with their gradients."""


def measure_peak(side: int = 1024, rounds: int = 25) -> float:
    """10⁹ multiply-adds a second: the fastest of some float32 products of ``side`` × ``side`` matrices."""
    a, seconds = torch.randn(side, side), []
    for _ in range(rounds):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return side**3 / min(seconds) / 1e9


def build_forms(
    encoder: str, size: int, batch: int, folder: Path, compiles: bool = True
) -> tuple[dict[str, nn.Module], list[str]]:
    """M2SNet in all its forms, and MSNet, by name; and a line for each form that this machine cannot run, and why.

    Args:
        folder: where the ONNX file is written.
        compiles: whether the compiled form is wanted.
    """
    torch.manual_seed(0)
    network = create_model("m2snet", encoder, pretrained=False).eval()
    networks = {REFERENCE: with_dense_filters(network), "M2SNet": network}
    last = create_model("m2snet", encoder, pretrained=False).eval()
    last.load_state_dict(network.state_dict())
    networks["M2SNet, channels-last"] = last.to(memory_format=torch.channels_last)
    lacking = []
    if compiles:
        print(f"compiling M2SNet for {batch} × {size} px: this takes minutes", file=sys.stderr)
        compiled = torch.compile(last)
        try:
            with torch.inference_mode():
                compiled(torch.randn(batch, 3, size, size))
            networks["M2SNet, channels-last, compiled"] = compiled
        except Exception as error:  # torch's compiler raises what it likes, most often that it finds no C++ compiler
            why = f"torch.compile failed ({type(error).__name__}); it needs a C++ compiler, such as g++"
            lacking.append(f"not compiled: {why}")
    if find_spec("onnx") and find_spec("onnxruntime"):
        file = folder / "m2snet.onnx"
        network.size = size
        if not file.exists():
            file.write_bytes(export_onnx(network, "M2SNet")[0])
        networks["M2SNet, ONNX Runtime"] = load_onnx(file)
    else:
        lacking.append("not run by ONNX Runtime: it is not installed (the extra 'export')")
    networks["MSNet"] = create_model("msnet", encoder, pretrained=False).eval()
    return networks, lacking


def time_forms(
    encoder: str, sizes: Sequence[int], batches: Sequence[int], rounds: int, compiles: bool = True
) -> Iterator[pd.DataFrame]:
    """A table for each size and batch: how long each form takes, all in turns in this one process, on the CPU.

    A row for each form: ``median_ms``, ``low_ms`` and ``high_ms`` (the extremes) of a batch, ``images_per_second``,
    ``ratio``, the median over rounds of its time over that of :data:`REFERENCE`, ``GMAC_per_second``, 10⁹ multiply-adds
    a second (the dense filters counted as those of the fast form), and ``of_peak``, their part of :func:`measure_peak`.
    ``attrs["notes"]`` holds a line for each form that was left out.
    """
    peak = measure_peak()
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            for batch in batches:
                networks, lacking = build_forms(encoder, size, batch, Path(folder), compiles)
                work = {name: count(networks[name], size)["FLOPs_G"] * batch for name in ("M2SNet", "MSNet")}
                seconds = time_in_turns(networks, size, rounds, batch=batch)
                median = seconds.median()
                rate = pd.Series({name: work.get(name, work["M2SNet"]) for name in networks}) / median
                columns = {
                    "median_ms": median * 1e3, "low_ms": seconds.min() * 1e3, "high_ms": seconds.max() * 1e3,
                    "images_per_second": batch / median, "ratio": seconds.div(seconds[REFERENCE], axis=0).median(),
                    "GMAC_per_second": rate, "of_peak": rate / peak,
                }  # fmt: skip
                table = pd.DataFrame({"encoder": encoder, "size": size, "batch": batch} | columns)
                table.attrs["notes"] = lacking
                yield table.rename_axis("form").reset_index()


def time_training(
    encoder: str, lossnet: str, lossnet_resize: int | None, sizes: Sequence[int], batches: Sequence[int], rounds: int
) -> Iterator[pd.DataFrame]:
    """A table for each size and batch: the parts of a training step, of M2SNet and MSNet in turns, on the CPU.

    A row for each model and each of :data:`PARTS`, and one for their sum, "step": ``median_ms``, ``low_ms``,
    ``high_ms`` and ``of_step``, the median over rounds of its part of the step. ``attrs["notes"]`` compares the steps.
    """
    torch.manual_seed(0)
    networks = {name: create_model(name, encoder, pretrained=False).train() for name in ("m2snet", "msnet")}
    optimizers = {name: make_optimizer(network, Recipe()) for name, network in networks.items()}
    losses = SegmentationLoss(), LossNet(lossnet, pretrained=False, resize=lossnet_resize)
    for module in (*networks.values(), *losses):
        module.to(memory_format=torch.channels_last)
    for size in sizes:
        for batch in batches:
            images = TensorSet(load_images("clinicdb", "train", root="phantom", limit=batch), size, augment="m2snet")
            loader, rows = DataLoader(images, batch_size=batch), []
            progress = tqdm([*networks] * (rounds + 1), unit="step", leave=False, disable=not sys.stderr.isatty())
            for name in progress:
                progress.set_description(name)
                rows.append({"model": name} | _time_step(networks[name], optimizers[name], losses, loader))
            seconds = pd.DataFrame(rows[len(networks) :])  # the first step of each warms up
            seconds["step"] = seconds[list(PARTS)].sum(axis=1)
            shares = seconds.assign(**seconds[[*PARTS, "step"]].div(seconds["step"], axis=0))
            by_network = seconds.groupby("model", sort=False)
            columns = {"median_ms": by_network.median(), "low_ms": by_network.min(), "high_ms": by_network.max()}
            table = pd.DataFrame({name: 1e3 * column.stack() for name, column in columns.items()})
            table["of_step"] = shares.groupby("model", sort=False).median().stack()
            table = table.rename_axis(["model", "part"]).reset_index()
            first, second = (group["step"].to_numpy() for _, group in by_network)
            ratio = f"M2SNet's step takes {statistics.median(first / second):.2f} of MSNet's (median over rounds)"
            table.attrs["notes"] = [ratio]
            table.insert(0, "batch", batch)
            table.insert(0, "size", size)
            table.insert(0, "encoder", encoder)
            yield table


def _time_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, losses: tuple[SegmentationLoss, LossNet], loader: DataLoader
) -> dict[str, float]:
    """Seconds of each of :data:`PARTS` in one training step."""
    structure, lossnet = losses
    times = [time.perf_counter()]
    images, masks = next(iter(loader))
    images, masks = normalize(images, network.mean, network.std), masks.float()
    images = images.contiguous(memory_format=torch.channels_last)
    times.append(time.perf_counter())
    logits = network(images)
    times.append(time.perf_counter())
    leaf = logits.detach().requires_grad_()  # where the gradient of the losses is gathered
    structure(leaf, masks).backward()
    times.append(time.perf_counter())
    lossnet(leaf.sigmoid(), masks).backward()
    times.append(time.perf_counter())
    optimizer.zero_grad()
    logits.backward(leaf.grad)
    times.append(time.perf_counter())
    optimizer.step()
    times.append(time.perf_counter())
    return dict(zip(PARTS, np.diff(times), strict=True))


def describe_conditions() -> str:
    """The machine and the versions, as one line for the head of a table."""
    machine = describe_machine()
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores, float32, {versions}"
