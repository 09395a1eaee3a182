"""The subtraction unit (SU) and the multi-scale subtraction unit (MSU) of MSNet and M2SNet.

M2SNet paper, section 3.1: Eq. 1 (SU) and Eq. 2 (MSU). Two forms are kept wherever the released code and the paper part:
``wiring="released"`` and ``wiring="paper"``. One definition serves images and, with ``dims=3``, volumes: a k×k filter
is k×k×k there, and shapes written ``(N, C, H, W)`` are ``(N, C, D, H, W)``.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from operator import add
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.errors import InputError, unknown
from m2s.gradients import SumOfDifferences, filter_symmetric

WIRINGS = ("released", "paper")
FILTERS = ("ones", "gaussian")
UNITS = ("subtraction", "addition")

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
LINEAR = {2: "bilinear", 3: "trilinear"}


class ConvBNReLU(nn.Sequential):
    """3×3 convolution with bias, BatchNorm, ReLU: ``(N, in, H, W)`` → ``(N, out, H, W)``. The ``Conv`` of Eq. 1–3."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1, dims: int = 2):
        super().__init__(
            CONV[dims](in_channels, out_channels, 3, padding=dilation, dilation=dilation),
            BATCH_NORM[dims](out_channels),
            nn.ReLU(inplace=True),
        )


def check_size(x: Tensor, smallest: int = 32) -> None:
    """Refuse sides below ``smallest``, the stride of the deepest features: they would have no whole pixel left."""
    sides = x.shape[2:]
    if min(sides) < smallest:
        what, unit = ("image", "pixels") if len(sides) == 2 else ("volume", "voxels")
        size, least = ("×".join(map(str, numbers)) for numbers in (sides, [smallest] * len(sides)))
        raise InputError(f"{what} of {size} {unit}: the network needs at least {least}")


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Linear resize of ``(N, C, H, W)`` to ``size = (height, width)``; nothing is done where it fits already."""
    if x.shape[2:] == torch.Size(size):
        return x
    return F.interpolate(x, tuple(size), mode=LINEAR[x.ndim - 2], align_corners=False)


def fixed_kernel(size: int, filter: str = "ones", dims: int = 2) -> Tensor:
    """The fixed ``(size, size)`` filter of the MSU: all ones, or a Gaussian of the same sum ``size²`` (3-D: ``size³``).

    The Gaussian is the one of the kernel ablation (revised paper, Table 13). The paper gives no width; this is the
    usual rule for a window of that size, ``σ = 0.3 ((size − 1)/2 − 1) + 0.8``.
    """
    if filter not in FILTERS:
        raise unknown("filter", filter, FILTERS)
    if size < 1 or size % 2 == 0:
        raise InputError(f"kernel size {size}: give odd sizes, such as (1, 3, 5)")
    if filter == "ones":
        return torch.ones([size] * dims)
    offsets = torch.arange(size) - size // 2
    g = torch.exp(-(offsets**2) / (2 * (0.3 * ((size - 1) / 2 - 1) + 0.8) ** 2))
    kernel = reduce(lambda product, _: product[..., None] * g, range(dims - 1), g)
    return kernel * (size / g.sum()) ** dims


def full_precision(x: Tensor) -> AbstractContextManager:
    """While open, autocast is off: half precision would lose differences of sums of hundreds of terms."""
    # "meta", on which work is counted, has no autocast. torch.amp.is_autocast_available would say so, but PyTorch 2.11
    # cannot compile it.
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


class ReleasedFilter(nn.Module):
    """One filter ``f_k`` as released: all-one ``C×C×k×k`` convolution, BatchNorm, ReLU; ``(N, C, H, W)`` → same.

    Every output channel of that convolution is the same map: the sum over all channels and over a k×k box. So the
    channels are summed first and one channel is filtered, which gives the same outputs, gradients and running
    statistics at 1/C² of the multiply-adds. Only BatchNorm's learned scale and shift tell the channels apart.
    """

    kernel: Tensor

    def __init__(self, channels: int, size: int, filter: str = "ones", dims: int = 2):
        super().__init__()
        self.register_buffer("kernel", fixed_kernel(size, filter, dims)[None, None], persistent=False)
        self.norm = BATCH_NORM[dims](channels)

    def normalize(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``t (N, 1, H, W)``, ``scale (C)`` and ``shift (C)``: channel c of the output is relu(t · scale_c + shift_c).

        ``x`` is ``(N, C, H, W)`` or its sum over the channels, ``(N, 1, H, W)``.
        """
        total = x.sum(1, keepdim=True)  # (N, C, H, W) → (N, 1, H, W)
        total = filter_symmetric(total, self.kernel, self.training)
        # BatchNorm is one scale and shift per channel: no need to repeat the map before it.
        norm: Any = self.norm  # torch types its statistics as possibly None
        if not self.training:
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            return total, scale, norm.bias - norm.running_mean * scale
        mean, var = total.new_zeros(1), total.new_ones(1)  # of the batch, the same for every channel
        total = F.batch_norm(total, mean, var, training=True, momentum=1.0, eps=norm.eps)
        norm.num_batches_tracked += 1
        # As BatchNorm does it: without a momentum, the statistics are the mean over all batches so far.
        momentum = 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum
        norm.running_mean.lerp_(mean, momentum)
        norm.running_var.lerp_(var, momentum)
        return total, norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        with full_precision(x):
            total, scale, shift = self.normalize(x.to(torch.promote_types(x.dtype, torch.float32)))
            shift, scale = (v.view(-1, *[1] * (x.ndim - 2)) for v in (shift, scale))  # (C) → (C, 1, 1)
            return torch.addcmul(shift, total, scale).relu_()  # (N, 1, H, W) → (N, C, H, W)


