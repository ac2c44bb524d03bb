"""Several processes for one rule, one a device: started here, found by Lightning Fabric through its environment.

Inside a Slurm job ``srun`` starts them, on all its nodes; elsewhere they are children of this process. They write to
the temporary names of the rule's outputs, and the process that started them publishes what they wrote.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping

MARK = "FUXIFLOW_RANK_OF"
# what ends a job: passed on, so that the ranks save before they end
PASSED_ON = (signal.SIGTERM, signal.SIGUSR1)


def rank() -> int | None:
    """The number of this process among those of its rule; None where it is the only one, or starts the others."""
    if MARK not in os.environ:
        return None
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or os.environ["SLURM_PROCID"])


def commands(program: list[str], devices: int, nodes: int, environment: Mapping[str, str],
             port: int) -> list[tuple[list[str], dict[str, str]]]:  # fmt: skip
    """What to start, each with the variables that it adds to the environment: one ``srun`` in a Slurm job, else one
    process a device. RuntimeError for several nodes outside Slurm."""
    mark = {MARK: str(devices * nodes)}
    if "SLURM_JOB_ID" in environment:
        # overlap: the rule itself runs in a step of the same job
        srun = ["srun", "--overlap", "--kill-on-bad-exit=1", f"--nodes={nodes}", f"--ntasks={devices * nodes}",
                f"--ntasks-per-node={devices}"]  # fmt: skip
        return [([*srun, *program], mark)]
    if nodes > 1:
        raise RuntimeError(f"training.nodes is {nodes}, but this is no Slurm job; use --profile slurm, or set it to 1")
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    return [(program, {**mark, **address, "LOCAL_RANK": str(i)}) for i in range(devices)]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def launch(devices: int, nodes: int) -> None:
    """Run this program once a device and wait for all. When one fails, or this process is told to end, the others are
    told to end too; RuntimeError names the exit status of the first that failed."""
    program = [sys.executable, *sys.argv]
    ranks = [subprocess.Popen(command, env={**os.environ, **added}) for command, added in
             commands(program, devices, nodes, os.environ, _free_port())]  # fmt: skip

    def tell(number: int, frame=None) -> None:
        for process in ranks:
            if process.poll() is None:
                process.send_signal(number)

    previous = {number: signal.signal(number, tell) for number in PASSED_ON}
    failed = 0
    try:
        waiting = list(ranks)
        while waiting:
            for process in list(waiting):
                try:
                    status = process.wait(timeout=0.2)
                except subprocess.TimeoutExpired:
                    continue
                waiting.remove(process)
                if status and not failed:
                    failed = status
                    tell(signal.SIGTERM)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        tell(signal.SIGKILL)
    if failed:
        raise RuntimeError(f"one of {devices * nodes} processes ended with status {failed}; the log says why")
