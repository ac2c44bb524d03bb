"""From the GRIB files of a segment to states on the networks' grid: assembled, checked, regridded."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from fuxiflow.channels import Channel
from fuxiflow.grids import Grid
from fuxiflow.states.framing import GribError
from fuxiflow.states.grib import Entry, Field, GribReader
from fuxiflow.states.ledger import Ledger
from fuxiflow.states.regrid import regrid
from fuxiflow.times import STEP_HOURS, hours

STEP = hours(STEP_HOURS)
NOT_GRIB = {".json", ".idx", ".txt", ".md", ".sha256"}
ROUNDING = 1e-2  # mm: packing and differencing leave precipitation slightly negative
_LEAD = re.compile(r"\.f(\d{3})$")


def grib_files(directory: Path, analyses_only: bool = False) -> list[Path]:
    """The GRIB files under a directory, sorted; with ``analyses_only`` without those named as forecasts (``.f006``).

    Raises FileNotFoundError when there is none.
    """
    found = sorted(
        path
        for path in Path(directory).rglob("*")
        if path.is_file() and path.suffix not in NOT_GRIB and not path.name.startswith(".")
    )
    if analyses_only:
        found = [
            path for path in found if not (match := _LEAD.search(path.name)) or int(match[1]) == 0
        ]
    if not found:
        raise FileNotFoundError(f"{directory}: no GRIB file")
    return found


def complaint(values: np.ndarray, channel: Channel) -> str | None:
    """Why a field in the state's unit is not credible (missing points, values out of range), None if it is."""
    missing = int(np.isnan(values).sum())
    if missing:
        return f"{missing} of {values.size} values are missing"
    low, high = float(values.min()), float(values.max())
    floor = channel.valid_min if channel.analysed else -ROUNDING
    if low < floor or high > channel.valid_max:
        return (
            f"values {low:g} .. {high:g} {channel.unit} outside the valid range "
            f"{channel.valid_min:g} .. {channel.valid_max:g}"
        )
    return None


class Assembler:
    """Makes states of the fields of an inventory; whatever cannot be used goes to the ledger."""

    def __init__(self, reader: GribReader, grid: Grid, ledger: Ledger):
        self.reader, self.grid, self.ledger = reader, grid, ledger
        self.channels = reader.channels

    def inventory(self, paths: Sequence[Path]) -> list[Entry]:
        """All fields of some files that are channels; faults and what is not wanted go to the ledger."""
        entries = self.reader.inventory(paths, self.ledger.fault, self.ledger.ignore)
        self.ledger.read += len(entries)
        return entries

    def discard(self, entries: Iterable[Entry], reason: str) -> None:
        """Count entries that are not wanted."""
        for _ in entries:
            self.ledger.ignored[reason] += 1

    def _reject(self, entry: Entry, reason: str) -> None:
        self.ledger.rejected += 1
        self.ledger.note(
            reason,
            entry.frame.path,
            entry.frame.number,
            entry.end,
            self.channels[entry.channel].name,
        )

    def _decode(self, entry: Entry) -> Field | None:
        try:
            field = self.reader.read(entry)
        except GribError as error:
            self._reject(entry, str(error))
            return None
        reason = complaint(field.values, self.channels[entry.channel])
        if reason:
            self._reject(entry, reason)
            return None
        return field

    def _unique(self, entries: list[Entry]) -> Field | None:
        """The one field that the entries of a channel and time agree on; None, and ledger rows, where they do not."""
        fields = [field for entry in entries if (field := self._decode(entry))]
        if not fields:
            return None
        first = fields[0]
        differing = [
            f
            for f in fields[1:]
            if f.grid != first.grid or not np.array_equal(f.values, first.values)
        ]
        if differing:
            for field in fields:
                self._reject(
                    field.entry,
                    f"conflicting duplicates: {len(fields)} fields that are not the same",
                )
            return None
        self.ledger.used += 1
        self.discard((field.entry for field in fields[1:]), "identical duplicate")
        return first

    def _total(self, entries: list[Entry], end: datetime) -> Field | None:
        """6-h precipitation up to ``end``: one 6-h field or fields that tile it; None, and a row, if none do."""
        spans = defaultdict(list)
        for entry in entries:
            spans[entry.start, entry.end].append(entry)
        whole = (end - STEP, end)
        chosen = [whole] if whole in spans else sorted(spans)
        edges = [end - STEP, *(span[1] for span in chosen)]
        if [span[0] for span in chosen] != edges[:-1] or edges[-1] != end:
            text = ", ".join(f"{start:%d.%m. %H}-{stop:%H}" for start, stop in chosen)
            self.ledger.note(
                f"accumulations do not make up the 6 h: {text}", entries[0].frame.path, 0, end, "TP"
            )
            self.discard(entries, "incomplete accumulation")
            return None
        for span in spans.keys() - set(chosen):
            self.discard(spans[span], "accumulation inside a longer one")
        parts = [self._unique(spans[span]) for span in chosen]
        if any(part is None or part.grid != parts[0].grid for part in parts):
            return None
        values = np.maximum(np.sum([part.values for part in parts], axis=0), 0.0)
        return Field(parts[0].entry, values, parts[0].grid)

    def state(
        self, entries: list[Entry], time: datetime, precipitation: bool = True
    ) -> np.ndarray | None:
        """The state ``(channel, lat, lon)`` of the entries that are valid at ``time`` (or add up to it).

        None, and ledger rows, when a channel is missing; without ``precipitation`` that one is NaN then.
        """
        if not entries:
            self.ledger.note("no field at all", time=time)
            return None
        by_channel = defaultdict(list)
        for entry in entries:
            by_channel[entry.channel].append(entry)
        by_grid, used = defaultdict(list), self.ledger.used
        for index in sorted(by_channel):
            analysed = self.channels[index].analysed
            field = (
                self._unique(by_channel[index])
                if analysed
                else self._total(by_channel[index], time)
            )
            if field is not None:
                by_grid[field.grid].append((index, field.values))
        have = {index for fields in by_grid.values() for index, _ in fields}
        lacking = [
            channel.name
            for index, channel in enumerate(self.channels)
            if index not in have and (channel.analysed or precipitation)
        ]
        for name in lacking:
            self.ledger.note("no usable field", time=time, channel=name)
        if lacking:
            self.ledger.ignored["state is incomplete"] += self.ledger.used - used
            self.ledger.used = used
            return None
        state = np.full((len(self.channels), *self.grid.shape), np.nan, np.float32)
        for source, fields in by_grid.items():
            state[[index for index, _ in fields]] = regrid(
                np.stack([values for _, values in fields]), source, self.grid
            )
        return state


