"""The papers' tables: complete, free of duplicates, and right where a person read the papers again."""

import re

import pandas as pd
import pytest

from m2s.errors import InputError
from m2s.studies import published

POLYP = ["U-Net", "U-Net++", "Attention U-Net", "UTNet", "TransUNet", "SFA", "PraNet", "MSNet", "M2SNet"]
SHARED = [(n, n) for n in range(1, 7)] + [(7, 10), (8, 14)]  # first version's table, revised version's

# table: rows, cells, and cells read from the papers by hand: row, data set, metric, value[, spread]
EXPECTED = {
    "m2snet_v1_table01": (9, 270, [
        ("U-Net", "ColonDB", "mDice", 0.519), ("UTNet", "ColonDB", "mDice", 0.676), ("M2SNet", "ColonDB", "Em", 0.869),
        ("SFA", "ETIS", "MAE", 0.109), ("Attention U-Net", "Kvasir", "mDice", 0.769),
        ("MSNet", "Kvasir", "mIoU", 0.862),
        ("PraNet", "CVC-300", "wFm", 0.843), ("M2SNet", "ClinicDB", "MAE", 0.009), ("U-Net++", "ClinicDB", "Sm", 0.872),
    ]),
    "m2snet_v1_table02": (8, 120, [
        ("PNS-Net", "CVC-300-TV", "mDice", 0.863), ("ACSNet", "CVC-612-V", "MAE", 0.054),
        ("M2SNet", "CVC-612-T", "Em", 0.921), ("ResUNet++", "CVC-612-T", "Sm", 0.727),
    ]),
    "m2snet_v1_table03": (9, 45, [
        ("Inf-Net", "Lung infection", "Recall", 0.852), ("M2SNet", "Lung infection", "Dice", 0.795),
        ("U-Net++", "Lung infection", "MAE", 0.010), ("MSNet", "Lung infection", "Sm", 0.846),
    ]),
    "m2snet_v1_table04": (9, 45, [
        ("MSNet", "BUSI", "Jaccard", 70.57, 3.38), ("MSNet", "BUSI", "Specificity", 98.29, 0.44),
        ("NU-Net", "BUSI", "Recall", 82.48, 2.14), ("M2SNet", "BUSI", "Dice", 79.21, 1.28),
    ]),
    "m2snet_v1_table05": (10, 60, [
        ("LaTIM", "GOALS RNFL", "MED", 1.1554), ("IIAU-Segmentors", "GOALS GCIPL", "Dice", 0.8953),
        ("Vision Wise", "GOALS Choroid", "MED", 1.6295),
    ]),
    "m2snet_v1_table06": (6, 12, [
        ("U-Net", "", "FLOPs_G", 12.2), ("TransUNet", "", "Params_M", 93.2), ("M2SNet", "", "Params_M", 27.7),
    ]),
    "m2snet_v1_table07": (7, 56, [
        ("baseline", "ETIS", "mIoU", 0.549), ("+ SU_4", "ColonDB", "Em", 0.872), ("+ L_f", "ETIS", "mDice", 0.719),
        ("SU→AU", "ColonDB", "wFm", 0.676),
    ]),
    "m2snet_v1_table08": (7, 112, [
        ("M2SNet (ASPP)", "", "FLOPs_G", 13.8), ("M2SNet (DenseASPP)", "BUSI", "Jaccard", 63.11, 4.63),
        ("M2SNet (ASPP), gain over MSNet", "ETIS", "mDice", -1.1),
        ("M2SNet, gain over MSNet", "CVC-300-TV", "MAE", 28.6),
    ]),
    "m2snet_revised_table01": (9, 270, [
        ("UTNet", "ColonDB", "mDice", 0.576), ("Attention U-Net", "Kvasir", "mDice", 0.799),
        ("TransUNet", "ETIS", "Em", 0.707), ("MSNet", "CVC-300", "mDice", 0.869), ("M2SNet", "Kvasir", "wFm", 0.901),
    ]),
    "m2snet_revised_table02": (8, 120, [
        ("U-Net", "CVC-300-TV", "mDice", 0.639), ("PraNet", "CVC-612-V", "mIoU", 0.799),
        ("MSNet", "CVC-612-T", "MAE", 0.040),
    ]),
    "m2snet_revised_table03": (9, 45, [
        ("BCS-Net", "Lung infection", "Dice", 0.763), ("TransUNet", "Lung infection", "Precision", 0.770),
        ("M2SNet", "Lung infection", "MAE", 0.006),
    ]),
    "m2snet_revised_table04": (9, 45, [
        ("MSNet", "BUSI", "Jaccard", 70.37, 3.38), ("MSNet", "BUSI", "Specificity", 98.29, 0.34),
        ("SKU-Net", "BUSI", "Precision", 75.37, 3.22), ("Attention U-Net", "BUSI", "Jaccard", 46.91, 4.40),
    ]),
    "m2snet_revised_table05": (10, 60, [
        ("SJMED", "GOALS Choroid", "Dice", 0.9578), ("WRMT", "GOALS GCIPL", "MED", 1.2719),
        ("OPTIMA-MUW", "GOALS RNFL", "Dice", 0.9559),
    ]),
    "m2snet_revised_table06": (9, 27, [
        ("U-Net", "", "FPS", 111), ("BCS-Net", "", "Params_M", 44.8), ("M2SNet", "", "FLOPs_G", 8.00),
        ("PraNet", "", "FLOPs_G", 12.0),
    ]),
    "m2snet_revised_table07": (3, 42, [
        ("nnU-Net", "ETIS", "mDice", 0.554), ("M2SNet (nnU-Net framework)", "Lung infection", "Dice", 0.848),
        ("M2SNet (nnU-Net framework)", "BUSI", "Jaccard", 74.43, 1.74),
        ("M2SNet (MSNet framework)", "ETIS", "Em", 0.872),
    ]),
    "m2snet_revised_table08": (6, 48, [
        ("PraNet", "ETIS", "ASD", 1.154), ("PNS-Net", "CVC-300-TV", "HD95", 3.074), ("MSNet", "BUSI", "ASD", 1.967),
        ("M2SNet", "Lung infection", "HD95", 7.412),
    ]),
    "m2snet_revised_table09": (9, 54, [
        ("SAM 2", "Polyp", "Dice", 0.499), ("UniverSeg", "Lung infection", "mIoU", 0.368),
        ("Spider", "Breast lesion", "mIoU", 0.866), ("M2SNet", "Lung infection", "Dice", 0.702),
    ]),
    "m2snet_revised_table10": (7, 56, [
        ("baseline", "ColonDB", "mDice", 0.678), ("+ SU_2", "ETIS", "mDice", 0.642), ("+ SU_5", "ETIS", "Em", 0.787),
        ("SU→AU", "ETIS", "mDice", 0.680),
    ]),
    "m2snet_revised_table11": (5, 70, [
        ("M2SNet (w/o LossNet)", "ETIS", "mDice", 0.725), ("M2SNet (w/o L_IoU & L_BCE)", "BUSI", "Dice", 78.66, 1.97),
        ("M2SNet (LossNet + deep supervision)", "CVC-300-TV", "MAE", 0.009),
        ("M2SNet (w/o LossNet + deep supervision)", "Lung infection", "Sm", 0.853),
    ]),
    "m2snet_revised_table12": (3, 42, [
        ("VGG-16", "ETIS", "mIoU", 0.678), ("ResNet-50", "CVC-300-TV", "mDice", 0.861),
        ("Swin-T", "BUSI", "Specificity", 98.20, 0.29),
    ]),
    "m2snet_revised_table13": (7, 98, [
        ("M2SNet (kernel scales 1,3)", "ETIS", "mDice", 0.738),
        ("M2SNet (kernel scales 1,5,9)", "CVC-300-TV", "MAE", 0.013),
        ("M2SNet (kernel scales 1,3,5,7)", "BUSI", "Jaccard", 71.56, 1.18),
        ("M2SNet (average kernel → Gaussian kernel)", "Lung infection", "Dice", 0.753),
    ]),
    "m2snet_revised_table14": (7, 112, [
        ("M2SNet (ASPP), gain over MSNet", "ETIS", "mDice", 1.1), ("M2SNet (DenseASPP)", "", "Params_M", 29.6),
        ("M2SNet", "BUSI", "Dice", 79.21, 1.38), ("M2SNet (DenseASPP), gain over MSNet", "BUSI", "Dice", -8.3),
    ]),
    "m2snet_revised_table15": (3, 42, [
        ("M2SNet (Res2Net-50)", "CVC-300-TV", "Sm", 0.918), ("M2SNet (ConvNeXt-B)", "Lung infection", "Sm", 0.868),
        ("M2SNet (PVTv2-B4)", "BUSI", "Dice", 81.28, 1.48),
    ]),
    "lgmsnet_table01": (18, 198, [
        ("U-Net", "Kvasir", "IoU", 86.52, 1.2), ("LGMSNet", "BUSI", "IoU", 73.40, 2.0),
        ("LGMSNet", "", "Params_M", 2.32),
        ("CMUNeXt", "TNSCUI", "F1", 85.21), ("MADGNet", "", "FPS", 35.53), ("MissFormer", "TNSCUI", "IoU", 68.26, 2.4),
        ("TinyU-Net", "ISIC 2018", "F1", 88.99, 0.2),
    ]),
    "lgmsnet_table02": (8, 128, [
        ("LGMSNet", "BUS", "IoU", 76.86), ("UniRepLKNet", "PH2", "F1", 90.8), ("CMUNeXt", "TUCC", "IoU_stars", 2),
        ("CMUNeXt", "CVC-300 (912 images)", "F1", 82.60),
    ]),
    "lgmsnet_table03": (6, 78, [
        ("LGMSNet", "BTCV Gall", "Dice", 79.37), ("LGMSNet", "BTCV Avg", "Dice", 84.10),
        ("UNETR", "", "Params_M", 92.61),
        ("SegMamba", "BTCV LKid", "Dice", 94.58), ("3D UX-Net", "BTCV Pan", "Dice", 78.76),
    ]),
    "lgmsnet_table05": (8, 56, [
        ("LGMSNet", "", "Eval_sets", 10), ("ERDUNet", "", "Modality", 4), ("LGMSNet", "", "3D", 1),
        ("CMUNeXt", "", "Eval_sets", 4),
    ]),
    "lgmsnet_table06": (10, 66, [
        ("TinyU-Net +LMS", "", "Params_M", 0.69), ("U-Net +GMS", "Kvasir", "F1", 93.29),
        ("U-Net +LMS, gain over U-Net", "ISIC 2018", "F1", -0.44), ("TinyU-Net +GMS", "BUSI", "IoU", 69.98),
    ]),
}  # fmt: skip


