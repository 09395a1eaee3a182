"""A real Slurm on this machine: munged, slurmctld and two nodes of one core on loopback, in one folder."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PATIENCE = 1800
"""Seconds after which a test gives up waiting; a machine that is busy with other work has been ten times as slow."""
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")

CONFIG = """
ClusterName=m2s
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdTimeout=10
MinJobAge=300
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=64000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=64000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def find_lack() -> str:
    """Why Slurm cannot be started here; empty if it can."""
    if os.name != "posix" or os.getuid() != 0:
        return "starting Slurm's daemons needs root"
    missing = [program for program in PROGRAMS if not find_program(program)]
    return f"no {', '.join(missing)}: apt-get install munge slurmctld slurmd slurm-client" if missing else ""


def find_program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")


def wait_for(happened: Callable[[], object], seconds: float, what: str) -> object:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.2)
    raise TimeoutError(f"after {seconds:.0f} s: {what}")


@dataclass
class Slurm:
    """The daemons, and what the tests ask of them."""

    folder: Path
    daemons: dict[str, subprocess.Popen] = field(default_factory=dict)

    def start(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        (self.folder / "state").mkdir()
        with socket.socket() as one, socket.socket() as two, socket.socket() as three:
            taken = (one, two, three)
            for each in taken:
                each.bind(("127.0.0.1", 0))
            ports = [each.getsockname()[1] for each in taken]
        text = CONFIG.format(folder=self.folder, host=socket.gethostname().partition(".")[0], ports=ports)
        (self.folder / "slurm.conf").write_text(text)
        # Snakemake's plugin drops every variable SLURM_… within a job, also that of the configuration.
        (self.folder / "bin").mkdir()
        srun = self.folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {find_program("srun")} "$@"\n')
        srun.chmod(0o755)
        names = {name: f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "log", "pid", "seed")}
        self._launch("munged", "--foreground", "--force", f"--socket={self.folder}/munge.sock", *names.values())
        wait_for((self.folder / "munge.sock").exists, PATIENCE, "munged has no socket")
        self._launch("slurmctld", "-D")
        for node in ("n1", "n2"):
            self.start_node(node)
        wait_for(lambda: self.ask("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2", PATIENCE, "two idle nodes")

    def start_node(self, node: str) -> None:
        self._launch("slurmd", "-D", "-N", node, name=node)

    def _launch(self, program: str, *arguments: str, name: str = "") -> None:
        with open(self.folder / f"{name or program}.out", "ab") as out:
            command = [find_program(program), *arguments]
            self.daemons[name or program] = subprocess.Popen(command, env=self.environment, stdout=out, stderr=out)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path, "OMP_NUM_THREADS": "1"}

    def ask(self, *command: str) -> str:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False).stdout

    def list_jobs(self, state: str = "") -> list[tuple[str, str, str]]:
        """Number, node and comment (rule and wildcards) of each job that waits or runs."""
        lines = self.ask("squeue", "-h", "-o", "%i|%N|%k", *(["-t", state] if state else [])).splitlines()
        return [tuple(line.split("|", 2)) for line in lines]

    def wait_for_job(self, rule: str, seconds: float = PATIENCE) -> tuple[str, str]:
        """Number and node of a job of a rule that is at work."""

        def find() -> tuple[str, str] | None:
            return next(((job, node) for job, node, told in self.list_jobs("RUNNING") if rule in told), None)

        return wait_for(find, seconds, f"no job of {rule} runs: {self.list_jobs()}")

    def list_processes(self, job: str) -> list[psutil.Process]:
        """All that is at work for a job, its daemon slurmstepd too."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            with suppress(psutil.Error):
                daemon = " ".join(process.info["cmdline"] or []).startswith(f"slurmstepd: [{job}.")
                if daemon or process.environ().get("SLURM_JOB_ID") == job:
                    found.append(process)
        return found

    def kill_node(self, node: str, job: str) -> None:
        """What a node does that loses its power: its daemon and the job's processes are gone at once."""
        self.daemons[node].kill()
        self.daemons[node].wait()
        for process in self.list_processes(job):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def stop(self) -> None:
        self.ask("scancel", "-u", "root")
        with suppress(TimeoutError):
            wait_for(lambda: not self.list_jobs(), 60, "jobs are left")
        for daemon in reversed(self.daemons.values()):
            daemon.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()
            daemon.wait()
