"""Inside a Slurm job: what a process is told of it, steps on its nodes, and requests to end.

A request to end is waited out, so that a pre-empted job is queued again and not lost.

Slurm sends SIGTERM to the steps of a job that it pre-empts, cancels or ends at its time limit, and
SIGKILL some time later (GraceTime, KillWait). A job that ends in between by itself, with an error,
counts as failed and is not queued again, PreemptMode=REQUEUE or not (Slurm 22.05;
tests/slurm/test_preemption.py). A kill spoils no output: they are written under temporary names.
"""

import logging
import os
import shutil
import signal
import time
from collections.abc import Mapping

LONGEST_GRACE = 900
"""s, longer than any time of grace; who told the process to end then was not Slurm."""
STATUSES = (128 + signal.SIGTERM, 128 + signal.SIGUSR1)
"""Exit statuses of work that has saved its state as Slurm told it to end, or will soon."""
OF_THE_JOB = ("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_CLUSTER_NAME", "SLURM_CONF")
"""Variables of Slurm that are the job's, whichever of its steps a process belongs to."""


def in_a_job(environment: Mapping[str, str] = os.environ) -> bool:
    """Say whether this process runs in a job of Slurm."""
    return "SLURM_JOB_ID" in environment


def process_number(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of this process among those of its ``srun``; KeyError outside of one."""
    return int(environment["SLURM_PROCID"])


def gpus_here(environment: Mapping[str, str] = os.environ) -> int | None:
    """Return the GPUs that the job has on this node; None where Slurm does not say."""
    return int(environment["SLURM_GPUS_ON_NODE"]) if "SLURM_GPUS_ON_NODE" in environment else None


def starts_steps(environment: Mapping[str, str] = os.environ) -> bool:
    """Say whether ``srun`` can start processes on the nodes of this job."""
    return in_a_job(environment) and shutil.which("srun", path=environment.get("PATH")) is not None


def outside_steps(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment that knows the job alone, and no step of it.

    ``srun`` takes the sizes and bindings of the step that it is called in for options of its own,
    and Lightning would take that step's tasks for ranks.
    """
    return {
        name: value
        for name, value in environment.items()
        if name in OF_THE_JOB or not name.startswith(("SLURM_", "SRUN_", "SBATCH_"))
    }


def step_command(program: list[str], nodes: int, per_node: int, threads: int) -> list[str]:
    """Return the command that runs a program several times on the nodes of this job.

    The first process that fails ends the others, by SIGTERM and after KillWait by SIGKILL.

    Parameters
    ----------
    program : list of str
        The program and its arguments.
    nodes : int
        How many nodes of this job run it.
    per_node : int
        How often each of them runs it; all processes of a node see all its GPUs.
    threads : int
        Processors of each process.

    Returns
    -------
    list of str
        The words of the command.
    """
    # overlap: the rule itself may run in a step of the same job
    return [
        "srun",
        "--overlap",
        "--kill-on-bad-exit=1",
        "--input=none",
        f"--nodes={nodes}",
        f"--ntasks={nodes * per_node}",
        f"--ntasks-per-node={per_node}",
        f"--cpus-per-task={threads}",
        *program,
    ]


def outlast_requests(log: logging.Logger) -> None:
    """Go on after SIGTERM or SIGUSR1, in a job of Slurm; what can save has its own handler."""

    def note(number, frame):
        log.warning("asked to end; going on until Slurm kills this job, so that it queues it again")

    if in_a_job():
        signal.signal(signal.SIGTERM, note)
        signal.signal(signal.SIGUSR1, note)


def ignore_early_signal() -> None:
    """Ignore SIGUSR1, which ends a process by default, in this process and those that it starts.

    Slurm sends it some time before a job's end to every process of a step (``--signal`` of the
    profile), Snakemake's and shells among them. What can save its state has its own handler.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def await_kill(error: BaseException, log: logging.Logger, seconds: float = LONGEST_GRACE) -> None:
    """Wait for SIGKILL in a job of Slurm where a signal has ended the work (:data:`STATUSES`).

    Parameters
    ----------
    error : BaseException
        What ended the work.
    log : logging.Logger
        Where it is noted.
    seconds : float
        How long to wait at most.
    """
    if in_a_job() and isinstance(error, SystemExit) and error.code in STATUSES:
        log.info("waiting for Slurm to kill this job, so that it queues it again")
        time.sleep(seconds)
