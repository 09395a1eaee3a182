"""The sides of the images that a network takes, tried before the training begins."""

import torch
from torch import nn

from m2s.data.tensors import multiscale_sizes
from m2s.errors import InputError

STEP = 32
"""What a side is rounded to that the network refuses: the stride of the deepest features."""


@torch.no_grad()
def choose_sizes(model: nn.Module, size: int, multiscale: bool) -> tuple[int, ...]:
    """The sides of a 2-D training: ``size`` alone, or :func:`m2s.data.tensors.multiscale_sizes` of it.

    Of these, one that the network refuses is rounded to a multiple of 32, and left out if it refuses that as well.

    Raises:
        InputError: the network does not take ``size`` itself.
    """
    training = model.training
    model.eval()  # so that no batch statistics are taken
    try:
        if reason := _find_refusal(model, size):
            raise InputError(f"this network cannot be trained on images of {size}×{size} pixels: {reason}")
        if not multiscale:
            return (size,)
        sides = multiscale_sizes(size)
        if refused := {side for side in sides if side != size and _find_refusal(model, side)}:
            rounded = [round(side / STEP) * STEP or STEP if side in refused else side for side in sides]
            sides = tuple(s for s in dict.fromkeys(rounded) if s not in refused and not _find_refusal(model, s))
        return sides or (size,)
    finally:
        model.train(training)


def _find_refusal(model: nn.Module, side: int) -> str:
    """What the network says against an image of this side; empty if it takes it."""
    try:
        model(torch.zeros(1, 3, side, side, device=next(model.parameters()).device))
    except (InputError, AssertionError, RuntimeError, ValueError) as error:
        return next(iter(str(error).splitlines()), type(error).__name__)
    return ""
