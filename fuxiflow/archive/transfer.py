"""Download files over HTTP: resumed, checked, and whole or not at all.

Where files go is the matter of :mod:`fuxiflow.archive.fetching`.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
from requests.packages.urllib3.exceptions import HTTPError as BrokenAnswer

from fuxiflow.archive.checksums import Checksum, Digests, checksums_of, disagreement
from fuxiflow.archive.notes import Note
from fuxiflow.archive.retries import (
    Changed,
    DownloadError,
    Incomplete,
    Mismatch,
    Refused,
    attempt,
)


@dataclass(frozen=True)
class Fetched:
    """A file that is there, whole, with the SHA-256 of what was written.

    ``address`` is where it came from; ``agreed`` are the archive's checksums that it was compared
    with, such as ``md5 (ETag)``.
    """

    path: Path
    size: int
    sha256: str
    address: str
    agreed: tuple[str, ...] = ()


Download = tuple[str, Callable[[requests.Session, Path], Fetched]]
"""A file's name relative to the segment, and a function ``(session, target)`` that downloads it."""
CHUNK = 1 << 16
"""Bytes that a broken connection may lose."""
TIMEOUT = (20, 60)
"""Seconds to connect, and between two pieces of an answer."""
SLOW_AFTER, SLOWEST = 120.0, 1000.0
"""Seconds after which an answer must have come with so many bytes a second."""
LONGEST_ANSWER = 6 * 3600.0
"""Seconds after which an answer is broken off, whatever comes."""
PLAIN = {"Accept-Encoding": "identity"}
"""Lengths, ranges and checksums are of the file, not of what a server compresses on its way."""
Range = tuple[int, int | None]
"""First byte and the byte after the last, None for the rest of the file."""


def get_whole(session: requests.Session, url: str, **parameters) -> requests.Response:
    """Request an address and read the answer whole.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    url : str
        The address.
    **parameters
        Parameters of the query.

    Returns
    -------
    requests.Response
        The answer.

    Raises
    ------
    Absent, DownloadError
        As :func:`attempt`.
    """

    def action():
        response = session.get(url, params=parameters or None, headers=PLAIN, timeout=TIMEOUT)
        _accept(response, url)
        digests = Digests()
        named = checksums_of(response.headers)
        digests.begin(Path(), 0, {checksum.function for checksum in named})
        digests.update(response.content)
        difference = disagreement(named, digests, Path())
        if difference:
            raise Mismatch(difference)
        return response

    return attempt(action, url)


def get_file(session: requests.Session, url: str) -> requests.Response:
    """Request a small file and read it whole, as :func:`get_whole`; a web page is refused."""
    response = get_whole(session, url)
    _accept_file(response, url)
    return response


def _accept(response: requests.Response, url: str) -> None:
    """Raise unless an answer carries what was asked for, in full (200) or in part (206)."""
    if response.status_code >= 400:
        # the words of the refusal are read while the connection is open
        raise requests.HTTPError(response.content[:400], response=response)
    if response.status_code not in (200, 206):
        raise Refused(
            f"{url}: answered with status {response.status_code} {response.reason}, which is no "
            "file: is the address right?"
        )


def _accept_file(response: requests.Response, url: str) -> None:
    """Raise unless an answer carries a file, which a web page is not."""
    _accept(response, url)
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise DownloadError(
            f"{url}: the answer is a web page instead of the file: a wrong address, or the log-in "
            "page of a proxy"
        )


def _announced(response: requests.Response) -> int | None:
    """Return the whole file's length by the headers of a full (200) or partial (206) answer."""
    if response.status_code == 206:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        return int(total) if total.isdigit() else None
    length = response.headers.get("Content-Length")
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    return int(length) if length and not encoded else None


def _span(response: requests.Response) -> tuple[int, int]:
    """Return first byte and byte after the last of a partial answer."""
    text = response.headers.get("Content-Range", "")
    match = re.match(r"bytes (\d+)-(\d+)/", text)
    if not match:
        raise Incomplete(f"a part without its place in the file (Content-Range {text!r})")
    return int(match[1]), int(match[2]) + 1


