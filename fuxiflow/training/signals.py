"""Signals on which a training saves its state at once, in a restart file, and ends."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# SIGTERM ends jobs everywhere, SIGINT is Ctrl-C; SIGUSR1 is what `sbatch --signal=USR1@300` sends
# before a time limit
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Stopped(SystemExit):
    """The process was told to end and has saved its state; the exit status is the signal's."""

    def __init__(self, number: int):
        super().__init__(128 + number)


class SignalGuard:
    """Call ``act(number)`` when a signal comes: at once, or at the end of a :meth:`held` block.

    What is half changed must not be saved, so the code that changes it holds signals back.

    Parameters
    ----------
    act : Callable[[int], None]
        Saves and ends the process.
    wait : bool
        Always hold signals back, and let the caller ask :attr:`number`: of several ranks all must
        stop at the same update.
    """

    def __init__(self, act: Callable[[int], None], wait: bool = False):
        self.act, self.wait = act, wait
        self.number = 0
        self._holders = 0
        self._previous = {}

    def __enter__(self) -> "SignalGuard":
        self._previous = {number: signal.signal(number, self._came) for number in SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _came(self, number: int, frame) -> None:
        self.number = number
        self._act_now()

    def _act_now(self) -> None:
        if self.number and not (self._holders or self.wait):
            self._holders += 1  # a second signal must not cut the saving short
            self.act(self.number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold signals back; one that came in between acts at the end of the block."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
        self._act_now()


def ignore_signals(*_) -> None:
    """Leave signals to the process that started this one.

    A loader's worker must outlive the saving, during which its parent may still read from it.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
