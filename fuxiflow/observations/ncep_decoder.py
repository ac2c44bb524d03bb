"""Decode messages of NCEP's BUFR: all subsets of messages of one kind at once.

A number is read for every subset, then the next number. What is repeated is read repetition by
repetition, or at once where all repetitions are equally long. Damaged counts lead nowhere beyond
the message that they are in.
"""

from dataclasses import dataclass, field

import numpy as np

from fuxiflow.observations.bufr_messages import BufrMessage
from fuxiflow.observations.ncep_kernels import read_integers, read_numbers
from fuxiflow.observations.ncep_tables import WIDEST, Nodes, Repeated, TableElement, size_of

_NONE = np.zeros(0, np.int64)
_TAIL = 16  # octets behind the data, so that no number is read beyond the end
_INCREMENT = 6  # bits that give the width of a compressed element's increments


@dataclass
class Instances:
    """Contents of a part of all reports: of the report itself, or of a repeated sequence.

    Attributes
    ----------
    name : str
        Mnemonic of the sequence.
    of : np.ndarray
        ``(n,)``: number of the instance of the part around it, ascending; of a report, of its
        message.
    number : np.ndarray
        ``(n,)``: the repetition, from 0; of a report, the subset of its message.
    values : dict
        By mnemonic the elements ``(n,)`` of that name in their order: numbers with NaN where
        missing, or texts.
    parts : list
        Repeated sequences within.
    """

    name: str
    of: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    number: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    values: dict[str, list[np.ndarray]] = field(default_factory=dict)
    parts: list["Instances"] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.of)

    def part(self, name: str) -> "Instances | None":
        """Return the first part of a name, of this one or of those within; None without any."""
        for part in self.parts:
            if match := part if part.name == name else part.part(name):
                return match
        return None

    def holder(self, mnemonic: str) -> tuple["Instances", np.ndarray] | None:
        """Return the part that has an element itself, and what its instances ``(m,)`` are of here.

        None where there is no such element.
        """
        if mnemonic in self.values:
            return self, np.arange(len(self))
        for part in self.parts:
            if pair := part.holder(mnemonic):
                inner, of = pair
                return inner, part.of[of]
        return None

    def has(self, mnemonic: str) -> bool:
        """Say whether there is an element of a name here or within."""
        return mnemonic in self.values or any(part.has(mnemonic) for part in self.parts)

    def first(self, mnemonic: str) -> np.ndarray:
        """Return an element ``(n,)`` by its mnemonic: the first, of first repetitions.

        The report's or sequence's own counts before those of parts. Numbers are NaN where there is
        none; texts are empty.
        """
        if mnemonic in self.values:
            return self.values[mnemonic][0]
        for part in self.parts:
            if part.has(mnemonic):
                inner = part.first(mnemonic)
                outer = np.full(len(self), np.nan if inner.dtype.kind == "f" else "", inner.dtype)
                initial = part.number == 0
                outer[part.of[initial]] = inner[initial]
                return outer
        return np.full(len(self), np.nan)


class _Bits:
    """Octets that are read as numbers of any width at any bit."""

    def __init__(self, data: bytes):
        self._last = len(data)
        self._octets = np.frombuffer(data + bytes(_TAIL), np.uint8)
        # eight octets from each octet on
        self._words = np.ndarray((len(data) + 1,), ">u8", self._octets, strides=(1,))

    def read(self, place: np.ndarray, width: int) -> np.ndarray:
        """Read unsigned integers ``(n,)`` of up to 56 bits at places ``(n,)``."""
        integers = np.empty(len(place), np.int64)
        read_integers(self._octets, self._last, place, 0, width, integers)
        return integers

    def read_widths(self, place: np.ndarray, width: np.ndarray) -> np.ndarray:
        """Read unsigned integers of widths ``(n,)`` at places ``(n,)``; 0 of no width."""
        words = self._words[np.minimum(place >> 3, self._last)].astype(np.uint64)
        left = words << (place & 7).astype(np.uint64)
        right = left >> (64 - np.maximum(width, 1)).astype(np.uint64)
        return np.where(width > 0, right.astype(np.int64), 0)

    def numbers(self, element: TableElement, place: np.ndarray, offset: int) -> np.ndarray:
        """Read the numbers of an element.

        Parameters
        ----------
        element : TableElement
            The element.
        place : np.ndarray
            Bits ``(n,)``.
        offset : int
            Bits that are added to all places.

        Returns
        -------
        np.ndarray
            Numbers ``(n,)``, NaN where missing.
        """
        values = np.empty(len(place))
        read_numbers(
            self._octets,
            self._last,
            place,
            offset,
            element.width,
            element.reference,
            10.0 ** max(element.scale, 0),
            10.0 ** max(-element.scale, 0),
            (1 << element.width) - 1 if element.missing else -1,
            values,
        )
        return values

    def texts(self, place: np.ndarray, octets: int) -> np.ndarray:
        """Read texts ``(n,)`` of some octets at places ``(n,)``, without what pads them."""
        places = place[:, None] + 8 * np.arange(octets)
        letters = self.read(places.ravel(), 8).astype(np.uint8).reshape(places.shape)
        letters = np.where((letters < 32) | (letters > 126), ord(" "), letters).astype(np.uint8)
        packed = np.ascontiguousarray(letters).view(f"S{octets}")[:, 0]
        return np.char.strip(packed.astype(f"U{octets}"))


