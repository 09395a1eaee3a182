"""One visible training loop, and prediction with what it trained.

The default settings are those of the M2SNet paper (section 4.3): SGD, warm-up and linear decay, multi-scale batches.
All randomness of an epoch follows from the seed and the epoch's number, so a run that was killed and resumed ends, on
the CPU, at exactly the weights of a run that was not.
"""

import math
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler
from tqdm import tqdm

from m2s.data.clips import ClipSet
from m2s.data.crops import CropSet
from m2s.data.episodes import EpisodeSet
from m2s.data.tensors import TensorSet, normalize
from m2s.errors import RunError, is_first_process, unknown
from m2s.paths import whole_file
from m2s.runs.models import pick_device
from m2s.runs.processes import Share, agree, average, share_model, share_statistics
from m2s.runs.sizes import choose_sizes
from m2s.studies.recipe import Recipe

CHECKPOINT = "checkpoint.pt"


def rate(recipe: Recipe, epoch: int, step: int = 0, steps: int = 1) -> float:
    """The learning rate as a part of its peak, at one of the ``steps`` of an epoch (both count from 0).

    - "triangle" (M2SNet): warm-up and linear decay over the epochs, 1 in the middle.
    - "poly" (LGMSNet in 2-D): ``(1 − t)^0.9``, t the part of all steps that is done.
    - "cosine" (LGMSNet in 3-D): linear over the first ``recipe.warmup`` epochs, then half a cosine down to 0.
    """
    if recipe.schedule == "triangle":
        return 1 - abs(2 * (epoch + 1) / (recipe.epochs + 1) - 1)
    done = epoch + step / steps
    if recipe.schedule == "poly":
        return (1 - done / recipe.epochs) ** 0.9
    if recipe.schedule == "cosine":
        if done < recipe.warmup:
            return (done + 1 / steps) / recipe.warmup
        return 0.5 * (1 + math.cos(math.pi * (done - recipe.warmup) / (recipe.epochs - recipe.warmup)))
    raise unknown("schedule", recipe.schedule, ("triangle", "poly", "cosine"))


def epoch_seed(seed: int, epoch: int) -> int:
    """A well-mixed 63-bit seed for one epoch of one run."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def resize_batch(images: Tensor, masks: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Images ``(N, 3, S, S)`` bilinear and masks ``(N, 1, S, S)`` nearest to ``(size, size)``: multi-scale training."""
    if images.shape[-1] == size:
        return images, masks
    images = F.interpolate(images, (size, size), mode="bilinear", align_corners=False)
    return images, F.interpolate(masks, (size, size), mode="nearest")


