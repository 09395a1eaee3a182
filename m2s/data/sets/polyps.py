"""Polyps in colonoscopy: the five image sets of the papers' first table (PraNet's split), and EndoScene."""

from m2s.data.sets.entry import ARCHIVES, RAR, RESEARCH, DataSet, Download, Source

_PRANET = "The images as the papers use them also come with PraNet's archives: python data_scripts/pranet.py"

PRANET = Source(
    page="https://github.com/DengPingFan/PraNet",
    steps=(
        "Follow its Google Drive links to the training and the testing data",
        "Put TrainDataset.zip and TestDataset.zip into {folder}, or give their links: --url LINK --url LINK",
    ),
    provides=("kvasir", "clinicdb", "colondb", "cvc300", "etis"),
)

POLYPS = (
    DataSet(
        name="kvasir", title="Kvasir-SEG", size="332×352 to 1920×1072", counts={"train": 900, "test": 100},
        lists="pranet", expected={"all": 1000},
        home="https://datasets.simula.no/kvasir-seg/", licence=RESEARCH,
        citation="Jha et al., Kvasir-SEG: A Segmented Polyp Dataset, MMM 2020",
        layout="Kvasir-SEG/{images,masks}", folders=("Kvasir",),
        source=Source(files=(
            Download("https://datasets.simula.no/downloads/kvasir-seg.zip", "kvasir-seg.zip", megabytes=46),
        )),
    ),
    DataSet(
        name="clinicdb", title="CVC-ClinicDB", size="384×288", counts={"train": 550, "test": 62},
        lists="pranet", expected={"all": 612},
        home="https://polyp.grand-challenge.org/CVCClinicDB/", licence=RESEARCH,
        citation="Bernal et al., WM-DOVA maps for accurate polyp highlighting in colonoscopy, CMIG 2015",
        layout="CVC-ClinicDB/{Original,Ground Truth}", folders=("ClinicDB", "CVC-612"),
        source=Source(steps=("Download CVC-ClinicDB.rar", RAR, _PRANET), folder="CVC-ClinicDB"),
    ),
    DataSet(
        name="colondb", title="CVC-ColonDB", size="574×500", counts={"test": 380},
        lists="pranet", expected={"all": 380},
        home="http://vi.cvc.uab.es/colon-qa/cvccolondb/", licence=RESEARCH,
        citation="Tajbakhsh et al., Automated Polyp Detection in Colonoscopy Videos, IEEE TMI 2016",
        layout="CVC-ColonDB/{images,masks}", folders=("ColonDB",),
        other_counts={300: "the set's own paper has 300 frames; PraNet and all who follow it test on 380"},
        note="380 frames in PraNet's archive, which all tables use; the set as first published holds 300",
        source=Source(folder="CVC-ColonDB", steps=(
            "Ask for the data; its first release has 300 images, the papers use 380", ARCHIVES, _PRANET,
        )),
    ),
    DataSet(
        name="cvc300", title="CVC-300", size="574×500", counts={"test": 60}, lists="pranet", expected={"all": 60},
        home="http://www.cvc.uab.es/CVC-Colon/", licence=RESEARCH,
        citation="Vázquez et al., A Benchmark for Endoluminal Scene Segmentation of Colonoscopy Images, JHE 2017",
        layout="CVC-300/{images,masks}", folders=("CVC-T",), part_of=("colondb",),
        note="the test part (CVC-T) of CVC-300 in CVC-EndoSceneStill",
        source=Source(folder="CVC-300", steps=(
            "The 60 test images are part of CVC-ColonDB as the papers use it: with it nothing else is needed", _PRANET,
        )),
    ),
    DataSet(
        name="etis", title="ETIS-LaribPolypDB", size="1225×966", counts={"test": 196},
        lists="pranet", expected={"all": 196},
        home="https://polyp.grand-challenge.org/ETISLarib/", licence=RESEARCH,
        citation="Silva et al., Toward embedded detection of polyps in WCE images for early diagnosis, IJCARS 2014",
        layout="ETIS-LaribPolypDB/{images,masks}",
        folders=("ETIS-Larib", "ETIS"), image_folders=("ETIS-LaribPolypDB",), mask_prefix="p",
        source=Source(steps=("Download ETIS-LaribPolypDB.rar", RAR, _PRANET), folder="ETIS-LaribPolypDB"),
    ),
    DataSet(
        name="endoscene", title="CVC-EndoSceneStill", size="574×500 and 384×288",
        counts={"train": 547, "val": 183, "test": 182}, lists="endoscene", expected={"all": 912},
        home="http://www.cvc.uab.es/CVC-Colon/", licence=RESEARCH,
        citation="Vázquez et al., A Benchmark for Endoluminal Scene Segmentation of Colonoscopy Images, JHE 2017",
        layout="CVC-EndoSceneStill/{images,masks}", folders=("EndoScene",), part_of=("colondb", "clinicdb"),
        note="CVC-300 (frames 1 to 300 of CVC-ColonDB) and CVC-612 (CVC-ClinicDB) together; "
        'LGMSNet calls these 912 images "CVC-300"',
        source=Source(folder="CVC-EndoSceneStill", steps=(
            "Its images are those of CVC-ColonDB and CVC-ClinicDB: with those two nothing else is needed", _PRANET,
        )),
    ),
)  # fmt: skip
