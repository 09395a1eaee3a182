"""Salient-object measures of a map (H, W) in [0, 1] and its mask (H, W) bool, computed by PySODMetrics.

Weighted F (Margolin et al., CVPR 2014, β² = 1), S-measure (Fan et al., ICCV 2017, α = 0.5), E-measure (Fan et al.,
IJCAI 2018). PySODMetrics is slow to import, so this module is imported only where a score is computed.
"""

import numpy as np
from py_sod_metrics import DICEHandler, Emeasure, FmeasureV2, IOUHandler, Smeasure, WeightedFmeasure


class _Structure(Smeasure):
    """A foreground centred in the last row or column leaves quadrants without a pixel, which would give NaN."""

    def ssim(self, pred: np.ndarray, gt: np.ndarray) -> float:
        return super().ssim(pred, gt) if pred.size else 0.0


def measure_structure(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    """Weighted F ``wFm`` and S-measure ``Sm``."""
    weighted_f, structure = WeightedFmeasure(beta=1), _Structure(alpha=0.5)
    weighted_f.step(p, g, normalize=False)
    structure.step(p, g, normalize=False)
    return {"wFm": float(weighted_f.weighted_fms[0]), "Sm": float(structure.sms[0])}


def measure_alignment(p: np.ndarray, g: np.ndarray) -> tuple[float, np.ndarray]:
    """The E-measure at the threshold 2·mean, and at each of the 256 thresholds from 255/255 down to 0."""
    measure = Emeasure()
    measure.step(p, g, normalize=False)
    return float(measure.adaptive_ems[0]), measure.changeable_ems[0]


def sweep_overlap(p: np.ndarray, g: np.ndarray) -> dict[str, np.ndarray]:
    """Dice and IoU at each of the 256 thresholds from 255/255 down to 0."""
    handlers = {"Dice": DICEHandler(True, False), "IoU": IOUHandler(True, False)}
    FmeasureV2(handlers).step(p, g, normalize=False)
    return {name: handler.dynamic_results[0] for name, handler in handlers.items()}
