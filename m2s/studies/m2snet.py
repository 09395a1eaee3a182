"""Every table of the M2SNet papers as a study."""

from dataclasses import replace
from functools import partial
from typing import Any

from m2s.studies.run import Run
from m2s.studies.study import GAIN, NotRun, Row, Study, Task, published_only
from m2s.studies.tasks import JOINT, TASKS


def _tasks(*names: str) -> dict[str, Task]:
    return {name: TASKS[name] for name in names}


def _network(model: str, **options: Any) -> Row:
    return Row({"model": model, "options": tuple(options.items())})


def _baseline(model: str, encoder: str | None = None) -> Row:
    """LossNet belongs to MSNet and M2SNet; everything else is trained with the IoU and BCE terms alone."""
    return Row({"model": model, "encoder": encoder, "lossnet": None})


def _from_scratch(model: str, **options: Any) -> Row:
    """A baseline whose network has no pretrained encoder."""
    return _baseline(model, "none").but(pretrained=False, options=tuple(options.items()))


def _backbone(encoder: str, relative: str) -> Row:
    """M2SNet on one of the large encoders; profiles below the paper's size take a small relative of it."""
    return replace(M2SNET.but(encoder=encoder), below_paper=M2SNET.but(encoder=relative))


def _foundation(model: str, weights: str, size: int) -> Row:
    """A network of transformers, trained on from its weights; below the paper's size a small one with random ones."""
    recipe = {"optimizer": "adamw", "multiscale": False, "batch_size": 4}
    small = replace(_from_scratch(model, small=True), recipe=recipe | {"lr": 1e-3, "encoder_lr": 1e-3})
    paper = recipe | {"size": size, "lr": 1e-4, "encoder_lr": 1e-4}
    return replace(_baseline(model, weights), recipe=paper, below_paper=small)


def _videos_in_clips(run: Run) -> Run:
    """On videos, four clips of five frames a step, as PNS-Net's paper; other images each by itself."""
    if run.train_sets != TASKS["videos"].train_sets:
        return run
    return replace(run, clip=5, recipe=replace(run.recipe, batch_size=4))


PAPER_PARTS = ("reduce_1", "last_unit", "own_level", "enhance_4", "enhance_5")
"""Of the wiring, all but the filters."""

_msnet, _m2snet = partial(_network, "msnet"), partial(_network, "m2snet")
MSNET, M2SNET = _msnet(), _m2snet()
NETWORKS: dict[str, Row | NotRun] = {
    "U-Net": _baseline("unet"), "U-Net++": _baseline("unetpp"), "Attention U-Net": _baseline("attention_unet"),
    "ResUNet++": _from_scratch("resunetpp"), "UTNet": _from_scratch("utnet"),
    # Below the paper's size the profile's encoder, then a small transformer.
    "TransUNet": replace(_baseline("transunet", "vit_base_r50_s16_224"), below_paper=_baseline("transunet")),
    "SFA": _baseline("sfa"), "ACSNet": _baseline("acsnet"), "PraNet": _baseline("pranet"),
    "PNS-Net": replace(_baseline("pnsnet"), adjust=_videos_in_clips),
    "Inf-Net": _baseline("infnet").but(options=(("edge_loss", True),)),
    "BCS-Net": _baseline("bcsnet"),
    "SKU-Net": _from_scratch("skunet"),
    "NU-Net": replace(_from_scratch("nunet"), below_paper=_from_scratch("nunet", width=16)),
    "MSNet": MSNET, "M2SNet": M2SNET,
}  # fmt: skip


def _rows(*names: str) -> dict[str, Row | NotRun]:
    return {name: NETWORKS[name] for name in names}