def _validator(response: requests.Response) -> str:
    """Return what tells a file's versions apart, for ``If-Range``; empty where nothing does.

    A weak ``ETag`` does not say that the bytes are the same.
    """
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """Yield an answer as it comes; one that drips is given up, though it never falls silent."""
    if "Content-Encoding" in response.headers:
        yield from response.iter_content(CHUNK)
        return
    start, count = time.monotonic(), 0
    try:
        while piece := response.raw.read1(CHUNK):
            yield piece
            count += len(piece)
            elapsed = time.monotonic() - start
            if elapsed > LONGEST_ANSWER or (elapsed > SLOW_AFTER and count < SLOWEST * elapsed):
                raise Incomplete(f"too slow: {count} bytes in {elapsed:.0f} s")
    except BrokenAnswer as error:
        raise requests.ConnectionError(error) from error


def _write_pieces(
    response: requests.Response, part: Path, mode: str, digests: Digests, most: int | None
) -> None:
    """Write an answer to a file as it comes.

    Parameters
    ----------
    response : requests.Response
        The answer.
    part : Path
        The file.
    mode : str
        ``ab`` to go on, ``wb`` to begin.
    digests : Digests
        Takes in what is written.
    most : int or None
        Length that the file is to have; what would make it longer raises Incomplete.
    """
    with open(part, mode) as file:
        for piece in _pieces(response):
            if most is not None and digests.count + len(piece) > most:
                raise Incomplete(f"more than the {most} bytes that there should be")
            file.write(piece)
            digests.update(piece)