def prepare_examples(support: list[Tensor], mean: Tensor, std: Tensor) -> list[Tensor]:
    """The examples of an :class:`m2s.data.episodes.EpisodeSet` and their masks, if any, as a network takes them."""
    if not support:
        return []
    images, masks = (part.to(mean.device, non_blocking=True) for part in support)
    return [normalize(images, mean, std), masks.float()]


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer, with one learning rate for ``model.encoder``, another for the rest."""
    encoder = list(model.encoder.parameters())
    rest = [p for name, p in model.named_parameters() if not name.startswith("encoder.")]
    groups = [{"params": encoder, "peak": recipe.encoder_lr}, {"params": rest, "peak": recipe.lr}]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=0.0, weight_decay=recipe.weight_decay)
    if recipe.optimizer not in ("nesterov", "sgd"):
        raise unknown("optimizer", recipe.optimizer, ("nesterov", "sgd", "adamw"))
    nesterov = recipe.optimizer == "nesterov"
    return torch.optim.SGD(groups, 0.0, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=nesterov)


def place(module: nn.Module, device: torch.device, layout: torch.memory_format) -> None:
    """Move a module to ``device``, and its filters (of images 4-D, of volumes 5-D) into ``layout``.

    ``module.to(memory_format=layout)`` also asks it of weights that have one axis less or more, and fails there.
    """
    module.to(device)
    for weights in (*module.parameters(), *module.buffers()):
        if weights.ndim == (5 if layout is torch.channels_last_3d else 4):
            weights.data = weights.data.to(memory_format=layout)


def train(
    model: nn.Module,
    loss: nn.Module,
    train_set: TensorSet | CropSet | ClipSet | EpisodeSet,
    recipe: Recipe,
    folder: Path,
    watched: TensorSet | None = None,
    normalization: dict[str, tuple[float, ...]] | None = None,
) -> pd.DataFrame:
    """Train ``model`` in place, with a checkpoint in ``folder`` after every epoch; resume where one is found.

    Several processes (:mod:`m2s.runs.processes`) share every batch, and the first of them writes.

    Args:
        loss: with a method ``parts(outputs, masks)``, such as those of :mod:`m2s.losses`.
        folder: for the checkpoint and ``log.csv``, the returned table.
        watched: images on which :func:`mean_iou` is taken after every epoch. It is written down and changes nothing.
        normalization: ``mean`` and ``std`` of the training images; by default the model's own.

    Returns:
        A row per epoch: mean of the loss and of its parts, ``watched_IoU`` if there is one, learning rates, seconds.

    Raises:
        RunError: the loss or a weight is not finite. The checkpoint of the last good epoch stays.
    """
    device = pick_device()
    on_gpu, volumes = device.type == "cuda", isinstance(train_set, CropSet)
    layout = torch.channels_last_3d if volumes else torch.channels_last  # the faster ones, on CPUs and GPUs
    place(model, device, layout), place(loss, device, layout)
    optimizer = make_optimizer(model, recipe)
    normalization = normalization or {"mean": model.mean, "std": model.std}
    mean, std = (torch.tensor(normalization[name], device=device) for name in ("mean", "std"))
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, log, first = folder / CHECKPOINT, [], is_first_process()
    if agree(checkpoint.exists()):
        try:
            state = agree(torch.load(checkpoint, map_location="cpu", weights_only=True) if first else None)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            log = state["log"]
        except Exception as error:  # torch raises nearly anything for a broken file
            raise RunError(f"{checkpoint} is damaged: delete it, and the run starts anew") from error

    generator = torch.Generator()
    order = RandomSampler(train_set, generator=generator)
    batches = BatchSampler(order, recipe.batch_size, drop_last=len(train_set) >= recipe.batch_size)
    share = Share(batches, min(recipe.batch_size, len(train_set)))
    loader = DataLoader(
        train_set, batch_sampler=share, generator=generator,
        num_workers=torch.get_num_threads() if on_gpu else 0, persistent_workers=on_gpu, pin_memory=on_gpu,
    )  # fmt: skip
    sizes = (recipe.size,) if volumes else choose_sizes(model, recipe.size, recipe.multiscale)
    shared = share_model(model)
    steps, terminal = len(loader), sys.stderr.isatty()
    bar = tqdm(total=recipe.epochs * steps, initial=len(log) * steps, disable=not (terminal and first), unit="step")
    for epoch in range(len(log), recipe.epochs):
        start, losses = time.perf_counter(), []
        generator.manual_seed(epoch_seed(recipe.seed, epoch))
        torch.manual_seed(epoch_seed(recipe.seed, epoch) + share.rank)  # of what the network leaves out at random
        train_set.set_epoch(epoch)
        model.train()
        for step, (images, masks, *support) in enumerate(loader):
            for group in optimizer.param_groups:
                group["lr"] = rate(recipe, epoch, step, steps) * group["peak"]
            images, masks = images.to(device, non_blocking=True), masks.to(device, non_blocking=True).float()
            weight, frames = share.weigh(len(images)), images.shape[1]
            if clips := isinstance(train_set, ClipSet):
                images, masks = images.flatten(0, 1), masks.flatten(0, 1)  # (N, T, …) → (N·T, …)
            if not volumes:  # which come normalised, each by itself
                images = normalize(images, mean, std)
            size = sizes[int(torch.randint(len(sizes), (), generator=generator))]
            images, masks = resize_batch(images, masks, size)
            images = images.contiguous(memory_format=layout)
            # In float32 on a GPU too: bfloat16 made a step no faster, and turned the gradient (results/bench).
            examples = prepare_examples(support, mean, std)
            with share_statistics():
                outputs = (
                    shared(images.unflatten(0, (-1, frames))).flatten(0, 1) if clips else shared(images, *examples)
                )
                parts = {name: weight * part for name, part in loss.parts(outputs, masks).items()}
            total = sum(parts.values())
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            losses.append(torch.stack([total, *parts.values()]).detach())  # read once an epoch: a GPU runs ahead of us
            bar.update()
        values = average(torch.stack(losses).double()).cpu()  # (steps, 1 + parts)
        if not values.isfinite().all():
            bar.close()
            step = int((~values.isfinite().all(1)).nonzero()[0])
            raise not_finite(f"the loss is {values[step, 0].item()}", epoch, step, folder)
        if not all(p.isfinite().all() for p in model.parameters()):
            bar.close()
            raise not_finite("a weight is not finite", epoch, step, folder)
        means = dict(zip(("loss", *parts), (values.sum(0) / steps).tolist(), strict=True))
        if watched is not None and first:
            means["watched_IoU"] = mean_iou(model, watched, recipe.batch_size)
        rates = {"lr": optimizer.param_groups[1]["lr"], "encoder_lr": optimizer.param_groups[0]["lr"]}
        log.append({"epoch": epoch + 1, **means, **rates, "seconds": time.perf_counter() - start})
        if first:
            with whole_file(checkpoint) as temporary:
                content = BytesIO()  # written by Python, whose error of a full disk says so
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "log": log}, content)
                temporary.write_bytes(content.getbuffer())
        if not terminal:
            seconds = log[-1]["seconds"]
            print(f"epoch {epoch + 1}/{recipe.epochs}  loss {means['loss']:.4f}  {seconds:.0f} s", flush=True)
    bar.close()
    table = pd.DataFrame(log)
    if first:
        table.to_csv(folder / "log.csv", index=False)
    return table


def not_finite(what: str, epoch: int, step: int, folder: Path) -> RunError:
    """The error of a training that diverged."""
    kept = folder / CHECKPOINT
    last = f"the checkpoint of epoch {epoch} is kept in {kept}" if kept.exists() else "no epoch was finished before"
    return RunError(f"{what} at epoch {epoch + 1}, step {step + 1}; {last}; try lower learning rates")


@torch.inference_mode()
def mean_iou(model: nn.Module, images: TensorSet, batch_size: int = 16) -> float:
    """IoU at 0.5 of each image at the set's own size, averaged over the images; for one foreground class.

    LGMSNet's code takes this after every epoch, keeps the epoch where it is best, and reports that very number
    (:data:`m2s.metrics.conventions.CONVENTIONS`, "lgmsnet"): choosing and reporting on the same images.
    """
    model.eval()
    device, found = next(model.parameters()).device, []
    for batch, masks in DataLoader(images, batch_size):
        p = model(normalize(batch.to(device), model.mean, model.std)) > 0
        g = masks.to(device) > 0
        both, either = (p & g).sum((1, 2, 3)), (p | g).sum((1, 2, 3))
        found.append(torch.where(either > 0, both / either, 1.0))
    return torch.cat(found).mean().item()
