"""The style, the outlines, and what a saved figure carries."""

import json

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import to_hex
from PIL import Image

from m2s import figures
from m2s.data import load_images

MASK = np.zeros((24, 32), dtype=np.uint8)
MASK[6:18, 8:20] = 1


@pytest.fixture(autouse=True)
def plain():
    with plt.rc_context():
        figures.style()
        yield
        plt.close("all")


def contours(ax):
    """The outlines drawn in the axes, as (colour, all corner points)."""
    sets = [c for c in ax.collections if hasattr(c, "levels")]
    return [(to_hex(c.get_edgecolor()[0]).upper(), np.concatenate([p.vertices for p in c.get_paths()])) for c in sets]


def test_style():
    assert plt.rcParams["pdf.fonttype"] == 42
    assert plt.rcParams["savefig.bbox"] == "tight"
    cycle = [f"#{c}" if not c.startswith("#") else c for c in plt.rcParams["axes.prop_cycle"].by_key()["color"]]
    assert sorted(cycle) == sorted(figures.PALETTE.values())


@pytest.mark.parametrize("image", [np.zeros((24, 32, 3), np.uint8), np.zeros((24, 32), np.uint8), np.zeros((24, 32))])
def test_overlay_draws_both_outlines(image):
    _, ax = plt.subplots()
    soft = np.roll(MASK, 4, axis=1) * 0.9
    figures.overlay(ax, image, MASK, soft, title="one")
    (color, points), (other, shifted) = contours(ax)
    assert color == figures.MASK_COLOR and other == figures.PREDICTION_COLOR
    # the mask's border lies half a pixel outside its outermost pixels, columns 8 and 19, rows 6 and 17
    assert [points[:, 0].min(), points[:, 0].max()] == [7.5, 19.5]
    assert [points[:, 1].min(), points[:, 1].max()] == [5.5, 17.5]
    assert shifted[:, 0].min() == pytest.approx(12 - 0.4 / 0.9)  # 0.5 on the slope from 0 to 0.9
    assert ax.get_title() == "one"
    assert [t.get_text() for t in ax.legend().get_texts()] == ["mask", "prediction"]


def test_overlay_grey_image_is_not_stretched():
    _, ax = plt.subplots()
    figures.overlay(ax, np.full((4, 4), 100, np.uint8))
    assert ax.images[0].get_clim() == (0, 255)


@pytest.mark.parametrize(
    ("mask", "levels"), [(MASK * 255, [0.5]), (MASK.astype(bool), [0.5]), (MASK * 0, []), (MASK * 0 + 1, [])]
)
def test_overlay_mask_forms(mask, levels, recwarn):
    _, ax = plt.subplots()
    figures.overlay(ax, np.zeros((24, 32)), mask)
    drawn = [list(c.levels) for c in ax.collections if hasattr(c, "levels")]
    assert drawn == ([levels] if levels else [])
    assert not [w for w in recwarn if "contour" in str(w.message).lower()]


def test_overlay_draws_each_class():
    _, ax = plt.subplots()
    layers = MASK + np.pad(np.full((4, 12), 1, np.uint8), ((10, 10), (8, 12)))
    figures.overlay(ax, np.zeros((24, 32)), layers)
    assert [list(c.levels) for c in ax.collections if hasattr(c, "levels")] == [[0.5, 1.5]]


def test_save_carries_metadata(tmp_path):
    images = load_images("kvasir", "test", "phantom", limit=2)
    fig, ax = plt.subplots()
    ax.plot([0, 1])
    origin = figures.fingerprints(images)
    png, pdf = figures.save(fig, tmp_path / "deep" / "04_curve.v2", origin, profile="lab", seeds=[1, 2], path=tmp_path)
    assert (png.name, pdf.name) == ("04_curve.v2.png", "04_curve.v2.pdf")
    assert sorted(p.name for p in png.parent.iterdir()) == [pdf.name, png.name]
    with Image.open(png) as picture:
        assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.1)
        text = picture.text
    subject = json.loads(text["Subject"])
    assert text["Title"] == "04_curve.v2" and subject["notebook"] == "04_metrics.ipynb"
    assert subject["data_sets"] == {"kvasir/test": images.fingerprint}
    assert subject["profile"] == "lab" and subject["seeds"] == [1, 2] and subject["path"] == str(tmp_path)
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF") and b"/Title (04_curve.v2)" in content and b'"profile": "lab"' in content
    assert b"CreationDate" not in content and b"/Subtype /Type3" not in content


def test_save_names_the_commit(tmp_path, monkeypatch):
    fig = plt.figure()
    figures.paths.commit.cache_clear()
    monkeypatch.setattr(figures.paths, "ROOT", tmp_path)  # no repository here
    with Image.open(figures.save(fig, tmp_path / "a")[0]) as picture:
        assert json.loads(picture.text["Subject"]) == {}
    figures.paths.commit.cache_clear()  # what the tests after this one ask is this checkout's
    monkeypatch.setattr(figures.paths, "commit", lambda: "0123abc")
    with Image.open(figures.save(fig, tmp_path / "a")[0]) as picture:
        assert json.loads(picture.text["Subject"]) == {"commit": "0123abc"}


def test_same_figure_same_bytes(tmp_path):
    fig, ax = plt.subplots()
    ax.plot([0, 1])
    first = [p.read_bytes() for p in figures.save(fig, tmp_path / "a")]
    assert [p.read_bytes() for p in figures.save(fig, tmp_path / "a")] == first


def test_save_leaves_nothing_half_written(tmp_path, monkeypatch):
    fig = plt.figure()
    kept = figures.save(fig, tmp_path / "a")[0].read_bytes()

    def breaks(path, **_):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(fig, "savefig", breaks)
    with pytest.raises(OSError, match="no space"):
        figures.save(fig, tmp_path / "a")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "a.png"]
    assert (tmp_path / "a.png").read_bytes() == kept


def test_made_up_is_marked():
    fig, _ = plt.subplots()
    figures.made_up(fig)
    assert [t.get_text() for t in fig.texts] == ["made-up images"]


def test_a_name_with_the_sign_of_a_formula_is_drawn_as_it_is():
    fig, ax = plt.subplots()
    figures.overlay(ax, np.zeros((4, 5), np.uint8), title=r"5$ \frac{$_x")
    fig.canvas.draw()
    assert ax.get_title().count(r"\$") == 2


def test_a_title_is_not_broken_at_a_hyphen():
    assert figures.break_lines("COVID-SemiSeg (made-up)", 22) == "COVID-SemiSeg\n(made-up)"
