"""A real Slurm on this machine: one node with a `cpu`, a `gpu` and an `urgent` partition, started
and stopped by hand.

A second node, of one processor, runs on the same machine; both make up the partition `pair`, and no
other has it. Debian's packages, no systemd, no cgroups, no accounting database. Slurm's
configuration has to lie in /etc/slurm, since the job steps of Snakemake's plug-in drop SLURM_CONF;
a machine that has one of its own is left alone.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

ETC = Path("/etc/slurm")
NAME = "fuxiflow-tests"
MARK = "# written by fuxiflow's tests/slurm under "
PACKAGES = ("slurm-wlm", "munge")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun")
POLICY = Path("/usr/sbin/policy-rc.d")
DAEMONS = ("slurmd", "slurmctld", "munged")  # in the order that they are stopped in

CONFIGURATION = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge.sock
CredType=cred/munge
SlurmctldPort=6817
SlurmdPort=6818
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool-%n
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd-%n.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
# without cgroups memory is watched by polling: a job above its --mem is killed
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
MinJobAge=7200
KillWait=20
AccountingStorageType=accounting_storage/none
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:2 State=UNKNOWN
NodeName={host}-2 NodeHostname={host} NodeAddr=127.0.0.1 Port=6819 \
CPUs=1 RealMemory={memory} State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=1-00:00:00 State=UP PriorityTier=1
PartitionName=gpu Nodes={host} MaxTime=1-00:00:00 State=UP PriorityTier=1 GraceTime=20
PartitionName=urgent Nodes={host} MaxTime=1-00:00:00 State=UP PriorityTier=10 PreemptMode=off
PartitionName=pair Nodes={host},{host}-2 MaxTime=1-00:00:00 State=UP PriorityTier=1
"""
# one character device for every GPU that is counted; none of them is used
DEVICES = (
    "AutoDetect=off\n"
    "NodeName={host} Name=gpu File=/dev/null\n"
    "NodeName={host} Name=gpu File=/dev/zero\n"
)


class CannotRunError(RuntimeError):
    """Slurm cannot be run here; the message says why."""


def _run(*words: str, check: bool = True, **options) -> str:
    """What a command prints; CalledProcessError shows its errors."""
    done = subprocess.run(
        words, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    if check and done.returncode:
        raise RuntimeError(
            f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}"
        )
    return done.stdout


def install() -> None:
    """Install Slurm and munge with apt-get where they are missing; :class:`CannotRunError` where
    that fails.
    """
    if all(shutil.which(program) for program in PROGRAMS):
        return
    wanted = f"{' and '.join(PACKAGES)} are not installed"
    if os.geteuid():
        raise CannotRunError(f"{wanted}, and only root can install them")
    if not shutil.which("apt-get"):
        raise CannotRunError(f"{wanted}, and there is no apt-get to install them with")
    # no service is to be started by the installation: these tests start their own
    policy = not POLICY.exists()
    if policy:
        POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        POLICY.chmod(0o755)
    try:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        _run("apt-get", "update", "-qq", env=environment)
        _run(
            "apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES, env=environment
        )
    except RuntimeError as error:
        raise CannotRunError(f"{' and '.join(PACKAGES)} could not be installed: {error}") from error
    finally:
        if policy:
            POLICY.unlink()


def _stop_daemons(base: Path) -> None:
    """Stop, by process id, what was started under ``base``, and what Slurm has left of its jobs."""
    for pidfile in [path for daemon in DAEMONS for path in sorted(base.glob(f"{daemon}*.pid"))]:
        daemon = pidfile.stem.split("-")[0]
        try:
            process = psutil.Process(int(pidfile.read_text()))
            if process.name() != daemon:
                continue
            process.terminate()
            try:
                process.wait(10)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(10)
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            continue


def kill_left(since: float) -> list[int]:
    """Kill what Slurm started for jobs after ``since`` (seconds) and did not end; returns the
    process ids.

    Snakemake in a job that gets SIGTERM while its scheduler holds its lock waits for that lock for
    ever, and without cgroups Slurm does not see a process whose parent has ended. There is no other
    Slurm on this machine.
    """
    killed = []
    for process in psutil.process_iter(["name", "create_time", "environ"]):
        of_job = (process.info["environ"] or {}).get("SLURM_CLUSTER_NAME") == NAME
        if (of_job or process.info["name"] == "slurmstepd") and process.info["create_time"] > since:
            process.kill()
            killed.append(process.pid)
    return killed


def _remains() -> None:
    """Clear what an earlier run left that was killed; :class:`CannotRunError` where a Slurm of
    somebody else's is.
    """
    configuration = ETC / "slurm.conf"
    if not configuration.exists():
        return
    first = configuration.read_text().splitlines()[:1]
    if not first or not first[0].startswith(MARK):
        raise CannotRunError(
            f"{configuration} is not of these tests: this machine has a Slurm, which is left alone"
        )
    base = Path(first[0].removeprefix(MARK))
    _stop_daemons(base)
    _unconfigure()
    shutil.rmtree(base, ignore_errors=True)


