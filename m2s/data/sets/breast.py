"""Breast ultrasound."""

from collections.abc import Sequence

import numpy as np

BUSI_TWINS = ("benign (433)", "malignant (145)")
"""The same picture in two classes; our folds keep the two together."""


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
