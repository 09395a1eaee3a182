"""The container, which cannot be built in a test: its instructions, and that what it copies and starts is there."""

import re
import subprocess

import yaml

from m2s import paths

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
    base = dict(instructions)["ARG"].partition("=")[2]
    assert re.fullmatch(r"python:3\.(11|12|13)-slim-\w+", base)
    for word, rest in instructions:
        if word == "COPY":
            assert all((paths.ROOT / source).exists() for source in rest.split()[:-1]), rest
        if word == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)
    start = re.search(r'"/m2s/([^"]+)"', dict(instructions)["ENTRYPOINT"])[1]
    subprocess.run(["sh", "-n", str(paths.ROOT / start)], check=True)


def test_kubernetes_gets_a_job_that_goes_on():
    job = yaml.safe_load((paths.ROOT / "docs" / "cluster" / "kubernetes.yaml").read_text(encoding="utf-8"))
    pod = job["spec"]["template"]["spec"]
    assert job["kind"] == "Job" and pod["restartPolicy"] == "OnFailure"
    (container,) = pod["containers"]
    assert container["args"][0] == "reproduce"
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