class PaperFilter(nn.Module):
    """One filter ``Filter(·)_{k×k}`` of Eq. 2 as written: a fixed filter on each channel by itself, nothing learned.

    Read this way the 1×1 all-one filter is the identity ("pixel-pixel" differences) and the unit has no extra
    parameter, as the paper says.
    """

    kernel: Tensor

    def __init__(self, channels: int, size: int, filter: str = "ones", dims: int = 2):
        super().__init__()
        kernel = fixed_kernel(size, filter, dims).expand(channels, 1, *[size] * dims)
        self.register_buffer("kernel", kernel.clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return filter_symmetric(x, self.kernel, self.training)


class MultiScaleDifference(nn.Module):
    """``Σ_k |f_k(A) − f_k(B)|``: what Eq. 2 gives to its convolution; with ``kernels=(1,)`` the ``|A − B|`` of Eq. 1.

    Args:
        channels: C, of both inputs.
        kernels: the filter sizes k, odd. The 1×1 filter is the identity in both wirings.
        filter: ``"ones"`` or ``"gaussian"``.
        wiring: ``"released"`` (BatchNorm and ReLU after each filter larger than 1×1) or ``"paper"``.
        unit: ``"subtraction"``, or ``"addition"`` for ``Σ_k (f_k(A) + f_k(B))``: the row "SU→AU" of the ablation, where
            "element-wise addition units" replace all subtraction units (revised paper, Section 4.7.1). It gives no
            formula; with ``kernels=(1,)`` this is ``A + B``.
    """

    def __init__(
        self,
        channels: int,
        kernels: Sequence[int] = (1, 3, 5),
        filter: str = "ones",
        wiring: str = "released",
        unit: str = "subtraction",
        dims: int = 2,
    ):
        super().__init__()
        if wiring not in WIRINGS:
            raise unknown("wiring", wiring, WIRINGS)
        if unit not in UNITS:
            raise unknown("unit", unit, UNITS)
        self.subtract = unit == "subtraction"
        if not kernels:
            raise InputError("kernels is empty: give at least one odd size, such as (1, 3, 5)")
        kind = ReleasedFilter if wiring == "released" else PaperFilter
        self.filters = nn.ModuleDict(
            {str(k): nn.Identity() if k == 1 else kind(channels, k, filter, dims) for k in kernels}
        )

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """``deep`` ``(N, C, h, w)`` is resized to ``shallow`` ``(N, C, H, W)``; the result has the latter's shape."""
        deep = resize(deep, shallow.shape[2:])  # (N, C, h, w) → (N, C, H, W)
        if not self.subtract:
            return reduce(add, (f(deep) + f(shallow) for f in self.filters.values()))
        kinds = {type(f) for f in self.filters.values()} - {nn.Identity}
        if self.training and kinds == {ReleasedFilter}:
            return self.subtract_in_training(deep, shallow)
        if self.training and kinds == {PaperFilter}:  # linear: f_k(A) − f_k(B) = f_k(A − B)
            difference = deep - shallow
            return reduce(add, (f(difference).abs() for f in self.filters.values()))
        return reduce(add, ((f(deep) - f(shallow)).abs() for f in self.filters.values()))

    def subtract_in_training(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """The same sum, of released filters, in fewer passes over the maps: ``(N, C, H, W)`` twice → same."""
        with full_precision(shallow):
            dtype = torch.promote_types(shallow.dtype, torch.float32)
            deep, shallow = deep.to(dtype), shallow.to(dtype)
            sums = deep.sum(1, keepdim=True), shallow.sum(1, keepdim=True)  # (N, C, H, W) → (N, 1, H, W)
            inputs = []
            for f in self.filters.values():
                if isinstance(f, ReleasedFilter):
                    (t_deep, scale, shift), (t_shallow, *_) = f.normalize(sums[0]), f.normalize(sums[1])
                    inputs += [t_deep, t_shallow, scale, shift]
            return SumOfDifferences.apply("1" in self.filters, deep, shallow, *inputs)


class MultiScaleSubtractionUnit(nn.Sequential):
    """MSU (Eq. 2): ``Conv(Σ_k |f_k(A) − f_k(B)|)`` of a deep ``(N, C, h, w)`` and a shallow ``(N, C, H, W)`` feature.

    The layers of the sequence are the ``Conv``; ``difference`` gives the sum.

    Args:
        kernels, filter, wiring, dims: of the unit's own :class:`MultiScaleDifference`.
        shared: the difference of another module, in place of its own. In M2SNet all ten units share one.
        context: a module ``(N, C, H, W)`` → same that the sum passes before the ``Conv`` (see :mod:`m2s.aspp`).
    """

    def __init__(
        self,
        channels: int,
        kernels: Sequence[int] = (1, 3, 5),
        filter: str = "ones",
        wiring: str = "released",
        dims: int = 2,
        shared: nn.Module | None = None,
        context: nn.Module | None = None,
    ):
        conv = ConvBNReLU(channels, channels, dims=dims)
        super().__init__(*(conv if context is None else (context, conv)))
        if shared is None:
            self.difference = MultiScaleDifference(channels, kernels, filter, wiring, dims=dims)
        else:  # a plain attribute: its parameters belong to the module that shares it
            object.__setattr__(self, "difference", shared)

    def conv(self, x: Tensor) -> Tensor:
        """The ``Conv`` of Eq. 2: ``(N, C, H, W)`` → same."""
        for layer in self:
            if layer is not self.difference:
                x = layer(x)
        return x

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:  # type: ignore[override]
        return self.conv(self.difference(deep, shallow))  # (N, C, h, w), (N, C, H, W) → (N, C, H, W)


class SubtractionUnit(MultiScaleSubtractionUnit):
    """SU (Eq. 1): ``Conv(|A − B|)``, the MSU with the 1×1 filter alone."""

    def __init__(self, channels: int, dims: int = 2):
        super().__init__(channels, kernels=(1,), dims=dims)
