"""WMO BUFR files: split into messages, each decoded in a process of its own where ecCodes may crash, hang or babble.

Format: WMO Manual on Codes, WMO-No. 306, Volume I.2, Part B, FM 94 BUFR editions 2 to 4. Files may hold GTS bulletin
headers (WMO-No. 386, Attachment II-15), record markers and padding about their messages.
"""

import os
import pickle
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

_START, _END = b"BUFR", b"7777"
_SHORTEST = 8 + 17 + 7 + 4 + 4
_MARKERS = 16  # octets of Fortran record markers that may stand between messages
_TEXT = re.compile(rb"[\x01\x03\t\r\n -~]+")  # of bulletins, from SOH to ETX
_PADDING = b"\0\xff"
_FOREIGN = re.compile(rb"[^\x00-\x7f]")
_MEMORY = 4 << 30  # octets of address space of a decoding process


@dataclass(frozen=True)
class Header:
    """Sections 1 and 3: ``category`` and ``subcategories`` (international, local; code tables A and C-13), ``time``
    (None where it is no date), number of ``subsets``, and the unexpanded ``descriptors`` as FXXYYY integers."""

    edition: int
    centre: int
    category: int
    subcategories: tuple[int | None, int]
    time: datetime | None
    subsets: int
    compressed: bool
    descriptors: tuple[int, ...]


@dataclass(frozen=True)
class Message:
    """One BUFR message, or a piece of a file that should have been one and why not (``damage``)."""

    offset: int
    data: bytes
    damage: str = ""

    @cached_property
    def header(self) -> Header | None:
        """Sections 1 and 3, decoded without ecCodes; None where they are damaged."""
        try:
            return _header(self.data)
        except (IndexError, ValueError):
            return None

    @property
    def subsets(self) -> int:
        """The number of subsets that the header gives; 0 where it is damaged."""
        return self.header.subsets if self.header else 0

    @property
    def hollow(self) -> bool:
        """Whether it is a whole message that says itself that it has no subset; ecCodes cannot decode such."""
        return not self.damage and self.header is not None and not self.header.subsets


@dataclass(frozen=True)
class Failure:
    """Why a message gave no result."""

    why: str


def _header(data: bytes) -> Header:
    """Sections 1 and 3; ValueError or IndexError when their lengths lead out of the message."""
    edition, first = data[7], data[8:]
    if data[:4] != _START or edition not in (2, 3, 4):
        raise ValueError("no BUFR message of edition 2 to 4")
    if len(first) < 22:
        raise ValueError("section 1 ends outside the message")
    if edition == 4:
        centre, flags, category, subcategories = (
            int.from_bytes(first[4:6]),
            first[9],
            first[10],
            (first[11], first[12]),
        )
        year, parts = int.from_bytes(first[15:17]), first[17:22]
    else:
        centre, flags, category, subcategories = first[5], first[7], first[8], (None, first[9])
        if edition == 2:
            centre = int.from_bytes(first[4:6])
        # year of the century, 100 for 2000 in some centres' messages
        year, parts = first[12] % 100 + (1900 if 70 <= first[12] < 100 else 2000), first[13:17]
    try:
        time = datetime(year, *parts)
    except ValueError:
        time = None
    position = 8 + int.from_bytes(data[8:11])
    if flags & 128:
        position += int.from_bytes(data[position : position + 3])
    length = int.from_bytes(data[position : position + 3])
    third = data[position : position + length]
    if len(third) < max(length, 9):
        raise ValueError("section 3 ends outside the message")
    numbers = [int.from_bytes(third[i : i + 2]) for i in range(7, length - 1, 2)]
    # a section of even length ends in a padding octet (editions 2 and 3)
    descriptors = tuple((n >> 14) * 100000 + (n >> 8 & 63) * 1000 + (n & 255) for n in numbers)
    return Header(
        edition,
        centre,
        category,
        subcategories,
        time,
        int.from_bytes(third[4:6]),
        bool(third[6] & 64),
        descriptors,
    )


