"""Every table of the LGMSNet paper as a study, its Fig. 7, and the volumes that anyone can get."""

from dataclasses import replace
from functools import partial

from m2s.studies.study import DIFFERENCE, FROM_SCRATCH, Study, Task


def _thirds(name: str, title: str, printed: str) -> Task:
    """One of the three sets with three random 70/30 splits."""
    return Task(
        title,
        train_sets=(f"{name}/lgmsnet{{fold}}-train",),
        datasets={name: printed},
        splits={name: "lgmsnet{fold}-test"},
        folds=3,
    )


TASKS = {
    "busi3": _thirds("busi", "breast tumours, three splits", "BUSI"),
    "tnscui": _thirds("tnscui", "thyroid nodules", "TNSCUI"),
    "isic2018": _thirds("isic2018", "skin lesions", "ISIC 2018"),
    "kvasir": Task("polyps, Kvasir alone", train_sets=("kvasir",), datasets={"kvasir": "Kvasir"}),
}
"""The 2-D sets of the paper. It splits Kvasir as DUCK-Net does, without a list; here it is PraNet's 900 and 100."""


def _unseen(home: str, name: str, printed: str, split: str = "all") -> Task:
    """The same training as at home, scored on another set."""
    title = f"{TASKS[home].title} → {printed}"
    return replace(TASKS[home], title=title, datasets={name: printed}, splits={name: split})


UNSEEN = {
    "bus": _unseen("busi3", "bus", "BUS"),
    "tucc": _unseen("tnscui", "tucc", "TUCC"),
    "ph2": _unseen("isic2018", "ph2", "PH2"),
    "kvasir": _unseen("kvasir", "cvc300", "CVC-300 (60 images)", "test"),
}
"""Trained on one set, tested on another: the networks of :data:`TASKS`. The paper tests on all 912 images of EndoScene
as CVC-300, here it is the 60 of them that PraNet's lists call so."""

ORGANS = {
    "spleen": "Spl",
    "right kidney": "RKid",
    "left kidney": "LKid",
    "gallbladder": "Gall",
    "oesophagus": "Eso",
    "liver": "Liv",
    "stomach": "Sto",
    "aorta": "Aor",
    "inferior vena cava": "IVC",
    "portal and splenic veins": "Veins",
    "pancreas": "Pan",
}
VOLUMES = {
    "hippocampus": Task(
        "hippocampus",
        train_sets=("hippocampus",),
        datasets={f"hippocampus:{part}": f"Hippocampus, {part}" for part in ("anterior", "posterior")},
        num_classes=3,
    ),
    "kits23": Task(
        "kidneys, tumours and cysts",
        train_sets=("kits23",),
        datasets={f"kits23:{part}": f"KiTS23, {part}" for part in ("kidney", "tumour", "cyst")},
        num_classes=4,
        extra=True,
    ),
}
BTCV = Task(
    "abdominal organs",
    train_sets=("btcv",),
    datasets={f"btcv:{ours}": f"BTCV {theirs}" for ours, theirs in ORGANS.items()},
    num_classes=14,
    extra=True,
)


def _scratch(model: str, **options: object) -> dict[str, object]:
    """A network without pretrained weights."""
    return {"model": model, "options": tuple(options.items())} | FROM_SCRATCH