def cells(table: str) -> pd.DataFrame:
    return published.load_table(table).set_index(["row", "dataset", "metric"], verify_integrity=True)


def test_every_table_is_there_and_no_other():
    assert published.list_tables() == sorted(EXPECTED)


@pytest.mark.parametrize("table", EXPECTED)
def test_size_and_cells_read_by_hand(table):
    rows, count, spot = EXPECTED[table]
    frame = cells(table)
    assert frame.index.get_level_values("row").nunique() == rows
    assert len(frame) == count
    assert len(spot) >= 3
    for row, dataset, metric, value, *spread in spot:
        cell = frame.loc[(row, dataset, metric)]
        assert cell.value == value, (row, dataset, metric)
        assert cell.spread == spread[0] if spread else pd.isna(cell.spread), (row, dataset, metric)


@pytest.mark.parametrize("table", EXPECTED)
def test_every_cell_is_a_printed_number_or_says_why_not(table):
    text = pd.read_csv(published.FOLDER / f"{table}.csv", dtype=str, keep_default_na=False)
    columns = "paper version table title row backbone dataset metric value spread unit doubt"
    assert list(text.columns) == columns.split()
    name = re.fullmatch(r"([a-z0-9]+?)(?:_(v1|revised))?_table(\d\d)", table)
    where = text[["paper", "version", "table"]].drop_duplicates().to_numpy().tolist()
    assert where == [[name[1], name[2] or "", str(int(name[3]))]]
    empty = text["value"] == ""
    assert (text.loc[empty, "doubt"] != "").all()
    assert text.loc[~empty, "value"].str.fullmatch(r"[+-]?\d+(\.\d+)?").all()
    assert text["spread"].str.fullmatch(r"(\d+\.\d+)?").all()
    assert published.load_table(table)["value"].isna().equals(empty)


