"""Networks of transformers: their parameters, shapes, learning, memory, and what is said where something is missing."""

from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import save_file

from m2s import errors, weights
from m2s.baselines import foundation
from m2s.errors import InputError
from m2s.losses import SegmentationLoss
from m2s.runs import plan
from m2s.runs.plan import find_lack
from m2s.studies import STUDIES
from m2s.zoo import FOUNDATION, create_model

needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None, reason="the extra foundation is not installed"
)
PARAMETERS = {"seggpt": 370_723_203, "sam2": 216_924_865, "medsam2": 224_446_642}
SMALL = {"seggpt": 1_500_995, "sam2": 4_580_945, "medsam2": 6_742_082}


def small(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return create_model(name, pretrained=False, small=True)


def count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def make_discs(n: int = 8):
    masks = torch.zeros(n, 1, 64, 64)
    for i, mask in enumerate(masks):
        mask[:, 8 + 3 * i : 32 + 3 * i, 16:48] = 1
    return masks.repeat(1, 3, 1, 1) * 2 - 1 + 0.2 * torch.randn(n, 3, 64, 64), masks


@needs_transformers
@pytest.mark.parametrize("name", FOUNDATION)
def test_parameters(name):
    with torch.device("meta"):
        assert count(create_model(name, pretrained=False)) == PARAMETERS[name]
    assert count(small(name)) == SMALL[name]


@needs_transformers
@pytest.mark.parametrize("name", FOUNDATION)
def test_learns(name):
    model, loss, (images, masks) = small(name).train(), SegmentationLoss(), make_discs()
    examples = (images[None, :1], masks[None, :1]) if name == "seggpt" else ()
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=2e-3), []
    while len(losses) < 60 and (not losses or losses[-1] > losses[0] / 2):
        logits = model(images, *examples)
        assert logits.shape == masks.shape
        losses.append(loss(logits, masks))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 2, [round(value.item(), 3) for value in losses]


@needs_transformers
def test_seggpt_follows_its_examples_one_or_several():
    model, (images, masks) = small("seggpt").eval(), make_discs(4)
    with torch.no_grad():
        one = model(images, images[None, :1], masks[None, :1])
        assert not torch.allclose(model(images, images[None, :1], 1 - masks[None, :1]), one, atol=1e-3)
        both = [
            model(images[:1], images[None, [0, 1]][:, order], masks[None, [0, 1]][:, order])
            for order in ([0, 1], [1, 0])
        ]
        torch.testing.assert_close(*both, rtol=1e-3, atol=1e-3)


@needs_transformers
def test_medsam2_remembers_images_until_the_next_set():
    model, (images, _) = small("medsam2").eval(), make_discs(18)
    with torch.no_grad():
        first = model(images[:1])
        assert len(model.memory) == 1 and not torch.allclose(model(images[:1]), first, atol=1e-4)
        model.eval()
        assert model.memory == []
        torch.testing.assert_close(model(images[:1]), first)
        model(images)
    assert len(model.memory) == 16


@needs_transformers
def test_medsam2_keeps_the_less_alike_and_the_surer():
    model = small("medsam2")

    def entry(angle: float, iou: float) -> dict[str, torch.Tensor]:
        angle = torch.tensor([angle])
        return {"look": torch.stack([angle.cos(), angle.sin()], 1), "iou": torch.tensor(iou)}

    model.memory = [entry(0.3 * i, 0.9) for i in range(15)] + [entry(0.01, 0.5)]  # the last is most like the first
    old = list(model.memory)
    model.remember(entry(0.005, 0.9))  # more alike than these two
    model.remember(entry(5.0, 0.3))  # not sure enough
    assert all(a is b for a, b in zip(model.memory, old, strict=True))
    new = entry(5.0, 0.45)
    model.remember(new)
    assert model.memory[15] is new and all(a is b for a, b in zip(model.memory[:15], old[:15], strict=True))


@needs_transformers
def test_weights_are_read_from_a_file_or_the_file_is_named(tmp_path, monkeypatch):
    from transformers import Sam2Model

    monkeypatch.setenv("M2S_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(foundation, "hub_answers", lambda: False)
    saved = small("sam2").encoder.body
    with pytest.raises(
        InputError, match=r"no weights of sam2\.1-hiera-large .* save it as sam2\.1-hiera-large\.safetensors"
    ):
        foundation.Foundation(Sam2Model, saved.config, "sam2.1-hiera-large", True)
    state = {name: value.contiguous().clone() for name, value in saved.state_dict().items()}
    save_file(state, tmp_path / "sam2.1-hiera-large.safetensors")
    loaded = foundation.Foundation(Sam2Model, saved.config, "sam2.1-hiera-large", True)
    assert "M2S_WEIGHTS" in loaded.weights_source
    assert all(torch.equal(value, state[name]) for name, value in loaded.body.state_dict().items())
    del state["no_memory_embedding"]
    save_file(state, tmp_path / "sam2.1-hiera-large.safetensors")
    with pytest.raises(InputError, match=r"lacks 1 tensors of sam2\.1-hiera-large, first no_memory_embedding"):
        foundation.Foundation(Sam2Model, saved.config, "sam2.1-hiera-large", True)


@pytest.mark.parametrize("name", FOUNDATION)
def test_without_the_extra_one_line_says_what_to_install(name, monkeypatch):
    monkeypatch.setattr(errors, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r'this needs transformers: .*"\.\[foundation\]"'):
        create_model(name)
    monkeypatch.setattr(plan, "find_spec", lambda _: None)
    run = STUDIES["one_model"].runs(
        {"seggpt": "SegGPT", "sam2": "SAM 2", "medsam2": "MedSAM-2"}[name], "full", "phantom"
    )[0]
    assert run.model == name
    assert find_lack(run, "phantom") == "not run: transformers is not installed (the extra foundation)"


def test_rows_of_the_paper_need_their_weights(monkeypatch):
    monkeypatch.setattr(plan, "find_spec", lambda _: True)
    monkeypatch.setattr(weights, "available", lambda name: False)
    run = STUDIES["one_model"].runs("SAM 2", "paper", "phantom")[0]
    assert "no pretrained weights of sam2.1-hiera-large" in find_lack(run, "phantom")
