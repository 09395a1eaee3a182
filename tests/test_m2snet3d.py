"""M2SNet in three dimensions: the units against dense convolutions and by hand, the network against its equations."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from m2s.encoders import DEPTHS, ResNet3D
from m2s.errors import InputError
from m2s.features.capture import capture
from m2s.m2snet import M2SNet3D, MSNet3D
from m2s.units import MultiScaleDifference, PaperFilter, ReleasedFilter, SubtractionUnit, fixed_kernel

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def small(**options) -> M2SNet3D:
    """The network that is quickest on 32³ voxels."""
    torch.manual_seed(0)
    return M2SNet3D("resnet10", first_stride=2, **options)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("filter", ["ones", "gaussian"])
@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("training", [True, False])
def test_fast_filter_is_the_dense_one_in_outputs_gradients_and_statistics(size, training, filter):
    torch.manual_seed(size)
    fast = ReleasedFilter(6, size, filter, dims=3).double()
    dense = nn.Conv3d(6, 6, size, padding=size // 2, bias=False).double()
    dense.weight.data = fast.kernel.repeat(6, 6, 1, 1, 1)
    norm = nn.BatchNorm3d(6).double()
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    for values in (norm.bias, norm.running_mean):
        nn.init.normal_(values)
    nn.init.uniform_(norm.running_var, 0.5, 1.5)
    fast.norm.load_state_dict(norm.state_dict())
    fast.train(training), norm.train(training)
    inputs = [torch.rand(2, 6, 7, 6, 5, dtype=torch.float64)]
    inputs.append(inputs[0].clone())
    for x in inputs:
        x.requires_grad_()
    outputs = [fast(inputs[0]), F.relu(norm(dense(inputs[1])))]
    torch.testing.assert_close(*outputs, **EXACT)
    weight = torch.randn_like(outputs[0])
    for output in outputs:
        (output * weight).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, **EXACT)
    for name, parameter in fast.norm.named_parameters():
        torch.testing.assert_close(parameter.grad, dict(norm.named_parameters())[name].grad, **EXACT)
    for name, statistic in fast.norm.named_buffers():
        torch.testing.assert_close(statistic, dict(norm.named_buffers())[name], **EXACT)


def test_box_sum_by_hand():
    box = PaperFilter(1, 3, dims=3)(torch.ones(1, 1, 3, 3, 3))[0, 0]
    # Inside 27 voxels are in the box, on a face 18, on an edge 12, in a corner 8.
    assert (box[1, 1, 1], box[0, 1, 1], box[0, 0, 1], box[0, 0, 0]) == (27, 18, 12, 8)
    x = torch.zeros(1, 2, 5, 5, 5)
    x[0, 0, 1, 2, 3] = 2.0
    difference = MultiScaleDifference(2, (1, 3), wiring="paper", dims=3)(x, torch.zeros_like(x))
    expected = torch.zeros(5, 5, 5)
    expected[0:3, 1:4, 2:5] = 2.0
    expected[1, 2, 3] = 4.0  # the centre once more, from the 1×1×1 filter
    torch.testing.assert_close(difference[0, 0], expected)
    assert difference[0, 1].abs().max() == 0


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_both_filters_have_the_same_sum_and_are_symmetric(size):
    for filter in ("ones", "gaussian"):
        kernel = fixed_kernel(size, filter, dims=3)
        assert kernel.shape == (size,) * 3
        assert kernel.sum().item() == pytest.approx(size**3)
        for axis in range(3):
            torch.testing.assert_close(kernel, kernel.flip(axis))
        torch.testing.assert_close(kernel, kernel.permute(2, 0, 1))
    plane = kernel.sum(0) / size  # a Gaussian is the product of its axes
    torch.testing.assert_close(plane, fixed_kernel(size, "gaussian"))


@pytest.mark.parametrize("wiring", ["released", "paper"])
def test_difference_is_symmetric_and_zero_for_equal_features(wiring):
    a, b = torch.rand(2, 1, 4, 6, 5, 6)
    difference = MultiScaleDifference(4, wiring=wiring, dims=3).eval()
    torch.testing.assert_close(difference(a, b), difference(b, a))
    assert difference(a, a).abs().max() == 0
    assert difference(a, b).min() >= 0 and difference(a, b).max() > 0


def test_subtraction_unit_is_equation_1():
    unit = SubtractionUnit(4, dims=3).eval()
    deep, shallow = torch.rand(1, 4, 3, 2, 3), torch.rand(1, 4, 6, 4, 5)
    up = F.interpolate(deep, (6, 4, 5), mode="trilinear", align_corners=False)
    torch.testing.assert_close(unit(deep, shallow), unit.conv((up - shallow).abs()))


def test_every_node_is_that_of_the_equations_written_by_hand():
    """The released wiring once more, with dense 3-D filters and nothing of m2s but the weights."""
    model = small(num_classes=3).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5), nn.init.normal_(module.bias)
    model = model.double()
    for k, filter in model.difference.filters.items():
        if k != "1":  # box sums over all channels are large
            filter.norm.running_mean.fill_(64.0), filter.norm.running_var.fill_(1e4)
    x = torch.randn(1, 1, 32, 33, 39, dtype=torch.float64)
    near = {"rtol": 1e-9, "atol": 1e-9}  # sums of thousands of terms, five orders on top of each other

    def up(a, b):
        return F.interpolate(a, b.shape[2:], mode="trilinear", align_corners=False)

    def f(k, a):
        if k == 1:
            return a
        norm = model.difference.filters[str(k)].norm
        a = F.conv3d(a, torch.ones(64, 64, k, k, k, dtype=torch.float64), padding=k // 2)
        return F.relu(F.batch_norm(a, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps))

    with torch.no_grad():
        body, e = model.encoder.body, {}
        e[1] = F.max_pool3d(F.relu(body.bn1(body.conv1(x))), 3, 2, 1)
        for i in range(1, 5):
            e[i + 1] = body.get_submodule(f"layer{i}")(e[i])
        ms = {(1, 1): e[1]} | {(1, i): model.reduce[str(i)](e[i]) for i in range(2, 6)}
        for n in range(2, 6):
            for i in range(1, 7 - n):
                a, b = ms[n - 1, i + 1], ms[n - 1, i]
                a = up(model.before_last_unit(a) if n == 5 else a, b)
                ms[n, i] = model.units[f"{n}^{i}"].conv(sum((f(k, a) - f(k, b)).abs() for k in (1, 3, 5)))
        for node, value in model.pyramid(model.encoder(x)).items():
            torch.testing.assert_close(value, ms[node], **near)
        ce = {i: model.enhance[str(i)](sum(ms[n, i] for n in range(2, 7 - i))) for i in (1, 2, 3)}
        ce |= {4: ms[2, 4], 5: model.enhance["5"](e[5])}
        d = ce[5]
        for i in (4, 3, 2):
            d = model.decode[str(i)](up(d, ce[i]) + ce[i])
        logits = up(model.head(up(d, ce[1]) + ce[1]), x)
        torch.testing.assert_close(model(x), logits, **near)
    assert logits.std() > 1e-3


def test_paper_wiring_has_the_parts_of_equation_3():
    model = small(wiring="paper")
    levels = model.encoder(torch.randn(2, 1, 32, 32, 32))
    ms = model.pyramid(levels)
    ce = model.complement(levels, ms)
    for i in range(1, 6):
        torch.testing.assert_close(ce[i], model.enhance[str(i)](sum(ms[n, i] for n in range(1, 7 - i))))
    assert not list(model.difference.parameters())


def test_msnet3d_is_m2snet3d_with_the_1x1_filter_alone():
    x = torch.randn(2, 1, 32, 32, 32)
    models = [small(kernels=(1,)).eval()]
    torch.manual_seed(0)
    models.append(MSNet3D("resnet10", first_stride=2).eval())
    torch.testing.assert_close(models[0](x), models[1](x), rtol=0, atol=0)
    assert parameters(models[1]) == parameters(small()) - 4 * 64  # two norms of the shared filters


@pytest.mark.parametrize(
    ("encoder", "count"),
    [("resnet10", 18_787_138), ("resnet18", 37_591_618), ("resnet34", 67_901_250), ("resnet50", 58_217_538)],
)
def test_parameters(encoder, count):
    with torch.device("meta"):
        assert parameters(M2SNet3D(encoder)) == count
        assert parameters(M2SNet3D(encoder, in_channels=2)) == count + 7**3 * 64
        assert parameters(M2SNet3D(encoder, num_classes=3)) == count + 27 * 64 + 1


@pytest.mark.parametrize(("first_stride", "strides"), [(1, (2, 2, 4, 8, 16)), (2, (4, 4, 8, 16, 32))])
@pytest.mark.parametrize("name", DEPTHS)
def test_five_levels_at_their_strides(name, first_stride, strides):
    with torch.device("meta"):
        encoder = ResNet3D(name, first_stride=first_stride)
        levels = encoder(torch.empty(1, 1, 64, 32, 96))
    assert [tuple(level.shape[1:]) for level in levels] == [
        (c, 64 // s, 32 // s, 96 // s) for c, s in zip(encoder.channels, strides, strict=True)
    ]


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_no_shortcut_of_the_encoder_cuts_the_gradient(name):
    encoder = ResNet3D(name, first_stride=2).eval()
    for block in (m for m in encoder.modules() if hasattr(m, "downsample")):
        last = block.bn3 if name == "resnet50" else block.bn2
        nn.init.zeros_(last.weight)  # the branch gives nothing: only the shortcut leads down
    encoder(torch.randn(1, 1, 16, 16, 16))[-1].square().sum().backward()
    assert encoder.body.conv1.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "options", [{}, {"wiring": "paper"}, {"unit": "addition"}, {"kernels": (3,), "filter": "gaussian"}]
)
def test_every_parameter_trains(options):
    model = small(in_channels=2, deep_supervision=True, **options)
    outputs = model(torch.randn(2, 2, 32, 33, 32))
    assert [tuple(o.shape) for o in outputs] == [(2, 2, 32, 33, 32)] * 4
    sum(o.square().mean() for o in outputs).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.eval()(torch.randn(1, 2, 32, 33, 32)).shape == (1, 2, 32, 33, 32)


@pytest.mark.parametrize("wiring", ["released", "paper"])
@pytest.mark.parametrize("orders", [1, 2, 4])
def test_orders_cut_the_triangle(orders, wiring):
    model = small(wiring=wiring, orders=orders).eval()
    with torch.no_grad():
        levels = model.encoder(torch.randn(1, 1, 32, 32, 32))
        ms = model.pyramid(levels)
        ce = model.complement(levels, ms)
    assert set(ms) == {(n, i) for n in range(1, orders + 1) for i in range(1, 7 - n)}
    assert sorted(ce) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("size", [(16, 16, 16), (17, 35, 23), (36, 50, 35)])
def test_any_size(size):
    model = M2SNet3D("resnet10", num_classes=3).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 1, *size)).shape == (1, 3, *size)
    assert (model.mean, model.std) == ((0.0,), (1.0,)) and model.weights_source.startswith("random")


def test_user_errors():
    with pytest.raises(InputError, match="unknown 3-D encoder 'resnet19': did you mean resnet1"):
        M2SNet3D("resnet19")
    with pytest.raises(InputError, match="first_stride 3"):
        M2SNet3D(first_stride=3)
    with pytest.raises(InputError, match="style 'aspp' exists in 2-D only"):
        M2SNet3D("resnet10", style="aspp")
    with pytest.raises(InputError, match="volume of 32×31×32 voxels: the network needs at least 32×32×32"):
        small()(torch.zeros(1, 1, 32, 31, 32))
    model = small().eval()
    with pytest.raises(InputError, match=r"takes volumes \(N, 1, D, H, W\)"):
        model(torch.zeros(1, 2, 32, 32, 32))
    with pytest.raises(InputError, match=r"input \(1, 3, 64, 64\): this network takes volumes"):
        capture(model, np.zeros((64, 64, 3), np.uint8))
