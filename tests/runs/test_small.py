"""The problems of seconds: their masks, pairs and score by hand, and a network that learns one."""

import pytest
import torch

from m2s.runs.small import Finder, area_under_roc, draw_discs, fit, make_pair
from m2s.units import SubtractionUnit


def test_area_under_roc_counts_pairs():
    truth = torch.tensor([1, 1, 0, 0])
    assert area_under_roc(torch.tensor([4.0, 2.0, 3.0, 1.0]), truth) == pytest.approx(
        3 / 4
    )  # one pair of four is wrong
    assert area_under_roc(torch.zeros(4), truth) == pytest.approx(0.5)


def test_discs_take_turns_in_size_and_stay_inside():
    masks = draw_discs(4, 16, (1, 3), torch.Generator().manual_seed(0))
    assert masks.shape == (4, 1, 16, 16) and masks.unique().tolist() == [0, 1]
    assert masks.sum((1, 2, 3)).tolist() == [5, 29, 5, 29]  # grid points within 1 and within 3 pixels


def test_a_subtraction_unit_learns_to_find_discs():
    generator = torch.Generator().manual_seed(0)
    masks = draw_discs(8, 16, (4,), generator)
    first, second = make_pair(masks, 3.0, 4, generator)
    torch.manual_seed(0)
    network = Finder(SubtractionUnit(4), 4)
    before = area_under_roc(network.eval()(first, second), masks)
    assert area_under_roc(fit(network, (first, second), masks, steps=30)(first, second), masks) > max(0.95, before)