def accumulation_end(entry: Entry) -> datetime | None:
    """The end of the 6-h span (00, 06, 12 or 18 UTC) that an accumulation lies in; None when it crosses one."""
    since = entry.end - datetime(1970, 1, 1)
    end = entry.end + (-since % STEP)
    return end if entry.start >= end - STEP else None


def group(
    assembler: Assembler, entries: Iterable[Entry], wanted: Iterable[Hashable], key
) -> dict[Hashable, list[Entry]]:
    """Entries by ``key(entry, end)``, ``end`` being valid time or end of the 6-h span; others are ignored."""
    groups: dict[Hashable, list[Entry]] = {name: [] for name in wanted}
    for entry in entries:
        end = entry.end if assembler.channels[entry.channel].analysed else accumulation_end(entry)
        name = None if end is None else key(entry, end)
        if name in groups:
            groups[name].append(entry)
        else:
            assembler.discard([entry], "not of the times wanted")
    return groups


def analyses(
    assembler: Assembler,
    paths: Sequence[Path],
    times: Sequence[datetime],
    precipitation: bool = True,
) -> Iterator[np.ndarray | None]:
    """Yield the state ``(channel, lat, lon)`` of each of ``times``, None where it is missing; the ledger says why.

    Instantaneous fields must be analyses (lead 0); accumulations may come from short forecasts, and without
    ``precipitation`` need not be there.
    """

    def key(entry: Entry, end: datetime) -> datetime | None:
        instantaneous = assembler.channels[entry.channel].analysed
        return end if not instantaneous or entry.init == entry.end else None

    groups = group(assembler, assembler.inventory(paths), times, key)
    for time in times:
        yield assembler.state(groups.pop(time), time, precipitation)


def forecasts(
    assembler: Assembler,
    paths: Sequence[Path],
    init_hours: Sequence[int],
    first: datetime,
    last: datetime,
    lead_hours: Sequence[int],
) -> tuple[list[datetime], Iterator[tuple[int, int, np.ndarray | None]]]:
    """Initial times in [first, last] with forecasts, and ``(init, lead, state)`` by position, lazily.

    An initial time counts when its hour is one of ``init_hours`` and some field of a lead above 0 is there; missing
    leads are None. At lead 0 precipitation is NaN.
    """
    entries = assembler.inventory(paths)
    inits = sorted(
        {
            e.init
            for e in entries
            if e.end > e.init and first <= e.init <= last and e.init.hour in init_hours
        }
    )
    wanted = [(init, init + hours(lead)) for init in inits for lead in lead_hours]
    groups = group(assembler, entries, wanted, lambda entry, end: (entry.init, end))

    def states() -> Iterator[tuple[int, int, np.ndarray | None]]:
        for i, init in enumerate(inits):
            for j, lead in enumerate(lead_hours):
                valid = init + hours(lead)
                yield (
                    i,
                    j,
                    assembler.state(groups.pop((init, valid)), valid, precipitation=lead > 0),
                )

    return inits, states()
