"""Gradients written by hand: against finite differences, and against PyTorch's own of the formula."""

import copy
from functools import reduce
from operator import add

import pytest
import torch
from torch import nn

from m2s import gradients
from m2s.gradients import SumOfDifferences, filter_symmetric
from m2s.units import MultiScaleDifference, ReleasedFilter, fixed_kernel


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("identity", [True, False])
@pytest.mark.parametrize("rows", [5, 2048])
def test_sum_of_differences_has_the_gradient_of_finite_differences(identity, rows, monkeypatch):
    monkeypatch.setattr(gradients, "ROWS", rows)  # several slices, the last one shorter; or all in one
    maps = [random(2, 3, 2, 3, seed=seed) for seed in range(2)]
    scale = torch.tensor([1.5, -0.7, 0.3], dtype=torch.float64).requires_grad_()  # a negative one turns the sign
    filters = [random(2, 1, 2, 3, seed=2), random(2, 1, 2, 3, seed=3), scale, random(3, seed=4)]
    filters += [random(2, 1, 2, 3, seed=5), random(2, 1, 2, 3, seed=6), random(3, seed=7), random(3, seed=8)]
    assert torch.autograd.gradcheck(SumOfDifferences.apply, (identity, *maps, *filters))


@pytest.mark.parametrize("filter", ["ones", "gaussian"])
@pytest.mark.parametrize("dims", [2, 3])
def test_symmetric_filter_has_the_gradient_of_finite_differences(filter, dims):
    kernel = fixed_kernel(3, filter, dims).double().expand(2, 1, *[3] * dims)
    x = random(1, 2, *[4] * dims)
    assert torch.autograd.gradcheck(lambda x: filter_symmetric(x, kernel, training=True), (x,))
    torch.testing.assert_close(filter_symmetric(x, kernel, training=True), filter_symmetric(x, kernel))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("layout", ["channels-last", "channels-first"])
@pytest.mark.parametrize(("wiring", "kernels"), [("released", (1, 3, 5)), ("released", (3,)), ("paper", (1, 3, 5))])
def test_difference_in_training_is_the_formula_in_values_gradients_and_statistics(
    dims, layout, wiring, kernels, monkeypatch
):
    monkeypatch.setattr(gradients, "ROWS", 100)
    fast = MultiScaleDifference(4, kernels, "gaussian", wiring, dims=dims).double().train()
    for f in fast.filters.values():
        if isinstance(f, ReleasedFilter):
            nn.init.uniform_(f.norm.weight, -0.5, 1.5)
            nn.init.normal_(f.norm.bias)
    plain, inputs, results = copy.deepcopy(fast), [], []
    for form in (fast, plain):
        a, b = (random(2, 4, *[6] * dims, seed=seed) for seed in range(2))
        if layout == "channels-last":
            memory = torch.channels_last if dims == 2 else torch.channels_last_3d
            a, b = (x.detach().contiguous(memory_format=memory).requires_grad_() for x in (a, b))
        filters = form.filters.values()
        result = fast(a, b) if form is fast else reduce(add, ((f(a) - f(b)).abs() for f in filters))
        (result * random(*result.shape, seed=2).detach()).sum().backward()
        inputs.append((a, b))
        results.append(result)
    torch.testing.assert_close(*results)
    for x, y in zip(*inputs, strict=True):
        torch.testing.assert_close(x.grad, y.grad)
    for (name, x), y in zip(fast.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(x.grad, y.grad, msg=name)
    for x, y in zip(fast.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(x, y)


def test_difference_in_training_keeps_only_its_inputs_for_the_backward_pass():
    kept = []
    a, b = (torch.rand(1, 64, 8, 8, requires_grad=True) for _ in range(2))
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        MultiScaleDifference(64).train()(a, b)
    assert sorted(n for n in kept if n >= a.numel()) == [a.numel()] * 2
