"""`m2s bench`: all forms side by side, the parts of a step add up, and a user's file is left alone."""

import pandas as pd
import pytest
import torch

from m2s.cli.main import main
from m2s.paths import ROOT
from m2s.runs import bench
from m2s.zoo import MODELS

SMALL = ["bench", "--encoder", "test_efficientnet", "--size", "32", "--batch", "1", "--rounds", "2"]


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch):
    """Compiling takes a minute; without a compiler the rest goes on."""

    def fails(*_):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", lambda _: fails)


def test_forms_stand_side_by_side_in_one_table(tmp_path, capsys):
    out = tmp_path / "bench.csv"
    assert main([*SMALL, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "not compiled: torch.compile failed (RuntimeError)" in shown
    table = pd.read_csv(out, comment="#")
    forms = [bench.REFERENCE, "M2SNet", "M2SNet, channels-last", "M2SNet, ONNX Runtime", "MSNet"]
    assert table["form"].tolist() == forms and all(form in shown for form in forms)
    assert table["ratio"][0] == 1 and (table["low_ms"] <= table["median_ms"]).all()
    assert (table["median_ms"] <= table["high_ms"]).all() and (table["of_peak"] > 0).all()
    assert table["images_per_second"].to_numpy() == pytest.approx(1000 / table["median_ms"].to_numpy(), rel=0.05)
    assert main([*SMALL, "--out", str(out)]) == 0  # its own result is replaced


def test_forms_are_one_network(tmp_path):
    networks, _ = bench.build_forms("test_efficientnet", 32, 1, tmp_path)
    image = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        maps = {name: network(image) for name, network in networks.items() if name != "MSNet"}
    assert len(maps) == 4
    for logits in maps.values():
        torch.testing.assert_close(logits, maps[bench.REFERENCE], rtol=1e-3, atol=1e-4)


def test_parts_of_a_training_step_add_up_to_it(capsys):
    assert main([*SMALL, "--train", "--profile", "smoke", "--batch", "2"]) == 0
    assert "M2SNet's step takes" in capsys.readouterr().out
    (table,) = bench.time_training("test_efficientnet", "test_efficientnet", 32, [32], [2], 1)  # one round: no medians
    for _, rows in table.groupby("model"):
        assert rows["part"].tolist() == [*bench.PARTS, "step"]
        assert rows["median_ms"][:-1].sum() == pytest.approx(rows["median_ms"].iloc[-1])
        assert rows["of_step"].iloc[-1] == 1


def test_a_users_file_is_left_alone(tmp_path, capsys):
    out = tmp_path / "mine.csv"
    out.write_text("mine")
    assert main([*SMALL, "--out", str(out)]) == 2
    assert "exists and is not a result of this command" in capsys.readouterr().err and out.read_text() == "mine"


@pytest.mark.skipif(not (ROOT / "results" / "bench").exists(), reason="no results beside the library")
def test_the_table_of_costs_has_every_network_of_the_tables():
    costs = pd.read_csv(ROOT / "results" / "bench" / "systems.csv", index_col="system")
    assert costs.index.is_unique and set(costs["network"]) == set(MODELS) - {"msnet3d"}  # which is in no table
    known = costs.dropna(subset="publication")
    others = {"TransUNet", "ACSNet", "LGMSNet's U-Net++", "ERDUNet"}  # results/bench/README.md says why
    assert set(known.index[known["parameters"] != known["publication"]]) == others
    measured = costs.dropna(subset="step_ratio")
    assert (measured["step_ratio"] > 0).all() and measured["trains"].isin(["yes", "no"]).all()
