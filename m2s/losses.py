"""The training losses: of MSNet and M2SNet (revised M2SNet paper, Eq. 4), and of LGMSNet in 2-D (Eq. 9) and 3-D."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from m2s.errors import InputError, unknown

FORMS = ("published", "written")
TERMS = ("iou", "bce")


def one_vs_rest(mask: Tensor, channels: int) -> Tensor:
    """One float mask per output channel: (N, 1, H, W) → (N, channels, H, W).

    One channel: ``mask`` itself, 0 and 1 (a float mask may lie between). More: ``mask`` holds class indices.
    """
    low, high = (float(v) for v in torch.aminmax(mask))
    if low < 0 or high > max(channels - 1, 1):
        expected = "0 to 1" if channels == 1 else f"class indices 0 to {channels - 1}"
        raise InputError(
            f"mask values run from {low:g} to {high:g}, expected {expected}: threshold or relabel the mask"
        )
    if channels == 1:
        return mask.float()
    classes = F.one_hot(mask.squeeze(1).long(), channels)  # (N, 1, H, W) → (N, H, W, channels)
    return classes.movedim(-1, 1).float()  # (N, channels, H, W)


def pixel_weights(target: Tensor) -> Tensor:
    """``1 + 5·|mean over 31×31 − target|``: 1 far from the boundary, at most 6 where all around differs.

    ``target`` is (N, C, H, W), float. The definition is that of F3Net (AAAI 2020), to which the paper refers. The mean
    counts zeros beyond the image's edge, so that an object that touches the edge has a boundary there too.
    """
    # The mean over a square is the mean over columns of the means over rows: 62 additions a pixel instead of 961.
    mean = F.avg_pool2d(F.avg_pool2d(target, (31, 1), 1, (15, 0)), (1, 31), 1, (0, 15))  # (N, C, H, W)
    return 1 + 5 * (mean - target).abs()


def structure_parts(
    logits: Tensor, mask: Tensor, form: str = "published", terms: Sequence[str] = TERMS
) -> dict[str, Tensor]:
    """The terms of :func:`structure_loss`, by name."""
    if form not in FORMS:
        raise unknown("loss form", form, FORMS)
    for term in terms:
        if term not in TERMS:
            raise unknown("loss term", term, TERMS)
    n, channels, *size = logits.shape
    if mask.shape != (n, 1, *size):
        raise InputError(f"mask has shape {tuple(mask.shape)}, but logits {tuple(logits.shape)} need {(n, 1, *size)}")

    target = one_vs_rest(mask, channels)  # (N, 1, H, W) → (N, C, H, W)
    weights = pixel_weights(target)  # (N, C, H, W)
    parts = {}
    if "iou" in terms:
        probabilities = logits.sigmoid()
        intersection = (weights * probabilities * target).sum((2, 3))  # (N, C, H, W) → (N, C)
        both = (weights * (probabilities + target)).sum((2, 3))
        parts["iou"] = (1 - (intersection + 1) / (both - intersection + 1)).mean()
    if "bce" in terms:
        bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")  # (N, C, H, W)
        if form == "published":
            bce = (weights * bce).sum((2, 3)) / weights.sum((2, 3))  # (N, C)
        # As written, the BCE is one number b before the weights come in: Σ(w·b)/Σw = b, so that they cancel.
        parts["bce"] = bce.mean()
    return parts


def structure_loss(logits: Tensor, mask: Tensor, form: str = "published", terms: Sequence[str] = TERMS) -> Tensor:
    """Weighted IoU plus weighted BCE, L_IoU^w + L_BCE^w (Eq. 4; F3Net's definition). A scalar ≥ 0.

    Both terms are taken per image and channel, with the weights of :func:`pixel_weights`, then averaged over images and
    channels: every class against the rest.

    Args:
        logits: (N, C, H, W).
        mask: (N, 1, H, W) of any type: 0 and 1 for C = 1, class indices for C > 1.
        form: ``"published"``: the BCE is weighted per pixel and divided by the sum of the weights of its image;
            ``"written"``: as the released training script computes it, a plain mean. The IoU is weighted in both.
        terms: some of ``("iou", "bce")``.
    """
    parts = structure_parts(logits, mask, form, terms)
    if not parts:
        raise InputError(f"no loss term: 'terms' is empty, give some of {', '.join(TERMS)}")
    return sum(parts.values())  # type: ignore[return-value]


Outputs = Tensor | Sequence[Tensor] | dict[str, list[Tensor]]
"""What a network gives in training: its logits; with deep supervision a list, the final ones first; or ``"maps"``, such
a list, and auxiliary outputs by the name of their target, an entry of :data:`AUXILIARY`."""


def draw_edge(mask: Tensor) -> Tensor:
    """1 where the 3×3 pixels around are not all of one class, else 0: ``(N, C, H, W)`` → same, float."""
    mask = mask.float()
    return (F.max_pool2d(mask, 3, 1, 1) + F.max_pool2d(-mask, 3, 1, 1) > 0).float()  # maximum minus minimum


def draw_distance(mask: Tensor) -> Tensor:
    """Distance of each object pixel from the background, divided by the largest of its map: ``(N, C, H, W)`` → same.

    0 in the background and 1 in the innermost pixel; the image's side is no background.
    """
    maps = [distance_transform_edt(object_) for object_ in mask.flatten(0, 1).cpu().numpy()]
    maps = [distances / max(distances.max(), 1) for distances in maps]
    return torch.from_numpy(np.stack(maps)).to(mask.device, torch.float32).view(mask.shape)


def edge_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy against :func:`draw_edge`, as Inf-Net has it.

    Logits ``(N, 1, H, W)`` learn the edges of all classes together, ``(N, C, H, W)`` those of each class.
    """
    channels = logits.shape[1]
    return F.binary_cross_entropy_with_logits(logits, draw_edge(mask if channels == 1 else one_vs_rest(mask, channels)))


def distance_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of probabilities against :func:`draw_distance` of each class, as MADGNet has it."""
    return F.mse_loss(logits.sigmoid(), draw_distance(one_vs_rest(mask, logits.shape[1])))


AUXILIARY = {"edge": edge_loss, "distance": distance_loss}
"""Targets that are made from the mask, by the name of the output that learns them: the loss of one such output."""


class LossOfParts(nn.Module):
    """A loss that is the sum of named parts, so that a log can show each: subclasses give ``map_parts(maps, mask)``."""

    map_parts: Callable[[list[Tensor], Tensor], dict[str, Tensor]]

    def parts(self, outputs: Outputs, mask: Tensor) -> dict[str, Tensor]:
        """The summands of the loss by name, for a log: those of the maps, and of each auxiliary output, if any."""
        if isinstance(outputs, Tensor):
            outputs = [outputs]
        if not isinstance(outputs, dict):
            outputs = {"maps": list(outputs)}
        total: dict[str, Any] = self.map_parts(outputs["maps"], mask)
        for name, maps in outputs.items():
            if name != "maps":
                total[name] = sum(AUXILIARY[name](logits, mask) for logits in maps)
        return total

    def forward(self, outputs: Outputs, mask: Tensor) -> Tensor:
        """The sum of :meth:`parts`, a scalar."""
        return sum(self.parts(outputs, mask).values())  # type: ignore[return-value]


class SegmentationLoss(LossOfParts):
    """The total loss L_IoU^w + L_BCE^w + weight·L_f (Eq. 4).

    A list of outputs is deep supervision, the final output first: IoU and BCE are **summed over all outputs**, without
    weights, and LossNet sees **the final output alone**. The paper gives no formula. Its Section 4.7.2 describes deep
    supervision as pixel-level losses "directly in the prediction space" of the decoder's scales, and sets LossNet, in
    feature space, beside it; so L_f is counted once.

    Args:
        form, terms: as for :func:`structure_loss`. ``terms=()`` with a LossNet is the row "w/o L_IoU^w & L_BCE^w" of
            the revised paper's Table 11.
        lossnet: maps probabilities (N, C, H, W) and a mask (N, 1, H, W) to a scalar, as :class:`m2s.LossNet` does.
        lossnet_weight: 1.0 in the paper, 0.1 in the released code.
    """

    def __init__(
        self,
        form: str = "published",
        terms: Sequence[str] = TERMS,
        lossnet: nn.Module | None = None,
        lossnet_weight: float = 1.0,
    ):
        super().__init__()
        if form not in FORMS:
            raise unknown("loss form", form, FORMS)
        if not terms and lossnet is None:
            raise InputError("no loss term: 'terms' is empty and there is no LossNet, give at least one of them")
        self.form, self.terms, self.lossnet, self.lossnet_weight = form, tuple(terms), lossnet, lossnet_weight

    def map_parts(self, maps: list[Tensor], mask: Tensor) -> dict[str, Tensor]:
        """The summands by name: "iou", "bce" and "lossnet" (times its weight)."""
        structure = [structure_parts(logits, mask, self.form, self.terms) for logits in maps]
        total: dict[str, Any] = {name: sum(parts[name] for parts in structure) for name in structure[0]}
        if self.lossnet is not None:
            total["lossnet"] = self.lossnet_weight * self.lossnet(maps[0].sigmoid(), mask)
        return total


class BCEDiceLoss(LossOfParts):
    """0.5·BCE + Dice, LGMSNet's loss in two dimensions (LGMSNet paper, Eq. 9, with the released code's constants).

    Dice is soft, ``1 − (2·Σpg + s) / (Σp + Σg + s)`` with s = 1e-5, of each image and channel, then averaged.
    """

    def map_parts(self, maps: list[Tensor], mask: Tensor) -> dict[str, Tensor]:
        """The summands by name, ``"bce"`` (times 0.5) and ``"dice"``; shapes as for :func:`structure_loss`."""
        total: dict[str, Any] = {"bce": 0.0, "dice": 0.0}
        for logits in maps:
            target, p = one_vs_rest(mask, logits.shape[1]), logits.sigmoid()
            overlap, sizes = (p * target).sum((2, 3)), (p + target).sum((2, 3))  # (N, C, H, W) → (N, C)
            total["bce"] += 0.5 * F.binary_cross_entropy_with_logits(logits, target)
            total["dice"] += (1 - (2 * overlap + 1e-5) / (sizes + 1e-5)).mean()
        return total


class DiceCELoss(LossOfParts):
    """Dice + cross-entropy over softmax, LGMSNet's loss in 3-D; Dice with the background, as 3D UX-Net's training."""

    def __init__(self):
        super().__init__()
        from monai.losses import DiceLoss  # here, because it takes as long to import as torch

        self.dice = DiceLoss(to_onehot_y=True, softmax=True)

    def map_parts(self, maps: list[Tensor], mask: Tensor) -> dict[str, Tensor]:
        """``"dice"`` and ``"ce"`` of logits (N, C, D, H, W), one or several, and class indices (N, 1, D, H, W)."""
        total: dict[str, Any] = {"dice": 0.0, "ce": 0.0}
        for logits in maps:
            total["dice"] += self.dice(logits, mask)
            total["ce"] += F.cross_entropy(logits, mask[:, 0].long())
        return total
