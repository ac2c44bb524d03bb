"""Signals that end a job: a time limit, a pre-emption. The restart file is written at once, then the process ends."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# SIGTERM ends jobs everywhere; SIGUSR1 is what `sbatch --signal=USR1@90` sends before a time limit or a pre-emption
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Stopped(SystemExit):
    """The process was told to end and has saved what it needs to go on; the exit status is that of the signal."""

    def __init__(self, number: int):
        super().__init__(128 + number)


class Guard:
    """While entered, calls ``act(number)`` when a signal comes: at once, or at the end of a :meth:`held` block.

    What is half changed must not be saved, so what changes it holds the signals back. With ``wait`` they are always
    held back, and whoever entered asks :attr:`number`: of several ranks all must stop at the same update.
    """

    def __init__(self, act: Callable[[int], None], wait: bool = False):
        self.act, self.wait = act, wait
        self.number = 0
        self._held = 0
        self._previous = {}

    def __enter__(self) -> "Guard":
        self._previous = {number: signal.signal(number, self._came) for number in SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _came(self, number: int, frame) -> None:
        self.number = number
        self._act_now()

    def _act_now(self) -> None:
        if self.number and not (self._held or self.wait):
            self._held += 1  # a second signal must not cut the saving short
            self.act(self.number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold signals back; one that came in between acts at the end of the block."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        self._act_now()


def ignore(*_) -> None:
    """Leave signals to the process that started this one: a loader's worker must outlive the saving."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
