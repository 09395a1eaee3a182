"""The explorer's three tabs. Each draws from what the explorer holds; none runs a network unless its input changes."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from m2s import feature_figures as pictures
from m2s.features import Node, receptive_fields
from m2s.metrics import score
from m2s.network import M2SNet
from m2s.perturbations import change_image, change_mask, move_lesion

if TYPE_CHECKING:
    from m2s.explorer import Explorer

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


def png(pixels: np.ndarray) -> bytes:
    """uint8 (H, W, 3) → a PNG file, packed lightly, because time counts more than bytes here."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "png", compress_level=1)
    return stream.getvalue()


def html(label: str) -> str:
    """A node's label in HTML: ``$MS_2^1$`` → MS<sub>2</sub><sup>1</sup>."""
    label = label.strip("$").replace(" - ", " − ")
    return re.sub(r"\^(\d)", r"<sup>\1</sup>", re.sub(r"_(\d)", r"<sub>\1</sub>", label))


def short(name: str) -> str:
    """A node's name on a button, where there is no HTML: MS_2^1 → MS₂¹."""
    name = re.sub(r"_(\d)", lambda m: "₀₁₂₃₄₅"[int(m[1])], name)
    return re.sub(r"\^(\d)", lambda m: "⁰¹²³⁴⁵"[int(m[1])], name)


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
    """A slider that tells its value when it is let go."""
    kind = widgets.IntSlider if isinstance(step, int) else widgets.FloatSlider
    layout, style = {"width": "360px"}, {"description_width": "110px"}
    return kind(
        value, min=low, max=high, step=step, description=text, continuous_update=False, layout=layout, style=style
    )


class PyramidTab:
    """The triangle of maps, and the chosen node from close."""

    title = "Pyramid"

    def __init__(self, explorer: Explorer):
        self.explorer, self.stale, self.name = explorer, True, "MS_2^1"
        self.fields: dict[M2SNet, dict[str, float]] = {}
        self.triangle, self.maps = widgets.VBox(), widgets.HTML()
        self.network = widgets.ToggleButtons(options=["A"], description="triangle of", layout={"width": "auto"})
        self.network.style.button_width, self.network.style.description_width = "32px", "70px"
        self.view = widgets.Dropdown(options=pictures.VIEWS, description="show")
        self.channel = slider("channel", 0, 63)
        self.measure = widgets.Button(description="receptive fields", tooltip="measure them: takes some seconds")
        self.rows = {name: Strip(name) for name in "AB"}
        self.plots = widgets.Image(format="png", layout={"width": "684px", "flex": "0 0 auto"})
        self.about = widgets.HTML()
        right = [widgets.HBox([self.view, self.channel]), self.about, *self.rows.values(), self.plots]
        left = [widgets.HBox([self.network, self.measure]), self.triangle]
        self.widget = widgets.VBox(
            [widgets.HTML(STYLE), self.maps, widgets.HBox([widgets.VBox(left), widgets.VBox(right)])]
        )
        draw = ("drawing", self.draw)
        explorer.on(self.network, ("drawing the triangle", self.draw_triangle))
        for control in (self.view, self.channel):
            explorer.on(control, draw)
        self.measure.on_click(lambda _: explorer.do(("measuring the receptive fields", self._measure), draw))

    def refresh(self) -> None:
        """Everything anew: the networks have run."""
        self.network.options = list(self.explorer.captures)
        self.fields = {model: f for model, f in self.fields.items() if model in self.explorer.networks.values()}
        if self.name not in self.explorer.captures["A"]:
            self.name = "MS_1^1"
        self._build()
        self.draw_triangle()
        self.draw()

    def _build(self) -> None:
        """The buttons, in the rows of the triangle."""
        self.buttons, rows = {}, pictures.triangle_rows(self.explorer.captures["A"])
        for name in (name for row in rows for name in row):
            button = widgets.Button(description=short(name), tooltip=name)
            button.add_class("m2s-node").add_class(self._css(name))
            button.on_click(lambda _, name=name: self.choose(name))
            self.buttons[name] = button
        self.triangle.children = [widgets.HBox([self.buttons[name] for name in row]) for row in rows]

    def _css(self, name: str) -> str:
        return f"m2s-{id(self)}-{re.sub('[^A-Za-z0-9]', '-', name)}"

    def choose(self, name: str) -> None:
        """Open a node."""
        self.name = name
        self.explorer.do(("drawing", self.draw))

    def draw_triangle(self) -> None:
        """The maps of the buttons: means over the channels, each stretched to its own range."""
        capture, rules = self.explorer.captures[self.network.value or "A"], []
        for name in self.buttons:
            if name in capture:
                code = base64.b64encode(png(pictures.picture(capture[name].feature))).decode()
                rules.append(f".{self._css(name)} {{background-image: url(data:image/png;base64,{code});}}")
        self.maps.value = f"<style>{' '.join(rules)}</style>"

    def draw(self) -> None:
        """The chosen node from close, of each network."""
        for name, button in self.buttons.items():
            (button.add_class if name == self.name else button.remove_class)("m2s-chosen")
        captures = {n: c for n, c in self.explorer.captures.items() if self.name in c}
        channels = min(len(c[self.name].feature) for c in captures.values())
        self.channel.max, self.channel.disabled = channels - 1, self.view.value != "single channel"
        for network, strip in self.rows.items():
            if network not in captures:
                strip.show()
                continue
            capture = captures[network]
            near = [(self._picture(node), html(node.label)) for node in pictures.around(capture, self.name)]
            over = pictures.picture(capture[self.name].feature, "overlay", image=self.explorer.image)
            strip.show(*near, (over, "on the image"))
        self.about.value = "; ".join(self._about(network, capture[self.name]) for network, capture in captures.items())
        fig, axes = plt.subplots(1, 2, figsize=(7.6, 2.1), dpi=90, layout="none", gridspec_kw={"wspace": 0.3})
        fig.subplots_adjust(0.08, 0.24, 0.99, 0.97)
        features = {network: capture[self.name].feature for network, capture in captures.items()}
        pictures.plot_values(axes[0], features)
        pictures.plot_spectrum(axes[1], features)
        fig.canvas.draw()
        self.plots.value = png(np.asarray(fig.canvas.buffer_rgba())[..., :3])
        plt.close(fig)

    def _picture(self, node: Node) -> np.ndarray:
        channel = min(self.channel.value, len(node.feature) - 1)
        return pictures.picture(node.feature, self.view.value, channel, self.explorer.image)

    def _about(self, network: str, node: Node) -> str:
        channels, height, width = node.feature.shape
        text = f"<b>{network}</b>, {html(node.label)}: {channels} channels of {height}×{width}, stride {node.stride}"
        if fields := self.fields.get(self.explorer.networks[network]):
            field = fields[node.name]
            text += f", receptive field {'the whole image' if field == float('inf') else f'{field:.0f} px'}"
        return text

    def _measure(self) -> None:
        self.fields = {model: receptive_fields(model) for model in self.explorer.networks.values()}


