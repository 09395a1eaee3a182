"""U-Net, nnU-Net, TinyU-Net, CMUNeXt, UNeXt, MobileViT, RepViT, Swin-Unet, MedT: counts, shapes, gradients."""

import pytest
import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import nn

from m2s.baselines.classic_unet import ClassicUNet, Gate
from m2s.baselines.cmunext import CMUNeXt
from m2s.baselines.medt import AxialAttention, MedT, from_patches, to_patches
from m2s.baselines.mobilevit_s import mobilevit_s
from m2s.baselines.nnunet2d import NNUNet2D
from m2s.baselines.repvit_m3 import repvit_m3
from m2s.baselines.swinunet import SwinUNet
from m2s.baselines.tinyunet import CMRF, TinyUNet
from m2s.baselines.unext import ShiftedMLP, UNeXt, shift
from m2s.errors import InputError
from m2s.losses import SegmentationLoss

NETWORKS = {
    "classic_unet": (ClassicUNet, {"width": 16}),
    "classic_unet + gates": (ClassicUNet, {"width": 16, "gates": True}),
    "classic_unet + LMS": (ClassicUNet, {"width": 16, "lms": True}),
    "nnunet2d": (NNUNet2D, {"halvings": 3}),
    "tinyunet": (TinyUNet, {}),
    "tinyunet + LMS": (TinyUNet, {"lms": True}),
    "cmunext": (CMUNeXt, {}),
    "unext": (UNeXt, {}),
    "mobilevit_s": (mobilevit_s, {}),
    "repvit_m3": (repvit_m3, {}),
    "swinunet": (SwinUNet, {"window": 2}),
    "medt": (MedT, {"size": 64}),
}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("network", "options", "count", "printed"),
    [
        # LGMSNet's Table 1 cuts off what does not fit (U-Net is 34.52 M there and 34.53 M in Table 6), hence 0.01.
        (ClassicUNet, {}, 34_527_041, 34.53),
        (ClassicUNet, {"lms": True}, 17_330_081, 17.33),
        (ClassicUNet, {"gates": True}, 34_878_573, 34.87),  # Attention U-Net
        (TinyUNet, {}, 481_105, 0.48),
        (TinyUNet, {"lms": True}, 690_937, 0.691),
        (CMUNeXt, {}, 3_149_185, 3.14),
        (UNeXt, {}, 1_471_921, 1.47),
        (NNUNet2D, {}, 26_100_993, 26.10),
        (repvit_m3, {}, 14_377_217, 14.37),
        (mobilevit_s, {}, 10_610_337, None),  # 10.66 printed, see its docstring
        (MedT, {}, 1_524_553, None),  # 1.37 printed, see below
        (SwinUNet, {}, 27_168_132, None),  # 27.14 printed, see the next test
    ],
)
def test_parameter_counts(network, options, count, printed):
    with torch.device("meta"):
        assert sum(p.numel() for p in network(**options).parameters()) == count
    assert printed is None or count / 1e6 == pytest.approx(printed, abs=0.01)


def test_swin_unet_has_the_printed_count_without_its_tables_of_positions():
    with torch.device("meta"):
        counts = {name: p.numel() for name, p in SwinUNet().named_parameters()}
    assert sum(n for name, n in counts.items() if "relative_position" not in name) == 27_145_824


def test_medt_has_the_published_count_with_the_layers_that_never_run():
    """The released class has a 1×1 convolution more in each local block and a second head; neither is called."""
    with torch.device("meta"):
        model = MedT()
    counts = {name: p.numel() for name, p in model.named_parameters()}
    widths = [block.body[0].conv.out_channels for blocks in model.patches.encode for block in blocks]
    assert sum(counts.values()) + sum(w * w + w for w in widths) + 17 == 1_560_106
    # LGMSNet's Table 1 prints 1.37 M: no queries, keys and values, no positions and no gates.
    left_out = ("qkv.0", "relative", "gates")
    assert sum(n for name, n in counts.items() if not any(part in name for part in left_out)) == 1_370_969


def test_a_gate_is_its_formula():
    gate, skip, up = Gate(6).eval(), torch.randn(2, 6, 5, 4), torch.randn(2, 6, 5, 4)
    alpha = gate.psi(torch.relu(gate.of_up(up) + gate.of_skip(skip))).sigmoid()
    assert alpha.shape == (2, 1, 5, 4)
    torch.testing.assert_close(gate(skip, up), torch.einsum("nhw,nchw->nchw", alpha[:, 0], skip))


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_have_the_size_of_the_image_and_every_weight_learns(name):
    network, options = NETWORKS[name]
    model = network("res2net50d", pretrained=False, num_classes=3, **options)  # the encoder's name is not used
    assert len(model.mean) == len(model.std) == 3
    assert model.weights_source.startswith("random")
    with pytest.raises(InputError, match="at least 32×32"):
        model(torch.zeros(1, 3, 31, 64))
    model.eval()
    for height, width in ((32, 32), (33, 47), (64, 96)):
        with torch.no_grad():
            assert model(torch.randn(1, 3, height, width)).shape == (1, 3, height, width)

    model.train()
    for part in model.modules():
        if isinstance(part, DropPath):
            part.drop_prob = 0  # a block that is left out by chance does not learn
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.uniform_(parameter)  # scales that start at zero keep what is before them from learning at first
    optimizer, loss = torch.optim.SGD(model.parameters(), lr=0.01), SegmentationLoss()
    image, mask = torch.randn(2, 3, 64, 64), torch.randint(3, (2, 1, 64, 64))
    loss(model(image), mask).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), key
        assert parameter.ndim == 1 or parameter.grad.any(), key  # a bias before a norm has no effect
    optimizer.step()
    assert loss(model(image), mask).isfinite()


