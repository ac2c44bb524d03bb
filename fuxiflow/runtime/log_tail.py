"""Follow a log: how far its job is, and the losses that it reports.

Understands the lines of :class:`fuxiflow.progress.Progress`:
``label: done/total, h:mm:ss left, note``.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from fuxiflow.runtime.data_warnings import CountedWarnings

LINE = re.compile(
    r"fuxiflow: (?P<label>[^:]+): (?P<done>\d+)/(?P<total>\d+), (?P<left>\d+:\d\d:\d\d) left"
    r"(?:, (?P<note>.*))?$"
)
LOSS = re.compile(r"\bloss (-?[\d.]+(?:e[+-]?\d+)?)")
MOST_POINTS = 400
MOST_BYTES = 1 << 22  # of a log that was never looked at only the end is read


@dataclass(frozen=True)
class LoggedProgress:
    """A report of progress: ``done`` of ``total`` with ``left`` s to go, and a remark."""

    label: str
    done: int
    total: int
    left: float
    note: str = ""


def parse_progress(line: str) -> LoggedProgress | None:
    """Read the progress that a line of a log reports, None where it reports none."""
    match = LINE.search(line)
    if not match:
        return None
    hours, minutes, seconds = map(int, match["left"].split(":"))
    return LoggedProgress(
        match["label"],
        int(match["done"]),
        int(match["total"]),
        3600.0 * hours + 60 * minutes + seconds,
        match["note"] or "",
    )


@dataclass
class Tail:
    """A log that grows: each :meth:`update` reads what came since the last.

    ``losses`` holds pairs (done, loss), thinned to at most :data:`MOST_POINTS`; ``warnings`` those
    that the script logged.
    """

    path: Path
    progress: LoggedProgress | None = None
    losses: list[tuple[int, float]] = field(default_factory=list)
    warnings: CountedWarnings = field(default_factory=CountedWarnings)
    _offset: int = 0
    _rest: bytes = b""

    def update(self) -> None:
        """Read what is new: nothing of an absent log, all of one that was begun anew."""
        try:
            size = self.path.stat().st_size
            if size < self._offset:
                self._offset, self._rest = 0, b""
                self.progress, self.losses = None, []
                self.warnings = CountedWarnings()
            with self.path.open("rb") as file:
                file.seek(max(self._offset, size - MOST_BYTES))
                new = file.read()
                self._offset = file.tell()
        except OSError:
            return
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            self._take(parse_progress(text))
            self.warnings.take(text)

    def _take(self, reported: LoggedProgress | None) -> None:
        if reported is None:
            return
        self.progress = reported
        if match := LOSS.search(reported.note):
            self.losses.append((reported.done, float(match[1])))
            if len(self.losses) > MOST_POINTS:
                self.losses = [*self.losses[:-1:2], self.losses[-1]]


def last_lines(path: Path, count: int, most_bytes: int = 1 << 16) -> list[str]:
    """Read the last lines of a log.

    Parameters
    ----------
    path : Path
        The log.
    count : int
        How many lines.
    most_bytes : int
        How much of the end of the log is read at most.

    Returns
    -------
    list of str
        The lines, none of a log that cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - most_bytes))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []
