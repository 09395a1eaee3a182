"""A trained network as an ONNX file: ONNX Runtime runs it without PyTorch, and on CPUs faster."""

import copy
import html
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from m2s.errors import InputError, RunError, require_extra
from m2s.paths import MARK

TOLERANCE = 1e-4
"""Of the largest difference between the file's logits and the network's, over the network's largest logit."""
IMAGE, LOGITS, SETTINGS = "image", "logits", "m2s"
"""The names of the file's input and output, and of the entry of its metadata that holds our settings as JSON."""
CARRIED = ("mean", "std", "size", "classes", "modality", "spacing", "weights_source")
"""What a network carries beside its weights, and takes along."""


def export_onnx(network: nn.Module, title: str) -> tuple[bytes, str]:
    """An ONNX file of a network that :func:`m2s.runs.models.load_network` gives, and a card that describes it.

    The number of images and their sides stay free where the network allows it, else the number alone, else nothing:
    the file of each kind is run and compared with the network, and the first that agrees is taken. The metadata
    hold what prediction needs (:data:`CARRIED`).

    Args:
        network: with ``mean``, ``std`` and ``size``.
        title: what the file and the card say that it is.

    Raises:
        RunError: no file gives the network's logits within :data:`TOLERANCE`.
    """
    require_extra("export", "onnx", "onnxruntime")
    dims = 3 if any(p.ndim == 5 for p in network.parameters()) else 2
    content, file = _find_form(network, [[0, *range(2, dims + 2)], [0], []])
    settings = {name: getattr(file, name) for name in CARRIED if hasattr(file, name)}
    settings |= {"free": file.free, "error": float(f"{file.error:.2g}"), "title": title}
    return _add_settings(content, settings), _describe(settings, dims)


def convert_to_onnx(network: nn.Module, size: int) -> "OnnxNetwork":
    """A network for ONNX Runtime, in memory, for images of ``size`` × ``size``; checked as :func:`export_onnx` does."""
    require_extra("export", "onnx", "onnxruntime")
    network = copy.copy(network)
    network.size = size
    return _find_form(network, [[]])[1]


def _find_form(network: nn.Module, choices: Sequence[list[int]]) -> tuple[bytes, "OnnxNetwork"]:
    """The first file that gives the network's logits, of those with these free axes, and the network that it makes."""
    network = copy.deepcopy(network).cpu().eval()
    dims = 3 if any(p.ndim == 5 for p in network.parameters()) else 2
    channels = 3 if dims == 2 else 1
    one, larger = ((1, channels, *[side] * dims) for side in (network.size, network.size + 32))
    two = (2, *one[1:])
    carried = {name: getattr(network, name) for name in CARRIED if hasattr(network, name)}
    reasons = []
    for free in choices:
        shapes = [two, one, larger] if 2 in free else [two, one] if free else [one]
        try:
            content = _trace(network, shapes[0], free)
            file = OnnxNetwork(_open_session(content), free, carried).eval()
            file.error = max(_measure_error(network, file, shape) for shape in shapes)
        except Exception as problem:  # the exporter and ONNX Runtime raise what they like
            reasons.append(next(iter(str(problem).strip().splitlines()), type(problem).__name__)[:200])
            continue
        if file.error < TOLERANCE:
            return content, file
        reasons.append(f"its logits differ by {file.error:.1g} of the largest")
    raise RunError(f"no ONNX file does what this network does: {'; '.join(dict.fromkeys(reasons))}")


@contextmanager
def _no_output() -> Iterator[None]:
    """Drop what is written to standard output, also by compiled code: the exporter prints the graph where it fails."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _transpose_last(graph, x):
    rank = x.type().dim()
    return graph.op("Transpose", x, perm_i=[*range(rank - 2), rank - 1, rank - 2])


def _trace(network: nn.Module, shape: tuple[int, ...], free: list[int]) -> bytes:
    """The file of a network as it runs on an input of this shape, of which the axes ``free`` may change."""
    axes = {axis: ("N", "", "H", "W")[axis] if len(shape) == 4 else ("N", "", "D", "H", "W")[axis] for axis in free}
    file = BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.onnx.register_custom_op_symbolic("aten::mT", _transpose_last, 18)  # the exporter does not know it
    # By torch's tracing exporter: its successor takes a minute where this one takes a second.
    with warnings.catch_warnings(), _no_output():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.randn(shape),), file, dynamo=False, opset_version=18, input_names=[IMAGE],
            output_names=[LOGITS], dynamic_axes={IMAGE: axes, LOGITS: axes} if axes else None,
        )  # fmt: skip
    return file.getvalue()


@torch.inference_mode()
def _measure_error(network: nn.Module, file: nn.Module, shape: tuple[int, ...]) -> float:
    """The largest difference of logits over the largest logit, on a random input."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    wanted = network(x)
    return ((file(x) - wanted).abs().max() / wanted.abs().max()).item()


