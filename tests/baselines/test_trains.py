"""Every 2-D network that no other file here trains: on eight images the loss falls to half, at small width."""

import pytest
import torch

import m2s
from m2s.losses import SegmentationLoss
from m2s.runs.small import count_steps_to_halve, draw_discs

SMALL = {
    "transunet": {"depth": 1, "width": 64}, "resunetpp": {"width": 24}, "utnet": {"width": 8}, "skunet": {"width": 4},
    "nunet": {"width": 4}, "classic_unet": {"width": 8}, "nnunet2d": {"halvings": 3}, "swinunet": {"window": 2},
    "medt": {"size": 64},
}  # fmt: skip
NETWORKS = (
    *("unet", "unetpp", "nested_unet", "attention_unet", "msnet", "m2snet", "sfa", "acsnet", "pranet", "infnet"),
    *("bcsnet", "tinyunet", "cmunext", "unext", "mobilevit_s", "repvit_m3", "lgmsnet"),
    *SMALL,
)
SIDES = {**dict.fromkeys(("pranet", "infnet", "bcsnet"), 64), **dict.fromkeys(("mobilevit_s", "repvit_m3"), 96)}
"""Of images for networks whose map has a stride of 8 or 32: of 32 pixels nothing would be left."""


@pytest.mark.parametrize("name", NETWORKS)
def test_a_few_steps_halve_the_loss(name):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    side = SIDES.get(name, 32)
    masks = draw_discs(8, side, (side // 5, side // 4, side // 3), generator)
    noise = torch.randn(8, 3, side, side, generator=generator)
    images = masks * torch.tensor([2.0, -1.0, 1.0]).view(3, 1, 1) + 0.2 * noise
    encoder = {"mobilevit_s": "mobilevit_s", "repvit_m3": "repvit_m3"}.get(name, "test_efficientnet")
    network = m2s.create_model(name, encoder, pretrained=False, **SMALL.get(name, {})).train()
    loss, optimizer = SegmentationLoss(), torch.optim.Adam(network.parameters(), lr=0.01)

    def step() -> float:
        outputs = network(images)
        optimizer.zero_grad()
        loss(outputs, masks).backward()
        optimizer.step()
        maps = outputs["maps"] if isinstance(outputs, dict) else outputs
        return loss(maps if isinstance(maps, torch.Tensor) else maps[0], masks).item()  # of the map that is evaluated

    assert count_steps_to_halve(step, 60) is not None