class LossNetTab:
    """Prediction and mask through LossNet's eyes, while the mask is changed."""

    title = "LossNet"

    def __init__(self, explorer: Explorer):
        self.explorer, self.stale = explorer, True
        self.other = widgets.ToggleButtons(options=["the prediction of A", "the mask as it is"], description="beside")
        self.grow, self.blur = slider("grow", -20, 20), slider("blur", 0.0, 10.0, 0.5, 0.0)
        self.right, self.down = slider("to the right", -60, 60), slider("down", -60, 60)
        self.rows, self.total = [Strip() for _ in range(3)], widgets.HTML()
        sliders = widgets.HBox([widgets.VBox([self.grow, self.blur]), widgets.VBox([self.right, self.down])])
        self.widget = widgets.VBox([self.other, sliders, self.total, *self.rows])
        run, draw = ("running LossNet on the changed mask", self.run), ("drawing", self.draw)
        for control in (self.grow, self.blur, self.right, self.down):
            explorer.on(control, run, draw)
        explorer.on(self.other, ("running LossNet", self.refresh))

    def refresh(self) -> None:
        """The side that stays is run once and kept; the changed mask is run when it changes."""
        explorer = self.explorer
        prediction = explorer.captures["A"].probability[0].numpy()
        self.mask = prediction > 0.5 if explorer.mask is None else explorer.mask
        self.fixed = prediction if self.other.value.startswith("the prediction") else self.mask.astype(np.float32)
        self.fixed_features = pictures.lossnet_features(explorer.lossnet(), self.fixed)
        self.run()
        self.draw()

    def run(self) -> None:
        """Change the mask and let LossNet see it."""
        self.changed = change_mask(self.mask, self.grow.value, self.right.value, self.down.value, self.blur.value)
        self.features = pictures.lossnet_features(self.explorer.lossnet(), self.changed)

    def draw(self) -> None:
        """The changed mask beside the other side, at LossNet's four levels."""
        maps = pictures.lossnet_maps(self.fixed_features, self.features)
        grey = [(side[..., None] * np.full(3, 255)).astype(np.uint8) for side in (self.fixed, self.changed)]
        difference = np.abs(self.fixed - self.changed)
        name = "the changed mask" if self.explorer.mask is not None else "no mask: the prediction at 0.5"
        columns = [
            [
                (grey[0], self.other.value),
                (grey[1], name),
                (pictures.colour(difference), f"difference {difference.mean():.3f}"),
            ]
        ]
        for level, sides in enumerate(maps, start=1):
            low, high = min(s.min() for s in sides[:2]), max(s.max() for s in sides[:2])
            column = [(pictures.colour(side, low, high), f"level {level}") for side in sides[:2]]
            column.append((pictures.colour(sides[2]), f"l<sub>f</sub><sup>{level}</sup> = {sides[2].mean():.3g}"))
            columns.append(column)
        for strip, row in zip(self.rows, zip(*columns, strict=True), strict=True):
            strip.show(*row)
        total = sum(float(distance.mean()) for *_, distance in maps)
        self.total.value = f"L<sub>f</sub> = {total:.3g} ({self.explorer.lossnet().backbone})"


