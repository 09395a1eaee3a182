"""ASPP and DenseASPP in the subtraction units: shapes, wiring by hand, the printed parameters, training."""

import pytest
import torch

import m2s
from m2s.aspp import ASPP, STYLES, DenseASPP
from m2s.errors import InputError
from m2s.units import ConvBNReLU

LEARNED = ("aspp", "denseaspp")


def parameters(module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("module", [ASPP, DenseASPP])
@pytest.mark.parametrize("size", [(2, 3), (24, 17)])
def test_keeps_the_shape_and_learns_everywhere(module, size):
    context = module(8)
    x = torch.randn(2, 8, *size, requires_grad=True)
    y = context(x)
    assert y.shape == x.shape
    y.square().sum().backward()
    assert all(p.grad is not None for p in context.parameters()) and x.grad.abs().sum() > 0


def test_aspp_is_the_sum_of_its_branches_at_their_rates():
    context = ASPP(4, rates=(1, 2)).eval()
    assert [branch[0].dilation for branch in context.branches] == [(1, 1), (2, 2)]
    x = torch.randn(1, 4, 9, 9)
    torch.testing.assert_close(context(x), context.branches[0](x) + context.branches[1](x))


def test_denseaspp_gives_each_layer_all_outputs_before_it():
    context = DenseASPP(4, rates=(3, 6, 12)).eval()
    x = torch.randn(1, 4, 9, 9)
    first = context.layers[0](x)
    second = context.layers[1](torch.cat([x, first], 1))
    third = context.layers[2](torch.cat([x, first, second], 1))
    torch.testing.assert_close(context(x), first + second + third)


@pytest.mark.parametrize(("style", "millions"), [("subtraction", 27.7), ("aspp", 29.2), ("denseaspp", 29.6)])
def test_parameters_are_the_printed_ones(style, millions):
    with torch.device("meta"):
        model = m2s.create_model("m2snet", "res2net50d", pretrained=False, style=style)
    assert round(parameters(model) / 1e6, 1) == millions


@pytest.mark.parametrize("style", LEARNED)
def test_the_module_stands_between_difference_and_convolution(style):
    model = m2s.create_model("m2snet", "test_efficientnet", pretrained=False, style=style).eval()
    with torch.no_grad():
        ms = model.pyramid(model.encoder(torch.randn(1, 3, 64, 64)))
        context, conv = model.units["3^2"]
        difference = (torch.nn.functional.interpolate(ms[2, 3], ms[2, 2].shape[-2:], mode="bilinear") - ms[2, 2]).abs()
        torch.testing.assert_close(ms[3, 2], conv(context(difference)))
    assert isinstance(conv, ConvBNReLU)
    assert parameters(model) > parameters(m2s.create_model("m2snet", "test_efficientnet", pretrained=False))


@pytest.mark.parametrize("style", LEARNED)
@pytest.mark.parametrize("wiring", ["released", "paper"])
def test_trains(style, wiring):
    model = m2s.create_model("m2snet", "test_efficientnet", pretrained=False, style=style, wiring=wiring)
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("style", LEARNED)
@pytest.mark.parametrize("option", [{"kernels": (1, 3)}, {"filter": "gaussian"}, {"unit": "addition"}])
def test_a_learned_style_takes_no_options_of_the_filters(style, option):
    with pytest.raises(InputError, match=f"style '{style}' replaces the filters"):
        m2s.create_model("m2snet", "test_efficientnet", pretrained=False, style=style, **option)


def test_unknown_style():
    assert set(STYLES) == {"subtraction", *LEARNED}
    with pytest.raises(InputError, match="unknown style 'asp': did you mean aspp"):
        m2s.create_model("m2snet", "test_efficientnet", pretrained=False, style="asp")
