"""Findings about an archive, beside what is expected of it, and the hurried requests behind them.

Nothing is written to the disk: files are read in memory, by byte ranges where they are large.
"""

import io
import time
from dataclasses import dataclass, field

import requests

from fuxiflow.archive.retries import DownloadError
from fuxiflow.archive.transfer import get_range

CONNECTING, ANSWERING = 10.0, 30.0
"""Seconds to connect, and between two pieces of an answer."""


@dataclass(frozen=True)
class Finding:
    """One thing that is expected of an archive, and in which way the archive is otherwise.

    ``difference`` is empty where it is as expected. ``assumed`` marks what nobody has seen: it was
    written without a network at hand. ``matters`` is False where a difference does no harm, as what
    reads the archive does not rely on it.
    """

    expectation: str
    difference: str = ""
    assumed: bool = False
    matters: bool = True

    @property
    def differs(self) -> bool:
        """Say whether the archive is otherwise in a way that does harm."""
        return bool(self.difference) and self.matters


@dataclass
class ProviderReport:
    """The findings about one provider.

    ``failure`` says why its check broke off, ``unasked`` why nobody is asked.
    """

    name: str
    address: str
    findings: list[Finding] = field(default_factory=list)
    newest_day: str = ""
    reachable: bool = False
    failure: str = ""
    unasked: str = ""

    def expect(self, expectation: str, difference: str = "", **marks: bool) -> None:
        """Note what is expected.

        Parameters
        ----------
        expectation : str
            One thing.
        difference : str
            In which way it is otherwise; empty where it is not.
        **marks : bool
            ``assumed`` and ``matters`` of :class:`Finding`.
        """
        self.findings.append(Finding(expectation, difference, **marks))

    @property
    def is_as_expected(self) -> bool:
        """Say whether nothing differs that does harm."""
        return not self.failure and not any(one.differs for one in self.findings)


class NoAnswer(DownloadError):
    """Nobody answers at an address, or not in time."""


class HurriedSession(requests.Session):
    """A session whose requests end by a deadline, and are not repeated where nobody answers.

    ``answers`` counts what came back.
    """

    def __init__(self, deadline: float):
        """Take a deadline, in seconds of ``time.monotonic``."""
        super().__init__()
        self._deadline = deadline
        self.answers = 0

    def send(self, request: requests.PreparedRequest, **options) -> requests.Response:
        """Send a request; NoAnswer where nobody answers in time."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise NoAnswer(f"{request.url}: not asked any more, the time is over")
        options["timeout"] = (min(CONNECTING, left), min(ANSWERING, left))
        try:
            response = super().send(request, **options)
        except (requests.ConnectionError, requests.Timeout) as error:
            # urllib3 wraps the reason in texts that repeat the address
            reason = str(getattr(error.args[0], "reason", error) if error.args else error)
            words = reason.partition("): ")[2] or reason
            raise NoAnswer(f"{request.url}: no answer ({words})") from error
        self.answers += 1
        return response


class RemoteFile(io.RawIOBase):
    """A file at an address, of which what is read is transferred."""

    def __init__(self, session: requests.Session, url: str, length: int):
        """Take a file whose server answers byte ranges.

        Parameters
        ----------
        session : requests.Session
            Session of the calling thread.
        url : str
            Address of the file.
        length : int
            Its length in bytes.
        """
        super().__init__()
        self._session, self._url, self._length = session, url, length
        self._place = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from any place on."""
        return True

    def tell(self) -> int:
        """Return the place that is read next."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._length}[whence]
        self._place = start + offset
        return self._place

    def read(self, size: int = -1) -> bytes:
        """Transfer the next bytes."""
        end = self._length if size is None or size < 0 else min(self._place + size, self._length)
        if end <= self._place:
            return b""
        content = get_range(self._session, self._url, self._place, end)
        self._place = end
        return content


def shortened(names, most: int = 5) -> str:
    """Return the first of some names, and how many more there are."""
    names = list(map(str, names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def lacking(names) -> str:
    """Return a difference that names what is not there; empty where there are no names."""
    names = list(names)
    return f"it lacks {shortened(names)}" if names else ""


def outside_period(first: str | None, last: str | None, days: tuple[str, str] | None) -> str:
    """Say that days are needed that an archive does not reach to; empty where it does.

    Parameters
    ----------
    first, last : str or None
        Its first and last day, in ISO form.
    days : tuple of str or None
        The first and last day that are needed.

    Returns
    -------
    str
        A difference.
    """
    if days is None or (first and last and first <= days[0] and days[1] <= last):
        return ""
    return f"{days[0]} to {days[1]} are needed; it has {first or 'nothing'} to {last or 'nothing'}"
