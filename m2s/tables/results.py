"""What the runs of one study have left in a results folder: records and scores, read once."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from m2s.errors import InputError, unknown
from m2s.paths import is_made_up, results_dir
from m2s.runs.store import SCORES, load_record, load_scores, run_folder
from m2s.studies import STUDIES
from m2s.studies.profiles import find_profile
from m2s.studies.run import Run
from m2s.studies.study import Study


class Finished(NamedTuple):
    """A finished run."""

    run: Run
    record: dict
    scores: pd.DataFrame
    """dataset, image, and a column per metric."""


@dataclass(frozen=True, eq=False)
class Results:
    """A study, ``name`` in :data:`STUDIES`, in one profile, with the folder of that profile's results.

    ``data`` is ``"sample"``, ``"phantom"`` or the folder of the data sets.
    """

    name: str
    study: Study
    profile: str
    data: str
    folder: Path

    @classmethod
    def of(cls, study: str, profile: str, data: str | Path, results: str | Path | None = None) -> "Results":
        """The results of a study by its name; ``results`` is by default :func:`m2s.results_dir`.

        Raises :class:`m2s.errors.InputError` for an unknown study or profile.
        """
        if study not in STUDIES:
            raise unknown("study", study, STUDIES)
        find_profile(profile)
        return cls(study, STUDIES[study], profile, str(data), Path(results or results_dir(profile, data)))

    @cached_property
    def datasets(self) -> dict[str, str]:
        """What the score files call a test set that is scored here → its name in the printed table."""
        tasks = self.study.tasks_of(self.profile, self.data).values()
        return {ours: printed for task in tasks for ours, printed in task.datasets.items()}

    @cached_property
    def made_up(self) -> frozenset[str]:
        """The test sets that are scored here and whose images are made up, by their printed names."""
        return frozenset(t for ours, t in self.datasets.items() if is_made_up(ours.partition(":")[0], self.data))

    @property
    def kinds(self) -> list[bool]:
        """Of each data set that is scored here whether its images are made up."""
        return [name in self.made_up for name in self.datasets.values()]

    @cached_property
    def lacks(self) -> dict[tuple, str]:
        """What :func:`m2s.runs.plan.find_lack` has found to be there or not, for all rows."""
        return {}

    def runs(self, row: str, task: str | None = None) -> list[Run]:
        """The runs of a row, finished or not; see :meth:`m2s.studies.study.Study.runs`."""
        return self.study.runs(row, self.profile, self.data, task)

    @cached_property
    def finished(self) -> dict[str, list[Finished]]:
        """The finished runs by row, with their scores on the study's own test sets, as they are when first asked for.

        Raises :class:`m2s.errors.InputError` for a score file that does not agree with its record.
        """
        return {row: [done for run in self.runs(row) if (done := self._read(run))] for row in self.study.rows}

    def finished_of(self, row: str) -> list[Finished]:
        """The finished runs of one row. Raises :class:`m2s.errors.InputError` for an unknown row."""
        if row not in self.finished:
            raise unknown(f"row of study {self.name}", row, self.finished)
        return self.finished[row]

    def records(self) -> list[dict]:
        """The records of all finished runs, row by row."""
        return [done.record for row in self.finished.values() for done in row]

    def scores(self, row: str) -> pd.DataFrame:
        """The scores of one row, image by image, means over its seeds: dataset (our name), image, and the metrics.

        Empty where nothing has been run; folds and tasks follow one another.
        """
        tables = [done.scores for done in self.finished_of(row)]
        if not tables:
            return pd.DataFrame(columns=["dataset", "image"])
        return pd.concat(tables).groupby(["dataset", "image"], sort=False).mean(numeric_only=True).reset_index()

    def _read(self, run: Run) -> Finished | None:
        """A run's record and scores, which must agree on the number of images; None for a run without a record."""
        record, path = load_record(run, self.folder), run_folder(run, self.folder) / SCORES
        if record is None:
            return None
        if not path.is_file():
            raise InputError(f"{path} is missing, but the run has a record: delete the record to score it again")
        scores = load_scores(run, self.folder)
        recorded = {d["name"]: d["images"] for d in record["data"][1:]}  # the first is the training set
        held = scores.assign(dataset=scores["dataset"].str.split(":").str[0]).groupby("dataset")["image"].nunique()
        if held.to_dict() != recorded:
            raise InputError(
                f"{path} holds {held.to_dict()} images and its record says {recorded}: delete the record to score again"
            )
        return Finished(run, record, scores[scores["dataset"].isin(self.study.datasets)])
