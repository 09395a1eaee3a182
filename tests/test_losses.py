"""The structure loss against the recorded figures of the released code, and the laws it has to keep."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from m2s.errors import InputError
from m2s.losses import (
    AUXILIARY,
    BCEDiceLoss,
    DiceCELoss,
    SegmentationLoss,
    draw_distance,
    draw_edge,
    one_vs_rest,
    pixel_weights,
    structure_loss,
    structure_parts,
)


def disc(size: int = 64, radius: float = 15.0) -> torch.Tensor:
    """A disc in the middle, (1, 1, size, size), uint8."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centre = (size - 1) / 2
    return ((x - centre) ** 2 + (y - centre) ** 2 < radius**2)[None, None].to(torch.uint8)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32, torch.bool])
@pytest.mark.parametrize("form", ["published", "written"])
@pytest.mark.parametrize("network", ["msnet", "m2snet"])
def test_golden(golden_json, golden_npz, network, form, dtype):
    logits, mask = torch.from_numpy(golden_npz[f"{network}_train"]), torch.from_numpy(golden_npz["mask"]).to(dtype)
    expected = golden_json[network][f"loss_{form}_train"]
    assert structure_loss(logits, mask, form).item() == pytest.approx(expected, rel=1e-4)


def test_weights_by_hand():
    # One object pixel in the middle of 5×5: every 31×31 window holds the whole image, so the mean is 1/961 everywhere.
    target = torch.zeros(1, 1, 5, 5)
    target[0, 0, 2, 2] = 1
    expected = torch.full((1, 1, 5, 5), 1 + 5 / 961)
    expected[0, 0, 2, 2] = 1 + 5 * 960 / 961
    torch.testing.assert_close(pixel_weights(target), expected)


def test_loss_by_hand():
    # The same mask, logits 0 everywhere (p = 1/2): BCE is log 2 for every pixel, whatever the weights.
    target = torch.zeros(1, 1, 5, 5)
    target[0, 0, 2, 2] = 1
    parts = structure_parts(torch.zeros(1, 1, 5, 5), target)
    centre, rest = 1 + 5 * 960 / 961, 24 * (1 + 5 / 961)
    intersection, both = centre / 2, (centre + rest) / 2 + centre
    assert parts["bce"].item() == pytest.approx(torch.tensor(2.0).log().item())
    assert parts["iou"].item() == pytest.approx(1 - (intersection + 1) / (both - intersection + 1))


def test_weights_are_one_away_from_the_boundary_and_above_two_on_it():
    weights = pixel_weights(disc(128, radius=40).float())[0, 0]
    assert weights[63, 63] == 1  # 40 px inside
    assert weights[0, 63] == 1  # 23 px outside
    on_the_edge = weights[63, 63 + 38 : 63 + 42]
    assert (on_the_edge > 2).all() and (on_the_edge <= 6).all()


def test_forms_differ_by_the_weighting_of_the_bce_alone():
    torch.manual_seed(0)
    logits, mask = torch.randn(2, 1, 64, 64), disc().expand(2, -1, -1, -1)
    published, written = structure_parts(logits, mask, "published"), structure_parts(logits, mask, "written")
    assert published["iou"] == written["iou"]
    assert abs(published["bce"] - written["bce"]) > 1e-3
    plain = F.binary_cross_entropy_with_logits(logits, mask.float())
    torch.testing.assert_close(written["bce"], plain)
    # Without a boundary all weights are 1, and the forms agree.
    empty = torch.zeros_like(mask)
    torch.testing.assert_close(structure_loss(logits, empty, "published"), structure_loss(logits, empty, "written"))


def test_a_wrong_boundary_costs_more_as_published():
    mask = disc(128, radius=40)
    logits = 12.0 * disc(128, radius=36) - 6
    far = 12.0 * mask - 6
    far[..., :8, :] = 6  # a wrong band far from the object, of about as many pixels
    published = structure_parts(logits, mask)["bce"] / structure_parts(far, mask)["bce"]
    written = structure_parts(logits, mask, "written")["bce"] / structure_parts(far, mask, "written")["bce"]
    assert published > 2 * written


@pytest.mark.parametrize("form", ["published", "written"])
def test_classes_are_the_mean_of_one_against_the_rest(form):
    torch.manual_seed(1)
    mask = torch.randint(0, 4, (2, 1, 8, 8)).repeat_interleave(6, 2).repeat_interleave(6, 3)
    logits = torch.randn(2, 4, 48, 48)
    binary = [structure_loss(logits[:, c : c + 1], mask == c, form) for c in range(4)]
    torch.testing.assert_close(structure_loss(logits, mask.to(torch.uint8), form), torch.stack(binary).mean())
    assert one_vs_rest(mask, 4).sum(1).eq(1).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), classes=st.sampled_from([1, 3]), form=st.sampled_from(["published", "written"]))
