"""LossNet against the recorded figures of the released one, and what holds for every fixed network."""

import copy
import zlib

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F

from m2s import paths
from m2s.data.load import load_images
from m2s.data.tensors import TensorSet
from m2s.errors import InputError
from m2s.lossnet import LossNet, drop_unused_stages, fold_norms


def recipe_vgg16() -> LossNet:
    """LossNet on VGG-16 with the made-up weights of tests/golden/README.md, step 1, under torchvision's keys."""
    lossnet = LossNet("vgg16", pretrained=False)
    for name, parameter in lossnet.network.named_parameters():
        key, shape = name.replace("features_", "features."), tuple(parameter.shape)
        r = np.random.RandomState(zlib.crc32(key.encode()))
        values = 0.1 * r.randn(*shape) if key.endswith("bias") else r.randn(*shape) * np.sqrt(2 / np.prod(shape[1:]))
        parameter.copy_(torch.from_numpy(values.astype(np.float32)))
    return lossnet


@pytest.fixture(scope="module")
def lite() -> LossNet:
    """The fixed network whose ImageNet weights an installed package carries."""
    return LossNet("tf_efficientnet_lite0", resize=64)


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities and mask, (2, 1, 64, 64)."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(2, 1, 64, 64, dtype=torch.uint8)
    mask[:, :, 20:44, 16:50] = 1
    return torch.rand(2, 1, 64, 64, generator=generator), mask


def test_golden(golden_json, golden_npz):
    lossnet = recipe_vgg16()
    probabilities = torch.from_numpy(golden_npz["m2snet_train"]).sigmoid()
    mask = torch.from_numpy(golden_npz["mask"])
    with torch.no_grad():
        terms = lossnet.terms(probabilities, mask)
    expected = golden_json["lossnet_vgg16_formula"]
    assert [t.item() for t in terms] == pytest.approx(expected["terms"], rel=1e-4)
    assert sum(terms).item() == pytest.approx(expected["total"], rel=1e-4)
    assert lossnet.strides == (1, 2, 4, 8) and lossnet.unit == 1


def test_gradient_reaches_the_prediction_and_nothing_else(lite, pair):
    probabilities, mask = pair[0].clone().requires_grad_(), pair[1].float().requires_grad_()
    lite(probabilities, mask).backward()
    assert probabilities.grad.abs().sum() > 0
    assert mask.grad is None
    assert not any(p.requires_grad for p in lite.parameters())
    assert all(p.grad is None for p in lite.parameters())


def test_stays_in_evaluation_mode(lite, pair):
    before = {k: v.clone() for k, v in lite.state_dict().items()}
    holder = torch.nn.ModuleDict({"loss": lite}).train()
    assert holder.training and not any(m.training for m in lite.modules())
    lite(*pair)
    assert all(torch.equal(before[k], v) for k, v in lite.state_dict().items())


def test_zero_for_the_mask_itself_and_grows_with_the_shift(lite, pair):
    mask = pair[1]
    assert lite(mask.float(), mask).item() == pytest.approx(0, abs=1e-6)
    shifted = [[t.item() for t in lite.terms(mask.roll(s, -1).float(), mask)] for s in (1, 3, 6)]
    for near, middle, far in zip(*shifted, strict=True):
        assert 0 < near < middle < far


def test_terms_are_one_per_level_and_the_loss_their_sum(lite, pair):
    terms = lite.terms(*pair)
    assert len(terms) == 4 and all(t.ndim == 0 and t >= 0 for t in terms)
    torch.testing.assert_close(lite(*pair), sum(terms))
    single = [lite(pair[0][i : i + 1], pair[1][i : i + 1]) for i in range(2)]
    torch.testing.assert_close(lite(*pair), torch.stack(single).mean())