class PerturbTab:
    """A changed image, or a unit switched off: what does the prediction do?"""

    title = "Perturb"

    def __init__(self, explorer: Explorer):
        self.explorer, self.stale = explorer, True
        self.noise, self.blur = slider("noise", 0.0, 0.3, 0.01, 0.0), slider("blur", 0.0, 8.0, 0.5, 0.0)
        self.brightness = slider("brightness", -0.5, 0.5, 0.05, 0.0)
        self.right, self.down = slider("lesion right", -120, 120, 4), slider("lesion down", -120, 120, 4)
        self.off = widgets.Dropdown(options=["no unit"], description="switch off", style={"description_width": "110px"})
        self.rows = {name: Strip(name, 176) for name in "AB"}
        left = widgets.VBox([self.noise, self.blur, self.brightness])
        self.widget = widgets.VBox(
            [widgets.HBox([left, widgets.VBox([self.right, self.down, self.off])]), *self.rows.values()]
        )
        for control in (self.noise, self.blur, self.brightness, self.right, self.down, self.off):
            explorer.on(control, ("running the network on the changed image", self.run), ("drawing", self.draw))

    def refresh(self) -> None:
        """New image or networks: the units that there are."""
        units = {f"MS_{unit}": None for model in self.explorer.networks.values() for unit in model.units}
        chosen = self.off.value if self.off.value in units else "no unit"
        self.off.options = ["no unit", *units]
        self.off.value = chosen
        self.right.disabled = self.down.disabled = self.explorer.mask is None or not self.explorer.mask.any()
        self.run()
        self.draw()

    def run(self) -> None:
        """Change the image and let the networks see it."""
        image, mask = self.explorer.image, self.explorer.mask
        if not self.right.disabled and (self.right.value or self.down.value):
            image, mask = move_lesion(image, mask, self.right.value, self.down.value)
        image = change_image(image, self.noise.value, self.blur.value, self.brightness.value)
        off = () if self.off.value == "no unit" else (self.off.value,)
        self.image, self.mask, self.predictions = image, mask, self.explorer.predict(image, off)

    def draw(self) -> None:
        """The changed image, each network's prediction before and after, and the difference of the two."""
        explorer = self.explorer
        for network, strip in self.rows.items():
            if network not in self.predictions:
                strip.show()
                continue
            before, after = explorer.captures[network].probability[0].numpy(), self.predictions[network]
            change = np.abs(after - before)
            strip.show(
                (pictures.outlined(explorer.image, explorer.mask, before), f"before{dice(before, explorer.mask)}"),
                (pictures.outlined(self.image, self.mask, after), f"after{dice(after, self.mask)}"),
                (pictures.colour(after, 0, 1), "probability after"),
                (pictures.colour(change, 0, 1), f"change, mean {change.mean():.3f}"),
            )


def dice(prediction: np.ndarray, mask: np.ndarray | None) -> str:
    """ ", Dice 0.87" of a prediction at 0.5, or nothing where there is no mask."""
    return "" if mask is None or not mask.any() else f", Dice {score(prediction, mask, 'monai')['Dice']:.2f}"
