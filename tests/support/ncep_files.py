"""An encoder of NCEP's self-describing BUFR, made from a description of the format alone.

Tables are given as NCEP's own: elements by mnemonic, and sequences as texts of members, with
``{X}`` 8-bit, ``(X)`` 16-bit, ``<X>`` 1-bit replication, ``[X]`` a stack and ``"X"3`` a fixed one.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

CCITT = "CCITT IA5"
ALWAYS = {
    "BYTCNT": (63000, 0, 0, 16, "BYTES"),
    "BITPAD": (63255, 0, 0, 1, "NONE"),
    "DRF1BIT": (31000, 0, 0, 1, "NUMERIC"),
    "DRF8BIT": (31001, 0, 0, 8, "NUMERIC"),
    "DRF16BIT": (31002, 0, 0, 16, "NUMERIC"),
}
MARKERS = {
    "DRP16BIT": (360001, (101000, 31002)),
    "DRP8BIT": (360002, (101000, 31001)),
    "DRPSTAK": (360003, (101000, 31001)),
    "DRP1BIT": (360004, (101000, 31000)),
}
REPLICATIONS = {"(": (360001, 16), "{": (360002, 8), "[": (360003, 8), "<": (360004, 1)}
# number, scale, reference, width, unit
ELEMENTS = {
    "SAID": (1007, 0, 0, 10, "CODE TABLE"),
    "SIID": (2019, 0, 0, 11, "CODE TABLE"),
    "PTID": (1050, 0, 0, 17, "CODE TABLE"),
    "YEAR": (4001, 0, 0, 12, "YEAR"),
    "MNTH": (4002, 0, 0, 4, "MONTH"),
    "DAYS": (4003, 0, 0, 6, "DAY"),
    "HOUR": (4004, 0, 0, 5, "HOUR"),
    "MINU": (4005, 0, 0, 6, "MINUTE"),
    "SECO": (4006, 0, 0, 6, "SECOND"),
    "SECW": (4007, 6, 0, 26, "SECOND"),
    "CLAT": (5002, 2, -9000, 15, "DEGREE"),
    "CLON": (6002, 2, -18000, 16, "DEGREE"),
    "CLATH": (5001, 5, -9000000, 25, "DEGREE"),
    "CLONH": (6001, 5, -18000000, 26, "DEGREE"),
    "BEARAZ": (5021, 2, 0, 16, "DEGREE TRUE"),
    "SOLAZI": (5022, 2, 0, 16, "DEGREE TRUE"),
    "SLNM": (5041, 0, 0, 8, "NUMERIC"),
    "CHNM": (5042, 0, 0, 6, "NUMERIC"),
    "FOVN": (5043, 0, 0, 8, "NUMERIC"),
    "SAZA": (7024, 2, -9000, 15, "DEGREE"),
    "SOZA": (7025, 2, -9000, 15, "DEGREE"),
    "HMSL": (7002, -1, -40, 16, "M"),
    "HOLS": (10001, 0, -400, 15, "M"),
    "LSQL": (8012, 0, 0, 2, "CODE TABLE"),
    "TMBR": (12163, 2, 0, 16, "K"),
    "TMANT": (12066, 2, 0, 16, "K"),
    "SCCF": (2153, -8, 0, 26, "HZ"),
    "NGQI": (33078, 0, 0, 4, "CODE TABLE"),
    "ATMSGQ": (33079, 0, 0, 16, "FLAG TABLE"),
    "ATMSSQ": (33080, 0, 0, 20, "FLAG TABLE"),
    "ATMSCHQ": (33081, 0, 0, 12, "FLAG TABLE"),
    "STCH": (25140, 0, 0, 14, "NUMERIC"),
    "ENCH": (25141, 0, 0, 14, "NUMERIC"),
    "CHSF": (25142, 0, 0, 6, "NUMERIC"),
    "SCRA": (14046, 0, -5000, 16, "W M-2 SR-1 M"),
    "QGFQ": (33060, 0, 0, 2, "CODE TABLE"),
    "ORBN": (5040, 0, 0, 24, "NUMERIC"),
    "SELV": (7001, 0, -400, 15, "M"),
    "QFRO": (33039, 0, 0, 16, "FLAG TABLE"),
    "PCCF": (33007, 0, 0, 7, "%"),
    "ELRC": (10035, 1, 62000000, 22, "M"),
    "GEODU": (10036, 2, -15000, 15, "M"),
    "MEFR": (2121, -8, 0, 7, "HZ"),
    "IMPP": (7040, 1, 62000000, 22, "M"),
    "BNDA": (15037, 8, -100000, 23, "RADIANS"),
    "FOST": (8023, 0, 0, 6, "CODE TABLE"),
    "HEIT": (7007, 0, -1000, 17, "M"),
    "ARFR": (15036, 3, 0, 19, "N-UNITS"),
    "RPID": (1198, 0, 0, 64, CCITT),
}
TIME = "YEAR MNTH DAYS HOUR MINU SECO"
ANGLES = "SAZA SOZA BEARAZ SOLAZI"
SOUNDERS = {
    "NC021023": {
        "NC021023": f'SAID SIID {TIME} CLAT CLON FOVN LSQL HOLS HMSL {ANGLES} "BRITCSTC"15',
        "BRITCSTC": "CHNM TMBR",
    },
    "NC021027": {
        "NC021027": f'SAID SIID {TIME} CLAT CLON FOVN LSQL HOLS HMSL {ANGLES} "BRITCSTC"5',
        "BRITCSTC": "CHNM TMBR",
    },
    "NC021203": {
        "NC021203": (
            f'SAID SIID {TIME} CLATH CLONH FOVN SLNM HMSL {ANGLES} NGQI ATMSGQ ATMSSQ "ATMSCH"22'
        ),
        "ATMSCH": "CHNM SCCF TMANT TMBR ATMSCHQ",
    },
}
IASI = {
    "NC021241": (
        f'SAID SIID {TIME} CLATH CLONH {ANGLES} FOVN ORBN SLNM SELV QGFQ "IASIL1CB"10 (IASICHN)'
    ),
    "IASIL1CB": "STCH ENCH CHSF",
    # the number of a channel has more bits than that of other sounders
    "IASICHN": "201136 CHNM 201000 SCRA",
}
OCCULTATION = {
    "NC003010": f"SAID PTID {TIME} CLATH CLONH ELRC GEODU BEARAZ QFRO PCCF {{ROSEQ1}} {{ROSEQ3}}",
    "ROSEQ1": "CLATH CLONH BEARAZ {ROSEQ2}",
    "ROSEQ2": "MEFR IMPP BNDA FOST BNDA FOST",
    "ROSEQ3": "HEIT ARFR FOST ARFR FOST",
}
_MEMBER = re.compile(r'"(\w+)"(\d+)|([({\[<])(\w+)[)}\]>]|(\w+)')


def operator(text: str) -> int | None:
    """The number of an operator such as ``201132``; None where a member is none."""
    return int(text) if re.fullmatch(r"20[1-8]\d{3}", text) else None


class NcepTables:
    """Tables of one epoch: ``sequences`` by mnemonic, the first of them the report."""

    def __init__(
        self,
        sequences: Mapping[str, str],
        elements=ELEMENTS,
        report: int = 363218,
        first: int = 361001,
    ):
        self.sequences = dict(sequences)
        self.elements = {**ALWAYS, **elements}
        names = list(sequences)
        self.number = {name: first + i for i, name in enumerate(names)}
        self.number[names[0]] = report
        self.report = names[0]

    def members(self, name: str):
        """Yield the members of a sequence: operator, element, or replication and sequence."""
        for match in _MEMBER.finditer(self.sequences[name]):
            fixed, count, mark, repeated, plain = match.groups()
            if fixed:
                yield "fixed", fixed, int(count)
            elif mark:
                yield "delayed", repeated, mark
            elif operator(plain):
                yield "operator", plain, None
            else:
                yield ("sequence" if plain in self.sequences else "element"), plain, None

    def codes(self, name: str) -> list[int]:
        """The descriptors of a sequence."""
        codes = []
        for kind, member, detail in self.members(name):
            if kind == "fixed":
                codes += [101000 + detail, self.number[member]]
            elif kind == "delayed":
                codes += [REPLICATIONS[detail][0], self.number[member]]
            elif kind == "operator":
                codes.append(int(member))
            else:
                codes.append(
                    self.number[member] if kind == "sequence" else self.elements[member][0]
                )
        return codes

    def messages(self, per_message: int = 60, edition: int = 3) -> bytes:
        """The messages that hold the tables, the last one without a subset."""
        head = f"{self.report:<8} {'A REPORT':<55}"
        entries_a = [f"{self.report_digits:03d}{head}".encode()]
        entries_b = [_entry_b(name, *entry) for name, entry in self.elements.items()]
        entries_d = [_entry_d(name, number, codes) for name, (number, codes) in MARKERS.items()]
        entries_d += [
            _entry_d(name, self.number[name], self.codes(name)) for name in self.sequences
        ]
        parts = [("a", entry) for entry in entries_a] + [("b", entry) for entry in entries_b]
        parts += [("d", entry) for entry in entries_d]
        messages = b""
        for first in range(0, len(parts), per_message):
            piece = parts[first : first + per_message]
            body = b""
            for letter in "abd":
                own = [entry for kind, entry in piece if kind == letter]
                body += bytes([len(own)]) + b"".join(own)
            messages += table_message(body, edition)
        return messages + table_message(b"\0\0\0", edition, subsets=0)

    @property
    def report_digits(self) -> int:
        return self.report_number % 1000

    @property
    def report_number(self) -> int:
        return self.number[self.report]

    def category(self) -> tuple[int, int]:
        """Category and local subcategory of the report."""
        match = re.fullmatch(r"NC(\d{3})(\d{3})", self.report)
        return (int(match[1]), int(match[2])) if match else (self.report_digits, 0)

    def fields(self, values: Mapping, name: str | None = None, state=None) -> list:
        """Flatten the values of a subset to (integer or text, width, is text)."""
        fields = []
        state = dict(state or {"width": 0, "scale": 0})
        used: dict[str, int] = {}
        for kind, member, detail in self.members(name or self.report):
            if kind == "operator":
                code, value = divmod(int(member), 1000)
                state["width" if code == 201 else "scale"] = value - 128 if value else 0
            elif kind == "sequence":
                fields += self.fields(values, member, state)
            elif kind == "element":
                value = values.get(member)
                if isinstance(value, tuple):
                    place = used.get(member, 0)
                    used[member] = place + 1
                    value = value[place]
                fields.append(self._field(member, value, state))
            else:
                repetitions = values.get(member, [])
                if kind == "delayed":
                    fields.append((len(repetitions), REPLICATIONS[detail][1], False))
                else:
                    repetitions = [*repetitions, *[{}] * (detail - len(repetitions))]
                for repetition in repetitions:
                    fields += self.fields(repetition, member, state)
        return fields

    def _field(self, name: str, value, state):
        _, scale, reference, width, unit = self.elements[name]
        if unit == CCITT:
            return (value or "").ljust(width // 8).encode()[: width // 8], width, True
        if not unit.startswith(("CODE", "FLAG")):
            width, scale = width + state["width"], scale + state["scale"]
        if value is None or value != value:
            return (1 << width) - 1, width, False
        return round(float(value) * 10.0**scale) - reference, width, False

    def message(
        self,
        subsets: Sequence[Mapping],
        time: datetime = datetime(2022, 7, 1, 12),
        compressed: bool = False,
        edition: int = 3,
        counted: bool = True,
    ) -> bytes:
        """A message of reports; ``counted`` without compression: each with its length."""
        rows = [self.fields(values) for values in subsets]
        if compressed:
            codes = [self.report_number]
            body = packed(compressed_bits(rows))
        elif counted:
            codes = [63000, self.report_number, 102000, 31001, 206001, 63255]
            body = b"".join(counted_subset(row) for row in rows)
        else:
            codes = [self.report_number]
            body = packed("".join(bits_of(row) for row in rows))
        flags = 0xC0 if compressed else 0x80
        return bufr(codes, body, len(rows), flags, self.category(), time, edition)


def _entry_b(name: str, number: int, scale: int, reference: int, width: int, unit: str) -> bytes:
    def signed(value, digits):
        return f"{'-' if value < 0 else '+'}{abs(value):<{digits}d}"

    text = f"{number:06d}{name:<8} {'AN ELEMENT':<55}{unit:<24}"
    text += signed(scale, 3) + signed(reference, 10) + f"{width:<3d}"
    assert len(text) == 112
    return text.encode()


def _entry_d(name: str, number: int, codes: Sequence[int]) -> bytes:
    text = f"{number:06d}{name:<8} {'A SEQUENCE':<55}"
    assert len(text) == 70
    return text.encode() + bytes([len(codes)]) + "".join(f"{code:06d}" for code in codes).encode()


def bits_of(fields: Sequence) -> str:
    """Fields as a text of bits."""
    parts = []
    for value, width, text in fields:
        number = int.from_bytes(value) if text else int(value)
        assert 0 <= number < 1 << width, (value, width)
        parts.append(f"{number:0{width}b}")
    return "".join(parts)


def packed(bits: str) -> bytes:
    """A text of bits as octets."""
    bits = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return int(bits, 2).to_bytes(len(bits) // 8) if bits else b""


def counted_subset(fields: Sequence) -> bytes:
    """A subset between its length and the bits that pad it."""
    bits = bits_of(fields)
    padding = 8 - (len(bits) % 8)
    body = packed(bits + f"{padding:08b}" + "0" * padding)
    # one that is longer than two octets can say stands alone
    return min(len(body) + 2, 65535).to_bytes(2) + body


def compressed_bits(rows: Sequence[Sequence]) -> str:
    """Subsets of equal structure as a text of bits, element by element."""
    parts = []
    for column in zip(*rows, strict=True):
        _, width, text = column[0]
        values = [value for value, *_ in column]
        if text:
            same = len(set(values)) == 1
            parts.append(bits_of([(values[0] if same else bytes(width // 8), width, True)]))
            parts.append(f"{0 if same else width // 8:06b}")
            parts += [] if same else [bits_of([(value, width, True)]) for value in values]
            continue
        lost = (1 << width) - 1
        present = [value for value in values if value != lost]
        if len(present) < len(values) and not present:
            parts.append(f"{lost:0{width}b}{0:06b}")
            continue
        least, most = min(present), max(present)
        if least == most and len(present) == len(values):
            parts.append(f"{least:0{width}b}{0:06b}")
            continue
        step = (most - least + 1).bit_length()
        parts.append(f"{least:0{width}b}{step:06b}")
        for value in values:
            increment = (1 << step) - 1 if value == lost else value - least
            parts.append(f"{increment:0{step}b}")
    return "".join(parts)


def bufr(
    codes: Sequence[int],
    body: bytes,
    subsets: int,
    flags: int,
    category: tuple[int, int],
    time: datetime | None,
    edition: int = 3,
) -> bytes:
    """A message of sections 0 to 5; None as ``time`` stands for tables."""
    when = time or datetime(2022, 1, 1)
    date = bytes([when.month, when.day, when.hour, when.minute]) if time else bytes(4)
    if edition == 4:
        first = bytes([0, 0, 22, 0, 0, 7, 0, 3, 0, 0, category[0], 255, category[1], 36, 1])
        first += when.year.to_bytes(2) + date + bytes(1)
    else:
        year = when.year % 100 or 100
        century = (when.year - 1) // 100 + 1 if time else 0
        first = bytes([0, 0, 18, 0, 3, 7, 0, 0, *category, 36, 1, year]) + date + bytes([century])
    listed = b"".join(
        ((c // 100000 << 14) + (c // 1000 % 100 << 8) + c % 1000).to_bytes(2) for c in codes
    )
    third = bytes([0, *subsets.to_bytes(2), flags]) + listed
    third += bytes((len(third) + 3) % 2)
    fourth = bytes(1) + body
    fourth += bytes((len(fourth) + 3) % 2)
    sections = first + b"".join(
        (len(section) + 3).to_bytes(3) + section for section in (third, fourth)
    )
    return b"BUFR" + (len(sections) + 12).to_bytes(3) + bytes([edition]) + sections + b"7777"


def table_message(body: bytes, edition: int = 3, subsets: int = 1) -> bytes:
    """A message of tables."""
    codes = [103000, 31001, 1, 2, 3, 101000, 31001, 300004]
    codes += [105000, 31001, 300003, 205064, 101000, 31001, 30]
    return bufr(codes, body, subsets, 0x80, (11, 1), None, edition)


def footprints(elements: Mapping[int, np.ndarray], values: np.ndarray, kind: str, extra=None):
    """Subsets of a sounder from elements by number, as ``bufr_files.swath`` gives them."""
    names = {
        1007: "SAID",
        4001: "YEAR",
        4002: "MNTH",
        4003: "DAYS",
        4004: "HOUR",
        4005: "MINU",
        4006: "SECO",
        5043: "FOVN",
        7024: "SAZA",
        5021: "BEARAZ",
    }
    high = kind == "NC021203"
    names |= {5001: "CLATH" if high else "CLAT", 6001: "CLONH" if high else "CLON"}
    names |= {5002: names[5001], 6002: names[6001]}
    group = "ATMSCH" if high else "BRITCSTC"
    columns = {
        names[code]: np.asarray(column) for code, column in elements.items() if code in names
    }
    for row in range(len(values)):
        subset = {name: float(column[row]) for name, column in columns.items()} | (extra or {})
        subset[group] = [
            {"CHNM": channel + 1, "TMBR": float(value)} for channel, value in enumerate(values[row])
        ]
        yield subset


MARK, CODE = (5, "CODE TABLE"), (10, "CODE TABLE")
PREPBUFR_ELEMENTS = {
    "SID": (1194, 0, 0, 64, CCITT),
    "XOB": (6240, 2, -18000, 16, "DEG E"),
    "YOB": (5002, 2, -9000, 15, "DEG N"),
    "DHR": (4215, 5, -2400000, 23, "HOURS"),
    "ELV": (10199, 0, -1000, 17, "METER"),
    "TYP": (55007, 0, 0, 10, "CODE TABLE"),
    "SQN": (50001, 0, 0, 19, "NUMERIC"),
    "CAT": (8193, 0, 0, 6, "CODE TABLE"),
    "POB": (7245, 1, 0, 14, "MB"),
    "QOB": (13245, 0, 0, 16, "MG/KG"),
    "TDO": (12244, 1, -2732, 14, "DEG C"),
    "TOB": (12245, 1, -2732, 14, "DEG C"),
    "TVO": (12243, 1, -2732, 14, "DEG C"),
    "ZOB": (10007, 0, -1000, 17, "METER"),
    "UOB": (11003, 1, -4096, 13, "M/S"),
    "VOB": (11004, 1, -4096, 13, "M/S"),
    "DDO": (11001, 0, 0, 9, "DEGREES TRUE"),
    "FFO": (11252, 0, 0, 9, "KNOTS"),
    "XDR": (6241, 2, -18000, 16, "DEG E"),
    "YDR": (5241, 2, -9000, 15, "DEG N"),
    "HRDR": (4218, 5, -2400000, 23, "HOURS"),
    "PMO": (10243, 1, 0, 14, "MB"),
    "PMQ": (10244, 0, 0, *MARK),
    "SST1": (22043, 2, 0, 15, "K"),
    "SSTQM": (22246, 0, 0, *MARK),
    "PQM": (7246, 0, 0, *MARK),
    "PPC": (7247, 0, 0, *MARK),
    "PRC": (7248, 0, 0, *CODE),
    "QQM": (13246, 0, 0, *MARK),
    "QPC": (13247, 0, 0, *MARK),
    "QRC": (13248, 0, 0, *CODE),
    "TQM": (12246, 0, 0, *MARK),
    "TPC": (12247, 0, 0, *MARK),
    "TRC": (12248, 0, 0, *CODE),
    "ZQM": (10246, 0, 0, *MARK),
    "ZPC": (10247, 0, 0, *MARK),
    "ZRC": (10248, 0, 0, *CODE),
    "WQM": (11240, 0, 0, *MARK),
    "WPC": (11241, 0, 0, *MARK),
    "WRC": (11242, 0, 0, *CODE),
    "DFQ": (11243, 0, 0, *MARK),
}
EVENTS = {
    "P___INFO": "[P__EVENT]",
    "Q___INFO": "[Q__EVENT] TDO",
    "T___INFO": "[T__EVENT] TVO",
    "Z___INFO": "[Z__EVENT]",
    "W___INFO": "[W__EVENT] [DF_EVENT]",
    "P__EVENT": "POB PQM PPC PRC",
    "Q__EVENT": "QOB QQM QPC QRC",
    "T__EVENT": "TOB TQM TPC TRC",
    "Z__EVENT": "ZOB ZQM ZPC ZRC",
    "W__EVENT": "UOB VOB WQM WPC WRC",
    "DF_EVENT": "DDO FFO DFQ",
}
OBSERVED = "<P___INFO> <Q___INFO> <T___INFO> <Z___INFO> <W___INFO>"
HEADR = {"HEADR": "SID XOB YOB DHR ELV TYP SQN"}
PREPBUFR = {
    "ADPSFC": {"ADPSFC": "HEADR PRSLEVEL <PMSL_SEQ>"},
    "SFCSHP": {"SFCSHP": "HEADR PRSLEVEL <PMSL_SEQ> <SST_INFO>"},
    "ADPUPA": {"ADPUPA": "HEADR {PRSLEVEL}"},
}
# of the report, and the first of its sequences
PREPBUFR_NUMBERS = {
    "ADPUPA": (348102, 361001),
    "ADPSFC": (348109, 362001),
    "SFCSHP": (348110, 362101),
}
MNEMONICS = {"p": "POB", "q": "QOB", "t": "TOB", "z": "ZOB"}


def prepbufr_tables(kind: str) -> NcepTables:
    """Tables of one kind of PrepBUFR reports."""
    sequences = {
        **PREPBUFR[kind],
        **HEADR,
        "PRSLEVEL": f"CAT {OBSERVED} <DRFTINFO>",
        "PMSL_SEQ": "PMO PMQ",
        "SST_INFO": "[SSTEVENT]",
        "SSTEVENT": "SST1 SSTQM",
        "DRFTINFO": "XDR YDR HRDR",
        **EVENTS,
    }
    number, first = PREPBUFR_NUMBERS[kind]
    return NcepTables(sequences, PREPBUFR_ELEMENTS, number, first)


def prep_level(category: int = 0, **observed) -> dict:
    """A level: ``p``, ``q``, ``t``, ``z`` and ``w`` are events, newest first.

    An event is (value, mark) or (value, mark, program), of winds (u, v, mark).
    """
    level = {"CAT": category}
    for letter, name in MNEMONICS.items():
        if letter in observed:
            upper = letter.upper()
            stack = [
                {name: event[0], f"{upper}QM": event[1], f"{upper}PC": (*event, 1)[2]}
                for event in observed[letter]
            ]
            level[f"{upper}___INFO"] = [{f"{upper}__EVENT": stack}]
    if "w" in observed:
        stack = [{"UOB": u, "VOB": v, "WQM": mark} for u, v, mark in observed["w"]]
        level["W___INFO"] = [{"W__EVENT": stack}]
    if "drift" in observed:
        lon, lat, hours = observed["drift"]
        level["DRFTINFO"] = [{"XDR": lon, "YDR": lat, "HRDR": hours}]
    return level


def prep_report(kind: int, levels: list[dict], number: int = 1, **head) -> dict:
    """A subset of PrepBUFR; ``sea_level`` and ``water`` are (value, mark)."""
    subset = {"SID": "72469", "XOB": 255.13, "YOB": 39.77, "DHR": -0.5, "ELV": 1611}
    sea_level, water = head.pop("sea_level", None), head.pop("water", None)
    subset |= {"TYP": kind, "SQN": number, **head}
    subset |= levels[0] if len(levels) == 1 else {}
    subset["PRSLEVEL"] = levels
    if sea_level:
        subset["PMSL_SEQ"] = [{"PMO": sea_level[0], "PMQ": sea_level[1]}]
    if water:
        subset["SST_INFO"] = [{"SSTEVENT": [{"SST1": water[0], "SSTQM": water[1]}]}]
    return subset
