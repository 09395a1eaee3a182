"""What the notebooks on data sets have in common: facts, examples and one survey, the same for every set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from m2s import figures
from m2s.data.imageset import ImageSet
from m2s.data.sets import CATALOGUE
from m2s.paths import data_label, results_dir
from m2s.surveys import measure, plots

MEASURES = r"""<details><summary>What is measured</summary>

With mask values $m_p$, the **share** of class $c$ is $s_c = \frac{1}{HW}\sum_p [m_p = c]$: the table has its 5 %, 50 %
and 95 % over the images that have the class, and counts those without. The **diameter** is that of a disc with the same
share in an image of 352 × 352 pixels, the papers' input: $d = 2\sqrt{s/\pi}\cdot 352$. The **contrast** is the mean
grey value inside less that of a ring around it, divided by 255, and *brighter* the part of the images in which it is
positive. *Best threshold* is the Dice of one grey value as a rule for all images, chosen on the very images that it is
scored on, an unfair advantage; *everything* is that of the rule "all is foreground", $2s/(1+s)$.

</details>"""

COLUMNS = {
    "share_5": "share, 5 %", "share_median": "share, median", "share_95": "share, 95 %",
    "diameter": "diameter (px)", "several_parts": "in several parts",
}  # fmt: skip


@dataclass(frozen=True)
class Tour:
    """The data sets of one notebook, ``number``: ``tour = m2s.surveys.open("12", ("lung",), profile, data)``."""

    number: str
    sets: Sequence[ImageSet]
    profile: str
    data: str
    limit: int | None

    @classmethod
    def of(
        cls,
        number: str,
        names: Sequence[str],
        profile: str,
        data: str | Path,
        limits: Mapping[str, int] = {"smoke": 6, "lab": 40, "full": 200},
    ) -> "Tour":
        """The sets ``names``, each from ``data`` or made up, at most ``limits[profile]`` images of each.

        Profiles that are not in ``limits`` take all images.
        """
        limit = limits.get(profile)
        return cls(number, [measure.find_images(name, data, limit=limit) for name in names], profile, str(data), limit)

    @cached_property
    def surveys(self) -> list[measure.Survey]:
        """One :class:`m2s.surveys.measure.Survey` for each set; every image is read once."""
        return [measure.measure_images(images) for images in self.sets]

    def save(self, fig: Figure, name: str, *sets: ImageSet) -> None:
        """Keep a figure as ``figures/<number>_<name>`` of this profile, say what is made up in it, and show it."""
        plots.mark_made_up(fig, sets)
        folder = results_dir(self.profile, self.data) / "figures"
        origin = {"profile": self.profile, "data": data_label(self.data)}
        figures.save(fig, folder / f"{self.number}_{name}", figures.fingerprints(*sets), **origin)
        plt.show()

    def show_facts(self) -> None:
        """The catalogue's facts, what was found here, and a first image in numbers; masks are checked."""
        with pd.option_context("display.max_colwidth", None):
            display(measure.list_facts([images.name for images in self.sets]).T)
            display(measure.list_sets(self.sets))
        name, image, mask = self.sets[0][0]
        values = ", ".join(map(str, np.unique(mask)))
        print(f"{name}: image {image.shape} {image.dtype}, mask {mask.shape} {mask.dtype} with the values {values}")
        for images in self.sets:
            _, image, mask = images[0]
            assert image.shape[:2] == mask.shape
            assert set(np.unique(mask)) <= set(range(len(CATALOGUE[images.name].classes) + 1))

    def show_examples(self) -> None:
        """A picture with examples of all sets; of sets with several classes, one picture each."""
        if all(len(CATALOGUE[images.name].classes) == 1 for images in self.sets):
            self.save(plots.draw_gallery(self.sets), "examples", *self.sets)
            return
        for images in self.sets:
            self.save(plots.draw_gallery([images], columns=2), f"examples_{images.name}", images)

    def show_survey(self) -> None:
        """The survey of every set: one table, then sizes, grey values and places as pictures."""
        display(Markdown(MEASURES))
        table = measure.summarize_surveys(self.surveys)
        rules = measure.try_thresholds(self.surveys).drop(columns="rule")
        rules.columns = ["best threshold", "everything"]
        table = table.join(rules, on="set").rename(columns=COLUMNS)
        several = any(len(CATALOGUE[images.name].classes) > 1 for images in self.sets)
        if several:  # a layer is no disc
            table = table.drop(columns="diameter (px)")
        whole = ("images", "without", "diameter (px)")
        display(table.style.format({c: "{:.0f}" if c in whole else "{:.3f}" for c in table}, na_rep="–"))
        if not several:
            self.save(plots.draw_sizes(self.surveys), "sizes", *self.sets)
        self.save(plots.draw_intensities(self.surveys), "greys", *self.sets)
        self.save(plots.draw_locations(self.surveys), "places", *self.sets)
