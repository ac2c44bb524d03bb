"""Inside a Slurm job: a request to end is waited out, so that a pre-empted job is queued again and not lost.

To the steps of a job that it pre-empts, cancels or ends at its time limit Slurm sends SIGTERM, and SIGKILL some time
later (GraceTime, KillWait). A job that ends in between by itself, with an error, counts as failed and is not queued
again, PreemptMode=REQUEUE or not (Slurm 22.05; tests/slurm/test_preemption.py). A kill spoils no output: they are
written under temporary names.
"""

import logging
import os
import signal
import time

# longer than any time of grace; who told the process to end then was not Slurm
LONGEST_GRACE = 900
STATUS = 128 + signal.SIGTERM


def in_a_job() -> bool:
    """Whether this process runs in a job of Slurm."""
    return "SLURM_JOB_ID" in os.environ


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