@pytest.mark.parametrize("first, second", SHARED)
def test_where_the_two_versions_disagree_both_say_so(first, second):
    first, second = cells(f"m2snet_v1_table{first:02}"), cells(f"m2snet_revised_table{second:02}")
    assert first.index.isin(second.index).all()
    second = second.loc[first.index]
    differ = (first["value"] != second["value"]) | (first["spread"].fillna(-1) != second["spread"].fillna(-1))
    assert first.loc[differ, "doubt"].str.contains("revised version reads").all()
    assert second.loc[differ, "doubt"].str.contains("first version prints").all()
    assert not first.loc[~differ, "doubt"].str.contains("revised version reads").any()
    assert not second.loc[~differ, "doubt"].str.contains("first version prints").any()


def test_printed_gains_follow_from_the_cells_or_are_in_doubt():
    for table in ("m2snet_v1_table08", "m2snet_revised_table14", "lgmsnet_table06"):
        frame = cells(table)
        tolerance = 0.0051 if table.startswith("lgmsnet") else 0.051  # half of the last printed digit
        for (row, dataset, metric), cell in frame.iterrows():
            if ", gain over " not in row:
                continue
            new, old = (frame.loc[(name, dataset, metric)].value for name in row.split(", gain over "))
            sign = -1 if metric in ("MAE", "FLOPs_G", "Params_M") else 1
            fits = abs(sign * 100 * (new - old) / old - cell.value) <= tolerance
            assert fits != ("the table's own cells give" in cell.doubt), (table, row, dataset, metric)


