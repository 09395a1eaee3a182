"""Tumours in breast ultrasound, and the rule of BUSI's four folds."""

import numpy as np

from m2s.data.sets.entry import ARCHIVES, RESEARCH, DataSet, Download, Source, count_splits

BREAST = (
    DataSet(
        name="busi", title="BUSI", modality="breast ultrasound", classes=("tumour",), arrangement="classes",
        size="about 500×500", counts=count_splits("fold", 4, 585, 195) | count_splits("lgmsnet", 3, 452, 195),
        lists="busi lgmsnet", expected={"all": 780, "benign": 437, "malignant": 210, "normal": 133},
        home="https://scholar.cu.edu.eg/?q=afahmy/pages/dataset", licence=RESEARCH,
        citation="Al-Dhabyani et al., Dataset of breast ultrasound images, Data in Brief 2020",
        layout="Dataset_BUSI_with_GT/{benign,malignant,normal}", folders=("Dataset_BUSI_with_GT", "Dataset_BUSI"),
        note="437 benign images in the archive and in M2SNet's text; LGMSNet's text and the set's own paper say 487, "
        "which does not add up to 780. The folds are ours (the papers publish none); LGMSNet's splits leave out the "
        "normal images. benign (433) and malignant (145) are the same picture",
        source=Source(files=(Download("https://scholar.cu.edu.eg/Dataset_BUSI.zip", "Dataset_BUSI.zip"),)),
    ),
    DataSet(
        name="bus", title="BUS", modality="breast ultrasound", classes=("tumour",),
        size="varies", expected={"all": 562},
        home="http://cvprip.cs.usu.edu/busbench/", licence="on request, for research; cite the paper",
        citation="Zhang et al., BUSIS: A Benchmark for Breast Ultrasound Image Segmentation, Healthcare 2022",
        layout="BUS/{original,GT}", folders=("BUSIS", "BUS dataset B", "Dataset B", "DatasetB"),
        other_counts={163: "this is dataset B (Yap et al.), not the 562 images of BUSIS"},
        note="LGMSNet tests on 562 images and cites BUSIS; the set known as dataset B (Yap et al., IEEE JBHI 2018) is "
        "another one, has 163 images, the same layout, and is read as well",
        source=Source(
            steps=("Sign the agreement, and send it to the address given there for a link", ARCHIVES), folder="BUS",
        ),
    ),
)  # fmt: skip

TWINS = ("benign (433)", "malignant (145)")  # the same picture in two classes


def make_busi_folds(names: list[str], folds: int = 4, seed: int = 0) -> list[list[str]]:
    """The rule that made the shipped lists: the test images of each fold, from the names of all images of BUSI.

    Each class is shuffled by ``seed``, and the three stacks are dealt like cards, one after the other: so folds and
    classes differ by one image at most. Then the twin picture changes places with the first of its class, so that
    both copies are in one fold. Patients are not known, so other images of one patient may be in two folds.
    """
    rng = np.random.default_rng(seed)
    deck: list[str] = []
    for kind in ("benign", "malignant", "normal"):
        stack = sorted((n for n in names if n.startswith(kind)), key=lambda n: (len(n), n))
        deck += [stack[i] for i in rng.permutation(len(stack))]
    dealt = [deck[k::folds] for k in range(folds)]
    here, there = (next(fold for fold in dealt if twin in fold) for twin in TWINS)
    if here is not there:
        other = next(n for n in here if n.startswith("malignant"))
        here[here.index(other)], there[there.index(TWINS[1])] = TWINS[1], other
    return [sorted(fold, key=lambda n: (n.split()[0], len(n), n)) for fold in dealt]
