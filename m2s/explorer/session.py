"""The explorer: look inside one or two trained networks, on an image of your choice, with core ipywidgets."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from m2s import data as datasets
from m2s import figures, paths, weights
from m2s.data import imageset
from m2s.data.sets import CATALOGUE
from m2s.errors import InputError
from m2s.explorer.lossnet import LossNetTab
from m2s.explorer.perturb import PerturbTab
from m2s.explorer.pyramid import PyramidTab
from m2s.features.capture import Capture, capture
from m2s.lossnet import LossNet
from m2s.m2snet import M2SNet
from m2s.runs.models import load_model
from m2s.runs.store import MODEL
from m2s.zoo import create_model

Step = tuple[str, Callable[[], None]]
"""What is done, in words, and what does it."""

UNTRAINED = "untrained M2SNet, random weights"
NONE = "none"
SIZES = (96, 128, 160, 224, 352)


def checkpoints(results: Path | None = None) -> dict[str, Path]:
    """The finished runs of MSNet and M2SNet in a folder of results that still have their weights, by a short title."""
    found = {}
    for record in sorted(Path(results or paths.results_root()).glob("*/runs/*/record.json")):
        settings = json.loads(record.read_text())["settings"]
        if settings["model"] in ("m2snet", "msnet") and (record.parent / MODEL).is_file():
            found[f"{record.parent.parent.parent.name}: {record.parent.name}"] = record.parent
    return found


class Explorer:
    """Three tabs over one image: the pyramid of features, LossNet's view of a changed mask, and changed images.

    The networks run only when image, size or checkpoint change; everything else is drawn from what they left. Display
    ``explorer.widget``.

    Args:
        data: ``"phantom"`` or a folder of data sets; another image can be uploaded.
        dataset: the data set to begin with; its test images are offered.
        results: where to look for checkpoints, by default all of :func:`m2s.paths.results_root`.
        first, second: titles of :func:`checkpoints` to begin with; by default the first one found, and none.
        size: the square side that the networks see.
        lossnet: LossNet's network, by default VGG-16 where its weights are at hand, else EfficientNet-Lite0.
    """

    def __init__(
        self,
        data: str | Path = "phantom",
        dataset: str = "kvasir",
        results: Path | None = None,
        first: str | None = None,
        second: str = NONE,
        size: int = 352,
        lossnet: str | None = None,
    ):
        self.data, self.found = data, checkpoints(results)
        self.networks: dict[str, M2SNet] = {}
        self._loaded: dict[str, M2SNet] = {}
        self.captures: dict[str, Capture] = {}
        self.image = self.mask = None
        self.timings: list[tuple[str, float]] = []
        """What was done, and how many milliseconds it took; the newest at the end."""
        self._test_set = self._lossnet = None
        self._busy, self._done = False, 0
        self._lossnet_name = lossnet or (
            "vgg16" if weights.local_weights("vgg16") is not None else "tf_efficientnet_lite0"
        )
        figures.style()

        titles = [*self.found] or [UNTRAINED]
        wide = {"style": {"description_width": "70px"}, "layout": {"width": "420px"}}
        self.dataset = widgets.Dropdown(options=self._data_sets(dataset), value=dataset, description="data set", **wide)
        self.index = widgets.IntSlider(description="image", min=0, continuous_update=False, **wide)
        self.upload = widgets.FileUpload(accept="image/*", description="your own")
        self.first = widgets.Dropdown(options=titles, value=first or titles[0], description="network A", **wide)
        self.second = widgets.Dropdown(options=[NONE, *titles], value=second, description="network B", **wide)
        self.size = widgets.Dropdown(options=sorted({*SIZES, size}), value=size, description="pixels", **wide)
        self.status = widgets.HTML()
        self.tabs = (PyramidTab(self), LossNetTab(self), PerturbTab(self))
        self.tab = widgets.Tab([tab.widget for tab in self.tabs], titles=[tab.title for tab in self.tabs])
        choice = widgets.HBox(
            [
                widgets.VBox([self.dataset, self.index, self.upload]),
                widgets.VBox([self.first, self.second, self.size]),
            ]
        )
        self.widget = widgets.VBox([choice, self.status, self.tab])
        self.widget.add_class("m2s-explorer")

        run, draw = ("running the network", self._run), ("drawing", self._draw_tab)
        self.on(self.dataset, ("reading the data set", self._choose_set), run, draw)
        self.on(self.index, ("reading the image", self._choose_image), run, draw)
        self.on(self.upload, ("reading the image", self._take_upload), run, draw)
        for choice in (self.first, self.second, self.size):
            self.on(choice, run, draw)
        self.tab.observe(lambda _: self.do(("opening the tab", self._draw_tab)), "selected_index")
        self.do(("reading the data set", self._choose_set), run, draw)

    def on(self, widget: widgets.Widget, *steps: Step) -> None:
        """Do the steps when the widget's value changes."""
        widget.observe(lambda _: self.do(*steps), "value")

    def do(self, *steps: Step) -> None:
        """One step after the other. The status line tells what is going on, then how long each took.

        A user's error ends it, and is told there in one line.
        """
        if self._busy:  # a widget changed by a step, not by a person
            return
        self._busy, done = True, []
        try:
            for what, act in steps:
                self.status.value = "; ".join([*done, f"<i>{what} …</i>"])
                start = time.perf_counter()
                act()
                self.timings.append((what, (time.perf_counter() - start) * 1000))
                done.append(f"{what}: {self.timings[-1][1]:.0f} ms")
            said = "; ".join(done)
        except InputError as error:
            said = f"<b style='color:#D55E00'>{error}</b>"
        finally:
            self._busy = False
        self._done += 1
        self.status.value = f"<span data-done='{self._done}'>{said}</span>"  # counted, so that a test can wait for it

    def lossnet(self) -> LossNet:
        """LossNet, created when it is first needed."""
        if self._lossnet is None:
            self._lossnet = LossNet(self._lossnet_name)
        return self._lossnet

    def predict(self, image: np.ndarray, off: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
        """Probabilities (size, size) of an image for each network, with some units switched off where it has them."""
        return {
            name: capture(model, image, names=(), off=[o for o in off if o[3:] in model.units]).probability[0].numpy()
            for name, model in self.networks.items()
        }

    def _data_sets(self, wanted: str) -> list[str]:
        names = [name for name, entry in CATALOGUE.items() if "volume" not in entry.modality]
        if paths.data_label(self.data) == "real":
            names = [name for name in names if self._try_set(name) is not None]
        if wanted not in names:
            raise InputError(f"data set {wanted} not found in {self.data}; there are: {', '.join(names) or 'none'}")
        return names

    def _try_set(self, name: str) -> imageset.ImageSet | None:
        for split in ("test", "train"):
            try:
                return datasets.load_images(name, split, self.data)
            except InputError:
                continue
        return None

    def _choose_set(self) -> None:
        self._test_set = self._try_set(self.dataset.value)
        self.index.max = len(self._test_set) - 1
        self._choose_image()

    def _choose_image(self) -> None:
        _, image, mask = self._test_set[self.index.value]
        self._source = image, mask > 0

    def _take_upload(self) -> None:
        if not self.upload.value:
            return
        try:
            image = Image.open(io.BytesIO(self.upload.value[0]["content"])).convert("RGB")
        except UnidentifiedImageError:
            raise InputError(
                f"{self.upload.value[0]['name']} is not an image that can be read: give PNG or JPEG"
            ) from None
        self._source = np.array(image), None

    def _run(self) -> None:
        """Everything that needs a network: called when image, size or checkpoint change."""
        image, mask = self._source
        side = (self.size.value, self.size.value)
        self.image = np.array(Image.fromarray(image).resize(side, Image.Resampling.BILINEAR))
        self.mask = None if mask is None else np.array(Image.fromarray(mask).resize(side, Image.Resampling.NEAREST))
        wanted = {"A": self.first.value} | ({"B": self.second.value} if self.second.value != NONE else {})
        self._loaded = {title: self._loaded.get(title) or self._load(title) for title in wanted.values()}
        self.networks = {name: self._loaded[title] for name, title in wanted.items()}
        self.captures = {name: capture(model, self.image) for name, model in self.networks.items()}
        for tab in self.tabs:
            tab.stale = True

    def _load(self, title: str) -> M2SNet:
        if title == UNTRAINED:
            torch.manual_seed(0)
            return create_model("m2snet", encoder="resnet10t", pretrained=False).eval()
        return load_model(self.found[title])[0]

    def _draw_tab(self) -> None:
        tab = self.tabs[self.tab.selected_index or 0]
        if tab.stale:
            tab.refresh()
            tab.stale = False
