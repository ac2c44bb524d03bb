"""Assemble states from the fields of a segment, and keep account of what could not be used.

A state is complete or it is missing: no state lacks single channels.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from fuxiflow.channels import Channel
from fuxiflow.grids import Grid
from fuxiflow.states.grib import Field, FieldEntry, GribReader
from fuxiflow.states.grib_messages import Fault, GribError
from fuxiflow.states.products import VERSIONS, describe_folder
from fuxiflow.states.regrid import regrid
from fuxiflow.storage import tables
from fuxiflow.times import STEP_HOURS, hours

STEP = hours(STEP_HOURS)
"""Span over which precipitation is accumulated."""
ROUNDING = 1e-2
"""Amount in mm by which packing and differencing may leave precipitation negative."""
SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("message", pa.int32()),
        ("time", pa.timestamp("ns")),
        ("channel", pa.string()),
        ("reason", pa.string()),
    ]
)


class Ledger:
    """Keeps account of the fields of a segment: ``read`` = ``used`` + ``rejected`` + ``ignored``.

    ``rows`` tell what went wrong: a row names the file and the message's number in it (0: none in
    particular), the valid time and channel as far as they are known. ``ignored`` counts by reason.
    ``versions`` names the version of the product that each time is of; ``original`` gives the file
    from which one was unpacked.
    """

    def __init__(self):
        self.rows: list[dict] = []
        self.read = self.used = self.rejected = 0
        self.ignored: Counter[str] = Counter()
        self.versions: dict[datetime, str] = {}
        self.original: Callable[[Path], Path] = Path

    def note(
        self,
        reason: str,
        file: Path | str = "",
        message: int = 0,
        time: datetime | None = None,
        channel: str = "",
    ) -> None:
        """Add a row.

        Parameters
        ----------
        reason : str
            What went wrong.
        file : Path or str
            The file, empty for none.
        message : int
            Number of the message in the file, 0 for none in particular.
        time : datetime, optional
            Valid time.
        channel : str
            Name of the channel, empty for none.
        """
        self.rows.append(
            {
                "file": str(self.original(file)) if file else "",
                "message": message,
                "time": time,
                "channel": channel,
                "reason": reason,
            }
        )

    def fault(self, fault: Fault) -> None:
        """Add a row for a damaged place of a file."""
        self.note(f"offset {fault.offset}: {fault.reason}", fault.path, fault.number)

    def ignore(self, reason: str, count: int = 1) -> None:
        """Count whole fields that are not wanted."""
        self.read += count
        self.ignored[reason] += count

    def spans_of_versions(self) -> list[dict[str, str | int]]:
        """List the times by the version of the product that they are of, span by span."""
        spans: list[dict[str, str | int]] = []
        for time, version in sorted(self.versions.items()):
            if not spans or spans[-1]["version"] != version:
                spans.append({"version": version, "first": time.isoformat(), "times": 0})
            spans[-1] |= {"last": time.isoformat(), "times": spans[-1]["times"] + 1}
        return spans

    def summary(self) -> str:
        """Return the counts in a line; raise ValueError when they do not add up."""
        if self.read != self.used + self.rejected + self.ignored.total():
            raise ValueError(
                f"ledger: {self.read} fields read, but {self.used} used, {self.rejected} rejected "
                f"and {self.ignored.total()} ignored"
            )
        reasons = "".join(
            f", {count} ignored ({reason})" for reason, count in self.ignored.most_common()
        )
        reasons += "".join(
            f", {times} times of {version}"
            for version, times in Counter(self.versions.values()).items()
            if version
        )
        counts = f"{self.read} fields read: {self.used} used, {self.rejected} rejected{reasons}"
        return f"{counts}; {len(self.rows)} ledger rows"

    def first_reasons(self, count: int = 3) -> str:
        """Return the first rows as text, those that name a file before others; empty without."""
        rows = sorted(self.rows, key=lambda row: not row["file"])
        return "; ".join(
            f"{row['file']} message {row['message']}: {row['reason']}"
            if row["file"]
            else f"{row['time']} {row['channel']}: {row['reason']}"
            for row in rows[:count]
        )

    def report(self, log: logging.Logger, outcome: str) -> None:
        """Log the first 20 rows, then ``outcome`` and the summary."""
        for row in self.rows[:20]:
            log.warning("%(file)s message %(message)s, %(time)s %(channel)s: %(reason)s", row)
        log.info("%s; %s", outcome, self.summary())

    def write(self, path: Path) -> None:
        """Write the rows as Parquet; the summary is in the schema's metadata."""
        rows = pa.Table.from_pylist(self.rows, schema=SCHEMA)
        tables.write_parquet(path, rows, metadata={"summary": self.summary()}, compression="snappy")


