"""Progress of long loops, in the log: done, total, rate and the time that is left."""

import logging
import time
from collections.abc import Iterable, Iterator


def format_duration(seconds: float) -> str:
    """Seconds as ``h:mm:ss``."""
    whole = int(seconds + 0.5)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class Progress:
    """Reports advance through ``total`` steps to a logger, at most every ``every`` seconds, with the time left."""

    def __init__(
        self, total: int, label: str, log: logging.Logger, every: float = 10.0, done: int = 0
    ):
        self.total, self.label, self.log, self.every = total, label, log, every
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
        self.log.info(
            "%s: %d/%d, %s left%s", self.label, self.done, self.total, format_duration(left), note
        )


def count_items(items: Iterable, label: str, log: logging.Logger, every: float = 10.0) -> Iterator:
    """Yield ``items`` of which nobody knows how many there are, reporting to ``log`` how many there were."""
    done, start = 0, time.monotonic()
    last = start
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
    """Yield ``items``, reporting to ``log``; ``total`` defaults to their length."""
    report = Progress(len(items) if total is None else total, label, log, every)
    for item in items:
        yield item
        report.step()