def test_the_readme_counts_what_the_files_hold():
    readme = (published.FOLDER / "README.md").read_text()
    for table in published.list_tables():
        line = next(line for line in readme.splitlines() if line.startswith(f"| `{table}.csv`"))
        counts = [int(number) for number in line.strip("| ").split(" | ")[-5:]]
        frame = published.load_table(table)
        columns = len(frame[["dataset", "metric"]].drop_duplicates())
        doubts, empty = (frame["doubt"] != "").sum(), frame["value"].isna().sum()
        assert counts == [frame["row"].nunique(), columns, len(frame), doubts, empty]


def test_load_gives_numbers_and_no_missing_text():
    frame = published.load_table()
    assert frame["value"].dtype == float and frame["spread"].dtype == float
    assert frame["doubt"].notna().all() and frame["doubt"].ne("").sum() == 2
    assert list(frame["row"].unique()) == POLYP
    assert set(frame["metric"]) == {"mDice", "mIoU", "wFm", "Sm", "Em", "MAE"}


def test_wide_keeps_the_printed_digits_order_and_doubts():
    frame = published.wide_table("m2snet_v1_table01", ["mDice"])
    assert list(frame.index) == POLYP
    assert [dataset for dataset, _ in frame.columns] == ["ColonDB", "ETIS", "Kvasir", "CVC-300", "ClinicDB"]
    assert frame.loc["U-Net++", ("ColonDB", "mDice")] == "0.490"
    assert frame.loc["UTNet", ("ColonDB", "mDice")] == "0.676 ?"
    assert published.wide_table("m2snet_v1_table04").loc["M2SNet", ("BUSI", "Jaccard")] == "71.52 ± 1.19"
    assert published.wide_table("m2snet_revised_table08").loc["PraNet", ("BUSI", "ASD")] == ""


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown published table 'm2snet_v1_table1'.*m2snet_v1_table01"):
        published.load_table("m2snet_v1_table1")
    with pytest.raises(InputError, match="did you mean mDice"):
        published.wide_table("m2snet_v1_table01", ["Dice"])


def test_every_note_is_of_a_printed_cell():
    counted = 0
    for table in published.list_tables():
        cells = published.load_table(table).set_index(["row", "metric"])["value"]
        notes = published.load_notes(table)
        counted += len(notes)
        for row, metric, note in notes.itertuples(index=False):
            assert cells[row, metric] > 0
            assert note
    assert counted == len(pd.read_csv(published.FOLDER / "notes.csv")) > 0
    with pytest.raises(InputError, match="unknown published table"):
        published.load_notes("m2snet_v1_table09")


def test_counts_in_notes_round_to_what_is_printed_or_say_why_not():
    """The first count of a note is the printed one, cut off or rounded, where the note does not say that none is."""
    for table in published.list_tables():
        cells = published.load_table(table).set_index(["row", "metric"])["value"]
        for row, metric, note in published.load_notes(table).itertuples(index=False):
            counts = [int(n.replace(",", "")) / 1e6 for n in re.findall(r"\d{1,3}(?:,\d{3})+", note)]
            near = any(count == pytest.approx(cells[row, metric], abs=0.05) for count in counts)
            assert near != note.startswith(("no way of counting", "fits no", "ours has")), (row, note)
