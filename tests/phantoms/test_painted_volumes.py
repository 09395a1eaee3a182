"""A made-up abdomen is as large as one: widths in mm and volumes in ml, by the spacing that it is painted for."""

import numpy as np

from m2s.data import CATALOGUE, load_images
from m2s.phantoms.volumes import SPACING, STYLES


def test_every_style_has_a_spacing():
    assert SPACING.keys() == STYLES.keys()


def test_a_made_up_abdomen_has_the_size_of_one():
    volumes, classes = load_images("btcv", "all", "phantom", 4), CATALOGUE["btcv"].classes
    voxel = np.prod(SPACING["btcv"]) / 1000  # ml
    ml = {name: np.median([(mask == i).sum() for *_, mask in volumes]) * voxel for i, name in enumerate(classes, 1)}
    assert 900 < ml["liver"] < 2000 and 100 < ml["left kidney"] < 300 and 80 < ml["spleen"] < 350
    for _, image, _ in volumes:  # wider than deep, and neither a child nor a giant
        deep, wide = ((image > -500).any((0, axis)).sum() * 3.5 for axis in (2, 1))
        assert 200 < deep < wide < 400
