"""The explorer's second tab: prediction and mask through LossNet's eyes."""

import ipywidgets as widgets
import numpy as np

from m2s.explorer.session import Session
from m2s.explorer.widgets import StatusLine, Strip, slider
from m2s.features import pictures
from m2s.features.perturbations import change_mask


class LossNetTab:
    """Prediction and mask through LossNet's eyes, while the mask is changed."""

    title = "LossNet"

    def __init__(self, session: Session, status: StatusLine):
        self.session, self.stale = session, True
        self.other = widgets.ToggleButtons(options=["the prediction of A", "the mask as it is"], description="beside")
        self.grow, self.blur = slider("grow", -20, 20), slider("blur", 0.0, 10.0, 0.5, 0.0)
        self.right, self.down = slider("to the right", -60, 60), slider("down", -60, 60)
        self.rows, self.total = [Strip() for _ in range(3)], widgets.HTML()
        sliders = widgets.HBox([widgets.VBox([self.grow, self.blur]), widgets.VBox([self.right, self.down])])
        self.widget = widgets.VBox([self.other, sliders, self.total, *self.rows])
        run, draw = ("running LossNet on the changed mask", self.run), ("drawing", self.draw)
        for control in (self.grow, self.blur, self.right, self.down):
            status.on_change(control, run, draw)
        status.on_change(self.other, ("running LossNet", self.refresh))

    def refresh(self) -> None:
        """The side that stays is run once and kept; the changed mask is run when it changes."""
        session = self.session
        prediction = session.captures["A"].probability[0].numpy()
        self.mask = prediction > 0.5 if session.mask is None else session.mask
        self.fixed = prediction if self.other.value.startswith("the prediction") else self.mask.astype(np.float32)
        self.fixed_features = pictures.run_lossnet(session.lossnet(), self.fixed)
        self.run()
        self.draw()

    def run(self) -> None:
        """Change the mask and let LossNet see it."""
        self.changed = change_mask(self.mask, self.grow.value, self.right.value, self.down.value, self.blur.value)
        self.features = pictures.run_lossnet(self.session.lossnet(), self.changed)

    def draw(self) -> None:
        """The changed mask beside the other side, at LossNet's four levels."""
        maps = pictures.compare_lossnet_features(self.fixed_features, self.features)
        grey = [(side[..., None] * np.full(3, 255)).astype(np.uint8) for side in (self.fixed, self.changed)]
        difference = np.abs(self.fixed - self.changed)
        name = "the changed mask" if self.session.mask is not None else "no mask: the prediction at 0.5"
        apart = (pictures.color(difference), f"difference {difference.mean():.3f}")
        columns = [[(grey[0], self.other.value), (grey[1], name), apart]]
        for level, sides in enumerate(maps, start=1):
            term = f"l<sub>f</sub><sup>{level}</sup> = {sides[2].mean():.3g}"
            columns.append(zip(pictures.color_level(*sides), (f"level {level}", f"level {level}", term), strict=True))
        for strip, row in zip(self.rows, zip(*columns, strict=True), strict=True):
            strip.show(*row)
        total = sum(float(distance.mean()) for *_, distance in maps)
        self.total.value = f"L<sub>f</sub> = {total:.3g} ({self.session.lossnet().backbone})"
