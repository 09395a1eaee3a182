"""Infected lungs in CT slices."""

from m2s.data.sets.entry import ARCHIVES, RESEARCH, DataSet, Source

LUNG = (
    DataSet(
        name="lung", title="COVID-19 CT, two public sets merged", modality="lung CT", classes=("infection",),
        size="512×512 and 630×630", counts={"train": 894, "test": 383}, rule="folders", expected={"all": 1277},
        home="https://zenodo.org/record/3757476",
        licence="each of the two sets has its own, see their pages; cite both",
        citation="COVID-19 CT segmentation dataset, https://medicalsegmentation.com/COVID19/ (2020); Ma et al., "
        "COVID-19 CT Lung and Infection Segmentation Dataset, Zenodo 3757476 (2020)",
        layout="lung/{train,test}/{images,masks}", folders=("COVID-19-CT", "LungInfection"),
        note="neither the 1,277 slices that the paper took by uniform sampling nor its split into 894 and 383 are "
        "published as lists",
        source=Source(page="https://medicalsegmentation.com/COVID19/ and https://zenodo.org/record/3757476", steps=(
            "Download the images and infection masks of both (100 slices and nine volumes there, 20 volumes here)",
            "The papers publish neither which 1,277 slices they took nor which 894 are for training: cut your own "
            "slices, and put them as PNG into {folder}/COVID-19-CT/train and .../test, in images and masks each",
        )),
    ),
    DataSet(
        name="covidsemiseg", title="COVID-SemiSeg", modality="lung CT", classes=("infection",),
        size="about 150×280 to 450×460", counts={"train": 50, "test": 48}, rule="folders", expected={"all": 98},
        home="https://github.com/DengPingFan/Inf-Net", licence=RESEARCH,
        citation="Fan et al., Inf-Net: Automatic COVID-19 Lung Infection Segmentation from CT Images, IEEE TMI 2020",
        layout="COVID-SemiSeg/Dataset/{TrainingSet/LungInfection-Train/Doctor-label,"
        "TestingSet/LungInfection-Test}/{Imgs,GT}",
        folders=("COVIDSemiSeg",),
        note="the 98 slices with a doctor's labels; the 1,600 slices with pseudo labels are not read",
        source=Source(folder="COVID-SemiSeg", steps=(
            "Follow its link to the COVID-SemiSeg data set (Google Drive)", ARCHIVES,
        )),
    ),
    DataSet(
        name="covid19ct", title="COVID-19-CT-Seg, ten volumes", modality="lung CT", classes=("infection",),
        size="352×352", counts={"train": 279, "test": 173}, lists="covid19ct", expected={"all": 452},
        home="https://zenodo.org/record/3757476", licence="see its page; cite the paper",
        citation="Ma et al., COVID-19 CT Lung and Infection Segmentation Dataset, Zenodo 3757476 (2020)",
        layout="COVID-19-CT-10-volumes/{images,masks}", folders=("COVID-19-CT-10-volumes",),
        note="every third slice with infection of the volumes coronacases_001 to 010; trained on 001 to 007 and tested "
        "on 008 to 010, a split of ours by patient. Not the 894 and 383 slices of the paper",
        source=Source(page="https://zenodo.org/record/3757476", steps=(
            "Download the twenty volumes and their infection masks (NIfTI)",
            "Of coronacases_001 to 010 cut the slices that m2s/data/sets/lists/covid19ct names (s079 is slice 79), "
            "scale them from the volume's whole range to 8 bits and to 352×352, and put them as JPEG or PNG into "
            "{folder}/COVID-19-CT-10-volumes/images, the masks as PNG of the same name into .../masks",
        )),
    ),
)  # fmt: skip
