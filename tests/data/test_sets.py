"""The shipped lists of names, and the rules that make splits without lists."""

from importlib.resources import files

import pytest

from m2s import data
from m2s.data.sets.breast import TWINS, make_busi_folds
from m2s.data.sets.rules import split_clips, split_fifth

CATALOGUE = data.CATALOGUE
BUSI = [
    f"{kind} ({i})"
    for kind in ("benign", "malignant", "normal")
    for i in range(1, CATALOGUE["busi"].expected[kind] + 1)
]


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
    assert len(lists) == 7 + 8 + 18 + 8 + 2
    for path in lists:
        head = path.read_text(encoding="utf-8").splitlines()[:2]
        assert head[0].startswith("# ") and head[1].startswith("# Source: "), path.name


def test_no_volume_of_ct_is_trained_and_tested_on():
    train, test = ({name.split("_")[1] for name in CATALOGUE["covid19ct"].names[split]} for split in ("train", "test"))
    assert (train, test) == ({f"{k:03}" for k in range(1, 8)}, {"008", "009", "010"})


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
