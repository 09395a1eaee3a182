"""Polyps in colonoscopy: the five image sets of the papers' first table (PraNet's split), and the video sets."""

from m2s.data.sets.entry import RESEARCH, DataSet

_BY_CLIP = (
    "the paper splits the clips of CVC-300 (12) and CVC-612 (29) 60/20/20 and names none of them: here the clips at "
    "hand are split in the order of their names; the number of frames is not published"
)

POLYPS = (
    DataSet(
        name="kvasir",
        title="Kvasir-SEG",
        counts={"train": 900, "test": 100},
        size="332×352 to 1920×1072",
        home="https://datasets.simula.no/kvasir-seg/",
        licence=RESEARCH,
        citation="Jha et al., Kvasir-SEG: A Segmented Polyp Dataset, MMM 2020",
        layout="Kvasir-SEG/{images,masks}",
        folders=("Kvasir",),
        lists="pranet",
        expected={"all": 1000},
    ),
    DataSet(
        name="clinicdb",
        title="CVC-ClinicDB",
        counts={"train": 550, "test": 62},
        size="384×288",
        home="https://polyp.grand-challenge.org/CVCClinicDB/",
        licence=RESEARCH,
        citation="Bernal et al., WM-DOVA maps for accurate polyp highlighting in colonoscopy, CMIG 2015",
        layout="CVC-ClinicDB/{Original,Ground Truth}",
        folders=("ClinicDB", "CVC-612"),
        lists="pranet",
        expected={"all": 612},
    ),
    DataSet(
        name="colondb",
        title="CVC-ColonDB",
        counts={"test": 380},
        size="574×500",
        home="http://vi.cvc.uab.es/colon-qa/cvccolondb/",
        licence=RESEARCH,
        citation="Tajbakhsh et al., Automated Polyp Detection in Colonoscopy Videos, IEEE TMI 2016",
        layout="CVC-ColonDB/{images,masks}",
        folders=("ColonDB",),
        lists="pranet",
        expected={"all": 380},
        note="380 frames in PraNet's archive, which all tables use; the set as first published holds 300",
    ),
    DataSet(
        name="cvc300",
        title="CVC-300",
        counts={"test": 60},
        size="574×500",
        home="http://www.cvc.uab.es/CVC-Colon/",
        licence=RESEARCH,
        citation="Vázquez et al., A Benchmark for Endoluminal Scene Segmentation of Colonoscopy Images, JHE 2017",
        layout="CVC-300/{images,masks}",
        folders=("CVC-T",),
        part_of="colondb",
        lists="pranet",
        expected={"all": 60},
        note="the test part (CVC-T) of CVC-EndoSceneStill, whose 912 images are CVC-612 and CVC-300 together; "
        'LGMSNet calls those 912 "CVC-300"',
    ),
    DataSet(
        name="etis",
        title="ETIS-LaribPolypDB",
        counts={"test": 196},
        size="1225×966",
        home="https://polyp.grand-challenge.org/ETISLarib/",
        licence=RESEARCH,
        citation="Silva et al., Toward embedded detection of polyps in WCE images for early diagnosis, IJCARS 2014",
        layout="ETIS-LaribPolypDB/{images,masks}",
        folders=("ETIS-Larib", "ETIS"),
        mask_prefix="p",
        lists="pranet",
        expected={"all": 196},
    ),
)

VIDEOS = tuple(
    DataSet(
        name=name,
        title=title,
        parts=("train", "val", "test"),
        size=size,
        home="https://github.com/GewelsJI/PNS-Net",
        licence=RESEARCH,
        citation=citation,
        layout=f"{title}/{{Frame,GT}}/<clip>/",
        folders=folders,
        modality="colonoscopy video",
        rule="clips",
        note=_BY_CLIP,
    )
    for name, title, size, citation, folders in (
        (
            "cvc300tv",
            "CVC-300-TV",
            "574×500",
            "Bernal et al., Towards automatic polyp detection with a polyp appearance model, Pattern Recognition 2012",
            ("CVC-ColonDB-300",),
        ),
        (
            "cvc612v",
            "CVC-612-V",
            "384×288",
            "Bernal et al., WM-DOVA maps for accurate polyp highlighting in colonoscopy, CMIG 2015",
            ("CVC-ClinicDB-612-Valid",),
        ),
        (
            "cvc612t",
            "CVC-612-T",
            "384×288",
            "Bernal et al., WM-DOVA maps for accurate polyp highlighting in colonoscopy, CMIG 2015",
            ("CVC-ClinicDB-612-Test",),
        ),
    )
)