def _unconfigure() -> None:
    for name in ("slurm.conf", "gres.conf"):
        (ETC / name).unlink(missing_ok=True)


class Cluster:
    """Two nodes on one machine; a context manager that starts their daemons, stops them and leaves
    nothing behind.
    """

    def __init__(self):
        self.host = _run("hostname", "-s").strip()
        self.nodes = (self.host, f"{self.host}-2")
        self.base = Path()
        self.made_etc = False
        self.since = time.time()

    def __enter__(self) -> "Cluster":
        if os.geteuid():
            raise CannotRunError("the daemons of a cluster can be started by root alone")
        _remains()
        self.base = Path(tempfile.mkdtemp(prefix="fuxiflow-slurm-"))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        self.base.chmod(0o755)
        for name in ("state", *(f"spool-{node}" for node in self.nodes)):
            (self.base / name).mkdir()
        memory = psutil.virtual_memory().total * 9 // 10 // 2**20
        self.made_etc = not ETC.exists()
        ETC.mkdir(exist_ok=True)
        (ETC / "gres.conf").write_text(DEVICES.format(host=self.host))
        (ETC / "slurm.conf").write_text(
            f"{MARK}{self.base}\n"
            + CONFIGURATION.format(
                name=NAME, host=self.host, base=self.base, cpus=os.cpu_count(), memory=memory
            )
        )
        key = self.base / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        _run(
            "munged",
            "--force",
            f"--key-file={key}",
            f"--socket={self.base}/munge.sock",
            f"--pid-file={self.base}/munged.pid",
            f"--log-file={self.base}/munged.log",
            f"--seed-file={self.base}/munged.seed",
            "--num-threads=2",
        )
        _run("slurmctld")
        for node in self.nodes:
            _run("slurmd", "-N", node)
        self.wait(
            lambda: all(self.node(name).startswith("idle") for name in self.nodes),
            60,
            "the nodes are not idle",
        )

    def __exit__(self, *exception) -> None:
        if (self.base / "slurmctld.pid").exists():
            _run("scancel", "--user=root", check=False)
            with contextlib.suppress(AssertionError, RuntimeError):
                self.wait(lambda: not self.jobs("PENDING,RUNNING,COMPLETING"), 60, "jobs are left")
        _stop_daemons(self.base)
        kill_left(self.since)
        _unconfigure()
        if self.made_etc:
            shutil.rmtree(ETC, ignore_errors=True)
        if self.base != Path():
            shutil.rmtree(self.base, ignore_errors=True)

    def wait(self, condition, seconds: float, message: str) -> None:
        """Wait until ``condition()`` holds; AssertionError with the daemons' last lines where it
        never does.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                logs = "".join(
                    f"\n{name}:\n" + "\n".join((self.base / name).read_text().splitlines()[-15:])
                    for name in ("slurmctld.log", f"slurmd-{self.host}.log")
                    if (self.base / name).exists()
                )
                raise AssertionError(f"after {seconds:.0f} s {message}; {self.jobs()}{logs}")
            time.sleep(0.3)

    def node(self, name: str | None = None) -> str:
        """The state of a node, by default the first, such as `idle`, `mixed` or `drained`."""
        name = name or self.host
        return _run(
            "sinfo", "--noheader", "--partition=pair", f"--nodes={name}", "--format=%T", check=False
        ).strip()

    def drain(self) -> None:
        """Let running jobs end and start no other."""
        _run("scontrol", "update", f"nodename={self.host}", "state=drain", "reason=test")

    def resume(self) -> None:
        """Take jobs again after :meth:`drain`."""
        _run("scontrol", "update", f"nodename={self.host}", "state=resume")

    def jobs(self, states: str = "all") -> list[dict[str, str]]:
        """Jobs, also those that have ended: id, state, partition, comment (rule and wildcards),
        memory, limit.
        """
        fields = {
            "id": "%i",
            "state": "%T",
            "partition": "%P",
            "comment": "%k",
            "memory": "%m",
            "limit": "%l",
        }
        text = _run(
            "squeue",
            "--noheader",
            f"--states={states}",
            "--sort=i",
            f"--format={'|'.join(fields.values())}",
        )
        return [dict(zip(fields, line.split("|"), strict=True)) for line in text.splitlines()]

    def jobs_of(self, rule: str, states: str = "all") -> list[dict[str, str]]:
        """Jobs of a rule, or of a group of jobs, in the order of their submission."""
        return [
            job
            for job in self.jobs(states)
            if re.match(rf"rule_{rule}(_wildcards_|_figure_|$)", job["comment"])
        ]

    def asked(self, job: str) -> str:
        """All that Slurm knows of a job."""
        return _run("scontrol", "show", "job", job)

    def cancel(self, job: str) -> None:
        """Kill a job as an administrator would."""
        _run("scancel", job)

    def submit(self, *words: str) -> str:
        """Submit a command and return the job's id."""
        return _run("sbatch", "--parsable", *words).strip()
