"""Every table of the M2SNet papers as a study, and with LGMSNet's the one list of what is to be run."""

from m2s.studies.study import DIFFERENCE, FROM_SCRATCH, Study, Task

TASKS = {
    "polyps": Task(
        "image polyps",
        train_sets=("kvasir", "clinicdb"),
        datasets={
            "colondb": "ColonDB",
            "etis": "ETIS",
            "kvasir": "Kvasir",
            "cvc300": "CVC-300",
            "clinicdb": "ClinicDB",
        },
    ),
    "videos": Task(
        "video polyps",
        train_sets=("cvc300tv", "cvc612v", "cvc612t"),
        datasets={"cvc300tv": "CVC-300-TV", "cvc612v": "CVC-612-V", "cvc612t": "CVC-612-T"},
    ),
    "lung": Task("lung infection", train_sets=("lung",), datasets={"lung": "Lung infection"}),
    "covid": Task(
        "lung infection, COVID-SemiSeg",
        train_sets=("covidsemiseg",),
        datasets={"covidsemiseg": "COVID-SemiSeg"},
        extra=True,
    ),
    "breast": Task(
        "breast tumours",
        train_sets=("busi/fold{fold}-train",),
        datasets={"busi": "BUSI"},
        splits={"busi": "fold{fold}-test"},
        folds=4,
    ),
    "oct": Task(
        "retinal layers",
        train_sets=("goals",),
        datasets={"goals:RNFL": "GOALS RNFL", "goals:GCIPL": "GOALS GCIPL", "goals:choroid": "GOALS Choroid"},
        num_classes=4,
    ),
}
"""The four tasks of the papers, and Inf-Net's small public lung set, which anyone can get."""


def _tasks(*names: str) -> dict[str, Task]:
    return {name: TASKS[name] for name in names}


JOINT = Task(
    "polyps, lung infection and breast tumours at once",
    train_sets=("kvasir", "clinicdb", "lung", "busi/fold1-train"),
    datasets={"lung": "Lung infection", "busi": "Breast lesion", "kvasir": "Kvasir", "clinicdb": "ClinicDB"},
    splits={"busi": "fold1-test"},
)
"""One network for three tasks. The paper does not say which polyp images its column "Polyp" counts."""

NOT_BUILT = "published only: this network is not built here"
MSNET, M2SNET = {"model": "msnet"}, {"model": "m2snet"}
NO_LOSSNET = {"lossnet": None}
DEEP = {"options": (("deep_supervision", True),)}


def _baseline(model: str) -> dict[str, object]:
    """LossNet belongs to MSNet and M2SNet; everything else is trained with the IoU and BCE terms alone."""
    return {"model": model} | NO_LOSSNET


PAPER_PARTS = ("reduce_1", "last_unit", "own_level", "enhance_4", "enhance_5")
"""Of the wiring, all but the filters."""


def _wiring(*parts: str) -> dict[str, object]:
    return M2SNET | {"options": (("wiring", parts),)}


def _kernels(*sizes: int, **options: object) -> dict[str, object]:
    return M2SNET | {"options": (("kernels", sizes), *options.items())}


UNET, UNETPP, ATTENTION = _baseline("unet"), _baseline("unetpp"), _baseline("attention_unet")
UTNET, PRANET = _baseline("utnet"), _baseline("pranet")
TRANSUNET = _baseline("transunet") | {"encoder": "vit_base_r50_s16_224"}
HYBRID = {"vit_base_r50_s16_224": ""}  # a smaller TransUNet: the profile's encoder, then a small transformer
FOUR_TASKS = _tasks("polyps", "videos", "lung", "covid", "breast")
OTHER_FRAMEWORK = "published only: trained by nnU-Net, an extra of this project (notebook 26)"