NOT_BUILT = "published only: this network is not built here"
UNKNOWN_BLOCKS = "published only: where GMS goes follows neither from the paper nor from the released code"
LGMSNET, UNET, THIN_UNET = _scratch("lgmsnet"), _scratch("classic_unet"), _scratch("classic_unet", width=16)
TINYUNET, M2SNET = _scratch("tinyunet"), {"model": "m2snet"}
LIGHT = {
    "UNeXt": _scratch("unext"),
    "ERDUNet": NOT_BUILT,
    "RepViT-m3": {"model": "repvit_m3", "encoder": "repvit_m3"},
    "MobileViT-s": {"model": "mobilevit_s", "encoder": "mobilevit_s"},
    "UniRepLKNet": NOT_BUILT,
    "CMUNeXt": _scratch("cmunext"),
    "TinyU-Net": TINYUNET,
    "LGMSNet": LGMSNET,
}
OURS = ("LGMSNet", "U-Net", "M2SNet")
M2SNET_3D = _scratch("m2snet3d", wiring="paper")
"""The filters as Eq. 2 has them. As released, one BatchNorm behind each box serves all ten units, and in evaluation its
statistics, of all ten together, fit none of them: after short trainings the 3-D network misses whole classes, and finds
them with the statistics of the windows at hand (notebook 53)."""
ROWS_3D = {
    "SegMamba": "published only: its state-space layers need a GPU library, it is not built here",
    "MedNeXt": _scratch("mednext"),
    "Swin UNETR": _scratch("swin_unetr"),
    "UNETR": _scratch("unetr"),
    "3D UX-Net": _scratch("uxnet"),
    "LGMSNet": _scratch("lgmsnet3d"),
    "M2SNet in 3-D": M2SNET_3D | {"encoder": "resnet18"},
    "U-Net in 3-D": _scratch("unet3d"),
}
BELOW_PAPER = {
    "Swin UNETR": _scratch("swin_unetr") | {"recipe": {"size": 64}},
    "M2SNet in 3-D": M2SNET_3D | {"encoder": "resnet10"},
    "M2SNet in 3-D, wiring as released": _scratch("m2snet3d") | {"encoder": "resnet10"},
}
"""Of a cube of 32 voxels Swin UNETR's deepest features would be a single one; M2SNet gets a smaller encoder."""
SHOWN_2D, SHOWN_3D = ("IoU", "F1"), ("Dice", "IoU")
_ablation = partial(Study, notebook="54_lgmsnet_ablations", framework="lgmsnet", ablation=True, shown=SHOWN_2D)

