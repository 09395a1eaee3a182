"""Clips of successive frames: every frame is in one, none holds frames of two videos, all frames change alike."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from m2s.data.clips import ClipSet, list_clips
from m2s.data.load import load_images
from m2s.errors import InputError


@dataclass(frozen=True)
class Frame:
    name: str
    group: str

    def read(self):
        value = int(self.name)
        return np.full((8, 8, 3), value, np.uint8), np.full((8, 8), value % 2, np.uint8)


def video_set(groups: str):
    images = load_images("cvc300tv", "train", limit=1)
    return replace(images, items=tuple(Frame(str(i), group.strip()) for i, group in enumerate(groups)))


@pytest.mark.parametrize(
    ("groups", "frames", "clips"),
    [
        ("aaaabbbb", 2, [[0, 1], [2, 3], [4, 5], [6, 7]]),
        ("aaaaabbb", 3, [[0, 1, 2], [2, 3, 4], [5, 6, 7]]),  # the last clip of a is shifted back
        ("aab", 3, [[0, 1, 1], [2, 2, 2]]),  # short videos repeat their last frame
        ("   ", 2, [[0, 0], [1, 1], [2, 2]]),  # images of no video stand alone
        ("aaa", 1, [[0], [1], [2]]),
    ],
)
def test_clips_by_hand(groups, frames, clips):
    assert list_clips(video_set(groups), frames) == clips


def test_no_clip_is_no_clip():
    with pytest.raises(InputError, match="clips of 0 frames: give 1 or more"):
        list_clips(video_set("aa"), 0)


def test_made_up_videos_give_every_frame_and_no_clip_of_two():
    images = load_images("cvc300tv", "train", limit=23)
    clips = list_clips(images, 5)
    assert {index for clip in clips for index in clip} == set(range(23))
    assert all(len(clip) == 5 for clip in clips)
    assert all(len({images.items[index].group for index in clip}) == 1 for clip in clips)


def test_all_frames_of_a_clip_are_changed_alike_and_anew_in_each_epoch():
    images = load_images("cvc300tv", "train", limit=12)
    clips = ClipSet(images, 3, 32, "lgmsnet", seed=1)
    frames, masks = clips[0]
    assert frames.shape == (3, 3, 32, 32) and masks.shape == (3, 1, 32, 32) and frames.dtype == torch.uint8
    seen = set()
    for epoch in range(8):
        clips.set_epoch(epoch)
        frames, masks = clips[0]
        turns = [
            (k, flip)
            for k in range(4)
            for flip in (False, True)
            if torch.equal(turn(clips.tensors.images[:3], k, flip), frames)
            and torch.equal(turn(clips.tensors.masks[:3], k, flip), masks)
        ]
        assert turns  # one quarter turn and flip explains all three frames and masks
        seen.add(turns[0])
    assert len(seen) > 1


def turn(frames: torch.Tensor, k: int, flip: bool) -> torch.Tensor:
    turned = frames.rot90(k, (-2, -1))
    return turned.flip(-1) if flip else turned
