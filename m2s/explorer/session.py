"""What the explorer looks at: one or two networks, one image, and what they made of it. It knows no widget."""

import io
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from m2s import data as datasets
from m2s import paths, weights
from m2s.data.disk.images import read_image
from m2s.data.disk.pictures import FORMATS
from m2s.data.imageset import ImageSet
from m2s.data.sets import CATALOGUE
from m2s.errors import InputError
from m2s.features.capture import Capture, capture
from m2s.lossnet import LossNet
from m2s.m2snet import M2SNet
from m2s.pretrained import CONFIG, FOLDER, list_pretrained, load_pretrained
from m2s.runs.models import load_model
from m2s.runs.store import MODEL, read_record
from m2s.studies.run import Run
from m2s.zoo import create_model

MOST_BYTES, MOST_PIXELS = 20_000_000, 40_000_000
"""The largest image that a visitor may give."""

UNTRAINED = "untrained M2SNet, random weights"


NAMES = {"m2snet": "M2SNet", "msnet": "MSNet"}


def list_checkpoints(results: Path | None = None) -> dict[str, Path]:
    """Trained networks by a title, such as "M2SNet · polyps · 352 px": those of ``weights/``, then finished runs.

    ``results`` is a folder of results, whose runs of MSNet and M2SNet for one class, with weights, are then all
    that is listed.
    """
    known = [] if results else sorted(list_pretrained(), key=lambda name: (name.count("-"), name))  # plain names first
    folders = {_title_pretrained(name): FOLDER / name for name in known}
    for record in sorted(Path(results or paths.results_root()).glob("*/runs/*/record.json")):
        try:
            settings = read_record(record.parent)["settings"]
        except InputError:  # a damaged run; the others are shown
            continue
        shown = settings["model"] in NAMES and settings.get("num_classes", 1) == 1
        if shown and (record.parent / MODEL).is_file():
            run = Run.from_settings(settings)
            task = run.name.removeprefix(f"{run.model}-").split(f"-{run.recipe.size}px")[0]
            size, seed = f"{run.recipe.size} px", f"seed {run.recipe.seed}"
            title = " · ".join([NAMES[run.model], task, size, seed, record.parent.parent.parent.name])
            folders[title if title not in folders else f"{title} · {run.key[-8:]}"] = record.parent
    return folders


def _title_pretrained(name: str) -> str:
    """``m2snet-paper-polyps`` → "M2SNet, wired as published · polyps · 352 px"."""
    config = json.loads((FOLDER / name / CONFIG).read_text(encoding="utf-8"))
    *_, task = name.split("-")
    wiring = ", wired as published" if config["options"].get("wiring") == "paper" else ""
    return f"{NAMES.get(config['model'], config['model'])}{wiring} · {task} · {config['size']} px"


