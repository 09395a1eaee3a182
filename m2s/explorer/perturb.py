"""The explorer's third tab: a changed image, or a unit switched off."""

import ipywidgets as widgets
import numpy as np

from m2s.explorer.session import Session
from m2s.explorer.widgets import StatusLine, Strip, slider
from m2s.features import pictures
from m2s.features.perturbations import change_image, move_lesion
from m2s.metrics.overlap import compare_areas


class PerturbTab:
    """A changed image, or a unit switched off: what does the prediction do?"""

    title = "Perturb"

    def __init__(self, session: Session, status: StatusLine):
        self.session, self.stale = session, True
        self.noise, self.blur = slider("noise", 0.0, 0.3, 0.01, 0.0), slider("blur", 0.0, 8.0, 0.5, 0.0)
        self.brightness = slider("brightness", -0.5, 0.5, 0.05, 0.0)
        self.right, self.down = slider("lesion right", -120, 120, 4), slider("lesion down", -120, 120, 4)
        self.off = widgets.Dropdown(options=["no unit"], description="switch off", style={"description_width": "110px"})
        self.rows = {name: Strip(name, 176) for name in "AB"}
        sides = [self.noise, self.blur, self.brightness], [self.right, self.down, self.off]
        self.widget = widgets.VBox([widgets.HBox([widgets.VBox(side) for side in sides]), *self.rows.values()])
        for control in (self.noise, self.blur, self.brightness, self.right, self.down, self.off):
            status.on_change(control, ("running the network on the changed image", self.run), ("drawing", self.draw))

    def refresh(self) -> None:
        """New image or networks: the units that there are."""
        units = {f"MS_{unit}": None for model in self.session.networks.values() for unit in model.units}
        chosen = self.off.value if self.off.value in units else "no unit"
        self.off.options = ["no unit", *units]
        self.off.value = chosen
        self.right.disabled = self.down.disabled = self.session.mask is None or not self.session.mask.any()
        self.run()
        self.draw()

    def run(self) -> None:
        """Change the image and let the networks see it."""
        image, mask = self.session.image, self.session.mask
        if not self.right.disabled and (self.right.value or self.down.value):
            image, mask = move_lesion(image, mask, self.right.value, self.down.value)
        image = change_image(image, self.noise.value, self.blur.value, self.brightness.value)
        off = () if self.off.value == "no unit" else (self.off.value,)
        self.image, self.mask, self.predictions = image, mask, self.session.predict(image, off)

    def draw(self) -> None:
        """The changed image, each network's prediction before and after, and the difference of the two."""
        session = self.session
        for network, strip in self.rows.items():
            if network not in self.predictions:
                strip.show()
                continue
            before, after = session.captures[network].probability[0].numpy(), self.predictions[network]
            borders = pictures.draw_borders(session.image, session.mask, before)
            change = np.abs(after - before)
            strip.show(
                (borders, f"before{dice_text(before, session.mask)}"),
                (pictures.draw_borders(self.image, self.mask, after), f"after{dice_text(after, self.mask)}"),
                (pictures.color(after, 0, 1), "probability after"),
                (pictures.color(change, 0, 1), f"change, mean {change.mean():.3f}"),
            )


def dice_text(prediction: np.ndarray, mask: np.ndarray | None) -> str:
    """The words ", Dice 0.87" for a prediction at 0.5, or nothing where there is no mask."""
    return "" if mask is None or not mask.any() else f", Dice {compare_areas(prediction > 0.5, mask)['Dice']:.2f}"