def test_never_negative_and_falls_towards_the_mask(seed, classes, form):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.randint(0, max(classes, 2), (2, 1, 24, 24), generator=generator)
    noise = torch.randn(2, classes, 24, 24, generator=generator)
    towards = 2 * one_vs_rest(mask, classes) - 1
    losses = [structure_loss(noise + strength * towards, mask, form).item() for strength in (-5, 0, 5, 30)]
    assert losses == sorted(losses, reverse=True)
    assert 0 <= losses[-1] < 1e-4


def test_empty_masks_are_defined():
    mask = torch.zeros(1, 1, 32, 32)
    assert structure_loss(torch.full((1, 1, 32, 32), -30.0), mask).item() == pytest.approx(0, abs=1e-6)
    assert structure_loss(torch.full((1, 1, 32, 32), 30.0), mask).item() > 1


def test_terms_add_up():
    logits = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    iou, bce = (structure_loss(logits, disc(), terms=(t,)) for t in ("iou", "bce"))
    torch.testing.assert_close(structure_loss(logits, disc()), iou + bce)


class Distance(torch.nn.Module):
    """In the place of LossNet: the mean absolute difference."""

    def forward(self, probabilities, mask):
        return (probabilities - one_vs_rest(mask, probabilities.shape[1])).abs().mean()


def test_segmentation_loss_is_the_sum_of_its_parts():
    logits = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(3))
    loss = SegmentationLoss(lossnet=Distance(), lossnet_weight=0.1)
    parts = loss.parts(logits, disc())
    assert list(parts) == ["iou", "bce", "lossnet"]
    torch.testing.assert_close(loss(logits, disc()), sum(parts.values()))
    torch.testing.assert_close(parts["lossnet"], 0.1 * Distance()(logits.sigmoid(), disc()))
    torch.testing.assert_close(SegmentationLoss()(logits, disc()), structure_loss(logits, disc()))
    alone = SegmentationLoss(terms=(), lossnet=Distance())
    assert list(alone.parts(logits, disc())) == ["lossnet"]


def test_deep_supervision_sums_the_structure_loss_and_takes_lossnet_once():
    generator = torch.Generator().manual_seed(4)
    final, middle, deep = (torch.randn(2, 1, 64, 64, generator=generator) for _ in range(3))
    mask = disc().expand(2, -1, -1, -1)
    parts = SegmentationLoss(lossnet=Distance()).parts([final, middle, deep], mask)
    torch.testing.assert_close(
        parts["iou"] + parts["bce"], sum(structure_loss(logits, mask) for logits in (final, middle, deep))
    )
    torch.testing.assert_close(parts["lossnet"], Distance()(final.sigmoid(), mask))


def test_the_edge_is_where_the_three_by_three_pixels_differ():
    mask = torch.zeros(1, 1, 5, 6)
    mask[..., 1:4, 0:3] = 1
    rows = ["111100", "111100", "001100", "111100", "111100"]  # at the image's side nothing is seen beyond it
    expected = torch.tensor([[int(pixel) for pixel in row] for row in rows])
    assert torch.equal(draw_edge(mask)[0, 0], expected.float())
    assert torch.equal(draw_edge(7 * mask), draw_edge(mask))  # any difference of classes
    assert not draw_edge(torch.ones(1, 1, 4, 4)).any()


def test_the_distance_is_one_in_the_middle_and_each_class_has_its_own():
    mask = torch.zeros(1, 1, 7, 8, dtype=torch.long)
    mask[..., 1:6, 1:6] = 1
    mask[..., :, 7] = 2
    one, two = draw_distance(one_vs_rest(mask, 3))[0, 1:]
    rings = torch.tensor([[min(i, j, 4 - i, 4 - j) + 1 for j in range(5)] for i in range(5)])
    assert torch.equal(one[1:6, 1:6], rings / 3)
    assert one.sum() == pytest.approx(rings.sum().item() / 3)
    assert torch.equal(two, (mask[0, 0] == 2).float())
    assert not draw_distance(torch.zeros(1, 1, 4, 4)).any()
    logits = torch.logit(draw_distance(one_vs_rest(mask, 3)), eps=1e-6)
    assert AUXILIARY["distance"](logits, mask).item() == pytest.approx(0, abs=1e-10)
    assert AUXILIARY["edge"](20 * (2 * draw_edge(one_vs_rest(mask, 3)) - 1), mask).item() == pytest.approx(0, abs=1e-8)


