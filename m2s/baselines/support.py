"""The support bank: images with masks that are a part of a network and tell it what to segment."""

import copy
from collections.abc import Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.data.tensors import normalize
from m2s.encoders import Network
from m2s.errors import InputError, unknown
from m2s.units import resize

BANK = ("bank_images", "bank_masks")


class InContext(Network):
    """Base of networks that segment in an image what the masks of a support set show.

    ``(N, 3, H, W)`` → logits ``(N, 1, H, W)``. A network holds ``support`` examples of each of its ``tasks``, as
    buffers that are saved with its weights: training takes them from the training set. Subclasses give
    ``segment(x, images, masks)``, where the examples ``(G, S, 3, H, W)``, normalised, and ``(G, S, 1, H, W)``, 0 and 1,
    have the sides of ``x``; G is 1, examples that all images share, or N.

    Before :meth:`set_support` there is one task with blank examples, so that costs can be counted.

    Args:
        encoder: as for :class:`m2s.encoders.Network`.
        support: examples of each task in the bank.
        drawn: examples that each image gets in training; by default as many.
    """

    def __init__(self, encoder: nn.Module | None, num_classes: int, support: int, drawn: int | None = None):
        if num_classes != 1:
            raise InputError(f"{num_classes} classes: a network with a support set segments one, give num_classes=1")
        if support < 1 or (drawn is not None and drawn < 1):
            raise InputError(f"support of {support} examples, {drawn} in training: give 1 or more")
        super().__init__(encoder)
        self.support, self.drawn = support, drawn or support
        self.tasks: tuple[str, ...] = ("",)
        for name, channels in zip(BANK, (3, 1), strict=True):  # (tasks · S, channels, H, W)
            self.register_buffer(name, torch.zeros(support, channels, 1, 1, dtype=torch.uint8))

    def set_support(self, images: Tensor, masks: Tensor, tasks: Sequence[str] = ("",)) -> None:
        """Put these examples in the bank: task by task, ``support`` of each, in all ``(tasks · S, …)``.

        Args:
            images: uint8 ``(tasks · S, 3, H, W)``, RGB.
            masks: ``(tasks · S, 1, H, W)``, above 0 where the object is.

        Raises:
            InputError: another number of examples, or other shapes.
        """
        count, sides = self.support * len(tasks), images.shape[2:]
        if images.shape != (count, 3, *sides) or masks.shape != (count, 1, *sides) or len(sides) != 2:
            raise InputError(
                f"support of images {tuple(images.shape)} and masks {tuple(masks.shape)}: this network takes "
                f"({count}, 3, H, W) and ({count}, 1, H, W), {self.support} examples for each of {len(tasks)} tasks"
            )
        device, self.tasks = self.bank_images.device, tuple(tasks)
        self.bank_images = images.to(device, torch.uint8)
        self.bank_masks = (masks > 0).to(device, torch.uint8)

    def for_task(self, task: str) -> Self:
        """This network, with the same weights and the examples of one of its tasks alone."""
        if task not in self.tasks:
            raise unknown("task", task, self.tasks)
        one, start = copy.copy(self), self.tasks.index(task) * self.support
        one._buffers, one.tasks = dict(self._buffers), (task,)
        for name in BANK:
            one._buffers[name] = self._buffers[name][start : start + self.support]
        return one

    def check_support(self) -> None:
        """Refuse to segment with blank examples, or without a choice between several tasks."""
        if len(self.tasks) > 1:
            raise InputError(
                f"this network was trained for several tasks: choose one with for_task, {' or '.join(self.tasks)}"
            )
        if not self.bank_masks.any():
            raise InputError("this network has no example with an object: give it some with set_support, or train it")

    def forward(self, x: Tensor, images: Tensor | None = None, masks: Tensor | None = None) -> Tensor:
        """Logits by the examples given, as for ``segment`` but of any sides; or else by those of the first task."""
        if images is None or masks is None:
            images = normalize(self.bank_images[: self.support], self.mean, self.std)[None]  # (1, S, 3, h, w)
            masks = self.bank_masks[None, : self.support].float()
        sides = x.shape[2:]
        if images.shape[-2:] != sides:
            images = resize(images.flatten(0, 1), sides).unflatten(0, images.shape[:2])
            masks = F.interpolate(masks.flatten(0, 1), sides).unflatten(0, masks.shape[:2])  # nearest
        return self.segment(x, images, masks)

    def segment(self, x: Tensor, images: Tensor, masks: Tensor) -> Tensor:
        raise NotImplementedError

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        for name in BANK:  # a bank has as many examples, of such sides, as the network was trained with
            if (saved := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(saved, device=self._buffers[name].device))
        super()._load_from_state_dict(state_dict, prefix, *args)