def _open_session(file: bytes | str):
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)  # errors alone
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Its threads would spin for a while after each image, and take the cores from what torch does next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _add_settings(content: bytes, settings: dict) -> bytes:
    import onnx

    model = onnx.load_from_string(content)
    model.doc_string = f"{settings['title']}; {MARK}"
    onnx.helper.set_model_props(model, {SETTINGS: json.dumps(settings)})
    return model.SerializeToString()


def _describe(settings: dict, dims: int) -> str:
    """The card: what goes in and comes out, and how to run the file."""
    size, free = settings["size"], settings["free"]
    sides = "×".join(["any side" if 2 in free else str(size)] * dims)
    values = (
        f"RGB in [0, 1], less the mean {list(settings['mean'])}, over the standard deviation {list(settings['std'])}"
        if dims == 2
        else f"one channel, normalised as m2s does for {settings.get('modality', 'this modality')}"
    )
    title, classes, source = (
        html.escape(text, quote=False)
        for text in (settings["title"], ", ".join(settings.get("classes", ["not known"])),
                     settings.get("weights_source", "unknown"))
    )  # fmt: skip
    return f"""# {title}

- `{IMAGE}`: float32, {"any number" if 0 in free else "1"} × {3 if dims == 2 else 1} × {sides}; {values}.
  The network was trained at {size} {"pixels" if dims == 2 else "voxels"} a side.
- `{LOGITS}`: a channel for the foreground, of which a sigmoid makes probabilities, or one for each class (background
  first), of which the largest is taken. Classes here: {classes}.
- Logits differ from PyTorch's by at most {settings["error"]:.1g} of the largest (random input).
- Weights: {source}.

```python
import m2s

network = m2s.load_onnx("FILE.onnx")  # mean, standard deviation and size are in the file
probabilities = m2s.predict(network, image)  # uint8 (H, W, 3), RGB
```

Or `m2s predict photo.jpg --network FILE.onnx --out maps`.

({MARK})
"""


class OnnxNetwork(nn.Module):
    """A network that ONNX Runtime runs on the CPU; it takes and gives what the exported one does.

    Args:
        session: of ONNX Runtime.
        free: the axes of the input that may change.
        carried: the network's values of :data:`CARRIED`.
    """

    error: float  # of its logits, where they were compared with the network's

    def __init__(self, session, free: list[int], carried: Mapping[str, Any]):
        super().__init__()
        self.session, self.free = session, free
        for name, value in carried.items():
            setattr(self, name, tuple(value) if isinstance(value, list) else value)
        # Empty: those who ask a network for its device and its dimensions ask its parameters.
        axes = len(session.get_inputs()[0].shape)
        self.empty = nn.Parameter(torch.empty([0] * axes), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        if 2 not in self.free and set(x.shape[2:]) != {self.size}:
            raise InputError(f"this file takes {self.size} pixels a side, not {'×'.join(map(str, x.shape[2:]))}")
        parts = [x] if 0 in self.free else x.split(1)
        given = [self.session.run(None, {IMAGE: part.cpu().numpy()})[0] for part in parts]
        return torch.from_numpy(np.concatenate(given)).to(x.device)


def load_onnx(path: str | Path) -> OnnxNetwork:
    """A network from a file that ``m2s export`` has written, for :func:`m2s.predict`.

    Raises:
        InputError: no such file, or not one of ours.
    """
    require_extra("export", "onnx", "onnxruntime")
    if not Path(path).is_file():
        raise InputError(f"no such file: {path}")
    try:
        session = _open_session(str(path))
        settings = json.loads(session.get_modelmeta().custom_metadata_map[SETTINGS])
        return OnnxNetwork(session, settings["free"], {k: v for k, v in settings.items() if k in CARRIED}).eval()
    except Exception as error:
        raise InputError(f"{path} is no ONNX file of m2s export ({type(error).__name__})") from error
