"""Looking inside: every node of the pyramid of MSNet and M2SNet under its paper name, captured in one pass."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.data.tensors import normalize
from m2s.errors import InputError, unknown
from m2s.m2snet import M2SNet

KINDS = {
    "E": "encoder feature",
    "MS": "node of the triangle",
    "difference": "difference at one scale",
    "CE": "complementarity-enhanced feature",
    "D": "decoder stage",
    "logit": "logit",
}
"""What a node can be, in the paper's terms (M2SNet paper, Section 3 and Fig. 2)."""


@dataclass(frozen=True, eq=False)
class Node:
    """One feature map of a network, for one image.

    ``name`` is ``"E^2"``, ``"MS_3^1"``, ``"MS_3^1 k=5"`` (the difference ``|f_5(A) − f_5(B)|`` inside the unit of
    MS_3^1), ``"CE^4"``, ``"D^2"`` or ``"logit"``; ``label`` is the same as mathtext. ``feature`` is float32 (C, h, w)
    on the CPU; ``stride`` says how many pixels of the input one of its pixels stands for; ``inputs`` names the nodes
    that it is made of.
    """

    name: str
    kind: str
    label: str
    feature: Tensor
    stride: int
    inputs: tuple[str, ...]


class Capture(dict[str, Node]):
    """What one pass of one image through a network left at its nodes, by name and in the order of reading.

    ``probability`` is the prediction (C, H, W) in [0, 1] at the size that the network saw.
    """

    def __init__(self, nodes: dict[str, Node], logits: Tensor):
        super().__init__(nodes)
        self.probability = logits.sigmoid()

    def __missing__(self, name: str) -> Node:
        raise unknown("node", name, self)


@torch.inference_mode()
def capture(
    model: M2SNet,
    image: np.ndarray,
    size: int | None = None,
    names: Collection[str] | None = None,
    off: Collection[str] = (),
    limit_mb: int = 1024,
) -> Capture:
    """Every node of the pyramid for one image, in one pass, without changing the model.

    Args:
        image: uint8 (H, W, 3), RGB.
        size: the square side that the network sees; ``None`` for the image's own size.
        names: the nodes to keep; ``None`` for all of them.
        off: nodes ``MS_n^i`` with n ≥ 2 whose unit is switched off, so that zeros take their place in this pass.
        limit_mb: what the kept nodes may take at most. At 352 px they take some 80 MB.

    Raises:
        InputError: the model is of another family or in training mode, a name is unknown, or the limit is exceeded.
    """
    if not isinstance(model, M2SNet):
        raise InputError(f"{type(model).__name__} has no pyramid of subtractions: give an MSNet or an M2SNet")
    if model.training:
        raise InputError("the model is in training mode, where a pass changes its statistics: call model.eval() first")
    known = _inputs(model)
    for name in names or ():
        if name not in known:
            raise unknown("node", name, known)
    device = next(model.parameters()).device
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(device).float() / 255
    if size is not None:
        x = F.interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=True)
    kept, used = {}, 0

    def keep(name: str, feature: Tensor) -> None:
        nonlocal used
        if names is not None and name not in names:
            return
        used += feature.nbytes
        if used > limit_mb * 2**20:
            raise InputError(
                f"the features of {x.shape[-2]}×{x.shape[-1]} pixels take more than {limit_mb} MB: "
                "give a smaller size, or in names the nodes that you need"
            )
        stride = 2 ** round(math.log2(x.shape[-2] / feature.shape[-2]))
        kept[name] = Node(name, _kind(name), _label(name, known[name]), feature[0].float().cpu(), stride, known[name])

    with _watched(model, keep, off):
        logits = model(normalize(x, model.mean, model.std))
    return Capture({name: kept[name] for name in known if name in kept}, logits[0].float().cpu())


