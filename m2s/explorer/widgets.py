"""What the explorer and its tabs share: the status line that does what controls ask for, strips, sliders."""

import html
import io
import time
from collections.abc import Callable

import ipywidgets as widgets
import numpy as np
from PIL import Image

from m2s.errors import InputError

Step = tuple[str, Callable[[], None]]
"""What is done, in words, and what does it."""

THUMBNAIL, PICTURE = 62, 104
"""Sides in screen pixels of the maps in the triangle, and of those beside it."""

STYLE = f"""<style>
.m2s-explorer .m2s-node {{flex: 0 0 {THUMBNAIL}px; width: {THUMBNAIL}px; height: {THUMBNAIL}px; margin: 1px; padding: 0;
  background-size: 100% 100%; image-rendering: pixelated; line-height: 100px; font-size: 11px; color: white;
  text-shadow: 0 0 3px black, 0 0 3px black, 0 0 3px black;}}
.m2s-explorer .m2s-chosen {{outline: 3px solid #D55E00; z-index: 1;}}
.m2s-explorer img.m2s-map {{image-rendering: pixelated;}}
.m2s-explorer .m2s-line .widget-html-content {{line-height: 1.25; min-height: 28px;}}
</style>"""


class StatusLine(widgets.HTML):
    """Does one step after the other and shows the progress, then how long each took."""

    def __init__(self):
        super().__init__()
        self.timings: list[tuple[str, float]] = []
        """What was done, and how many milliseconds it took; the newest at the end."""
        self.message = ""
        """What was done last, as text."""
        self._busy, self._count = False, 0

    def on_change(self, control: widgets.Widget, *steps: Step) -> None:
        """Do the steps whenever the value of a control changes."""
        control.observe(lambda _: self.do(*steps), "value")

    def do(self, *steps: Step) -> None:
        """Do the steps in turn. A user's error ends it and is shown in one line."""
        if self._busy:  # a control changed by a step, not by a person
            return
        self._busy, done = True, []
        try:
            for what, act in steps:
                self.value = "; ".join([*done, f"<i>{what} …</i>"])
                start = time.perf_counter()
                act()
                self.timings.append((what, (time.perf_counter() - start) * 1000))
                done.append(f"{what}: {self.timings[-1][1]:.0f} ms")
            self.message = message = "; ".join(done)
        except InputError as error:
            self.message = str(error)
            message = f"<b style='color:#D55E00'>{html.escape(str(error))}</b>"
        finally:
            self._busy = False
        self._count += 1
        self.value = f"<span data-done='{self._count}'>{message}</span>"  # counted, so that a test can wait for it


def png(pixels: np.ndarray) -> bytes:
    """uint8 (H, W, 3) → a PNG file, packed lightly, because time counts more than bytes here."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "png", compress_level=1)
    return stream.getvalue()


def to_gray(map_: np.ndarray) -> np.ndarray:
    """A mask or probabilities (H, W), 0 to 1 → a gray picture uint8 (H, W, 3)."""
    return np.repeat((255 * map_.astype(np.float32)).round().astype(np.uint8)[..., None], 3, axis=2)


class Strip(widgets.HBox):
    """A row of pictures with a line of HTML below each; its widgets are kept and filled anew, which is fast."""

    def __init__(self, label: str = "", side: int = PICTURE):
        self.side, self.pictures = side, []
        label = [widgets.HTML(f"<b>{label}</b>", layout={"width": "16px"})] if label else []
        super().__init__(label, layout={"flex_flow": "row wrap"})

    def show(self, *shown: tuple[np.ndarray, str]) -> None:
        """Pictures uint8 (H, W, 3) with their titles."""
        while len(self.pictures) < len(shown):
            size = {"width": f"{self.side}px", "height": f"{self.side}px"}
            image = widgets.Image(format="png", layout=size).add_class("m2s-map")
            line = widgets.HTML().add_class("m2s-line")
            box = widgets.VBox([image, line], layout={"width": f"{self.side + 6}px"})
            self.pictures.append(box)
            self.children = (*self.children, box)
        self.layout.display = None if shown else "none"
        for number, box in enumerate(self.pictures):
            box.layout.display = None if number < len(shown) else "none"
        for box, (pixels, title) in zip(self.pictures, shown, strict=False):
            image, line = box.children
            image.value, line.value = png(pixels), f"<small>{title}</small>"


def slider(text: str, low: float, high: float, step: float = 1, value: float = 0) -> widgets.Widget:
    """A slider that reports its value when it is released."""
    kind = widgets.IntSlider if isinstance(step, int) else widgets.FloatSlider
    look = {"layout": {"width": "360px"}, "style": {"description_width": "110px"}}
    return kind(value, min=low, max=high, step=step, description=text, continuous_update=False, **look)
