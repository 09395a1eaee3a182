"""Volumes: crops for training, prediction with a sliding window, Dice of each class."""

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from m2s import data
from m2s.data.crops import CropSet, normalize_volume, prepare_volume
from m2s.errors import InputError
from m2s.metrics.volumes import volume_scores
from m2s.runs.build import build_network
from m2s.runs.execute import execute
from m2s.runs.models import load_model
from m2s.runs.predict import predict, predict_volume
from m2s.runs.store import load_scores
from m2s.runs.train import place
from m2s.studies import STUDIES
from m2s.studies.recipe import Recipe
from m2s.studies.run import Run


@pytest.fixture(scope="module")
def volumes() -> data.ImageSet:
    return data.load_images("hippocampus", "train", "phantom", limit=3)


@pytest.fixture(scope="module")
def crops(volumes) -> CropSet:
    return CropSet(volumes, 32, seed=5)


def epoch_of(crops: CropSet, epoch: int) -> list[torch.Tensor]:
    crops.set_epoch(epoch)
    return [torch.cat(list(crops[i])) for i in range(len(crops))]


def test_crops_have_the_size_and_the_values_of_the_volume(volumes, crops):
    image, mask = crops[1]
    assert image.shape == mask.shape == (1, 32, 32, 32)
    assert image.dtype == torch.float32 and mask.dtype == torch.uint8
    assert type(image) is torch.Tensor and type(mask) is torch.Tensor
    assert set(mask.unique().tolist()) <= {0, 1, 2}
    assert len(crops) == len(volumes) == 3


def test_crops_follow_from_seed_epoch_and_index_alone(volumes, crops):
    one, two = epoch_of(crops, 1), epoch_of(crops, 2)
    assert all(map(torch.equal, one, epoch_of(CropSet(volumes, 32, seed=5), 1)))
    assert all(map(torch.equal, one, epoch_of(crops, 1)))
    assert not any(map(torch.equal, one, two))
    crops.set_epoch(1)
    assert torch.equal(torch.cat(list(crops[-1])), one[2])


def test_half_of_the_crops_are_centred_in_the_foreground(volumes):
    crops, centred = CropSet(volumes, 8), 0
    for epoch in range(40):
        crops.set_epoch(epoch)
        centred += sum(bool(crops[i][1][0, 3:5, 3:5, 3:5].any()) for i in range(3))
    assert 45 < centred < 100  # of 120; some of the others are near by


def test_small_volumes_are_padded(volumes):
    image, mask = CropSet(volumes, 64)[0]
    assert image.shape == mask.shape == (1, 64, 64, 64)
    sample = volumes[0]
    assert np.count_nonzero(sample.mask) == torch.count_nonzero(mask)


def test_units_of_each_modality():
    hounsfield = torch.tensor([-1000.0, -175, 37.5, 250, 3000]).reshape(1, 1, 1, 5)
    assert normalize_volume(hounsfield, "CT volume").flatten().tolist() == [0, 0, 0.5, 1, 1]
    scanner = normalize_volume(torch.rand(1, 4, 5, 6) * 900 + 100, "MRI volume")
    assert scanner.mean().abs() < 1e-5 and scanner.std() == pytest.approx(1, abs=1e-5)


