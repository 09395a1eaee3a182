"""SegMamba and H-vmunet: the selective scan against its recurrence; counts, directions, shapes, gradients, learning."""

import copy

import pytest
import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from m2s.baselines.hvmunet import SS2D, Block, HVMUNet, Local
from m2s.baselines.segmamba import MambaEncoder, SegMamba2D, TriMamba, segmamba
from m2s.baselines.selective_scan import LinearRecurrence, StateSpace, interleave, selective_scan
from m2s.errors import InputError

IMAGE_NETWORKS = [(HVMUNet, {"width": 4}), (SegMamba2D, {"width": 4})]
EVERY = [*IMAGE_NETWORKS, (segmamba, {"width": 4})]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def parameters(model) -> int:
    return sum(p.numel() for p in model.parameters())


def step_by_step(u, delta, a, b, c):
    h, y = torch.zeros(u.shape[0], *a.shape, dtype=u.dtype), []
    for t in range(u.shape[1]):
        h = torch.exp(delta[:, t, ..., None] * a) * h + (delta[:, t] * u[:, t])[..., None] * b[:, t, ..., None, :]
        y.append((h @ c[:, t, ..., None])[..., 0])
    return torch.stack(y, 1)


def scan_inputs(length: int, sequences: tuple[int, ...] = (), dtype=torch.float64):
    u, b, c = (torch.randn(2, length, *sequences, n, dtype=dtype) for n in (3, 4, 4))
    delta, a = F.softplus(torch.randn_like(u)), -torch.rand(*sequences, 3, 4, dtype=dtype)
    return [x.requires_grad_() for x in (u, delta, a, b, c)]


