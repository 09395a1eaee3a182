"""m2s: MSNet, M2SNet and LGMSNet, exactly as released and as published, for teaching and reproduction."""

from m2s.losses import SegmentationLoss, structure_loss
from m2s.lossnet import LossNet
from m2s.metrics import score
from m2s.network import load_released
from m2s.paths import results_dir
from m2s.units import MultiScaleSubtractionUnit, SubtractionUnit
from m2s.zoo import create_model, list_models

__all__ = [
    "LossNet",
    "MultiScaleSubtractionUnit",
    "SegmentationLoss",
    "SubtractionUnit",
    "create_model",
    "list_models",
    "load_released",
    "results_dir",
    "score",
    "structure_loss",
]
