"""The container, which cannot be built in a test: its instructions, and what it and the pods of Kubernetes start."""

import os
import re
import shlex
import subprocess

import pytest
import yaml

from m2s import paths
from m2s.runs.plan import list_runs

KNOWN = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "WORKDIR"}


def read_instructions() -> list[tuple[str, str]]:
    text = (paths.ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in joined if line.strip()]


def test_the_dockerfile_is_well_formed_and_what_it_copies_is_there():
    instructions = read_instructions()
    assert {word for word, _ in instructions} <= KNOWN
    assert [word for word, _ in instructions[:2]] == ["ARG", "FROM"]
    arguments = dict(rest.split("=") for word, rest in instructions if word == "ARG")
    assert re.fullmatch(r"python:3\.(11|12|13)-slim-\w+", arguments["BASE"]) and arguments["TORCH"] == "cuda"
    for word, rest in instructions:
        if word == "COPY":
            assert all((paths.ROOT / source).exists() for source in rest.split()[:-1]), rest
        if word == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)
    start = re.search(r'"/m2s/([^"]+)"', dict(instructions)["ENTRYPOINT"])[1]
    subprocess.run(["sh", "-n", str(paths.ROOT / start)], check=True)


def read_job(name: str) -> dict:
    return yaml.safe_load((paths.ROOT / "docs" / "cluster" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name, limit, restart",
    [("kubernetes.yaml", "backoffLimit", "OnFailure"), ("kubernetes-train.yaml", "backoffLimitPerIndex", "Never")],
)
def test_kubernetes_gets_a_job_that_goes_on(name, limit, restart):
    job = read_job(name)
    pod = job["spec"]["template"]["spec"]
    assert job["kind"] == "Job" and job["spec"][limit] >= 10 and pod["restartPolicy"] == restart
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert {"name": "M2S_RESULTS", "value": "/results"} in container["env"]


def test_the_pods_of_kubernetes_share_the_runs(tmp_path):
    """Their command is executed with an ``m2s`` that lists the runs for real and prints what it would train."""
    job = read_job("kubernetes-train.yaml")["spec"]
    (container,) = job["template"]["spec"]["containers"]
    pods = int(next(one["value"] for one in container["env"] if one["name"] == "PODS"))
    assert job["completionMode"] == "Indexed" and job["completions"] == job["parallelism"] == pods
    runs = list_runs("smoke", "phantom")
    (tmp_path / "listed").write_text("".join(f"{run.key}  {run.title}\n" for run in runs), encoding="utf-8")
    (tmp_path / "m2s").write_text(
        f'#!/bin/sh\ncase "$*" in *--list*) cat {shlex.quote(str(tmp_path / "listed"))};; *) echo "$@";; esac\n'
    )
    (tmp_path / "m2s").chmod(0o755)
    shell, script = container["command"]
    command = [shell, str(paths.ROOT / script.removeprefix("/m2s/")), *container["args"]]
    shares = []
    for index in range(pods):
        environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PODS": str(pods)}
        environment["JOB_COMPLETION_INDEX"] = str(index)
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
        assert told[:6] == ["train", *container["args"], "--key"]
        shares.append(told[6:])
    assert sorted(key for share in shares for key in share) == sorted(run.key for run in runs)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
