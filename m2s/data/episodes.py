"""Episodes: a training image with examples of its task, for networks that segment by a support set."""

from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from m2s.data.imageset import ImageSet
from m2s.data.tensors import TensorSet, item_seed
from m2s.errors import InputError


class EpisodeSet(Dataset):
    """An :class:`ImageSet` in episodes: ``[i]`` → image, mask, examples (S, 3, size, size), their masks (S, 1, …).

    As :class:`TensorSet`, whose options it takes. The examples are other images of the same task (modality) that show
    an object, drawn by (``seed``, epoch, ``i``) and augmented as they are in that epoch themselves.
    """

    def __init__(self, images: ImageSet, support: int, size: int, augment: str | None = None, seed: int = 0) -> None:
        self.tensors, self.support, self.seed = TensorSet(images, size, augment, seed), support, seed
        self.tasks = [part.entry.modality for part in images.parts for _ in part.items]
        self.members: dict[str, list[int]] = {task: [] for task in self.tasks}
        for index, mask in enumerate(self.tensors.masks):
            if mask.any():
                self.members[self.tasks[index]].append(index)
        for task, members in self.members.items():
            if len(members) < 2:
                raise InputError(f"{images.title}: of {task} {len(members)} images show an object; examples need 2")

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose examples and augmentation are wanted."""
        self.tensors.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.tensors)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        index = range(len(self))[index]
        others = [other for other in self.members[self.tasks[index]] if other != index]
        rng = np.random.default_rng(item_seed(self.seed, int(self.tensors._epoch), index))
        chosen = rng.choice(others, self.support, replace=len(others) < self.support)
        images, masks = zip(*(self.tensors[int(other)] for other in chosen), strict=True)
        return *self.tensors[index], torch.stack(images), torch.stack(masks)

    def choose_bank(self, count: int) -> tuple[Tensor, Tensor, dict[str, list[str]]]:
        """``count`` examples of each task, drawn by the seed, not augmented: images, masks, names by task.

        Uint8 ``(tasks · count, 3, size, size)`` and ``(tasks · count, 1, size, size)``, task by task.
        """
        rng, chosen = np.random.default_rng(self.seed), {}
        for task, members in self.members.items():
            chosen[task] = rng.choice(members, count, replace=len(members) < count).tolist()
        indices, names = [*chain.from_iterable(chosen.values())], self.tensors.image_set.names
        by_task = {task: [names[index] for index in of_task] for task, of_task in chosen.items()}
        return self.tensors.images[indices], self.tensors.masks[indices], by_task
