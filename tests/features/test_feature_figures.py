"""Pictures of features: the right maps in the right places, and LossNet's distance maps that average to its terms."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import m2s
from m2s.errors import InputError
from m2s.features import pictures
from m2s.lossnet import LossNet

IMAGE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def captures():
    torch.manual_seed(0)
    models = {
        name: m2s.create_model(name, encoder="resnet10t", pretrained=False).eval() for name in ("m2snet", "msnet")
    }
    return {name: m2s.capture(model, IMAGE) for name, model in models.items()}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def titles(fig):
    return [ax.get_title() for ax in fig.get_axes() if ax.get_visible() and ax.get_title()]


def test_a_feature_becomes_a_picture_in_four_ways():
    ramp = torch.linspace(0, 1, 16).view(1, 4, 4)
    feature = torch.cat([ramp, 1 - ramp, torch.zeros(1, 4, 4)])
    first, last = (pictures.COLORS[[0, -1]] * 255).round().astype(np.uint8)
    one = pictures.draw_feature(feature, "single channel", 1)
    assert np.array_equal(one[0, 0], last) and np.array_equal(one[-1, -1], first)
    assert np.array_equal(pictures.draw_feature(feature), np.broadcast_to(first, (4, 4, 3)))  # the mean is constant
    components = pictures.draw_feature(feature, "principal components")
    assert components.shape == (4, 4, 3) and np.ptp(components[..., 0]) == 255 and not components[..., 1:].all()
    over = pictures.draw_feature(feature, "overlay", image=IMAGE)
    assert over.shape == IMAGE.shape and np.array_equal(over, first // 2 + IMAGE // 2)
    for bad, said in (
        (("mean",), "unknown view"),
        (("single channel", 3), "channels 0 to 2"),
        (("overlay",), "needs the"),
    ):
        with pytest.raises(InputError, match=said):
            pictures.draw_feature(feature, *bad)


def test_the_triangle_shows_every_node_once(captures):
    fig = pictures.draw_triangle(captures["m2snet"], IMAGE, IMAGE[..., 0] > 128)
    nodes = [node.label for node in captures["m2snet"].values() if node.kind != "difference"]
    assert sorted(titles(fig)) == sorted([*nodes, "image"])


def test_a_unit_from_close(captures):
    fig = pictures.draw_unit(captures, "MS_2^4", IMAGE)
    pair = ["$MS_1^5$", "$MS_1^4$"]
    scales = [captures["m2snet"][f"MS_2^4 k={k}"].label for k in (1, 3, 5)]
    row = [*pair, *scales, "$MS_2^4$", "on the image"]
    assert titles(fig) == [*row, *pair, scales[0], "$MS_2^4$", "on the image"]
    legends = [text.get_text() for ax in fig.get_axes() if ax.get_legend() for text in ax.get_legend().get_texts()]
    assert len(legends) == 4 and legends[0].startswith("m2snet: ") and "effective rank" in legends[3]


def test_lossnets_distance_maps_average_to_its_terms():
    torch.manual_seed(0)
    lossnet = LossNet("resnet10t", pretrained=False, resize=None)
    mask = np.zeros((64, 64))
    mask[20:40, 10:30] = 1
    prediction = np.roll(mask, 3, 1) * 0.9
    predicted, wanted = (pictures.run_lossnet(lossnet, side) for side in (prediction, mask))
    maps = pictures.compare_lossnet_features(predicted, wanted)
    terms = lossnet.terms(*(torch.from_numpy(side).float()[None, None] for side in (prediction, mask)))
    assert [distance.mean() for *_, distance in maps] == pytest.approx([term.item() for term in terms], rel=1e-4)
    assert all(not distance.any() for *_, distance in pictures.compare_lossnet_features(wanted, wanted))
    fig = pictures.draw_lossnet(maps, prediction, mask)
    assert titles(fig) == ["as they are", "level 1", "level 2", "level 3", "level 4"]


def test_outlines_are_on_the_border():
    mask = np.zeros((64, 64), bool)
    mask[10:30, 10:30] = True
    drawn = pictures.draw_borders(IMAGE, mask, np.roll(mask, 20, 1) * 0.8)
    changed = (drawn != IMAGE).any(-1)
    assert changed[10, 10:30].all() and changed[10, 30:50].all() and not changed[15:25, 15:25].any()
    assert len(np.unique(drawn[10, 11:50], axis=0)) == 2
    assert np.array_equal(pictures.draw_borders(IMAGE, None), IMAGE)