COMPARISONS = {
    "polyps": Study(
        title="Table 1: image polyp segmentation",
        published="m2snet_v1_table01",
        notebook="20_polyp_table",
        stand_ins=HYBRID,
        tasks=_tasks("polyps"),
        rows={
            "U-Net": UNET,
            "U-Net++": UNETPP,
            "Attention U-Net": ATTENTION,
            "UTNet": UTNET,
            "TransUNet": TRANSUNET,
            "SFA": _baseline("sfa"),
            "PraNet": PRANET,
            "MSNet": MSNET,
            "M2SNet": M2SNET,
        },
        small_rows=("U-Net", "Attention U-Net", "PraNet", "MSNet", "M2SNet"),
    ),
    "videos": Study(
        title="Table 2: video polyp segmentation",
        published="m2snet_v1_table02",
        notebook="21_video_table",
        tasks=_tasks("videos"),
        rows={
            "U-Net": UNET,
            "U-Net++": UNETPP,
            "ResUNet++": _baseline("resunetpp") | FROM_SCRATCH,
            "ACSNet": _baseline("acsnet"),
            "PraNet": PRANET,
            "PNS-Net": NOT_BUILT,
            "MSNet": MSNET,
            "M2SNet": M2SNET,
        },
        small_rows=("U-Net", "MSNet", "M2SNet"),
    ),
    "lung": Study(
        title="Table 3: lung infection segmentation",
        published="m2snet_v1_table03",
        notebook="22_lung_table",
        stand_ins=HYBRID,
        tasks=_tasks("lung", "covid"),
        rows={
            "U-Net": UNET,
            "U-Net++": UNETPP,
            "Attention U-Net": ATTENTION,
            "UTNet": UTNET,
            "TransUNet": TRANSUNET,
            "Inf-Net": _baseline("infnet"),
            "BCS-Net": _baseline("bcsnet"),
            "MSNet": MSNET,
            "M2SNet": M2SNET,
        },
        small_rows=("U-Net", "Inf-Net", "MSNet", "M2SNet"),
    ),
    "breast": Study(
        title="Table 4: breast ultrasound segmentation, four folds",
        published="m2snet_v1_table04",
        notebook="23_breast_table",
        stand_ins=HYBRID,
        tasks=_tasks("breast"),
        rows={
            "U-Net": UNET,
            "U-Net++": UNETPP,
            "Attention U-Net": ATTENTION,
            "UTNet": UTNET,
            "TransUNet": TRANSUNET,
            "SKU-Net": _baseline("skunet") | FROM_SCRATCH,
            "NU-Net": _baseline("nunet") | FROM_SCRATCH,
            "MSNet": MSNET,
            "M2SNet": M2SNET,
        },
        small_rows=("U-Net", "MSNet", "M2SNet"),
    ),
    "oct": Study(
        title="Table 5: layers of the retina, GOALS 2022",
        published="m2snet_v1_table05",
        notebook="24_oct_table",
        tasks=_tasks("oct"),
        rows={
            **dict.fromkeys(
                ("LaTIM", "OPTIMA-MUW", "WRMT", "Miracle-boyi", "SZUMed", "MedicalExplorer", "AUTOMATE", "SJMED"),
                "published only: a team of the challenge",
            ),
            "IIAU-Segmentors": M2SNET,  # the authors' entry
            "Vision Wise": "published only: a team of the challenge",
        },
    ),
    "frameworks": Study(
        title="Table 7 (revised): two training frameworks",
        published="m2snet_revised_table07",
        notebook="26_frameworks",
        tasks=FOUR_TASKS,
        rows={
            "nnU-Net": OTHER_FRAMEWORK,
            "M2SNet (MSNet framework)": M2SNET,
            "M2SNet (nnU-Net framework)": OTHER_FRAMEWORK,
        },
    ),
    "boundaries": Study(
        title="Table 8 (revised): boundary distances",
        published="m2snet_revised_table08",
        notebook="27_boundaries",
        tasks=FOUR_TASKS,
        rows={
            "PraNet": PRANET,
            "PNS-Net": NOT_BUILT,
            "Inf-Net": _baseline("infnet"),
            "NU-Net": _baseline("nunet") | FROM_SCRATCH,
            "MSNet": MSNET,
            "M2SNet": M2SNET,
        },
        small_rows=("MSNet", "M2SNet"),
    ),
    "one_model": Study(
        title="Table 9 (revised): one model for all tasks",
        published="m2snet_revised_table09",
        notebook="28_one_model",
        tasks={"joint": JOINT},
        rows={
            **dict.fromkeys(
                ("SegMamba", "H-vmunet", "UniverSeg", "SegGPT", "MaskSAM", "SAM 2", "MedSAM-2", "Spider"), NOT_BUILT
            ),
            "M2SNet": M2SNET | {"encoder": "convnext_base"},
        },
        stand_ins={"convnext_base": ""},
    ),
}