def test_auxiliary_outputs_are_named_parts():
    generator = torch.Generator().manual_seed(5)
    final, edge, other = (torch.randn(1, 1, 64, 64, generator=generator) for _ in range(3))
    outputs = {"maps": [final], "edge": [edge, other]}
    for loss in (SegmentationLoss(), BCEDiceLoss()):
        parts, alone = loss.parts(outputs, disc()), loss.parts(final, disc())
        assert list(parts) == [*alone, "edge"]
        for name, value in alone.items():
            torch.testing.assert_close(parts[name], value)
        target = draw_edge(disc())
        bce = sum(F.binary_cross_entropy(logits.sigmoid(), target) for logits in (edge, other))
        torch.testing.assert_close(parts["edge"], bce)
        torch.testing.assert_close(loss(outputs, disc()), sum(parts.values()))


def test_gradient_reaches_every_output():
    outputs = [torch.zeros(1, 1, 64, 64, requires_grad=True) for _ in range(3)]
    SegmentationLoss()(outputs, disc()).backward()
    assert all(o.grad.abs().sum() > 0 for o in outputs)
    grad, inside = outputs[0].grad, disc().bool()
    assert (grad[inside] < 0).all() and (grad[~inside] > 0).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x, m: structure_loss(x, m, form="publisht"), "did you mean published"),
        (lambda x, m: structure_loss(x, m, terms=("dice",)), "unknown loss term 'dice'"),
        (lambda x, m: structure_loss(x, m, terms=()), "no loss term"),
        (lambda x, m: structure_loss(x, 255 * m), "run from 0 to 255, expected 0 to 1"),
        (lambda x, m: structure_loss(x.expand(-1, 3, -1, -1), 4 * m), "expected class indices 0 to 2"),
        (lambda x, m: structure_loss(x, m[:, 0]), "mask has shape"),
        (lambda x, m: structure_loss(x, m[..., :32]), "mask has shape"),
        (lambda x, m: SegmentationLoss(terms=()), "no loss term"),
        (lambda x, m: SegmentationLoss(form="paper"), "unknown loss form"),
    ],
)
def test_errors_are_one_clear_line(call, says):
    with pytest.raises(InputError, match=says) as error:
        call(torch.zeros(1, 1, 64, 64), disc())
    assert "\n" not in str(error.value)


def test_lgmsnets_loss_by_hand():
    logits = torch.tensor([[[[0.0, 2.0]]], [[[-1.0, 0.0]]]], dtype=torch.float64)
    mask = torch.tensor([[[[0, 1]]], [[[0, 0]]]])
    p = 1 / (1 + np.exp([[0.0, -2.0], [1.0, 0.0]]))
    bce = -(np.log(1 - p[0, 0]) + np.log(p[0, 1]) + np.log(1 - p[1]).sum()) / 4
    dice = np.mean([1 - (2 * p[0, 1] + 1e-5) / (p[0].sum() + 1 + 1e-5), 1 - 1e-5 / (p[1].sum() + 1e-5)])
    parts = BCEDiceLoss().parts(logits, mask)
    assert {name: value.item() for name, value in parts.items()} == pytest.approx({"bce": 0.5 * bce, "dice": dice})
    assert BCEDiceLoss()(logits, mask).item() == pytest.approx(0.5 * bce + dice)
    assert BCEDiceLoss()([logits, logits], mask).item() == pytest.approx(2 * (0.5 * bce + dice))
    perfect = torch.where(mask > 0, 50.0, -50.0)
    assert BCEDiceLoss()(perfect, mask).item() < 1e-5


def test_the_loss_of_volumes_is_monais_dice_and_cross_entropy():
    torch.manual_seed(0)
    logits, mask = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64), torch.randint(0, 3, (2, 1, 4, 5, 6))
    parts = DiceCELoss().parts(logits, mask.float())
    p, g = logits.softmax(1), F.one_hot(mask[:, 0], 3).movedim(-1, 1)
    dice = 1 - (2 * (p * g).sum((2, 3, 4)) + 1e-5) / ((p + g).sum((2, 3, 4)) + 1e-5)
    assert parts["dice"].item() == pytest.approx(dice.mean().item())
    assert parts["ce"].item() == pytest.approx(-(p.log() * g).sum(1).mean().item())
    assert DiceCELoss()([logits] * 2, mask.float()).item() == pytest.approx(2 * sum(parts.values()).item())
