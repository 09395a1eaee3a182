"""A study is a published table: its rows are runs, its columns are scores. The one list of what is to be run."""

from dataclasses import dataclass, field

from m2s import data as datasets
from m2s.errors import unknown
from m2s.paths import data_label
from m2s.runs import Run
from m2s.training import Recipe


@dataclass(frozen=True)
class Profile:
    """How large everything is. ``train_limit`` and ``test_limit`` count images of each data set.

    ``lossnet_weight`` belongs to its network: the released 0.1 is for VGG-16. With EfficientNet-Lite0 as LossNet, whose
    gradients are about ten times larger, 0.1 drives short trainings to all background (notebook 03).
    """

    purpose: str
    recipe: Recipe
    encoder: str = "tf_efficientnet_lite0"
    pretrained: bool = True
    lossnet: str = "tf_efficientnet_lite0"
    lossnet_resize: int | None = None
    lossnet_weight: float = 0.1
    train_limit: int | None = None
    test_limit: int | None = None
    seeds: tuple[int, ...] = (0,)
    threads: int = 1


PROFILES = {
    "smoke": Profile(
        "tests: seconds, its scores mean nothing",
        Recipe(size=64, epochs=2, batch_size=4),
        encoder="test_efficientnet",
        pretrained=False,
        lossnet_resize=32,
        lossnet_weight=0.001,
        train_limit=4,
        test_limit=3,
    ),
    "lab": Profile(
        "a class on laptops, the default",
        Recipe(size=128, epochs=10, batch_size=8),
        lossnet_weight=0.001,
        train_limit=100,
        test_limit=30,
    ),
    "full": Profile(
        "real data on a CPU or one small GPU",
        Recipe(size=160, epochs=12),
        seeds=(0, 1, 2),
    ),
    "paper": Profile(
        "the paper's own settings, for a GPU",
        Recipe(),
        encoder="res2net50d",
        lossnet="vgg16",
        lossnet_resize=224,
        seeds=(0, 1, 2),
        threads=8,
    ),
}


@dataclass(frozen=True)
class Study:
    """One published table beside our runs.

    ``rows`` maps the table's row names to the settings that differ from the profile's run, or to the reason for which
    a row is not run. ``datasets`` maps our names of the test sets to the table's. ``metrics`` are the table's columns,
    named as :func:`m2s.score` names them.
    """

    title: str
    published: str
    notebook: str
    datasets: dict[str, str]
    metrics: tuple[str, ...]
    rows: dict[str, dict[str, object] | str] = field(default_factory=dict)

    def runs(self, row: str, profile: str, data: str) -> list[Run]:
        """The runs of one row, a seed each; none for a row that is not run."""
        settings = self.rows[row]
        if isinstance(settings, str):
            return []
        p = PROFILES[profile]
        base = {
            "encoder": p.encoder,
            "pretrained": p.pretrained,
            "lossnet": p.lossnet,
            "lossnet_resize": p.lossnet_resize,
            "lossnet_weight": p.lossnet_weight,
            "train_limit": p.train_limit,
            "test_sets": tuple(self.datasets),
            "test_limit": p.test_limit,
            "threads": p.threads,
        }
        recipes = [Recipe(**{**vars(p.recipe), "seed": seed}) for seed in p.seeds]
        return [Run(data=data_label(data), recipe=recipe, **{**base, **settings}) for recipe in recipes]


NOT_BUILT = "published only: this network is not built here yet"

STUDIES = {
    "polyps": Study(
        title="Table 1: image polyp segmentation",
        published="m2snet_v1_table01",
        notebook="20_polyp_table",
        datasets={
            "colondb": "ColonDB",
            "etis": "ETIS",
            "kvasir": "Kvasir",
            "cvc300": "CVC-300",
            "clinicdb": "ClinicDB",
        },
        metrics=("mDice", "mIoU", "wFm", "Sm", "Em", "MAE"),
        rows={
            # LossNet belongs to MSNet and M2SNet; the U-Net is trained with the IoU and BCE terms alone.
            "U-Net": {"model": "unet", "lossnet": None, "lossnet_resize": None, "lossnet_weight": 0.1},
            "U-Net++": NOT_BUILT,
            "Attention U-Net": NOT_BUILT,
            "UTNet": NOT_BUILT,
            "TransUNet": NOT_BUILT,
            "SFA": NOT_BUILT,
            "PraNet": NOT_BUILT,
            "MSNet": {"model": "msnet"},
            "M2SNet": {"model": "m2snet"},
        },
    ),
}


def check_profile(profile: str) -> None:
    """Raise :class:`m2s.errors.InputError` for a profile that does not exist."""
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)


def study_runs(study: str, profile: str, data: str) -> list[Run]:
    """Every run of one study, row by row."""
    check_profile(profile)
    if study not in STUDIES:
        raise unknown("study", study, STUDIES)
    chosen = STUDIES[study]
    return [run for row in chosen.rows for run in chosen.runs(row, profile, data)]


def runs(profile: str, data: str) -> list[Run]:
    """Every run of every study, each once, M2SNet's first: the list that the engine works through."""
    check_profile(profile)
    if data_label(data) == "real":
        for name in ("kvasir", "clinicdb"):
            datasets.load(name, "train", data)  # a wrong folder is an error here, before anything starts
    every = [run for study in STUDIES for run in study_runs(study, profile, data)]
    return sorted({run.key: run for run in every}.values(), key=lambda run: (run.model != "m2snet", run.key))


def find(profile: str, data: str, key: str) -> Run:
    """The run with this key."""
    by_key = {run.key: run for run in runs(profile, data)}
    if key not in by_key:
        raise unknown("run", key, by_key)
    return by_key[key]


def notebook_runs(notebook: str, profile: str, data: str) -> list[Run]:
    """The runs that a notebook shows; for ``90_paper_versus_ours`` all of them, for most notebooks none."""
    if notebook == "90_paper_versus_ours":
        return runs(profile, data)
    if notebook == "00_start_here":  # predicts with the first M2SNet
        return STUDIES["polyps"].runs("M2SNet", profile, data)[:1]
    return [run for name, s in STUDIES.items() if s.notebook == notebook for run in study_runs(name, profile, data)]
