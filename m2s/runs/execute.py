"""One run: settings → a key → trained once, scored, and published by one rename."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save

from m2s.baselines.support import InContext
from m2s.data.imageset import ImageSet
from m2s.data.load import load_images
from m2s.data.sets import CATALOGUE
from m2s.data.tensors import TensorSet
from m2s.errors import InputError, NotFound, is_first_process
from m2s.paths import commit, data_label, hold_lock, read_json, whole_file
from m2s.runs.build import Tensors, build_loss, build_network, build_tensors, find_normalization, load_train_set
from m2s.runs.machine import describe_machine
from m2s.runs.processes import agree, count_processes
from m2s.runs.score import score_set
from m2s.runs.store import MODEL, RECORD, SCORES, TRAINING, run_folder
from m2s.runs.train import CHECKPOINT, train
from m2s.studies.run import CODE_VERSION, Run, split_of
from m2s.weights import read_state_dict


def execute(
    run: Run, results: Path, data: str, kept: Tensors | None = None, own: tuple[ImageSet, ImageSet] | None = None
) -> Path:
    """Train and score a run, unless it is there already, and publish it by one rename.

    A killed run goes on from its last epoch. The folder then holds ``record.json`` (settings, data, weights,
    machine, versions), ``scores.csv`` (a row per test image), ``log.csv`` (a row per epoch), ``model.safetensors`` and
    ``training.json`` (what of the record is about the training).
    To score a run again, for instance because a test set has been added, delete its record: the training is kept.
    ``data`` is ``"sample"``, ``"phantom"`` or the folder of the data sets; ``kept`` holds tensors of earlier runs
    (:func:`m2s.runs.build.build_tensors`); ``own`` are a user's images to train and to score on, where ``data`` is
    ``"own"`` (:func:`m2s.data.own.load_own_images`).
    """
    if own is None and data_label(data) != run.data:
        raise InputError(f"run {run.key} is made for {run.data} data, but data is {data}")
    folder = run_folder(run, results)
    if agree((folder / RECORD).exists()):
        return folder
    with _hold(folder):
        if not agree((folder / RECORD).exists()):  # the process that was waited for may have finished it
            _execute(run, folder, data, kept, own)
    return agree(folder)  # when the first process has published it


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """Wait until no other process works on the run; the lock ends with this process in any case."""
    if not is_first_process():  # which holds the lock for all
        yield
        return
    path = folder.with_name(f".{folder.name}.lock")
    with hold_lock(path, f"run {folder.name} is at work in another process"):
        yield
        if (folder / RECORD).exists():
            path.unlink(missing_ok=True)


def _unwritable(results: Path, error: OSError) -> InputError:
    return InputError(f"cannot write to the results folder {results}: {error.strerror}; set M2S_RESULTS")


def _execute(
    run: Run, folder: Path, data: str, kept: Tensors | None, own: tuple[ImageSet, ImageSet] | None
) -> None:  # fmt: skip
    """Train and score a run in ``folder.partial``, and publish that."""
    partial = folder.with_name(folder.name + ".partial")
    if own:
        train_set, test_sets, missing = own[0], [own[1]], {}
    else:
        train_set = load_train_set(run, data)
        test_sets, missing = _find_test_sets(run, data)
    if is_first_process():
        try:
            with suppress(OSError):
                folder.rmdir()  # an empty one: Snakemake makes the folders of its outputs
            if folder.exists():
                os.replace(folder, partial)
            partial.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder.parent, error) from error
    watched = TensorSet(test_sets[0], run.recipe.size) if run.watch and test_sets else None
    training = train_run(run, train_set, partial, kept, watched)
    if is_first_process():
        _publish(run, folder, test_sets, missing, training)


def _publish(
    run: Run, folder: Path, test_sets: list[ImageSet], missing: dict[str, str], training: dict[str, object]
) -> None:
    """Score the trained run of ``folder.partial``, and give its folder its name."""
    partial = folder.with_name(folder.name + ".partial")
    torch.set_num_threads(run.threads)
    model = build_network(run, pretrained=False)
    model.load_state_dict(read_state_dict(partial / MODEL))
    if isinstance(model, InContext):
        model.tasks = tuple(training["support"])

    start = time.perf_counter()
    tables = [score_set(model, test_set, run.recipe.size, run.clip) for test_set in test_sets]
    scores = pd.concat(tables) if tables else pd.DataFrame({"dataset": [], "image": []})
    scores.round(5).to_csv(partial / SCORES, index=False)
    log = pd.read_csv(partial / "log.csv")
    machine = describe_machine()
    record = {
        "key": run.key,
        "title": run.title,
        "settings": asdict(run),
        "code_version": CODE_VERSION,
        "finished": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "seconds": {"training": round(log["seconds"].sum()), "scoring": round(time.perf_counter() - start)},
        **training,
        "data": [training["data"], *map(_describe, test_sets)],
        "missing": missing,
    } | ({} if machine == training["machine"] else {"scored_on": machine})
    (partial / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (partial / CHECKPOINT).unlink(missing_ok=True)
    os.replace(partial, folder)


def train_run(
    run: Run, train_set: ImageSet, folder: Path, kept: Tensors | None = None, watched: TensorSet | None = None
) -> dict[str, object]:
    """Train a run in ``folder``, unless that is done: its model, ``log.csv`` and ``training.json``, which is returned.

    The training may have been done on another machine, such as one with a GPU, and its folder brought here. Where
    several processes share it, the first alone writes and returns it; the others return an empty one.
    """
    if agree(not (folder / TRAINING).exists()):
        started_from = commit()  # of the code that is loaded now: the checkout may move on while the run goes on
        torch.set_num_threads(run.threads)
        torch.manual_seed(run.recipe.seed)
        model, loss = build_network(run), build_loss(run)
        folder.mkdir(parents=True, exist_ok=True)
        in_context = isinstance(model, InContext)
        tensors = build_tensors(run, train_set, {} if kept is None else kept, model.drawn if in_context else 0)
        if in_context:
            images, masks, support = tensors.choose_bank(model.support)
            model.set_support(images, masks, tuple(support))
        train(model, loss, tensors, run.recipe, folder, watched, find_normalization(run, model))
        if not is_first_process():
            return {}
        training = {
            "commit": started_from,
            "parameters": sum(p.numel() for p in model.parameters()),
            "weights": model.weights_source,
            "lossnet_weights": loss.lossnet.weights_source if run.lossnet else None,
            "data": _describe(train_set),
            "machine": describe_machine(),
        }
        if count_processes() > 1:
            training["processes"] = count_processes()
        if in_context:
            training["support"] = support
        state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
        with whole_file(folder / MODEL) as temporary:
            temporary.write_bytes(save(state))
        with whole_file(folder / TRAINING) as temporary:
            temporary.write_text(json.dumps(training, indent=1) + "\n", encoding="utf-8")
    return read_json(folder / TRAINING, f"delete the folder {folder} and train the run again")


def _find_test_sets(run: Run, data: str) -> tuple[list[ImageSet], dict[str, str]]:
    """The test sets that are there, and the reason for each that is not; one that is there but broken is an error."""
    there, missing = [], {}
    for test_set in run.test_sets:
        name, split = split_of(test_set, "test")
        try:
            there.append(load_images(name, split, data, run.test_limit))
        except NotFound:
            missing[name] = f"{CATALOGUE[name].title} not found in the data folder"
            print(f"not scored: {missing[name]}", flush=True)
    return there, missing


def _describe(images: ImageSet) -> dict[str, object]:
    return {
        "name": images.name,
        "split": images.split,
        "images": len(images),
        "made_up": images.made_up,
        "fingerprint": images.fingerprint,
    }
