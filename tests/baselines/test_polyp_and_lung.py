"""PraNet, SFA, ACSNet, Inf-Net, BCS-Net and PNS-Net: shapes, parameter counts, gradients, and that they learn."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import m2s
from m2s.baselines.acsnet import ACSNet, NonLocal
from m2s.baselines.bcsnet import BCSNet, ContextBlock
from m2s.baselines.blocks import foreground
from m2s.baselines.infnet import InfNet
from m2s.baselines.pnsnet import PNSNet, SelfAttention
from m2s.baselines.pranet import PraNet, ReverseAttention
from m2s.baselines.sfa import SFA
from m2s.errors import InputError
from m2s.losses import SegmentationLoss
from m2s.units import ConvBNReLU

TINY = "test_efficientnet"
EDGES = {"sfa": 2, "infnet": 1, "bcsnet": 1}
NETWORKS = {
    "pranet": PraNet, "sfa": SFA, "acsnet": ACSNet, "infnet": partial(InfNet, edge_loss=True), "bcsnet": BCSNet,
}  # fmt: skip
OUTPUTS = {"pranet": 4, "sfa": 1, "acsnet": 5, "infnet": 4, "bcsnet": 4}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_have_the_size_of_the_image(name):
    for num_classes in (1, 3):
        model = NETWORKS[name](TINY, pretrained=False, num_classes=num_classes).eval()
        for height, width in ((64, 64), (96, 64), (33, 47), (32, 32)):
            with torch.no_grad():
                assert model(torch.randn(1, 3, height, width)).shape == (1, num_classes, height, width)
    assert type(m2s.create_model(name, TINY, pretrained=False)) is type(model)
    assert len(model.mean) == len(model.std) == 3
    assert model.weights_source
    with pytest.raises(InputError, match="at least 32×32"):
        model(torch.zeros(1, 3, 31, 64))


@pytest.mark.parametrize("name", NETWORKS)
def test_an_encoder_that_starts_at_stride_4(name):
    with torch.device("meta"):
        model = NETWORKS[name]("convnext_atto", pretrained=False).eval()
        assert model(torch.zeros(1, 3, 64, 96)).shape == (1, 1, 64, 96)


@pytest.mark.parametrize("name", NETWORKS)
def test_all_outputs_in_training_one_in_evaluation_and_it_is_the_first(name):
    model = NETWORKS[name](TINY, pretrained=False, num_classes=3)
    for part in model.modules():  # as in evaluation, but for the list of outputs
        part.eval()
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        final = model(image)
        model.training = True
        outputs = model(image)
    if name in EDGES:
        assert list(outputs) == ["maps", "edge"]
        assert [tuple(o.shape) for o in outputs["edge"]] == [(2, 1, 64, 96)] * EDGES[name]
        outputs = outputs["maps"]
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
    assert [tuple(o.shape) for o in outputs] == [(2, 3, 64, 96)] * OUTPUTS[name]
    assert torch.equal(outputs[0], final)


@pytest.mark.parametrize(
    ("name", "encoder", "count", "classifier", "millions"),
    [
        ("pranet", "res2net50d", 30_498_319, 0, 30.5),  # revised M2SNet paper, Table 6
        ("pranet", "res2net50d", 30_498_319, 2_049_000, 32.55),  # counted with the backbone's unused classifier
        ("infnet", "res2net50d", 31_072_721, 0, 31.1),  # Table 6
        ("infnet", "res2net50d", 31_072_721, 2_049_000, 33.12),
        ("bcsnet", "res2net50d", 44_822_583, 0, 44.8),  # Table 6
        ("acsnet", "resnet34", 29_450_709, 0, None),
    ],
)
def test_published_parameter_counts(name, encoder, count, classifier, millions):
    assert parameters(NETWORKS[name], encoder) == count
    assert millions is None or (count + classifier) / 1e6 == pytest.approx(millions, abs=0.05)


def test_sfa_stays_as_it_is():
    """Our own count: the publication has none, and its layers are not known."""
    assert parameters(SFA, "res2net50d") == 27_944_331


def parameters(network, encoder: str) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in network(encoder, pretrained=False).parameters())


def without_effect(model: nn.Module) -> set[int]:
    """The ids of parameters that cannot matter in training, as they only add a constant that is taken out again."""
    useless = []
    for part in model.modules():
        if isinstance(part, ConvBNReLU):
            useless.append(part[0].bias)  # BatchNorm subtracts it
        if isinstance(part, NonLocal):
            useless += [part.key.bias, part.value.bias, part.out[0].bias]  # the softmax does, and the BatchNorm
        if isinstance(part, ContextBlock):
            useless.append(part.key.bias)  # the softmax does
    # At 96 pixels E⁵ has 3×3 and E⁴ 6×6 pixels: the outer taps of kernels dilated by as much see nothing but zeros, so
    # that these are 1×1 kernels before a BatchNorm.
    fields = (
        model.rfb if isinstance(model, PraNet) else model.semantic.fields[::-1] if isinstance(model, BCSNet) else []
    )
    for field, branches in zip(fields, (slice(1, 4), slice(3, 4)), strict=False):
        useless += [branch[2][1].bias for branch in field.branches[branches]]
    return {id(parameter) for parameter in useless}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_loss_reaches_every_parameter(name):
    model = NETWORKS[name](TINY, pretrained=False).double()  # double: rounding noise is far below any true gradient
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.uniform_(parameter)  # scales that start at zero keep what is before them from learning at first
    outputs = model(torch.randn(2, 3, 96, 96, dtype=torch.float64))
    SegmentationLoss()(outputs, torch.randint(2, (2, 1, 96, 96))).backward()
    useless = without_effect(model)
    for key, parameter in model.named_parameters():
        assert (parameter.grad.abs().max() > 1e-13) == (id(parameter) not in useless), key


@pytest.mark.parametrize("num_classes", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_three_steps_lower_the_loss(name, num_classes):
    model, loss = NETWORKS[name](TINY, pretrained=False, num_classes=num_classes), SegmentationLoss()
    mask = torch.zeros(4, 1, 64, 64, dtype=torch.long)
    mask[:, :, 16:40, 12:44] = 1
    mask[:, :, 44:60, 40:60] = num_classes - 1
    image = F.one_hot(mask[:, 0], 3).movedim(-1, 1).float() + 0.1 * torch.randn(4, 3, 64, 64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    first = loss(model(image), mask)
    for _ in range(3):
        optimizer.zero_grad()
        loss(model(image), mask).backward()
        optimizer.step()
    assert loss(model(image), mask) < 0.95 * first


def test_foreground_is_the_sigmoid_or_the_largest_class_after_the_background():
    one, three = torch.randn(2, 1, 4, 4), torch.randn(2, 3, 4, 4)
    assert torch.equal(foreground(one), one.sigmoid())
    assert torch.equal(foreground(three), torch.maximum(three[:, 1:2], three[:, 2:3]).sigmoid())


def test_reverse_attention_looks_only_where_the_coarse_map_says_background():
    attention = ReverseAttention(8, 1).eval()
    coarse = torch.full((1, 1, 8, 8), 40.0)  # certain foreground: 1 − σ = 0 in single precision
    a, b = torch.randn(2, 1, 8, 8, 8)
    assert torch.equal(attention(a, coarse), attention(b, coarse))
    assert not torch.equal(attention(a, -coarse), attention(b, -coarse))


def test_the_edge_feature_guides_infnet():
    model = InfNet(TINY, pretrained=False, edge_loss=True).eval()
    levels = model.encoder(torch.randn(1, 3, 64, 64))
    outputs = model.decode(levels)
    levels[1] = levels[1] + torch.randn_like(levels[1])
    changed = model.decode(levels)
    assert torch.equal(outputs["maps"][3], changed["maps"][3])  # the coarse map is made from E³ … E⁵ alone
    assert not torch.equal(outputs["maps"][0], changed["maps"][0])
    assert not torch.equal(outputs["edge"][0], changed["edge"][0])


def test_infnet_as_in_the_first_runs_has_no_edge_head():
    """The committed record of COVID-SemiSeg is of this form: 9,317,927 parameters on EfficientNet-Lite0."""
    assert parameters(InfNet, "tf_efficientnet_lite0") == 9_317_927
    assert parameters(InfNet, "res2net50d") == 31_072_721 - 578
    outputs = InfNet(TINY, pretrained=False)(torch.randn(2, 3, 64, 64))
    assert [o.shape for o in outputs] == [(2, 1, 64, 64)] * 4


@pytest.mark.parametrize("name", EDGES)
def test_the_edge_is_learned_too(name):
    model = NETWORKS[name](TINY, pretrained=False)
    mask = torch.zeros(2, 1, 64, 64)
    mask[:, :, 16:40, 12:44] = 1
    parts = SegmentationLoss().parts(model(torch.randn(2, 3, 64, 64)), mask)
    assert list(parts) == ["iou", "bce", "edge"]
    head = {"sfa": "boundary_head", "infnet": "edge_head", "bcsnet": "boundary"}[name]
    parts["edge"].backward()
    assert all(parameter.grad.any() for parameter in getattr(model, head).parameters())


def test_the_light_unet_of_sfa_sends_the_edge_of_the_area_back_to_the_area():
    model = SFA(TINY, pretrained=False)
    edge_of_area = model(torch.randn(2, 3, 64, 64))["edge"][1]
    edge_of_area.sum().backward()
    assert model.area_head.weight.grad.any()
    assert model.boundary_head.weight.grad is None


def test_context_block_is_its_formula():
    block, x, boundary = ContextBlock(8).eval(), torch.randn(2, 8, 3, 5), torch.rand(2, 1, 3, 5)
    nn.init.constant_(block.scale, 0.7)
    spatial = block.spatial(torch.stack([x.mean(1), x.max(1).values], 1)).sigmoid()
    g = x + x * spatial + x * boundary
    logits = torch.einsum("nchw,ncyx->nhwyx", block.query(g), block.key(g)).flatten(3).softmax(-1)
    context = torch.einsum("nchw,nhwp->ncp", block.value(g), logits).reshape(x.shape)
    torch.testing.assert_close(block(x, boundary), 0.7 * context * g + g)


def test_non_local_starts_as_identity_and_attends_as_written():
    block, x = NonLocal(8).eval(), torch.randn(2, 8, 6, 5)
    assert torch.equal(block(x), x)
    nn.init.ones_(block.out[1].weight)
    keys, values = (F.max_pool2d(conv(x), 2, ceil_mode=True).flatten(2) for conv in (block.key, block.value))
    weights = torch.einsum("ncq,nck->nqk", block.query(x).flatten(2), keys).softmax(-1)
    attended = torch.einsum("nqk,nck->ncq", weights, values).reshape(2, 4, 6, 5)
    torch.testing.assert_close(block(x), x + block.out(attended))


def test_acsnet_keeps_the_first_feature_at_stride_2():
    model = ACSNet(TINY, pretrained=False)
    assert [level.shape[-1] for level in model.encoder(torch.zeros(2, 3, 64, 64))] == [32, 16, 8, 4, 2]


def small_pnsnet(**options) -> PNSNet:
    return PNSNet(TINY, pretrained=False, **options)


def test_pnsnet_has_the_published_count():
    with torch.device("meta"):
        assert sum(p.numel() for p in PNSNet(pretrained=False).parameters()) == 9_793_731


def test_pnsnet_takes_clips_and_images():
    model = small_pnsnet(num_classes=3).eval()
    for height, width in ((32, 32), (33, 47), (64, 96)):
        clip = torch.randn(2, 3, 3, height, width)
        with torch.no_grad():
            logits = model(clip)
            assert logits.shape == (2, 3, 3, height, width)
            image = model(clip[:, 0])
            assert image.shape == (2, 3, height, width)
            torch.testing.assert_close(image, model(clip[:, :1])[:, 0])
    with pytest.raises(InputError, match="at least 32×32"):
        model(torch.zeros(1, 2, 3, 31, 64))
    with pytest.raises(InputError, match="32 pixels or more"):
        small_pnsnet(size=(16, 64))


def test_a_frame_of_pnsnet_sees_the_others_of_its_clip_and_no_other_clip():
    model = small_pnsnet().eval()
    clips = torch.randn(2, 3, 3, 64, 64)
    changed = clips.clone()
    changed[0, 2] += 1
    with torch.no_grad():
        before, after = model(clips), model(changed)
    assert not torch.equal(before[0, 0], after[0, 0])
    torch.testing.assert_close(before[1], after[1])


def test_the_attention_of_pnsnet_is_its_formula():
    block, x = SelfAttention(8, (5, 4)).double(), torch.randn(1, 2, 8, 5, 4, dtype=torch.float64)
    nn.init.normal_(block.scale), nn.init.normal_(block.shift)
    q, k, v = (conv(x[0]) for conv in (block.query, block.key, block.value))  # (T, 8, 5, 4)
    attended, largest = torch.zeros(2, 8, 5, 4).double(), torch.zeros(2, 5, 4).double()
    for head in range(4):
        part, far = slice(2 * head, 2 * head + 2), 2 * head + 1
        for t in range(2):
            mean, variance = q[t, part].mean(), q[t, part].var(unbiased=False)
            query = (q[t, part] - mean) / (variance + 1e-5).sqrt() * block.scale + block.shift
            for i in range(5):
                for j in range(4):
                    affinities = []
                    for frame in range(2):
                        for di in range(-3, 4):
                            for dj in range(-3, 4):
                                y, z = i + far * di, j + far * dj
                                inside = 0 <= y < 5 and 0 <= z < 4
                                key = k[frame, part, y, z] if inside else torch.zeros(2).double()
                                affinities.append(query[:, i, j] @ key / 2**0.5)
                                if inside:
                                    attended[t, part, i, j] += affinities[-1] * v[frame, part, y, z]
                    largest[t, i, j] = max(largest[t, i, j], torch.stack(affinities).softmax(0).max())
    torch.testing.assert_close(block(x)[0], block.out(attended) * largest[:, None])


def test_pnsnet_learns():
    model, loss = small_pnsnet(), SegmentationLoss()
    mask = torch.zeros(4, 1, 64, 64)
    mask[:, :, 16:40, 12:44] = 1
    clips = (mask + 0.1 * torch.randn(4, 3, 64, 64)).unflatten(0, (2, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for _ in range(4):
        losses.append(loss(model(clips).flatten(0, 1), mask))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.95 * losses[0]
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert not [name for name, p in model.named_parameters() if p.ndim > 1 and not p.grad.any()]
