import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from m2s import create_model
from m2s.errors import InputError
from m2s.lgmsnet import GMS, LMS, from_sequences, to_sequences

GOLDEN = Path(__file__).parent / "golden"
NORMS = (nn.GroupNorm, nn.LayerNorm, nn.modules.batchnorm._NormBase)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def fill(model: nn.Module) -> nn.Module:
    """Made-up weights that depend on a layer's kind and shape alone (tests/golden/README.md)."""
    for module in model.modules():
        kind = "linear" if isinstance(module, nn.Linear) else "norm" if isinstance(module, NORMS) else "conv"
        for name, p in module.named_parameters(recurse=False):
            text = f"{kind}.{name}.{'x'.join(map(str, p.shape))}"
            r = np.random.RandomState(zlib.crc32(text.encode()))
            if name == "bias":
                value = 0.1 * r.randn(*p.shape)
            elif kind == "norm":
                value = r.uniform(0.5, 1.5, p.shape)
            else:
                value = r.randn(*p.shape) / np.sqrt(np.prod(p.shape[1:]))
            p.data = torch.from_numpy(np.asarray(value)).float()
    return model


@pytest.mark.parametrize("name, file, classes", [("lgmsnet", "lgmsnet_2d", 1), ("lgmsnet3d", "lgmsnet_3d", 14)])
def test_it_is_the_released_network(name, file, classes):
    golden = np.load(GOLDEN / f"{file}.npz")
    model = fill(create_model(name, num_classes=classes)).train()
    shape = tuple(int(n) for n in golden["x_shape"])
    x = torch.from_numpy(np.random.RandomState(int(golden["x_seed"])).randn(*shape)).float()
    with torch.no_grad():
        y = model(x)
    error = np.abs(y[:, 0].numpy().squeeze() - golden["train_channel_0"].squeeze()).max()
    assert error < 1e-4 * np.abs(golden["train_channel_0"]).max()
    axes = [0, *range(2, y.ndim)]
    np.testing.assert_allclose(y.mean(axes), golden["train_mean_per_channel"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y.std(axes, correction=0), golden["train_std_per_channel"], rtol=1e-3)
