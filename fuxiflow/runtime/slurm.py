"""Inside a Slurm job: what of it this process is told, steps on its nodes, and requests to end.

A request to end is waited out, so that a pre-empted job is queued again and not lost.

To the steps of a job that it pre-empts, cancels or ends at its time limit Slurm sends SIGTERM, and SIGKILL some time
later (GraceTime, KillWait). A job that ends in between by itself, with an error, counts as failed and is not queued
again, PreemptMode=REQUEUE or not (Slurm 22.05; tests/slurm/test_preemption.py). A kill spoils no output: they are
written under temporary names.
"""

import logging
import os
import shutil
import signal
import time
from collections.abc import Mapping

# longer than any time of grace; who told the process to end then was not Slurm
LONGEST_GRACE = 900
STATUS = 128 + signal.SIGTERM
# what of Slurm's variables is the job's, whichever of its steps a process belongs to
OF_THE_JOB = ("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_CLUSTER_NAME", "SLURM_CONF")


def in_a_job(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process runs in a job of Slurm."""
    return "SLURM_JOB_ID" in environment


def process_number(environment: Mapping[str, str] = os.environ) -> int:
    """The number of this process among those that ``srun`` has started; KeyError where it has not."""
    return int(environment["SLURM_PROCID"])


def gpus_here(environment: Mapping[str, str] = os.environ) -> int | None:
    """GPUs that the job has on this node; None where Slurm does not say, as outside its jobs."""
    return int(environment["SLURM_GPUS_ON_NODE"]) if "SLURM_GPUS_ON_NODE" in environment else None


def starts_steps(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether ``srun`` can start processes on the nodes of this job."""
    return in_a_job(environment) and shutil.which("srun", path=environment.get("PATH")) is not None


def outside_steps(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment that knows the job alone: ``srun`` takes the sizes and bindings of the step that it is called in
    for options of its own, and Lightning would take that step's tasks for ranks."""
    return {
        name: value
        for name, value in environment.items()
        if name in OF_THE_JOB or not name.startswith(("SLURM_", "SRUN_", "SBATCH_"))
    }


def step_command(program: list[str], nodes: int, per_node: int, threads: int) -> list[str]:
    """The command that runs a program ``per_node`` times on each of ``nodes`` of this job, with so many processors each
    and all GPUs of its node; the first that fails ends the others, by SIGTERM and after KillWait by SIGKILL."""
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
    """Go on after SIGTERM, in a job of Slurm; what can save its state has its own handler."""

    def note(number, frame):
        log.warning("asked to end; going on until Slurm kills this job, so that it queues it again")

    if in_a_job():
        signal.signal(signal.SIGTERM, note)


def await_kill(error: BaseException, log: logging.Logger, seconds: float = LONGEST_GRACE) -> None:
    """Wait for Slurm's SIGKILL where ``error`` says that SIGTERM has ended the work: exit status 143, in a job."""
    if in_a_job() and isinstance(error, SystemExit) and error.code == STATUS:
        log.info("waiting for Slurm to kill this job, so that it queues it again")
        time.sleep(seconds)
