"""Kill a process at one of the moments at which it changes what is on disk."""

import multiprocessing
import os
import signal
from collections.abc import Callable

POINTS = ("fsync", "link", "mkdir", "rename", "replace", "rmdir", "unlink")
FORK = multiprocessing.get_context("fork")


def _run(work: Callable[[], None], kill_at: int, count) -> None:
    def counted(function):
        def call(*arguments, **options):
            with count.get_lock():
                count.value += 1
            if count.value == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    for name in POINTS:
        setattr(os, name, counted(getattr(os, name)))
    work()
    os._exit(0)


def run_killed(work: Callable[[], None], kill_at: int = 0) -> tuple[int, int]:
    """Run ``work`` in a process of its own, killed before its so manieth change (from 1, 0: never).

    Returns
    -------
    tuple of int
        Its exit code, and the number of changes that it came to.
    """
    count = FORK.Value("i", 0)
    process = FORK.Process(target=_run, args=(work, kill_at, count))
    process.start()
    process.join(120)
    code = process.exitcode
    assert code is not None, "it hangs"
    return code, count.value
