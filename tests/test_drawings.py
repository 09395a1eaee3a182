"""The drawn figures: as drawn anew, readable, and right: what they say is compared with the library."""

import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest
import timm
import torch

from m2s.data.sets import CATALOGUE
from m2s.data.tensors import multiscale_sizes
from m2s.encoders import Encoder
from m2s.lgmsnet import HEAD_WIDTH, HEADS, LMS, LGMSNet
from m2s.m2snet import WIRING_PARTS, M2SNet
from m2s.paths import ROOT
from m2s.studies.recipe import Recipe
from m2s.units import MultiScaleSubtractionUnit

FOLDER = ROOT / "notebooks" / "drawings"
DRAWINGS = sorted(FOLDER.glob("*.svg"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NAME = "{http://www.w3.org/2000/svg}"


def read_texts(name: str) -> list[str]:
    """The lines of text of a drawing, indices written on: ``MS_2^1`` is ``MS21``."""
    root = ElementTree.parse(FOLDER / f"{name}.svg").getroot()
    return ["".join(text.itertext()) for text in root.iter(f"{NAME}text")]


def test_drawn_anew_they_are_the_same(tmp_path):
    command = [sys.executable, ROOT / "docs" / "drawings" / "draw.py", "--out", tmp_path]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    anew = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert anew == {path.name: path.read_text(encoding="utf-8") for path in DRAWINGS}
    assert len(anew) > 20


def test_each_is_shown_in_a_notebook_or_page_and_each_that_is_shown_exists():
    pages = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    shown = {name for page in pages for name in re.findall(r"drawings/(\w+)\.svg", page.read_text(encoding="utf-8"))}
    assert shown == {path.stem for path in DRAWINGS}


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_it_has_a_description_and_no_text_below_11_pixels(path):
    root = ElementTree.parse(path).getroot()
    assert root.get("viewBox").split()[2] == "800" and root.get("role") == "img"
    title, description = root.find(f"{NAME}title").text, root.find(f"{NAME}desc").text
    assert len(title) > 15 and len(description) > 80
    sizes = [float(node.get("font-size")) for node in root.iter() if node.get("font-size")]
    assert len(sizes) > 5 and min(sizes) >= 11


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (on Debian: apt install chromium)")
def test_in_a_browser_no_text_overlaps_another_or_leaves_its_box():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (the extra dev)")
    measure = """() => [...document.querySelectorAll('text')].map(text => {
        const ends = r => [r.x, r.y, r.x + r.width, r.y + r.height];
        const box = text.parentNode.tagName === 'g' ? text.parentNode : document.documentElement;
        return [text.textContent, ends(text.getBBox()), ends(box.querySelector('rect').getBBox())];
    })"""
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        for path in DRAWINGS:
            page.goto(path.as_uri())
            texts = page.evaluate(measure)
            for i, (words, a, box) in enumerate(texts):
                where = f"{path.stem}: {words}"
                assert box[0] < a[0] and a[2] < box[2] and box[1] - 1 < a[1] and a[3] < box[3] + 1, where
                for others, b, _ in texts[:i]:
                    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
                    assert wide <= 1 or high <= 4, f"{where} and {others}"
        browser.close()


def measure_luminance(color: str) -> float:
    """Of WCAG 2, of a colour ``#rrggbb``."""
    values = [v / 255 for v in bytes.fromhex(color[1:])]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_stands_out_from_paper_and_areas_in_both_modes(mode):
    style = ElementTree.parse(DRAWINGS[0]).getroot().find(f"{NAME}style").text
    rules = style.split("@media(prefers-color-scheme:dark)")[mode == "dark"]
    fills = {name: measure_luminance(color) for name, color in re.findall(r"([\w.-]+)\{fill:(#\w{6})", rules)}
    assert (fills[".paper"] > 0.5) == (mode == "light")
    for name, behind in fills.items():
        if name.startswith((".paper", ".area")):
            for ink in ("text", ".muted") if name == ".paper" else ("text",):
                low, high = sorted((behind, fills[ink]))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (name, ink)  # what WCAG 2 asks for


def test_the_network_has_the_encoders_levels_and_the_models_nodes():
    texts = read_texts("network")
    with torch.device("meta"):
        encoder = Encoder("res2net50d", pretrained=False)
        levels = encoder(torch.zeros(1, 3, 64, 64))
    expected = [f"{level.shape[1]} channels, 1/{64 // level.shape[-1]}" for level in levels]
    assert [text for text in texts if "channels, 1/" in text] == expected
    model = M2SNet("test_efficientnet", pretrained=False)
    nodes = {text for text in texts if re.fullmatch(r"MS\d\d", text)}
    assert nodes == {"MS" + name.replace("^", "") for name in model.units} | {f"MS1{i}" for i in range(1, 6)}
    assert {text for text in texts if re.fullmatch(r"CE\d", text)} == {f"CE{i}" for i in model.enhance}
    assert {text for text in texts if re.fullmatch(r"D\d", text)} == {"D1"} | {f"D{i}" for i in model.decode}


def test_the_wirings_differ_where_the_model_can():
    numbers = [text for text in read_texts("wirings") if re.fullmatch(r"\d", text)]
    assert sorted(numbers) == sorted(4 * [str(i + 1) for i in range(len(WIRING_PARTS))])


def test_lossnets_levels_are_those_of_vgg16():
    with torch.device("meta"):
        info = timm.create_model("vgg16", features_only=True, out_indices=(0, 1, 2, 3)).feature_info
    expected = [f"{c} ch., 1/{s}" for c, s in zip(info.channels(), info.reduction(), strict=True)]
    assert [text for text in read_texts("lossnet") if " ch., " in text] == expected


def test_the_training_step_has_the_papers_recipe():
    words, recipe = " ".join(read_texts("training_step")), Recipe()
    *sizes, largest = multiscale_sizes(recipe.size)
    assert f"{', '.join(map(str, sizes[:-1]))}, {sizes[-1]} or {largest}" in words
    assert f"{recipe.batch_size} images" in words and f"momentum {recipe.momentum:g}" in words
    assert f"weight decay {recipe.weight_decay:g}" in words and f"at its peak {recipe.lr:g}" in words
    assert f"encoder {recipe.encoder_lr:g}" in words and recipe.schedule == "triangle"


def test_lgmsnets_stages_have_the_models_channels():
    texts, model = read_texts("lgmsnet"), LGMSNet()
    sides, widths = {}, {}

    def note(name):
        def hook(_module, _inputs, out):
            widths[name], sides[name] = out.shape[1], out.shape[-1]

        return hook

    for part in ("encode", "up", "decode"):
        for i, module in getattr(model, part).items():
            module.register_forward_hook(note(f"{part} {i}"))
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, 256, 256))
    assert [text for text in texts if text.endswith("²")] == [f"{sides[f'encode {i}']}²" for i in range(1, 6)]
    down = [text for text in texts if re.match(r"(LMS|GMS) ?.* → \d+$", text) and "Fusion" not in text]
    ends = [int(text.split()[-1]) for text in down]
    assert ends == [widths["encode 5"], *(widths[f"encode {i}"] for i in range(1, 5))]
    assert [int(text[5:]) for text in texts if text.startswith("Up →")] == [widths[f"up {i}"] for i in range(1, 5)]
    joins = [re.search(r"→ (\d+)", text)[1] for text in texts if "Fusion" in text and "→" in text and "Up" not in text]
    assert [int(width) for width in joins] == [widths[f"decode {i}"] for i in range(1, 5)]


