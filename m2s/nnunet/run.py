"""Write data sets for nnU-Net, train it for a few steps, and score its predictions. Commands: :mod:`m2s.nnunet`."""

import json
import os
import re
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from m2s.data.disk.images import read_mask
from m2s.data.imageset import ImageSet
from m2s.data.sets import CATALOGUE
from m2s.errors import InputError, some
from m2s.paths import whole_file

TRAINERS = Path(__file__).with_name("trainers")
"""The folder of our trainer classes, for the variable ``nnUNet_extTrainer``.

:meta hide-value:
"""
ROWS = {
    "nnUNetTrainer": "nnU-Net",
    "M2SNetTrainer": "M2SNet (nnU-Net framework)",
    "M2SNetLiteTrainer": "M2SNet (nnU-Net framework)",
    "UNetTrainer": "U-Net (nnU-Net framework)",
    "UNetLiteTrainer": "U-Net (nnU-Net framework)",
    "M2SNetTinyTrainer": "M2SNet (tests only)",
    "UNetTinyTrainer": "U-Net (tests only)",
}
"""Trainer → row of the table. The U-Net rows are ours alone."""
SCORES = "26_nnunet.csv"
RAW, PREPROCESSED, RESULTS, EXTERNAL = "nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "nnUNet_extTrainer"
"""nnU-Net's variables: its three folders, and where it looks for trainers outside its package."""


def check_installed() -> None:
    """Raise :class:`m2s.errors.InputError` where nnU-Net is not installed."""
    if find_spec("nnunetv2") is None:
        raise InputError("nnU-Net is not installed: pip install 'm2s[nnunet]' in an environment of its own")


