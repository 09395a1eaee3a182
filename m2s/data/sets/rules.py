"""Splits that no list gives: rules of ours, the same on every machine."""

from collections.abc import Sequence


def split_fifth(names: Sequence[str]) -> dict[str, list[str]]:
    """``train`` and ``test``: in the order of the sorted names every fifth one is held out for test."""
    ordered = sorted(names)
    return {"train": [n for i, n in enumerate(ordered) if i % 5 != 4], "test": ordered[4::5]}


def split_clips(names: Sequence[str], groups: Sequence[str]) -> dict[str, list[str]]:
    """``train``, ``val``, ``test``: 60, 20 and 20 % of the clips in the order of their names, each clip in one part.

    ``groups`` holds the clip of each of ``names``. Parts are rounded; with fewer than three clips some are empty.
    """
    order = sorted(set(groups), key=lambda clip: (len(clip), clip))  # clip 2 before clip 10
    first, second = round(0.6 * len(order)), round(0.8 * len(order))
    parts = {"train": order[:first], "val": order[first:second], "test": order[second:]}
    return {
        part: [name for name, group in zip(names, groups, strict=True) if group in set(chosen)]
        for part, chosen in parts.items()
    }