class _Part:
    """Gathers the instances of a part of a report, piece by piece."""

    def __init__(self, name: str):
        self.name = name
        self.count = 0
        self.of: list[np.ndarray] = []
        self.number: list[np.ndarray] = []
        self.values: dict[int, tuple[str, list[np.ndarray]]] = {}
        self.parts: dict[int, _Part] = {}

    def open(self, of: np.ndarray, number: np.ndarray) -> np.ndarray:
        """Begin a piece of instances, each with what it is of; return their numbers ``(n,)``."""
        self.of.append(of)
        self.number.append(number)
        self.count += len(of)
        return np.arange(self.count - len(of), self.count)

    def put(self, index: int, mnemonic: str, values: np.ndarray) -> None:
        """Add the values of an element to the piece.

        Parameters
        ----------
        index : int
            Place of the element in its part.
        mnemonic : str
            Its name.
        values : np.ndarray
            Values ``(n,)``.
        """
        self.values.setdefault(index, (mnemonic, []))[1].append(values)

    def part(self, index: int, name: str) -> "_Part":
        """Return the part within at a place."""
        return self.parts.setdefault(index, _Part(name))

    def joined(self, renumbered: np.ndarray | None = None) -> Instances:
        """Return all pieces as one, in order; parts that hold nothing are left out.

        ``renumbered`` gives the new numbers of the instances around, where they have changed.
        """
        of, number = _one(self.of), _one(self.number)
        of = of if renumbered is None else renumbered[of]
        order = new_numbers = None
        if (of[1:] < of[:-1]).any():
            order = np.argsort(of, kind="stable")
            new_numbers = np.empty_like(order)
            new_numbers[order] = np.arange(len(order))
            of, number = of[order], number[order]
        values: dict[str, list[np.ndarray]] = {}
        for index in sorted(self.values):
            mnemonic, pieces = self.values[index]
            column = _one(pieces)
            values.setdefault(mnemonic, []).append(column if order is None else column[order])
        parts = [self.parts[index].joined(new_numbers) for index in sorted(self.parts)]
        full = [part for part in parts if part.values or part.parts]
        return Instances(self.name, of, number, values, full)


def _one(pieces: list[np.ndarray]) -> np.ndarray:
    """Join pieces of integers or values, of which there may be none."""
    return pieces[0] if len(pieces) == 1 else np.concatenate([*pieces] or [_NONE])


def _numbered(counts: np.ndarray) -> np.ndarray:
    """Number the members of groups of some sizes from 0, one group after the other."""
    if len(counts) and (counts == counts[0]).all():
        return np.tile(np.arange(counts[0]), len(counts))
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