# UniverSeg has no norms that would bear the rates of the others. The image size is its publication's.
_ADAM = {"optimizer": "adamw", "multiscale": False, "batch_size": 4}
UNIVERSEG = replace(
    _from_scratch("universeg"), recipe=_ADAM | {"size": 128, "lr": 1e-4, "encoder_lr": 1e-4},
    below_paper=replace(
        _from_scratch("universeg", width=16, support=4), recipe=_ADAM | {"size": 96, "lr": 1e-3, "encoder_lr": 1e-3}
    ),
)  # fmt: skip

GENERAL = ("U-Net", "U-Net++", "Attention U-Net", "UTNet", "TransUNet")
OTHER_FRAMEWORK = published_only("trained by nnU-Net, an extra of this project (notebook 26)")
MASKSAM = published_only(
    "made for volumes: how it was run on images the paper does not say, and of its prompt generator and its decoder's "
    "adapters the facts at hand give widths, but no exact layers"
)
OTHER_TEAM = published_only("a team of the challenge")
FOUR_TASKS = _tasks("polyps", "videos", "lung", "covid", "breast")

COMPARISONS = {
    "polyps": Study(
        title="Table 1: image polyp segmentation", published="m2snet_v1_table01", notebook="20_polyp_table",
        tasks=_tasks("polyps"), rows=_rows(*GENERAL, "SFA", "PraNet", "MSNet", "M2SNet"),
        small_rows=("U-Net", "Attention U-Net", "PraNet", "MSNet", "M2SNet"), few_rows=("U-Net", "MSNet", "M2SNet"),
    ),
    "videos": Study(
        title="Table 2: video polyp segmentation", published="m2snet_v1_table02", notebook="21_video_table",
        tasks=_tasks("videos"),
        rows=_rows("U-Net", "U-Net++", "ResUNet++", "ACSNet", "PraNet", "PNS-Net", "MSNet", "M2SNet"),
        small_rows=("U-Net", "MSNet", "M2SNet"),
    ),
    "lung": Study(
        title="Table 3: lung infection segmentation", published="m2snet_v1_table03", notebook="22_lung_table",
        tasks=_tasks("lung", "covid", "ct"), rows=_rows(*GENERAL, "Inf-Net", "BCS-Net", "MSNet", "M2SNet"),
        small_rows=("U-Net", "Inf-Net", "MSNet", "M2SNet"), few_rows=("M2SNet",),
    ),
    "breast": Study(
        title="Table 4: breast ultrasound segmentation, four folds", published="m2snet_v1_table04",
        notebook="23_breast_table", tasks=_tasks("breast"),
        rows=_rows(*GENERAL, "SKU-Net", "NU-Net", "MSNet", "M2SNet"), small_rows=("U-Net", "MSNet", "M2SNet"),
        few_rows=("M2SNet",),
    ),
    "oct": Study(
        title="Table 5: layers of the retina, GOALS 2022", published="m2snet_v1_table05", notebook="24_oct_table",
        tasks=_tasks("oct"),
        rows={
            **dict.fromkeys(("LaTIM", "OPTIMA-MUW", "WRMT", "Miracle-boyi", "SZUMed"), OTHER_TEAM),
            **dict.fromkeys(("MedicalExplorer", "AUTOMATE", "SJMED"), OTHER_TEAM),
            "IIAU-Segmentors": M2SNET,  # the authors' entry
            "Vision Wise": OTHER_TEAM,
        },
        few_rows=("IIAU-Segmentors",),
    ),
    "frameworks": Study(
        title="Table 7 (revised): two training frameworks", published="m2snet_revised_table07",
        notebook="26_frameworks", tasks=FOUR_TASKS,
        rows={
            "nnU-Net": OTHER_FRAMEWORK,
            "M2SNet (MSNet framework)": M2SNET, "M2SNet (nnU-Net framework)": OTHER_FRAMEWORK,
        },
        few_rows=("M2SNet (MSNet framework)",), few_tasks=("polyps", "lung", "breast"),
    ),
    "boundaries": Study(
        title="Table 8 (revised): boundary distances, printed as mm, ours in pixels",
        published="m2snet_revised_table08", notebook="27_boundaries", tasks=FOUR_TASKS,
        rows=_rows("PraNet", "PNS-Net", "Inf-Net", "NU-Net", "MSNet", "M2SNet"), small_rows=("MSNet", "M2SNet"),
        few_rows=("MSNet", "M2SNet"), few_tasks=("polyps",),
    ),
    "one_model": Study(
        title="Table 9 (revised): one model for all tasks", published="m2snet_revised_table09", notebook="28_one_model",
        tasks={"joint": JOINT},
        rows={
            # How a 3-D network is run on images the paper does not say: here rows stand in for slices.
            "SegMamba": _from_scratch("segmamba2d"), "H-vmunet": _from_scratch("hvmunet"),
            "UniverSeg": UNIVERSEG,
            "SegGPT": _foundation("seggpt", "seggpt-vit-large", 448), "MaskSAM": MASKSAM,
            # With which prompts the paper does not say: here SAM 2 gets a box around the whole image, MedSAM-2 none.
            "SAM 2": _foundation("sam2", "sam2.1-hiera-large", 1024),
            "MedSAM-2": _foundation("medsam2", "sam2.1-hiera-large", 1024),
            # The paper does not say how its own network's examples were chosen; here they are drawn at random.
            "Spider": replace(
                _baseline("spider", "convnextv2_base"),
                below_paper=_baseline("spider").but(options=(("support", 8),)),
            ),
            "M2SNet": replace(M2SNET.but(encoder="convnext_base"), below_paper=M2SNET),
        },
        small_rows=("M2SNet",),
    ),
}  # fmt: skip

