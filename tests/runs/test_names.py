"""Runs by the names that people read: the key stays the identity, the name finds it."""

import json
from dataclasses import replace

import pytest
from test_runs import tiny

from m2s.cli.main import main
from m2s.errors import InputError
from m2s.paths import ROOT
from m2s.runs.execute import execute
from m2s.runs.plan import find_runs, list_runs
from m2s.runs.store import find_run_folder, list_runs_by_name, summarize_runs
from m2s.studies.run import Run

RECORDS = sorted(ROOT.glob("results/*-*/runs/*/record.json"))


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results" / "smoke-phantom"


@pytest.mark.parametrize(
    ("train_sets", "name"),
    [
        (("kvasir", "clinicdb"), "msnet-polyps-64px-s0"),
        (("kvasir",), "msnet-kvasir-64px-s0"),
        (("busi/fold2-train",), "msnet-busi-fold2-64px-s0"),
        (("kvasir", "clinicdb", "lung", "busi/fold1-train"), "msnet-joint-64px-s0"),
        (("mine/train",), "msnet-mine-64px-s0"),
    ],
)
def test_the_name_says_model_images_size_and_seed(train_sets, name):
    assert tiny(train_sets=train_sets).name == name


@pytest.mark.skipif(not RECORDS, reason="no results beside the library")
def test_every_committed_record_gives_its_run_back():
    for path in RECORDS:
        record = json.loads(path.read_text())
        assert Run.from_settings(record["settings"]).key == record["key"] == path.parent.name


def test_a_run_is_found_by_folder_file_key_and_name_and_the_hash_stands_only_where_two_share_a_name(results, capsys):
    run = tiny()
    folder = execute(run, results, "phantom")
    for known in (folder, folder / "model.safetensors", run.key, "msnet-polyps-64px-s0"):
        assert find_run_folder(known).resolve() == folder.resolve()
    execute(tiny(train_limit=3), results, "phantom")
    digest = run.key.rpartition("-")[2]
    assert len(list_runs_by_name()) == 2
    assert find_run_folder(f"msnet-polyps-64px-s0-{digest}") == folder.resolve()
    with pytest.raises(InputError, match=f"2 runs are called msnet-polyps-64px-s0: give one of .*{digest}"):
        find_run_folder("msnet-polyps-64px-s0")
    with pytest.raises(InputError, match="unknown run 'msnet-polyps-65px-s0': did you mean msnet-polyps-64px"):
        find_run_folder("msnet-polyps-65px-s0")
    with pytest.raises(InputError, match="is not a finished run"):
        find_run_folder(results)
    (results.parents[1] / folder.name).mkdir()  # a folder of the user's that has the name of a run by chance
    assert find_run_folder(folder.name) == folder.resolve()

    (folder / "model.safetensors").unlink()
    table = summarize_runs().set_index("name").loc[f"msnet-polyps-64px-s0-{digest}"]
    assert not table["weights"] and table["dice"].startswith("kvasir 0.") and table["results"] == "smoke-phantom"
    capsys.readouterr()
    assert main(["runs"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["name", "results"] and len(lines) == 2
    assert sum("scores only" in line for line in lines) == 1


def test_curves_are_drawn_and_a_users_file_is_not_replaced(results, capsys, tmp_path):
    folder = execute(tiny(), results, "phantom")
    for _ in range(2):
        assert main(["curves", "msnet-polyps-64px-s0", "--out", "curves.png"]) == 0
    assert (tmp_path / "curves.png").stat().st_size > 5000
    (tmp_path / "mine.png").write_text("my notes")
    assert main(["curves", folder.name, "--out", "mine.png"]) == 2
    assert "exists" in capsys.readouterr().err and (tmp_path / "mine.png").read_text() == "my notes"
    assert main(["curves", "nothing"]) == 2


def test_no_runs_are_told(results, capsys):
    assert main(["runs"]) == 0
    assert "no finished runs" in capsys.readouterr().out


def test_a_run_of_the_list_is_found_by_its_name_where_it_has_one_of_its_own():
    runs = list_runs("smoke", "phantom")
    names = [run.name for run in runs]
    single = next(run for run in runs if names.count(run.name) == 1)
    assert find_runs("smoke", "phantom", [single.name]) == [single]
    shared = next((run for run in runs if names.count(run.name) > 1), None)
    assert shared and find_runs("smoke", "phantom", [shared.key]) == [shared]
    with pytest.raises(InputError, match=r"runs are called .*: give a key"):
        find_runs("smoke", "phantom", [shared.name])
    assert replace(single, threads=7).name == single.name
