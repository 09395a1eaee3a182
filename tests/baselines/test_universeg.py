"""UniverSeg: its parameters, a cross block as written, shapes, the support set, learning."""

import pytest
import torch
import torch.nn.functional as F

from m2s.baselines.universeg import CrossBlock, UniverSeg
from m2s.errors import InputError


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def make_task(n: int = 8, side: int = 32):
    """Grey images with a bright square each, and their masks."""
    masks = torch.zeros(n, 1, side, side)
    for i, mask in enumerate(masks):
        mask[:, 2 + i : 18 + i, 8:24] = 1
    return (0.2 + 0.5 * masks + 0.1 * torch.rand_like(masks)), masks


def test_parameters():
    with torch.device("meta"):
        model = UniverSeg()
    counts = [sum(p.numel() for p in part.parameters()) for part in (model.encode, model.decode, model.head)]
    assert counts == [518_592, 664_128, 65]
    assert sum(p.numel() for p in model.parameters()) == 1_182_785


def test_a_cross_block_sees_the_query_beside_each_entry():
    block, query, support = CrossBlock(2, 3, 4), torch.randn(2, 2, 5, 6), torch.randn(2, 7, 3, 5, 6)
    pairs = [block.cross(torch.cat([query, entry], 1)) for entry in support.unbind(1)]
    new_query, new_support = block(query, support)
    torch.testing.assert_close(new_query, block.query(sum(pairs) / 7), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(new_support, torch.stack([block.support(z) for z in pairs], 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (33, 47), (32, 64)])
def test_logits_have_the_size_of_the_image(size):
    model = UniverSeg(width=4, support=2)
    with torch.no_grad():
        assert model(torch.rand(2, 3, *size)).shape == (2, 1, *size)
        assert model(torch.rand(2, 3, *size), torch.rand(2, 5, 3, 9, 9), torch.ones(2, 5, 1, 9, 9)).shape[2:] == size


def test_a_support_may_be_shared_and_has_no_order():
    model, x, images = UniverSeg(width=4), torch.rand(2, 3, 16, 16), torch.rand(1, 5, 3, 16, 16)
    masks = torch.rand(1, 5, 1, 16, 16)
    with torch.no_grad():
        logits = model(x, images, masks)
        order = [3, 1, 4, 0, 2]
        torch.testing.assert_close(model(x, images[:, order], masks[:, order]), logits, rtol=1e-4, atol=1e-5)
        repeated = (part.expand(2, -1, -1, -1, -1) for part in (images, masks))
        torch.testing.assert_close(model(x, *repeated), logits, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(model(x, images, 1 - masks), logits, rtol=0.01)


def test_learns_and_every_weight_but_the_last_for_the_support_takes_part():
    model, (images, masks) = UniverSeg(width=8), make_task()
    images = images.repeat(1, 3, 1, 1)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.01), []
    while len(losses) < 20 and (not losses or losses[-1] > losses[0] / 2):
        logits = model(images, images[None, :3], masks[None, :3])
        losses.append(F.binary_cross_entropy_with_logits(logits, masks))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 2
    unused = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert unused == ["decode.2.support.0.weight", "decode.2.support.0.bias"]


def test_options_out_of_range():
    with pytest.raises(InputError, match="give 1 or more"):
        UniverSeg(width=0)
    with pytest.raises(InputError, match="segments one"):
        UniverSeg(num_classes=3)
    with pytest.raises(InputError, match="at least 8×8"):
        UniverSeg(width=4, support=1)(torch.rand(1, 3, 7, 16))
