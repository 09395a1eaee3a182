"""The explorer: look inside one or two trained networks, on an image of your choice, with core ipywidgets."""

import html
from pathlib import Path

import ipywidgets as widgets

from m2s import figures
from m2s.errors import InputError
from m2s.explorer.lossnet import LossNetTab
from m2s.explorer.perturb import PerturbTab, dice_text
from m2s.explorer.pyramid import PyramidTab
from m2s.explorer.session import UNTRAINED, Session
from m2s.explorer.widgets import StatusLine, Strip, to_gray

NONE = "none"
SIZES = (96, 128, 160, 224, 352)
LARGE = 224
"""Sides in screen pixels of image, mask and predictions above the tabs."""


class Explorer:
    """Three tabs over one image: the pyramid of features, LossNet's view of a changed mask, and changed images.

    Above them stand the image, its mask and the predictions. The networks run only when image, size or checkpoint
    change; everything else is drawn from what they left. Display ``explorer.widget``.

    It begins with the test images of ``dataset``, and with the networks ``first`` and ``second``, titles of
    :func:`m2s.explorer.session.list_checkpoints` (by default the first one found, and none), which see images of
    ``size`` × ``size``. The other arguments are those of :class:`m2s.explorer.session.Session`.
    """

    def __init__(
        self,
        data: str | Path = "sample",
        dataset: str = "kvasir",
        results: Path | None = None,
        first: str | None = None,
        second: str = NONE,
        size: int = 352,
        lossnet: str | None = None,
    ):
        figures.style()
        self.session, self.status = Session(data, results, lossnet), StatusLine()
        data_sets = self.session.list_data_sets()
        if dataset not in data_sets:
            raise InputError(f"data set {dataset} not found in {data}; there are: {', '.join(data_sets) or 'none'}")
        titles = [*self.session.checkpoints] or [UNTRAINED]
        wide = {"style": {"description_width": "70px"}, "layout": {"width": "420px"}}
        self.dataset = widgets.Dropdown(options=data_sets, value=dataset, description="data set", **wide)
        self.index = widgets.IntSlider(description="image", min=0, continuous_update=False, **wide)
        self.upload = widgets.FileUpload(
            accept="image/*", description="upload your own image", layout={"width": "240px"}
        )
        self.first = widgets.Dropdown(options=titles, value=first or titles[0], description="network A", **wide)
        self.second = widgets.Dropdown(options=[NONE, *titles], value=second, description="network B", **wide)
        self.size = widgets.Dropdown(options=sorted({*SIZES, size}), value=size, description="pixels", **wide)
        self.tabs = tuple(tab(self.session, self.status) for tab in (PyramidTab, LossNetTab, PerturbTab))
        self.tab = widgets.Tab([tab.widget for tab in self.tabs], titles=[tab.title for tab in self.tabs])
        left = widgets.VBox([self.dataset, self.index, self.upload])
        right = widgets.VBox([self.first, self.second, self.size])
        self.overview, self.caption = Strip(side=LARGE), widgets.HTML()
        controls = widgets.HBox([left, right])
        self.widget = widgets.VBox([controls, self.status, self.caption, self.overview, self.tab])
        self.widget.add_class("m2s-explorer")

        run, draw = ("running the network", self._run), ("drawing", self._draw_tab)
        choose_set = ("reading the data set", self._choose_set)
        self.status.on_change(self.dataset, choose_set, run, draw)
        self.status.on_change(self.index, ("reading the image", self._choose_image), run, draw)
        self.status.on_change(self.upload, ("reading the image", self._take_upload), run, draw)
        for control in (self.first, self.second, self.size):
            self.status.on_change(control, run, draw)
        self.tab.observe(lambda _: self.status.do(("opening the tab", self._draw_tab)), "selected_index")
        self.status.do(choose_set, run, draw)

    def _choose_set(self) -> None:
        self.session.choose_set(self.dataset.value)
        self.index.max = len(self.session.images) - 1
        self._choose_image()

    def _choose_image(self) -> None:
        self.session.choose_image(self.index.value)

    def _take_upload(self) -> None:
        if self.upload.value:
            given, self.upload.value = self.upload.value[0], ()  # nothing but the decoded image is kept
            self.session.choose_file(given["name"], given["content"])

    def _run(self) -> None:
        titles = {"A": self.first.value, "B": self.second.value}
        self.session.run({letter: title for letter, title in titles.items() if title != NONE}, self.size.value)
        self._draw_overview()
        for tab in self.tabs:
            tab.stale = True

    def _draw_overview(self) -> None:
        """The image, its mask and each network's prediction, large; Dice where there is a mask."""
        session, titles = self.session, {"A": self.first.value, "B": self.second.value}
        shown = [(session.image, "image")]
        if session.mask is not None:
            shown.append((to_gray(session.mask), "mask"))
        for letter, capture in session.captures.items():
            probability = capture.probability[0].numpy()
            dice = dice_text(probability, session.mask)
            shown.append((to_gray(probability), f"prediction of {letter}, {html.escape(titles[letter])}{dice}"))
        self.overview.show(*shown)
        self.caption.value = f"<b>{html.escape(session.caption)}</b>"

    def _draw_tab(self) -> None:
        tab = self.tabs[self.tab.selected_index or 0]
        if tab.stale:
            tab.refresh()
            tab.stale = False
