"""Splits that no list gives: rules of ours, the same on every machine, and the rule that made BUSI's four folds."""

from collections.abc import Sequence

import numpy as np

BUSI_TWINS = ("benign (433)", "malignant (145)")
"""The same picture in two classes; our folds keep the two together."""


def fifth(names: Sequence[str]) -> dict[str, list[str]]:
    """``train`` and ``test``: in the order of the sorted names every fifth one is held out for test."""
    ordered = sorted(names)
    return {"train": [n for i, n in enumerate(ordered) if i % 5 != 4], "test": ordered[4::5]}


def clips(names: Sequence[str], groups: Sequence[str]) -> dict[str, list[str]]:
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


def busi_folds(names: Sequence[str], folds: int = 4, seed: int = 0) -> list[list[str]]:
    """The test images of each fold of BUSI, from the names of all its images ("benign (1)" …).

    Each class is shuffled by ``seed``, and the three stacks are dealt like cards, one after the other: so folds and
    classes differ by one image at most. Then the twin picture changes places with the first of its class, so that
    both copies are in one fold. Patients are not known, so other images of one patient may be in two folds.
    """
    rng = np.random.default_rng(seed)
    deck: list[str] = []
    for kind in ("benign", "malignant", "normal"):
        stack = sorted((n for n in names if n.startswith(kind)), key=lambda n: (len(n), n))
        deck += [stack[i] for i in rng.permutation(len(stack))]
    dealt = [deck[k::folds] for k in range(folds)]
    here, there = (next(fold for fold in dealt if twin in fold) for twin in BUSI_TWINS)
    if here is not there:
        other = next(n for n in here if n.startswith("malignant"))
        here[here.index(other)], there[there.index(BUSI_TWINS[1])] = BUSI_TWINS[1], other
    return [sorted(fold, key=lambda n: (n.split()[0], len(n), n)) for fold in dealt]