def rejection_reason(values: np.ndarray, channel: Channel) -> str | None:
    """Tell why a field is not credible, None if it is.

    ``values`` are in the state's unit, of any shape. Points that are missing and values out of the
    channel's range are not credible.
    """
    # NaN compares false: it has to be looked for before the range
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


def nothing_usable(directory: Path, paths: Sequence[Path], purpose: str, ledger: Ledger) -> str:
    """Say why a folder gives no state, what it holds, and what to do.

    Parameters
    ----------
    directory : Path
        The folder.
    paths : Sequence[Path]
        Its files.
    purpose : str
        The product and days that are wanted.
    ledger : Ledger
        What was made of the files.

    Returns
    -------
    str
        The text of an error.
    """
    reasons = [
        f"{reason} ({count} fields)" for reason, count in ledger.ignored.most_common(3) if count
    ]
    reasons += [
        f"{Path(row['file']).name} message {row['message']}: {row['reason']}"
        for row in ledger.rows
        if row["file"]
    ][:3]
    lacking = sorted({row["channel"] for row in ledger.rows if row["channel"]})
    why = "; ".join(reasons) or f"no field of {', '.join(lacking[:6])}"
    return (
        f"{directory}: no usable state of {purpose}. It holds {describe_folder(paths)}. Not used: "
        f"{why}. Put files of these days into the folder: global, on a regular grid, with all "
        f"channels"
    )


