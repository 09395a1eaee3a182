"""What the units compute in training, with gradients written by hand: the same numbers in fewer passes over the maps.

PyTorch keeps a map for every step of a formula and reads it again in the backward pass. A difference of filtered
features is a dozen such steps, each over all channels, and takes longer than the convolution behind it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

CONVOLVE = {2: F.conv2d, 3: F.conv3d}
ROWS = 2048
"""Pixels that a CPU works on at a time, with all their channels: half a megabyte, which its cache holds."""


def filter_symmetric(x: Tensor, kernel: Tensor, training: bool = False) -> Tensor:
    """Each channel of ``(N, C, H, W)`` through its symmetric filter of ``(C, 1, k, k)``, zeros around → same shape."""
    if training:
        return SymmetricFilter.apply(x, kernel)
    return CONVOLVE[x.ndim - 2](x, kernel, padding=kernel.shape[-1] // 2, groups=x.shape[1])


class SymmetricFilter(torch.autograd.Function):
    """:func:`filter_symmetric`, whose gradient is filtered as the map was: a symmetric filter is its own transpose.

    PyTorch's own gradient of a convolution of one channel in, one out takes many times as long.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> Tensor:
        ctx.save_for_backward(kernel)
        return filter_symmetric(x, kernel)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return filter_symmetric(gradient, *ctx.saved_tensors), None


class SumOfDifferences(torch.autograd.Function):
    """``Σ_k |f_k(A) − f_k(B)|`` of ``(N, C, H, W)`` features, with ``f_k(X) = relu(shift + scale · t_k(X))``.

    ``t_k(X)`` is one map ``(N, 1, H, W)`` for all channels, which only ``scale`` and ``shift`` (C) tell apart: see
    :class:`m2s.units.ReleasedFilter`. Nothing but the inputs is kept for the backward pass.

    The gradient: since relu rises, ``|relu(u) − relu(v)|`` grows with u, where u > 0, by ``sign(u − v)``; and
    ``u − v = scale · (t(A) − t(B))``, so that this sign is the product of one of the channel and one of the pixel.

    Args:
        identity: whether ``|A − B|`` belongs to the sum (the 1×1 filter).
        filters: ``t_k(A), t_k(B), scale, shift`` for each larger filter, one after the other.
    """

    @staticmethod
    def forward(ctx: Any, identity: bool, a: Tensor, b: Tensor, *filters: Tensor) -> Tensor:
        ctx.save_for_backward(a, b, *filters)
        ctx.identity = identity
        a_rows, b_rows, quadruples = _to_rows(a), _to_rows(b), _split_filters(filters)
        total = torch.empty_like(a_rows)
        slices = _slices(a_rows)
        u_buffer, v_buffer = total.new_empty(2, slices[0].stop, total.shape[1])  # allocating costs more than the work
        for now in slices:
            part = total[now]
            u, v = u_buffer[: len(part)], v_buffer[: len(part)]
            if identity:
                torch.sub(a_rows[now], b_rows[now], out=part).abs_()
            else:
                part.zero_()
            for t_a, t_b, scale, shift in quadruples:
                torch.addcmul(shift, t_a[now], scale, out=u).relu_()
                torch.addcmul(shift, t_b[now], scale, out=v).relu_()
                part += u.sub_(v).abs_()
        return _to_maps(total, a)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        a, b, *filters = ctx.saved_tensors
        a_rows, b_rows, g_rows, quadruples = _to_rows(a), _to_rows(b), _to_rows(gradient), _split_filters(filters)
        to_a, to_b = torch.zeros_like(g_rows), torch.zeros_like(g_rows)
        to_filters = [
            (torch.empty_like(t_a), torch.empty_like(t_b), scale.new_zeros(2, len(scale)))
            for t_a, t_b, scale, _ in quadruples
        ]
        slices = _slices(a_rows)
        buffer = torch.empty_like(g_rows[slices[0]])
        for now in slices:
            g, u = g_rows[now], buffer[: len(g_rows[now])]
            if ctx.identity:
                torch.sub(a_rows[now], b_rows[now], out=to_a[now]).sign_().mul_(g)
                torch.neg(to_a[now], out=to_b[now])
            for (t_a, t_b, scale, shift), (to_t_a, to_t_b, to_both) in zip(quadruples, to_filters, strict=True):
                sign = (t_a[now] - t_b[now]).sign_()
                for t, sign_t, to_t in ((t_a[now], sign, to_t_a), (t_b[now], -sign, to_t_b)):
                    torch.addcmul(shift, t, scale, out=u)
                    torch.ops.aten.threshold_backward(g, u, 0, grad_input=u)  # u is now g where u > 0, else 0
                    to_t[now] = sign_t * (u @ scale.abs()[:, None])
                    to_both.addmm_(torch.cat([sign_t * t, sign_t], 1).T, u)
        to_inputs = [
            (_to_maps(to_t_a, a), _to_maps(to_t_b, a), *(to_both * scale.sign()))
            for (_, _, scale, _), (to_t_a, to_t_b, to_both) in zip(quadruples, to_filters, strict=True)
        ]
        return None, _to_maps(to_a, a), _to_maps(to_b, a), *(one for four in to_inputs for one in four)


def _to_rows(x: Tensor) -> Tensor:
    """``(N, C, H, W)`` → ``(N·H·W, C)``, without a copy where the memory is channels-last."""
    return x.movedim(1, -1).flatten(0, -2)


def _to_maps(rows: Tensor, like: Tensor) -> Tensor:
    """``(N·H·W, C)`` → ``(N, C, H, W)``, with the sides of ``like``; a view, channels-last."""
    return rows.view(len(like), *like.shape[2:], rows.shape[1]).movedim(-1, 1)


def _split_filters(filters: Any) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Every four inputs as one tuple, the maps as rows ``(N·H·W, 1)``."""
    fours = zip(*(filters[start::4] for start in range(4)), strict=True)
    return [(_to_rows(t_a), _to_rows(t_b), scale, shift) for t_a, t_b, scale, shift in fours]


def _slices(rows: Tensor) -> list[slice]:
    """What is worked on at a time: :data:`ROWS` rows on a CPU, all on a GPU."""
    size = min(ROWS, len(rows)) if rows.device.type == "cpu" else len(rows)
    return [slice(start, start + size) for start in range(0, len(rows), size)]
