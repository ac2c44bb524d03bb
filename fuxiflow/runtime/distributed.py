"""Several processes for one rule, one a device, which find each other by their environment.

Inside a Slurm job ``srun`` starts them on all its nodes; elsewhere they are children of this
process. Lightning Fabric reads their ranks from the environment. They write to the temporary names
of the rule's outputs, and the process that started them publishes what they wrote.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from fuxiflow.runtime import slurm
from fuxiflow.storage.files import WRITER, writer_name

MARK = "FUXIFLOW_RANK_OF"
PASSED_ON = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
"""Signals that end a job; they are passed on, so that the ranks save before they end."""
# `srun` returns the largest status of all: a failure outweighs those told to end because of it
TOLD = os.EX_TEMPFAIL
"""Exit status of a rank that was told to end."""
FAILED = 100
"""Exit status of a rank that failed."""
GRACE = 60
"""s that the others have to end when one has."""


def process_rank() -> int | None:
    """Return the number of this process among those of its rule.

    None where it is the only one, or starts the others.
    """
    if MARK not in os.environ:
        return None
    local = os.environ.get("LOCAL_RANK")
    return slurm.process_number() if local is None else int(local)


@contextmanager
def as_rank(log: logging.Logger) -> Iterator[None]:
    """Run the body as one of several processes: errors go to the log, the exit status says which.

    It is :data:`FAILED` after an error, :data:`TOLD` where the process was told to end.
    """
    rank = process_rank()
    try:
        yield
    except SystemExit as end:
        if end.code in [128 + number for number in PASSED_ON]:
            # `srun` tells the others when one has ended; while the interpreter ends, that would
            # kill it instead
            for number in PASSED_ON:
                signal.signal(number, signal.SIG_IGN)
            raise SystemExit(TOLD) from None
        raise
    except BaseException as error:
        log.error("process %d of %s failed: %s", rank, os.environ[MARK], error, exc_info=True)
        raise SystemExit(FAILED) from error


def rank_commands(
    program: list[str],
    devices: int,
    nodes: int,
    threads: int,
    environment: Mapping[str, str],
    port: int,
) -> list[tuple[list[str], dict[str, str]]]:
    """Return the commands that start the processes: one ``srun`` in a Slurm job, else one a device.

    Parameters
    ----------
    program : list of str
        The program and its arguments.
    devices, nodes : int
        Devices of each node, and nodes.
    threads : int
        Processors of each process.
    environment : mapping
        The environment of this process.
    port : int
        The port at which the processes meet.

    Returns
    -------
    list of (list of str, dict)
        Commands, each with its environment.

    Raises
    ------
    RuntimeError
        For several nodes outside a Slurm job.
    """
    of_another_start = ("RANK", "LOCAL_RANK", "MASTER_ADDR")
    shared = {
        name: value
        for name, value in slurm.outside_steps(environment).items()
        if name not in of_another_start
    }
    shared |= {MARK: str(devices * nodes), "MASTER_PORT": str(port), WRITER: writer_name()}
    if slurm.starts_steps(environment):
        return [(slurm.step_command(program, nodes, devices, threads), shared)]
    if nodes > 1:
        raise RuntimeError(
            f"training.nodes is {nodes}, but this is no Slurm job with srun on its search path; "
            f"use --profile slurm, or set it to 1"
        )
    shared |= {"MASTER_ADDR": "127.0.0.1", "NODE_RANK": "0"}
    return [(program, {**shared, "LOCAL_RANK": str(i)}) for i in range(devices)]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class _Started:
    """The processes that were started: the ranks, or the one ``srun`` that stands for them all."""

    def __init__(self, commands: list[tuple[list[str], dict[str, str]]]):
        self.processes = [
            subprocess.Popen(command, env=environment) for command, environment in commands
        ]
        self.by_srun = commands[0][0][0] == "srun"
        self.asked = 0

    def pass_on(self, number: int) -> None:
        """Pass a signal on to the ranks.

        On SIGTERM or SIGINT itself ``srun`` would kill them before they have saved. It passes
        SIGUSR1 on, and ranks take all for the same.
        """
        if self.by_srun and number in (signal.SIGTERM, signal.SIGINT):
            number = signal.SIGUSR1
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    def ask(self, number: int, frame=None) -> None:
        """Handle a signal that this process has got."""
        self.asked = self.asked or number
        self.pass_on(number)

    def wait(self) -> int:
        """Wait for all, and return the exit status of the first that failed, or 0.

        What has not ended a while after that one is killed: it may wait for it for ever.
        """
        failed, until = 0, float("inf")
        waiting = list(self.processes)
        while waiting:
            for process in list(waiting):
                try:
                    status = process.wait(timeout=0.2)
                except subprocess.TimeoutExpired:
                    continue
                waiting.remove(process)
                if status and not failed:
                    failed, until = status, time.monotonic() + GRACE
                    self.pass_on(signal.SIGTERM)
            if time.monotonic() > until:
                self.pass_on(signal.SIGKILL)
        return failed

    def kill(self) -> None:
        """End what is left."""
        for process in self.processes:
            # a killed srun would leave its ranks behind; on SIGTERM it takes them along
            if process.poll() is None and self.by_srun:
                process.terminate()
            elif process.poll() is None:
                process.kill()
            process.wait()


def launch(
    devices: int,
    nodes: int,
    threads: int = 1,
    on_loss: list[Callable[[], None]] | None = None,
) -> None:
    """Run this program once a device and wait for all; where one fails the others are told to end.

    Parameters
    ----------
    devices, nodes : int
        Devices of each node, and nodes.
    threads : int
        Processors of each process.
    on_loss : list of callable, optional
        Gets what ends the processes at once, for the case that another has taken the job over.

    Raises
    ------
    RuntimeError
        With the exit status of the first process that failed.
    SystemExit
        With the status of the signal, where this process, or all of them, were told to end.
    """
    program = [sys.executable, *sys.argv]
    commands = rank_commands(program, devices, nodes, threads, os.environ, _free_port())
    started = _Started(commands)
    if on_loss is not None:
        on_loss.append(started.kill)
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
