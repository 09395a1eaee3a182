"""What a study is: a published table, its rows as runs, on the tasks that its columns are about."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property

from m2s.data.sets import CATALOGUE
from m2s.paths import data_label
from m2s.studies import published
from m2s.studies.profiles import Profile, find_profile
from m2s.studies.run import Run

FROM_SCRATCH = {"encoder": "none", "pretrained": False}
"""The settings of a row whose network has no pretrained encoder."""
DIFFERENCE = "published only: a difference of two other rows"


@dataclass(frozen=True)
class Task:
    """What a network is trained and tested on.

    ``train_sets`` are data sets, or ``"name/split"`` where the split is not "train". ``datasets`` maps what the score
    files call a test set to the name in the printed tables; a set of several classes is scored class by class, as
    ``"name:class"``. ``splits`` names the split to test on where it is not "test". In a cross-validation of ``folds``,
    ``{fold}`` in a split stands for 1, 2, …. An ``extra`` task is in no printed table: it is run on real data only.
    """

    title: str
    train_sets: tuple[str, ...]
    datasets: dict[str, str]
    splits: dict[str, str] = field(default_factory=dict)
    folds: int = 1
    num_classes: int = 1
    extra: bool = False

    def sets(self, fold: int, scored: Collection[str]) -> dict[str, tuple[str, ...]]:
        """The run settings ``train_sets`` and ``test_sets`` of one fold, counted from 1.

        ``scored`` are the printed names of the data sets to score; all of them if it has none of this task's.
        """
        chosen = [ours for ours, theirs in self.datasets.items() if theirs in scored] or self.datasets
        names = dict.fromkeys(label.split(":")[0] for label in chosen)
        test_sets = (f"{name}/{self.splits[name]}" if name in self.splits else name for name in names)
        return {
            "train_sets": tuple(name.format(fold=fold) for name in self.train_sets),
            "test_sets": tuple(name.format(fold=fold) for name in test_sets),
        }


LGMSNETS_LOSS = {"loss_form": "bce_dice", "loss_terms": (), "lossnet": None, "watch": True}
FRAMEWORKS = {
    "m2snet": (lambda p, ablation: p.ablation if ablation else p.recipe, {}),
    "lgmsnet": (lambda p, ablation: p.lgmsnet_ablation if ablation else p.lgmsnet, LGMSNETS_LOSS),
    "volumes": (lambda p, ablation: p.volumes, {"loss_form": "dice_ce", "loss_terms": (), "lossnet": None}),
}
"""Name → (profile and whether it is an ablation → recipe, settings of every run)."""


@dataclass(frozen=True)
class Study:
    """One published table beside our runs.

    ``rows`` maps the table's row names to the settings that differ from the profile's run ("recipe": those that differ
    from its recipe), or to the reason for which a row is not run. ``published`` names the printed table, "" for a
    question that no paper asks, and ``shown`` the metrics of sets that no paper prints. ``ablation`` studies use the
    profile's smaller recipe. ``framework`` is whose training it is, one of :data:`FRAMEWORKS`. Profiles that are
    ``small`` train the rows in ``small_rows`` and the tasks in ``small_tasks`` only (None: all), and add ``small`` to
    every row's settings, for instance where weights are too large to fetch in a class. ``stand_ins`` are what profiles
    below the paper's size take for a row's own encoder ("": the profile's), ``reduced`` the settings that they add to
    a row.
    """

    title: str
    published: str
    notebook: str
    tasks: dict[str, Task]
    rows: dict[str, dict[str, object] | str] = field(default_factory=dict)
    ablation: bool = False
    framework: str = "m2snet"
    shown: tuple[str, ...] = ("mDice", "mIoU", "wFm", "Sm", "Em", "MAE")
    small_rows: tuple[str, ...] | None = None
    small_tasks: tuple[str, ...] | None = None
    small: dict[str, object] = field(default_factory=dict)
    stand_ins: dict[str, str] = field(default_factory=dict)
    reduced: dict[str, dict[str, object]] = field(default_factory=dict)

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
        """The printed sets by which a scored one is judged: of its name (without a number of images in brackets), or
        else of its modality."""
        if named := tuple(d for d in self.printed if d.partition(" (")[0] == dataset.partition(" (")[0]):
            return named
        modality = {theirs: CATALOGUE[ours.split(":")[0]].modality for ours, theirs in self.datasets.items()}
        return tuple(d for d in modality if d in self.printed and modality[d] == modality[dataset])

    def tasks_of(self, profile: str, data: str) -> dict[str, Task]:
        """The tasks that are trained in this profile on this data."""
        p, real = find_profile(profile), data_label(data) == "real"
        chosen = p.ablation_tasks if self.ablation else self.small_tasks if p.small else None
        return {n: t for n, t in self.tasks.items() if (real or not t.extra) and (chosen is None or n in chosen)}

    def why_not(self, row: str, profile: str, data: str, task: str) -> str:
        """The reason for which a row is not run on a task, "" if it is to be run."""
        p = find_profile(profile)
        if isinstance(self.rows[row], str):
            return self.rows[row]
        if p.small and self.small_rows is not None and row not in self.small_rows:
            return f"not run: the profile {profile} trains {len(self.small_rows)} rows of this table"
        if task not in self.tasks_of(profile, data):
            here = ", ".join(t.title for t in self.tasks_of(profile, data).values())
            trained = f"of this table the profile {profile} trains {here} only"
            return f"not run: {trained if here else 'this table is run on real data only'}"
        return ""

    def runs(self, row: str, profile: str, data: str, task: str | None = None) -> list[Run]:
        """The runs of one row, seed by seed and fold by fold, on one task or on all; none for what is not run."""
        p, found = find_profile(profile), []
        for name, each in self.tasks_of(profile, data).items():
            if task not in (None, name) or self.why_not(row, profile, data, name):
                continue
            folds = min(each.folds, p.folds or each.folds)
            found += [self._run(row, p, data, name, seed, fold) for seed in p.seeds for fold in range(1, folds + 1)]
        return found

    def _run(self, row: str, p: Profile, data: str, task: str, seed: int, fold: int) -> Run:
        recipe_of, framework = FRAMEWORKS[self.framework]
        limits = p.volume_limits if self.framework == "volumes" else (p.train_limit, p.test_limit)
        settings = (
            {
                "encoder": p.encoder,
                "pretrained": p.pretrained,
                "lossnet": p.lossnet,
                "lossnet_resize": p.lossnet_resize,
                "lossnet_weight": p.lossnet_weight,
                "num_classes": self.tasks[task].num_classes,
            }
            | framework
            | self.rows[row]
        )
        if p.small:
            settings |= self.small
        if not p.own_encoders:
            settings |= self.reduced.get(row, {})
            settings["encoder"] = self.stand_ins.get(settings["encoder"], settings["encoder"]) or p.encoder
        if settings["lossnet"] is None:  # a network without LossNet is the same run whatever LossNet would have been
            settings |= {"lossnet_resize": None, "lossnet_weight": 0.1, "lossnet_pretrained": True}
        if "lossnet_factor" in settings:
            settings["lossnet_weight"] *= settings.pop("lossnet_factor")
        recipe = replace(recipe_of(p, self.ablation), seed=seed, **settings.pop("recipe", {}))
        if task in p.epochs and not self.ablation:
            recipe = replace(recipe, epochs=p.epochs[task])
        if settings.pop("one_rate", False):
            recipe = replace(recipe, encoder_lr=recipe.lr)
        return Run(
            data=data_label(data),
            recipe=recipe,
            train_limit=limits[0],
            test_limit=limits[1],
            threads=p.threads,
            # In small profiles the many ablations are scored on what their tables print, and nothing else.
            **self.tasks[task].sets(fold, self.printed if p.small and self.ablation else ()),
            **settings,
        )