ABLATIONS = {
    "aggregation": Study(
        title="Table 10 (revised): inter-layer aggregation and LossNet, on MSNet",
        published="m2snet_revised_table10",
        notebook="30_aggregation",
        tasks=_tasks("polyps"),
        ablation=True,
        # The printed figures of "+ L_f" are MSNet's in Table 1: the ablation is of the single-scale network.
        rows={
            "baseline": MSNET | NO_LOSSNET | {"options": (("orders", 1),)},
            "+ SU_2": MSNET | NO_LOSSNET | {"options": (("orders", 2),)},
            "+ SU_3": MSNET | NO_LOSSNET | {"options": (("orders", 3),)},
            "+ SU_4": MSNET | NO_LOSSNET | {"options": (("orders", 4),)},
            "+ SU_5": MSNET | NO_LOSSNET,
            "+ L_f": MSNET,
            "SU→AU": MSNET | {"options": (("unit", "addition"),)},
        },
    ),
    "losses": Study(
        title="Table 11 (revised): loss functions",
        published="m2snet_revised_table11",
        notebook="31_losses",
        tasks=FOUR_TASKS,
        ablation=True,
        rows={
            "M2SNet (LossNet)": M2SNET,
            "M2SNet (w/o LossNet)": M2SNET | NO_LOSSNET,
            "M2SNet (w/o L_IoU & L_BCE)": M2SNET | {"loss_terms": ()},
            "M2SNet (w/o LossNet + deep supervision)": M2SNET | NO_LOSSNET | DEEP,
            "M2SNet (LossNet + deep supervision)": M2SNET | DEEP,
        },
    ),
    "lossnets": Study(
        title="Table 12 (revised): the network of LossNet",
        published="m2snet_revised_table12",
        notebook="32_lossnets",
        tasks=FOUR_TASKS,
        ablation=True,
        rows={
            "VGG-16": M2SNET | {"lossnet": "vgg16", "lossnet_weight": 0.1},
            "ResNet-50": M2SNET | {"lossnet": "resnet50", "lossnet_weight": 0.1},
            "Swin-T": M2SNET | {"lossnet": "swin_tiny_patch4_window7_224", "lossnet_weight": 0.1},
        },
        # Their weights are not in any installed package: a class sees networks with random weights.
        small={"lossnet_pretrained": False, "lossnet_resize": 64},
    ),
    "kernels": Study(
        title="Table 13 (revised): kernel scales and weights",
        published="m2snet_revised_table13",
        notebook="33_kernels",
        tasks=FOUR_TASKS,
        ablation=True,
        rows={
            "M2SNet (kernel scales 1)": MSNET,
            "M2SNet (kernel scales 1,3)": _kernels(1, 3),
            "M2SNet (kernel scales 1,3,5)": M2SNET,
            "M2SNet (kernel scales 1,3,7)": _kernels(1, 3, 7),
            "M2SNet (kernel scales 1,5,9)": _kernels(1, 5, 9),
            "M2SNet (kernel scales 1,3,5,7)": _kernels(1, 3, 5, 7),
            "M2SNet (average kernel → Gaussian kernel)": M2SNET | {"options": (("filter", "gaussian"),)},
        },
    ),
    "styles": Study(
        title="Table 14 (revised): multi-scale styles",
        published="m2snet_revised_table14",
        notebook="34_multiscale_styles",
        tasks=FOUR_TASKS,
        ablation=True,
        rows={
            "MSNet": MSNET,
            "M2SNet (ASPP)": M2SNET | {"options": (("style", "aspp"),)},
            "M2SNet (ASPP), gain over MSNet": DIFFERENCE,
            "M2SNet (DenseASPP)": M2SNET | {"options": (("style", "denseaspp"),)},
            "M2SNet (DenseASPP), gain over MSNet": DIFFERENCE,
            "M2SNet": M2SNET,
            "M2SNet, gain over MSNet": DIFFERENCE,
        },
    ),
    "backbones": Study(
        title="Table 15 (revised): backbones",
        published="m2snet_revised_table15",
        notebook="35_backbones",
        tasks=FOUR_TASKS,
        ablation=True,
        rows={
            "M2SNet (Res2Net-50)": M2SNET | {"encoder": "res2net50d"},
            "M2SNet (ConvNeXt-B)": M2SNET | {"encoder": "convnext_base"},
            "M2SNet (PVTv2-B4)": M2SNET | {"encoder": "pvt_v2_b4"},
        },
        # Small relatives with random weights, so that a class can train the three kinds of encoder at all.
        small={"pretrained": False},
        stand_ins={"res2net50d": "resnet10t", "convnext_base": "convnext_atto", "pvt_v2_b4": "pvt_v2_b0"},
    ),
    "released": Study(
        title="Paper against released code",
        published="",
        notebook="36_paper_or_released",
        tasks=_tasks("polyps"),
        ablation=True,
        rows={
            "M2SNet (wiring as released, the rest as published)": M2SNET,
            "wiring of Eq. 2 and 3": M2SNET | {"options": (("wiring", "paper"),)},
            "BCE weights cancelled": M2SNET | {"loss_form": "written"},
            "LossNet weighted ten times as much": M2SNET | {"lossnet_factor": 10},
            "one learning rate": M2SNET | {"one_rate": True},
            "normalisation of the released training": M2SNET | {"normalisation": "released"},
        },
    ),
    "wiring": Study(
        title="Paper against released code: wiring and filters, part by part",
        published="",
        notebook="36_paper_or_released",
        tasks=_tasks("polyps"),
        ablation=True,
        rows={
            "wiring as released, one filter": MSNET,
            "wiring as released, filters as released": M2SNET,
            "wiring as released, filters of the paper": _wiring("filters"),
            "wiring of the paper, one filter": MSNET | {"options": (("wiring", "paper"),)},
            "wiring of the paper, filters as released": _wiring(*PAPER_PARTS),
            "wiring of the paper, filters of the paper": M2SNET | {"options": (("wiring", "paper"),)},
            "own level's features in CE": _wiring("own_level"),
            "E^1 reduced": _wiring("reduce_1"),
            "no extra Conv before MS_5^1": _wiring("last_unit"),
            "Conv at CE^4": _wiring("enhance_4"),
            "CE^5 from MS_1^5": _wiring("enhance_5"),
        },
        small_rows=(),
    ),
}
