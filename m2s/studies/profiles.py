"""How large everything is: from seconds in a test to the papers' own settings on a GPU."""

from dataclasses import dataclass, field, replace

from m2s.errors import unknown
from m2s.studies.recipe import Recipe


@dataclass(frozen=True)
class Profile:
    """The size of every run of a profile.

    ``recipe`` trains the comparisons (Tables 1 to 9) and ``ablation`` the ablations, which are many; ``lgmsnet`` and
    ``lgmsnet_ablation`` do the same for LGMSNet's tables, ``volumes`` trains everything in 3-D. ``epochs`` gives a task
    another number of epochs than its recipe, in comparisons and ablations. ``train_limit`` and ``test_limit`` count
    images of each data set, ``volume_limits`` the training and test volumes, ``folds`` the folds that are trained of a
    cross-validation (None: all). ``ablation_tasks`` are the tasks that ablations are trained on (None: all that their
    table has). ``small`` profiles train the rows that a study names for them, with its ``small`` settings; ``few``
    means the networks that a class looks at, and no ablation. ``own_encoders`` gives rows the large encoders of their
    publications. ``batch`` runs share one process, since a short run takes no longer than starting Python. On a
    cluster, ``gpu`` asks for one.

    ``lossnet_weight`` belongs to its network: the released 0.1 is for VGG-16. With EfficientNet-Lite0 as LossNet, whose
    gradients are larger, 0.1 makes the network start late: a training of seconds ends in all background (notebook 03),
    and one of 600 steps loses about half of them. In longer ones on real images it is worth having.
    """

    purpose: str
    recipe: Recipe
    ablation: Recipe
    lgmsnet: Recipe
    lgmsnet_ablation: Recipe
    volumes: Recipe
    epochs: dict[str, int] = field(default_factory=dict)
    encoder: str = "tf_efficientnet_lite0"
    pretrained: bool = True
    lossnet: str = "tf_efficientnet_lite0"
    lossnet_resize: int | None = None
    lossnet_weight: float = 0.001
    train_limit: int | None = None
    test_limit: int | None = None
    volume_limits: tuple[int | None, int | None] = (None, None)
    folds: int | None = None
    ablation_tasks: tuple[str, ...] | None = ("polyps", "videos", "kvasir")
    small: bool = False
    few: bool = False
    own_encoders: bool = False
    seeds: tuple[int, ...] = (0,)
    threads: int = 1
    batch: int = 1
    gpu: bool = False


LGMSNET = Recipe(
    size=256, epochs=500, lr=0.02, encoder_lr=0.002, weight_decay=1e-4,
    multiscale=False, augment="lgmsnet", optimizer="sgd", schedule="poly",
)  # fmt: skip
"""LGMSNet's training in 2-D (its section 4.2). LGMSNet itself has no pretrained encoder; those of networks that are
compared with it get a tenth of the rate, as in M2SNet's paper."""

VOLUMES = Recipe(
    size=96, epochs=1000, batch_size=2, lr=1e-3, encoder_lr=1e-3, weight_decay=1e-5,
    multiscale=False, augment="volumes", optimizer="adamw", schedule="cosine", warmup=50,
)  # fmt: skip
"""LGMSNet's training in 3-D as released (AdamW, warm-up, cosine; crops by :class:`m2s.data.CropSet`), but for two
numbers, which the profile ``paper`` restores: the released code trains for 5000 epochs with batches of 1."""

LAB = Recipe(size=112, epochs=16, batch_size=8)
LGMSNET_LAB = replace(LGMSNET, size=64, epochs=8, batch_size=4)

PROFILES = {
    "smoke": Profile(
        "tests: seconds, its scores mean nothing",
        recipe=Recipe(size=64, epochs=2, batch_size=4),
        ablation=Recipe(size=64, epochs=1, batch_size=4),
        lgmsnet=replace(LGMSNET, size=32, epochs=2, batch_size=4),
        lgmsnet_ablation=replace(LGMSNET, size=32, epochs=1, batch_size=4),
        volumes=replace(VOLUMES, size=32, epochs=1, warmup=0),
        encoder="test_efficientnet", pretrained=False, lossnet_resize=32,
        train_limit=4, test_limit=3, volume_limits=(2, 1), folds=2, small=True, batch=16,
    ),
    "lab": Profile(
        "a class on laptops, the default",
        recipe=LAB, ablation=LAB, lgmsnet=LGMSNET_LAB, lgmsnet_ablation=LGMSNET_LAB,
        volumes=replace(VOLUMES, size=32, epochs=20, warmup=1),
        epochs={"lung": 6, "breast": 6, "oct": 6}, lossnet_weight=0.02,
        train_limit=300, test_limit=100, volume_limits=(20, 24), folds=1, small=True, few=True,
    ),
    "full": Profile(
        "real data on a CPU or one small GPU",
        recipe=Recipe(size=160, epochs=12),
        ablation=Recipe(size=128, epochs=8),
        lgmsnet=replace(LGMSNET, size=128, epochs=30),
        lgmsnet_ablation=replace(LGMSNET, size=96, epochs=20),
        volumes=replace(VOLUMES, size=32, epochs=20, batch_size=4, warmup=1),
        epochs={"videos": 12, "lung": 20, "covid": 96, "ct": 30, "oct": 96, "isic2018": 10, "ph2": 10},
        lossnet_weight=0.1, seeds=(0, 1, 2),
    ),
    "large": Profile(
        "real data on one GPU, weights that are available",
        recipe=Recipe(), ablation=Recipe(),
        lgmsnet=replace(LGMSNET, epochs=100), lgmsnet_ablation=replace(LGMSNET, epochs=100),
        volumes=replace(VOLUMES, epochs=300),
        epochs={"lung": 100, "covid": 100, "ct": 100, "breast": 100, "oct": 100},
        lossnet="vgg16", lossnet_resize=224, lossnet_weight=0.1, seeds=(0, 1, 2), threads=8, gpu=True,
    ),
    "paper": Profile(
        "the papers' own settings, for a GPU",
        recipe=Recipe(), ablation=Recipe(), lgmsnet=LGMSNET, lgmsnet_ablation=LGMSNET,
        volumes=replace(VOLUMES, epochs=5000, batch_size=1),
        epochs={"lung": 200, "covid": 200, "ct": 200, "breast": 100, "oct": 100},
        encoder="res2net50d", lossnet="vgg16", lossnet_resize=224, lossnet_weight=0.1,
        ablation_tasks=None, seeds=(0, 1, 2), threads=8, own_encoders=True, gpu=True,
    ),
}  # fmt: skip


def find_profile(name: str) -> Profile:
    """The profile called ``name``; an :class:`m2s.errors.InputError` if there is none."""
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return PROFILES[name]