_ablation = partial(Study, tasks=FOUR_TASKS, ablation=True)

ABLATIONS = {
    "aggregation": _ablation(
        title="Table 10 (revised): inter-layer aggregation and LossNet, on MSNet", published="m2snet_revised_table10",
        notebook="30_aggregation", tasks=_tasks("polyps"),
        # The printed figures of "+ L_f" are MSNet's in Table 1: the ablation is of the single-scale network.
        rows={
            "baseline": _msnet(orders=1).but(lossnet=None),
            "+ SU_2": _msnet(orders=2).but(lossnet=None),
            "+ SU_3": _msnet(orders=3).but(lossnet=None),
            "+ SU_4": _msnet(orders=4).but(lossnet=None),
            "+ SU_5": MSNET.but(lossnet=None),
            "+ L_f": MSNET,
            "SU→AU": _msnet(unit="addition"),
        },
    ),
    "losses": _ablation(
        title="Table 11 (revised): loss functions", published="m2snet_revised_table11", notebook="31_losses",
        rows={
            "M2SNet (LossNet)": M2SNET,
            "M2SNet (w/o LossNet)": M2SNET.but(lossnet=None),
            "M2SNet (w/o L_IoU & L_BCE)": M2SNET.but(loss_terms=()),
            "M2SNet (w/o LossNet + deep supervision)": _m2snet(deep_supervision=True).but(lossnet=None),
            "M2SNet (LossNet + deep supervision)": _m2snet(deep_supervision=True),
        },
    ),
    "lossnets": _ablation(
        title="Table 12 (revised): the network of LossNet", published="m2snet_revised_table12", notebook="32_lossnets",
        rows={
            "VGG-16": M2SNET.but(lossnet="vgg16", lossnet_weight=0.1),
            "ResNet-50": M2SNET.but(lossnet="resnet50", lossnet_weight=0.1),
            "Swin-T": M2SNET.but(lossnet="swin_tiny_patch4_window7_224", lossnet_weight=0.1),
        },
        # Their weights are not in any installed package: a class sees networks with random weights.
        small={"lossnet_pretrained": False, "lossnet_resize": 64},
    ),
    "kernels": _ablation(
        title="Table 13 (revised): kernel scales and weights", published="m2snet_revised_table13",
        notebook="33_kernels",
        rows={
            "M2SNet (kernel scales 1)": MSNET,
            "M2SNet (kernel scales 1,3)": _m2snet(kernels=(1, 3)),
            "M2SNet (kernel scales 1,3,5)": M2SNET,
            "M2SNet (kernel scales 1,3,7)": _m2snet(kernels=(1, 3, 7)),
            "M2SNet (kernel scales 1,5,9)": _m2snet(kernels=(1, 5, 9)),
            "M2SNet (kernel scales 1,3,5,7)": _m2snet(kernels=(1, 3, 5, 7)),
            "M2SNet (average kernel → Gaussian kernel)": _m2snet(filter="gaussian"),
        },
    ),
    "styles": _ablation(
        title="Table 14 (revised): multi-scale styles", published="m2snet_revised_table14",
        notebook="34_multiscale_styles",
        rows={
            "MSNet": MSNET,
            "M2SNet (ASPP)": _m2snet(style="aspp"),
            "M2SNet (ASPP), gain over MSNet": GAIN,
            "M2SNet (DenseASPP)": _m2snet(style="denseaspp"),
            "M2SNet (DenseASPP), gain over MSNet": GAIN,
            "M2SNet": M2SNET,
            "M2SNet, gain over MSNet": GAIN,
        },
    ),
    "backbones": _ablation(
        title="Table 15 (revised): backbones", published="m2snet_revised_table15", notebook="35_backbones",
        rows={
            "M2SNet (Res2Net-50)": _backbone("res2net50d", "resnet10t"),
            "M2SNet (ConvNeXt-B)": _backbone("convnext_base", "convnext_atto"),
            "M2SNet (PVTv2-B4)": _backbone("pvt_v2_b4", "pvt_v2_b0"),
        },
        # Random weights, so that a class can train the three kinds of encoder at all.
        small={"pretrained": False},
    ),
    "released": _ablation(
        title="Paper against released code", notebook="36_paper_or_released", tasks=_tasks("polyps"),
        rows={
            "M2SNet (wiring as released, the rest as published)": M2SNET,
            "wiring of Eq. 2 and 3": _m2snet(wiring="paper"),
            "BCE weights cancelled": M2SNET.but(loss_form="written"),
            "LossNet weighted ten times as much": replace(
                M2SNET, adjust=lambda run: replace(run, lossnet_weight=10 * run.lossnet_weight)
            ),
            "LossNet weighted a tenth as much": replace(
                M2SNET, adjust=lambda run: replace(run, lossnet_weight=run.lossnet_weight / 10)
            ),
            "one learning rate": replace(
                M2SNET, adjust=lambda run: replace(run, recipe=replace(run.recipe, encoder_lr=run.recipe.lr))
            ),
            "normalisation of the released training": M2SNET.but(normalisation="released"),
        },
    ),
    "wiring": _ablation(
        title="Paper against released code: wiring and filters, part by part", notebook="36_paper_or_released",
        tasks=_tasks("polyps"),
        rows={
            "wiring as released, one filter": MSNET,
            "wiring as released, filters as released": M2SNET,
            "wiring as released, filters of the paper": _m2snet(wiring=("filters",)),
            "wiring of the paper, one filter": _msnet(wiring="paper"),
            "wiring of the paper, filters as released": _m2snet(wiring=PAPER_PARTS),
            "wiring of the paper, filters of the paper": _m2snet(wiring="paper"),
            "own level's features in CE": _m2snet(wiring=("own_level",)),
            "E^1 reduced": _m2snet(wiring=("reduce_1",)),
            "no extra Conv before MS_5^1": _m2snet(wiring=("last_unit",)),
            "Conv at CE^4": _m2snet(wiring=("enhance_4",)),
            "CE^5 from MS_1^5": _m2snet(wiring=("enhance_5",)),
        },
        small_rows=(),
    ),
}  # fmt: skip
