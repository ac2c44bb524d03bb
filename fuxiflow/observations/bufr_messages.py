"""Split files of WMO BUFR into messages and read their headers, without ecCodes.

Format: WMO Manual on Codes, WMO-No. 306, Volume I.2, Part B, FM 94 BUFR editions 2 to 4. Files may
hold GTS bulletin headers (WMO-No. 386, Attachment II-15), record markers and padding about their
messages.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fuxiflow.observations.decoding_process import DecodingFailure, DecodingProcess

BUFR_SATELLITES = {
    3: "Metop-B",
    4: "Metop-A",
    5: "Metop-C",
    41: "CHAMP",
    42: "TerraSAR-X",
    43: "TanDEM-X",
    44: "PAZ",
    66: "Sentinel-6A",
    67: "Sentinel-6B",
    206: "NOAA-15",
    207: "NOAA-16",
    208: "NOAA-17",
    209: "NOAA-18",
    223: "NOAA-19",
    224: "Suomi-NPP",
    225: "NOAA-20",
    226: "NOAA-21",
    246: "DMSP-F13",
    247: "DMSP-F14",
    248: "DMSP-F15",
    249: "DMSP-F16",
    265: "CICERO",
    266: "CICERO",
    267: "GNOMES",
    268: "GNOMES",
    269: "Spire",
    285: "DMSP-F17",
    286: "DMSP-F18",
    287: "DMSP-F19",
    421: "OceanSat-2",
    520: "FY-3A",
    521: "FY-3B",
    522: "FY-3C",
    523: "FY-3D",
    524: "FY-3E",
    525: "FY-3F",
    526: "FY-3G",
    722: "GRACE-A",
    723: "GRACE-B",
    784: "Aqua",
    786: "C/NOFS",
    803: "GRACE-FO",
    804: "GRACE-FO",
    820: "SAC-C",
    825: "KOMPSAT-5",
    **{740 + i: "COSMIC-1" for i in range(6)},
    **dict.fromkeys((*range(724, 730), *range(750, 756)), "COSMIC-2"),
}
"""Names in WMO OSCAR of the satellite identifiers of messages (element 0-01-007).

