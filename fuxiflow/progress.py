"""Progress of long loops, in the log: done, total, rate and the time that is left."""

import logging
import time
from collections.abc import Iterable, Iterator


def format_duration(seconds: float) -> str:
    """Return seconds as a text ``h:mm:ss``, rounded to the nearest second."""
    whole = int(seconds + 0.5)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class Progress:
    """Reports how far a loop has come, with the time that is left."""

    def __init__(
        self, total: int, label: str, log: logging.Logger, every: float = 10.0, done: int = 0
    ):
        """Start to count.

        Parameters
        ----------
        total : int
            Number of steps.
        label : str
            Name of the loop, with which each line begins.
        log : logging.Logger
            Where the lines go.
        every : float
            Least time in seconds between two lines; the last step always has one.
        done : int
            Steps that an earlier run made; they do not count for the rate.
        """
        self.total = total
        self.label = label
        self.log = log
        self.every = every
        self.done = self.first = done
        self.start = self.last = time.monotonic()

    def step(self, note: str = "") -> None:
        """Count one step; ``note`` (a loss, a date) ends the line when one is written."""
        self.done += 1
        now = time.monotonic()
        if now - self.last < self.every and self.done < self.total:
            return
        self.last = now
        left = (now - self.start) / max(self.done - self.first, 1) * (self.total - self.done)
        note = f", {note}" if note else ""
        # the status page reads this line: its form is fixed
        self.log.info(
            "%s: %d/%d, %s left%s", self.label, self.done, self.total, format_duration(left), note
        )


def count_items(items: Iterable, label: str, log: logging.Logger, every: float = 10.0) -> Iterator:
    """Yield items whose number is not known beforehand, and report how many there were.

    Parameters
    ----------
    items : Iterable
        They are yielded as they come.
    label : str
        Name of the loop, with which each line begins.
    log : logging.Logger
        Where the lines go.
    every : float
        Least time in seconds between two lines; the end always has one.

    Returns
    -------
    Iterator
        The items.
    """
    done = 0
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= every:
            log.info("%s: %d in %s", label, done, format_duration(now - start))
            last = now
    log.info("%s: %d in %s", label, done, format_duration(time.monotonic() - start))


def progress(
    items: Iterable, label: str, log: logging.Logger, total: int | None = None, every: float = 10.0
) -> Iterator:
    """Yield items and report how far the loop over them has come.

    Parameters
    ----------
    items : Iterable
        They are yielded as they come.
    label : str
        Name of the loop, with which each line begins.
    log : logging.Logger
        Where the lines go.
    total : int, optional
        Number of items; by default their length.
    every : float
        Least time in seconds between two lines; the last step always has one.

    Returns
    -------
    Iterator
        The items.
    """
    report = Progress(len(items) if total is None else total, label, log, every)
    for item in items:
        yield item
        report.step()