class SubsetDecoder:
    """Decodes messages of one kind. ``bad (message,)`` says which turn out to be damaged."""

    def __init__(
        self, messages: list[BufrMessage], spans: list[tuple[int, int]], elements: frozenset[str]
    ):
        """Take messages.

        Parameters
        ----------
        messages : list of BufrMessage
            The messages.
        spans : list of tuple
            First octet and that after the last of their data.
        elements : frozenset of str
            Mnemonics of elements.
        """
        parts = [
            message.data[first:end] for message, (first, end) in zip(messages, spans, strict=True)
        ]
        lengths = np.array([len(part) for part in parts], np.int64)
        self._bits = _Bits(b"".join(parts))
        self._ends = 8 * np.cumsum(lengths)
        self._starts = self._ends - 8 * lengths
        self._subsets = np.array([message.subsets for message in messages], np.int64)
        self._elements = elements
        self.bad = np.zeros(len(messages), bool)

    def _holds(self, node: TableElement | Repeated) -> bool:
        """Say whether a node is, or holds, an element that is wanted."""
        if isinstance(node, TableElement):
            return node.mnemonic in self._elements
        return any(self._holds(inner) for inner in node.body)

    def counted(self, name: str, nodes: Nodes) -> Instances:
        """Decode subsets that begin with their length, and end with the number of padding bits."""
        message = np.repeat(np.arange(len(self._subsets)), self._subsets)
        number = _numbered(self._subsets)
        first = np.cumsum(self._subsets) - self._subsets
        begin, end = np.zeros((2, len(message)), np.int64)
        place = self._starts.copy()
        for subset in range(self._subsets.max(initial=0)):
            active = np.flatnonzero(self._subsets > subset)
            length = 8 * self._bits.read(place[active], 16)
            begin[first[active] + subset] = place[active] + 16
            place[active] = np.minimum(place[active] + length, self._ends[active] + 1)
            end[first[active] + subset] = place[active]
        # the length of a subset alone may be more than its two octets can say
        alone = self._subsets[message] == 1
        end[alone] = self._ends[message[alone]]
        self.bad[message[end > self._ends[message]]] = True
        part = _Part(name)
        ids = part.open(message, number)
        behind = self._plain(nodes, begin, message, part, ids)
        behind = behind + 8 + self._bits.read(behind, 8)
        self.bad[message[np.where(alone, behind > end, behind != end)]] = True
        return part.joined()

    def chained(self, name: str, nodes: Nodes) -> Instances:
        """Decode subsets that follow each other bit by bit."""
        part = _Part(name)
        place = self._starts.copy()
        size = size_of(nodes)
        if size is not None:
            message = np.repeat(np.arange(len(self._subsets)), self._subsets)
            number = _numbered(self._subsets)
            ids = part.open(message, number)
            self._plain(nodes, place[message] + size * number, message, part, ids)
            place = place + size * self._subsets
        else:
            for subset in range(self._subsets.max(initial=0)):
                active = np.flatnonzero(self._subsets > subset)
                ids = part.open(active, np.full(len(active), subset))
                place[active] = self._plain(nodes, place[active], active, part, ids)
        self.bad |= place > self._ends
        return part.joined()

    def _plain(
        self, nodes: Nodes, place: np.ndarray, message: np.ndarray, part: _Part, ids: np.ndarray
    ) -> np.ndarray:
        """Decode a part of reports whose subsets stand one after the other.

        Parameters
        ----------
        nodes : tuple
            What the part consists of.
        place : np.ndarray
            Bits ``(n,)`` where its instances begin.
        message : np.ndarray
            Their messages ``(n,)``.
        part : _Part
            Takes their values.
        ids : np.ndarray
            Numbers ``(n,)`` of the instances in it.

        Returns
        -------
        np.ndarray
            Bits ``(n,)`` where they end.
        """
        offset = 0
        for index, node in enumerate(nodes):
            if isinstance(node, TableElement):
                if node.mnemonic in self._elements:
                    part.put(index, node.mnemonic, self._values(node, place, offset))
                offset += node.width
                continue
            if node.count and node.size is not None and not self._holds(node):
                offset += node.count * node.size
                continue
            place = place + offset
            offset = 0
            counts = np.full(len(place), node.count, np.int64)
            if not node.count:
                counts = self._bits.read(place, node.factor)
                place = place + node.factor
            counts = self._possible(counts, node.smallest, place, message)
            place = self._repetitions(
                node, counts, place, message, part.part(index, node.name), ids
            )
        return place + offset

    def _possible(
        self, counts: np.ndarray, bits: int, place: np.ndarray, message: np.ndarray
    ) -> np.ndarray:
        """Return counts ``(n,)`` of repetitions, 0 where more than there is room for.

        Parameters
        ----------
        counts : np.ndarray
            Counts ``(n,)``.
        bits : int
            The fewest bits of a repetition.
        place : np.ndarray
            Bits ``(n,)`` where they begin.
        message : np.ndarray
            Their messages ``(n,)``, which are damaged where there is no room.

        Returns
        -------
        np.ndarray
            The counts ``(n,)``.
        """
        beyond = counts * max(bits, 1) > self._ends[message] - place
        if beyond.any():
            self.bad[message[beyond]] = True
            return np.where(beyond, 0, counts)
        return counts

    def _repetitions(
        self,
        node: Repeated,
        counts: np.ndarray,
        place: np.ndarray,
        message: np.ndarray,
        part: _Part,
        ids: np.ndarray,
    ) -> np.ndarray:
        """Decode what is repeated.

        Parameters
        ----------
        node : Repeated
            The part.
        counts : np.ndarray
            Repetitions ``(n,)``.
        place, message : np.ndarray
            Bits where they begin, and their messages ``(n,)``.
        part : _Part
            Takes their values.
        ids : np.ndarray
            Numbers ``(n,)`` of the instances around.

        Returns
        -------
        np.ndarray
            Bits ``(n,)`` where they end.
        """
        if node.size is not None:
            if self._holds(node):
                number = _numbered(counts)
                inner = part.open(np.repeat(ids, counts), number)
                begin = np.repeat(place, counts) + number * node.size
                self._plain(node.body, begin, np.repeat(message, counts), part, inner)
            return place + counts * node.size
        place = place.copy()
        for number in range(counts.max(initial=0)):
            active = np.flatnonzero(counts > number)
            inner = part.open(ids[active], np.full(len(active), number))
            place[active] = self._plain(node.body, place[active], message[active], part, inner)
        return place

    def _values(self, element: TableElement, place: np.ndarray, offset: int) -> np.ndarray:
        """Read the numbers or texts of an element.

        Parameters
        ----------
        element : TableElement
            The element.
        place : np.ndarray
            Bits ``(n,)``.
        offset : int
            Bits that are added to all places.

        Returns
        -------
        np.ndarray
            Values ``(n,)``.
        """
        if element.is_text:
            return self._bits.texts(place + offset, element.width // 8)
        return self._bits.numbers(element, place, offset)

    def compressed(self, name: str, nodes: Nodes) -> Instances:
        """Decode messages that give each element of all subsets together."""
        message = np.arange(len(self._subsets))
        part = _Part(name)
        ids = part.open(np.repeat(message, self._subsets), _numbered(self._subsets))
        self.bad |= self._together(nodes, self._starts, message, part, ids) > self._ends
        return part.joined()

    def _together(
        self, nodes: Nodes, place: np.ndarray, message: np.ndarray, part: _Part, ids: np.ndarray
    ) -> np.ndarray:
        """Decode a part of reports whose subsets stand together.

        Parameters
        ----------
        nodes : tuple
            What the part consists of.
        place : np.ndarray
            Bits ``(m,)`` where it begins, once for all subsets of a message.
        message : np.ndarray
            The messages ``(m,)``.
        part : _Part
            Takes the values.
        ids : np.ndarray
            Numbers ``(n,)`` of the instances in it, those of all subsets of each message.

        Returns
        -------
        np.ndarray
            Bits ``(m,)`` where it ends.
        """
        many = self._subsets[message]
        rows, number = np.repeat(np.arange(len(message)), many), _numbered(many)
        for index, node in enumerate(nodes):
            if isinstance(node, TableElement):
                steps = self._bits.read(place + node.width, _INCREMENT)
                if node.mnemonic in self._elements:
                    values = self._incremented(node, place, steps, rows, number)
                    part.put(index, node.mnemonic, values)
                steps = steps * 8 if node.is_text else steps
                place = place + node.width + _INCREMENT + steps * many
                self.bad[message[place > self._ends[message]]] = True
                continue
            counts = np.full(len(place), node.count, np.int64)
            if not node.count:
                counts = self._bits.read(place, node.factor)
                place = place + node.factor + _INCREMENT
            counts = self._possible(counts, node.smallest, place, message)
            place = place.copy()
            inside = part.part(index, node.name)
            for repetition in range(counts.max(initial=0)):
                active = counts > repetition
                inner = ids[active[rows]]
                inner = inside.open(inner, np.full(len(inner), repetition))
                place[active] = self._together(
                    node.body, place[active], message[active], inside, inner
                )
        return place

    def _incremented(
        self,
        element: TableElement,
        place: np.ndarray,
        steps: np.ndarray,
        rows: np.ndarray,
        number: np.ndarray,
    ) -> np.ndarray:
        """Read an element of all subsets.

        Parameters
        ----------
        element : TableElement
            The element.
        place : np.ndarray
            Bits ``(m,)`` of its least value, after which come the width and the increments.
        steps : np.ndarray
            Widths ``(m,)`` of the increments, in bits, or octets of texts.
        rows, number : np.ndarray
            Row of ``place`` and subset ``(n,)`` of the values.

        Returns
        -------
        np.ndarray
            The values ``(n,)``.
        """
        width = steps[rows]
        first = place[rows] + element.width + _INCREMENT
        if element.is_text:
            octets = element.width // 8
            at = np.where(width > 0, first + 8 * number * width, place[rows])
            texts = self._bits.texts(at, octets)
            for shorter in np.unique(width[(width > 0) & (width < octets)]):
                short = width == shorter
                texts[short] = self._bits.texts(at[short], int(shorter))
            return texts
        least = self._bits.read(place, element.width)[rows]
        increment = self._bits.read_widths(first + number * width, np.minimum(width, WIDEST))
        lost = (width > 0) & (increment == (1 << np.minimum(width, WIDEST)) - 1)
        lost |= least == (1 << element.width) - 1
        return _numbers(element, np.where(lost, (1 << element.width) - 1, least + increment))


def _numbers(element: TableElement, integers: np.ndarray) -> np.ndarray:
    """Turn the integers ``(n,)`` of an element into numbers, NaN where missing."""
    values = (integers + element.reference) / 10.0**element.scale
    if element.scale < 0:
        values = (integers + element.reference) * 10.0**-element.scale
    if element.missing:
        values[integers == (1 << element.width) - 1] = np.nan
    return values.astype(float, copy=False)
