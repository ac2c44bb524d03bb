"""Find the messages of a GRIB file and check that each is whole.

Libraries pass over damage without a word, so the octets are read here: WMO Manual on Codes, WMO-No.
306, FM 92 GRIB edition 1 and edition 2, sections 0 and 8.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fuxiflow.storage.file_kinds import describe_file, file_kind

# damage or a heading at the beginning hides what the rest of a file is
_MAY_HOLD_GRIB = frozenset({"GRIB", "unknown", "text"})
START = b"GRIB"
END = b"7777"
# NUL, white space and the control characters of telecommunication headers
PADDING = bytes(range(33))
# bit of the length by which ECMWF marks edition 1 messages above 8 MB, in an encoding of its own
LARGE_GRIB1 = 0x800000


class GribError(ValueError):
    """A GRIB file or message cannot be used; the text names file, message, offset and reason."""


@dataclass(frozen=True, slots=True)
class MessageFrame:
    """A whole message: its number in the file from 1, its edition, and the bytes it takes."""

    path: Path
    number: int
    offset: int
    length: int
    edition: int


@dataclass(frozen=True, slots=True)
class Fault:
    """A place of a file that holds no whole message.

    ``number`` is that of the message that should be there, ``offset`` is in bytes.
    """

    path: Path
    number: int
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: message {self.number} at offset {self.offset}: {self.reason}"


def _length(data, offset: int) -> tuple[int, int] | str:
    """Return edition and length in bytes of the message at ``offset``, or what is wrong with it."""
    head = data[offset : offset + 16]
    if len(head) < 8:
        return f"truncated: only {len(head)} bytes are left"
    edition = head[7]
    if edition == 1:
        length = int.from_bytes(head[4:7], "big")
        if length & LARGE_GRIB1:
            return (
                "edition 1 message above 8 MB: the unofficial length encoding is not supported, "
                "convert it to edition 2"
            )
    elif edition == 2:
        if len(head) < 16:
            return f"truncated: only {len(head)} bytes are left"
        length = int.from_bytes(head[8:16], "big")
    else:
        return f"edition {edition} is not GRIB edition 1 or 2"
    return edition, length


def _inspect(path: Path, data, number: int, offset: int) -> MessageFrame | Fault:
    """Check the message that starts at an offset.

    Parameters
    ----------
    path : Path
        The file, for error messages.
    data : bytes or mmap.mmap
        Its content.
    number : int
        Number of the message in the file, from 1.
    offset : int
        Where the message starts, in bytes.

    Returns
    -------
    MessageFrame or Fault
        The message, or why there is none.
    """
    header = _length(data, offset)
    if isinstance(header, str):
        return Fault(path, number, offset, header)
    edition, length = header
    if offset + length > len(data):
        return Fault(
            path,
            number,
            offset,
            f"truncated: it is {length} bytes long, only {len(data) - offset} are left",
        )
    if length < 12 or data[offset + length - 4 : offset + length] != END:
        return Fault(
            path, number, offset, f"wrong message length {length}: it does not end with 7777"
        )
    return MessageFrame(path, number, offset, length, edition)


def find_messages(path: Path) -> Iterator[MessageFrame | Fault]:
    """Yield all messages of a file in order, and a :class:`Fault` for whatever is not a message.

    After damage the search goes on at the next place that starts a whole message. An empty file is
    one fault.
    """
    path = Path(path)
    kind = file_kind(path)
    if kind == "empty":
        yield Fault(path, 1, 0, "the file is empty")
        return
    if kind not in _MAY_HOLD_GRIB:
        yield Fault(path, 1, 0, f"no GRIB message, {describe_file(path, 'GRIB')}")
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        number, offset = 1, 0
        while offset < len(data):
            start = data.find(START, offset)
            between = data[offset : start if start >= 0 else len(data)]
            if between.strip(PADDING):
                yield Fault(
                    path,
                    number,
                    offset,
                    f"no GRIB message, {describe_file(path, 'GRIB')}"
                    if number == 1 and start < 0
                    else f"{len(between)} bytes that are no GRIB message, starting with "
                    f"{bytes(between[:16])!r}",
                )
            if start < 0:
                return
            message = _inspect(path, data, number, start)
            yield message
            number += 1
            offset = (
                start + message.length
                if isinstance(message, MessageFrame)
                else _resume(path, data, number, start + 4)
            )


def _resume(path: Path, data, number: int, offset: int) -> int:
    """Find the next whole message after damage.

    Parameters
    ----------
    path : Path
        The file, for error messages.
    data : bytes or mmap.mmap
        Its content.
    number : int
        Number of the message that comes next.
    offset : int
        Where the search starts, in bytes.

    Returns
    -------
    int
        Offset of the message, or the length of the file.
    """
    while (start := data.find(START, offset)) >= 0:
        if isinstance(_inspect(path, data, number, start), MessageFrame):
            return start
        offset = start + 4
    return len(data)


def split_fields(message: bytes) -> list[bytes]:
    """Split a message into its fields, each as a message of its own.

    Edition 2 lets sections 2-7 repeat (NCEP packs u with v); ecCodes decodes the first field of
    bytes in memory only. Raises ValueError when a section runs over the end.
    """
    if message[7] == 1:
        return [message]
    sections: dict[int, bytes] = {}
    bodies: list[bytes] = []
    bitmap = b""
    offset = 16
    while message[offset : offset + 4] != END:
        length = int.from_bytes(message[offset : offset + 4], "big")
        kind = message[offset + 4]
        if length < 5 or offset + length > len(message) - 4 or not 1 <= kind <= 7:
            raise ValueError(f"section {kind} at octet {offset + 1} has length {length}")
        section = message[offset : offset + length]
        if kind == 6:
            # bit-map indicator 254: the one defined before in this message applies
            section = bitmap if section[5] == 254 else section
            bitmap = section if section[5] != 255 else bitmap
        sections[kind] = section
        if kind == 7:
            bodies.append(b"".join(sections[number] for number in sorted(sections)))
        offset += length
    if len(bodies) == 1:
        return [message]
    # section 0 (16 octets, of which the last 8 are the length) and section 8 complete each field
    return [message[:8] + (len(body) + 20).to_bytes(8, "big") + body + END for body in bodies]


def describing_sections(message: bytes) -> dict[int, bytes]:
    """Return the sections that describe the field of a single-field message, by number.

    These are product (1) and grid (2) in edition 1; identification (1), grid (3) and product (4)
    in edition 2. Raises ValueError when one runs over the end.
    """
    edition_1 = message[7] == 1
    size, offset = (3, 8) if edition_1 else (4, 16)
    sections: dict[int, bytes] = {}
    while not (1 in sections and (2 if edition_1 else 4) in sections):
        length = int.from_bytes(message[offset : offset + size], "big")
        kind = len(sections) + 1 if edition_1 else message[offset + 4]
        if length < 5 or offset + length > len(message) - 4:
            raise ValueError(f"section {kind} at octet {offset + 1} has length {length}")
        sections[kind] = message[offset : offset + length]
        offset += length
        if edition_1 and not sections[1][7] & 0x80:
            raise ValueError("the grid is not described (no section 2)")
    return sections
