"""The selective scan of Mamba in plain PyTorch, and the state space around it that SegMamba and H-vmunet share."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def combine(decay: Tensor, inputs: Tensor) -> Tensor:
    """All h_t = decay_t · h_{t−1} + inputs_t with h_0 = 0, along axis 1 of ``(N, L, …)``, in log₂ L parallel steps.

    Two steps in a row are one of the same form, ``h_{t+1} = (a_{t+1} a_t) h_{t−1} + (a_{t+1} b_t + b_{t+1})``: so the
    states after each pair are a recurrence of half the length, and those between follow from them.
    """
    length = decay.shape[1]
    if length == 1:
        return inputs
    if length % 2:
        h = combine(decay[:, :-1], inputs[:, :-1])
        return torch.cat([h, torch.addcmul(inputs[:, -1:], decay[:, -1:], h[:, -1:])], 1)
    (a1, a2), (b1, b2) = (x.unflatten(1, (-1, 2)).unbind(2) for x in (decay, inputs))  # (N, L/2, …) each
    second = combine(a1 * a2, torch.addcmul(b2, a2, b1))
    first = torch.cat([b1[:, :1], torch.addcmul(b1[:, 1:], a1[:, 1:], second[:, :-1])], 1)
    return torch.stack([first, second], 2).flatten(1, 2)  # (N, L, …)


class LinearRecurrence(torch.autograd.Function):
    """:func:`combine` with its gradient, which is the same recurrence backwards in time.

    Left to autograd, every level of the recursion would keep its tensors; so only the decays and the states are kept.
    """

    @staticmethod
    def forward(ctx: Any, decay: Tensor, inputs: Tensor) -> Tensor:
        h = combine(decay, inputs)
        ctx.save_for_backward(decay, h)
        return h

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        decay, h = ctx.saved_tensors
        later = decay.flip(1).roll(1, 1)  # a_{t+1} at t; what has come round to the first place meets a state of zero
        grad = LinearRecurrence.apply(later, grad.flip(1)).flip(1)
        return torch.cat([torch.zeros_like(h[:, :1]), grad[:, 1:] * h[:, :-1]], 1), grad


def selective_scan(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """y_t = C_t h_t of the states ``h_t = exp(Δ_t A) h_{t−1} + Δ_t B_t u_t`` (Mamba, Section 3.2).

    Step by step this is, for one sequence of ``u`` and ``delta`` ``(L, d)``, ``b`` and ``c`` ``(L, S)``::

        h = zeros(d, S)
        for t in range(L):
            h = exp(delta[t, :, None] * a) * h + (delta[t] * u[t])[:, None] * b[t]
            y[t] = h @ c[t]

    Here all steps are done at once (:func:`combine`). With ``a`` below and ``delta`` above zero no factor exceeds one
    and nothing is divided by, so long sequences neither overflow nor lose digits. States are at least of single
    precision, under autocast too.

    Args:
        u, delta: ``(N, L, …, d)``, inputs and step sizes.
        a: ``(…, d, S)``, below zero, for S states a channel.
        b, c: ``(N, L, …, S)``.

    Returns:
        ``(N, L, …, d)``.
    """
    precision = torch.promote_types(u.dtype, torch.float32)
    u, delta, a, b, c = (x.to(precision) for x in (u, delta, a, b, c))
    inputs = (delta * u).unsqueeze(-1) * b.unsqueeze(-2)  # (N, L, …, d, S)
    h = LinearRecurrence.apply(torch.exp(delta.unsqueeze(-1) * a), inputs)
    return (h * c.unsqueeze(-2)).sum(-1)


class StateSpace(nn.Module):
    """Mamba's selective state space of K sequences ``(N, L, K, 2·channels)`` → same, each with weights of its own.

    Step sizes, inputs and outputs of the states are linear in the sequence (Gu & Dao, "Mamba: linear-time sequence
    modeling with selective state spaces", 2023, Algorithm 2); every channel has ``states`` of them. Initial values are
    that paper's: A = −1 … −states, step sizes between 0.001 and 0.1.

    Args:
        channels: of the layer around it, which widens them to twice as many.
        sequences: K.
        states: of each channel.
    """

    def __init__(self, channels: int, sequences: int, states: int = 16):
        super().__init__()
        width, rank = 2 * channels, -(-channels // 16)
        self.sizes = (rank, states, states)
        self.select = nn.Parameter(torch.empty(sequences, width, rank + 2 * states).uniform_(-1, 1) / width**0.5)
        self.widen = nn.Parameter(torch.empty(sequences, rank, width).uniform_(-1, 1) / rank**0.5)
        delta = 10 ** torch.empty(sequences, width).uniform_(-3, -1)
        self.bias = nn.Parameter(delta + torch.log(-torch.expm1(-delta)))  # the inverse of softplus
        self.log_a = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(sequences, width, 1))
        self.skip = nn.Parameter(torch.ones(sequences, width))

    def forward(self, u: Tensor) -> Tensor:
        delta, b, c = torch.einsum("nlkd,kde->nlke", u, self.select).split(self.sizes, -1)  # (N, L, K, rank | states)
        delta = torch.einsum("nlkr,krd->nlkd", delta, self.widen) + self.bias
        return selective_scan(u, F.softplus(delta), -self.log_a.exp(), b, c) + self.skip * u


def interleave(x: Tensor, pieces: int) -> Tensor:
    """Tokens ``(N, L, …)`` in the order: the first ones of all ``pieces``, then the second ones, and so on.

    With the rows of an image as pieces this is column by column. Doing it again with ``L // pieces`` undoes it.
    """
    return x.unflatten(1, (pieces, -1)).transpose(1, 2).flatten(1, 2)
