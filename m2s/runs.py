"""One run: settings → a key → trained once, scored, kept, found again."""

import hashlib
import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import lru_cache, reduce
from operator import add
from pathlib import Path

import pandas as pd
import psutil
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from m2s import data as datasets
from m2s import provenance
from m2s.data.crops import prepare
from m2s.errors import InputError, NotFound
from m2s.losses import BCEDiceLoss, DiceCELoss, SegmentationLoss
from m2s.lossnet import LossNet
from m2s.metrics import summary
from m2s.metrics_cases import case_scores
from m2s.paths import commit, data_label, whole_file
from m2s.training import CHECKPOINT, Recipe, pick_device, predict, train
from m2s.volumes import predict_volume, volume_scores
from m2s.zoo import create_model

CODE_VERSION = 1
"""Part of every key: raised whenever a change of the code changes what a run gives (a test holds a recorded figure)."""

RECORD, MODEL, SCORES = "record.json", "model.safetensors", "scores.csv"

RELEASED_NORMALISATION = {
    "mean": (124.55 / 255, 118.90 / 255, 102.94 / 255),
    "std": (56.77 / 255, 55.97 / 255, 57.50 / 255),
}
"""Of the released training script, for RGB in [0, 1]; its prediction uses ImageNet's, and so do we."""

OTHER_LOSSES = {"bce_dice": BCEDiceLoss, "dice_ce": DiceCELoss}
"""By ``Run.loss_form``: LGMSNet's in two and in three dimensions."""


