"""Clips: successive frames of one video, for networks that look at several frames at once."""

from itertools import groupby

from torch import Tensor
from torch.utils.data import Dataset

from m2s.data.imageset import ImageSet
from m2s.data.tensors import TensorSet
from m2s.errors import InputError


def list_clips(images: ImageSet, frames: int) -> list[list[int]]:
    """Indices of the images, cut into clips of ``frames`` successive ones of the same group (video).

    Every image is in a clip. The last clip of a video is shifted back to have as many frames, so that some are in two;
    a video that is shorter than a clip repeats its last frame.
    """
    if frames < 1:
        raise InputError(f"clips of {frames} frames: give 1 or more")
    clips = []
    for _, found in groupby(range(len(images)), key=lambda i: images.items[i].group or images.items[i].name):
        video = list(found)
        video += [video[-1]] * (frames - len(video))
        starts = {min(start, len(video) - frames) for start in range(0, len(video), frames)}
        clips += [video[start : start + frames] for start in sorted(starts)]
    return clips


class ClipSet(Dataset):
    """An :class:`ImageSet` in clips: ``[i]`` → frames uint8 (T, 3, size, size) and masks uint8 (T, 1, size, size).

    As :class:`TensorSet`, whose options it takes; all frames of a clip are augmented alike.
    """

    def __init__(self, images: ImageSet, frames: int, size: int, augment: str | None = None, seed: int = 0) -> None:
        self.tensors = TensorSet(images, size, augment, seed)
        self.clips = list_clips(images, frames)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose augmentation is wanted."""
        self.tensors.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        clip = self.clips[index]
        return self.tensors.change(self.tensors.images[clip], self.tensors.masks[clip], clip[0])
