"""Layers of the retina in OCT."""

from m2s.data.sets.entry import ARCHIVES, DataSet, Source

RETINA = (
    DataSet(
        name="goals", title="GOALS 2022", modality="OCT", classes=("RNFL", "GCIPL", "choroid"),
        colors=((255, 255, 255), (0, 0, 0), (80, 80, 80), (160, 160, 160)),
        size="1100×800", counts={"train": 80, "test": 20}, rule="fifth", expected={"all": 300},
        home="https://aistudio.baidu.com/competition/detail/230",
        licence="registration with the challenge; for research; cite the paper",
        citation="Fang et al., Dataset and Evaluation Algorithm Design for GOALS Challenge, OMIA 2022",
        layout="GOALS2022-Train/Train/{Image,Layer_Masks}",
        folders=("GOALS", "GOALS2022-Train"), mask_folders=("Layer_Masks",),
        note="three times 100 images (training, preliminary, final); masks are public for the 100 for training only, "
        "so every fifth of them is held out for test here, a rule of ours. Grey levels of the masks: 0 RNFL, 80 "
        "GCIPL, 160 choroid, 255 background",
        source=Source(folder="GOALS", steps=(
            "Register for the GOALS challenge of MICCAI 2022, accept its terms, download the images and layer masks",
            ARCHIVES,
        )),
    ),
    DataSet(
        name="nr206", title="NR206", modality="OCT", classes=("NFL", "GCL+IPL", "INL", "OPL", "ONL", "IS", "OS", "RPE"),
        colors=(  # background, then the layers in their order from the vitreous down, as measured on six images
            (0, 0, 0), (255, 0, 0), (128, 128, 0), (255, 255, 0), (0, 128, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255),
            (255, 0, 255),
        ),
        size="750×500", parts=("train", "val", "test"), rule="folders", expected={"all": 206},
        home="", licence="not known to us", citation="",
        layout="NR206/{train,val,test}/{images,masks}", folders=("NR206-sample",),
        note="nine colours, the background and eight layers; the files carry no key, so the layers are named by their "
        "order from the vitreous down. 206 is what the name says; home and paper are not known to us",
        source=Source(folder="NR206", steps=(
            "We know of no home page: find the set, or ask those who cite it, and put its folder into {folder}",
        )),
    ),
)  # fmt: skip
