"""Every table of the LGMSNet paper as a study, its Fig. 7, and the volumes that anyone can get."""

from dataclasses import replace
from functools import partial
from typing import Any

from m2s.studies.study import GAIN, NotRun, Row, Study, published_only
from m2s.studies.tasks import BTCV, LGMSNET_TASKS, UNSEEN, VOLUMES


def _from_scratch(model: str, encoder: str = "none", **options: Any) -> Row:
    """A network without pretrained weights."""
    return Row({"model": model, "encoder": encoder, "pretrained": False, "options": tuple(options.items())})


def _classic_unet(**options: Any) -> Row:
    """U-Net, a thinner one below the paper's size."""
    thin = _from_scratch("classic_unet", width=16, **options)
    return replace(_from_scratch("classic_unet", **options), below_paper=thin)


def _m2snet_3d(**options: Any) -> Row:
    """M2SNet in 3-D; below the paper's size it gets a smaller encoder."""
    small = _from_scratch("m2snet3d", "resnet10", **options)
    return replace(_from_scratch("m2snet3d", "resnet18", **options), below_paper=small)


UNKNOWN_BLOCKS = published_only("where GMS goes follows neither from the paper nor from the released code")
_lgmsnet = partial(_from_scratch, "lgmsnet")
LGMSNET, TINYUNET = _lgmsnet(), _from_scratch("tinyunet")
M2SNET = Row({"model": "m2snet"})
TRANSUNET = Row({"model": "transunet", "encoder": "vit_base_r50_s16_224"}, below_paper=Row({"model": "transunet"}))
UNET = _classic_unet()
LIGHT: dict[str, Row | NotRun] = {
    "UNeXt": _from_scratch("unext"),
    "ERDUNet": Row({"model": "erdunet", "encoder": "resnet34"}, below_paper=Row({"model": "erdunet"})),
    "RepViT-m3": Row({"model": "repvit_m3", "encoder": "repvit_m3"}),
    "MobileViT-s": Row({"model": "mobilevit_s", "encoder": "mobilevit_s"}),
    "UniRepLKNet": _from_scratch("unireplknet"),
    "CMUNeXt": _from_scratch("cmunext"),
    "TinyU-Net": TINYUNET,
    "LGMSNet": LGMSNET,
}
OURS = ("LGMSNet", "U-Net", "M2SNet")

SWIN_UNETR = _from_scratch("swin_unetr")
ROWS_3D: dict[str, Row | NotRun] = {
    "SegMamba": _from_scratch("segmamba"),
    "MedNeXt": _from_scratch("mednext"),
    # Of a cube of 32 voxels its deepest features would be a single one.
    "Swin UNETR": replace(SWIN_UNETR, below_paper=replace(SWIN_UNETR, recipe={"size": 64})),
    "UNETR": _from_scratch("unetr"),
    "3D UX-Net": _from_scratch("uxnet"),
    "LGMSNet": _from_scratch("lgmsnet3d"),
    # The filters as Eq. 2 has them. As released, one BatchNorm behind each box serves all ten units, and in evaluation
    # its statistics, of all ten together, fit none of them (notebook 53).
    "M2SNet in 3-D": _m2snet_3d(wiring="paper"),
    "U-Net in 3-D": _from_scratch("unet3d"),
}
KVASIR_RECIPE = {"lr": 0.01, "batch_size": 8, "augment": "lgmsnet_kvasir"}
"""Of the released code on Kvasir, for 300 epochs; its seeds there are 41, 1 and 123."""
KVASIR = {"kvasir": LGMSNET_TASKS["kvasir"]}
SHOWN_2D, SHOWN_3D = ("IoU", "F1"), ("Dice", "IoU")
_ablation = partial(Study, notebook="54_lgmsnet_ablations", framework="lgmsnet", ablation=True, shown=SHOWN_2D)

