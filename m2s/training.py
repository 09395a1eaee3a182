"""One visible training loop, and prediction with what it trained.

The settings are those of the M2SNet paper (section 4.3): SGD, warm-up and linear decay, multi-scale batches. All
randomness of an epoch follows from the seed and the epoch's number, so a run that was killed and resumed ends, on the
CPU, at exactly the weights of a run that was not.
"""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from m2s.data import TensorSet, multiscale_sizes, normalise
from m2s.errors import RunError
from m2s.losses import SegmentationLoss
from m2s.paths import whole_file

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. The defaults are the paper's for the polyp sets (section 4.3).

    ``size`` in pixels (images are square in training); ``lr`` of everything but the encoder, ``encoder_lr`` of the
    encoder, both at the peak of the schedule. The released code trains the encoder at ``lr`` too (its filter matches
    no parameter).
    """

    size: int = 352
    epochs: int = 50
    batch_size: int = 16
    lr: float = 0.05
    encoder_lr: float = 0.005
    momentum: float = 0.9
    weight_decay: float = 5e-4
    multiscale: bool = True
    augment: bool = True
    seed: int = 0


def schedule(epoch: int, epochs: int) -> float:
    """Warm-up and linear decay: a triangle over the epochs, 1 in the middle (epoch counts from 0)."""
    return 1 - abs(2 * (epoch + 1) / (epochs + 1) - 1)


def epoch_seed(seed: int, epoch: int) -> int:
    """A well-mixed 63-bit seed for one epoch of one run."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def pick_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def resize_batch(images: Tensor, masks: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Images ``(N, 3, S, S)`` bilinear and masks ``(N, 1, S, S)`` nearest to ``(size, size)``: multi-scale training."""
    if images.shape[-1] == size:
        return images, masks
    images = F.interpolate(images, (size, size), mode="bilinear", align_corners=False)
    return images, F.interpolate(masks, (size, size), mode="nearest")


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD with Nesterov momentum and one learning rate for ``model.encoder``, another for the rest."""
    encoder = list(model.encoder.parameters())
    inside = {id(p) for p in encoder}
    rest = [p for p in model.parameters() if id(p) not in inside]
    groups = [{"params": encoder, "peak": recipe.encoder_lr}, {"params": rest, "peak": recipe.lr}]
    return torch.optim.SGD(groups, lr=0.0, momentum=recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True)


def train(model: nn.Module, loss: SegmentationLoss, train_set: TensorSet, recipe: Recipe, folder: Path) -> pd.DataFrame:
    """Train ``model`` in place, with a checkpoint in ``folder`` after every epoch; resume where one is found.

    Returns:
        A row per epoch: mean of the loss and of its parts, learning rate, seconds. Also written as ``log.csv``.

    Raises:
        RunError: the loss or a weight is not finite. The checkpoint of the last good epoch stays.
    """
    device = pick_device()
    layout = torch.channels_last  # the faster layout of convolutions, on CPUs and GPUs
    model.to(device, memory_format=layout), loss.to(device, memory_format=layout)
    optimizer = make_optimizer(model, recipe)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, log = folder / CHECKPOINT, []
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        log = state["log"]

    generator = torch.Generator()
    loader = DataLoader(
        train_set,
        batch_size=recipe.batch_size,
        shuffle=True,
        generator=generator,
        drop_last=len(train_set) >= recipe.batch_size,
        num_workers=min(8, os.cpu_count() or 1) if device.type == "cuda" else 0,
        persistent_workers=device.type == "cuda",
        pin_memory=device.type == "cuda",
    )
    sizes = multiscale_sizes(recipe.size) if recipe.multiscale else (recipe.size,)
    terminal = sys.stderr.isatty()
    bar = tqdm(total=recipe.epochs * len(loader), initial=len(log) * len(loader), disable=not terminal, unit="step")
    for epoch in range(len(log), recipe.epochs):
        start, sums = time.perf_counter(), {}
        generator.manual_seed(epoch_seed(recipe.seed, epoch))
        torch.manual_seed(epoch_seed(recipe.seed, epoch))
        train_set.set_epoch(epoch)
        for group in optimizer.param_groups:
            group["lr"] = schedule(epoch, recipe.epochs) * group["peak"]
        model.train()
        for step, (images, masks) in enumerate(loader):
            images, masks = images.to(device, non_blocking=True), masks.to(device, non_blocking=True).float()
            images = normalise(images, model.mean, model.std)
            size = sizes[int(torch.randint(len(sizes), (), generator=generator))]
            images, masks = resize_batch(images, masks, size)
            images = images.contiguous(memory_format=layout)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
                outputs = model(images)
            outputs = outputs.float() if isinstance(outputs, Tensor) else [o.float() for o in outputs]
            parts = loss.parts(outputs, masks)
            total = sum(parts.values())
            if not torch.isfinite(total):
                bar.close()
                raise not_finite(f"the loss is {total.item()}", epoch, step, folder)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            for name, value in {"loss": total, **parts}.items():
                sums[name] = sums.get(name, 0.0) + value.item()
            bar.update()
        if not all(p.isfinite().all() for p in model.parameters()):
            bar.close()
            raise not_finite("a weight is not finite", epoch, step, folder)
        means = {name: value / len(loader) for name, value in sums.items()}
        rates = {"lr": optimizer.param_groups[1]["lr"], "encoder_lr": optimizer.param_groups[0]["lr"]}
        log.append({"epoch": epoch + 1, **means, **rates, "seconds": time.perf_counter() - start})
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "log": log}
        with whole_file(checkpoint) as temporary:
            torch.save(state, temporary)
        if not terminal:
            print(
                f"epoch {epoch + 1}/{recipe.epochs}  loss {means['loss']:.4f}  {log[-1]['seconds']:.0f} s", flush=True
            )
    bar.close()
    table = pd.DataFrame(log)
    table.to_csv(folder / "log.csv", index=False)
    return table


def not_finite(what: str, epoch: int, step: int, folder: Path) -> RunError:
    """The error of a training that diverged."""
    kept = folder / CHECKPOINT
    last = f"the checkpoint of epoch {epoch} is kept in {kept}" if kept.exists() else "no epoch was finished before"
    return RunError(f"{what} at epoch {epoch + 1}, step {step + 1}; {last}; try lower learning rates")


@torch.inference_mode()
def predict(model: nn.Module, image: np.ndarray, size: int) -> np.ndarray:
    """Probabilities of one image at its own size.

    Args:
        model: in evaluation mode, as :func:`m2s.create_model` makes it.
        image: uint8 ``(H, W, 3)``, RGB.
        size: the square side that the network sees, as in its training.

    Returns:
        float32 ``(H, W)`` in [0, 1]; ``(C, H, W)`` for a model of C > 1 classes.
    """
    device = next(model.parameters()).device
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(device).float() / 255
    x = F.interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=True)
    probabilities = model(normalise(x, model.mean, model.std)).float().sigmoid()
    probabilities = F.interpolate(probabilities, image.shape[:2], mode="bilinear", align_corners=False)[0]
    return (probabilities[0] if len(probabilities) == 1 else probabilities).cpu().numpy()
