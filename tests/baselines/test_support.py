"""The support bank: what goes in, one task of several, saving and loading, refusals."""

import pytest
import torch

from m2s.baselines.universeg import UniverSeg
from m2s.data.tensors import normalize
from m2s.errors import InputError
from m2s.runs.predict import predict


def make_network(tasks=("a", "b"), support=2):
    torch.manual_seed(0)
    model = UniverSeg(width=4, support=support)
    images = torch.randint(0, 256, (support * len(tasks), 3, 16, 16), dtype=torch.uint8)
    model.set_support(images, (torch.rand(len(images), 1, 16, 16) > 0.5) * 3, tasks)
    return model.eval(), images


def test_the_examples_of_a_task_are_what_it_segments_by():
    model, images = make_network()
    x, second = torch.rand(1, 3, 16, 16), model.for_task("b")
    masks = model.bank_masks[2:][None].float()
    assert set(masks.unique().tolist()) == {0, 1}
    with torch.no_grad():
        expected = model(x, normalize(images[2:], model.mean, model.std)[None], masks)
        torch.testing.assert_close(second(x), expected)
        torch.testing.assert_close(model(x), model.for_task("a")(x))
        assert not torch.allclose(model(x), second(x))
    assert second.head is model.head and len(model.bank_images) == 4 and model.tasks == ("a", "b")


def test_a_bank_is_saved_with_the_weights():
    model, _ = make_network()
    again = UniverSeg(width=4, support=2).eval()
    again.load_state_dict(model.state_dict())
    again.tasks = model.tasks
    x = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(again.for_task("b")(x), model.for_task("b")(x))


def test_what_does_not_fit_is_refused():
    model, images = make_network()
    with pytest.raises(InputError, match="2 examples for each of 1 tasks"):
        model.set_support(images, torch.zeros(4, 1, 16, 16))
    with pytest.raises(InputError, match=r"unknown task 'c': known: a, b"):
        model.for_task("c")
    with pytest.raises(InputError, match="give 1 or more"):
        UniverSeg(support=0)


def test_no_image_is_segmented_without_an_example_or_a_choice():
    image = torch.zeros(20, 24, 3, dtype=torch.uint8).numpy()
    with pytest.raises(InputError, match="no example with an object"):
        predict(UniverSeg(width=4, support=2).eval(), image, 16)
    model, _ = make_network()
    with pytest.raises(InputError, match="choose one with for_task, a or b"):
        predict(model, image, 16)
    assert predict(model.for_task("a"), image, 16).shape == (20, 24)
