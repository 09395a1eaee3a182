"""Nodules in thyroid ultrasound."""

from m2s.data.sets.entry import ARCHIVES, DataSet, Source, count_splits

THYROID = (
    DataSet(
        name="tnscui", title="TNSCUI", modality="thyroid ultrasound", classes=("nodule",),
        size="varies", counts=count_splits("lgmsnet", 3, 2550, 1094), lists="lgmsnet", expected={"all": 3644},
        home="https://tn-scui2020.grand-challenge.org/Home/", licence="registration with the challenge; for research",
        citation="Thyroid Nodule Segmentation and Classification in Ultrasound Images 2020 (TN-SCUI2020), MICCAI 2020",
        layout="TNSCUI/{image,mask}", folders=("TNSCUI2020", "TN-SCUI", "TN-SCUI2020", "TNSCUI2020_train"),
        source=Source(folder="TNSCUI", steps=(
            "Register on the page, accept the terms of its data and download the training set", ARCHIVES,
        )),
    ),
    DataSet(
        name="tucc", title="TUCC", modality="thyroid ultrasound", classes=("nodule",), size="varies",
        home="https://aimi.stanford.edu/datasets/thyroid-ultrasound-cine-clip",
        licence="Stanford's research use agreement (registration)",
        citation="Thyroid Ultrasound Cine-clip, Stanford AIMI shared data sets (2021)",
        layout="TUCC/{images,masks}[/<clip>]", folders=("Thyroid Ultrasound Cine-clip", "thyroid"),
        note="LGMSNet speaks of 17K images. The set is distributed as one HDF5 file, which must be written out as "
        "images and masks first",
        source=Source(folder="TUCC", steps=(
            "Sign in, accept Stanford's terms and download the data, one HDF5 file",
            "Write its frames and masks out as PNG into {folder}/images and {folder}/masks, a folder for each clip",
        )),
    ),
)  # fmt: skip
