"""Polyps in colonoscopy videos: the three sets of the papers' table of videos, split by clips."""

from m2s.data.sets.entry import ARCHIVES, RESEARCH, DataSet, Source

_COLONDB = "Bernal et al., Towards automatic polyp detection with a polyp appearance model, Pattern Recognition 2012"
_CLINICDB = "Bernal et al., WM-DOVA maps for accurate polyp highlighting in colonoscopy, CMIG 2015"

VIDEOS = tuple(
    DataSet(
        name=name, title=title, modality="colonoscopy video", size=size, parts=("train", "val", "test"), rule="clips",
        home="https://github.com/GewelsJI/PNS-Net", licence=RESEARCH, citation=citation,
        layout=f"{title}/{{Frame,GT}}/<clip>/", folders=(folder,),
        note="the paper splits the clips of CVC-300 (12) and CVC-612 (29) 60/20/20 and names none of them: here the "
        "available clips are split in the order of their names; the number of frames is not published",
        source=Source(steps=(
            "Follow the links to the video polyp data (Google Drive or Baidu) for training and testing", ARCHIVES,
        )),
    )
    for name, title, size, folder, citation in (
        ("cvc300tv", "CVC-300-TV", "574×500", "CVC-ColonDB-300", _COLONDB),
        ("cvc612v", "CVC-612-V", "384×288", "CVC-ClinicDB-612-Valid", _CLINICDB),
        ("cvc612t", "CVC-612-T", "384×288", "CVC-ClinicDB-612-Test", _CLINICDB),
    )
)  # fmt: skip
