"""All data sets of the papers under their short names."""

from m2s.data.sets.entry import DataSet, Download, Source
from m2s.data.sets.others import IMAGES, VOLUMES
from m2s.data.sets.polyps import POLYPS, VIDEOS
from m2s.errors import unknown

CATALOGUE: dict[str, DataSet] = {entry.name: entry for entry in (*POLYPS, *VIDEOS, *IMAGES, *VOLUMES)}


def find_set(name: str) -> DataSet:
    """The entry called ``name``; an :class:`~m2s.errors.InputError` with the nearest names if there is none."""
    if name not in CATALOGUE:
        raise unknown("data set", name, CATALOGUE)
    return CATALOGUE[name]


_PRANET = "The images as the papers use them also come with PraNet's archives: python data_scripts/pranet.py"
_ARCHIVES = "Put the archives into {folder} (any names; .zip and .tar are unpacked for you)"
_RAR = "Unpack the .rar yourself into {folder} (unar, 7z x, or bsdtar -xf): Python reads no RAR"
_PNS = (
    "Follow the links to the video polyp data (Google Drive or Baidu) for training and testing",
    _ARCHIVES,
)
_ZENODO = "https://zenodo.org/record/3757476"
_ISIC = "https://isic-challenge-data.s3.amazonaws.com/2018/"

SOURCES: dict[str, Source] = {
    "pranet": Source(
        page="https://github.com/DengPingFan/PraNet",
        steps=(
            "Follow its Google Drive links to the training and the testing data",
            "Put TrainDataset.zip and TestDataset.zip into {folder}, or give their links: --url LINK --url LINK",
        ),
        provides=("kvasir", "clinicdb", "colondb", "cvc300", "etis"),
    ),
    "kvasir": Source(
        files=(Download("https://datasets.simula.no/downloads/kvasir-seg.zip", "kvasir-seg.zip", megabytes=46),),
    ),
    "clinicdb": Source(
        steps=("Download CVC-ClinicDB.rar", _RAR, _PRANET),
        folder="CVC-ClinicDB",
    ),
    "colondb": Source(
        steps=(
            "Ask for the data; its first release has 300 images, the papers use 380",
            _ARCHIVES,
            _PRANET,
        ),
        folder="CVC-ColonDB",
    ),
    "cvc300": Source(
        steps=(
            "The 60 test images are part of CVC-ColonDB as the papers use it: with it nothing else is needed",
            _PRANET,
        ),
        folder="CVC-300",
    ),
    "etis": Source(
        steps=("Download ETIS-LaribPolypDB.rar", _RAR, _PRANET),
        folder="ETIS-LaribPolypDB",
    ),
    "cvc300tv": Source(steps=_PNS),
    "cvc612v": Source(steps=_PNS),
    "cvc612t": Source(steps=_PNS),
    "lung": Source(
        page=f"https://medicalsegmentation.com/COVID19/ and {_ZENODO}",
        steps=(
            "Download the images and infection masks of both (100 slices and nine volumes there, 20 volumes here)",
            "The papers publish neither which 1,277 slices they took nor which 894 are for training: cut your own "
            "slices, and put them as PNG into {folder}/COVID-19-CT/train and .../test, in images and masks each",
        ),
    ),
    "covidsemiseg": Source(
        steps=("Follow its link to the COVID-SemiSeg data set (Google Drive)", _ARCHIVES),
        folder="COVID-SemiSeg",
    ),
    "busi": Source(
        files=(Download("https://scholar.cu.edu.eg/Dataset_BUSI.zip", "Dataset_BUSI.zip"),),
    ),
    "bus": Source(
        steps=("Sign the agreement, and send it to the address given there for a link", _ARCHIVES),
        folder="BUS",
    ),
    "goals": Source(
        steps=(
            "Register for the GOALS challenge of MICCAI 2022, accept its terms, download the images and layer masks",
            _ARCHIVES,
        ),
        folder="GOALS",
    ),
    "nr206": Source(
        steps=("We know of no home page: find the set, or ask those who cite it, and put its folder into {folder}",),
        folder="NR206",
    ),
    "tnscui": Source(
        steps=("Register on the page, accept the terms of its data and download the training set", _ARCHIVES),
        folder="TNSCUI",
    ),
    "tucc": Source(
        steps=(
            "Sign in, accept Stanford's terms and download the data, one HDF5 file",
            "Write its frames and masks out as PNG into {folder}/images and {folder}/masks, a folder for each clip",
        ),
        folder="TUCC",
    ),
    "isic2018": Source(
        files=(
            Download(f"{_ISIC}ISIC2018_Task1-2_Training_Input.zip", "ISIC2018_Task1-2_Training_Input.zip", None, 10400),
            Download(
                f"{_ISIC}ISIC2018_Task1_Training_GroundTruth.zip", "ISIC2018_Task1_Training_GroundTruth.zip", None, 26
            ),
        ),
    ),
    "ph2": Source(
        steps=("Follow the link and download PH2Dataset.rar", _RAR),
        folder="PH2",
    ),
    "btcv": Source(
        steps=(
            "Register at Synapse, join the challenge 'Multi-Atlas Labeling Beyond the Cranial Vault' and accept its "
            "terms; under Files, folder Abdomen, download RawData.zip",
            _ARCHIVES,
        ),
        folder="BTCV",
    ),
    "kits23": Source(
        page="https://github.com/neheller/kits23",
        steps=(
            "Clone the page's repository, install it (pip install -e .) and run its kits23_download_data",
            "Move, or link, its folder 'dataset' into {folder}",
        ),
        folder="KiTS23",
    ),
    "hippocampus": Source(
        files=(
            Download(
                "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task04_Hippocampus.tar",
                "Task04_Hippocampus.tar",
                "md5:9d24dba78a72977dbd1d2e110310f31b",  # as in monai.apps.DecathlonDataset
                27,
            ),
        ),
    ),
}


def find_source(name: str) -> Source:
    """The source called ``name``; an :class:`~m2s.errors.InputError` with the nearest names if there is none."""
    if name not in SOURCES:
        raise unknown("data set", name, SOURCES)
    return SOURCES[name]