LGMSNETS = {
    "lgmsnet": Study(
        title="LGMSNet's Table 1: four 2-D sets",
        published="lgmsnet_table01",
        notebook="51_lgmsnet_2d_table",
        framework="lgmsnet",
        tasks=TASKS,
        shown=SHOWN_2D,
        rows={
            "U-Net": UNET,
            "Attention U-Net": {"model": "attention_unet"},
            "U-Net++": {"model": "unetpp"},
            "Swin-UNet": _scratch("swinunet"),
            "TransUNet": {"model": "transunet", "encoder": "vit_base_r50_s16_224"},
            "MissFormer": NOT_BUILT,
            "UCTransNet": NOT_BUILT,
            "nnU-Net": _scratch("nnunet2d"),
            "MADGNet": NOT_BUILT,
            "MobileViT-s": LIGHT["MobileViT-s"],
            "CMUNeXt": LIGHT["CMUNeXt"],
            "MedT": _scratch("medt"),
            **{row: LIGHT[row] for row in ("UniRepLKNet", "RepViT-m3", "UNeXt", "TinyU-Net", "ERDUNet", "LGMSNet")},
            "M2SNet": M2SNET,
        },
        small_rows=OURS,
        small_tasks=("kvasir",),
        stand_ins={"vit_base_r50_s16_224": ""},
        reduced={"U-Net": THIN_UNET},
    ),
    "generalisation": Study(
        title="LGMSNet's Table 2: unseen sets",
        published="lgmsnet_table02",
        notebook="52_generalisation",
        framework="lgmsnet",
        tasks=UNSEEN,
        shown=SHOWN_2D,
        rows={**LIGHT, "U-Net": UNET, "M2SNet": M2SNET},
        small_rows=OURS,
        small_tasks=("kvasir",),
        reduced={"U-Net": THIN_UNET},
    ),
    "btcv": Study(
        title="LGMSNet's Table 3: abdominal organs, BTCV",
        published="lgmsnet_table03",
        notebook="53_lgmsnet_3d",
        framework="volumes",
        tasks={"btcv": BTCV},
        shown=SHOWN_3D,
        rows=ROWS_3D,
        reduced=BELOW_PAPER,
    ),
    "volumes": Study(
        title="Volumes that no table of the paper prints: Hippocampus, KiTS23",
        published="",
        notebook="53_lgmsnet_3d",
        framework="volumes",
        tasks=VOLUMES,
        shown=SHOWN_3D,
        rows={row: settings for row, settings in ROWS_3D.items() if not isinstance(settings, str)}
        | {"M2SNet in 3-D, wiring as released": _scratch("m2snet3d") | {"encoder": "resnet18"}},
        small_rows=("LGMSNet", "M2SNet in 3-D", "U-Net in 3-D"),
        reduced=BELOW_PAPER,
    ),
    "blocks": _ablation(
        title="LGMSNet's Table 6: its blocks in other networks",
        published="lgmsnet_table06",
        tasks={name: TASKS[name] for name in ("busi3", "isic2018", "kvasir")},
        rows={
            "TinyU-Net": TINYUNET,
            "TinyU-Net +LMS": _scratch("tinyunet", lms=True),
            "TinyU-Net +LMS, gain over TinyU-Net": DIFFERENCE,
            "TinyU-Net +GMS": UNKNOWN_BLOCKS,
            "TinyU-Net +GMS, gain over TinyU-Net": DIFFERENCE,
            "U-Net": UNET,
            "U-Net +LMS": _scratch("classic_unet", lms=True),
            "U-Net +LMS, gain over U-Net": DIFFERENCE,
            "U-Net +GMS": UNKNOWN_BLOCKS,
            "U-Net +GMS, gain over U-Net": DIFFERENCE,
        },
        small_rows=("TinyU-Net", "TinyU-Net +LMS"),
        reduced={"U-Net": THIN_UNET, "U-Net +LMS": _scratch("classic_unet", width=16, lms=True)},
    ),
    "lms_kernels": _ablation(
        title="LGMSNet's Fig. 7: kernel sizes of LMS",
        published="",
        tasks={"kvasir": TASKS["kvasir"]},
        rows={
            "3, 3, 3, 3": _scratch("lgmsnet", kernels=(3, 3, 3, 3)),
            "1, 3, 5, 7": _scratch("lgmsnet", kernels=(1, 3, 5, 7)),
            "5, 5, 5, 5": _scratch("lgmsnet", kernels=(5, 5, 5, 5)),
            "3, 5, 7, 9": LGMSNET,
            "7, 7, 7, 7": _scratch("lgmsnet", kernels=(7, 7, 7, 7)),
            "9, 9, 9, 9": _scratch("lgmsnet", kernels=(9, 9, 9, 9)),
        },
        small_rows=("3, 3, 3, 3", "3, 5, 7, 9"),
    ),
    "gms_shares": _ablation(
        title="LGMSNet's Fig. 7: the transformer's share of GMS",
        published="",
        tasks={"kvasir": TASKS["kvasir"]},
        rows={
            "transformer alone": _scratch("lgmsnet", share=1.0),
            "75 : 25": LGMSNET,
            "50 : 50": _scratch("lgmsnet", share=0.5),
            "25 : 75": _scratch("lgmsnet", share=0.25),
            "convolution alone": _scratch("lgmsnet", share=0.0),
        },
        small_rows=("75 : 25", "convolution alone"),
    ),
    "lgmsnet_released": _ablation(
        title="LGMSNet: paper against released code",
        published="",
        tasks={"kvasir": TASKS["kvasir"]},
        rows={
            "network as released, trained as published": LGMSNET,
            "network as the paper describes it": _scratch("lgmsnet", wiring="paper"),
            "divided by 255 a second time": _scratch("lgmsnet", doubled_division=True),
            "trained as the code trains on Kvasir": LGMSNET
            | {"recipe": {"lr": 0.01, "batch_size": 8, "augment": "lgmsnet_kvasir"}},
        },
        small_rows=("network as released, trained as published", "network as the paper describes it"),
    ),
}
