"""The measurements and pictures of the data-set notebooks, on images whose figures are known."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pytest

import m2s.surveys
from m2s.data import ImageSet
from m2s.errors import InputError
from m2s.surveys import plots
from m2s.surveys.measure import (
    GRID,
    count_splits,
    find_images,
    list_facts,
    list_sets,
    mean_dice,
    measure_images,
    summarize_surveys,
    try_thresholds,
)


@dataclass(frozen=True)
class Square:
    """A bright square on a dark ground."""

    name: str
    x: int
    y: int = 20
    side: int = 10
    group: str = ""

    def read(self):
        mask = np.zeros((60, 80), np.uint8)
        mask[self.y : self.y + self.side, self.x : self.x + self.side] = 1
        image = np.repeat(np.where(mask, 200, 50).astype(np.uint8)[..., None], 3, axis=2)
        return image, mask


def squares(*items, made_up=True):
    title = "Kvasir-SEG" + " (made-up)" * made_up
    return ImageSet("kvasir", title, "all", "a test", made_up, "0" * 12, tuple(items))


@pytest.fixture
def measured():
    return measure_images(squares(Square("a", 10), Square("b", 50), Square("empty", 0, side=0)))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_a_survey_measures_each_image(measured):
    row = measured.table.iloc[0]
    assert (row.image, row["class"], row.width, row.height, row.parts) == ("a", "polyp", 80, 60, 1)
    assert row.share == pytest.approx(100 / 4800)
    assert row.diameter == pytest.approx(352 * 2 * np.sqrt(100 / 4800 / np.pi))
    assert (row.x, row.y) == pytest.approx((15 / 80, 25 / 60))
    assert row.contrast == pytest.approx(150 / 255)


def test_an_image_without_foreground_is_counted_and_not_averaged(measured):
    empty = measured.table.iloc[2]
    assert empty.share == 0 and np.isnan(empty.contrast) and empty.parts == 0
    row = summarize_surveys([measured]).iloc[0]
    assert (row.images, row.without) == (3, 1)
    assert row.share_median == pytest.approx(100 / 4800)


def test_histograms_and_locations_count_every_pixel(measured):
    assert measured.histograms.shape == (3, 2, 256) and measured.histograms.sum() == 3 * 4800
    assert measured.histograms[0, 1, 200] == 100 and measured.histograms[0, 0, 50] == 4700
    assert measured.locations.shape == (1, GRID, GRID)
    assert measured.locations.mean() == pytest.approx(2 * 100 / 4800 / 3, rel=1e-4)


def test_the_best_threshold_is_perfect_where_brightness_decides(measured):
    dice, rule = measured.best_threshold
    assert dice == 1 and rule.startswith("grey value at least")
    everything = try_thresholds([measured])["everything: Dice"].iloc[0]
    share = 100 / 4800
    assert everything == pytest.approx(2 * share / (1 + share))


@dataclass(frozen=True)
class Noise:
    name: str
    group: str = ""

    def read(self):
        rng = np.random.default_rng(len(self.name))
        mask = (rng.random((20, 30)) < 0.3).astype(np.uint8)
        grey = np.clip(rng.normal(100 + 40 * mask, 40), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2), mask


def test_the_best_threshold_equals_trying_all_of_them():
    images = squares(Noise("a"), Noise("bb"), Noise("ccc"))
    best = 0.0
    for level in range(256):
        for above in (True, False):
            found = [(image[..., 0] >= level) == above for _, image, _ in images]
            each = [mean_dice(f.astype(int), s.mask) for f, s in zip(found, images, strict=True)]
            best = max(best, np.mean(each))
    assert measure_images(images).best_threshold[0] == pytest.approx(best)


def test_dice_is_the_mean_over_the_classes_present():
    prediction, mask = np.array([1, 1, 2, 0]), np.array([1, 1, 0, 3])
    assert mean_dice(prediction, mask) == pytest.approx(1 / 3)
    assert np.isnan(mean_dice(np.zeros(4, int), np.zeros(4, int)))


def test_an_absent_set_is_made_up_and_a_broken_one_is_an_error(tmp_path):
    found = find_images("kvasir", tmp_path, limit=2)
    assert found.made_up and len(found) == 2
    assert found.title == "Kvasir-SEG (made-up)"
    assert list_sets([found]).loc["kvasir", "images are"] == "made up"
    with pytest.raises(InputError, match="no such folder"):
        find_images("kvasir", tmp_path / "none")
    (tmp_path / "Kvasir-SEG").mkdir()
    with pytest.raises(InputError, match="wrong layout"):
        find_images("kvasir", tmp_path)


def test_facts_name_the_home_the_licence_and_the_citation():
    row = list_facts(["kvasir", "colondb"]).loc["kvasir"]
    assert row["images (published)"] == "all 1000"
    assert row.home.startswith("https://") and row.licence and row.citation


def test_splits_say_what_is_published_and_what_is_here():
    table = count_splits(squares(Square("a", 1)), "phantom")
    assert list(table.published) == [900, 100] and set(table.here) == {"made up"}


def test_real_sets_are_found_and_their_splits_counted(real_data):
    found = find_images("kvasir", real_data, limit=3)
    assert not found.made_up and found.title == "Kvasir-SEG"
    assert list(count_splits(found, real_data).here) == [900, 100]


def words(fig):
    return [text.get_text() for text in fig.texts]


def test_a_figure_says_whose_images_are_made_up():
    made_up, real = squares(Square("a", 1)), squares(Square("a", 1), made_up=False)
    for sets, expected in (
        ([made_up], ["made-up images"]),
        ([made_up, real], ["made-up images where it says so"]),
        ([real], []),
    ):
        fig = plt.figure()
        plots.mark_made_up(fig, sets)
        assert words(fig) == expected


def test_the_gallery_outlines_the_object_and_names_its_set():
    fig = plots.draw_gallery([squares(Square("a", 10), Square("b", 0))], columns=2)
    alone, outlined, _, at_the_edge = fig.axes
    assert fig.subfigs[0].get_suptitle() == "Kvasir-SEG (made-up)"
    assert not alone.collections and len(outlined.collections) == 1
    box = outlined.collections[0].get_paths()[0].get_extents()
    assert (box.x0, box.x1, box.y0, box.y1) == pytest.approx((9.5, 19.5, 19.5, 29.5))
    # a border on the image's edge is drawn as well
    assert at_the_edge.collections[0].get_paths()[0].get_extents().x0 == pytest.approx(-0.5)


def test_the_pictures_show_every_set(measured):
    for draw in (plots.draw_sizes, plots.draw_intensities, plots.draw_locations):
        fig = draw([measured, measured])
        fig.canvas.draw()
        assert len(fig.axes) >= 2
    titles = [ax.get_title() for ax in plots.draw_intensities([measured]).axes]
    assert titles == ["Kvasir-SEG (made-up)"]


def test_each_class_has_a_colour_of_its_own():
    assert len({plots.pick_color(i) for i in range(1, 9)}) == 8


def test_a_tour_shows_facts_examples_and_one_survey_for_all_sets(tmp_path, monkeypatch):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path))
    shown = []
    monkeypatch.setattr("m2s.surveys.tour.display", shown.append)
    monkeypatch.setattr(plt, "show", lambda: None)
    tour = m2s.surveys.open("12", ("lung", "covidsemiseg"), "smoke", "phantom")
    assert [len(images) for images in tour.sets] == [6, 6] and tour.limit == 6
    tour.show_facts()
    tour.show_examples()
    tour.show_survey()
    table = shown[-1].data
    assert table.index.names == ["set", "class"] and (table["images"] == 6).all()
    assert not [name for name in table if "_" in name]
    saved = sorted(path.stem for path in (tmp_path / "smoke-phantom" / "figures").glob("*.png"))
    assert saved == ["12_examples", "12_greys", "12_places", "12_sizes"]


@pytest.mark.parametrize("name", ["cvc612t", "lung", "busi", "tnscui"])
def test_no_grey_value_solves_the_made_up_images(name):
    survey = measure_images(find_images(name, "phantom", limit=30))
    assert try_thresholds([survey])["best threshold: Dice"].item() < 0.6
