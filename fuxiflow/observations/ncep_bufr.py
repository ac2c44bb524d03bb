"""Decode NCEP's BUFR files by the tables in them: dumps (``*.bufr_d``) and PrepBUFR.

Each message is decoded by the tables that stand before it; a file may change them on the way.
Values are found by the mnemonics of elements and sequences.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fuxiflow.observations.bufr_messages import BufrMessage, read_messages
from fuxiflow.observations.ncep_decoder import Instances, SubsetDecoder
from fuxiflow.observations.ncep_tables import (
    BYTE_COUNT,
    TABLES,
    NcepTables,
    TableError,
    section_four,
)

BATCH = 16 << 20
"""Octets of messages that are decoded at once."""
_PADDING = (102000, 31001, 206001, 63255)  # descriptors of what pads a subset to whole octets


class RefusedMessage(NamedTuple):
    """A message that is not decoded, and why."""

    message: BufrMessage
    why: str


class NcepReports(NamedTuple):
    """The reports of some messages of one kind, each subset one: ``reports.of`` is the message."""

    kind: str
    messages: list[BufrMessage]
    reports: Instances


def _holds_tables(message: BufrMessage) -> bool:
    """Say whether a message holds tables; of a damaged one too, by its header."""
    return message.header is not None and message.header.category == TABLES


class _Kind(NamedTuple):
    """Properties that messages which are decoded together have in common."""

    tables: NcepTables
    descriptors: tuple[int, ...]
    compressed: bool


def read_ncep_reports(
    path: Path, mnemonics: Iterable[str], kinds: Collection[str] = (), together: bool = False
) -> Iterator[NcepReports | RefusedMessage]:
    """Decode elements of a file's reports.

    Parameters
    ----------
    path : Path
        The file.
    mnemonics : iterable of str
        Mnemonics of the elements that are wanted; others are passed over.
    kinds : collection of str
        Mnemonics of the reports that are wanted; others are passed over. By default all are.
    together : bool
        Whether all reports of a kind and table are decoded at once, as some belong together.

    Yields
    ------
    NcepReports | RefusedMessage
        Reports of one kind, in about the order of the file, and messages that cannot be decoded.

    Raises
    ------
    OSError
        When the file cannot be read.
    """
    elements = frozenset(mnemonics)
    tables, lacking = NcepTables(), "no tables stand before it in the file"
    batches: dict[_Kind, list[BufrMessage]] = {}
    sizes: Counter[_Kind] = Counter()
    for message in read_messages(path):
        header = message.header
        if _holds_tables(message) and (message.damage or not message.hollow):
            try:
                if message.damage:
                    raise TableError(f"tables: {message.damage}")
                tables, lacking = tables.with_message(message), ""
            except TableError as error:
                # what they would have redefined must not be decoded by those of before
                tables, lacking = NcepTables(), "the tables before it are damaged"
                yield RefusedMessage(message, str(error))
        elif message.damage or header is None:
            yield RefusedMessage(message, message.damage or "sections 1 and 3 cannot be decoded")
        elif lacking and not message.hollow:
            yield RefusedMessage(message, lacking)
        elif not message.hollow:
            if kinds and tables.report_of(header.descriptors) not in ("", *kinds):
                continue
            kind = _Kind(tables, header.descriptors, header.compressed)
            batches.setdefault(kind, []).append(message)
            sizes[kind] += len(message.data)
            if sizes[kind] > BATCH and not together:
                del sizes[kind]
                yield from _decode(kind, batches.pop(kind), elements)
    for kind, messages in batches.items():
        yield from _decode(kind, messages, elements)


def _decode(
    kind: _Kind, messages: list[BufrMessage], elements: frozenset[str]
) -> Iterator[NcepReports | RefusedMessage]:
    """Decode messages of one kind.

    Parameters
    ----------
    kind : _Kind
        Their tables and descriptors.
    messages : list of BufrMessage
        The messages.
    elements : frozenset of str
        Mnemonics of elements.

    Yields
    ------
    NcepReports | RefusedMessage
        Their reports, and those that are damaged.
    """
    codes = kind.descriptors
    counted = codes[:1] == (BYTE_COUNT,)
    if counted:
        codes = codes[1:]
        codes = codes[: -len(_PADDING)] if codes[-len(_PADDING) :] == _PADDING else codes
    name = kind.tables.report_of(codes)
    try:
        nodes = kind.tables.nodes_of(codes)
    except (TableError, IndexError) as error:
        yield from (RefusedMessage(message, f"{name or 'report'}: {error}") for message in messages)
        return
    whole, spans = [], []
    for message in messages:
        try:
            spans.append(section_four(message.data))
            whole.append(message)
        except ValueError as error:
            yield RefusedMessage(message, str(error))
    while whole:
        decoder = SubsetDecoder(whole, spans, elements)
        if kind.compressed:
            reports = decoder.compressed(name, nodes)
        else:
            reports = decoder.counted(name, nodes) if counted else decoder.chained(name, nodes)
        if not decoder.bad.any():
            yield NcepReports(name, whole, reports)
            return
        for number in np.flatnonzero(decoder.bad):
            why = f"{name}: its subsets are not as long as its tables and counts say"
            yield RefusedMessage(whole[number], why)
        whole, spans = (
            [entry for entry, bad in zip(entries, decoder.bad, strict=True) if not bad]
            for entries in (whole, spans)
        )