def messages(path: Path) -> Iterator[Message]:
    """The messages of a file in their order, and the pieces that are damaged messages; OSError when unreadable.

    Text, padding and record markers between messages are passed over; longer binary pieces are damaged messages.
    """
    data = Path(path).read_bytes()
    position = 0
    while position < len(data):
        start = data.find(_START, position)
        gap = data[position : start if start >= 0 else len(data)]
        if len(_TEXT.sub(b"", gap).translate(None, _PADDING)) > _MARKERS and _FOREIGN.search(gap):
            yield Message(position, gap, f"{len(gap)} octets that do not begin with BUFR")
        if start < 0:
            return
        message = _message(data, start)
        yield message
        position = start + len(message.data)


def _message(data: bytes, start: int) -> Message:
    """The message that begins at ``start``, or the damaged piece up to the next one."""
    length, edition = int.from_bytes(data[start + 4 : start + 7]), data[start + 7 : start + 8]
    whole = _SHORTEST <= length <= len(data) - start and data[start : start + length].endswith(_END)
    if whole and edition in (b"\2", b"\3", b"\4"):
        return Message(start, data[start : start + length])
    following = data.find(_START, start + len(_START))
    following = following if following >= 0 else len(data)
    if edition not in (b"\2", b"\3", b"\4"):
        why = f"BUFR edition {edition[0] if edition else 'missing'}, expected 2 to 4"
    elif start + length > len(data):
        why = f"truncated: {len(data) - start} of its {length} octets"
    else:
        why = f"does not end in 7777 after its {length} octets"
    return Message(start, data[start:following], why)


class Decoder:
    """A process that applies a ``function`` of a module's top level to messages; a context manager.

    A message that raises, crashes the process or takes longer than ``timeout`` seconds gives a :class:`Failure`, and
    the next one has a new process. What the process prints, ecCodes' complaints, goes nowhere.
    """

    def __init__(self, function: Callable[[bytes], Any], timeout: float = 30.0):
        self._function, self._timeout = pickle.dumps(function), timeout
        self._process: subprocess.Popen | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, kind, value, trace) -> None:
        self._stop()

    def _start(self) -> None:
        self._connection, theirs = Pipe()
        code = f"from fuxiflow.observations import bufr; bufr._serve({theirs.fileno()})"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OMP_NUM_THREADS": "1",
        }
        with theirs:
            # a fresh interpreter: a fork would share ecCodes' state, multiprocessing's spawn runs the main script again
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._connection.send_bytes(self._function)
        try:
            self._connection.recv()  # ready: what it imports does not count as decoding
        except EOFError as error:
            status = self._stop()
            raise RuntimeError(
                f"the BUFR decoding process ends at its start, status {status}"
            ) from error

    def _stop(self) -> int | None:
        """Stop the process, if there is one; its exit status where it had ended by itself."""
        if self._process is None:
            return None
        self._connection.close()
        try:
            status = self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            status = None
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None
        return status

    def decode(self, found: Iterable[Message]) -> Iterator[tuple[Message, Any]]:
        """Each message with the function's result or with a :class:`Failure`, for damaged and hollow ones at once."""
        for message in found:
            damage = message.damage or ("no subset" if message.hollow else "")
            yield message, Failure(damage) if damage else self(message.data)

    def __call__(self, data: bytes) -> Any:
        """The function's result, which must be picklable, or a :class:`Failure`."""
        if self._process is None:
            self._start()
        try:
            self._connection.send_bytes(data)
            if self._connection.poll(self._timeout):
                return self._connection.recv()
        except (EOFError, OSError):
            status = self._stop()
            return Failure(
                "decoding crashed" + (f" (signal {-status})" if status and status < 0 else "")
            )
        self._process.kill()
        self._stop()
        return Failure(f"decoding took more than {self._timeout:g} s")


def decode(
    found: Iterable[Message], function: Callable[[bytes], Any], timeout: float = 30.0
) -> Iterator[tuple[Message, Any]]:
    """Each message with ``function(data)`` of it or with a :class:`Failure`; see :class:`Decoder`."""
    with Decoder(function, timeout) as decoder:
        yield from decoder.decode(found)


def _serve(descriptor: int) -> None:
    """The loop of a decoding process: a pickled function, then messages, until the connection closes."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    connection = Connection(descriptor)
    function = pickle.loads(connection.recv_bytes())
    connection.send(True)
    while True:
        try:
            data = connection.recv_bytes()
        except EOFError:
            return
        try:
            result = function(data)
        except Exception as error:  # whatever a damaged message provokes, in ecCodes or after it
            result = Failure(f"{type(error).__name__}: {error}")
        connection.send(result)
