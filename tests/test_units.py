"""The units: what Eq. 1 and 2 say on tiny tensors, and the fast filters against the dense form."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import m2s
from m2s.features.cost import DenseFilter, with_dense_filters
from m2s.m2snet import M2SNet
from m2s.units import ConvBNReLU, MultiScaleDifference, PaperFilter, ReleasedFilter, fixed_kernel


@pytest.mark.parametrize("size", [3, 5, 7, 9])
@pytest.mark.parametrize("training", [True, False])
def test_fast_filter_is_the_dense_one_in_outputs_gradients_and_statistics(size, training):
    torch.manual_seed(size)
    fast = ReleasedFilter(8, size).double()
    nn.init.uniform_(fast.norm.weight, 0.5, 1.5)
    nn.init.normal_(fast.norm.bias)
    nn.init.normal_(fast.norm.running_mean)  # a checkpoint may hold other statistics for every channel
    nn.init.uniform_(fast.norm.running_var, 0.5, 1.5)
    dense = DenseFilter(fast)
    fast.train(training), dense.train(training)
    inputs = [torch.rand(2, 8, 11, 7, dtype=torch.float64)]
    inputs.append(inputs[0].clone())
    outputs = [module(x.requires_grad_()) for module, x in zip((fast, dense), inputs, strict=True)]
    torch.testing.assert_close(*outputs)
    weight = torch.randn_like(outputs[0])
    for output in outputs:
        (output * weight).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for name, parameter in fast.norm.named_parameters():
        torch.testing.assert_close(parameter.grad, dict(dense.norm.named_parameters())[name].grad)
    for name, statistic in fast.norm.named_buffers():
        torch.testing.assert_close(statistic, dict(dense.norm.named_buffers())[name])


def test_fast_filter_without_a_momentum_keeps_the_mean_over_all_batches():
    fast = ReleasedFilter(3, 3).train()
    fast.norm.momentum = None
    dense = DenseFilter(fast).train()
    for _ in range(3):
        x = torch.rand(2, 3, 6, 5)
        torch.testing.assert_close(fast(x), dense(x))
    torch.testing.assert_close(fast.norm.running_mean, dense.norm.running_mean)
    torch.testing.assert_close(fast.norm.running_var, dense.norm.running_var)


def test_fast_network_is_the_dense_one():
    model = M2SNet("resnet18", pretrained=False).double()
    image = torch.randn(2, 3, 96, 64, dtype=torch.float64)
    dense = with_dense_filters(model)
    torch.testing.assert_close(model(image), dense(image))  # this pass updates the running statistics of both
    torch.testing.assert_close(model.eval()(image), dense.eval()(image))


def test_every_channel_of_the_all_one_convolution_is_the_same_map():
    dense = DenseFilter(ReleasedFilter(6, 3))
    maps = torch.conv2d(torch.rand(1, 6, 5, 5), dense.weight, padding=1)
    torch.testing.assert_close(maps, maps[:, :1].expand_as(maps))


def test_subtraction_unit_is_equation_1():
    unit = m2s.SubtractionUnit(4).eval()
    deep, shallow = torch.rand(1, 4, 3, 3), torch.rand(1, 4, 6, 6)
    up = nn.functional.interpolate(deep, (6, 6), mode="bilinear", align_corners=False)
    torch.testing.assert_close(unit(deep, shallow), unit.conv((up - shallow).abs()))
    assert len(list(unit.parameters())) == 4  # the convolution and its BatchNorm, nothing else


def test_units_that_share_a_difference_do_not_own_it():
    shared = MultiScaleDifference(4)
    model = nn.ModuleDict({"difference": shared, "unit": m2s.MultiScaleSubtractionUnit(4, shared=shared)})
    assert set(model["unit"].state_dict()) == set(ConvBNReLU(4, 4).state_dict())
    copied = copy.deepcopy(model).eval()
    assert copied["unit"].difference is copied["difference"] is not shared
    deep, shallow = torch.rand(1, 4, 3, 3), torch.rand(1, 4, 6, 6)
    alone = m2s.MultiScaleSubtractionUnit(4).eval()
    assert alone.load_state_dict(model["unit"].state_dict(), strict=False).unexpected_keys == []
    torch.testing.assert_close(alone(deep, shallow), copied["unit"](deep, shallow))


def test_paper_difference_by_hand():
    a, b = torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)
    a[0, 0, 1, 1] = 2.0  # one pixel of one channel differs by 2
    difference = MultiScaleDifference(2, (1, 3), wiring="paper")(a, b)
    expected = torch.full((3, 3), 2.0)
    expected[1, 1] = 4.0  # the centre once more, from the 1×1 filter
    torch.testing.assert_close(difference[0, 0], expected)
    assert difference[0, 1].abs().max() == 0  # filters of the paper's form do not mix channels


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), wiring=st.sampled_from(["released", "paper"]))
def test_difference_is_symmetric_and_zero_for_equal_features(seed, wiring):
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.rand(2, 1, 4, 6, 6, generator=generator)
    difference = MultiScaleDifference(4, wiring=wiring).eval()
    torch.testing.assert_close(difference(a, b), difference(b, a))
    assert difference(a, a).abs().max() == 0
    assert (difference(a, b) >= 0).all()


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_both_filters_have_the_same_sum_and_are_symmetric(size):
    for filter in ("ones", "gaussian"):
        kernel = fixed_kernel(size, filter)
        assert kernel.sum().item() == pytest.approx(size**2)
        torch.testing.assert_close(kernel, kernel.flip(0))
        torch.testing.assert_close(kernel, kernel.T)
    if size > 1:
        assert fixed_kernel(size, "gaussian")[size // 2, size // 2] > 1


def test_paper_filter_has_no_parameter_and_no_state():
    assert not PaperFilter(4, 3).state_dict()


@pytest.mark.parametrize("wiring", ["released", "paper"])
@pytest.mark.parametrize("training", [False, True])
def test_the_compiler_sees_a_unit_as_one_graph(wiring, training):
    # A call that it cannot follow cuts a network into dozens of pieces, and compiling gains little.
    torch.compiler.reset()
    unit = m2s.MultiScaleSubtractionUnit(8, wiring=wiring).train(training)
    compiled = torch.compile(unit, fullgraph=True, backend="eager")
    with torch.set_grad_enabled(training):
        assert compiled(torch.rand(2, 8, 4, 4), torch.rand(2, 8, 8, 8)).isfinite().all()