def test_cmrf_adds_its_input_where_the_width_stays():
    x = torch.randn(2, 32, 8, 8)
    same, wider = CMRF(32, 32), CMRF(32, 64)
    for block in (same, wider):
        nn.init.zeros_(block.mix.bn.weight)
    assert torch.equal(same(x), x)
    assert not wider(x).any()


def test_each_part_of_cmrf_sees_further_than_the_one_before():
    block, x, seen = CMRF(8, 32).eval(), torch.randn(1, 8, 21, 21, requires_grad=True), []
    block.mix.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[0].chunk(8, 1)))
    block(x)
    for i, part in enumerate(seen):
        (gradient,) = torch.autograd.grad(part[..., 10, 10].sum(), x, retain_graph=True)
        rows = gradient.abs().amax((0, 1, 3)).nonzero().flatten()
        assert (rows.min(), rows.max()) == (10 - i, 10 + i)


@pytest.mark.parametrize("axis", [2, 3])
def test_shift_moves_five_groups_and_lets_zeros_in(axis):
    x = torch.randn(2, 12, 6, 7)  # not a multiple of five: the last group is smaller
    for group, moved, by in zip(x.chunk(5, 1), shift(x, axis).chunk(5, 1), range(-2, 3), strict=False):
        rolled = group.roll(by, axis)
        border = range(by) if by > 0 else range(x.shape[axis] + by, x.shape[axis])
        rolled.index_fill_(axis, torch.tensor(list(border), dtype=torch.long), 0)
        assert torch.equal(moved, rolled)


def test_the_shifted_mlp_mixes_along_both_axes():
    """Its depthwise 3×3 alone would see one pixel around; the shifts add two, along the width and along the height."""
    block, x = ShiftedMLP(10).eval(), torch.randn(1, 10, 11, 11, requires_grad=True)
    y = block.mix_height(shift(F.gelu(block.depthwise(block.mix_width(shift(x, 3)))), 2))
    (gradient,) = torch.autograd.grad(y[..., 5, 5].sum(), x)
    seen = gradient.abs().amax((0, 1)) > 0
    assert seen[2:9, 2:9].all()
    assert seen.sum() == 49


def test_nnunet_pads_small_images_and_crops():
    model, x = NNUNet2D(halvings=5).eval(), torch.randn(1, 3, 40, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(x), model(F.pad(x, (0, 0, 0, 24)))[..., :40, :])


def test_swin_unet_has_one_window_at_the_bottom_and_none_to_shift():
    with torch.device("meta"):
        model = SwinUNet(window=8)
    assert [len(stage.blocks) for stage in (*model.encoder.children(),)[1:]] == [2, 2, 2, 2]
    assert [block.shift_size for block in model.encoder.layers_3.blocks] == [(0, 0)] * 2
    assert [block.shift_size for block in model.encoder.layers_2.blocks] == [(0, 0), (4, 4)]
    assert [block.shift_size for block in model.decode[0].blocks] == [(0, 0), (4, 4)]


@pytest.mark.parametrize("axis", [2, 3])
def test_axial_attention_is_the_equation_on_each_line(axis):
    attend, x = AxialAttention(16, axis, length=5).eval(), torch.randn(1, 16, 5, 5)
    line = x[:, :, :, 1] if axis == 2 else x[:, :, 1]
    q, k, v = attend.qkv(line)[0].view(8, 4, 5).split([1, 1, 2], 1)
    r_q, r_k, r_v = attend.positions(5)
    g_q, g_k, g_v1, g_v2 = attend.gates
    y = torch.empty(8, 2, 5)
    for head in range(8):
        for i in range(5):
            a = sum(q[head, :, i, None] * k[head] + g_q * q[head, :, i, None] * r_q[:, i] + g_k * k[head] * r_k[:, i])
            y[head, :, i] = (a.softmax(0) * (g_v1 * v[head] + g_v2 * r_v[:, i])).sum(1)
    got = attend(x)[0, :, :, 1] if axis == 2 else attend(x)[0, :, 1]
    torch.testing.assert_close(got, y.flatten(0, 1), rtol=1e-3, atol=1e-4)  # the norms start as identity but for ε


def test_relative_positions_depend_on_the_offset_and_fit_any_length():
    attend = AxialAttention(16, 2, length=5)
    for length in (5, 8):
        r_q, _, r_v = attend.positions(length)
        assert r_v.shape == (2, length, length)
        assert torch.equal(r_v[:, 1:, 1:], r_v[:, :-1, :-1])
        assert torch.equal(r_q[0, -1, 0], attend.relative[0, -1])  # the largest offset


def test_medt_cuts_patches_and_puts_them_back():
    x = torch.randn(2, 3, 8, 12)
    patches = to_patches(x, 4)
    assert torch.equal(patches[1], x[0, :, :2, 3:6])
    assert torch.equal(from_patches(patches, 4), x)


@pytest.mark.parametrize(
    ("network", "options"), [(NNUNet2D, {"halvings": 0}), (SwinUNet, {"window": 1}), (MedT, {"size": 30})]
)
def test_options_out_of_range(network, options):
    with pytest.raises(InputError, match="give"):
        network(**options)