def test_the_blocks_of_lgmsnet_have_their_sizes():
    kernels = [conv.kernel_size for conv in LMS(16).depthwise]
    assert [text for text in read_texts("lms") if re.fullmatch(r"(\d)×\1", text)][:4] == [
        f"{a}×{b}" for a, b in kernels
    ]
    assert f"{HEADS} heads of {HEAD_WIDTH}" in read_texts("gms")


def test_deep_supervision_is_at_the_stages_of_the_model():
    model = M2SNet("test_efficientnet", pretrained=False, deep_supervision=True)
    stages = {text for text in read_texts("deep_supervision") if re.fullmatch(r"D\d", text)}
    assert stages == {"D1"} | {f"D{i}" for i in model.side_heads}


def test_the_folds_are_busis():
    counts = CATALOGUE["busi"].counts
    words = f"BUSI: {counts['fold1-train'] + counts['fold1-test']} images, parts of {counts['fold1-test']}."
    assert any(words in text for text in read_texts("folds"))


@pytest.mark.parametrize("kernels", [(1,), (1, 3), (1, 3, 5)])
def test_a_node_sees_as_far_as_drawn(kernels):
    """The gradient of one pixel of MS_n with respect to MS_1 of its own level, deep inputs held fixed."""
    unit, size, found = MultiScaleSubtractionUnit(1, kernels).double().eval(), 41, []
    with torch.no_grad():  # so that no ReLU is shut: positive weights, and deep inputs far above the shallow ones
        unit[0].weight.fill_(1)
        unit[0].bias.fill_(0)
    for order in range(2, 6):
        first = torch.ones(1, 1, size, size, dtype=torch.double, requires_grad=True)
        node = first
        for _ in range(order - 1):
            node = unit(torch.full_like(node, 1e3 * float(node.max().detach())), node)
        node[0, 0, size // 2, size // 2].backward()
        found.append(int((first.grad[0, 0] != 0).any(0).sum()))
    assert f"sides: {', '.join(map(str, found))} pixels" in read_texts("receptive_fields")