def _settle(part: Path, target: Path, *notes: Path) -> None:
    """Give a whole file its name, once it is on the disk, and remove the notes about it.

    Parameters
    ----------
    part : Path
        The file as it was written.
    target : Path
        Its name.
    *notes : Path
        Files that told how far it had come.
    """
    with open(part, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(part, target)
    for note in notes:
        note.unlink(missing_ok=True)


def _restart(part: Path, *notes: Path) -> None:
    """Remove a part and the notes about it; the part first, so that no note is of another part."""
    part.unlink(missing_ok=True)
    for note in notes:
        note.unlink(missing_ok=True)


def kept(target: Path, address: str) -> Fetched:
    """Return a file that lay there already, with its SHA-256 read anew."""
    digests = Digests()
    digests.begin(target, target.stat().st_size)
    return Fetched(target, digests.count, digests["sha256"], address)


def fetch(
    session: requests.Session,
    url: str,
    target: Path,
    length: int | None = None,
    checksums: Sequence[Checksum] = (),
    **patience,
) -> Fetched:
    """Download a file, resuming what an earlier call left in ``target.part``.

    A target that exists with the expected length is kept. The part is resumed only while the
    server's ``ETag``, or else ``Last-Modified``, is the same. What has arrived is compared with
    all checksums that the server names.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    url : str
        Address of the file.
    target : Path
        Where it goes.
    length : int, optional
        Expected length in bytes; by default any target that exists is kept, and the length is that
        which the server announces.
    checksums : Sequence of Checksum
        Those that are known beside the server's.
    **patience
        Limits of :func:`attempt`, such as ``attempts``.

    Returns
    -------
    Fetched
        The file.

    Raises
    ------
    Absent, DownloadError
        As :func:`attempt`; the part is left for the next call.
    """
    if target.exists() and (length is None or target.stat().st_size == length):
        return kept(target, url)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    tag = target.with_name(target.name + ".etag")
    digests = Digests()
    agreed: list[str] = []

    def restart(reason: str, kind: type[Incomplete] = Incomplete):
        _restart(part, tag)
        raise kind(reason)

    def action():
        version = tag.read_text(encoding="utf-8") if tag.exists() else ""
        offset = part.stat().st_size if part.exists() and version else 0
        if length is not None and offset > length:
            offset = 0
        headers = {**PLAIN, **_asks_for_checksums(url)}
        if offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": version}
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416 and offset:
                restart("the server has less than was already loaded")
            _accept_file(response, url)
            resumed = response.status_code == 206
            if resumed and (_span(response)[0] != offset or _validator(response) != version):
                restart("the rest is not of the file whose beginning was loaded")
            expected = length if length is not None else _announced(response)
            named = [*checksums, *checksums_of(response.headers, whole=not resumed)]
            if not resumed:
                _restart(part, tag)
                # without it there is no telling if the rest would be of the same file
                if _validator(response):
                    tag.write_text(_validator(response), encoding="utf-8")
            digests.begin(part, offset if resumed else 0, {one.function for one in named})
            _write_pieces(response, part, "ab" if resumed else "wb", digests, expected)
            etag = response.headers.get("ETag", "")
        if expected is not None and digests.count != expected:
            raise Incomplete(f"{digests.count} bytes instead of {expected}")
        difference = disagreement(named, digests, part, etag)
        if difference:
            restart(difference, Mismatch)
        agreed[:] = sorted({f"{one.function} ({one.place})" for one in named})

    attempt(action, url, loaded=lambda: digests.count, **patience)
    _settle(part, target, tag)
    return Fetched(target, digests.count, digests["sha256"], url, tuple(agreed))


def _asks_for_checksums(url: str) -> dict[str, str]:
    """Return the header by which S3 names an object's checksums.

    An address that is signed, so that it has a query, allows no further headers.
    """
    return {} if "?" in url else {"x-amz-checksum-mode": "ENABLED"}


@dataclass
class _RangesNote(Note):
    """A note beside parts of a file that are gathered: whose parts they are.

    ``total`` is the file's length, ``version`` its validator, both by the first answer.
    """

    url: str
    ranges: list[list[int | None]]
    version: str = ""
    total: int | None = None
    begun: bool = False

    def bounds(self) -> list[Range]:
        """Return the ranges, the last with its end where the file's length is known."""
        return [(start, self.total if end is None else end) for start, end in self.ranges]

    def next_range(self, size: int) -> tuple[int, int | None, int] | None:
        """Return what is asked for next, after the first ``size`` bytes of all ranges.

        Within a range it is the beginning of a whole chunk, so that little is asked for twice.

        Parameters
        ----------
        size : int
            Bytes that were gathered.

        Returns
        -------
        tuple or None
            First byte, byte after the last, and the number of gathered bytes before them; None
            where all are there.
        """
        before = 0
        for start, end in self.bounds():
            if end is None or size < before + end - start:
                inside = (size - before) // CHUNK * CHUNK
                return start + inside, end, before + inside
            before += end - start
        return None


def fetch_ranges(
    session: requests.Session,
    url: str,
    target: Path,
    ranges: Sequence[Range],
    check: Callable[[Path, list[Range]], None] | None = None,
    **patience,
) -> Fetched:
    """Download byte ranges of a file, one after the other into one target.

    Neighbouring ranges are asked for together. A target that exists is kept. A call that was
    killed is resumed in ``target.part``. All ranges are of one version of the file: that of the
    first answer.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    url : str
        Address of the file.
    target : Path
        Where the ranges go.
    ranges : Sequence of tuple
        First byte and the byte after the last; None for the rest of the file.
    check : Callable, optional
        Is given what was gathered and where the ranges lie in it, and raises :class:`Changed`.
    **patience
        Limits of :func:`attempt`, such as ``attempts``.

    Returns
    -------
    Fetched
        The file.

    Raises
    ------
    Absent, DownloadError
        As :func:`attempt`, and when the server ignores byte ranges.
    Changed
        When the file was replaced meanwhile, so that its ranges may lie elsewhere.
    """
    if target.exists():
        return kept(target, url)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    path = target.with_name(target.name + ".ranges")
    wanted_ranges = [list(one) for one in merge_ranges(ranges)]
    note = _RangesNote.read(path)
    fits = note and (note.url, note.ranges) == (url, wanted_ranges)
    if not (fits and note.version and part.exists()):
        note = _RangesNote(url, wanted_ranges)
        _restart(part, path)
        part.touch()
    digests = Digests()

    def changed(reason: str):
        _restart(part, path)
        raise Changed(f"{url}: {reason}")

    def load_range(missing: tuple[int, int | None, int]):
        start, end, size = missing
        headers = {**PLAIN, "Range": f"bytes={start}-{'' if end is None else end - 1}"}
        if note.version:
            headers["If-Range"] = note.version
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416:
                changed(f"it ends before byte {start}")
            _accept_file(response, url)
            version, total = _validator(response), _announced(response)
            other_length = None not in (total, note.total) and total != note.total
            if note.begun and (version != note.version or other_length):
                changed("it was replaced by another version while it was loaded")
            if response.status_code != 206:
                raise DownloadError(
                    f"{url}: the server ignores byte ranges (status {response.status_code})"
                )
            first, last = _span(response)
            if end is not None and total is not None and total < end:
                changed(f"it has {total} bytes, and bytes {start} to {end} are asked for")
            if first != start or (end is not None and last > end):
                raise Incomplete(f"bytes {first} to {last} instead of {start} to {end}")
            if total is None and end is None:
                total = last
            if not note.begun or note.total is None:
                note.version, note.total, note.begun = version, total, True
                note.write(path)
            os.truncate(part, size)
            digests.begin(part, size)
            most = size + (last if end is None else end) - start
            _write_pieces(response, part, "ab", digests, most)
        if digests.count != most:
            raise Incomplete(
                f"bytes {start} to {end}: {digests.count - size} bytes instead of {most - size}"
            )

    def action():
        while missing := note.next_range(part.stat().st_size):
            load_range(missing)

    attempt(action, url, loaded=lambda: digests.count, **patience)
    digests.begin(part, part.stat().st_size)
    if check:
        try:
            check(part, note.bounds())
        except Changed:
            _restart(part, path)
            raise
    _settle(part, target, path)
    return Fetched(target, digests.count, digests["sha256"], url)


def get_range(session: requests.Session, url: str, start: int, end: int) -> bytes:
    """Request bytes of a file and read them into memory.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    url : str
        Address of the file.
    start, end : int
        First byte, and the byte after the last.

    Returns
    -------
    bytes
        The bytes.

    Raises
    ------
    Absent, DownloadError
        As :func:`attempt`, and when the server ignores byte ranges.
    """

    def action():
        headers = {**PLAIN, "Range": f"bytes={start}-{end - 1}"}
        response = session.get(url, headers=headers, timeout=TIMEOUT)
        _accept_file(response, url)
        if response.status_code != 206:
            raise DownloadError(f"{url}: the server ignores byte ranges")
        if len(response.content) != end - start:
            raise Incomplete(f"{len(response.content)} bytes instead of {end - start}")
        return response.content

    return attempt(action, url)


def ranged_length(session: requests.Session, url: str) -> int | None:
    """Return the length in bytes of a file that can be had in ranges, None where it cannot.

    Absent and DownloadError as :func:`attempt`.
    """

    def action():
        headers = {**PLAIN, "Range": "bytes=0-0"}
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416:
                return None
            _accept_file(response, url)
            return _announced(response) if response.status_code == 206 else None

    return attempt(action, url)


def merge_ranges(ranges: Sequence[Range]) -> list[Range]:
    """Sort byte ranges and join neighbours and those that overlap."""
    joined: list[Range] = []
    for start, end in sorted(ranges, key=lambda one: one[0]):
        last = joined[-1][1] if joined else -1
        if joined and (last is None or last >= start):
            joined[-1] = (joined[-1][0], None if None in (last, end) else max(last, end))
        elif end is None or end > start:
            joined.append((start, end))
    return joined
