"""Names → networks: everything that can be trained here, behind one function."""

from importlib import import_module

from m2s.errors import InputError, require_extra, unknown

MODELS = {
    "m2snet": "m2s.m2snet:M2SNet",
    "msnet": "m2s.m2snet:MSNet",
    "unet": "m2s.baselines.unet:unet",
    "unetpp": "m2s.baselines.unetpp:unetpp",
    "attention_unet": "m2s.baselines.attention_unet:AttentionUNet",
    "nested_unet": "m2s.baselines.nested_unet:NestedUNet",
    "resunetpp": "m2s.baselines.resunetpp:ResUNetPP",
    "utnet": "m2s.baselines.utnet:UTNet",
    "transunet": "m2s.baselines.transunet:TransUNet",
    "pnsnet": "m2s.baselines.pnsnet:PNSNet",
    "pranet": "m2s.baselines.pranet:PraNet",
    "sfa": "m2s.baselines.sfa:SFA",
    "acsnet": "m2s.baselines.acsnet:ACSNet",
    "infnet": "m2s.baselines.infnet:InfNet",
    "bcsnet": "m2s.baselines.bcsnet:BCSNet",
    "skunet": "m2s.baselines.skunet:SKUNet",
    "nunet": "m2s.baselines.nunet:NUNet",
    "classic_unet": "m2s.baselines.classic_unet:ClassicUNet",
    "nnunet2d": "m2s.baselines.nnunet2d:NNUNet2D",
    "tinyunet": "m2s.baselines.tinyunet:TinyUNet",
    "cmunext": "m2s.baselines.cmunext:CMUNeXt",
    "unext": "m2s.baselines.unext:UNeXt",
    "mobilevit_s": "m2s.baselines.mobilevit_s:mobilevit_s",
    "repvit_m3": "m2s.baselines.repvit_m3:repvit_m3",
    "swinunet": "m2s.baselines.swinunet:SwinUNet",
    "medt": "m2s.baselines.medt:MedT",
    "missformer": "m2s.baselines.missformer:MISSFormer",
    "uctransnet": "m2s.baselines.uctransnet:UCTransNet",
    "madgnet": "m2s.baselines.madgnet:MADGNet",
    "unireplknet": "m2s.baselines.unireplknet:UniRepLKNet",
    "erdunet": "m2s.baselines.erdunet:ERDUnet",
    "hvmunet": "m2s.baselines.hvmunet:HVMUNet",
    "segmamba2d": "m2s.baselines.segmamba:SegMamba2D",
    "universeg": "m2s.baselines.universeg:UniverSeg",
    "spider": "m2s.baselines.spider:Spider",
    "seggpt": "m2s.baselines.seggpt:SegGPT",
    "sam2": "m2s.baselines.sam2:SAM2",
    "medsam2": "m2s.baselines.sam2:MedSAM2",
    "lgmsnet": "m2s.lgmsnet:LGMSNet",
    "lgmsnet3d": "m2s.lgmsnet:lgmsnet3d",
    "m2snet3d": "m2s.m2snet:M2SNet3D",
    "msnet3d": "m2s.m2snet:MSNet3D",
    "unet3d": "m2s.baselines.unet3d:unet3d",
    "unetr": "m2s.baselines.unetr:unetr",
    "swin_unetr": "m2s.baselines.swin_unetr:swin_unetr",
    "uxnet": "m2s.baselines.uxnet:uxnet",
    "mednext": "m2s.baselines.mednext:mednext",
    "segmamba": "m2s.baselines.segmamba:segmamba",
}
"""Name → ``"module:class or function"``, imported when a network of that name is made."""

FOUNDATION = ("seggpt", "sam2", "medsam2")
"""Those that need transformers, the extra ``foundation``."""


def list_models() -> list[str]:
    """The names that :func:`create_model` takes."""
    return sorted(MODELS)


def create_model(name: str, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1, **kwargs):
    """Create a model that maps normalised RGB ``(N, 3, H, W)`` to logits ``(N, num_classes, H, W)``.

    3-D networks map normalised volumes ``(N, 1, D, H, W)`` to logits ``(N, num_classes, D, H, W)``. The model carries
    ``mean`` and ``std`` (for RGB in [0, 1]) and ``weights_source``, where its encoder's weights come from.

    Raises:
        InputError: the model, the encoder or an option is unknown, or no pretrained weights are found.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    if name in FOUNDATION:
        require_extra("foundation", "transformers")
    module, maker = MODELS[name].split(":")
    try:
        return getattr(import_module(module), maker)(
            encoder=encoder, pretrained=pretrained, num_classes=num_classes, **kwargs
        )
    except TypeError as error:
        if "unexpected keyword" in str(error):
            raise InputError(f"model '{name}': {str(error).split(') ')[-1]}") from error
        raise
