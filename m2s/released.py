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
        name = "_".join(f"x{level}" for level in range(i + n - 1, i - 1, -1))
    elif part == "enhance":
        name = "x5_dem_5" if node == "5" else f"level{node}"
    else:
        name = {"reduce": f"x{node}_dem_1", "decode": f"output{node}"}[part]
    return ".".join([name, *rest])


def load_released(model: M2SNet, checkpoint: str | Path | dict[str, Tensor]) -> M2SNet:
    """Load the authors' checkpoint format into MSNet or M2SNet (released wiring, Res2Net-50, one class).

    Args:
        model: ``create_model("m2snet" or "msnet", encoder="res2net50d", pretrained=False)``.
        checkpoint: a ``.pth`` file, or its state dict. The backbone's unused classifier (``resnet.fc``) may be absent,
            a prefix ``module.`` present.
    """
    if model.wiring != "released" or not isinstance(model.reduce["1"], nn.Identity):
        raise InputError("released checkpoints fit wiring='released' with encoder='res2net50d' only")
    state = checkpoint if isinstance(checkpoint, dict) else read_state_dict(checkpoint)
    state = {key.removeprefix("module."): value for key, value in state.items()}
    own = model.state_dict()
    own_keys = {released_name(key): key for key in own}
    missing = [name for name in own_keys if name not in state]
    extra = [name for name in state if name not in own_keys and not name.startswith("resnet.fc.")]
    shapes = [name for name, key in own_keys.items() if name in state and state[name].shape != own[key].shape]
    for names, what in ((missing, "missing"), (extra, "unknown"), (shapes, "of another shape")):
        if names:
            raise InputError(
                f"not a checkpoint of this network: {len(names)} of {len(own_keys)} keys {what}: {', '.join(names[:3])}"
                + (" …" if len(names) > 3 else "")
            )
    model.load_state_dict({key: state[name] for name, key in own_keys.items()})
    return model
