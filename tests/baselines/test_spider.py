"""Spider: its parameters, the filter as written, shapes, learning."""

import torch

from m2s.baselines.spider import WIDTH, ConceptFilter, Spider
from m2s.losses import SegmentationLoss


def small() -> Spider:
    torch.manual_seed(0)
    return Spider("test_efficientnet", pretrained=False, support=2, drawn=2)


def test_parameters():
    with torch.device("meta"):
        model = Spider("convnextv2_base", pretrained=False)
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(model.encoder) == count(model.prompter) == 87_690_752
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 89_032_608
    assert count(model.context) == 660_320 and [count(r) for r in model.reduce] == [295_104, 147_648, 73_920]
    assert count(model.filter.embed) == 65_728 and count(model.filter) - count(model.filter.embed) == 25_024


def test_a_filter_begins_with_the_means_in_and_around_the_object():
    torch.manual_seed(0)
    filter_ = ConceptFilter(3)
    for layer in (filter_.project, filter_.feed[2]):
        torch.nn.init.zeros_(layer.weight), torch.nn.init.zeros_(layer.bias)
    features, masks = torch.randn(2, 3, 3, 4, 5), (torch.rand(2, 3, 1, 4, 5) > 0.5).float()
    filters = filter_(features, masks)
    for group in range(2):
        pixels = filter_.embed(features[group].permute(0, 2, 3, 1))[masks[group, :, 0] > 0]
        wanted = pixels.sum(0) / (1 + len(pixels))
        wanted = torch.nn.functional.layer_norm(torch.nn.functional.layer_norm(wanted, (WIDTH,)), (WIDTH,))
        torch.testing.assert_close(filters[group, 0], wanted, rtol=1e-3, atol=1e-4)


def test_examples_change_the_logits_and_the_frozen_encoder_stays():
    model = small()
    x, images = torch.randn(2, 3, 64, 64), torch.randn(2, 2, 3, 64, 64)
    masks = torch.zeros(2, 2, 1, 64, 64)
    masks[..., 16:48, 16:48] = 1
    frozen = {name: value.clone() for name, value in model.prompter.state_dict().items()}
    model.train()
    logits = model(x, images, masks)
    assert logits.shape == (2, 1, 64, 64)
    logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters() if p.requires_grad)
    assert all(torch.equal(value, frozen[name]) for name, value in model.prompter.state_dict().items())
    assert not torch.allclose(model.eval()(x, images, 1 - masks), model(x, images, masks), rtol=0.01)


def test_learns():
    model, loss = small().train(), SegmentationLoss()
    masks = torch.zeros(8, 1, 64, 64)
    for i, mask in enumerate(masks):
        mask[:, 8 + 3 * i : 32 + 3 * i, 16:48] = 1
    images = masks.repeat(1, 3, 1, 1) + 0.3 * torch.randn(8, 3, 64, 64)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.01), []
    while len(losses) < 40 and (not losses or losses[-1] > losses[0] / 2):
        value = loss(model(images, images[None, :2], masks[None, :2]), masks)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < losses[0] / 2
