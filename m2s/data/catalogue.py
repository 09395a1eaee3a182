"""The polyp data sets of the papers' first tables: what they are, where their home is, and PraNet's split of them."""

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from ..errors import unknown


@dataclass(frozen=True)
class DataSet:
    """One published data set. ``name`` is the short name used everywhere in this package."""

    name: str
    title: str
    """The name its authors gave it; also the name of its folder."""
    counts: dict[str, int]
    """Images in each split of PraNet's (``train``, ``test``)."""
    size: str
    """Width × height of the images, in pixels."""
    home: str
    licence: str
    citation: str
    layout: str
    """Folders of the images and the masks as the set is distributed."""
    folders: tuple[str, ...] = ()
    """Further names under which the folder is met; capitals, spaces, hyphens and underscores do not count."""
    mask_prefix: str = ""
    """What the names of the original masks have before the name of their image."""
    part_of: str = ""
    """The data set whose frames these are, where there is one."""
    modality: str = "colonoscopy"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that :func:`m2s.data.load` takes for this set."""
        return (*self.counts, "all")

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The image names (files without extension) of each split, in the order of the shipped lists."""
        lists = {split: _read_list(f"{self.name}_{split}.txt") for split in self.counts}
        return {**lists, "all": tuple(name for names in lists.values() for name in names)}


def _read_list(file: str) -> tuple[str, ...]:
    text = (files(__package__) / "splits" / "pranet" / file).read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


_RESEARCH = "for research and education; cite the paper"

CATALOGUE: dict[str, DataSet] = {
    entry.name: entry
    for entry in (
        DataSet(
            name="kvasir",
            title="Kvasir-SEG",
            counts={"train": 900, "test": 100},
            size="332×352 to 1920×1072",
            home="https://datasets.simula.no/kvasir-seg/",
            licence=_RESEARCH,
            citation="Jha et al., Kvasir-SEG: A Segmented Polyp Dataset, MMM 2020",
            layout="Kvasir-SEG/{images,masks}",
            folders=("Kvasir",),
        ),
        DataSet(
            name="clinicdb",
            title="CVC-ClinicDB",
            counts={"train": 550, "test": 62},
            size="384×288",
            home="https://polyp.grand-challenge.org/CVCClinicDB/",
            licence=_RESEARCH,
            citation="Bernal et al., WM-DOVA maps for accurate polyp highlighting in colonoscopy, CMIG 2015",
            layout="CVC-ClinicDB/{Original,Ground Truth}",
            folders=("ClinicDB", "CVC-612"),
        ),
        DataSet(
            name="colondb",
            title="CVC-ColonDB",
            counts={"test": 380},
            size="574×500",
            home="http://vi.cvc.uab.es/colon-qa/cvccolondb/",
            licence=_RESEARCH,
            citation="Tajbakhsh et al., Automated Polyp Detection in Colonoscopy Videos, IEEE TMI 2016",
            layout="CVC-ColonDB/{images,masks}",
            folders=("ColonDB",),
        ),
        DataSet(
            name="cvc300",
            title="CVC-300",
            counts={"test": 60},
            size="574×500",
            home="http://www.cvc.uab.es/CVC-Colon/",
            licence=_RESEARCH,
            citation="Vázquez et al., A Benchmark for Endoluminal Scene Segmentation of Colonoscopy Images, JHE 2017",
            layout="CVC-300/{images,masks}",
            folders=("CVC-T",),
            part_of="colondb",
        ),
        DataSet(
            name="etis",
            title="ETIS-LaribPolypDB",
            counts={"test": 196},
            size="1225×966",
            home="https://polyp.grand-challenge.org/ETISLarib/",
            licence=_RESEARCH,
            citation="Silva et al., Toward embedded detection of polyps in WCE images for early diagnosis, IJCARS 2014",
            layout="ETIS-LaribPolypDB/{images,masks}",
            folders=("ETIS-Larib", "ETIS"),
            mask_prefix="p",
        ),
    )
}


def find(name: str) -> DataSet:
    """The entry called ``name``; an :class:`~m2s.errors.InputError` with the nearest names if there is none."""
    if name not in CATALOGUE:
        raise unknown("data set", name, CATALOGUE)
    return CATALOGUE[name]
