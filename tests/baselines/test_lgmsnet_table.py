"""UniRepLKNet, MISSFormer, UCTransNet, MADGNet, ERDUnet: counts, shapes, gradients, that they learn, their parts."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import m2s
from m2s.baselines.erdunet import DifferenceAttention, ERDUnet
from m2s.baselines.madgnet import FREQUENCIES, FrequencyAttention, MADGNet, Scale, cosine_maps
from m2s.baselines.missformer import Attention, BridgeLayer, MISSFormer, PatchExpand
from m2s.baselines.uctransnet import ChannelCrossAttention, Tokens, UCTransNet
from m2s.baselines.unireplknet import LargeKernel, UniRepLKNet
from m2s.errors import InputError
from m2s.losses import SegmentationLoss

TINY = "test_efficientnet"
NETWORKS = {
    "unireplknet": (UniRepLKNet, {"widths": (4, 8, 8, 16, 16), "depths": (1, 1, 1, 1)}),
    "missformer": (MISSFormer, {"width": 8}),
    "uctransnet": (UCTransNet, {"width": 4, "size": 64}),
    "madgnet": (MADGNet, {"width": 8}),
    "erdunet": (ERDUnet, {"width": 8}),
}
OUTPUTS = {"madgnet": 4, "erdunet": 3}
WITH_ENCODER = tuple(OUTPUTS)
NEVER_LEARN = {"erdunet": {f"up1.{i}.compare.maps.{j}.{k}" for i in (0, 1) for j in (0, 1) for k in ("weight", "bias")}}
"""No gradient passes a threshold."""


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def small(name: str, num_classes: int = 1) -> nn.Module:
    return m2s.create_model(name, TINY, pretrained=False, num_classes=num_classes, **NETWORKS[name][1])


@pytest.mark.parametrize(
    ("network", "options", "count", "printed"),
    [
        (UniRepLKNet, {}, 5_852_509, None),  # 5.83 printed, see the next test
        (MISSFormer, {}, 35_452_225, 35.45),
        (UCTransNet, {}, 66_430_657, None),  # 66.24 printed, see below
        (UCTransNet, {"size": 256}, 66_488_257, None),
        (MADGNet, {}, 31_555_684, 31.56),
        (ERDUnet, {}, 10_189_187, None),  # 10.21 printed, see below
    ],
)
def test_parameter_counts(network, options, count, printed):
    with torch.device("meta"):
        assert sum(p.numel() for p in network(pretrained=False, **options).parameters()) == count
    assert printed is None or count / 1e6 == pytest.approx(printed, abs=0.01)


@pytest.mark.parametrize(
    ("network", "left_out", "count"),
    [
        # LGMSNet's Table 1 prints 5.83, 66.24: parameters that belong to no convolution, linear layer or norm of torch.
        (UniRepLKNet, (".scale", ".branch.5."), 5_835_949),  # layer scales and global response norms
        (UCTransNet, (".positions",), 66_242_497),
    ],
)
def test_printed_counts_leave_something_out(network, left_out, count):
    with torch.device("meta"):
        counts = {name: p.numel() for name, p in network().named_parameters()}
    assert sum(n for name, n in counts.items() if not any(part in name for part in left_out)) == count


def test_erdunet_has_the_published_count_with_the_layers_whose_results_are_dropped():
    """In the halving from 32 to 64 channels: the pooled path, and a depthwise convolution."""
    pooled = (32 * 64 * 9 + 64) + (64 * 64 + 64) + 2 * 64
    depthwise = 64 * 9 + 64
    with torch.device("meta"):
        ours = sum(p.numel() for p in ERDUnet(pretrained=False).parameters())
    assert ours + pooled + depthwise == 10_212_611


def test_missformer_has_the_published_count_with_the_layers_that_never_run():
    with torch.device("meta"):
        model = MISSFormer()
    norms = [part.norm for part in model.modules() if hasattr(part, "depthwise")]  # of the Mix-FFNs
    unused = 2 * sum(p.numel() for norm in norms for p in norm.parameters())  # each has two more
    assert sum(p.numel() for p in model.parameters()) + unused + 6_895_104 == 42_462_017


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_have_the_size_of_the_image_and_every_weight_learns(name):
    model = small(name, num_classes=3)
    assert type(model) is NETWORKS[name][0]
    assert len(model.mean) == len(model.std) == 3
    assert model.weights_source.startswith("random")
    with pytest.raises(InputError, match="at least 32×32"):
        model(torch.zeros(1, 3, 31, 64))
    model.eval()
    for height, width in ((32, 32), (33, 47), (64, 96)):
        with torch.no_grad():
            assert model(torch.randn(1, 3, height, width)).shape == (1, 3, height, width)
            assert small(name).eval()(torch.randn(1, 3, height, width)).shape == (1, 1, height, width)

    model.train()
    for key, parameter in model.named_parameters():
        if not parameter.any() or key.endswith(".parts"):
            nn.init.uniform_(parameter)  # what starts at zero, or equal, keeps what is before it from learning at first
        if key.endswith(".fc1.bias"):
            nn.init.ones_(parameter)  # the few units of a small bottleneck must not all be below zero
    image, mask = torch.randn(2, 3, 64, 64), torch.randint(3, (2, 1, 64, 64))
    outputs = model(image)
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
    assert [output.shape for output in outputs] == [(2, 3, 64, 64)] * OUTPUTS.get(name, 1)
    SegmentationLoss()(outputs, mask).backward()
    for key, parameter in model.named_parameters():
        if key in NEVER_LEARN.get(name, ()):
            assert not parameter.requires_grad and parameter.grad is None, key
            continue
        assert parameter.grad.isfinite().all(), key
        assert parameter.ndim == 1 or parameter.grad.any(), key  # a bias before a norm has no effect


@pytest.mark.parametrize("name", NETWORKS)
def test_a_few_steps_halve_the_loss(name):
    model, loss = small(name).train(), SegmentationLoss()
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    centers = torch.randint(10, 22, (8, 2, 1, 1))
    mask = (((rows - centers[:, 0]) ** 2 + (columns - centers[:, 1]) ** 2) < 64)[:, None].float()
    image = mask * torch.tensor([2.0, -1.0, 1.0]).view(3, 1, 1) + 0.2 * torch.randn(8, 3, 32, 32)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.01 if name == "missformer" else 0.03), []
    while len(losses) < 20 and (not losses or losses[-1] > losses[0] / 2):
        outputs = model(image)
        losses.append(loss(outputs if isinstance(outputs, torch.Tensor) else outputs[0], mask))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] <= losses[0] / 2


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_all_outputs_in_training_one_in_evaluation_and_it_is_the_first(name):
    model = small(name).eval()
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        final = model(image)
        model.training = True  # as in evaluation, but for the list of outputs
        torch.testing.assert_close(model(image)[0], final)


def test_encoders_that_start_at_stride_4():
    model = MADGNet("test_convnext", pretrained=False, width=8).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 64, 96)).shape == (1, 1, 64, 96)
    assert len(model.train()(torch.randn(2, 3, 64, 64))) == 3
    with pytest.raises(InputError, match="no features at stride 2"):
        ERDUnet("test_convnext", pretrained=False)


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_as_in_training(name):
    model = small(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(torch.randn(2, 3, 32, 32).contiguous(memory_format=torch.channels_last))
    (logits if isinstance(logits, torch.Tensor) else logits[0]).float().square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (MISSFormer, {"width": 12}, "width=12: give a multiple of 8"),
        (UCTransNet, {"size": 100}, "size=100: give a multiple of 16"),
        (MADGNet, {"width": 12}, "width=12: give a multiple of 8"),
        (ERDUnet, {"width": 4}, "width=4: give a multiple of 8"),
    ],
)
def test_options_out_of_range(network, options, message):
    with pytest.raises(InputError, match=message):
        network(TINY, pretrained=False, **options)


def test_images_are_padded_by_zeros_and_the_logits_cropped():
    x = torch.randn(1, 3, 40, 64)
    for name, side in (("missformer", 64), ("uctransnet", 48)):
        model = small(name).eval()
        with torch.no_grad():
            torch.testing.assert_close(model(x), model(F.pad(x, (0, 0, 0, side - 40)))[..., :40, :])


def test_unireplknets_branches_fit_into_the_large_kernel():
    block, x = LargeKernel(2).eval(), torch.randn(1, 2, 27, 27, requires_grad=True)
    for branch, side in zip(block, (13, 5, 13, 7, 9, 11), strict=True):
        (gradient,) = torch.autograd.grad(branch(x)[..., 13, 13].sum(), x)
        rows = gradient.abs().amax((0, 1, 3)).nonzero().flatten()
        assert rows.max() - rows.min() + 1 == side


def test_missformers_attention_is_torchs():
    ours, theirs = Attention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.q.weight, ours.kv.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.q.bias, ours.kv.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
        x, source = torch.randn(2, 3, 4, 8), torch.randn(2, 2, 2, 8)
        tokens, keys = x.flatten(1, 2), source.flatten(1, 2)
        expected = theirs(tokens, keys, keys)[0].reshape(x.shape)
        torch.testing.assert_close(ours(x, source), expected)


def test_missformers_bridge_lets_every_level_see_every_other():
    layer = BridgeLayer(4, (1, 2, 5, 8), (8, 4, 2, 1))
    maps = [torch.randn(1, 8 // 2**i, 16 // 2**i, 4 * k, requires_grad=True) for i, k in enumerate((1, 2, 5, 8))]
    for i, result in enumerate(layer(maps)):
        assert result.shape == maps[i].shape
        gradients = torch.autograd.grad(result[0, 0, 0].square().sum(), maps, retain_graph=True)
        assert all(gradient.abs().sum((0, 3)).all() for gradient in gradients)


def test_missformer_expands_each_pixel_in_its_place():
    expand, x = PatchExpand(4, 2, 2), torch.randn(1, 3, 3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(expand(x)[0, 2:4, 4:6].square().sum(), x)
    assert gradient[0].any(-1).nonzero().tolist() == [[1, 2]]


def test_uctransnets_attention_is_its_formula():
    layer = ChannelCrossAttention((2, 4)).eval()
    scales, together = [torch.randn(1, 5, 2), torch.randn(1, 5, 4)], torch.randn(1, 5, 6)
    with torch.no_grad():
        for i, result in enumerate(layer(scales, together)):
            c, heads = scales[i].shape[-1], []
            for head in range(4):
                q = scales[i][0] @ layer.q[i].weight[head * c : (head + 1) * c].T  # (tokens, channels)
                k, v = (together[0] @ part.weight[head * 6 : (head + 1) * 6].T for part in (layer.k, layer.v))
                scores = q.T @ k / 6**0.5
                scores = (scores - scores.mean()) / (scores.var(correction=0) + 1e-5).sqrt()
                heads.append((scores.softmax(1) @ v.T).T)
            torch.testing.assert_close(result[0], layer.out[i](sum(heads) / 4), rtol=1e-4, atol=1e-5)


def test_uctransnets_positions_fit_any_size():
    tokens = Tokens(2, patch=4, grid=3).eval()
    nn.init.ones_(tokens.positions)
    for height, width in ((12, 12), (16, 24)):
        x = torch.randn(1, 2, height, width)
        torch.testing.assert_close(tokens(x), tokens.conv(x).flatten(2).mT + 1)


def test_cosine_maps_are_the_basis_of_a_transform():
    maps = cosine_maps(14).flatten(1)
    assert len(set(FREQUENCIES)) == 16
    torch.testing.assert_close(maps @ maps.T, torch.eye(16), rtol=0, atol=1e-5)
    torch.testing.assert_close(maps[0], torch.full((196,), 1 / 14))


def test_frequency_attention_is_its_formula():
    attend, x = FrequencyAttention(16, 14), torch.randn(2, 16, 14, 14)
    products = x[:, None] * attend.maps[:, None]
    parts = (products.mean((3, 4)), products.amax((3, 4)), products.amin((3, 4)))
    weights = sum(attend.mlp(part.mean(1)) for part in parts).sigmoid()
    torch.testing.assert_close(attend(x), x * weights[..., None, None])


def test_madgnet_learns_distance_and_edge_where_it_is_asked_to():
    model = m2s.create_model("madgnet", TINY, pretrained=False, num_classes=3, width=8, auxiliary=True)
    outputs = model(torch.randn(2, 3, 64, 64))
    assert {name: [o.shape for o in maps] for name, maps in outputs.items()} == {
        name: [(2, 3, 64, 64)] * 4 for name in ("maps", "distance", "edge")
    }
    parts = SegmentationLoss().parts(outputs, torch.randint(3, (2, 1, 64, 64)))
    assert list(parts) == ["iou", "bce", "distance", "edge"]
    model.zero_grad()
    parts["distance"].backward()
    assert all(heads.distance.weight.grad.any() for heads in model.heads)


def test_madgnet_keeps_eight_pixels():
    seen = []
    for side in (15, 16):
        scale = Scale(8, 16, 8, scale=1, size=14).eval()
        scale.expand.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
        assert scale(torch.randn(1, 8, side, side)).shape == (1, 8, side, side)
    assert seen == [15, 8]


def test_erdunet_stresses_what_differs():
    attend = DifferenceAttention(2)
    attend.mix = nn.Identity()
    a, b = torch.tensor([0.6, 0.4]).view(1, 2, 1, 1), torch.tensor([0.7, 0.7]).view(1, 2, 1, 1)
    torch.testing.assert_close(attend(a, b).flatten(), torch.tensor([0.6, 0.8]))
