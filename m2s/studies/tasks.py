"""The tasks of the papers: what a network is trained on, and which test sets the tables print."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from m2s.data.sets import CATALOGUE
from m2s.paths import is_made_up


@dataclass(frozen=True)
class Task:
    """What a network is trained and tested on.

    ``train_sets`` are data sets, or ``"name/split"`` where the split is not "train". ``datasets`` maps what the score
    files call a test set to the name in the printed tables; a set of several classes is scored class by class, as
    ``"name:class"``. ``splits`` names the split to test on where it is not "test". In a cross-validation of ``folds``,
    ``{fold}`` in a split stands for 1, 2, …. An ``extra`` task is in no printed table: it is run on real data only.
    """

    title: str
    train_sets: tuple[str, ...]
    datasets: dict[str, str]
    splits: dict[str, str] = field(default_factory=dict)
    folds: int = 1
    num_classes: int = 1
    extra: bool = False

    def on(self, data: str) -> "Task | None":
        """This task with the sets that it is trained and scored on; None where real and made-up images would be mixed.

        A network sees either kind alone: of a modality of which the sample has a real set, the others are left out.
        """
        made_up = {name: is_made_up(name.partition("/")[0], data) for name in self.train_sets}
        kind = all(made_up.values())
        train_sets = tuple(name for name in self.train_sets if made_up[name] == kind)
        datasets = {o: t for o, t in self.datasets.items() if is_made_up(o.partition(":")[0], data) == kind}
        modalities = [{CATALOGUE[n.partition("/")[0]].modality for n in sets} for sets in (self.train_sets, train_sets)]
        if not datasets or modalities[0] != modalities[1]:
            return None
        return replace(self, train_sets=train_sets, datasets=datasets)

    def sets(self, fold: int, scored: Collection[str]) -> dict[str, Any]:
        """The run settings ``train_sets`` and ``test_sets`` of one fold, counted from 1.

        ``scored`` are the printed names of the data sets to score; all of them if it has none of this task's.
        """
        chosen = [ours for ours, theirs in self.datasets.items() if theirs in scored] or self.datasets
        names = dict.fromkeys(label.split(":")[0] for label in chosen)
        test_sets = [f"{name}/{self.splits[name]}" if name in self.splits else name for name in names]
        both = {"train_sets": self.train_sets, "test_sets": test_sets}
        return {which: tuple(name.format(fold=fold) for name in sets) for which, sets in both.items()}


TASKS = {
    "polyps": Task(
        "image polyps", train_sets=("kvasir", "clinicdb"),
        datasets={
            "colondb": "ColonDB", "etis": "ETIS", "kvasir": "Kvasir", "cvc300": "CVC-300", "clinicdb": "ClinicDB",
        },
    ),
    "videos": Task(
        "video polyps", train_sets=("cvc300tv", "cvc612v"),  # with the one training part of CVC-612
        datasets={"cvc300tv": "CVC-300-TV", "cvc612v": "CVC-612-V", "cvc612t": "CVC-612-T"},
    ),
    "lung": Task("lung infection", train_sets=("lung",), datasets={"lung": "Lung infection"}),
    "covid": Task(
        "lung infection, COVID-SemiSeg", train_sets=("covidsemiseg",), datasets={"covidsemiseg": "COVID-SemiSeg"},
        extra=True,
    ),
    "ct": Task(
        "lung infection, ten volumes", train_sets=("covid19ct",), datasets={"covid19ct": "COVID-19-CT, ten volumes"},
        extra=True,
    ),
    "breast": Task(
        "breast tumours", train_sets=("busi/fold{fold}-train",), datasets={"busi": "BUSI"},
        splits={"busi": "fold{fold}-test"}, folds=4,
    ),
    "oct": Task(
        "retinal layers", train_sets=("goals",),
        datasets={"goals:RNFL": "GOALS RNFL", "goals:GCIPL": "GOALS GCIPL", "goals:choroid": "GOALS Choroid"},
        num_classes=4,
    ),
}  # fmt: skip
"""The four tasks of the papers, and two public lung sets which anyone can get, as extras."""

JOINT = Task(
    "polyps, lung infection and breast tumours at once",
    train_sets=("kvasir", "clinicdb", "lung", "busi/fold1-train"),
    datasets={"lung": "Lung infection", "busi": "Breast lesion", "kvasir": "Kvasir", "clinicdb": "ClinicDB"},
    splits={"busi": "fold1-test"},
)
"""One network for three tasks. The paper does not say which polyp images its column "Polyp" counts."""


def _thirds(name: str, title: str, printed: str) -> Task:
    """One of the three sets with three random 70/30 splits."""
    splits = {name: "lgmsnet{fold}-test"}
    return Task(title, (f"{name}/lgmsnet{{fold}}-train",), {name: printed}, splits, folds=3)


LGMSNET_TASKS = {
    "busi3": _thirds("busi", "breast tumours, three splits", "BUSI"),
    "tnscui": _thirds("tnscui", "thyroid nodules", "TNSCUI"),
    "isic2018": _thirds("isic2018", "skin lesions", "ISIC 2018"),
    "kvasir": Task("polyps, Kvasir alone", train_sets=("kvasir",), datasets={"kvasir": "Kvasir"}),
}
"""The 2-D sets of the paper. It splits Kvasir as DUCK-Net does, without a list; here it is PraNet's 900 and 100."""


def _unseen(home: str, name: str, printed: str, split: str = "all") -> Task:
    """The same training as at home, scored on another set."""
    title = f"{LGMSNET_TASKS[home].title} → {printed}"
    return replace(LGMSNET_TASKS[home], title=title, datasets={name: printed}, splits={name: split})


UNSEEN = {
    "bus": _unseen("busi3", "bus", "BUS"),
    "tucc": _unseen("tnscui", "tucc", "TUCC"),
    "ph2": _unseen("isic2018", "ph2", "PH2"),
    "kvasir": replace(
        _unseen("kvasir", "endoscene", "CVC-300 (912 images)"),
        datasets={"endoscene": "CVC-300 (912 images)", "cvc300": "CVC-300 (60 images)"},
    ),
}
"""Trained on one set, tested on another: the networks of :data:`LGMSNET_TASKS`. The paper calls all 912 images of
EndoScene CVC-300; the 60 of them that PraNet's lists call so are a column of their own."""

ORGANS = {
    "spleen": "Spl", "right kidney": "RKid", "left kidney": "LKid", "gallbladder": "Gall", "oesophagus": "Eso",
    "liver": "Liv", "stomach": "Sto", "aorta": "Aor", "inferior vena cava": "IVC",
    "portal and splenic veins": "Veins", "pancreas": "Pan",
}  # fmt: skip
VOLUMES = {
    "hippocampus": Task(
        "hippocampus", ("hippocampus",), {f"hippocampus:{c}": f"Hippocampus, {c}" for c in ("anterior", "posterior")},
        num_classes=3,
    ),
    "kits23": Task(
        "kidneys, tumours and cysts", ("kits23",),
        {f"kits23:{c}": f"KiTS23, {c}" for c in ("kidney", "tumour", "cyst")}, num_classes=4, extra=True,
    ),
}  # fmt: skip
BTCV = Task(
    "abdominal organs", ("btcv",), {f"btcv:{ours}": f"BTCV {theirs}" for ours, theirs in ORGANS.items()},
    num_classes=14, extra=True,
)  # fmt: skip