def write_raw(
    train: ImageSet, tests: Sequence[ImageSet], folder: Path, size: int | None = None, data: str = "phantom"
) -> Path:
    """Write data sets in nnU-Net's raw layout (natural images, PNG), the whole folder by one rename.

    ``imagesTr/case_0000.png`` and ``imagesTs`` hold RGB, ``labelsTr/case.png`` and ``labelsTs`` class indices, and
    ``dataset.json`` names channels and classes. ``cases.csv`` (ours; nnU-Net does not read it) says which image of
    which data set a case is. All test sets share ``imagesTs``.

    ``folder`` is ``$nnUNet_raw/Dataset901_Polyps``: "Dataset", three digits, "_", a name. With ``size`` images are
    shrunk so that their longer side is at most this many pixels (labels of the tests stay as they are, for scoring);
    nnU-Net itself works at the images' own size. ``data`` is a :func:`m2s.paths.data_label`: scores go to its
    results.
    """
    if not re.fullmatch(r"Dataset\d{3}_\w+", folder.name):
        raise InputError(f"nnU-Net does not take the name '{folder.name}': give for instance Dataset901_Polyps")
    if folder.exists():
        raise InputError(f"{folder} is there already: remove it, or give another name")
    entries = [CATALOGUE[name] for s in (train, *tests) for name in s.name.split("+")]
    if any(entry.volumetric for entry in entries) or len({entry.classes for entry in entries}) > 1:
        names = f"{train.name} and {some([test.name for test in tests])}"
        raise InputError(f"{names}: give images, not volumes, of the same classes")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        rows = _write_cases(train, partial, "Tr", size)
        rows += [row for test in tests for row in _write_cases(test, partial, "Ts", size)]
        pd.DataFrame(rows).to_csv(partial / "cases.csv", index=False)
        described = {
            "channel_names": {"0": "R", "1": "G", "2": "B"},  # names that ask for no other normalisation than z-score
            "labels": {"background": 0, **{name: i for i, name in enumerate(entries[0].classes, start=1)}},
            "numTraining": len(train),
            "file_ending": ".png",
            "overwrite_image_reader_writer": "NaturalImage2DIO",
            "description": train.source,
            "made_up": train.made_up,
            "data": data,
            "longer_side": size,
        }
        (partial / "dataset.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
        partial.rename(folder)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _write_cases(images: ImageSet, folder: Path, part: str, size: int | None) -> list[dict[str, str]]:
    """The images and labels of one set, with cases numbered within it; a row of ``cases.csv`` for each."""
    for kind in ("images", "labels"):
        (folder / f"{kind}{part}").mkdir(parents=True, exist_ok=True)
    rows = []
    for index, (name, image, mask) in enumerate(images):
        case = f"{images.name.replace('+', '-')}-{index:04d}"
        picture, label = Image.fromarray(image), Image.fromarray(mask)
        if size and max(picture.size) > size:
            smaller = tuple(max(1, round(side * size / max(picture.size))) for side in picture.size)
            picture = picture.resize(smaller, Image.Resampling.BILINEAR)
            label = label.resize(smaller, Image.Resampling.NEAREST) if part == "Tr" else label
        picture.save(folder / f"images{part}" / f"{case}_0000.png")
        label.save(folder / f"labels{part}" / f"{case}.png")
        rows.append({"case": case, "part": part, "dataset": images.name, "image": name})
    return rows


def score_predictions(raw: Path, predictions: Path) -> pd.DataFrame:
    """Score nnU-Net's label maps of ``imagesTs`` at the masks' own sizes: dataset, image and a column per metric.

    nnU-Net gives classes, not probabilities; as a map of 0 and 1 a prediction has a Dice that is no longer soft.
    """
    from m2s.metrics.cases import case_scores

    if not (raw / "cases.csv").is_file():
        raise InputError(f"{raw} holds no cases.csv: write it with 'python -m m2s.nnunet write'")
    cases = pd.read_csv(raw / "cases.csv", dtype=str).query("part == 'Ts'")
    classes = list(json.loads((raw / "dataset.json").read_text(encoding="utf-8"))["labels"])[1:]
    if missing := [case for case in cases["case"] if not (predictions / f"{case}.png").is_file()]:
        raise InputError(f"{len(missing)} of {len(cases)} predictions are missing in {predictions}: {some(missing)}")
    rows = []
    for case, dataset, image in cases[["case", "dataset", "image"]].itertuples(index=False):
        mask = read_mask(raw / "labelsTs" / f"{case}.png", len(classes))
        label = Image.open(predictions / f"{case}.png").resize(mask.shape[::-1], Image.Resampling.NEAREST)
        label = np.asarray(label) == 1 if len(classes) == 1 else np.asarray(label)
        for suffix, scores in case_scores(label, mask, classes):
            rows.append({"dataset": dataset + suffix, "image": image} | scores)
    return pd.DataFrame(rows)


def keep_scores(scores: pd.DataFrame, row: str, settings: str, results: Path) -> Path:
    """Add the scores of one row to ``tables/26_nnunet.csv``; they replace earlier ones of the row and data sets."""
    path = results / "tables" / SCORES
    scores = scores.assign(row=row, settings=settings)
    if path.exists():
        old = pd.read_csv(path, dtype={"image": str})
        replaced = (old["row"] == row) & old["dataset"].isin(scores["dataset"])
        scores = pd.concat([old[~replaced], scores])
    first = ["row", "settings", "dataset", "image"]
    with whole_file(path) as temporary:
        scores[[*first, *scores.columns.drop(first)]].round(5).to_csv(temporary, index=False)
    return path


def short_run(dataset: str, trainer: str, epochs: int, iterations: int) -> tuple[Path, str]:
    """Plan, preprocess, train on all training images and predict ``imagesTs`` in this process, for a short training.

    nnU-Net's own length is 1000 epochs of 250 batches; here the polynomial decay of the learning rate ends at the given
    one. Returns the folder of the predictions, and the settings in words.
    """
    check_installed()
    if missing := [name for name in (RAW, PREPROCESSED, RESULTS) if not os.environ.get(name)]:
        raise InputError(f"set nnU-Net's folders first: {', '.join(missing)}")
    os.environ[EXTERNAL] = str(TRAINERS)

    import torch
    from nnunetv2.experiment_planning import plan_and_preprocess_api as planning
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.run.run_training import get_trainer_from_args

    from m2s.runs.models import pick_device

    raw, number = Path(os.environ[RAW], dataset), int(dataset[7:10])
    if not (raw / "dataset.json").is_file():
        raise InputError(f"no data set {raw}: write it with 'python -m m2s.nnunet write'")
    if not Path(os.environ[PREPROCESSED], dataset, "gt_segmentations").is_dir():  # the last thing it writes
        planning.extract_fingerprint_dataset(number, num_processes=1, show_progress_bar=False)
        planning.plan_experiment_dataset(number)
        planning.preprocess_dataset(number, configurations=("2d",), num_processes=(1,), show_progress_bar=False)
    os.environ.setdefault("nnUNet_n_proc_DA", "0")  # augment in this process; the planning before would not take 0
    torch.manual_seed(0)
    np.random.seed(0)  # nnU-Net draws from numpy's global generator
    run = get_trainer_from_args(dataset, "2d", "all", trainer, device=pick_device())
    run.num_epochs, run.num_iterations_per_epoch, run.num_val_iterations_per_epoch = epochs, iterations, 1
    run.run_training()
    predictions = Path(run.output_folder_base) / "imagesTs"
    predictions.mkdir(exist_ok=True)
    predictor = nnUNetPredictor(device=run.device, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(run.output_folder_base, ("all",))
    predictor.predict_from_files_sequential(str(raw / "imagesTs"), str(predictions))
    plan, described = run.configuration_manager, json.loads((raw / "dataset.json").read_text(encoding="utf-8"))
    side = f"shrunk to {described['longer_side']} px" if described["longer_side"] else "at their own size"
    return predictions, (
        f"nnU-Net {version('nnunetv2')}, {trainer}, fold all "
        f"({described['numTraining']} training images {side}), {epochs} epochs of {iterations} batches of "
        f"{plan.batch_size}, patch {'×'.join(map(str, plan.patch_size))}, seed 0, on {run.device.type}"
    )