WMO-No. 306, Volume I.2, common code table C-5. COSMIC's, GRACE-FO's and those of the companies
GeoOptics, PlanetiQ and Spire go by their mission.
"""

_START, _END = b"BUFR", b"7777"
_EDITIONS = (b"\2", b"\3", b"\4")
_FIRST_YEAR = 1000  # a number below is no year with its century
_SHORTEST = 8 + 17 + 7 + 4 + 4  # octets of sections 0, 1, 3, 4 and 5 in their shortest forms
_MARKERS = 16  # octets of Fortran record markers that may stand between messages
_TEXT = re.compile(rb"[\x01\x03\t\r\n -~]+")  # of bulletins, from SOH to ETX
_PADDING = b"\0\xff"
# abbreviated headings of corrected bulletins, in files and in their names: CCA, CCB …
_CORRECTED = re.compile(rb"[A-Z]{4}\d{2} [A-Z]{4} \d{6} CC([A-X])\b")
_CORRECTED_NAME = re.compile(r"[A-Z]{4}\d{2}[A-Z]{4}\d{6}CC([A-X])(?![A-Z])")
_HEADING = 100  # octets before a message in which its heading stands
_FOREIGN = re.compile(rb"[^\x00-\x7f]")


@dataclass(frozen=True)
class BufrHeader:
    """Sections 1 and 3 of a message.

    ``category`` is that of BUFR Table A, ``subcategories`` are the international (code table C-13,
    None before edition 4) and the local one, ``time`` is None where it is no date, ``subsets`` is
    their number, and ``descriptors`` are the unexpanded ones as FXXYYY integers. ``century`` says
    whether the header has the century of its year: editions 2 and 3 have two digits of the year,
    and so have some centres' messages of edition 4. ``update`` is the update sequence number, 0 of
    a message that corrects no other.
    """

    edition: int
    centre: int
    category: int
    subcategories: tuple[int | None, int]
    time: datetime | None
    subsets: int
    compressed: bool
    descriptors: tuple[int, ...]
    century: bool = field(default=True, compare=False)
    update: int = field(default=0, compare=False)

    def time_near(self, time: np.datetime64) -> np.datetime64:
        """Return the header's time, in the century nearest to a time of the body.

        NaT where the header has no time. A header that has its century is taken at its word.
        """
        if self.time is None:
            return np.datetime64("NaT", "us")
        own = np.datetime64(self.time, "us")
        if self.century or np.isnat(time):
            return own
        candidates = []
        for years in (-200, -100, 0, 100, 200):
            try:
                shifted = self.time.replace(year=self.time.year + years)
            except ValueError:  # 29 February of a year that has none
                continue
            candidates.append(np.datetime64(shifted, "us"))
        return min(candidates, key=lambda candidate: abs(candidate - time))


@dataclass(frozen=True)
class BufrMessage:
    """One BUFR message at an octet ``offset`` of its file.

    ``damage`` is empty, or says why this piece of a file is not the message it should have been.
    ``bulletin`` is the number of the correction by the heading of its bulletin, 0 of a first one.
    """

    offset: int
    data: bytes
    damage: str = ""
    bulletin: int = 0

    @cached_property
    def header(self) -> BufrHeader | None:
        """Sections 1 and 3; None where they are damaged."""
        try:
            return _header(self.data)
        except (IndexError, ValueError):
            return None

    @property
    def subsets(self) -> int:
        """The number of subsets that the header gives; 0 where it is damaged."""
        return self.header.subsets if self.header else 0

    @property
    def correction(self) -> int:
        """The number of the correction that the message is; 0 where it corrects no other."""
        return max(self.bulletin, self.header.update if self.header else 0)

    @property
    def hollow(self) -> bool:
        """A whole message whose header says that it has no subset; ecCodes cannot decode such."""
        return not self.damage and self.header is not None and not self.header.subsets


def _header(data: bytes) -> BufrHeader:
    """Decode sections 1 and 3.

    ValueError or IndexError when their lengths lead out of the message.
    """
    edition, first = data[7], data[8:]
    if data[:4] != _START or edition not in (2, 3, 4):
        raise ValueError("no BUFR message of edition 2 to 4")
    if len(first) < 22:
        raise ValueError("section 1 ends outside the message")
    if edition == 4:
        centre = int.from_bytes(first[4:6])
        flags, category = first[9], first[10]
        subcategories = (first[11], first[12])
        year, other_parts = int.from_bytes(first[15:17]), first[17:22]
        update = first[8]
    else:
        centre = int.from_bytes(first[4:6]) if edition == 2 else first[5]
        flags, category = first[7], first[8]
        subcategories = (None, first[9])
        year, other_parts = first[12], first[13:17]
        update = first[6]
    century = year >= _FIRST_YEAR
    if not century:
        # 100 for 2000 in some centres' messages, and 125 for 2025 in others'
        year = year % 100 + (1900 if 70 <= year < 100 else 2000)
    try:
        time = datetime(year, *other_parts)
    except ValueError:
        time = None
    # sections begin with their length in three octets
    position = 8 + int.from_bytes(data[8:11])
    if flags & 128:  # an optional section 2 stands before section 3
        position += int.from_bytes(data[position : position + 3])
    length = int.from_bytes(data[position : position + 3])
    third = data[position : position + length]
    if len(third) < max(length, 9):
        raise ValueError("section 3 ends outside the message")
    return BufrHeader(
        edition,
        centre,
        category,
        subcategories,
        time,
        int.from_bytes(third[4:6]),
        bool(third[6] & 64),
        _descriptors(third[7:]),
        century,
        update,
    )


@lru_cache(maxsize=1024)
def _descriptors(octets: bytes) -> tuple[int, ...]:
    """Return descriptors as FXXYYY; messages of a file have few lists of them."""
    # a section of even length ends in a padding octet (editions 2 and 3)
    numbers = [int.from_bytes(octets[i : i + 2]) for i in range(0, len(octets) - 1, 2)]
    return tuple((n >> 14) * 100000 + (n >> 8 & 63) * 1000 + (n & 255) for n in numbers)


def read_messages(path: Path) -> Iterator[BufrMessage]:
    """Yield the messages of a file in their order, damaged ones too; OSError when unreadable.

    Text, padding and record markers between messages are passed over. A longer binary piece that
    does not begin as a message is a damaged message.
    """
    data = Path(path).read_bytes()
    position = 0
    while position < len(data):
        start = data.find(_START, position)
        gap = data[position : start if start >= 0 else len(data)]
        if len(_TEXT.sub(b"", gap).translate(None, _PADDING)) > _MARKERS and _FOREIGN.search(gap):
            damage = f"{len(gap)} octets that do not begin with BUFR"
            yield BufrMessage(position, gap, damage)
        if start < 0:
            return
        message = _message(data, start)
        headings = _CORRECTED.findall(gap[-_HEADING:])
        yield replace(message, bulletin=_ordinal(headings[-1])) if headings else message
        position = start + len(message.data)


def _ordinal(letter: bytes) -> int:
    return letter[0] - ord("A") + 1


def corrected_first(paths: Iterable[Path]) -> list[Path]:
    """Sort files so that those with corrections come first, otherwise in their order.

    Of several reports of a station and time the quality control keeps the first.
    """

    def rank(path: Path) -> int:
        try:
            corrections = [message.correction for message in read_messages(path)]
        except OSError:  # its reader says what is wrong
            corrections = []
        name = _CORRECTED_NAME.search(path.name)
        return -max([_ordinal(name[1].encode()) if name else 0, *corrections])

    return sorted(map(Path, paths), key=rank)


def _message(data: bytes, start: int) -> BufrMessage:
    """Return the message that begins at ``start``, or the damaged piece up to the next one."""
    length, edition = int.from_bytes(data[start + 4 : start + 7]), data[start + 7 : start + 8]
    whole = _SHORTEST <= length <= len(data) - start and data[start : start + length].endswith(_END)
    if whole and edition in _EDITIONS:
        return BufrMessage(start, data[start : start + length])
    # the length is not to be trusted: the damaged piece ends where the next message begins
    following = data.find(_START, start + len(_START))
    following = following if following >= 0 else len(data)
    if edition not in _EDITIONS:
        damage = f"BUFR edition {edition[0] if edition else 'missing'}, expected 2 to 4"
    elif start + length > len(data):
        damage = f"truncated: {len(data) - start} of its {length} octets"
    else:
        damage = f"does not end in 7777 after its {length} octets"
    return BufrMessage(start, data[start:following], damage)


def decode_messages(
    messages: Iterable[BufrMessage], process: DecodingProcess
) -> Iterator[tuple[BufrMessage, Any]]:
    """Yield each message with the result of the decoding process, or with a DecodingFailure.

    Damaged and hollow messages fail without being sent to the process.
    """
    for message in messages:
        damage = message.damage or ("no subset" if message.hollow else "")
        yield message, DecodingFailure(damage) if damage else process(message.data)
