"""The authors' checkpoint format, read into our networks."""

from pathlib import Path

from torch import Tensor, nn

from m2s.errors import InputError
from m2s.m2snet import M2SNet
from m2s.weights import read_state_dict


def released_name(key: str) -> str:
    """The name that the authors' checkpoints give to a parameter of ours (released wiring, Res2Net-50).

    A unit is named by the levels it has seen: ``MS_n^i`` is ``x{i+n−1}_…_x{i}``.
    """
    part, *rest = key.split(".")
    if part == "encoder":
        return ".".join(["resnet", *rest[1:]])
    if part == "difference":
        return ".".join([f"conv_{rest[1]}", *rest[2:]])
    if part == "before_last_unit":
        return ".".join(["x5_dem_4", *rest])
    if part == "head":
        return ".".join(["output1.0", *rest])
    node, *rest = rest
    if part == "units":
        n, i = map(int, node.split("^"))
        theirs = "_".join(f"x{level}" for level in range(i + n - 1, i - 1, -1))
    elif part == "enhance":
        theirs = "x5_dem_5" if node == "5" else f"level{node}"
    else:
        theirs = {"reduce": f"x{node}_dem_1", "decode": f"output{node}"}[part]
    return ".".join([theirs, *rest])


def load_released(model: M2SNet, checkpoint: str | Path | dict[str, Tensor]) -> M2SNet:
    """Load the authors' checkpoint format into MSNet or M2SNet (released wiring, Res2Net-50, one class).

    Args:
        model: ``create_model("m2snet" or "msnet", encoder="res2net50d", pretrained=False)``.
        checkpoint: a ``.pth`` file, or its state dict. The backbone's unused classifier (``resnet.fc``) may be absent,
            a prefix ``module.`` present.

    Raises:
        InputError: the model has another form, or keys are missing, unknown or of another shape (named).
    """
    if model.wiring != "released" or not isinstance(model.reduce["1"], nn.Identity):
        raise InputError("released checkpoints fit wiring='released' with encoder='res2net50d' only")
    state = checkpoint if isinstance(checkpoint, dict) else read_state_dict(checkpoint)
    state = {key.removeprefix("module."): value for key, value in state.items()}
    ours = model.state_dict()
    wanted = {released_name(key): key for key in ours}
    missing = [key for key in wanted if key not in state]
    extra = [key for key in state if key not in wanted and not key.startswith("resnet.fc.")]
    shapes = [key for key in wanted if key in state and state[key].shape != ours[wanted[key]].shape]
    for keys, what in ((missing, "missing"), (extra, "unknown"), (shapes, "of another shape")):
        if keys:
            raise InputError(
                f"not a checkpoint of this network: {len(keys)} of {len(wanted)} keys {what}: {', '.join(keys[:3])}"
                + (" …" if len(keys) > 3 else "")
            )
    model.load_state_dict({wanted[key]: value for key, value in state.items() if key in wanted})
    return model
