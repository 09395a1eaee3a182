"""Volumes: organs in abdominal CT, and the hippocampus in MRI."""

from m2s.data.sets.entry import ARCHIVES, DataSet, Download, Source

_FIFTH = "every fifth case, in the order of the names, is held out for test: our rule"
_ORGANS = (
    "spleen", "right kidney", "left kidney", "gallbladder", "oesophagus", "liver", "stomach", "aorta",
    "inferior vena cava", "portal and splenic veins", "pancreas", "right adrenal gland", "left adrenal gland",
)  # fmt: skip

VOLUMES = (
    DataSet(
        name="btcv", title="BTCV", modality="CT volume", classes=_ORGANS,
        size="512×512×85 to 512×512×198", counts={"train": 24, "test": 6},
        spacing=(2.0, 1.5, 1.5), rule="fifth", expected={"all": 30},
        home="https://www.synapse.org/Synapse:syn3193805",
        licence="registration with Synapse; for research; cite the challenge",
        citation="Landman et al., MICCAI Multi-Atlas Labeling Beyond the Cranial Vault, 2015",
        layout="BTCV/{imagesTr,labelsTr} (also Training/{img,label})", folders=("Abdomen", "RawData"),
        note=f"30 volumes with labels; LGMSNet names no split; {_FIFTH}",
        source=Source(folder="BTCV", steps=(
            "Register at Synapse, join the challenge 'Multi-Atlas Labeling Beyond the Cranial Vault' and accept "
            "its terms; under Files, folder Abdomen, download RawData.zip", ARCHIVES,
        )),
    ),
    DataSet(
        name="kits23", title="KiTS23", modality="CT volume", classes=("kidney", "tumour", "cyst"),
        size="512×512×(varies)", parts=("train", "test"), rule="fifth", expected={"all": 599},
        home="https://kits-challenge.org/kits23/", licence="CC-BY-NC-SA 4.0",
        citation="Heller et al., The KiTS21 Challenge, arXiv:2307.01984 (the reference LGMSNet gives)",
        layout="KiTS23/dataset/case_00000/{imaging,segmentation}.nii.gz", folders=("KiTS",),
        other_counts={489: "489 of the 599 cases have public labels"},
        note=f"599 cases in the papers, 489 of them with public labels; LGMSNet publishes no split; {_FIFTH}",
        source=Source(page="https://github.com/neheller/kits23", folder="KiTS23", steps=(
            "Clone the page's repository, install it (pip install -e .) and run its kits23_download_data",
            "Move, or link, its folder 'dataset' into {folder}",
        )),
    ),
    DataSet(
        name="hippocampus", title="MSD Task04 Hippocampus", modality="MRI volume", classes=("anterior", "posterior"),
        size="about 31–43×40–59×24–47", counts={"train": 208, "test": 52}, rule="fifth", expected={"all": 260},
        home="http://medicaldecathlon.com/", licence="CC-BY-SA 4.0",
        citation="Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 2022",
        layout="Task04_Hippocampus/{imagesTr,labelsTr}", folders=("Task04_Hippocampus", "Hippocampus"),
        note=f"260 volumes with public labels; {_FIFTH}, so a part of the set has other test cases than the whole",
        source=Source(files=(Download(
            "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task04_Hippocampus.tar", "Task04_Hippocampus.tar",
            "md5:9d24dba78a72977dbd1d2e110310f31b", 27,  # the hash as in monai.apps.DecathlonDataset
        ),)),
    ),
)  # fmt: skip
