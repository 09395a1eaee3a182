"""What a study is: a published table, its rows as runs, on the tasks that its columns are about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, partial
from typing import Any

from m2s.data.sets import CATALOGUE
from m2s.paths import data_label
from m2s.studies import published
from m2s.studies.profiles import Profile, find_profile
from m2s.studies.recipe import Recipe
from m2s.studies.run import Run
from m2s.studies.tasks import Task


class Status(StrEnum):
    """How a cell of a table came to be."""

    MEASURED = "measured"
    PUBLISHED = "published only"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class NotRun:
    """A row, or a row on one task, that is not run, and why. ``status`` is never :attr:`Status.MEASURED`."""

    status: Status
    reason: str

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"


@dataclass(frozen=True)
class Row:
    """A row that is run: what it changes of the profile's run.

    ``changes`` are fields of :class:`Run` (``encoder=None``: the profile's), ``recipe`` fields of its :class:`Recipe`;
    ``adjust`` comes last and changes the run by its own values. ``below_paper`` is the row that profiles below the
    paper's size train in its place, for instance because weights are too large to fetch in a class.
    """

    changes: dict[str, Any]
    recipe: dict[str, Any] = field(default_factory=dict)
    adjust: Callable[[Run], Run] = lambda run: run
    below_paper: "Row | None" = None

    def but(self, **changes: Any) -> "Row":
        """This row with further changes of the run."""
        return replace(self, changes=self.changes | changes)


published_only = partial(NotRun, Status.PUBLISHED)
GAIN_OVER = ", gain over "
"""In the name of a row that compares two others, as printed: "M2SNet, gain over MSNet"."""
GAIN = published_only("a gain over another row, and not both are measured")


@dataclass(frozen=True)
class Framework:
    """Whose training it is: the recipe of a profile (and whether it is an ablation's), and what every run changes."""

    recipe: Callable[[Profile, bool], Recipe]
    changes: dict[str, Any] = field(default_factory=dict)
    limits: Callable[[Profile], tuple[int | None, int | None]] = lambda p: (p.train_limit, p.test_limit)
    """How many training and test images of each set."""


SHORT = Recipe(
    size=64, epochs=3, batch_size=8, lr=1e-3, encoder_lr=1e-4, weight_decay=1e-4, multiscale=False, optimizer="adamw"
)
"""Enough to see whether a network trains. AdamW, since it suits networks with and without norms, trained from scratch
or not."""

_OTHER_LOSS = {"loss_terms": (), "lossnet": None}
FRAMEWORKS = {
    "m2snet": Framework(lambda p, ablation: p.ablation if ablation else p.recipe),
    "lgmsnet": Framework(
        lambda p, ablation: p.lgmsnet_ablation if ablation else p.lgmsnet,
        _OTHER_LOSS | {"loss_form": "bce_dice", "watch": True},
    ),
    "volumes": Framework(
        lambda p, ablation: p.volumes, _OTHER_LOSS | {"loss_form": "dice_ce"}, lambda p: p.volume_limits
    ),
    "short": Framework(lambda p, ablation: SHORT, {"lossnet": None}, lambda p: (240, None)),
    "short_volumes": Framework(
        lambda p, ablation: replace(p.volumes, epochs=6), _OTHER_LOSS | {"loss_form": "dice_ce"}, lambda p: (40, 10)
    ),
}


@dataclass(frozen=True)
class Study:
    """One published table beside our runs.

    ``rows`` maps the table's row names to what is run, or to why it is not. ``published`` names the printed table, ""
    for a question that no paper asks, and ``shown`` the metrics of sets that no paper prints. ``ablation`` studies use
    the profile's smaller recipe. ``framework`` is whose training it is, one of :data:`FRAMEWORKS`. Profiles that are
    ``small`` train the rows in ``small_rows`` and the tasks in ``small_tasks`` only (None: all), and make the changes
    ``small`` to every row's run, for instance where weights are too large to fetch in a class. Profiles that train
    ``few`` networks take ``few_rows`` and ``few_tasks`` instead, by default no row. A ``short`` study asks only whether
    networks train at all: the profile full trains it, with its first seed.
    """

    title: str
    notebook: str
    tasks: dict[str, Task]
    rows: Mapping[str, Row | NotRun]
    published: str = ""
    ablation: bool = False
    framework: str = "m2snet"
    shown: tuple[str, ...] = ("mDice", "mIoU", "wFm", "Sm", "Em", "MAE")
    small_rows: tuple[str, ...] | None = None
    small_tasks: tuple[str, ...] | None = None
    small: dict[str, Any] = field(default_factory=dict)
    short: bool = False
    few_rows: tuple[str, ...] = ()
    few_tasks: tuple[str, ...] | None = None

    @cached_property
    def datasets(self) -> dict[str, str]:
        """What the score files call a test set → its name in the printed table, of all tasks."""
        return {ours: theirs for task in self.tasks.values() for ours, theirs in task.datasets.items()}

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The printed table's columns that come from scores, in the order of print."""
        if not self.published:
            return ()
        table = published.load_table(self.published)
        return tuple(table.loc[table["dataset"].isin(self.datasets.values()), "metric"].unique())

    @cached_property
    def printed(self) -> frozenset[str]:
        """The data sets of the printed table, by their printed names."""
        return frozenset(published.load_table(self.published)["dataset"]) if self.published else frozenset()

    def beside(self, dataset: str) -> tuple[str, ...]:
        """The printed sets that judge a scored one: of its name (less a number in brackets), or else its modality."""
        if named := tuple(d for d in self.printed if d.partition(" (")[0] == dataset.partition(" (")[0]):
            return named
        modality = {theirs: CATALOGUE[ours.split(":")[0]].modality for ours, theirs in self.datasets.items()}
        return tuple(d for d in modality if d in self.printed and modality[d] == modality[dataset])

    def tasks_of(self, profile: str, data: str) -> dict[str, Task]:
        """The tasks that are trained in this profile on this data, with the sets that they have there."""
        p, real = find_profile(profile), data_label(data) == "real"
        chosen = p.ablation_tasks if self.ablation else self.small_tasks if p.small else None
        chosen = self.few_tasks if p.few else chosen
        tasks = {n: t.on(data) for n, t in self.tasks.items() if chosen is None or n in chosen}
        return {n: t for n, t in tasks.items() if t and (real or not t.extra)}

    def why_not(self, row: str, profile: str, data: str, task: str) -> NotRun | None:
        """The reason for which a row is not run on a task, ``None`` if it is to be run."""
        p, chosen = find_profile(profile), self.rows[row]
        if isinstance(chosen, NotRun):
            return chosen
        if self.short and profile != "full":
            return NotRun(Status.NOT_RUN, "short runs are made by the profile full alone")
        trained = self.few_rows if p.few else self.small_rows if p.small else None
        if trained is not None and row not in trained:
            count = len(trained) or "no"
            return NotRun(Status.NOT_RUN, f"the profile {profile} trains {count} row{'s' * (count != 1)} of this table")
        if self.tasks[task].on(data) is None:
            return NotRun(Status.NOT_RUN, "of this table some images are real here and some made up, which do not mix")
        if task not in self.tasks_of(profile, data):
            here = ", ".join(t.title for t in self.tasks_of(profile, data).values())
            told = f"of this table the profile {profile} trains {here} only"
            return NotRun(Status.NOT_RUN, told if here else "this table is run on real data only")
        return None

    def runs(self, row: str, profile: str, data: str, task: str | None = None) -> list[Run]:
        """The runs of one row, seed by seed and fold by fold, on one task or on all; none for what is not run."""
        p, runs = find_profile(profile), []
        for name, of_row in self.tasks_of(profile, data).items():
            if task not in (None, name) or self.why_not(row, profile, data, name):
                continue
            folds = min(of_row.folds, p.folds or of_row.folds)
            seeds = p.seeds[:1] if self.short else p.seeds
            numbers = [(seed, fold) for seed in seeds for fold in range(1, folds + 1)]
            runs += [self._run(row, p, data, of_row, p.epochs.get(name), seed, fold) for seed, fold in numbers]
        return runs

    def _run(self, name: str, p: Profile, data: str, task: Task, epochs: int | None, seed: int, fold: int) -> Run:
        framework, row = FRAMEWORKS[self.framework], self.rows[name]
        assert isinstance(row, Row)  # why_not has left out the others
        if row.below_paper and not p.own_encoders:
            row = row.below_paper
        changes = framework.changes | row.changes | (self.small if p.small else {})
        recipe = replace(framework.recipe(p, self.ablation), seed=seed, **row.recipe)
        if epochs:
            recipe = replace(recipe, epochs=epochs)
        train_limit, test_limit = framework.limits(p)
        settings: dict[str, Any] = dict(
            data=data_label(data), recipe=recipe, pretrained=p.pretrained, num_classes=task.num_classes,
            lossnet=p.lossnet, lossnet_resize=p.lossnet_resize, lossnet_weight=p.lossnet_weight,
            train_limit=train_limit, test_limit=test_limit, threads=p.threads,
        )  # fmt: skip
        # In small profiles the many ablations are scored on what their tables print, and nothing else.
        settings |= task.sets(fold, self.printed if p.small and self.ablation else ())
        run = row.adjust(Run(**settings | changes | {"encoder": changes.get("encoder") or p.encoder}))
        if run.lossnet is None:  # a network without LossNet is the same run whatever LossNet would have been
            run = replace(run, lossnet_resize=None, lossnet_weight=0.1, lossnet_pretrained=True)
        return run
