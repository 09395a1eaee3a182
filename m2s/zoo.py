"""Names → models: everything that can be trained here, behind one function."""

from collections.abc import Callable

from torch import nn

from m2s.baselines import AttentionUNet, ResUNetPP, unet, unetpp
from m2s.baselines_breast import NUNet, SKUNet
from m2s.baselines_hybrids import MedT, SwinUNet, mobilevit_s, repvit_m3
from m2s.baselines_light import ClassicUNet, CMUNeXt, NNUNet2D, TinyUNet, UNeXt
from m2s.baselines_lung import BCSNet, InfNet
from m2s.baselines_polyps import SFA, ACSNet, PraNet
from m2s.baselines_transformers import TransUNet, UTNet
from m2s.baselines_volumes import mednext, swin_unetr, unet3d, unetr, uxnet
from m2s.errors import InputError, unknown
from m2s.lgmsnet import LGMSNet, lgmsnet3d
from m2s.network import M2SNet, MSNet
from m2s.network3d import M2SNet3D, MSNet3D

MODELS: dict[str, Callable[..., nn.Module]] = {
    "m2snet": M2SNet,
    "msnet": MSNet,
    "unet": unet,
    "unetpp": unetpp,
    "attention_unet": AttentionUNet,
    "resunetpp": ResUNetPP,
    "utnet": UTNet,
    "transunet": TransUNet,
    "pranet": PraNet,
    "sfa": SFA,
    "acsnet": ACSNet,
    "infnet": InfNet,
    "bcsnet": BCSNet,
    "skunet": SKUNet,
    "nunet": NUNet,
    "classic_unet": ClassicUNet,
    "nnunet2d": NNUNet2D,
    "tinyunet": TinyUNet,
    "cmunext": CMUNeXt,
    "unext": UNeXt,
    "mobilevit_s": mobilevit_s,
    "repvit_m3": repvit_m3,
    "swinunet": SwinUNet,
    "medt": MedT,
    "lgmsnet": LGMSNet,
    "lgmsnet3d": lgmsnet3d,
    "m2snet3d": M2SNet3D,
    "msnet3d": MSNet3D,
    "unet3d": unet3d,
    "unetr": unetr,
    "swin_unetr": swin_unetr,
    "uxnet": uxnet,
    "mednext": mednext,
}


def list_models() -> list[str]:
    """The names that :func:`create_model` takes."""
    return sorted(MODELS)


def create_model(name: str, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1, **kwargs):
    """Create a model that maps normalised RGB ``(N, 3, H, W)`` to logits ``(N, num_classes, H, W)``.

    3-D networks map normalised volumes ``(N, 1, D, H, W)`` to logits ``(N, num_classes, D, H, W)``.

    The model carries ``mean`` and ``std`` (for RGB in [0, 1]) and ``weights_source``, where its encoder's weights come
    from.

    Raises:
        InputError: the model, the encoder or an option is unknown, or no pretrained weights are found.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    try:
        return MODELS[name](encoder=encoder, pretrained=pretrained, num_classes=num_classes, **kwargs)
    except TypeError as error:
        if "unexpected keyword" in str(error):
            raise InputError(f"model '{name}': {str(error).split(') ')[-1]}") from error
        raise