def test_features_are_normalised_with_the_networks_own_mean(lite, pair):
    wanted = lite.network(F.interpolate((pair[0].expand(-1, 3, -1, -1) - 0.5) / 0.5, (64, 64), mode="bilinear"))
    for ours, theirs in zip(lite.features(pair[0]), wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_classes_are_the_mean_of_one_against_the_rest(lite):
    generator = torch.Generator().manual_seed(1)
    mask = torch.randint(0, 3, (2, 1, 8, 8), generator=generator).repeat_interleave(8, 2).repeat_interleave(8, 3)
    probabilities = torch.rand(2, 3, 64, 64, generator=generator)
    binary = [lite.terms(probabilities[:, c : c + 1], mask == c) for c in range(3)]
    for together, *each in zip(lite.terms(probabilities, mask), *binary, strict=True):
        torch.testing.assert_close(together, torch.stack(each).mean())


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "resnet18", "vgg16_bn"])
def test_folded_norms_and_dropped_stages_leave_the_features_as_they_are(backbone):
    network = timm.create_model(backbone, features_only=True, out_indices=(0, 1, 2, 3)).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics of no training would hide a mistake
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    image = torch.rand(2, 3, 64, 64)
    wanted = network(image)
    quick = fold_norms(drop_unused_stages(copy.deepcopy(network)), 64)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in quick.modules())
    for feature, expected in zip(quick(image), wanted, strict=True):
        torch.testing.assert_close(feature, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_stages_behind_the_last_feature_are_dropped(lite):
    assert len(lite.network.blocks) == 5 and lite.network.feature_info.module_name()[-1] == "blocks.4"


def test_norms_are_not_folded_where_modules_work_in_another_order():
    class Crossed(torch.nn.Module):
        """The norm stands behind the convolution, and works before it."""

        def __init__(self):
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(3, 3, 3), torch.nn.BatchNorm2d(3)
            torch.nn.init.normal_(self.norm.running_mean)

        def forward(self, x):
            return [self.conv(self.norm(x))]

    network = Crossed().eval()
    assert fold_norms(network, 16) is network


@pytest.mark.parametrize(
    ("backbone", "resize", "strides"),
    [
        ("vgg16", 32, (1, 2, 4, 8)),
        ("resnet50", 64, (2, 4, 8, 16)),
        ("swin_tiny_patch4_window7_224", 224, (4, 8, 16, 32)),
        ("swin_tiny_patch4_window7_224", 96, (4, 8, 16, 32)),
    ],
)
def test_other_fixed_networks(backbone, resize, strides, pair):
    lossnet = LossNet(backbone, pretrained=False, resize=resize)
    probabilities = pair[0].clone().requires_grad_()
    loss = lossnet(probabilities, pair[1])
    loss.backward()
    assert lossnet.strides == strides and lossnet.weights_source == "random"
    assert loss > 0 and probabilities.grad.abs().sum() > 0
    assert lossnet(pair[1].float(), pair[1]).item() == pytest.approx(0, abs=1e-6)


def test_resize_none_keeps_the_size(pair):
    lossnet = LossNet("vgg16", pretrained=False, resize=None)
    assert [tuple(f.shape[2:]) for f in lossnet.features(pair[0][..., :48])] == [(64, 48), (32, 24), (16, 12), (8, 6)]
    kept = lossnet(*pair)
    lossnet.resize = 64
    torch.testing.assert_close(lossnet(*pair), kept)


def test_a_fixed_input_size_needs_a_resize():
    with pytest.raises(InputError, match="give LossNet a 'resize'"):
        LossNet("swin_tiny_patch4_window7_224", pretrained=False, resize=None)


def test_unknown_backbone():
    with pytest.raises(InputError, match="vgg16"):
        LossNet("vgg-16", pretrained=False)


def test_weights_in_pixel_units_are_brought_to_unit_scale(real_weights, pair):
    lossnet = LossNet("vgg16", resize=64)
    assert lossnet.unit == pytest.approx(57.6, abs=0.1) and "pixel units" in lossnet.weights_source
    assert 1 < lossnet(*pair).item() < 1000


def test_a_weight_belongs_to_its_network(real_weights):
    """What notebook 36 and ``docs/results.md`` say: the gradient over EfficientNet-Lite0 is 12 to 23 times VGG-16's."""
    images = load_images("kvasir", "test", root=paths.ROOT / "samples", limit=8)
    masks = torch.stack([mask for _, mask in TensorSet(images, 128)]).float()
    small, large = LossNet("tf_efficientnet_lite0", resize=None), LossNet("vgg16", resize=224)
    for value, expected in ((0.01, 11.8), (0.5, 23.4)):
        norms = []
        for lossnet in (small, large):
            prediction = torch.full_like(masks, value, requires_grad=True)
            lossnet(prediction, masks).backward()
            norms.append(prediction.grad.norm())
        assert (norms[0] / norms[1]).item() == pytest.approx(expected, rel=0.02)