class Assembler:
    """Makes states of the fields of an inventory; whatever cannot be used goes to the ledger."""

    def __init__(self, reader: GribReader, grid: Grid, ledger: Ledger):
        """Take the reader, the grid and the ledger.

        Parameters
        ----------
        reader : GribReader
            Reads the fields; its channels are those of the states.
        grid : Grid
            Grid of the states.
        ledger : Ledger
            Counts what is read and takes the reasons of what is not used.
        """
        self.reader = reader
        self.grid = grid
        self.ledger = ledger
        ledger.original = reader.unpacked.original
        self._preferred = VERSIONS[reader.reference]
        self.channels = reader.channels

    def inventory(self, paths: Sequence[Path]) -> list[FieldEntry]:
        """List all fields of some files that are channels; the ledger counts all others."""
        entries = self.reader.inventory(paths, self.ledger.fault, self.ledger.ignore)
        self.ledger.read += len(entries)
        return entries

    def discard(self, entries: Iterable[FieldEntry], reason: str) -> None:
        """Count entries that are not used, with the reason."""
        for _ in entries:
            self.ledger.ignored[reason] += 1

    def _reject(self, entry: FieldEntry, reason: str) -> None:
        self.ledger.rejected += 1
        self.ledger.note(
            reason,
            entry.frame.path,
            entry.frame.number,
            entry.end,
            self.channels[entry.channel].name,
        )

    def _decode(self, entry: FieldEntry) -> Field | None:
        try:
            field = self.reader.read(entry)
        except GribError as error:
            path = entry.frame.path
            self._reject(entry, str(error).replace(str(path), str(self.ledger.original(path))))
            return None
        reason = rejection_reason(field.values, self.channels[entry.channel])
        if reason:
            self._reject(entry, reason)
            return None
        return field

    def _rank(self, version: str) -> int:
        """Return the place of a version in the order of preference; those unknown come last."""
        has_place = version in self._preferred
        return self._preferred.index(version) if has_place else len(self._preferred)

    def _note_versions(self, fields: Iterable[Field], time: datetime) -> None:
        """Record of which versions the fields of a state are."""
        by_version = defaultdict(list)
        for field in fields:
            by_version[field.entry.version].append(self.channels[field.entry.channel].name)
        versions = sorted(by_version, key=self._rank)
        self.ledger.versions[time] = " and ".join(filter(None, versions))
        for version in versions:
            if version and self._rank(version):
                names = by_version[version]
                which = "all channels" if len(versions) == 1 else ", ".join(names)
                reason = f"used {version}, as there is no {self._preferred[0]}: {which}"
                self.ledger.note(reason, time=time)

    def _unique(self, entries: list[FieldEntry]) -> Field | None:
        """Decode the one field that the entries of a channel and time agree on.

        None, and ledger rows, where they do not agree.
        """
        by_version = defaultdict(list)
        for entry in entries:
            by_version[entry.version].append(entry)
        fields: list[Field] = []
        for version in sorted(by_version, key=self._rank):
            if fields:
                reason = f"{version or 'unknown version'}, where {fields[0].entry.version} is"
                self.discard(by_version[version], reason)
                continue
            fields = [field for entry in by_version[version] if (field := self._decode(entry))]
        if not fields:
            return None
        first = fields[0]
        differing = [
            f
            for f in fields[1:]
            if f.grid != first.grid or not np.array_equal(f.values, first.values)
        ]
        if differing:
            reason = f"conflicting duplicates: {len(fields)} fields that are not the same"
            for field in fields:
                self._reject(field.entry, reason)
            return None
        self.ledger.used += 1
        self.discard((field.entry for field in fields[1:]), "identical duplicate")
        return first

    def _total(self, entries: list[FieldEntry], end: datetime) -> Field | None:
        """Return the 6-h precipitation up to ``end``: one field, or the sum of fields that tile it.

        None, and a ledger row, if there is neither.
        """
        spans = defaultdict(list)
        for entry in entries:
            spans[entry.start, entry.end].append(entry)
        whole = (end - STEP, end)
        summands = [whole] if whole in spans else sorted(spans)
        edges = [end - STEP, *(span[1] for span in summands)]
        if [span[0] for span in summands] != edges[:-1] or edges[-1] != end:
            text = ", ".join(f"{start:%d.%m. %H}-{stop:%H}" for start, stop in summands)
            self.ledger.note(
                f"accumulations do not make up the 6 h: {text}", entries[0].frame.path, 0, end, "TP"
            )
            self.discard(entries, "incomplete accumulation")
            return None
        for span in spans.keys() - set(summands):
            self.discard(spans[span], "accumulation inside a longer one")
        parts = [self._unique(spans[span]) for span in summands]
        if any(part is None or part.grid != parts[0].grid for part in parts):
            return None
        values = np.maximum(np.sum([part.values for part in parts], axis=0), 0.0)
        return Field(parts[0].entry, values, parts[0].grid)

    def state(
        self, entries: list[FieldEntry], time: datetime, precipitation: bool = True
    ) -> np.ndarray | None:
        """Assemble the state of one time.

        Parameters
        ----------
        entries : list of FieldEntry
            Fields that are valid at ``time``, and accumulations of the 6 h before it.
        time : datetime
            Valid time.
        precipitation : bool
            Precipitation must be there; without, it is NaN where it is not.

        Returns
        -------
        np.ndarray or None
            The state ``(channel, lat, lon)``; None, and ledger rows, when a channel is missing.
        """
        if not entries:
            self.ledger.note("no field at all", time=time)
            return None
        by_channel = defaultdict(list)
        for entry in entries:
            by_channel[entry.channel].append(entry)
        # a file may hold fields on several grids: each is regridded from its own
        by_grid = defaultdict(list)
        used_before = self.ledger.used
        used: list[Field] = []
        for index in sorted(by_channel):
            analysed = self.channels[index].analysed
            field = (
                self._unique(by_channel[index])
                if analysed
                else self._total(by_channel[index], time)
            )
            if field is not None:
                by_grid[field.grid].append((index, field.values))
                used.append(field)
        have = {index for fields in by_grid.values() for index, _ in fields}
        lacking = [
            channel.name
            for index, channel in enumerate(self.channels)
            if index not in have and (channel.analysed or precipitation)
        ]
        for name in lacking:
            self.ledger.note("no usable field", time=time, channel=name)
        if lacking:
            # the fields were used for nothing: they count as ignored after all
            self.ledger.ignored["state is incomplete"] += self.ledger.used - used_before
            self.ledger.used = used_before
            return None
        self._note_versions(used, time)
        state = np.full((len(self.channels), *self.grid.shape), np.nan, np.float32)
        for source, fields in by_grid.items():
            state[[index for index, _ in fields]] = regrid(
                np.stack([values for _, values in fields]), source, self.grid
            )
        return state
