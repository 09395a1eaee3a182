"""Skin lesions in dermoscopy."""

from m2s.data.sets.entry import RAR, DataSet, Download, Source, count_splits

SKIN = (
    DataSet(
        name="isic2018", title="ISIC 2018", modality="dermoscopy", classes=("lesion",),
        size="varies, up to several thousand pixels", counts=count_splits("lgmsnet", 3, 1815, 779),
        lists="lgmsnet", expected={"all": 2594},
        home="https://challenge.isic-archive.com/data/#2018", licence="CC-BY-NC 4.0; cite the papers",
        citation="Codella et al., Skin Lesion Analysis Toward Melanoma Detection 2018, arXiv:1902.03368",
        layout="ISIC 2018/{ISIC2018_Task1-2_Training_Input,ISIC2018_Task1_Training_GroundTruth}",
        folders=("ISIC2018", "ISIC18"), image_folders=("ISIC2018_Task1-2_Training_Input",),
        mask_folders=("ISIC2018_Task1_Training_GroundTruth",),
        note="the 2,594 training images of task 1",
        source=Source(files=tuple(
            Download(f"https://isic-challenge-data.s3.amazonaws.com/2018/{file}", file, megabytes=megabytes)
            for file, megabytes in (
                ("ISIC2018_Task1-2_Training_Input.zip", 10400), ("ISIC2018_Task1_Training_GroundTruth.zip", 26),
            )
        )),
    ),
    DataSet(
        name="ph2", title="PH2", modality="dermoscopy", classes=("lesion",), arrangement="cases",
        size="about 768×560", expected={"all": 200},
        home="https://www.fc.up.pt/addi/ph2%20database.html",
        licence="for research and education, after a form; cite the paper",
        citation="Mendonça et al., PH2 – A dermoscopic image database for research and benchmarking, EMBC 2013",
        layout="PH2Dataset/PH2 Dataset images/IMD002/{IMD002_Dermoscopic_Image,IMD002_lesion}",
        folders=("PH2Dataset", "PH2 Dataset", "PH2 Dataset images"),
        source=Source(steps=("Follow the link and download PH2Dataset.rar", RAR), folder="PH2"),
    ),
)  # fmt: skip
