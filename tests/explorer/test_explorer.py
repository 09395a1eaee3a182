"""The explorer without a browser: what its controls do, and that drawing never runs a network."""

import io
import json
import shutil
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from m2s.errors import InputError
from m2s.explorer import session
from m2s.explorer.app import NONE, Explorer
from m2s.runs.build import build_network
from m2s.runs.store import MODEL, RECORD
from m2s.studies.recipe import Recipe
from m2s.studies.run import Run


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder of results with an M2SNet and an MSNet, untrained."""
    folder = tmp_path_factory.mktemp("results")
    for model in ("m2snet", "msnet", "unet"):
        run = Run(data="phantom", model=model, encoder="resnet10t", recipe=Recipe(size=64), pretrained=False)
        torch.manual_seed(0)
        target = folder / "smoke-phantom" / "runs" / run.key
        target.mkdir(parents=True)
        save_file(build_network(run).state_dict(), target / MODEL)
        (target / RECORD).write_text(json.dumps({"settings": asdict(run)}))
    return folder


@pytest.fixture
def opened(results):
    return Explorer(results=results, size=96)


@pytest.fixture
def passes(monkeypatch):
    """How often a network has been run."""
    counted = []
    real = session.capture
    monkeypatch.setattr(session, "capture", lambda *args, **kwargs: counted.append(1) or real(*args, **kwargs))
    return counted


def pictures(strip):
    return [box.children[0].value for box in strip.pictures if box.layout.display != "none"]


def below(strip):
    return [box.children[1].value for box in strip.pictures if box.layout.display != "none"]


def test_it_finds_the_runs_that_it_can_show(results, tmp_path):
    titles = list(session.list_checkpoints(results))
    assert [title.partition(" · ")[0] for title in titles] == ["M2SNet", "MSNet"]
    assert all(title.endswith(" · 64 px · seed 0 · smoke-phantom") for title in titles)
    assert session.list_checkpoints(tmp_path) == {}
    assert Explorer(results=tmp_path, size=64).first.value == session.UNTRAINED


def test_html_in_the_name_of_a_folder_is_text(results, tmp_path):
    """Results may come from anybody, and their folder's name is in the titles of their networks."""
    shutil.copytree(results / "smoke-phantom", tmp_path / "<img src=x onerror=alert(1)>")
    explorer = Explorer(results=tmp_path, size=96)
    assert "<img" in explorer.first.value
    lines = below(explorer.overview)
    assert "&lt;img src=x" in lines[2] and not [line for line in lines if "<img" in line]
    assert "<img" not in explorer.status.value + explorer.caption.value


def test_it_begins_with_the_networks_of_the_repository():
    first = next(iter(session.list_checkpoints().items()))
    assert first == ("M2SNet · polyps · 352 px", session.FOLDER / "m2snet-polyps")
    assert "MSNet · polyps · 352 px" in session.list_checkpoints()


def test_image_mask_and_prediction_stand_above_the_tabs(opened):
    assert [text.split(",")[0] for text in below(opened.overview)] == [
        "<small>image</small>",
        "<small>mask</small>",
        "<small>prediction of A",
    ]
    assert opened.first.value in below(opened.overview)[2] and "Dice" in below(opened.overview)[2]
    assert opened.session.images.names[0] in opened.caption.value
    before = pictures(opened.overview)
    opened.index.value = 1
    assert all(a != b for a, b in zip(pictures(opened.overview), before, strict=True))


def test_a_click_opens_a_node_and_runs_nothing(opened, passes):
    tab = opened.tabs[0]
    assert list(tab.buttons)[:6] == ["E^1", "E^2", "E^3", "E^4", "E^5", "MS_1^1"] and len(tab.buttons) == 29
    before = pictures(tab.rows["A"]), tab.plots.value
    tab.buttons["MS_3^2"].click()
    assert [title.count("<sub>3</sub>") for title in below(tab.rows["A"])] == [0, 0, 0, 2, 0, 1, 0]
    assert len(pictures(tab.rows["A"])) == 7 and pictures(tab.rows["A"]) != before[0] and tab.plots.value != before[1]
    assert "64 channels of 24×24, stride 4" in tab.about.value
    tab.view.value = "single channel"
    one = pictures(tab.rows["A"])
    tab.channel.value = 7
    assert pictures(tab.rows["A"]) != one and not tab.channel.disabled
    tab.buttons["CE^5"].click()
    assert len(pictures(tab.rows["A"])) == 3 and passes == []
    assert opened.status.timings[-1][0] == "drawing" and ">drawing: " in opened.status.value


def test_two_networks_side_by_side(opened, passes):
    tab, maps = opened.tabs[0], opened.tabs[0].maps.value
    opened.second.value = opened.second.options[2]
    assert "MSNet" in opened.second.value and len(passes) == 2
    tab.buttons["MS_2^1"].click()
    assert len(pictures(tab.rows["A"])) == 7 and len(pictures(tab.rows["B"])) == 5  # MSNet compares at one scale
    tab.network.value = "B"
    assert tab.maps.value != maps and len(passes) == 2
    opened.second.value = NONE
    assert pictures(tab.rows["B"]) == [] and list(opened.session.captures) == ["A"]


def test_receptive_fields_are_measured_when_asked_for(opened):
    tab = opened.tabs[0]
    assert "receptive field" not in tab.about.value
    tab.measure.click()
    assert "receptive field" in tab.about.value and " px" in tab.about.value
    opened.index.value = 1  # the same network on another image
    assert "receptive field" in tab.about.value
    opened.first.value = opened.first.options[1]  # another network under the same letter
    assert "receptive field" not in tab.about.value