def test_a_volume_is_brought_to_the_sets_spacing(tmp_path):
    affine = np.diag([3.0, 1.5, 1.0, 1])  # x, y, z in mm; BTCV's spacing is 1.5, 1.5, 2
    label = np.zeros((8, 6, 10), np.uint8)
    label[2:6, 2:4, 4:8] = 3
    for folder, values in (("imagesTr", 100.0 * (label > 0)), ("labelsTr", label)):
        (tmp_path / "BTCV" / folder).mkdir(parents=True)
        name = ("img" if folder == "imagesTr" else "label") + "0001.nii.gz"
        stored = values.astype(np.float32).transpose(1, 0, 2)  # y, x, z: the order of axes must not matter
        nib.save(nib.Nifti1Image(stored, affine[:, [1, 0, 2, 3]]), tmp_path / "BTCV" / folder / name)
    images = data.load_images("btcv", "all", root=tmp_path)
    _, volume, mask, own_mask = prepare_volume(images, 0)
    assert volume.shape == mask.shape == (1, 5, 6, 16)  # z: 10 mm in steps of 2; y; x: 24 mm in steps of 1.5
    assert set(mask.unique().tolist()) == {0, 3}
    assert torch.count_nonzero(mask) == np.count_nonzero(label)  # half along z, twice along x

    class Threshold(nn.Module):
        """Class 3 where the volume is bright."""

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            logits = torch.zeros(len(x), 14, *x.shape[2:])
            logits[:, 3] = (x[:, 0] - (100 - 50 + 175) / 425) * self.scale
            return logits

    predicted = predict_volume(Threshold().eval(), volume, own_mask.shape, 8)
    assert predicted.shape == own_mask.shape == images[0].mask.shape and predicted.dtype == np.uint8
    assert volume_scores(predicted, own_mask, ["a", "b", "c"])["c"]["Dice"] > 0.75


def test_scores_by_hand():
    mask, prediction = np.zeros((2, 2, 4), np.uint8), np.zeros((2, 2, 4), np.uint8)
    mask[0, 0], prediction[0, 0, :2], prediction[1, 1, 0] = 1, 1, 2
    scores = volume_scores(prediction, mask, ["head", "tail"])
    assert scores["head"] == pytest.approx({"Dice": 2 * 2 / (4 + 2), "IoU": 2 / 4})
    assert all(np.isnan(value) for value in scores["tail"].values())  # the mask has none of it
    with pytest.raises(InputError, match="must be of one size"):
        volume_scores(prediction[:1], mask, ["head"])


def test_images_are_no_volumes_and_the_other_way_round(volumes):
    with pytest.raises(InputError, match="holds images, not volumes"):
        CropSet(data.load_images("kvasir", "train", "phantom", limit=1), 32)
    with pytest.raises(InputError, match="a TensorSet takes images"):
        data.TensorSet(volumes, 32)


@pytest.mark.parametrize("row", STUDIES["short_volumes"].rows)
def test_every_network_in_3d_is_placed_for_training(row):
    """The 3D UX-Net has a weight of four axes, which cannot be in the order of volumes."""
    network = build_network(STUDIES["short_volumes"].runs(row, "full", "real")[0], pretrained=False)
    place(network, torch.device("cpu"), torch.channels_last_3d)
    filters = [weights for weights in network.parameters() if weights.ndim == 5]
    assert filters and all(f.is_contiguous(memory_format=torch.channels_last_3d) for f in filters)


def test_a_run_on_volumes(tmp_path):
    run = Run(
        data="phantom",
        model="lgmsnet3d",
        encoder="none",
        pretrained=False,
        num_classes=3,
        options=(("kernels", (3, 3, 3, 3)),),
        recipe=Recipe(32, 1, 2, optimizer="adamw", schedule="cosine", multiscale=False, lr=1e-3),
        train_sets=("hippocampus",),
        test_sets=("hippocampus",),
        train_limit=2,
        test_limit=1,
        loss_form="dice_ce",
        loss_terms=(),
    )
    assert run.volumetric and "none" not in run.title
    folder = execute(run, tmp_path, "phantom")
    scores = load_scores(run, tmp_path)
    assert list(scores["dataset"]) == ["hippocampus:anterior", "hippocampus:posterior"]
    assert scores[["Dice", "IoU"]].apply(lambda c: c.between(0, 1)).all(axis=None)
    model, size = load_model(folder)
    assert size == 32 and model(torch.zeros(1, 1, 32, 32, 32)).shape == (1, 3, 32, 32, 32)
    with pytest.raises(InputError, match="takes volumes, not images"):
        predict(model, np.zeros((40, 40, 3), np.uint8), 32)
