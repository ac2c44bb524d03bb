"""Several processes for one rule, one a device: started here, found by Lightning Fabric through its environment.

Inside a Slurm job ``srun`` starts them, on all its nodes; elsewhere they are children of this process. They write to
the temporary names of the rule's outputs, and the process that started them publishes what they wrote.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fuxiflow.runtime import slurm

MARK = "FUXIFLOW_RANK_OF"
# what ends a job: passed on, so that the ranks save before they end
PASSED_ON = (signal.SIGTERM, signal.SIGUSR1)
# exit statuses of ranks: `srun` returns the largest of all, so that a failure outweighs those told to end because of it
TOLD, FAILED = os.EX_TEMPFAIL, 100
# seconds that the others have to end when one has
GRACE = 60


def process_rank() -> int | None:
    """The number of this process among those of its rule; None where it is the only one, or starts the others."""
    if MARK not in os.environ:
        return None
    return int(os.environ["LOCAL_RANK"]) if "LOCAL_RANK" in os.environ else slurm.process_number()


@contextmanager
def as_rank(log: logging.Logger) -> Iterator[None]:
    """What one of several processes does: its error goes to the log, and its exit status says whether it failed
    (:data:`FAILED`) or was told to end (:data:`TOLD`)."""
    number = process_rank()
    try:
        yield
    except SystemExit as end:
        if end.code in [128 + told for told in PASSED_ON]:
            # `srun` tells the others when one has ended; while the interpreter ends, that would kill it instead
            for number in PASSED_ON:
                signal.signal(number, signal.SIG_IGN)
            raise SystemExit(TOLD) from None
        raise
    except BaseException as error:
        log.error("process %d of %s failed: %s", number, os.environ[MARK], error, exc_info=True)
        raise SystemExit(FAILED) from error


def rank_commands(
    program: list[str],
    devices: int,
    nodes: int,
    threads: int,
    environment: Mapping[str, str],
    port: int,
) -> list[tuple[list[str], dict[str, str]]]:
    """What to start, each with its environment: one ``srun`` in a Slurm job, else one process a device. RuntimeError
    for several nodes outside Slurm."""
    handed = {
        **slurm.outside_steps(environment),
        MARK: str(devices * nodes),
        "MASTER_PORT": str(port),
    }
    handed = {
        name: value
        for name, value in handed.items()
        if name not in ("RANK", "LOCAL_RANK", "MASTER_ADDR")
    }
    if slurm.starts_steps(environment):
        return [(slurm.step_command(program, nodes, devices, threads), handed)]
    if nodes > 1:
        raise RuntimeError(
            f"training.nodes is {nodes}, but this is no Slurm job with srun on its search path; "
            f"use --profile slurm, or set it to 1"
        )
    handed |= {"MASTER_ADDR": "127.0.0.1", "NODE_RANK": "0"}
    return [(program, {**handed, "LOCAL_RANK": str(i)}) for i in range(devices)]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class _Started:
    """The processes that were started: the ranks, or the one ``srun`` that stands for them all."""

    def __init__(self, found: list[tuple[list[str], dict[str, str]]]):
        self.processes = [
            subprocess.Popen(command, env=environment) for command, environment in found
        ]
        self.by_srun = found[0][0][0] == "srun"
        self.asked = 0

    def tell(self, number: int) -> None:
        """Pass a signal on to the ranks. On SIGTERM itself ``srun`` would kill them before they have saved, SIGUSR1 it
        passes on, and ranks take both for the same."""
        if self.by_srun and number == signal.SIGTERM:
            number = signal.SIGUSR1
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    def ask(self, number: int, frame=None) -> None:
        """Handle a signal that this process has got."""
        self.asked = self.asked or number
        self.tell(number)

    def wait(self) -> int:
        """Wait for all; the exit status of the first that failed, or 0. What has not ended a while after that one is
        killed: it may wait for it for ever."""
        failed, until, waiting = 0, float("inf"), list(self.processes)
        while waiting:
            for process in list(waiting):
                try:
                    status = process.wait(timeout=0.2)
                except subprocess.TimeoutExpired:
                    continue
                waiting.remove(process)
                if status and not failed:
                    failed, until = status, time.monotonic() + GRACE
                    self.tell(signal.SIGTERM)
            if time.monotonic() > until:
                self.tell(signal.SIGKILL)
        return failed

    def kill(self) -> None:
        """End what is left. A killed ``srun`` would leave its ranks behind; on SIGTERM it takes them along."""
        for process in self.processes:
            if process.poll() is None and self.by_srun:
                process.terminate()
            elif process.poll() is None:
                process.kill()
            process.wait()


def launch(devices: int, nodes: int, threads: int = 1) -> None:
    """Run this program once a device, with so many processors each, and wait for all. Where one fails the others are
    told to end: RuntimeError with the exit status of the first. Where this process, or all of them, were told to end:
    SystemExit with the status of the signal."""
    started = _Started(
        rank_commands(
            [sys.executable, *sys.argv], devices, nodes, threads, os.environ, _free_port()
        )
    )
    previous = {number: signal.signal(number, started.ask) for number in PASSED_ON}
    try:
        status = started.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        started.kill()
    if status and (started.asked or status == TOLD):
        raise SystemExit(128 + (started.asked or signal.SIGTERM))
    if status:
        raise RuntimeError(
            f"one of {devices * nodes} processes ended with status {status}; the log says why"
        )