def test_lossnet_sees_the_changed_mask(opened, passes):
    opened.tab.selected_index = 1
    tab = opened.tabs[1]
    tab.other.value = "the mask as it is"
    assert tab.total.value.startswith("L<sub>f</sub> = 0 ")
    totals = []
    for grow in (2, 6):
        tab.grow.value = grow
        totals.append(float(tab.total.value.split(" ")[2]))
    assert 0 < totals[0] < totals[1]
    assert len(pictures(tab.rows[2])) == 5 and "l<sub>f</sub><sup>4</sup>" in below(tab.rows[2])[4]
    assert passes == []  # M2SNet has nothing to do with it


def test_a_changed_image_changes_the_prediction(opened, passes):
    opened.tab.selected_index = 2
    tab = opened.tabs[2]
    assert below(tab.rows["A"])[3] == "<small>change, mean 0.000</small>" and len(passes) == 1
    tab.noise.value = 0.2
    assert not below(tab.rows["A"])[3].endswith("0.000</small>") and len(passes) == 2
    tab.noise.value = 0.0
    tab.off.value = "MS_2^1"
    assert not below(tab.rows["A"])[3].endswith("0.000</small>") and "Dice" in below(tab.rows["A"])[1]
    tab.off.value = "no unit"
    tab.right.value = 20
    assert pictures(tab.rows["A"])[0] != pictures(tab.rows["A"])[1]


def uploaded(name, content):
    modified = datetime(2026, 1, 1, tzinfo=UTC)
    return {"name": name, "type": "", "size": len(content), "content": memoryview(content), "last_modified": modified}


def test_an_image_of_your_own(opened):
    stream = io.BytesIO()
    Image.fromarray(np.full((50, 80, 3), 128, np.uint8)).save(stream, "png")
    opened.upload.value = (uploaded("mine.png", stream.getvalue()),)
    assert (
        opened.session.image.shape == (96, 96, 3)
        and (opened.session.image == 128).all()
        and opened.session.mask is None
    )
    opened.tab.selected_index = 1
    assert "no mask" in below(opened.tabs[1].rows[1])[0]
    opened.tab.selected_index = 2
    assert opened.tabs[2].right.disabled and below(opened.tabs[2].rows["A"])[0] == "<small>before</small>"
    opened.upload.value = (uploaded("mine.txt", b"no picture"),)
    assert "mine.txt is not an image that can be read: give PNG or JPEG" in opened.status.value
    opened.index.value = 1
    assert opened.session.mask is not None and "#D55E00" not in opened.status.value


def test_unknown_data_is_told_in_one_line(tmp_path, results):
    with pytest.raises(InputError, match=r"data set kvasir not found in .*; there are: none"):
        Explorer(data=tmp_path, results=results)


def test_what_a_visitor_uploads_is_bounded_stays_in_memory_and_with_the_visitor(opened, tmp_path, results, monkeypatch):
    """Too many bytes, too many pixels, a program's file called a picture, HTML in a name; two visitors side by side."""
    before = opened.session.image
    stream = io.BytesIO()
    Image.new("1", (8000, 5001)).save(stream, "png")
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(pwned) (w) file closefile\n"
    for content in (stream.getvalue(), b"\x89PNG\r\n\x1a\n" + bytes(20_000_000), postscript, b""):
        opened.upload.value = (uploaded("<img src=x onerror=alert(1)>.png", content),)
        assert "give PNG or JPEG, at most 20 MB and 40 million pixels" in opened.status.value
        assert "<img" not in opened.status.value and "&lt;img src=x" in opened.status.value
        assert opened.session.image is before and opened.upload.value == ()
    monkeypatch.chdir(tmp_path)
    files = sorted(tmp_path.rglob("*"))
    stream = io.BytesIO()
    Image.fromarray(np.full((50, 80, 3), 77, np.uint8)).save(stream, "png")
    opened.upload.value = (uploaded("mine.png", stream.getvalue()),)
    assert (opened.session.image == 77).all() and opened.upload.value == ()
    other = Explorer(results=results, size=96)
    assert not (other.session.image == 77).all()
    assert sorted(tmp_path.rglob("*")) == files


def test_a_data_set_is_read_once_to_be_listed_and_to_be_shown(tmp_path, results, monkeypatch):
    read = []
    load = session.datasets.load_images
    monkeypatch.setattr(session.datasets, "load_images", lambda *a: read.append(a[:2]) or load(*a))
    (tmp_path / "data").mkdir()
    opened = session.Session(tmp_path / "data", results)
    assert opened.list_data_sets() == [] == opened.list_data_sets()
    assert read and len(read) == len(set(read)), "once as a test set and once as a training set"
    read.clear()
    made_up = session.Session("phantom", results)
    for name in ("kvasir", "clinicdb", "kvasir"):
        made_up.choose_set(name)
        made_up.choose_image(0)
    assert read == [("kvasir", "test"), ("clinicdb", "test")]


def test_every_data_set_that_is_offered_can_be_opened(results):
    """Also those that have folds in place of a test set."""
    made_up = session.Session("phantom", results)
    for name in made_up.list_data_sets():
        made_up.choose_set(name)
        assert made_up.images is not None and len(made_up.images), name