@pytest.mark.parametrize("sequences", [(), (2,)])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 201])
def test_the_scan_is_the_recurrence_and_so_are_its_gradients(length, sequences):
    inputs, weight = scan_inputs(length, sequences), torch.randn(2, length, *sequences, 3, dtype=torch.float64)
    ours, reference = selective_scan(*inputs), step_by_step(*inputs)
    torch.testing.assert_close(ours, reference, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad((y * weight).sum(), inputs) for y in (ours, reference)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


def test_first_and_second_derivatives():
    assert gradcheck(selective_scan, scan_inputs(5))
    recurrence = [torch.rand(1, 5, 2, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert gradgradcheck(LinearRecurrence.apply, recurrence)


def test_long_sequences_stay_accurate():
    exact = scan_inputs(20_000)
    single = [x.detach().float() for x in exact]
    with torch.no_grad():
        torch.testing.assert_close(selective_scan(*single).double(), selective_scan(*exact), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("delta", [0.0, 1e-6, 1e4])
def test_states_that_never_or_at_once_forget(delta):
    u, _, a, b, c = scan_inputs(1000, dtype=torch.float32)
    inputs = [u, torch.full_like(u, delta).requires_grad_(), a, b, c]
    y = selective_scan(*inputs)
    torch.testing.assert_close(y, step_by_step(*inputs), rtol=1e-3, atol=1e-3 * delta)
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(y.square().mean(), inputs))


def test_half_precision_is_left_for_the_states():
    inputs = [x.detach().bfloat16() for x in scan_inputs(50, dtype=torch.float32)]
    assert torch.equal(selective_scan(*inputs), selective_scan(*(x.float() for x in inputs)))


def test_state_space_starts_with_the_step_sizes_and_decays_of_mamba():
    block = StateSpace(channels=40, sequences=2)
    assert block.sizes == (3, 16, 16)
    delta = F.softplus(block.bias)
    assert 0.001 <= delta.min() < 0.01 < delta.max() <= 0.1
    torch.testing.assert_close(block.log_a.exp(), torch.arange(1.0, 17).expand(2, 80, 16))


def test_interleaving_reads_the_columns_of_an_image_and_can_be_undone():
    tokens = torch.arange(6).view(1, 6, 1)  # two rows of three
    columns = interleave(tokens, 2)
    assert columns.flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert torch.equal(interleave(columns, 3), tokens)


def test_tri_mamba_reads_the_tokens_in_three_orders():
    mamba, x, slices = TriMamba(4).double(), torch.randn(1, 6, 4, dtype=torch.float64), 2
    u, gate = mamba.widen(x).chunk(2, -1)
    total = torch.zeros_like(u)
    for i, order in enumerate([[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [0, 3, 1, 4, 2, 5]]):
        own = slice(8 * i, 8 * (i + 1))
        y = u[:, order].mT
        y = F.conv1d(F.pad(y, (3, 0)), mamba.conv.weight[own], mamba.conv.bias[own], groups=8).mT
        states = copy.deepcopy(mamba.states)
        for name, parameter in mamba.states.named_parameters():
            setattr(states, name, nn.Parameter(parameter[i : i + 1]))
        total[:, order] += states(F.silu(y)[:, :, None])[:, :, 0]
    torch.testing.assert_close(mamba(x, slices), mamba.out(total * F.silu(gate)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "order"),
    [(lambda x: x.mT, [1, 0, 3, 2]), (lambda x: x.flip(2, 3), [2, 3, 0, 1])],
    ids=["transposed", "turned by 180°"],
)
def test_ss2d_scans_rows_and_columns_both_ways(change, order):
    """A changed image gives the changed result, where the directions change their weights accordingly."""
    scan, x = SS2D(4).double(), torch.randn(2, 4, 3, 5, dtype=torch.float64)
    other = copy.deepcopy(scan)
    other.conv.weight = nn.Parameter(change(scan.conv.weight))
    for name, parameter in scan.states.named_parameters():
        setattr(other.states, name, nn.Parameter(parameter[order]))
    torch.testing.assert_close(other(change(x)), change(scan(x)), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(scan(change(x)), change(scan(x)))


def test_half_of_the_gates_see_all_pixels():
    local, x = Local(8), torch.randn(1, 8, 9, 9, requires_grad=True)
    seen = []
    local.norm_out.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[0].unbind(1)))
    local(x)
    pixels = [int(torch.autograd.grad(y[0, 4, 4], x, retain_graph=True)[0].any(1).sum()) for y in seen]
    assert pixels == [9, 81] * 4


def test_parameters_of_segmamba():
    with torch.device("meta"):
        assert parameters(segmamba()) == 67_363_262
        assert parameters(segmamba(num_classes=4, in_channels=4)) == 67_416_196
        assert parameters(segmamba(width=16)) == 7_596_446
        encoder = MambaEncoder(1)
        assert parameters(SegMamba2D()) == 26_498_785
    assert parameters(encoder) == 15_668_688
    layers = [parameters(stage[1].mambas) + parameters(stage[1].norms) for stage in encoder.stages]
    assert layers == [62_976, 188_160, 625_152, 2_245_632]


def test_parameters_of_hvmunet():
    with torch.device("meta"):
        model = HVMUNet()
    assert parameters(model) == 8_569_231
    assert parameters(model.bridge) == 61_854
    # In the authors' network each Local has a complex spectral weight for its second half too, which nothing uses.
    cells = {2: 14 * 8, 3: 14 * 8, 4: 24 * 13, 5: 12 * 7}
    unused = 0
    for block in (m for m in model.modules() if isinstance(m, Block)):
        gates = block.branches[0][1]
        unused += 2 * gates.context.near.in_channels * cells[len(gates.widths)]
    assert parameters(model) + unused == 8_972_623


@pytest.mark.parametrize(("network", "options"), IMAGE_NETWORKS)
def test_logits_have_the_size_of_the_image(network, options):
    model = network("res2net50d", pretrained=False, num_classes=3, **options).eval()  # the encoder's name is not used
    assert len(model.mean) == len(model.std) == 3
    assert model.weights_source.startswith("random")
    assert not list(model.encoder.parameters())
    with pytest.raises(InputError, match="at least 32×32"):
        model(torch.zeros(1, 3, 31, 64))
    with torch.no_grad():
        for height, width in ((32, 32), (33, 47), (64, 32)):
            assert model(torch.randn(1, 3, height, width)).shape == (1, 3, height, width)


@pytest.mark.parametrize(("network", "options"), EVERY)
def test_every_weight_learns(network, options):
    model = network(num_classes=3, **options)
    for part in model.modules():
        if isinstance(part, DropPath):
            part.drop_prob = 0  # a branch that is left out by chance does not learn
    # Two pixels or voxels a side, at least, at the bottom: a sequence of one has nothing to forget.
    sides = (32, 32, 32) if network is segmamba else (64, 64)
    model(torch.randn(2, 1 if network is segmamba else 3, *sides)).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.ndim == 1 or parameter.grad.any(), name  # a bias before a norm has no effect


@pytest.mark.parametrize(("network", "options"), EVERY)
def test_learns_eight_squares(network, options):
    model = network(num_classes=1, **options)
    sides = (16, 32, 16) if network is segmamba else (32, 32)
    masks = torch.zeros(8, 1, *sides)
    for i, mask in enumerate(masks):
        mask[..., 4 + i : 20 + i, 4:12] = 1
    images = masks.repeat(1, 1 if network is segmamba else 3, *[1 for _ in sides]) + 0.3 * torch.randn_like(masks)
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=0.03), []
    while len(losses) < 12 and (not losses or losses[-1] > losses[0] / 2):
        losses.append(F.binary_cross_entropy_with_logits(model(images), masks))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 2


def test_user_errors():
    with pytest.raises(InputError, match="volume of 32×40×32 voxels: SegMamba takes sides that are multiples of 16"):
        segmamba(width=4)(torch.zeros(1, 1, 32, 40, 32))
    with pytest.raises(InputError, match="width=6: give a multiple of 4"):
        HVMUNet(width=6)
    with pytest.raises(InputError, match="width=0: give 1 or more channels"):
        segmamba(width=0)
