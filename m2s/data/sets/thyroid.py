"""Nodules in thyroid ultrasound."""

from m2s.data.sets.entry import ARCHIVES, DataSet, Source, count_lgmsnet_splits

THYROID = (
    DataSet(
        name="tnscui",
        title="TNSCUI",
        counts=count_lgmsnet_splits(2550, 1094),
        size="varies",
        home="https://tn-scui2020.grand-challenge.org/Home/",
        licence="registration with the challenge; for research",
        citation="Thyroid Nodule Segmentation and Classification in Ultrasound Images 2020 (TN-SCUI2020), MICCAI 2020",
        layout="TNSCUI/{image,mask}",
        folders=("TNSCUI2020", "TN-SCUI", "TN-SCUI2020", "TNSCUI2020_train"),
        modality="thyroid ultrasound",
        classes=("nodule",),
        lists="lgmsnet",
        expected={"all": 3644},
        source=Source(
            steps=("Register on the page, accept the terms of its data and download the training set", ARCHIVES),
            folder="TNSCUI",
        ),
    ),
    DataSet(
        name="tucc",
        title="TUCC",
        size="varies",
        home="https://aimi.stanford.edu/datasets/thyroid-ultrasound-cine-clip",
        licence="Stanford's research use agreement (registration)",
        citation="Thyroid Ultrasound Cine-clip, Stanford AIMI shared data sets (2021)",
        layout="TUCC/{images,masks}[/<clip>]",
        folders=("Thyroid Ultrasound Cine-clip", "thyroid"),
        modality="thyroid ultrasound",
        classes=("nodule",),
        note="LGMSNet speaks of 17K images. The set is distributed as one HDF5 file, which must be written out as "
        "images and masks first",
        source=Source(
            steps=(
                "Sign in, accept Stanford's terms and download the data, one HDF5 file",
                "Write its frames and masks out as PNG into {folder}/images and {folder}/masks, a folder for each clip",
            ),
            folder="TUCC",
        ),
    ),
)