class Session:
    """Images to choose from, the chosen one, and what one or two networks made of it.

    The networks run in :meth:`run` and :meth:`predict` only.

    Args:
        data: ``"sample"``, ``"phantom"`` or a folder of data sets.
        results: where to look for checkpoints, see :func:`list_checkpoints`.
        lossnet: LossNet's network, by default VGG-16 where its weights are available, else EfficientNet-Lite0.
    """

    def __init__(self, data: str | Path = "sample", results: Path | None = None, lossnet: str | None = None):
        self.data, self.checkpoints = data, list_checkpoints(results)
        self.networks: dict[str, M2SNet] = {}  # by their letters, A and B
        self.captures: dict[str, Capture] = {}  # what the networks made of the image, by the same letters
        self.image: np.ndarray | None = None  # as the networks see it, uint8 (size, size, 3)
        self.mask: np.ndarray | None = None  # bool (size, size), or None for an image without one
        self.images: ImageSet | None = None  # to choose from
        self.caption = ""  # which image it is, in words
        self._loaded: dict[str, M2SNet] = {}
        self._sets: dict[str, ImageSet | None] = {}  # each is read once, to be listed and to be shown
        self._lossnet: LossNet | None = None
        self._lossnet_name = lossnet or ("vgg16" if weights.local_weights("vgg16") else "tf_efficientnet_lite0")

    def list_data_sets(self) -> list[str]:
        """The names of the 2-D data sets that are there; all of them where images are made up."""
        names = [name for name, entry in CATALOGUE.items() if "volume" not in entry.modality]
        if paths.data_label(self.data) == "real":
            names = [name for name in names if self._load_set(name) is not None]
        return names

    def choose_set(self, name: str) -> None:
        """Offer the images of a data set."""
        self.images = self._load_set(name)

    def choose_image(self, index: int) -> None:
        """Take an image of the data set, with its mask."""
        name, image, mask = self.images[index]
        self._source, self.caption = (image, mask > 0), f"{name}, {self.images.title}"

    def choose_file(self, name: str, content: bytes) -> None:
        """Take an image from a file's content, which never touches the disk; it has no mask. The last one is forgotten.

        Raises:
            InputError: no image, or one that is larger than :data:`MOST_BYTES` or :data:`MOST_PIXELS`.
        """
        file = io.BytesIO(content)
        file.name = name
        try:
            if len(content) > MOST_BYTES:
                raise OSError
            with Image.open(file, formats=FORMATS) as header:  # which decodes nothing
                if header.width * header.height > MOST_PIXELS:
                    raise OSError
            self._source, self.caption = (read_image(file), None), f"your own image {name}: it has no mask"
        except (InputError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            limits = f"at most {MOST_BYTES / 1e6:.0f} MB and {MOST_PIXELS / 1e6:.0f} million pixels"
            raise InputError(f"{name} is not an image that can be read: give PNG or JPEG, {limits}") from None

    def run(self, titles: dict[str, str], size: int) -> None:
        """Show the chosen image, size × size, to networks: letter → a title of :attr:`checkpoints`, or untrained."""
        image, mask = (None if a is None else Image.fromarray(a) for a in self._source)
        self.image = np.array(image.resize((size, size), Image.Resampling.BILINEAR))
        self.mask = None if mask is None else np.array(mask.resize((size, size), Image.Resampling.NEAREST))
        self._loaded = {title: self._loaded.get(title) or self._load_network(title) for title in titles.values()}
        self.networks = {letter: self._loaded[title] for letter, title in titles.items()}
        self.captures = {letter: capture(network, self.image) for letter, network in self.networks.items()}

    def predict(self, image: np.ndarray, off: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
        """Probabilities (size, size) of an image by each network, with some units switched off where it has them."""
        predictions = {}
        for letter, network in self.networks.items():
            units = [unit for unit in off if unit.removeprefix("MS_") in network.units]
            predictions[letter] = capture(network, image, names=(), off=units).probability[0].numpy()
        return predictions

    def lossnet(self) -> LossNet:
        """LossNet, created when it is first needed."""
        if self._lossnet is None:
            self._lossnet = LossNet(self._lossnet_name)
        return self._lossnet

    def _load_set(self, name: str) -> ImageSet | None:
        """The test images of a data set, else its training images, else those of its first fold; None without any."""
        if name not in self._sets:
            self._sets[name] = None
            order = sorted(CATALOGUE[name].splits, key=lambda s: (s != "test", s != "train", not s.endswith("test")))
            for split in order:
                with suppress(InputError):
                    self._sets[name] = datasets.load_images(name, split, self.data)
                    break
        return self._sets[name]

    def _load_network(self, title: str) -> M2SNet:
        if title == UNTRAINED:
            torch.manual_seed(0)
            return create_model("m2snet", encoder="resnet10t", pretrained=False).eval()
        folder = self.checkpoints[title]
        return load_pretrained(folder) if (folder / CONFIG).is_file() else load_model(folder)[0]
