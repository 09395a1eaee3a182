"""What the catalogue says about one published data set."""

from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from itertools import chain

RESEARCH = "for research and education; cite the paper"
ARCHIVES = "Put the archives into {folder} (any names; .zip and .tar are unpacked for you)"
RAR = "Unpack the .rar yourself into {folder} (unar, 7z x, or bsdtar -xf): Python reads no RAR"
"""Words that several sets share, of their licences and of the steps that lead to them."""


@dataclass(frozen=True)
class Download:
    """One file to fetch."""

    url: str
    file: str
    """The name that it is kept under."""
    hash: str | None = None
    """``"md5:…"`` or ``"sha256:…"`` as published; ``None`` where none is known."""
    megabytes: int | None = None
    """Its size as its page states it, rounded; ``None`` where that is not known."""


@dataclass(frozen=True)
class Source:
    """How to get one data set."""

    files: tuple[Download, ...] = ()
    page: str = ""
    """Where a person finds it, where that is not the home page of the catalogue."""
    steps: tuple[str, ...] = ()
    """What the user must do; ``{folder}`` stands for the folder that takes the files."""
    folder: str = ""
    """The folder that unpacked archives go into, for archives whose own folders do not name the data set."""
    provides: tuple[str, ...] = ()
    """The data sets that come with it, where these are several."""
    verified: str = "never downloaded by this project's tests"

    @property
    def megabytes(self) -> int | None:
        """The size of the download, where it is known of every file."""
        sizes = [file.megabytes for file in self.files]
        return None if self.steps or None in sizes else sum(sizes)


@dataclass(frozen=True)
class DataSet:
    """One published data set. ``name`` is the short name used everywhere in this package."""

    name: str
    title: str
    """The name its authors gave it; also the name of its folder."""
    size: str
    """Width × height of the images, in pixels (volumes: columns × rows × slices)."""
    home: str
    licence: str
    citation: str
    layout: str
    """Folders of the images and the masks as the set is distributed."""
    counts: dict[str, int] = field(default_factory=dict)
    """Images in each split, where a source gives the number or we fixed it."""
    folders: tuple[str, ...] = ()
    """Further names under which the folder is met; capitals, spaces, hyphens and underscores do not count."""
    image_folders: tuple[str, ...] = ()
    mask_folders: tuple[str, ...] = ()
    """Names that only this set has for its folders of images and of masks (:mod:`m2s.data.disk.folders` has others)."""
    arrangement: str = "folders"
    """How images lie there: "folders", one of images and one of masks; "classes", a folder for each class, images and
    masks together; "cases", a folder for each image (:mod:`m2s.data.disk.layouts`)."""
    mask_prefix: str = ""
    """What the names of the original masks have before the name of their image."""
    part_of: tuple[str, ...] = ()
    """The data sets whose frames these are, where there are some: with those nothing else is needed."""
    modality: str = "colonoscopy"
    classes: tuple[str, ...] = ("polyp",)
    """The foreground classes: class 1, 2, …; 0 is the background."""
    colors: tuple[tuple[int, int, int], ...] = ()
    """Colours of class 0, 1, … in the masks as distributed; () for black and white, and for indices."""
    lists: str = ""
    """Folders of the shipped name lists (``lists/<folder>/<name>_<split>.txt``), separated by blanks; "" for none."""
    rule: str = ""
    """How a split without a list is made: "folders" as distributed, "fifth" or "clips" (:mod:`m2s.data.sets.rules`)."""
    parts: tuple[str, ...] = ()
    """Splits whose numbers of images no source gives."""
    spacing: tuple[float, float, float] | None = None
    """What volumes are resampled to, (z, y, x) in mm; None leaves them as they are."""
    expected: dict[str, int] = field(default_factory=dict)
    """Published numbers of images: of the whole set ("all"), and of its groups where the set has some."""
    other_counts: dict[int, str] = field(default_factory=dict)
    """Numbers of images in the whole set that are known to differ from the published one, and why."""
    note: str = ""
    """Where sources differ, or what else one should know before counting."""
    source: Source = field(default_factory=Source)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that :func:`m2s.data.load_images` takes for this set."""
        return (*self.counts, *self.parts, "all")

    @property
    def volumetric(self) -> bool:
        """Whether an image is a volume (D, H, W)."""
        return self.modality.endswith("volume")

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The image names (files without extension) of each split, in the order of the shipped lists.

        ``()`` where no list is shipped: then the split follows from the folders or a rule, and any name is taken.
        """
        lists = {split: self._read_list(split) for split in self.splits if split != "all"}
        whole = tuple(chain.from_iterable(lists.values()))
        apart = len(set(whole)) == len(whole)  # folds share images, so they do not add up to the set
        return {**lists, "all": whole if apart and all(lists.values()) else ()}

    def _read_list(self, split: str) -> tuple[str, ...]:
        for folder in self.lists.split():
            path = files(__package__) / "lists" / folder / f"{self.name}_{split}.txt"
            if path.is_file():
                text = path.read_text(encoding="utf-8")
                return tuple(line for line in text.splitlines() if line and not line.startswith("#"))
        return ()


def count_splits(kind: str, repeats: int, train: int, test: int) -> dict[str, int]:
    """The counts of repeated random splits of one set: ``<kind>1-train``, ``<kind>1-test``, and so on."""
    counts = {"train": train, "test": test}
    return {f"{kind}{k}-{part}": count for k in range(1, repeats + 1) for part, count in counts.items()}