LGMSNETS = {
    "lgmsnet": Study(
        title="LGMSNet's Table 1: four 2-D sets", published="lgmsnet_table01", notebook="51_lgmsnet_2d_table",
        framework="lgmsnet", tasks=LGMSNET_TASKS, shown=SHOWN_2D,
        rows={
            "U-Net": UNET,
            "Attention U-Net": _classic_unet(gates=True),
            "U-Net++": Row({"model": "nested_unet", "encoder": "resnet34"}, below_paper=Row({"model": "nested_unet"})),
            "Swin-UNet": _from_scratch("swinunet"),
            "TransUNet": TRANSUNET,
            "MissFormer": _from_scratch("missformer"),
            "UCTransNet": _from_scratch("uctransnet"),
            "nnU-Net": _from_scratch("nnunet2d"),
            "MADGNet": Row({"model": "madgnet", "encoder": "resnet50"}, below_paper=Row({"model": "madgnet"})),
            "MobileViT-s": LIGHT["MobileViT-s"],
            "CMUNeXt": LIGHT["CMUNeXt"],
            "MedT": _from_scratch("medt"),
            **{row: LIGHT[row] for row in ("UniRepLKNet", "RepViT-m3", "UNeXt", "TinyU-Net", "ERDUNet", "LGMSNet")},
            "M2SNet": M2SNET,
        },
        small_rows=OURS, small_tasks=("kvasir",), few_rows=("LGMSNet",), few_tasks=("isic2018",),
    ),
    "generalisation": Study(
        title="LGMSNet's Table 2: unseen sets", published="lgmsnet_table02", notebook="52_generalisation",
        framework="lgmsnet", tasks=UNSEEN, shown=SHOWN_2D, rows={**LIGHT, "U-Net": UNET, "M2SNet": M2SNET},
        small_rows=OURS, small_tasks=("kvasir",), few_rows=("LGMSNet",), few_tasks=("ph2",),
    ),
    "btcv": Study(
        title="LGMSNet's Table 3: abdominal organs, BTCV", published="lgmsnet_table03", notebook="53_lgmsnet_3d",
        framework="volumes", tasks={"btcv": BTCV}, shown=SHOWN_3D, rows=ROWS_3D,
    ),
    "volumes": Study(
        title="Volumes that no table of the paper prints: Hippocampus, KiTS23", notebook="53_lgmsnet_3d",
        framework="volumes", tasks=VOLUMES, shown=SHOWN_3D,
        rows={row: settings for row, settings in ROWS_3D.items() if isinstance(settings, Row)}
        | {"M2SNet in 3-D, wiring as released": _m2snet_3d()},
        small_rows=("LGMSNet", "M2SNet in 3-D", "U-Net in 3-D"), few_rows=("LGMSNet",),
    ),
    "blocks": _ablation(
        title="LGMSNet's Table 6: its blocks in other networks", published="lgmsnet_table06",
        tasks={name: LGMSNET_TASKS[name] for name in ("busi3", "isic2018", "kvasir")},
        rows={
            "TinyU-Net": TINYUNET,
            "TinyU-Net +LMS": _from_scratch("tinyunet", lms=True),
            "TinyU-Net +LMS, gain over TinyU-Net": GAIN,
            "TinyU-Net +GMS": UNKNOWN_BLOCKS,
            "TinyU-Net +GMS, gain over TinyU-Net": GAIN,
            "U-Net": UNET,
            "U-Net +LMS": _classic_unet(lms=True),
            "U-Net +LMS, gain over U-Net": GAIN,
            "U-Net +GMS": UNKNOWN_BLOCKS,
            "U-Net +GMS, gain over U-Net": GAIN,
        },
        small_rows=("TinyU-Net", "TinyU-Net +LMS"),
    ),
    "lms_kernels": _ablation(
        title="LGMSNet's Fig. 7: kernel sizes of LMS", tasks=KVASIR,
        rows={
            "3, 3, 3, 3": _lgmsnet(kernels=(3, 3, 3, 3)),
            "1, 3, 5, 7": _lgmsnet(kernels=(1, 3, 5, 7)),
            "5, 5, 5, 5": _lgmsnet(kernels=(5, 5, 5, 5)),
            "3, 5, 7, 9": LGMSNET,
            "7, 7, 7, 7": _lgmsnet(kernels=(7, 7, 7, 7)),
            "9, 9, 9, 9": _lgmsnet(kernels=(9, 9, 9, 9)),
        },
        small_rows=("3, 3, 3, 3", "3, 5, 7, 9"),
    ),
    "gms_shares": _ablation(
        title="LGMSNet's Fig. 7: the transformer's share of GMS", tasks=KVASIR,
        rows={
            "transformer alone": _lgmsnet(share=1.0),
            "75 : 25": LGMSNET,
            "50 : 50": _lgmsnet(share=0.5),
            "25 : 75": _lgmsnet(share=0.25),
            "convolution alone": _lgmsnet(share=0.0),
        },
        small_rows=("75 : 25", "convolution alone"),
    ),
    "lgmsnet_released": _ablation(
        title="LGMSNet: paper against released code", tasks=KVASIR,
        rows={
            "network as released, trained as published": LGMSNET,
            "network as the paper describes it": _lgmsnet(wiring="paper"),
            "divided by 255 a second time": _lgmsnet(doubled_division=True),
            "trained as the code trains on Kvasir": replace(
                LGMSNET, recipe=KVASIR_RECIPE | {"epochs": 300}, below_paper=replace(LGMSNET, recipe=KVASIR_RECIPE)
            ),
        },
        small_rows=("network as released, trained as published", "network as the paper describes it"),
    ),
}  # fmt: skip
