"""The 3-D baselines of LGMSNet's Table 3: their parameters, shapes, one training step, Swin UNETR against MONAI's."""

import pytest
import torch
from monai.networks.nets import SwinUNETR

from m2s.baselines.mednext import mednext
from m2s.baselines.swin_unetr import swin_unetr
from m2s.baselines.unet3d import unet3d
from m2s.baselines.unetr import unetr
from m2s.baselines.uxnet import UXEncoder, uxnet
from m2s.errors import InputError

COUNTS = {unetr: 92_784_046, swin_unetr: 62_187_296, uxnet: 53_006_510, mednext: 10_511_246, unet3d: 4_822_057}


def parameters(model) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("make", COUNTS, ids=lambda make: make.__name__)
def test_parameters(make):
    with torch.device("meta"):
        model = make()
    assert parameters(model) == COUNTS[make]
    assert (model.mean, model.std) == ((0.0,), (1.0,)) and model.weights_source.startswith("random")
    assert not list(model.encoder.parameters())


def test_parameters_beside_the_printed_ones():
    assert f"{COUNTS[uxnet] / 1e6:.2f} {COUNTS[mednext] / 1e6:.2f}" == "53.01 10.51"
    with torch.device("meta"):
        positions = unetr().vit.patch_embedding.position_embeddings.numel()
        tables = sum(p.numel() for name, p in swin_unetr().named_parameters() if "position_bias_table" in name)
    # Left out and cut off after two decimals: the printed 92.61 and 61.98.
    assert (COUNTS[unetr] - positions, COUNTS[swin_unetr] - tables) == (92_618_158, 61_989_566)


@pytest.mark.parametrize("make", COUNTS, ids=lambda make: make.__name__)
def test_a_training_step(make):
    model = make(num_classes=3, in_channels=2)
    size = (64, 32, 32) if make is swin_unetr else (16, 32, 16)
    logits = model(torch.randn(1, 2, *size))
    assert logits.shape == (1, 3, *size)
    logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("body", "channels", "strides"),
    [
        (lambda: unetr().features, [768] * 4, [16] * 4),
        (lambda: swin_unetr().swinViT, [48, 96, 192, 384, 768], [2, 4, 8, 16, 32]),
        (lambda: UXEncoder(1), [48, 96, 192, 384], [2, 4, 8, 16]),
    ],
    ids=["unetr", "swin_unetr", "uxnet"],
)
def test_features(body, channels, strides):
    with torch.no_grad():  # MONAI's windows are not made for the device "meta"
        features = body()(torch.zeros(1, 1, 64, 96, 128))
    assert [tuple(f.shape) for f in features] == [
        (1, c, 64 // s, 96 // s, 128 // s) for c, s in zip(channels, strides, strict=True)
    ]


def test_positions_are_interpolated_to_other_sizes():
    network = unetr(image_size=32)
    vit, body = network.vit, network.features
    vit.blocks, vit.norm = torch.nn.ModuleList(torch.nn.Identity() for _ in range(12)), torch.nn.Identity()
    patches = vit.patch_embedding.patch_embeddings
    torch.nn.init.zeros_(patches.weight), torch.nn.init.zeros_(patches.bias)
    position = vit.patch_embedding.position_embeddings.mT.unflatten(2, (2, 2, 2))
    torch.testing.assert_close(body(torch.zeros(1, 1, 32, 32, 32))[0], position)
    up = torch.nn.functional.interpolate(position, (2, 3, 4), mode="trilinear", align_corners=False)
    torch.testing.assert_close(body(torch.zeros(1, 1, 32, 48, 64))[-1], up)


def test_swin_unetr_is_that_of_monai():
    reference = SwinUNETR(1, 3, feature_size=48).eval()
    model = swin_unetr(num_classes=3).eval()
    ours, state = model.state_dict(), list(reference.state_dict().values())
    assert [v.shape for v in ours.values()] == [v.shape for v in state]
    model.load_state_dict(dict(zip(ours, state, strict=True)))
    x = torch.randn(1, 1, 32, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(x), reference(x))


def test_user_errors():
    with pytest.raises(InputError, match="volume of 32×40×32 voxels: UNet takes sides that are multiples of 16"):
        unet3d()(torch.zeros(1, 1, 32, 40, 32))
    with pytest.raises(InputError, match="multiples of 32, and one of them larger"), torch.device("meta"):
        swin_unetr()(torch.zeros(1, 1, 32, 32, 32))
    with pytest.raises(InputError, match=r"image_size \[40, 40, 40\]: give one side or three, multiples of 16"):
        unetr(image_size=40)
