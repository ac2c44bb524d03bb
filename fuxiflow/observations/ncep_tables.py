"""NCEP's BUFR tables, which its files carry in messages of their own ("DX tables").

NCEP's descriptors are defined by these messages alone, and their numbers change from year to year:
elements and sequences are told apart by their mnemonics. Format: NOAA-EMC/NCEPLIBS-bufr,
``docs/dx_tables.md`` and ``src/dxtable.F90``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from fuxiflow.observations.bufr_messages import BufrMessage

TABLES = 11
"""Data category of messages that hold tables."""
BYTE_COUNT = 63000
_ENTRY_A, _ENTRY_B, _ENTRY_D, _MEMBER = 67, 112, 70, 6
# replication of the sequence that follows: parentheses, braces, brackets and angles in NCEP's words
_MARKERS = {360001: 31002, 360002: 31001, 360003: 31001, 360004: 31000}
_DEEPEST = 20  # sequences within sequences; damaged tables may name each other
_LARGEST = 100_000  # elements of a report without repetitions
WIDEST = 56
"""Bits of a number at most."""


class TableError(ValueError):
    """Tables that are damaged, or lack what a report is made of."""


@dataclass(frozen=True)
class TableElement:
    """An element: value = (integer + reference) / 10^scale.

    ``width`` is in bits. All bits set stand for a missing value where ``missing`` says so. ``code``
    says that it is a code or flags, which operators on width and scale leave alone.
    """

    mnemonic: str
    width: int
    scale: int = 0
    reference: int = 0
    is_text: bool = False
    code: bool = False
    missing: bool = True


@dataclass(frozen=True)
class Repeated:
    """A part of a report that is there several times, or not at all.

    ``name`` is that of its sequence. It is repeated ``count`` times or, where that is 0, as often
    as a number of ``factor`` bits before it says.
    """

    name: str
    count: int
    factor: int
    body: tuple["TableElement | Repeated", ...]

    @cached_property
    def size(self) -> int | None:
        """Bits of one repetition; None where repetitions differ."""
        return size_of(self.body)

    @cached_property
    def smallest(self) -> int:
        """The fewest bits that one repetition can have."""
        return sum(
            node.width
            if isinstance(node, TableElement)
            else (node.count * node.smallest or node.factor)
            for node in self.body
        )


Nodes = tuple[TableElement | Repeated, ...]


def size_of(nodes: Nodes) -> int | None:
    """Return the bits of elements and repeated parts; None where they differ."""
    total = 0
    for node in nodes:
        if isinstance(node, TableElement):
            total += node.width
        elif node.count and node.size is not None:
            total += node.count * node.size
        else:
            return None
    return total


# what BUFR defines itself, and NCEP writes into every file
_OF_ALL = {
    31000: TableElement("DRF1BIT", 1, missing=False),
    31001: TableElement("DRF8BIT", 8, missing=False),
    31002: TableElement("DRF16BIT", 16, missing=False),
    BYTE_COUNT: TableElement("BYTCNT", 16, missing=False),
    63255: TableElement("BITPAD", 1, missing=False),
}


@dataclass
class _Operators:
    """Changes of the elements that follow, by operators 2-01 to 2-08."""

    width: int = 0
    scale: int = 0
    factor: int = 0
    text: int = 0
    associated: list[int] = field(default_factory=list)
    local: int = 0

    def copy(self) -> "_Operators":
        return _Operators(
            self.width, self.scale, self.factor, self.text, [*self.associated], self.local
        )


@dataclass(frozen=True, eq=False)
class NcepTables:
    """Elements and sequences by number FXXYYY; a sequence is a mnemonic and its members."""

    elements: dict[int, TableElement] = field(default_factory=dict)
    sequences: dict[int, tuple[str, tuple[int, ...]]] = field(default_factory=dict)

    def with_message(self, message: BufrMessage) -> "NcepTables":
        """Return tables to which the entries of a message are added.

        Entries of a number that there was count from now on. TableError where it is damaged.
        """
        try:
            elements, sequences = _entries(message)
        except (ValueError, IndexError) as error:
            raise TableError(f"its tables cannot be read ({error})") from error
        return NcepTables(self.elements | elements, self.sequences | sequences)

    def report_of(self, descriptors: Sequence[int]) -> str:
        """Return the mnemonic of the report in a message by the descriptors of its section 3.

        Empty where there is none.
        """
        names = [self.sequences[code][0] for code in descriptors if code in self.sequences]
        return names[0] if names else ""

    def nodes_of(self, descriptors: Sequence[int]) -> Nodes:
        """Expand descriptors to elements and repeated parts.

        Parameters
        ----------
        descriptors : Sequence[int]
            Numbers FXXYYY.

        Returns
        -------
        tuple
            Elements and repeated parts in their order.

        Raises
        ------
        TableError
            When a number is not in the tables, or they lead into themselves.
        """
        return tuple(self._expand(list(descriptors), _Operators(), 0))

    def _expand(
        self, codes: list[int], operators: _Operators, depth: int
    ) -> Iterator[TableElement | Repeated]:
        """Yield the parts of some descriptors.

        Parameters
        ----------
        codes : list of int
            Descriptors of one sequence.
        operators : _Operators
            What acts on its elements; changed on the way.
        depth : int
            Number of sequences around.

        Yields
        ------
        TableElement | Repeated
            The parts.
        """
        if depth > _DEEPEST:
            raise TableError("sequences of its tables name each other without end")
        place = 0
        while place < len(codes):
            code = codes[place]
            kind = code // 100_000
            if code in _MARKERS:
                codes[place : place + 1] = [101_000, _MARKERS[code]]
                continue
            place += 1
            if kind == 1:
                repeated, count = code // 1000 % 100, code % 1000
                factor = 0
                if not count:
                    factor = self._element(codes[place], _Operators()).width
                    place += 1
                body = codes[place : place + repeated]
                if len(body) < repeated:
                    raise TableError("a replication reaches beyond its sequence")
                place += repeated
                nodes = tuple(self._expand(body, operators.copy(), depth + 1))
                if len(nodes) > _LARGEST:
                    raise TableError("a sequence of its tables has no end")
                yield Repeated(self._name(body[0]), count, factor, nodes)
            elif kind == 2:
                yield from _operate(code, operators)
            elif kind == 3:
                if code not in self.sequences:
                    raise TableError(f"sequence {_text(code)} is not in the file's tables")
                members = list(self.sequences[code][1])
                yield from self._expand(members, operators.copy(), depth + 1)
            else:
                for bits in operators.associated:
                    yield TableElement("", bits)
                yield self._element(code, operators)
                operators.local = 0

    def _name(self, code: int) -> str:
        if code in self.sequences:
            return self.sequences[code][0]
        return self.elements[code].mnemonic if code in self.elements else ""

    def _element(self, code: int, operators: _Operators) -> TableElement:
        """Return an element as operators change it; TableError where there is no such one."""
        element = self.elements.get(code) or _OF_ALL.get(code)
        if element is None:
            if operators.local:
                return TableElement("", operators.local)
            raise TableError(f"element {_text(code)} is not in the file's tables")
        width, scale, reference = element.width, element.scale, element.reference
        if element.is_text:
            width = operators.text or width
        elif not element.code and code // 1000 != 31:
            # 2-07-YYY: scale + YYY, reference x 10^YYY, and bits for as much
            more = (10 * operators.factor + 2) // 3 if operators.factor else 0
            width += operators.width + more
            scale += operators.scale + operators.factor
            reference *= 10**operators.factor
        width = operators.local or width
        if width <= 0 or (width > WIDEST and not element.is_text):
            raise TableError(f"{element.mnemonic} has {width} bits")
        return TableElement(
            element.mnemonic,
            width,
            scale,
            reference,
            element.is_text,
            element.code,
            element.missing,
        )


def _operate(code: int, operators: _Operators) -> Iterator[TableElement]:
    """Apply an operator to those in force; texts that it inserts are elements without a name."""
    number, value = code // 1000, code % 1000
    if number == 201:
        operators.width = value - 128 if value else 0
    elif number == 202:
        operators.scale = value - 128 if value else 0
    elif number == 204:
        if value:
            operators.associated.append(value)
        elif operators.associated:
            operators.associated.pop()
    elif number == 205:
        yield TableElement("", 8 * value, is_text=True)
    elif number == 206:
        operators.local = value
    elif number == 207:
        operators.factor = value
    elif number == 208:
        operators.text = 8 * value
    else:
        raise TableError(f"operator {_text(code)} is not known here")


def _text(code: int) -> str:
    return f"{code // 100_000}-{code // 1000 % 100:02d}-{code % 1000:03d}"


def section_four(data: bytes) -> tuple[int, int]:
    """Return the first octet of the data of a message, and that after their last.

    ValueError where its sections lead out of it.
    """
    first = data[8:]
    flags = first[9] if data[7] == 4 else first[7]
    place = 8 + int.from_bytes(data[8:11])
    for _ in range(2 if flags & 128 else 1):
        place += int.from_bytes(data[place : place + 3])
    end = place + int.from_bytes(data[place : place + 3])
    if not place + 4 <= end <= len(data) - 4:
        raise ValueError("section 4 ends outside the message")
    return place + 4, end


def _entries(message: BufrMessage) -> tuple[dict, dict]:
    """Read the entries of tables B and D; ValueError or IndexError where they are damaged."""
    start, end = section_four(message.data)
    data = message.data[start:end]
    elements, sequences = {}, {}
    place = 1 + data[0] * _ENTRY_A  # what table A says is in table D too
    count = data[place]
    place += 1
    for _ in range(count):
        entry = _cut(data, place, _ENTRY_B)
        place += _ENTRY_B
        code, element = _table_b_entry(entry)
        elements[code] = element
    count = data[place]
    place += 1
    for _ in range(count):
        entry = _cut(data, place, _ENTRY_D)
        place += _ENTRY_D
        members = data[place]
        place += 1
        listed = _cut(data, place, members * _MEMBER)
        place += members * _MEMBER
        codes = tuple(int(listed[i : i + _MEMBER]) for i in range(0, len(listed), _MEMBER))
        sequences[int(entry[:6])] = entry[6:14].strip(), codes
    return elements, sequences


def _cut(data: bytes, place: int, length: int) -> str:
    """Return a part of the data as text.

    Parameters
    ----------
    data : bytes
        The data.
    place : int
        First octet of the part.
    length : int
        Its octets.

    Returns
    -------
    str
        The text.

    Raises
    ------
    ValueError
        When the data end before.
    """
    part = data[place : place + length]
    if len(part) < length:
        raise ValueError("an entry ends outside the message")
    return part.decode("latin-1")


def _table_b_entry(entry: str) -> tuple[int, TableElement]:
    """Return number and element of an entry of 112 characters."""
    units = entry[70:94].strip().upper()
    scale = int(entry[94] + entry[95:98].strip())
    reference = int(entry[98] + entry[99:109].strip())
    text = "IA5" in units
    element = TableElement(
        entry[6:14].strip(),
        int(entry[109:112]),
        scale,
        reference,
        is_text=text,
        code=units.startswith(("CODE", "FLAG")),
        missing=int(entry[:6]) // 1000 != 31,
    )
    return int(entry[:6]), element
