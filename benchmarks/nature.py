"""Time the nature run with one thread in XLA's executor, and with one for each processor.

python -m benchmarks.nature [days] [rounds]
    seconds and processor seconds a model day, by turns; results may differ in their bits
"""

import os
import subprocess
import sys
from tempfile import TemporaryDirectory

DAYS, ROUNDS = 20, 2
_RUN = """
import os, sys, time
from datetime import datetime
from pathlib import Path
from fuxiflow.world.nature import NatureModel
threads, days, cache = sys.argv[1:]
os.environ["NPROC"] = threads  # read when jax first computes
model = NatureModel(31, 40, Path(cache))
*_, (state, _) = model.advance(model.rest(datetime(2022, 1, 1)), 24)
start, processor = time.perf_counter(), time.process_time()
*_, (state, _) = model.advance(state, 24 * int(days))
print(time.perf_counter() - start, time.process_time() - processor)
"""


def measure(threads: int, days: int, cache: str) -> tuple[float, float]:
    """Return seconds and processor seconds a model day, in a process of its own.

    Parameters
    ----------
    threads : int
        Threads of XLA's executor.
    days : int
        Days that are integrated, after one that compiles.
    cache : str
        Folder of compiled programs.

    Returns
    -------
    tuple[float, float]
        Seconds a day on the clock, and of the processor.
    """
    command = [sys.executable, "-c", _RUN, str(threads), str(days), cache]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    wall, processor = map(float, done.stdout.split())
    return wall / days, processor / days


def main(arguments: list[str]) -> None:
    """Print a line for each round and number of threads."""
    days = int(arguments[0]) if arguments else DAYS
    rounds = int(arguments[1]) if len(arguments) > 1 else ROUNDS
    counts = sorted({1, os.cpu_count() or 1})
    with TemporaryDirectory() as cache:
        for _ in range(rounds):
            for threads in counts:
                wall, processor = measure(threads, days, cache)
                print(f"{threads} threads: {wall:.3f} s a day, {processor:.3f} s of the processor")


if __name__ == "__main__":
    main(sys.argv[1:])
