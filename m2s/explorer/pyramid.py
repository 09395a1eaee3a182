"""The explorer's first tab: the triangle of maps, and the chosen node from close."""

import base64
import re
from itertools import chain

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np

from m2s.explorer.session import Session
from m2s.explorer.widgets import STYLE, StatusLine, Strip, png, slider
from m2s.features import pictures
from m2s.features.capture import Node, receptive_fields
from m2s.m2snet import M2SNet


def to_html(label: str) -> str:
    """A node's label in HTML: ``$MS_2^1$`` → MS<sub>2</sub><sup>1</sup>."""
    label = label.strip("$").replace(" - ", " − ")
    return re.sub(r"\^(\d)", r"<sup>\1</sup>", re.sub(r"_(\d)", r"<sub>\1</sub>", label))


def to_unicode(name: str) -> str:
    """A node's name on a button, where there is no HTML: MS_2^1 → MS₂¹."""
    name = re.sub(r"_(\d)", lambda m: "₀₁₂₃₄₅"[int(m[1])], name)
    return re.sub(r"\^(\d)", lambda m: "⁰¹²³⁴⁵"[int(m[1])], name)


class PyramidTab:
    """The triangle of maps, and the chosen node from close."""

    title = "Pyramid"

    def __init__(self, session: Session, status: StatusLine):
        self.session, self.status, self.stale, self.name = session, status, True, "MS_2^1"
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
        sides = widgets.HBox([widgets.VBox(left), widgets.VBox(right)])
        self.widget = widgets.VBox([widgets.HTML(STYLE), self.maps, sides])
        draw = ("drawing", self.draw)
        status.on_change(self.network, ("drawing the triangle", self.draw_triangle))
        for control in (self.view, self.channel):
            status.on_change(control, draw)
        self.measure.on_click(lambda _: status.do(("measuring the receptive fields", self._measure), draw))

    def refresh(self) -> None:
        """Everything anew: the networks have run."""
        self.network.options = list(self.session.captures)
        self.fields = {model: f for model, f in self.fields.items() if model in self.session.networks.values()}
        if self.name not in self.session.captures["A"]:
            self.name = "MS_1^1"
        self._build()
        self.draw_triangle()
        self.draw()

    def _build(self) -> None:
        """The buttons, in the rows of the triangle."""
        self.buttons, rows = {}, pictures.arrange_nodes(self.session.captures["A"])
        for name in chain(*rows):
            button = widgets.Button(description=to_unicode(name), tooltip=name)
            button.add_class("m2s-node").add_class(self._css(name))
            button.on_click(lambda _, name=name: self.choose(name))
            self.buttons[name] = button
        self.triangle.children = [widgets.HBox([self.buttons[name] for name in row]) for row in rows]

    def _css(self, name: str) -> str:
        return f"m2s-{id(self)}-{re.sub('[^A-Za-z0-9]', '-', name)}"

    def choose(self, name: str) -> None:
        """Open a node."""
        self.name = name
        self.status.do(("drawing", self.draw))

    def draw_triangle(self) -> None:
        """The maps of the buttons: means over the channels, each stretched to its own range."""
        capture, rules = self.session.captures[self.network.value or "A"], []
        for name in self.buttons:
            if name in capture:
                code = base64.b64encode(png(pictures.draw_feature(capture[name].feature))).decode()
                rules.append(f".{self._css(name)} {{background-image: url(data:image/png;base64,{code});}}")
        self.maps.value = f"<style>{' '.join(rules)}</style>"

    def draw(self) -> None:
        """The chosen node from close, of each network."""
        for name, button in self.buttons.items():
            (button.add_class if name == self.name else button.remove_class)("m2s-chosen")
        captures = {n: c for n, c in self.session.captures.items() if self.name in c}
        channels = min(len(c[self.name].feature) for c in captures.values())
        self.channel.max, self.channel.disabled = channels - 1, self.view.value != "single channel"
        for network, strip in self.rows.items():
            if network not in captures:
                strip.show()
                continue
            capture = captures[network]
            near = [(self._picture(node), to_html(node.label)) for node in pictures.list_parts(capture, self.name)]
            over = pictures.draw_feature(capture[self.name].feature, "overlay", image=self.session.image)
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
        return pictures.draw_feature(node.feature, self.view.value, channel, self.session.image)

    def _about(self, network: str, node: Node) -> str:
        channels, height, width = node.feature.shape
        text = f"<b>{network}</b>, {to_html(node.label)}: {channels} channels of {height}×{width}, stride {node.stride}"
        if fields := self.fields.get(self.session.networks[network]):
            field = fields[node.name]
            text += f", receptive field {'the whole image' if field == float('inf') else f'{field:.0f} px'}"
        return text

    def _measure(self) -> None:
        self.fields = {model: receptive_fields(model) for model in self.session.networks.values()}
