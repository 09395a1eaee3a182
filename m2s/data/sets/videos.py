"""Polyps in colonoscopy videos: the three sets of the papers' table of videos, split by clips."""

from m2s.data.sets.entry import ARCHIVES, RESEARCH, DataSet, Source

_BY_CLIP = (
    "the paper splits the clips of CVC-300 (12) and CVC-612 (29) 60/20/20 and names none of them: here the clips at "
    "hand are split in the order of their names; the number of frames is not published"
)

_SOURCE = Source(
    steps=("Follow the links to the video polyp data (Google Drive or Baidu) for training and testing", ARCHIVES)
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
        source=_SOURCE,
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
