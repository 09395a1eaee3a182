"""Polyps in colonoscopy videos: the three sets of the papers' table of videos, split by clips."""

from m2s.data.sets.entry import ARCHIVES, RESEARCH, DataSet, Source

_COLONDB = "Bernal et al., Towards automatic polyp detection with a polyp appearance model, Pattern Recognition 2012"
_CLINICDB = "Bernal et al., WM-DOVA maps for accurate polyp highlighting in colonoscopy, CMIG 2015"

VIDEOS = tuple(
    DataSet(
        name=name, title=title, modality="colonoscopy video", size=size, parts=("train", "val", "test"),
        lists="endoscene", rule="clips", part_of=(whole,),
        home="https://github.com/GewelsJI/PNS-Net", licence=RESEARCH, citation=citation,
        layout=f"{title}/{{Frame,GT}}/<clip>/", folders=(folder,), note=note,
        source=Source(steps=(
            f"Its frames are those of {still}: with that set nothing else is needed",
            "Or follow the links to the video polyp data (Google Drive or Baidu) for training and testing", ARCHIVES,
        )),
    )
    for name, title, size, folder, citation, whole, still, note in (
        (
            "cvc300tv", "CVC-300-TV", "574×500", "CVC-ColonDB-300", _COLONDB, "colondb", "CVC-ColonDB",
            "CVC-300 (frames 1 to 300 of CVC-ColonDB): the clips of EndoScene's training part to train on, the others "
            "to test on. Clips 7 and 8 are PNS-Net's for certain; its whole list is not published",
        ),
        (
            "cvc612v", "CVC-612-V", "384×288", "CVC-ClinicDB-612-Valid", _CLINICDB, "clinicdb", "CVC-ClinicDB",
            "CVC-612 (CVC-ClinicDB): the clips of EndoScene's training part to train on, those of its validation part "
            "to test on. The number of frames agrees with no printed one: none is printed",
        ),
        (
            "cvc612t", "CVC-612-T", "384×288", "CVC-ClinicDB-612-Test", _CLINICDB, "clinicdb", "CVC-ClinicDB",
            "the clips of CVC-612 in EndoScene's test part; the training frames are CVC-612-V's",
        ),
    )
)  # fmt: skip
