"""From a run's plain settings to its network, loss and training images."""

from functools import reduce
from operator import add

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn

from m2s.data.clips import ClipSet
from m2s.data.crops import CropSet
from m2s.data.episodes import EpisodeSet
from m2s.data.imageset import ImageSet
from m2s.data.load import load_images
from m2s.data.tensors import TensorSet
from m2s.encoders import Network
from m2s.losses import BCEDiceLoss, DiceCELoss, SegmentationLoss
from m2s.lossnet import LossNet
from m2s.studies.run import Run, split_of
from m2s.zoo import create_model

RELEASED = {"mean": (124.55 / 255, 118.90 / 255, 102.94 / 255), "std": (56.77 / 255, 55.97 / 255, 57.50 / 255)}
"""How the released training script normalises RGB in [0, 1]; the released prediction does it by ImageNet's figures."""

OTHER_LOSSES = {"bce_dice": BCEDiceLoss, "dice_ce": DiceCELoss}
"""By ``Run.loss_form``: LGMSNet's in two and in three dimensions."""


def build_network(run: Run, pretrained: bool | None = None) -> Network:
    """The network of a run, untrained; ``pretrained=False`` leaves its encoder random."""
    pretrained = run.pretrained if pretrained is None else pretrained
    return create_model(run.model, run.encoder, pretrained, run.num_classes, **dict(run.options))


def find_normalization(run: Run, network: Network) -> dict[str, tuple[float, ...]]:
    """The ``mean`` and ``std`` by which a run normalises its training images, RGB in [0, 1].

    The network's own, which prediction takes; with ``normalisation="released"`` others, that differ from its own as
    :data:`RELEASED` differs from ImageNet's figures. So a network whose own are ImageNet's gets :data:`RELEASED`, and
    one with others, such as EfficientNet-Lite0's 0.5, the same small shift and scale of its input.
    """
    mean, std = network.mean, network.std
    if run.normalisation == "released":
        figures = zip(mean, std, *RELEASED.values(), IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, strict=True)
        moved = [(m + (a - m0) * s / s0, b * s / s0) for m, s, a, b, m0, s0 in figures]
        mean, std = zip(*moved, strict=True)
    return {"mean": mean, "std": std}


def build_loss(run: Run) -> nn.Module:
    """The training loss of a run."""
    if run.loss_form in OTHER_LOSSES:
        return OTHER_LOSSES[run.loss_form]()
    lossnet = LossNet(run.lossnet, run.lossnet_pretrained, run.lossnet_resize) if run.lossnet else None
    return SegmentationLoss(run.loss_form, run.loss_terms, lossnet, run.lossnet_weight)


def load_train_set(run: Run, root: str) -> ImageSet:
    """The training images of a run, all sets joined; ``root`` is ``"sample"``, ``"phantom"`` or their folder."""
    return reduce(add, (load_images(*split_of(n, "train"), root, run.train_limit) for n in run.train_sets))


TrainTensors = TensorSet | CropSet | ClipSet | EpisodeSet
Tensors = dict[tuple, TrainTensors]
"""The training tensors that were made last, by what they were made from: runs in one process often share them."""


def build_tensors(run: Run, train_set: ImageSet, kept: Tensors, support: int = 0) -> TrainTensors:
    """The training images of a run at its size, clips or crops of volumes: those in ``kept``, or new ones.

    With ``support`` each image comes with so many examples (:class:`m2s.data.episodes.EpisodeSet`).
    """
    size, augment, seed = run.recipe.size, run.recipe.augment, run.recipe.seed
    made_from = (train_set.fingerprint, run.volumetric, run.clip, support, size, augment, seed)
    if made_from not in kept:
        kept.clear()
        if run.volumetric:
            kept[made_from] = CropSet(train_set, size, seed)
        elif support:
            kept[made_from] = EpisodeSet(train_set, support, size, augment, seed)
        elif run.clip > 1:
            kept[made_from] = ClipSet(train_set, run.clip, size, augment, seed)
        else:
            kept[made_from] = TensorSet(train_set, size, augment, seed)
    return kept[made_from]
