"""How a network is trained, as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. The defaults are the paper's for the polyp sets (section 4.3).

    ``size`` in pixels (images are square in training, and crops of volumes cubes); ``lr`` of everything but the
    encoder, ``encoder_lr`` of the encoder, both at the peak of the schedule. The released code trains the encoder at
    ``lr`` too (its filter matches no parameter). ``optimizer`` is "nesterov" (SGD), "sgd" or "adamw", ``schedule`` and
    ``warmup`` are explained at :func:`rate`, ``augment`` names one of :data:`m2s.data.AUGMENTATIONS`.
    """

    size: int = 352
    epochs: int = 50
    batch_size: int = 16
    lr: float = 0.05
    encoder_lr: float = 0.005
    momentum: float = 0.9
    weight_decay: float = 5e-4
    multiscale: bool = True
    augment: str = "m2snet"
    seed: int = 0
    optimizer: str = "nesterov"
    schedule: str = "triangle"
    warmup: int = 0
