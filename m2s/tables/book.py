"""A study's book: its table beside the paper's, its comparisons, its pictures, and what a notebook shows of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from m2s import figures
from m2s.data.imageset import ImageSet
from m2s.paths import ROOT, data_label, results_dir
from m2s.studies.profiles import find_profile
from m2s.tables.ablation import read_ablation, show_experiment
from m2s.tables.cells import compare
from m2s.tables.comparisons import (
    describe_ordering,
    find_gaps,
    find_gaps_by_seed,
    find_ordering,
    list_differences,
)
from m2s.tables.predictions import draw_failures, draw_predictions
from m2s.tables.results import Results
from m2s.tables.text import describe_settings, list_reasons, write_table


@dataclass(frozen=True, eq=False)
class Book(Results):
    """What a notebook shows of one study: ``book = m2s.tables.open("kernels", profile, data)``.

    Score files are read once, when they are first asked for; open the book again after more has been run. Its methods
    are the functions of this package, with the book as their ``results``.
    """

    out: Path | None = None
    """Where pictures are kept, if not with the runs; the tables of such a book are shown and not written."""

    table = compare
    gaps = find_gaps
    gaps_by_seed = find_gaps_by_seed
    differences = list_differences
    ordering = find_ordering
    sentence = describe_ordering
    predictions = draw_predictions
    failures = draw_failures
    read = read_ablation
    experiment = show_experiment

    @classmethod
    def of_real(cls, study: str, profile: str, data: str | Path, committed: str | None = None) -> "Book":
        """The book of a study on real images, whatever is shown: the runs that come with the repository.

        They are of the profile ``full``. A profile that is not small has runs of its own on real data: then those.
        Pictures are kept with the results of ``profile`` and ``data``.

        Args:
            committed: another profile, such as ``"large"``, whose runs come with the repository: these in any case.
        """
        if committed is None and data_label(data) == "real" and not find_profile(profile).small:
            return cls.of(study, profile, data)
        shown = committed or "full"
        opened = cls.of(study, shown, "real", ROOT / "results" / f"{shown}-real")
        return replace(opened, out=results_dir(profile, data))

    def write(self, table: pd.DataFrame, name: str | None = None) -> None:
        """Write :meth:`table`, or a part, to ``tables``: CSV, Markdown and LaTeX, by default named as the notebook."""
        title = (
            self.study.title
            + ", and ours" * bool(self.study.published)
            + " on made-up images" * (all(self.kinds) and bool(self.kinds))
        )
        write_table(
            table,
            self.folder / "tables",
            name or self.study.notebook,
            f"{title} (profile {self.profile})",
            self.settings(),
        )

    def settings(self) -> str:
        """What the measured numbers were measured with: :func:`m2s.tables.text.describe_settings`."""
        return describe_settings(self.profile, self.data, self.records())

    def explain(self, table: pd.DataFrame) -> None:
        """Show what was measured with, and how the cells of :meth:`table`, or of a part of it, came to be."""
        lines = "\n".join(f"- {line}" for line in list_reasons(table))
        summary = "<summary>How these numbers were measured</summary>"
        display(Markdown(f"<details>{summary}\n\n{self.settings()}\n\n{lines}\n\n</details>"))

    def report(self, table: pd.DataFrame, name: str | None = None) -> None:
        """:meth:`write` a table, unless it is of the runs that come with the repository, and :meth:`explain` it."""
        if self.out is None:
            self.write(table, name)
        self.explain(table)

    def show(
        self,
        fig: Figure | None,
        name: str,
        patients: bool = False,
        images: Sequence[ImageSet] = (),
        made_up: bool | None = None,
    ) -> None:
        """Keep a figure as ``figures/name.png`` and ``.pdf`` of this profile, and show it.

        What came from made-up images is marked so. The files name the data behind all finished runs of this study.

        Args:
            fig: the figure; ``None`` says "not run yet".
            name: begins with the number of the notebook.
            patients: whether the figure shows images: real ones go to the folder ``notebooks`` instead, which is not
                published with the project.
            images: further images that it was drawn from.
            made_up: whether it was drawn from made-up images, by default as the book's data are.
        """
        if fig is None:
            print("not run yet (or no checkpoint here): nothing to draw")
            return
        kinds = self.kinds if made_up is None else [made_up]
        figures.mark_made_up(fig, kinds)
        folder = (self.out or self.folder) / ("notebooks" if patients and not all(kinds) else "figures")
        used = {f"{d['name']}/{d['split']}": d["fingerprint"] for record in self.records() for d in record["data"]}
        used |= figures.fingerprints(*images)
        figures.save(fig, folder / name, used, profile=self.profile, data=data_label(self.data))
        plt.show()
