"""One run: everything that shapes a training, as plain values, and its key."""

import hashlib
import json
from dataclasses import dataclass, field, fields, replace
from typing import Any

from m2s.data.sets import CATALOGUE
from m2s.studies.recipe import Recipe
from m2s.studies.tasks import JOINT, TASKS

CODE_VERSION = 1
"""Part of every key: raised whenever a change of the code changes what a run gives (a test holds a recorded figure)."""

NETWORK_VERSIONS = dict.fromkeys(
    ("acsnet", "bcsnet", "medt", "nunet", "resunetpp", "sfa", "skunet", "unext", "utnet"), 2
)
"""Networks that were corrected: part of the keys of their runs, which no run of the earlier network may answer."""


@dataclass(frozen=True)
class Run:
    """Everything that shapes a training, as plain values. Equal settings have equal keys.

    ``train_sets`` and ``test_sets`` hold names of data sets, or ``"name/split"`` where the split is not "train" or
    "test"; ``train_limit`` takes that many images of each training set; ``num_classes`` and ``options`` go to
    :func:`m2s.create_model`; ``normalisation`` is "model" or "released" (:func:`m2s.runs.build.find_normalization`);
    ``loss_form`` is one of :data:`m2s.losses.FORMS` or of :data:`m2s.runs.build.OTHER_LOSSES`, which take no
    ``loss_terms`` and no LossNet; ``lossnet`` names LossNet's fixed network, or is ``None``. ``fingerprint`` and
    ``classes`` are of a user's own images, whose ``data`` is "own" (:mod:`m2s.data.own`). ``clip`` is the number of
    successive frames that a network sees at once, 1 for images. ``watch`` writes down the
    IoU on the first test set after every epoch. The last four fields do not shape the trained weights beyond rounding
    and are no part of the key.
    """

    data: str
    model: str
    encoder: str
    recipe: Recipe
    pretrained: bool = True
    num_classes: int = 1
    options: tuple[tuple[str, object], ...] = ()
    normalisation: str = "model"
    train_sets: tuple[str, ...] = ("kvasir", "clinicdb")
    train_limit: int | None = None
    loss_form: str = "published"
    loss_terms: tuple[str, ...] = ("iou", "bce")
    lossnet: str | None = None
    lossnet_resize: int | None = None
    lossnet_weight: float = 0.1
    lossnet_pretrained: bool = True
    fingerprint: str = ""
    classes: tuple[str, ...] = ()
    clip: int = 1
    test_sets: tuple[str, ...] = field(default=(), compare=False)
    test_limit: int | None = field(default=None, compare=False)
    threads: int = field(default=1, compare=False)
    watch: bool = field(default=False, compare=False)

    @property
    def key(self) -> str:
        """``<model>-<encoder>-s<seed>-<hash>``: the folder of this run."""
        outside = ("test_sets", "test_limit", "threads", "watch")
        settings = {k: v for k, v in _changed(self).items() if k not in outside}
        if self.model in NETWORK_VERSIONS:
            settings["network_version"] = NETWORK_VERSIONS[self.model]
        text = json.dumps([CODE_VERSION, settings | {"recipe": _changed(self.recipe)}], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.model}-{self.encoder}-s{self.recipe.seed}-{digest}"

    @property
    def name(self) -> str:
        """``m2snet-polyps-96px-s0``: what people call it; runs that differ in something else share it.

        A run on a user's own images has the name that the user gave them.
        """
        if self.data == "own":
            return split_of(self.train_sets[0], "train")[0]
        tasks = {task.train_sets: name for name, task in (TASKS | {"joint": JOINT}).items()}
        sets = "+".join(one.removesuffix("/train").removesuffix("-train").replace("/", "-") for one in self.train_sets)
        return f"{self.model}-{tasks.get(self.train_sets, sets)}-{self.recipe.size}px-s{self.recipe.seed}"

    @property
    def title(self) -> str:
        """One line for people: model, encoder, options, size, epochs, seed."""
        options = [f"{name}={value}" for name, value in self.options]
        r, sets = self.recipe, " ".join(self.train_sets)
        names = [self.model] if self.encoder == "none" else [self.model, self.encoder]
        return ", ".join([*names, *options, sets, f"{r.size} px", f"{r.epochs} epochs", f"seed {r.seed}"])

    @property
    def volumetric(self) -> bool:
        """Whether it is trained on volumes."""
        return self.data != "own" and CATALOGUE[split_of(self.train_sets[0], "train")[0]].volumetric

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> "Run":
        """The run whose record holds these ``settings``."""
        plain, recipe = {name: _freeze(value) for name, value in settings.items()}, settings["recipe"]
        if recipe["augment"] is True:  # in records from the time when there was one augmentation
            recipe = recipe | {"augment": "m2snet"}
        return cls(**plain | {"recipe": Recipe(**recipe)})

    def joined(self, other: "Run") -> "Run":
        """This run, scored on the test sets of another one with the same key as well."""
        return replace(self, test_sets=tuple(dict.fromkeys(self.test_sets + other.test_sets)))


def split_of(name: str, default: str) -> tuple[str, str]:
    """``"busi/fold1-train"`` → ``("busi", "fold1-train")``; ``"kvasir"`` → ``("kvasir", default)``."""
    data_set, _, split = name.partition("/")
    return data_set, split or default


def _freeze(value: Any) -> Any:
    """A value as JSON gives it, with tuples for its lists."""
    return tuple(map(_freeze, value)) if isinstance(value, list) else value


def _changed(settings: Run | Recipe) -> dict[str, object]:
    """The fields that differ from their defaults: a field added later, with a default, leaves old keys as they are."""
    return {f.name: value for f in fields(settings) if (value := getattr(settings, f.name)) != f.default}
