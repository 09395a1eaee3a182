"""Every formula on a map small enough to compute by hand, laws for any map, folders, and PraNet's own maps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from m2s.errors import InputError
from m2s.metrics.conventions import CONVENTIONS, curves, evaluate, report, score, summary
from m2s.metrics.folders import evaluate_folders

# Four foreground pixels in the middle; the map finds them with 1, 0.8, 0.6 and 0.4, and has 0.5 below them.
MASK = np.zeros((4, 4), dtype=np.uint8)
MASK[1:3, 1:3] = 1
MAP = np.array([[0, 0, 0, 0], [0, 1, 0.6, 0], [0, 0.8, 0.4, 0], [0, 0.5, 0, 0]])
EMPTY = np.zeros((4, 4))
FAINT = np.where(MASK == 1, 0.01, 0.0)


def e_measure(tp, fp, fn, tn):
    """The E-measure (Fan et al., IJCAI 2018) from the four counts, divided by N − 1 as in its reference code."""
    n = tp + fp + fn + tn
    mean_p, mean_g = (tp + fp) / n, (tp + fn) / n
    total = 0.0
    for count, p, g in ((tp, 1, 1), (fp, 1, 0), (fn, 0, 1), (tn, 0, 0)):
        a, b = p - mean_p, g - mean_g
        total += count * (1 + 2 * a * b / (a**2 + b**2)) ** 2 / 4
    return total / (n - 1)


def test_released_by_hand():
    got = score(MAP, MASK, "released")
    assert list(got) == ["mDice", "mIoU", "wFm", "Sm", "Em", "MAE"]
    assert got["mDice"] == pytest.approx((2 * 2.8 + 1e-5) / (3.3 + 4 + 1e-5), abs=1e-12)
    assert got["mIoU"] == pytest.approx((3 + 1e-5) / (4 + 1e-5), abs=1e-12)  # 0.5 is not above 0.5
    assert got["MAE"] == pytest.approx((0.4 + 0.2 + 0.6 + 0.5) / 16)
    # the threshold is 2·3.3/16 = 0.4125: 0.4 is lost and 0.5 is wrongly kept
    assert got["Em"] == pytest.approx((3 + 0.04 + 0.04 + 11) / 15)
    assert got["Em"] == pytest.approx(e_measure(3, 1, 1, 11))


def test_pranet_by_hand():
    got = score(MAP, MASK, "pranet")
    # how many of the 256 thresholds lie up to 0, 0.4, 0.5, 0.6, 0.8, 1, and the counts (tp, fp) there
    steps = [(1, 4, 12), (102, 4, 1), (25, 3, 1), (26, 3, 0), (51, 2, 0), (51, 1, 0)]
    assert sum(n for n, *_ in steps) == 256
    assert got["mDice"] == pytest.approx(sum(n * 2 * tp / (tp + fp + 4) for n, tp, fp in steps) / 256)
    assert got["mIoU"] == pytest.approx(sum(n * tp / (4 + fp) for n, tp, fp in steps) / 256)
    em = [(n, e_measure(tp, fp, 4 - tp, 12 - fp)) for n, tp, fp in steps]
    assert got["meanEm"] == pytest.approx(sum(n * e for n, e in em) / 256)
    assert got["Em"] == pytest.approx(max(e for _, e in em))
    assert got["MAE"] == score(MAP, MASK)["MAE"]


def test_lgmsnet_and_monai_by_hand():
    assert score(MAP, MASK, "lgmsnet") == pytest.approx({"Dice": 6 / 7, "IoU": 3 / 4, "precision": 1, "recall": 3 / 4})
    assert score(MAP, MASK, "monai") == pytest.approx({"Dice": 6 / 7, "IoU": 3 / 4})


def test_weighted_f_by_hand():
    # A hole of one pixel in an all-foreground mask: its error is smoothed to the centre of a 7×7 Gaussian, sigma 5.
    hole = np.ones((4, 4))
    hole[1, 1] = 0
    y, x = np.mgrid[-3:4, -3:4]
    left = 1 / np.exp(-(x**2 + y**2) / 50).sum()
    recall = 1 - left / 16
    assert score(hole, np.ones((4, 4)))["wFm"] == pytest.approx(2 * recall / (recall + 1))
    # A false alarm three pixels away from the only foreground pixel weighs 2 − 0.5^(3/5); the recall is 1.
    mask = np.zeros((4, 4))
    mask[0, 0] = 1
    alarm = mask.copy()
    alarm[0, 3] = 1
    precision = 1 / (1 + 2 - 0.5 ** (3 / 5))
    assert score(alarm, mask)["wFm"] == pytest.approx(2 * precision / (precision + 1))


def test_weighted_f_of_nothing_found():
    """Zero, but only where the 7×7 Gaussian does not reach beyond the image: there it averages the error with zeros."""
    assert score(np.zeros((16, 16)), np.pad(MASK, 6))["wFm"] == pytest.approx(0, abs=1e-12)
    assert score(EMPTY, MASK)["wFm"] > 0.7


def test_s_measure_by_hand():
    # A constant map of 0.5, the mask its left half. Object part: 2·0.5/(0.25 + 1) = 0.8 on both sides. Region part: the
    # centroid cuts off column 0, where the mask is constant too (similarity 1): 4 of 16 pixels; elsewhere 0.
    mask = np.zeros((4, 4))
    mask[:, :2] = 1
    assert score(np.full((4, 4), 0.5), mask)["Sm"] == pytest.approx(0.5 * 0.8 + 0.5 * 4 / 16)


def test_curves():
    curve = curves(MAP, MASK)
    assert curve.index[0] == 0 and curve.index[-1] == 1 and len(curve) == 256
    assert curve["Dice"].iloc[[0, 1, 110, 255]].tolist() == pytest.approx([8 / 20, 8 / 9, 6 / 8, 2 / 5])
    assert curve["Em"].iloc[110] == pytest.approx(e_measure(3, 1, 1, 11))


@pytest.mark.parametrize(
    ("convention", "prediction", "mask", "expected"),
    [
        ("released", EMPTY, EMPTY, {"mDice": 1, "mIoU": 1, "wFm": 0, "Sm": 1, "MAE": 0}),
        ("released", MAP, EMPTY, {"mDice": 1e-5 / 3.3, "mIoU": 1e-5 / 3, "wFm": 0, "Sm": 1 - 3.3 / 16, "Em": 12 / 15}),
        ("released", EMPTY, MASK, {"mDice": 1e-5 / 4, "mIoU": 1e-5 / 4, "MAE": 4 / 16}),
        ("released", EMPTY + 1, MASK, {"mDice": 8 / 20, "mIoU": 4 / 16, "MAE": 12 / 16}),
        ("released", FAINT, MASK, {"mDice": 1, "mIoU": 1, "wFm": 1, "MAE": 0}),
        ("pranet", EMPTY, EMPTY, {"mDice": 0, "mIoU": 0, "wFm": 0, "Sm": 1, "MAE": 0}),
        ("pranet", EMPTY, MASK, {"mDice": 0.4 / 256, "mIoU": 0.25 / 256}),
        ("pranet", EMPTY + 1, MASK, {"mDice": 8 / 20, "mIoU": 4 / 16}),
        ("lgmsnet", EMPTY, EMPTY, {"Dice": 0, "IoU": 1, "precision": 0, "recall": 0}),
        ("lgmsnet", MAP, EMPTY, {"Dice": 0, "IoU": 0, "precision": 0, "recall": 0}),
        ("lgmsnet", EMPTY, MASK, {"Dice": 0, "IoU": 0, "precision": 0, "recall": 0}),
        ("lgmsnet", FAINT, MASK, {"Dice": 0, "IoU": 0}),
        ("monai", MAP, EMPTY, {"Dice": np.nan, "IoU": np.nan}),
        ("monai", EMPTY, MASK, {"Dice": 0, "IoU": 0}),
    ],
)
def test_empty_and_constant(convention, prediction, mask, expected):
    got = score(prediction, mask, convention)
    assert {k: got[k] for k in expected} == pytest.approx(expected, rel=1e-4, abs=1e-9, nan_ok=True)
    assert convention == "monai" or all(np.isfinite(v) for v in got.values())


def test_monai_agrees_with_monai():
    metrics = pytest.importorskip("monai.metrics")
    import torch

    rng = np.random.default_rng(0)
    p, g = rng.random((6, 12, 10)), rng.random((6, 12, 10)) > 0.6
    g[2] = False
    hard, true = torch.from_numpy(p > 0.5)[:, None].float(), torch.from_numpy(g)[:, None].float()
    dice, iou = metrics.compute_dice(hard, true).squeeze(1), metrics.compute_iou(hard, true).squeeze(1)
    got = [score(a, b, "monai") for a, b in zip(p, g, strict=True)]
    np.testing.assert_allclose([s["Dice"] for s in got], dice, rtol=1e-6)
    np.testing.assert_allclose([s["IoU"] for s in got], iou, rtol=1e-6)


@pytest.mark.parametrize(
    ("prediction", "mask", "convention", "says"),
    [
        (MAP, MASK, "relesed", "unknown convention 'relesed': did you mean released?"),
        (MAP[:3], MASK, "released", "resize the prediction"),
        (MAP[None], MASK[None], "released", "one image and one class"),
        (MAP * 7 - 3, MASK, "released", "apply the sigmoid first"),
        (MAP * np.nan, MASK, "released", "not in \\[0, 1\\]"),
        (MASK.astype(int), MASK, "released", "type int64"),
        (MAP, MASK + np.eye(4), "released", "one class at a time"),
    ],
)
def test_input_errors(prediction, mask, convention, says):
    with pytest.raises(InputError, match=says):
        score(prediction, mask, convention)


def test_s_measure_of_a_corner():
    """The centroid lies in the last row and column, so three of the four quadrants have no pixel."""
    corner = np.zeros((4, 4))
    corner[3, 3] = 1
    assert score(corner, corner)["Sm"] == pytest.approx(1)


maps = arrays(np.float64, (6, 7), elements=st.floats(0, 1, width=16))
masks = arrays(np.bool_, (6, 7))
partly = masks.filter(lambda m: m.any() and not m.all())
conventions = st.sampled_from(sorted(CONVENTIONS))


@given(mask=partly, convention=conventions)
@settings(max_examples=60, deadline=None)
def test_perfect_prediction(mask, convention):
    got = score(mask, mask, convention)
    if convention == "pranet":  # the threshold 0 takes every pixel as foreground, so the mean stays just below 1
        at_zero = 2 * mask.sum() / (mask.sum() + mask.size)
        assert got["mDice"] == pytest.approx((255 + at_zero) / 256)
    for name in {"mDice", "mIoU", "Dice", "IoU", "precision", "recall", "wFm", "Sm"} & set(got):
        assert got[name] == pytest.approx(1, abs=1e-6 if convention != "pranet" else 1 / 256), name
    if "Em" in got:
        assert got["Em"] == pytest.approx(mask.size / (mask.size - 1))
        assert got["MAE"] == 0


@given(prediction=maps, mask=masks, convention=conventions)
@settings(max_examples=150, deadline=None)
def test_bounds(prediction, mask, convention):
    for name, value in score(prediction, mask, convention).items():
        top = mask.size / (mask.size - 1) if "Em" in name else 1
        assert np.isnan(value) if convention == "monai" and not mask.any() else -1e-9 <= value <= top + 1e-9, name


@given(a=partly, b=partly, convention=conventions)
@settings(max_examples=60, deadline=None)
def test_overlap_is_symmetric(a, b, convention):
    one, other = score(a, b, convention), score(b, a, convention)
    for name in {"mDice", "mIoU", "Dice", "IoU", "MAE"} & set(one):
        if convention != "pranet" or name == "MAE":  # its threshold 0 depends on the mask's area
            assert one[name] == pytest.approx(other[name], abs=1e-9), name
    if "precision" in one:
        assert one["precision"] == other["recall"]


@given(prediction=maps, mask=masks)
@settings(max_examples=60, deadline=None)
def test_iou_follows_from_dice(prediction, mask):
    got = score(prediction, mask, "lgmsnet")
    if mask.any():
        assert got["IoU"] == pytest.approx(got["Dice"] / (2 - got["Dice"]))


@given(prediction=maps, mask=masks, scale=st.sampled_from([0.5, 0.25, 0.125]))
@settings(max_examples=40, deadline=None)
def test_min_max_forgets_the_scale(prediction, mask, scale):
    """A power of two keeps every digit, so a dimmed map has the released scores of the map."""
    if prediction.min() < prediction.max():
        assert score(prediction * scale, mask) == pytest.approx(score(prediction, mask), abs=1e-12)


@given(grey=arrays(np.uint8, (5, 5)), mask=arrays(np.uint8, (5, 5), elements=st.integers(0, 1)), convention=conventions)
@settings(max_examples=40, deadline=None)
def test_grey_levels_and_mask_types(grey, mask, convention):
    expected = score(grey / 255, mask.astype(bool), convention)
    for same in (mask, mask * 255, mask.astype(float)):
        assert score(grey, same, convention) == pytest.approx(expected, nan_ok=True)


def write(folder, **images):
    folder.mkdir(exist_ok=True)
    for name, values in images.items():
        stem, _, suffix = name.rpartition("_")
        Image.fromarray(np.asarray(values, dtype=np.uint8)).save(folder / f"{stem}.{suffix}")
    return folder


GREY = (MAP * 255).astype(np.uint8)


@pytest.fixture
def folders(tmp_path):
    """Two cases: masks as PNG of 0 and 255 with a grey edge, and as 0 and 1; one prediction at half size."""
    edges = np.where(MASK == 1, 250, 0)
    edges[0, 0] = 90
    truth = write(tmp_path / "gt", a_png=edges, b_PNG=np.kron(MASK, np.ones((2, 2))))
    return write(tmp_path / "pred", a_bmp=GREY, b_TIF=GREY), truth


def test_evaluate_folders(folders):
    table = evaluate_folders(*folders, "lgmsnet")
    assert table["name"].tolist() == ["a", "b"]
    assert table.loc[0, ["Dice", "IoU"]].tolist() == pytest.approx([6 / 7, 3 / 4])
    larger = np.asarray(Image.fromarray(MAP.astype(np.float32)).resize((8, 8), Image.Resampling.BILINEAR))
    wide = np.kron(MASK, np.ones((2, 2))).astype(bool)
    expected = score(larger > 0.5, wide, "lgmsnet")
    assert table.loc[1, list(expected)].to_dict() == pytest.approx(expected)
    assert summary(table)["Dice"] == pytest.approx(table["Dice"].mean())
    head, line = report(table).splitlines()
    assert head.split() == ["n", "Dice", "IoU", "precision", "recall"] and len(head) == len(line)
    assert line.split()[:2] == ["2", f"{table['Dice'].mean():.3f}"]


def test_masks_without_predictions(folders):
    pred, gt = folders
    write(gt, c_png=MASK, d_png=MASK, e_png=MASK, f_png=MASK)
    with pytest.raises(
        InputError, match=r"4 of 6 masks have no prediction in .*: c, d, e, …; partial=True \(--partial\)"
    ):
        evaluate_folders(pred, gt)
    assert evaluate_folders(pred, gt, partial=True)["name"].tolist() == ["a", "b"]


def test_folder_errors(folders, tmp_path):
    pred, gt = folders
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / ".hidden.png").write_bytes(b"")
    for arguments, says in (
        ((tmp_path / "none", gt), "no such folder of predictions"),
        ((pred, tmp_path / "none"), "no such folder of masks"),
        ((empty, gt), "no images in the folder of predictions"),
        ((pred, gt, "dice"), "unknown convention 'dice'"),
    ):
        with pytest.raises(InputError, match=says):
            evaluate_folders(*arguments)
    write(pred, x_png=GREY)
    with pytest.raises(InputError, match=r"1 of 3 predictions have no mask in .*: x$"):
        evaluate_folders(pred, gt, partial=True)
    write(pred, a_png=GREY)
    with pytest.raises(InputError, match="two files for the name 'a'"):
        evaluate_folders(pred, gt)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no image", "a.png.*not an image"),
        (np.arange(16, dtype=np.uint16).reshape(4, 4) * 4000, "uint16 values: write predictions as 8-bit grey"),
        (MASK, "hold only the values 0 and 1, where 255 stands for probability 1"),
    ],
)
def test_files_that_are_no_prediction(tmp_path, content, says):
    gt, pred = write(tmp_path / "gt", a_png=MASK * 255), tmp_path / "pred"
    pred.mkdir()
    if isinstance(content, bytes):
        (pred / "a.png").write_bytes(content)
    else:
        Image.fromarray(content).save(pred / "a.png")
    with pytest.raises(InputError, match=says):
        evaluate_folders(pred, gt)


def test_pranet_takes_one_threshold_for_all():
    """The best threshold of the first image is up to 0.4, of the second above 0.7; the data set has one for both."""
    second = np.where(MASK == 1, 1.0, 0.7)
    second[0, 0] = 0
    cases = [("a", MAP, MASK), ("b", second, MASK)]
    curve = np.mean([curves(p, g)["Em"] for _, p, g in cases], axis=0)
    table = evaluate(cases, "pranet")
    assert summary(table)["Em"] == pytest.approx(curve.max())
    assert evaluate(cases[:1], "pranet")["Em"][0] == score(MAP, MASK, "pranet")["Em"]
    assert summary(table)["Em"] < np.mean([score(p, g, "pranet")["Em"] for _, p, g in cases])


def test_evaluate_names_the_case_and_monai_skips_empty_masks():
    with pytest.raises(InputError, match=r"^second: the prediction is"):
        evaluate([("first", MAP, MASK), ("second", MAP[:2], MASK)])
    table = evaluate([("first", MAP, MASK), ("second", MAP, EMPTY)], "monai")
    assert summary(table)["Dice"] == pytest.approx(6 / 7)


# PraNet's published maps, scored once with PySODMetrics and by hand
MEASURED = {
    "Kvasir": {
        "mean Dice": 0.894,
        "mean IoU": 0.836,
        "soft Dice": 0.897,
        "Dice": 0.899,
        "IoU": 0.843,
        "wFm": 0.880,
        "Sm": 0.912,
        "max Em": 0.944,
        "mean Em": 0.940,
        "adaptive Em": 0.940,
        "MAE": 0.030,
    },
    "CVC-ColonDB": {
        "mean Dice": 0.709,
        "mean IoU": 0.640,
        "soft Dice": 0.714,
        "Dice": 0.712,
        "IoU": 0.644,
        "wFm": 0.696,
        "Sm": 0.819,
        "max Em": 0.869,
        "mean Em": 0.843,
        "adaptive Em": 0.843,
        "MAE": 0.045,
    },
}


@pytest.mark.parametrize(("maps", "images", "n"), [("Kvasir", "Kvasir-SEG", 100), ("CVC-ColonDB", "CVC-ColonDB", 359)])
def test_pranets_own_maps(real_data, maps, images, n):
    """Every column of the table above, within 0.002."""
    folders = real_data / "predictions" / "PraNet" / maps, real_data / images / "masks"
    if not all(f.is_dir() for f in folders):
        pytest.skip(f"no published PraNet maps for {maps} in {real_data}")
    tables = [evaluate_folders(*folders, c, partial=True) for c in ("released", "pranet", "lgmsnet")]
    assert [len(table) for table in tables] == [n] * 3
    released, pranet, hard = map(summary, tables)
    got = {
        "mean Dice": pranet["mDice"],
        "mean IoU": pranet["mIoU"],
        "soft Dice": released["mDice"],
        "Dice": hard["Dice"],
        "IoU": hard["IoU"],
        "wFm": released["wFm"],
        "Sm": released["Sm"],
        "max Em": pranet["Em"],
        "mean Em": pranet["meanEm"],
        "adaptive Em": released["Em"],
        "MAE": released["MAE"],
    }
    assert got == pytest.approx(MEASURED[maps], abs=0.002)
    assert released["mIoU"] == pytest.approx(MEASURED[maps]["IoU"], abs=0.002)
    assert pranet["MAE"] == released["MAE"] and pranet["wFm"] == released["wFm"] and pranet["Sm"] == released["Sm"]
