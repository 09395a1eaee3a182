"""The scores of one network on a set of test images."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from torch import nn

from m2s.baselines.support import InContext
from m2s.data import imageset
from m2s.data.clips import list_clips
from m2s.data.crops import prepare_volume
from m2s.metrics.cases import case_scores
from m2s.metrics.volumes import volume_scores
from m2s.runs.models import pick_device
from m2s.runs.predict import predict, predict_clip, predict_volume


def score_set(model: nn.Module, test_set: imageset.ImageSet, size: int, clip: int = 1) -> pd.DataFrame:
    """Scores at the masks' own sizes (:func:`m2s.metrics.cases.case_scores`), one foreground class together.

    A row per image and, for a model of several classes, per class: ``dataset`` (``"name"`` or ``"name:class"``),
    ``image`` and a column per metric. Volumes get :func:`m2s.metrics.volumes.volume_scores`. With a ``clip`` of more
    than one frame, the images of a video are predicted in clips of so many.
    """
    model.eval().to(pick_device())
    entry = test_set.entry
    if isinstance(model, InContext):
        model = model.for_task(entry.modality)
    classes, rows = entry.classes, []
    if entry.volumetric:
        for index in range(len(test_set)):
            name, volume, _, mask = prepare_volume(test_set, index)
            by_class = volume_scores(predict_volume(model, volume, mask.shape, size), mask, classes)
            rows += [{"dataset": f"{entry.name}:{c}", "image": name, **scores} for c, scores in by_class.items()]
        return pd.DataFrame(rows)
    for (name, _, mask), probabilities in predict_set(model, test_set, size, clip):
        mask = mask if probabilities.ndim == 3 else mask > 0
        for suffix, scores in case_scores(probabilities, mask, classes if probabilities.ndim == 3 else classes[:1]):
            rows.append({"dataset": test_set.name + suffix, "image": name, **scores})
    return pd.DataFrame(rows)


def predict_set(
    model: nn.Module, test_set: imageset.ImageSet, size: int, clip: int = 1
) -> Iterator[tuple[imageset.Sample, np.ndarray]]:
    """Each image of a set once, with what the network predicts for it, alone or in a clip of its video."""
    if clip == 1:
        for sample in test_set:
            yield sample, predict(model, sample.image, size)
        return
    done = set()  # the last clip of a video begins among the frames of the one before
    for indices in list_clips(test_set, clip):
        samples = [test_set[index] for index in indices]
        predictions = predict_clip(model, [sample.image for sample in samples], size)
        for index, sample, probabilities in zip(indices, samples, predictions, strict=True):
            if index not in done:
                done.add(index)
                yield sample, probabilities