@dataclass(frozen=True)
class Run:
    """Everything that shapes a training, as plain values. Equal settings have equal keys.

    ``train_sets`` and ``test_sets`` hold names of data sets, or ``"name/split"`` where the split is not "train" or
    "test"; ``train_limit`` takes that many images of each training set; ``num_classes`` and ``options`` go to
    :func:`m2s.create_model`; ``normalisation`` is "model" or "released" (:data:`RELEASED_NORMALISATION`);
    ``loss_form`` is one of :data:`m2s.losses.FORMS` or of :data:`OTHER_LOSSES`, which take no ``loss_terms`` and no
    LossNet; ``lossnet`` names LossNet's fixed network, or is ``None``. ``watch`` writes down the IoU on the first test
    set after every epoch. The last four fields do not shape the trained weights beyond rounding and are no part of the
    key.
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
    test_sets: tuple[str, ...] = field(default=(), compare=False)
    test_limit: int | None = field(default=None, compare=False)
    threads: int = field(default=1, compare=False)
    watch: bool = field(default=False, compare=False)

    @property
    def key(self) -> str:
        """``<model>-<encoder>-s<seed>-<hash>``: the folder of this run."""
        outside = ("test_sets", "test_limit", "threads", "watch")
        settings = {k: v for k, v in _changed(self).items() if k not in outside}
        text = json.dumps([CODE_VERSION, settings | {"recipe": _changed(self.recipe)}], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.model}-{self.encoder}-s{self.recipe.seed}-{digest}"

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
        return datasets.CATALOGUE[split_of(self.train_sets[0], "train")[0]].volumetric

    def create(self, pretrained: bool | None = None) -> nn.Module:
        """The network of this run, untrained; ``pretrained=False`` leaves its encoder random."""
        pretrained = self.pretrained if pretrained is None else pretrained
        return create_model(self.model, self.encoder, pretrained, self.num_classes, **dict(self.options))

    def create_loss(self) -> nn.Module:
        """The training loss of this run."""
        if self.loss_form in OTHER_LOSSES:
            return OTHER_LOSSES[self.loss_form]()
        lossnet = LossNet(self.lossnet, self.lossnet_pretrained, self.lossnet_resize) if self.lossnet else None
        return SegmentationLoss(self.loss_form, self.loss_terms, lossnet, self.lossnet_weight)

    def load_train_set(self, root: str) -> datasets.ImageSet:
        """The training images, all sets joined; ``root`` is ``"phantom"`` or the folder of the data sets."""
        return reduce(add, (datasets.load(*split_of(n, "train"), root, self.train_limit) for n in self.train_sets))

    def joined(self, other: "Run") -> "Run":
        """This run, scored on the test sets of another one with the same key as well."""
        return replace(self, test_sets=tuple(dict.fromkeys(self.test_sets + other.test_sets)))


def split_of(name: str, default: str) -> tuple[str, str]:
    """``"busi/fold1-train"`` → ``("busi", "fold1-train")``; ``"kvasir"`` → ``("kvasir", default)``."""
    data_set, _, split = name.partition("/")
    return data_set, split or default


def folder_of(run: Run, results: Path) -> Path:
    """Where the run is published."""
    return results / "runs" / run.key


def execute(run: Run, results: Path, data: str) -> Path:
    """Train and score a run, unless it is there already, and publish it by one rename.

    A killed run goes on from its last epoch. The folder then holds ``record.json`` (settings, data, weights,
    machine, versions), ``scores.csv`` (a row per test image), ``log.csv`` (a row per epoch) and ``model.safetensors``.
    To score a run again, for instance because a test set has been added, delete its record: the training is kept.

    Args:
        run: the settings; ``run.data`` must name what ``data`` is.
        results: the folder of one profile and kind of data (:func:`m2s.results_dir`).
        data: ``"phantom"`` or the folder of the data sets.
    """
    if data_label(data) != run.data:
        raise InputError(f"run {run.key} is made for {run.data} data, but data is {data}")
    folder = folder_of(run, results)
    if (folder / RECORD).exists():
        return folder
    started_from = commit()  # of the code that is loaded now: the checkout may move on while the run goes on
    torch.set_num_threads(run.threads)
    torch.manual_seed(run.recipe.seed)
    train_set = run.load_train_set(data)
    test_sets, missing = _find_test_sets(run, data)
    model, loss = run.create(), run.create_loss()
    origin = {"weights": model.weights_source, "lossnet_weights": loss.lossnet.weights_source if run.lossnet else None}
    partial = folder.with_name(folder.name + ".partial")
    try:
        if folder.exists():
            os.replace(folder, partial)
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to the results folder {results}: {error.strerror}; set M2S_RESULTS") from error
    if not (partial / MODEL).exists():
        tensors = _crops(train_set, run.recipe) if run.volumetric else _tensors(train_set, run.recipe)
        watched = datasets.TensorSet(test_sets[0], run.recipe.size) if run.watch and test_sets else None
        own = {"mean": model.mean, "std": model.std}
        vars(model).update(RELEASED_NORMALISATION if run.normalisation == "released" else own)
        train(model, loss, tensors, run.recipe, partial, watched)
        vars(model).update(own)
        state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
        with whole_file(partial / MODEL) as temporary:
            save_file(state, temporary)
    model.load_state_dict(load_file(partial / MODEL))

    start, tables, used = time.perf_counter(), [], [_describe(train_set)]
    for test_set in test_sets:
        tables.append(score_set(model, test_set, run.recipe.size))
        used.append(_describe(test_set))
    scores = pd.concat(tables) if tables else pd.DataFrame({"dataset": [], "image": []})
    scores.round(5).to_csv(partial / SCORES, index=False)
    log = pd.read_csv(partial / "log.csv")
    record = {
        "key": run.key,
        "title": run.title,
        "settings": asdict(run),
        "code_version": CODE_VERSION,
        "commit": started_from,
        "finished": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "seconds": {"training": round(log["seconds"].sum()), "scoring": round(time.perf_counter() - start)},
        "parameters": sum(p.numel() for p in model.parameters()),
        **origin,
        "data": used,
        "missing": missing,
        "machine": machine(),
    }
    (partial / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    (partial / CHECKPOINT).unlink(missing_ok=True)
    os.replace(partial, folder)
    return folder


@lru_cache(maxsize=1)  # runs in one process often train on the same images
def _tensors(train_set: datasets.ImageSet, recipe: Recipe) -> datasets.TensorSet:
    return datasets.TensorSet(train_set, recipe.size, recipe.augment, recipe.seed)


@lru_cache(maxsize=1)
def _crops(train_set: datasets.ImageSet, recipe: Recipe) -> datasets.CropSet:
    return datasets.CropSet(train_set, recipe.size, recipe.seed)


def _find_test_sets(run: Run, data: str) -> tuple[list[datasets.ImageSet], dict[str, str]]:
    """The test sets that are there, and the reason for each that is not; one that is there but broken is an error."""
    found, missing = [], {}
    for test_set in run.test_sets:
        name, split = split_of(test_set, "test")
        try:
            found.append(datasets.load(name, split, data, run.test_limit))
        except NotFound:
            missing[name] = f"{datasets.CATALOGUE[name].title} not found in the data folder"
            print(f"not scored: {missing[name]}", flush=True)
    return found, missing


def score_set(model: nn.Module, test_set: datasets.ImageSet, size: int) -> pd.DataFrame:
    """Scores at the masks' own sizes (:func:`m2s.metrics_cases.case_scores`), one foreground class together.

    A row per image and, for a model of several classes, per class: ``dataset`` (``"name"`` or ``"name:class"``),
    ``image`` and a column per metric. Volumes get :func:`m2s.volumes.volume_scores`.
    """
    model.eval().to(pick_device())
    entry = datasets.CATALOGUE[test_set.name]
    classes, rows = entry.classes, []
    if entry.volumetric:
        for index in range(len(test_set)):
            name, volume, _, mask = prepare(test_set, index)
            found = volume_scores(predict_volume(model, volume, mask.shape, size), mask, classes)
            rows += [{"dataset": f"{entry.name}:{c}", "image": name, **scores} for c, scores in found.items()]
        return pd.DataFrame(rows)
    for name, image, mask in test_set:
        probabilities = predict(model, image, size)
        mask = mask if probabilities.ndim == 3 else mask > 0
        for suffix, scores in case_scores(probabilities, mask, classes if probabilities.ndim == 3 else classes[:1]):
            rows.append({"dataset": test_set.name + suffix, "image": name, **scores})
    return pd.DataFrame(rows)


def load(run: Run, results: Path) -> dict | None:
    """The record of a finished run, or ``None``."""
    path = folder_of(run, results) / RECORD
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    for images in record.get("data", ()):
        provenance.used(images["name"], images["split"], images["fingerprint"])
    return record


def load_scores(run: Run, results: Path) -> pd.DataFrame:
    """The scores of a finished run: dataset, image and a column per metric."""
    return pd.read_csv(folder_of(run, results) / SCORES, dtype={"image": str})


def load_model(path: str | Path) -> tuple[nn.Module, int]:
    """The trained network of a run, in evaluation mode, and the image size it was trained at.

    ``path`` is a run's folder or the ``model.safetensors`` in it.

    Raises:
        InputError: there is no record or no checkpoint, or they do not belong together.
    """
    folder = Path(path).parent if Path(path).suffix else Path(path)
    if not (folder / RECORD).is_file() or not (folder / MODEL).is_file():
        raise InputError(f"{folder} is not a finished run with a checkpoint: expected {RECORD} and {MODEL} in it")
    settings = json.loads((folder / RECORD).read_text())["settings"]
    options, classes = dict(settings["options"]), settings.get("num_classes", 1)
    model = create_model(settings["model"], settings["encoder"], False, classes, **options)
    try:
        model.load_state_dict(load_file(folder / MODEL))
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder / MODEL} does not fit the network of {RECORD} beside it: {reason}") from error
    return model.eval(), settings["recipe"]["size"]


def write_index(results: Path) -> Path:
    """Write ``runs.csv``: a row per finished run, with its settings, means per test set, seconds and machine."""
    rows = []
    for path in sorted(results.glob(f"runs/*/{RECORD}")):
        record = json.loads(path.read_text())
        settings = record["settings"]
        row = {"key": record["key"], **{k: settings[k] for k in ("model", "encoder", "lossnet", "lossnet_weight")}}
        row |= settings["recipe"] | {"options": dict(settings["options"]) or ""}
        row |= {"train_images": record["data"][0]["images"], "parameters": record["parameters"]}
        scores = pd.read_csv(path.with_name(SCORES)).rename(columns={"image": "name"})
        for name, table in scores.groupby("dataset", sort=False):
            row |= {f"{name} {m}": round(v, 4) for m, v in summary(table.drop(columns="dataset")).items()}
        row |= {"training_seconds": record["seconds"]["training"], "machine": record["machine"]["processor"]}
        rows.append(row | {"finished": record["finished"]})
    with whole_file(results / "runs.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    return results / "runs.csv"


def machine() -> dict[str, object]:
    """What the run ran on: processor, cores, memory, GPU, system, versions. No name or path of the machine."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [x.split(":")[1].strip() for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x]
        cpu = names[0] if names else cpu
    return {
        "processor": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "timm": timm.__version__,
        },
    }


def _changed(settings: Run | Recipe) -> dict[str, object]:
    """The fields that differ from their defaults: a field added later, with a default, leaves old keys as they are."""
    values = {f.name: getattr(settings, f.name) for f in fields(settings)}
    return {f.name: values[f.name] for f in fields(settings) if values[f.name] != f.default}


def _describe(images: datasets.ImageSet) -> dict[str, object]:
    return {"name": images.name, "split": images.split, "images": len(images), "fingerprint": images.fingerprint}
