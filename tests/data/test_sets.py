"""The shipped lists of names, and the rules that make splits without lists."""

from importlib.resources import files

import numpy as np
import pytest

from m2s import data
from m2s.data.sets.rules import split_clips, split_fifth

CATALOGUE = data.CATALOGUE
BUSI = [
    f"{kind} ({i})"
    for kind in ("benign", "malignant", "normal")
    for i in range(1, CATALOGUE["busi"].expected[kind] + 1)
]
TWINS = ("benign (433)", "malignant (145)")  # the same picture in two classes


def make_busi_folds(names: list[str], folds: int = 4, seed: int = 0) -> list[list[str]]:
    """The rule that made the shipped lists: the test images of each fold, from the names of all images of BUSI.

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
    here, there = (next(fold for fold in dealt if twin in fold) for twin in TWINS)
    if here is not there:
        other = next(n for n in here if n.startswith("malignant"))
        here[here.index(other)], there[there.index(TWINS[1])] = TWINS[1], other
    return [sorted(fold, key=lambda n: (n.split()[0], len(n), n)) for fold in dealt]


@pytest.mark.parametrize("name", [n for n, e in CATALOGUE.items() if e.lists])
def test_lists_hold_what_is_said_and_share_nothing(name):
    entry = CATALOGUE[name]
    for split, count in entry.counts.items():
        assert len(set(entry.names[split])) == len(entry.names[split]) == count
        if split.endswith("train") and (test := split[: -len("train")] + "test") in entry.counts:
            assert not set(entry.names[split]) & set(entry.names[test])


def test_every_list_names_its_source():
    folder = files("m2s.data.sets") / "lists"
    lists = [path for part in folder.iterdir() if part.is_dir() for path in part.iterdir()]
    assert len(lists) == 7 + 8 + 18
    for path in lists:
        head = path.read_text(encoding="utf-8").splitlines()[:2]
        assert head[0].startswith("# ") and head[1].startswith("# Source: "), path.name


def test_lgmsnets_lists_cover_their_sets():
    for name in ("tnscui", "isic2018"):
        for k in "123":
            lists = CATALOGUE[name].names
            assert len({*lists[f"lgmsnet{k}-train"], *lists[f"lgmsnet{k}-test"]}) == CATALOGUE[name].expected["all"]
    for k in "123":
        both = {*CATALOGUE["busi"].names[f"lgmsnet{k}-train"], *CATALOGUE["busi"].names[f"lgmsnet{k}-test"]}
        assert both == {n for n in BUSI if not n.startswith("normal")}


def test_busi_folds_follow_their_rule_and_keep_classes_and_twins_together():
    folds = make_busi_folds(BUSI)
    names = CATALOGUE["busi"].names
    for k, fold in enumerate(folds, 1):
        assert list(names[f"fold{k}-test"]) == fold
        assert {*names[f"fold{k}-train"]} == {*BUSI} - {*fold}
        assert len({*TWINS} & {*fold}) in {0, 2}
    assert sorted(n for fold in folds for n in fold) == sorted(BUSI)
    for kind in ("benign", "malignant", "normal"):
        counts = [sum(n.startswith(kind) for n in fold) for fold in folds]
        assert max(counts) - min(counts) <= 1


def test_rules():
    names = [f"case_{i:03}" for i in range(12)]
    parts = split_fifth(names[::-1])
    assert parts["test"] == ["case_004", "case_009"] and sorted(parts["train"] + parts["test"]) == names
    groups = [str(i % 10 + 1) for i in range(30)]
    parts = split_clips([f"{i}" for i in range(30)], groups)
    of = {part: {groups[int(n)] for n in chosen} for part, chosen in parts.items()}
    assert of == {"train": {"1", "2", "3", "4", "5", "6"}, "val": {"7", "8"}, "test": {"9", "10"}}
