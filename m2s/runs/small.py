"""Problems of seconds, for experiments that a notebook repeats over seeds: made-up feature maps with discs to find."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from scipy.stats import mannwhitneyu
from torch import Tensor, nn


def draw_discs(count: int, side: int, radii: Sequence[int], generator: torch.Generator) -> Tensor:
    """Masks ``(count, 1, side, side)``, 0 and 1, with one disc each; the radii, in pixels, take turns."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    masks = torch.zeros(count, 1, side, side)
    for i in range(count):
        radius = radii[i % len(radii)]
        row, column = torch.randint(radius, side - radius, (2,), generator=generator)
        masks[i, 0] = ((y - row) ** 2 + (x - column) ** 2 <= radius**2).float()
    return masks


def make_pair(
    masks: Tensor, contrast: Tensor | float, channels: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Two features ``(N, channels, H, W)`` of independent standard normal noise, which differ inside the masks.

    There ``contrast`` is added to the second: one number, or one per channel ``(channels, 1, 1)``.
    """
    shape = (len(masks), channels, *masks.shape[2:])
    first, second = (torch.randn(shape, generator=generator) for _ in range(2))
    return first, second + contrast * masks


class Finder(nn.Module):
    """A unit and a 1×1 convolution: two features ``(N, C, H, W)`` → logits ``(N, 1, H, W)``."""

    def __init__(self, unit: nn.Module, channels: int):
        super().__init__()
        self.unit, self.head = unit, nn.Conv2d(channels, 1, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.head(self.unit(second, first))


def fit(network: nn.Module, inputs: Sequence[Tensor], truth: Tensor, steps: int = 60, lr: float = 0.02) -> nn.Module:
    """Train in place by Adam on the BCE of ``network(*inputs)`` and the 0-1 ``truth``, all in one batch; then eval."""
    optimizer = torch.optim.Adam(network.parameters(), lr)
    network.train()
    for _ in range(steps):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(network(*inputs), truth).backward()
        optimizer.step()
    return network.eval()


@torch.no_grad()
def area_under_roc(scores: Tensor, truth: Tensor) -> float:
    """The chance that a pixel of the truth scores above one that is not: 1 finds all, 0.5 is guessing; ties count half.

    That chance is the statistic of Mann and Whitney, divided by the number of pairs.
    """
    inside, outside = scores[truth > 0].numpy(), scores[truth <= 0].numpy()
    return float(mannwhitneyu(inside, outside, method="asymptotic").statistic / (inside.size * outside.size))


def count_steps_to_halve(step: Callable[[], float], limit: int) -> int | None:
    """How many training steps bring the loss to half of what the first one gave; None if ``limit`` steps do not.

    ``step`` makes one training step on images that stay the same, and returns the loss that it began with.
    """
    first = step()
    return next((taken for taken in range(1, limit + 1) if step() <= first / 2), None)
