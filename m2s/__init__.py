"""m2s: MSNet, M2SNet and LGMSNet, exactly as released and as published, for teaching and reproduction."""

from importlib import import_module
from importlib.util import find_spec

_HOME = {
    "LossNet": "lossnet",
    "MultiScaleSubtractionUnit": "units",
    "SegmentationLoss": "losses",
    "SubtractionUnit": "units",
    "capture": "features.capture",
    "create_model": "zoo",
    "list_models": "zoo",
    "list_pretrained": "pretrained",
    "load_onnx": "runs.export",
    "load_pretrained": "pretrained",
    "load_released": "released",
    "predict": "runs.predict",
    "results_dir": "paths",
    "score": "metrics.conventions",
    "structure_loss": "losses",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    """Import what is asked for when it is asked for: torch and timm take seconds, ``m2s --help`` should not."""
    if name in _HOME:
        return getattr(import_module(f"m2s.{_HOME[name]}"), name)
    if find_spec(f"m2s.{name}"):
        return import_module(f"m2s.{name}")
    raise AttributeError(f"module 'm2s' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
