"""One training by several processes, as ``torchrun`` starts them: each works on its share of every batch.

The result is that of one process, but for rounding: the batches are the same, batch normalisation takes its statistics
over the whole batch, and the first process alone writes and speaks.
"""

import gc
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode
from torch.utils.data import BatchSampler, Sampler

from m2s.errors import InputError, RunError, is_first_process

LONGEST_WAIT = timedelta(days=30)
"""For another process: while the first one scores, or waits for a run that is trained elsewhere, the others wait."""


def count_processes() -> int:
    """How many processes share each training; 1 without ``torchrun``."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def join_processes() -> Iterator[None]:
    """Make one group of the processes that ``torchrun`` has started; without it, nothing is done.

    Within it only the first process is heard. The group ends with the block.
    """
    if not dist.is_torchelastic_launched():
        yield
        return
    on_gpu, local = torch.cuda.is_available(), int(os.environ["LOCAL_RANK"])
    if on_gpu and local >= torch.cuda.device_count():
        told = f"{os.environ['LOCAL_WORLD_SIZE']} processes, but {torch.cuda.device_count()} GPUs"
        raise InputError(f"{told} on this machine: give torchrun --nproc-per-node as many as there are GPUs")
    if on_gpu:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=LONGEST_WAIT)
    with ExitStack() as stack:
        # A group that is still there when the interpreter ends makes gloo abort now and then.
        stack.callback(dist.destroy_process_group)
        stack.callback(gc.collect)
        if not is_first_process():
            nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(redirect_stderr(nowhere))
        try:
            yield
            dist.barrier()
        except RuntimeError as error:
            if "by peer" not in str(error):  # gloo's words for a connection that the other side has closed
                raise
            told = "another process of this training has ended; the finished epochs are kept"
            raise RunError(f"{told}, and the same command goes on from there") from error


def agree(value: Any) -> Any:
    """The first process's ``value``, in every process; all of them have to call this."""
    if count_processes() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


class Share(Sampler):
    """This process's part of every batch of the whole training; its sizes differ by one at most."""

    def __init__(self, batches: BatchSampler, size: int):
        """``size``: of all batches."""
        super().__init__()
        self.batches, self.size, self.count = batches, size, count_processes()
        if self.count > size:
            raise InputError(f"{self.count} processes for batches of {size}: give torchrun --nproc-per-node {size}")
        self.rank = dist.get_rank() if self.count > 1 else 0

    def __iter__(self) -> Iterator[list[int]]:
        return (batch[self.rank :: self.count] for batch in self.batches)

    def __len__(self) -> int:
        return len(self.batches)

    def weigh(self, images: int) -> float:
        """What a mean over ``images`` of this process counts, so that the mean over processes is that over all."""
        return images * self.count / self.size


def share_model(model: nn.Module) -> nn.Module:
    """The model that all processes train together: each backward pass ends with the mean of their gradients."""
    if count_processes() == 1:
        return model
    # Some networks have parts that an epoch does not use; without a gradient, their weights stay as they are.
    with warnings.catch_warnings():  # newer versions of torch call broadcast_buffers by another name
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=True)


def average(values: Tensor) -> Tensor:
    """The mean of ``values`` over the processes."""
    if (count := count_processes()) > 1:
        dist.all_reduce(values)
        values = values / count
    return values


@contextmanager
def share_statistics() -> Iterator[None]:
    """Within it, batch normalisation in training takes its statistics over the batches of all processes together."""
    with SharedStatistics() if count_processes() > 1 else nullcontext():
        try:
            yield
        except InputError as error:  # such as a broken mask, which this process alone has seen
            if not is_first_process():
                print(f"m2s: error: {error}", file=sys.__stderr__, flush=True)
            raise


class SharedStatistics(TorchFunctionMode):
    """Replaces ``F.batch_norm``, which every batch normalisation calls, that of the multi-scale filters too.

    ``torch.nn.SyncBatchNorm`` takes layers of its own kinds, and GPUs, only.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.batch_norm:
            return normalize_batch(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


class NormalizeBatch(torch.autograd.Function):
    """``F.batch_norm`` in training, over the batches of all processes: one sum over them forward, and one backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        """The normalised ``x`` of ``(N, C, …)``, mean and variance of ``(C)``, and how many values each is of."""
        mean, var = torch.ops.aten.batch_norm_update_stats(x, None, None, 0)  # (C), faster than torch.var_mean
        count = torch.tensor([x.numel() // x.shape[1]], dtype=torch.float64, device=x.device)
        mean, var = mean.double(), var.double()  # in which the squares may be subtracted
        sums = torch.cat([count, count * mean, count * (var + mean**2)])  # (1 + 2C)
        dist.all_reduce(sums)
        count, mean, square = sums[:1], *(sums[1:] / sums[:1]).chunk(2)
        mean, var = mean.to(weight.dtype), (square - mean**2).clamp_min(0).to(weight.dtype)
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.mark_non_differentiable(mean, var, count)
        ctx.eps = eps
        return F.batch_norm(x, mean, var, weight, bias, False, 0, eps), mean, var, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """The gradients; that of ``x`` goes through the statistics, too, which depend on the ``x`` of all processes."""
        x, weight, mean, var, count = ctx.saved_tensors
        # First as if the statistics were constants, by the fused function of torch.
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.cat([of_weight, of_bias]).double()  # (2C)
        dist.all_reduce(sums)
        slope, offset = (weight * (sums / count).to(weight.dtype).view(2, -1)).unbind()  # (C) each
        scale = torch.rsqrt(var + ctx.eps)
        of_x -= F.batch_norm(x, mean, var, slope * scale, offset * scale, False, 0, ctx.eps)
        return of_x, of_weight, of_bias, None


def normalize_batch(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``F.batch_norm`` of ``(N, C, …)``, with mean and variance over the ``N`` of all processes."""
    if not training:  # the mode is off here
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    weight = x.new_ones(x.shape[1]) if weight is None else weight
    bias = torch.zeros_like(weight) if bias is None else bias
    x, mean, var, count = NormalizeBatch.apply(x, weight, bias, eps)
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((var * count / (count - 1)).to(running_var.dtype), momentum)
    return x
