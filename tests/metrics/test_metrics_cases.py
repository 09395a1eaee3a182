"""Overlap, border and layer scores: by hand on small masks, shifted squares and layers, and against MONAI."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from m2s.data import read_image, read_mask
from m2s.errors import InputError
from m2s.metrics.boundary import boundary, edge_distance
from m2s.metrics.cases import case_scores, layer_scores
from m2s.metrics.conventions import score
from m2s.metrics.overlap import overlap

# Four foreground pixels in the middle; the map finds three of them and one pixel below them.
MASK = np.zeros((4, 4), dtype=np.uint8)
MASK[1:3, 1:3] = 1
MAP = np.array([[0, 0, 0, 0], [0, 0.9, 0.6, 0], [0, 0.8, 0.4, 0], [0, 0.7, 0, 0]])
EMPTY, FULL = np.zeros((4, 4)), np.ones((4, 4))
NAN = float("nan")


def square(top, left, side=10, shape=(40, 40)):
    """A mask with one square."""
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_overlap_by_hand():
    expected = {"Dice": 6 / 8, "Jaccard": 3 / 5, "Precision": 3 / 4, "Recall": 3 / 4, "Specificity": 11 / 12}
    assert overlap(MAP, MASK) == pytest.approx(expected)
    assert list(overlap(MAP, MASK)) == list(expected)
    # at 0.75 two pixels are left, both right
    assert overlap(MAP, MASK, threshold=0.75)["Precision"] == 1 and overlap(MAP, MASK, threshold=0.75)["Recall"] == 0.5


def test_overlap_does_not_stretch_a_faint_map():
    """The released convention takes a map of at most 0.01 for a full answer; here nothing is predicted."""
    faint = MASK * 0.01
    assert score(faint, MASK)["mIoU"] == pytest.approx(1, abs=1e-5)
    assert overlap(faint, MASK)["Jaccard"] == 0


@pytest.mark.parametrize(
    ("prediction", "mask", "shared", "specificity"),
    [(EMPTY, EMPTY, 1, 1), (MAP, EMPTY, 0, 12 / 16), (EMPTY, MASK, 0, 1), (FULL, FULL, 1, 1), (FULL, EMPTY, 0, 0)],
)
def test_overlap_of_empty_masks(prediction, mask, shared, specificity):
    expected = dict.fromkeys(["Dice", "Jaccard", "Precision", "Recall"], shared) | {"Specificity": specificity}
    assert overlap(prediction, mask) == expected


def test_boundary_of_shifted_squares():
    """A square of side 10 moved right by 4: 36 border pixels each, and by symmetry the same distances both ways."""
    outer_side = [4] * 10  # the side that lies outside the other square
    along = 2 * ([3, 2, 1] + [0] * 5)  # the rest of top and bottom
    inner_side = [min(k, 9 - k, 4) for k in range(10)]  # nearest is the top, the bottom, or the side 4 columns away
    distances = outer_side + along + inner_side
    assert len(distances) == 36
    expected = {"ASD": np.mean(distances), "HD95": 4.0}
    assert boundary(square(10, 14), square(10, 10)) == pytest.approx(expected)
    assert boundary(square(10, 10), square(10, 10)) == {"ASD": 0, "HD95": 0}


@pytest.mark.parametrize("k", [1, 3, 15])
def test_boundary_of_single_pixels(k):
    assert boundary(square(5, 5, 1), square(5, 5 + k, 1)) == pytest.approx({"ASD": k, "HD95": k})
    assert boundary(square(5, 5, 1), square(5 + k, 5 + k, 1))["HD95"] == pytest.approx(k * 2**0.5)


def test_hd95_forgives_five_percent_and_asd_does_not():
    """One false spot, 2 of 94 border pixels, far away: HD95 stays 0, the mean and the largest distance do not."""
    mask = square(5, 5, 24, (60, 60))
    spot = mask.copy()
    spot[55, 55:57] = True
    got = boundary(spot, mask)
    assert got["HD95"] == 0
    far = [np.hypot(55 - 28, x - 28) for x in (55, 56)]
    assert got["ASD"] == pytest.approx(sum(far) / (92 + 94))
    spot[55, 50:57] = True  # 7 of 99
    assert boundary(spot, mask)["HD95"] > 30


def test_boundary_in_millimetres():
    a, b = square(5, 5, 1), square(8, 9, 1)  # 3 rows and 4 columns apart
    assert boundary(a, b)["HD95"] == 5
    assert boundary(a, b, spacing=0.2)["HD95"] == pytest.approx(1)
    assert boundary(a, b, spacing=(4, 1))["HD95"] == pytest.approx(np.hypot(12, 4))


@pytest.mark.parametrize(("prediction", "mask"), [(EMPTY, MASK), (MAP, EMPTY), (EMPTY, EMPTY)])
def test_boundary_without_a_border(prediction, mask):
    assert boundary(prediction, mask) == pytest.approx({"ASD": NAN, "HD95": NAN}, nan_ok=True)


some = arrays(np.bool_, (9, 11)).filter(np.any)


@given(a=some, b=some, spacing=st.sampled_from([None, 0.5, (2.0, 1.0)]))
@settings(max_examples=40, deadline=None)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_boundary_and_overlap_agree_with_monai(a, b, spacing):
    metrics = pytest.importorskip("monai.metrics")
    import torch

    hard, true = (torch.from_numpy(m)[None, None].float() for m in (a, b))
    kind = {"include_background": True, "spacing": spacing}
    got = boundary(a, b, spacing)
    hd95 = metrics.compute_hausdorff_distance(hard, true, percentile=95, **kind).item()
    asd = metrics.compute_average_surface_distance(hard, true, symmetric=True, **kind).item()
    assert got == pytest.approx({"ASD": asd, "HD95": hd95}, rel=1e-5, abs=1e-6)
    counts = metrics.get_confusion_matrix(hard, true)
    names = {"Dice": "f1 score", "Jaccard": "threat score", "Precision": "precision", "Recall": "sensitivity"}
    theirs = {k: metrics.compute_confusion_matrix_metric(v, counts).item() for k, v in names.items()}
    assert {k: overlap(a, b)[k] for k in names} == pytest.approx(theirs, rel=1e-6)
    if not b.all():
        specificity = metrics.compute_confusion_matrix_metric("specificity", counts).item()
        assert overlap(a, b)["Specificity"] == pytest.approx(specificity, rel=1e-6)


@given(a=some, b=some)
@settings(max_examples=40, deadline=None)
def test_boundary_is_symmetric_and_knows_no_place(a, b):
    assert boundary(a, b) == pytest.approx(boundary(b, a))
    wide = [np.pad(m, ((3, 5), (2, 7))) for m in (a, b)]
    assert boundary(*wide) == pytest.approx(boundary(a, b))


def band(top, thickness, shape=(30, 12)):
    """A layer of equal thickness whose upper edge is ``top``, a row or one for each column."""
    rows, top = np.arange(shape[0])[:, None], np.broadcast_to(top, shape[1])
    return (rows >= top) & (rows < top + thickness)


@pytest.mark.parametrize("k", [0, 1, 4])
def test_a_layer_moved_by_k_rows_has_med_k(k):
    wavy = np.array([5, 6, 7, 8, 9, 9, 8, 7, 6, 5, 4, 4])
    assert edge_distance(band(wavy + k, 5), band(wavy, 5)) == k
    assert edge_distance(band(wavy - k, 5), band(wavy, 5)) == k


def test_med_by_hand():
    # the lower edge alone is 3 rows off: the mean over both edges is 1.5
    assert edge_distance(band(5, 8), band(5, 5)) == 1.5
    # errors do not cancel: half of the columns 2 up, half 2 down
    assert edge_distance(band(np.r_[[3] * 6, [7] * 6], 5), band(5, 5)) == 2
    # a stray pixel 10 rows below counts as the lower edge of its column
    stray = band(5, 5)
    stray[19, 0] = True
    assert edge_distance(stray, band(5, 5)) == 10 / 24


def test_med_where_a_layer_is_absent():
    """Columns without the layer on one side are left out; Dice tells of them."""
    gap = band(6, 5)
    gap[:, :6] = False
    assert edge_distance(gap, band(5, 5)) == 1
    other = band(5, 5) & ~gap.any(0)
    assert np.isnan(edge_distance(gap, other)) and np.isnan(edge_distance(gap, np.zeros_like(gap)))


CLASSES = ("RNFL", "GCIPL")


def test_layer_scores():
    mask = band(5, 6) * 1 + band(11, 4) * 2  # one on top of the other
    prediction = band(6, 6) * 1 + band(12, 4) * 2  # both one row lower
    got = layer_scores(prediction, mask, CLASSES)
    assert list(got) == list(CLASSES)
    assert got["RNFL"]["MED"] == got["GCIPL"]["MED"] == 1
    assert got["RNFL"]["Dice"] == pytest.approx(5 / 6) and got["GCIPL"]["Dice"] == pytest.approx(3 / 4)
    assert list(got["RNFL"]) == ["Dice", "Jaccard", "Precision", "Recall", "Specificity", "ASD", "HD95", "MED"]
    one_hot = np.stack([prediction == index for index in range(3)]) * 0.3 + 0.2  # one-vs-rest: all at most 0.5
    assert layer_scores(one_hot, mask, CLASSES) == got


def test_case_scores_of_one_class():
    ((suffix, got),) = case_scores(MAP, MASK, ["polyp"])
    assert suffix == "" and list(got)[:6] == list(score(MAP, MASK)) and got["mDice"] == score(MAP, MASK)["mDice"]
    assert list(got)[6:] == ["Dice", "Jaccard", "Precision", "Recall", "Specificity", "ASD", "HD95", "F1", "IoU"]


def test_case_scores_of_several_classes():
    mask = band(5, 6) * 1 + band(11, 4) * 2
    probabilities = np.stack([mask == index for index in range(3)]).astype(np.float32)
    got = dict(case_scores(probabilities, mask.astype(np.uint8), CLASSES))
    assert list(got) == [":RNFL", ":GCIPL"]
    perfect = dict.fromkeys(["Dice", "Jaccard", "Precision", "Recall", "Specificity"], 1)
    assert got[":RNFL"] == got[":GCIPL"] == perfect | {"ASD": 0, "HD95": 0, "MED": 0}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: overlap(MAP[:3], MASK), "resize the prediction"),
        (lambda: boundary(MAP * 4, MASK), "apply the sigmoid first"),
        (lambda: overlap(MAP, MASK * 2), "one class at a time"),
        (lambda: case_scores(MAP[None].repeat(3, 0), MASK, ["a", "b", "c"]), "3 channels, but 3 classes .a, b, c. and"),
        (lambda: layer_scores(MASK, MASK + 2, CLASSES), "the mask must hold the class indices 0 to 2"),
        (lambda: layer_scores(MAP, MASK, CLASSES), "the prediction must hold the class indices 0 to 2"),
        (lambda: layer_scores(MASK[:3], MASK, CLASSES), "resize the prediction"),
    ],
)
def test_input_errors(call, says):
    with pytest.raises(InputError, match=says):
        call()


def test_pranets_own_maps(real_data):
    """The recorded distances of PraNet's published maps of Kvasir, which notebook 27 quotes."""
    maps, masks = real_data / "predictions" / "PraNet" / "Kvasir", real_data / "Kvasir-SEG" / "masks"
    if not maps.is_dir() or not masks.is_dir():
        pytest.skip(f"no published PraNet maps in {real_data}")
    pairs = [(read_image(p)[..., 0], read_mask(next(masks.glob(f"{p.stem}.*")))) for p in sorted(maps.iterdir())]
    got = pd.DataFrame([overlap(p, m) | boundary(p, m) for p, m in pairs])
    assert got["Dice"].mean() == pytest.approx(0.899, abs=0.002)
    assert got["ASD"].mean() == pytest.approx(13.5, abs=0.1) and got["HD95"].mean() == pytest.approx(57.3, abs=0.1)
    assert got["HD95"].median() == pytest.approx(11.3, abs=0.1) and got["HD95"].min() > 2.23
