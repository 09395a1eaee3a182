"""What a reproduction asks of a cluster, where there is none; tests/cluster has a real Slurm."""

import subprocess

import pytest

from m2s import paths
from m2s.cli import cluster
from m2s.cli.main import main
from m2s.cli.reproduce import Progress
from m2s.errors import InputError
from m2s.studies import STUDIES


@pytest.fixture
def plugin(monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: name if name == "snakemake_executor_plugin_slurm" else None)
    monkeypatch.setattr(cluster.shutil, "which", lambda name: f"/usr/bin/{name}")


def answer(monkeypatch, text: str, code: int = 0) -> None:
    asked = subprocess.CompletedProcess([], code, text, "slurm_load_ctl_conf error: Unable to contact controller\nmore")
    monkeypatch.setattr(cluster.subprocess, "run", lambda *_, **__: asked)


@pytest.mark.parametrize(
    ("kept", "asked"),
    [("none", ["squeue", "--slurm-no-account"]), ("(null)", ["squeue", "--slurm-no-account"]), ("slurmdbd", ["sacct"])],
)  # Slurm before and since 23.11
def test_states_are_asked_of_squeue_where_slurm_keeps_no_accounts(plugin, monkeypatch, kept, asked):
    prefix = "" if kept == "(null)" else "accounting_storage/"
    answer(
        monkeypatch, f"AccountingStorageHost   = db\nAccountingStorageType   = {prefix}{kept}\nMinJobAge = 300 sec\n"
    )
    arguments = cluster.list_executor_arguments("slurm", 8, None)
    assert arguments[:4] == ["--executor", "slurm", "--jobs", "8"]
    assert arguments[4:6] == ["--workflow-profile", str(paths.ROOT / "profiles" / "slurm")]
    assert arguments[6:] == ["--slurm-status-command", *asked]


def test_a_cluster_that_is_not_there_is_one_line(plugin, monkeypatch, tmp_path):
    answer(monkeypatch, "", 1)
    with pytest.raises(InputError, match=r"Slurm does not answer here: .* Unable to contact controller$"):
        cluster.list_executor_arguments("slurm", None, None)
    with pytest.raises(InputError, match=r"no config\.yaml in"):
        cluster.list_executor_arguments("slurm", None, tmp_path)
    with pytest.raises(InputError, match="no executor 'lsf' here: python -m pip install snakemake-executor-plugin-lsf"):
        cluster.list_executor_arguments("lsf", None, None)


def test_options_that_do_not_go_together(capsys):
    assert main(["reproduce", "--jobs", "4"]) == 2
    assert "add --executor slurm" in capsys.readouterr().err
    assert main(["reproduce", "--executor", "slurm", "--cores", "4"]) == 2
    assert "--cores is for this machine" in capsys.readouterr().err


def test_a_training_asks_for_time_and_memory_and_a_large_one_for_a_gpu():
    def ask(profile: str) -> dict[str, int]:
        run = STUDIES["polyps"].runs("M2SNet", profile, "phantom")[0]
        return cluster.estimate_needs([run], profile, "phantom")[run.key]

    smoke, paper = ask("smoke"), ask("paper")
    assert smoke["gpu"] == 0 and smoke["runtime"] == cluster.LEAST
    assert paper["gpu"] == 1 and paper["runtime"] == cluster.GPU_MINUTES
    assert cluster.PROCESS_MB < smoke["mem_mb"] < 4000 < paper["mem_mb"] < 20000


def test_a_job_that_is_submitted_again_is_not_counted_as_failed():
    progress = Progress()
    begun = {"event": "job_info", "jobid": 3, "rule_name": "train_0", "rule_msg": "run", "wildcards": None, "log": []}
    failed = {"event": "job_error", "jobid": 3}
    assert [progress.take_event(event) for event in (begun, failed)] == [None, 3]
    assert progress.failed == [3]
    assert [progress.take_event(event) for event in (begun, {"event": "job_finished", "job_id": 3})] == [None, 3]
    assert progress.failed == [] and progress.done == [3]


def test_slurms_own_words_are_found(tmp_path):
    log = tmp_path / ".snakemake" / "slurm_logs" / "rule_train_4" / "2.log"
    log.parent.mkdir(parents=True)
    assert cluster.find_slurm_error(tmp_path, "train_4") is None
    log.write_text("Building DAG\nslurmstepd: error: *** JOB 2 ON n1 CANCELLED AT 2026-11-26T16:42:57 ***\n")
    told, logs = cluster.find_slurm_error(tmp_path, "train_4")
    assert told == "JOB 2 ON n1 CANCELLED AT 2026-11-26T16:42:57" and logs == [log]
