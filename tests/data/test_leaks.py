"""Repeated images: found when equal, re-compressed, brighter or mirrored; not found where images differ."""

import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from m2s import data
from m2s.data.leaks import THRESHOLD, copied_masks, distances, effect, groups, leaks, summary
from m2s.errors import InputError


@dataclasses.dataclass(frozen=True)
class Changed:
    """Another item's image, changed; its mask as it was."""

    name: str
    item: object
    change: object

    def read(self):
        image, mask = self.item.read()
        return self.change(image), mask


def jpeg(image, quality=40):
    store = io.BytesIO()
    Image.fromarray(image).save(store, "JPEG", quality=quality)
    return np.asarray(Image.open(store))


CHANGES = {
    "equal": lambda image: image,
    "compressed": jpeg,
    "brighter": lambda image: np.clip(image * 1.15 + 8, 0, 255).astype(np.uint8),
    "smaller": lambda image: np.asarray(Image.fromarray(image).resize((192, 160))),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "turned": lambda image: jpeg(np.ascontiguousarray(image[::-1, ::-1])),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
    """An item that was made once."""

    name: str
    pair: tuple[np.ndarray, np.ndarray]

    def read(self):
        return self.pair


@pytest.fixture(scope="module")
def plain() -> data.ImageSet:
    found = data.load_images("kvasir", "train", "phantom", limit=16)
    return dataclasses.replace(found, items=tuple(Kept(item.name, item.read()) for item in found.items))


@pytest.fixture(scope="module")
def copies(plain) -> data.ImageSet:
    items = [Changed(f"{plain.names[i]} {c}", plain.items[i], f) for c, f in CHANGES.items() for i in range(8)]
    return dataclasses.replace(plain, items=tuple(items), fingerprint="copies")


def test_every_kind_of_copy_is_found_and_nothing_else(plain, copies):
    pairs = leaks({"train": plain, "test": copies})
    across = pairs[pairs.split_a != pairs.split_b]
    right = [b.startswith(a) for a, b in zip(across.a, across.b, strict=True)]
    assert all(right), "no two different made-up images are taken for copies"
    for change in CHANGES:
        found = across[across.b.str.endswith(change)]
        assert len(found) == 8, change
        assert set(found.kind) == ({"exact"} if change == "equal" else {"near"})
        wanted = change if change in ("mirrored", "turned") else ""
        assert set(found["view"]) == {wanted}
    assert pairs.distance.max() <= THRESHOLD and not (pairs.kind[:8] == "near").any()
    # Everything that comes from one image is one group.
    assert [len(group) for group in groups(pairs)] == [1 + len(CHANGES)] * 8
    report = summary({"train": plain, "test": copies}).set_index(["within", "kind"])
    row = report.loc[("train and test", "exact")]
    assert (row.images, row.pairs, row.groups, row.repeated) == (16 + 48, 8, 8, 16)
    assert report.loc[("train", "exact or near"), "pairs"] == 0


def test_false_alarms_among_made_up_images():
    pairs = leaks(data.load_images("clinicdb", "test", "phantom", limit=60), threshold=256)
    assert len(pairs) == 60 * 59 // 2
    assert pairs.distance.min() > 2 * THRESHOLD, "images that differ are far from the threshold"


def test_distances_count_bits():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 2**63, (n, 4), np.uint64) for n in (3, 5))
    expected = [[sum(bin(int(x) ^ int(y)).count("1") for x, y in zip(p, q, strict=True)) for q in b] for p in a]
    assert distances(a, b).tolist() == expected


def test_no_pairs_and_wrong_threshold(plain):
    pairs = leaks(plain)
    assert (
        pairs.empty and groups(pairs) == [] and list(pairs)[:6] == ["a", "b", "split_a", "split_b", "kind", "distance"]
    )
    with pytest.raises(InputError, match="cannot be 300"):
        leaks(plain, 300)


def test_effect_on_a_score():
    scores = pd.DataFrame({"image": ["1", "2", "3", "4", "5"], "mDice": [1.0, 1.0, 1.0, 0.5, 0.0]})
    pairs = pd.DataFrame(
        [
            ("1", "2", "test", "test", "exact", 0),
            ("2", "3", "test", "test", "near", 5),
            ("x", "4", "train", "test", "near", 9),
        ],
        columns=["a", "b", "split_a", "split_b", "kind", "distance"],
    )
    table = effect(scores, pairs, "test").set_index("counted")
    assert table.images.tolist() == [5, 4, 3, 4, 1]
    assert table["mean"].tolist() == pytest.approx([0.7, 0.625, 0.5, 0.75, 0.5])
    assert table.change["one of each group of equal images"] == pytest.approx(-0.075)


def test_a_memory_scores_where_test_images_were_trained_on(plain, copies):
    mirrored = dataclasses.replace(copies, items=tuple(i for i in copies.items if i.name.endswith("compressed")))
    train = dataclasses.replace(plain, items=plain.items[:5])
    table = copied_masks(train, mirrored)
    assert table.leaked.tolist() == [True] * 5 + [False] * 3
    assert (table.dice[:5] == 1).all() and table.dice[5:].mean() < 0.6
    assert table.nearest[0] == plain.names[0]


def test_colondb_has_17_groups_of_equal_images(real_data):
    pairs = leaks(data.load_images("colondb", "all", root=real_data))
    found = groups(pairs[pairs.kind == "exact"])
    assert len(found) == 17
    assert sum(map(len, found)) == 51, "so 34 images are repeats of another"


def test_busi_has_one_picture_as_benign_and_malignant(real_data):
    pairs = leaks(data.load_images("busi", "all", root=real_data))
    exact = pairs[pairs.kind == "exact"]
    assert [{row.a, row.b} for row in exact.itertuples()] == [{"benign (433)", "malignant (145)"}]
    assert len(pairs) > 100, "many images of one patient are all but equal"


def test_cvc300_is_inside_colondb(real_data):
    small = dataclasses.replace(data.load_images("cvc300", "test", root=real_data), name="renamed")
    items = tuple(Changed(f"frame {item.name}", item, CHANGES["equal"]) for item in small.items)
    small = dataclasses.replace(small, items=items, fingerprint="renamed")
    pairs = leaks({"colondb": data.load_images("colondb", "all", root=real_data), "cvc300": small})
    across = pairs[(pairs.split_a != pairs.split_b) & (pairs.kind == "exact")]
    assert set(across.b) == {f"frame {i}" for i in range(149, 209)}
    assert {f"frame {a}" for a in across.a} >= set(across.b)


def test_near_pairs_of_kvasir(real_data):
    """Four pairs in the whole set, all in the training part; here with a twentieth of the others, to be quick."""
    whole = data.load_images("kvasir", "all", root=real_data)
    known = {
        ("cju886ryxnsl50801r93jai7q", "cju8amfdtqi4x09871tygrgqe"),
        ("cju30bmab08bi0835mvlr6e0r", "cju77k828z46w0871r0avuoo9"),
        ("cju76lsehyia10987u54vn8rb", "cju772304yw5t0818vbw8kkjf"),
        ("cju5fydrud94708507vo6oy21", "cju7avvi51iox0817ym55y6tt"),
    }
    wanted = {name for pair in known for name in pair}
    items = tuple(item for i, item in enumerate(whole.items) if i % 20 == 0 or item.name in wanted)
    pairs = leaks(dataclasses.replace(whole, items=items))
    assert {tuple(sorted(pair)) for pair in zip(pairs.a, pairs.b, strict=True)} == {tuple(sorted(p)) for p in known}
    assert set(pairs.kind) == {"near"} and set(pairs.split_a) == set(pairs.split_b) == {"train"}