@torch.inference_mode()
def receptive_fields(model: M2SNet, width: int = 2048) -> dict[str, float]:
    """Of every node, the side in pixels of the window of the image that one of its pixels can depend on.

    Measured exactly: NaN in one column of the image makes NaN of whatever depends on it, whatever the weights are. It
    is put into each of 32 neighbouring columns in turn, since strides and upsampling make windows differ with the
    place; the largest is given, and ``math.inf`` for a window that does not fit a strip of ``width`` pixels, such as
    that of an encoder with global pooling. Takes the time of some twenty images of 352 px.
    """
    # Zeros with the NaN column in the middle. All images of the batch are one strip of 32 pixels' height.
    strips = torch.zeros(32, 3, 32, width, device=next(model.parameters()).device)
    for shift, strip in enumerate(strips):
        strip[..., width // 2 + shift] = math.nan
    fields = {}

    def measure(name: str, feature: Tensor) -> None:
        touched = feature.isnan().any(1).any(1)  # (32 shifts, w)
        if touched[:, 0].any() or touched[:, -1].any():
            fields[name] = math.inf
            return
        stride = width // touched.shape[1]
        shift, place = touched.nonzero().T
        offset, phase = width // 2 + shift - place * stride, place % (32 // stride)  # phases repeat every 32 pixels
        spans = [offset[phase == p].max() - offset[phase == p].min() + 1 for p in range(32 // stride)]
        fields[name] = float(max(spans))

    with _watched(model, measure, ()):
        model(strips)
    return {name: fields[name] for name in _inputs(model)}


def center_channels(feature: Tensor) -> Tensor:
    """A feature (C, h, w) as (C, h·w), each channel less its mean."""
    flat = feature.flatten(1)
    return flat - flat.mean(1, keepdim=True)


def channel_spectrum(feature: Tensor) -> Tensor:
    """How redundant the channels of a feature (C, h, w) are: its singular values' shares of the variance, (C,).

    Each channel is a vector of h·w values less their mean; the squared singular values of the C × hw matrix, divided
    by their sum, fall from the first to the last. C equal channels give 1, 0, 0, …; C unrelated ones of one size give
    1/C each.
    """
    flat = center_channels(feature.double())
    values = torch.linalg.eigvalsh(flat @ flat.T).flip(0).clamp_min(0)
    return (values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)).float()


def effective_rank(spectrum: Tensor) -> float:
    """The number of equally strong components that a :func:`channel_spectrum` (C,) amounts to.

    The exponential of its entropy, from 1 (all channels are one map) to C (Roy and Vetterli, EUSIPCO 2007).
    """
    share = spectrum.double()
    return float(torch.exp(-(share * share.clamp_min(1e-12).log()).sum()))


def principal_components(feature: Tensor, count: int = 3) -> Tensor:
    """The first principal components of the channels of a feature (C, h, w): maps (count, h, w), the strongest first.

    Signs are chosen so that each component's channel weights sum to at least 0. Missing components are zero.
    """
    flat = center_channels(feature)
    _, directions = torch.linalg.eigh((flat @ flat.T).double())
    directions = directions.flip(1)[:, :count].float()
    directions = directions * torch.where(directions.sum(0) < 0, -1.0, 1.0)
    maps = torch.zeros(count, *feature.shape[1:])
    maps[: directions.shape[1]] = (directions.T @ flat).view(-1, *feature.shape[1:])
    return maps


def _inputs(model: M2SNet) -> dict[str, tuple[str, ...]]:
    """Every node of a model and the nodes that it is made of, in reading order."""
    inputs: dict[str, tuple[str, ...]] = {f"E^{i}": () for i in range(1, 6)}
    inputs |= {f"MS_1^{i}": (f"E^{i}",) for i in range(1, 6)}
    for unit in model.units:
        n, i = map(int, unit.split("^"))
        pair = (f"MS_{n - 1}^{i + 1}", f"MS_{n - 1}^{i}")
        inputs |= {f"MS_{unit} k={k}": pair for k in model.difference.filters}
        inputs[f"MS_{unit}"] = pair
    orders = range(model.first_order, model.orders + 1)
    inputs |= {f"CE^{i}": tuple(f"MS_{n}^{i}" for n in orders if n <= 6 - i) for i in range(1, 5)}
    inputs["CE^5"] = ("E^5",) if model.enhance_encoder else ("MS_1^5",)
    inputs |= {f"D^{i}": (f"D^{i + 1}" if i < 4 else "CE^5", f"CE^{i}") for i in (4, 3, 2)}
    inputs["logit"] = ("D^2", "CE^1")
    return inputs


def _kind(name: str) -> str:
    return "difference" if "k=" in name else name.partition("^")[0].partition("_")[0]


def _label(name: str, inputs: tuple[str, ...]) -> str:
    if "k=" in name:
        k = name.partition("k=")[2]  # with k = 1 the filter is the identity
        deep, shallow = inputs if k == "1" else (f"f_{k}({name})" for name in inputs)
        return f"$|{deep} - {shallow}|$"
    return name if name == "logit" else f"${name}$"


@contextmanager
def watch_outputs(hooks: Iterable[tuple[nn.Module, Callable[[Any], Tensor | None]]]) -> Iterator[None]:
    """While open, each module's output goes to the function beside it; what that returns takes the output's place."""
    with ExitStack() as handles:
        for module, tell in hooks:
            hook = module.register_forward_hook(lambda _module, _inputs, output, tell=tell: tell(output))
            handles.callback(hook.remove)
        yield


@contextmanager
def _watched(model: M2SNet, tell: Callable[[str, Tensor], None], off: Collection[str]) -> Iterator[None]:
    """While open, a pass through the model tells ``tell(name, feature)`` of each node; ``off`` units give zeros."""
    units = {f"MS_{unit}": module for unit, module in model.units.items()}
    for name in off:
        if name not in units:
            raise unknown("unit", name, units)
    filtered: dict[str, list[Tensor]] = {}  # what each filter gave in the unit at work: of the deep, then the shallow

    def levels(features: list[Tensor]) -> None:
        for i, feature in enumerate(features, start=1):
            tell(f"E^{i}", feature)

    def filter(k: str, output: Tensor) -> None:
        filtered.setdefault(k, []).append(output)

    def unit(name: str, output: Tensor) -> Tensor:
        for k, (deep, shallow) in filtered.items():
            tell(f"{name} k={k}", (deep - shallow).abs() if model.difference.subtract else deep + shallow)
        filtered.clear()
        output = torch.zeros_like(output) if name in off else output
        tell(name, output)
        return output

    hooks = [(model.encoder, levels), (model.head, partial(tell, "logit"))]
    for prefix, modules in (("MS_1", model.reduce), ("CE", model.enhance), ("D", model.decode)):
        hooks += [(module, partial(tell, f"{prefix}^{i}")) for i, module in modules.items()]
    if units:
        hooks += [(module, partial(filter, k)) for k, module in model.difference.filters.items()]
        hooks += [(module, partial(unit, name)) for name, module in units.items()]
    with watch_outputs(hooks):
        yield
