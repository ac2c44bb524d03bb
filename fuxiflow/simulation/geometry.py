"""Places and times of simulated observations: those of real ones from other days, or of orbits."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from fuxiflow.config.sources import Source
from fuxiflow.observations import footprint_table

DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class FootprintGeometry:
    """Places, times and angles of footprints of one platform, without values.

    Attributes
    ----------
    platform : str
        Name of the platform.
    time : np.ndarray
        UTC, datetime64[ns], ``(n,)``.
    lat, lon : np.ndarray
        In degrees, ``(n,)``.
    zenith, azimuth : np.ndarray
        Angles of the sensor in degrees, ``(n,)``.
    scan_position : np.ndarray
        Position in the scan, from 1, ``(n,)``; 0 for none.
    missing : np.ndarray
        Whether a real footprint lacks the value, ``(n, channel)``.
    """

    platform: str
    time: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    zenith: np.ndarray
    azimuth: np.ndarray
    scan_position: np.ndarray
    missing: np.ndarray

    def __len__(self) -> int:
        return len(self.time)

    def rows(self, index: np.ndarray) -> "FootprintGeometry":
        """Return some of the footprints, by index or mask."""
        arrays = {name: value[index] for name, value in vars(self).items() if name != "platform"}
        return FootprintGeometry(self.platform, **arrays)


class Template:
    """Real footprints of a period, which simulated ones are placed like."""

    def __init__(self, tables: Sequence[Path], start: date, end: date):
        """Open the tables of a template.

        Parameters
        ----------
        tables : Sequence[Path]
            Footprint tables, named by their segment.
        start, end : date
            First and last day of the template.
        """
        self.tables = sorted(map(Path, tables), key=lambda path: path.stem)
        self.start, self.end = start, end

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.end - self.start).days + 1

    def read(self, day: date) -> pa.Table:
        """Read the used footprints of a day; KeyError for a day outside the template."""
        # tables are named by the first month of their segment
        place = bisect_right([path.stem for path in self.tables], f"{day:%Y-%m}") - 1
        if not (self.start <= day <= self.end and place >= 0):
            raise KeyError(f"{day} is no day of the template, {self.start} to {self.end}")
        return footprint_table.read_used_footprints(self.tables[place], day, day)

    def like(self, day: date) -> date:
        """Return the day of the template that stands for ``day``.

        It is the same date in the template's first year that has it, else all days of the template
        take their turn.
        """
        for year in range(self.start.year, self.end.year + 1):
            try:
                same = day.replace(year=year)
            except ValueError:  # 29 February
                continue
            if self.start <= same <= self.end:
                return same
        return self.start + timedelta(days=(day - self.start).days % self.days)

    def copied(self, day: date) -> Iterator[FootprintGeometry]:
        """Yield the footprints of the day that stands for ``day``, moved to ``day``."""
        template_day = self.like(day)
        yield from _moved(
            self.read(template_day), np.datetime64(day, "D") - np.datetime64(template_day, "D")
        )

    def drawn(self, day: date, random: np.random.Generator) -> Iterator[FootprintGeometry]:
        """Yield, for each hour of ``day``, the footprints of that hour of a day drawn at random."""
        # hour by hour, so that no simulated day repeats the coverage of a real one
        picked = random.integers(self.days, size=24)
        for number in np.unique(picked):
            template_day = self.start + timedelta(days=int(number))
            footprints = self.read(template_day)
            time = footprint_table.column_values(footprints, "time")
            hour = (time - time.astype("datetime64[D]")) // np.timedelta64(1, "h")
            kept = footprints.filter(pa.array(np.isin(hour, np.flatnonzero(picked == number))))
            yield from _moved(kept, np.datetime64(day, "D") - np.datetime64(template_day, "D"))


def _moved(footprints: pa.Table, shift: np.timedelta64) -> Iterator[FootprintGeometry]:
    """Yield footprints by platform, ``shift`` later."""
    names = footprints["platform"].unify_dictionaries().to_pandas().astype(str).to_numpy()
    columns = {
        name: footprint_table.column_values(footprints, name)
        for name in ("time", "lat", "lon", "zenith", "azimuth", "scan_position")
    }
    columns["time"] = columns["time"].astype("datetime64[ns]") + shift.astype("timedelta64[ns]")
    columns["missing"] = ~np.isfinite(footprint_table.values_of(footprints))
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        yield FootprintGeometry(str(name), **{key: value[rows] for key, value in columns.items()})


def orbit_places(
    source: Source, day: date, strides: tuple[int, int]
) -> Iterator[FootprintGeometry]:
    """Yield the footprints of a day on computed orbits, by platform.

    Parameters
    ----------
    source : Source
        A sounder; those of its platforms that have an orbit count.
    day : date
        The day in UTC.
    strides : tuple[int, int]
        Every how many scans, and fields of view, there is a footprint.

    Yields
    ------
    FootprintGeometry
        The footprints of one platform, none missing.
    """
    from fuxiflow.observations.orbits import (
        swath,  # pyorbital, which copies of real footprints do without
    )

    start = np.datetime64(day, "ns")
    for platform in source.flown:
        view = swath(platform.name, platform.orbit, source.instrument, start, start + DAY, *strides)
        if not len(view):
            continue
        shape = view.lat.shape
        columns = {
            name: getattr(view, name).ravel()
            for name in ("time", "lat", "lon", "zenith", "azimuth")
        }
        position = np.broadcast_to(np.arange(1, shape[1] + 1, dtype=np.int16), shape).ravel()
        missing = np.zeros((len(position), len(source.channels)), bool)
        yield FootprintGeometry(platform.name, **columns, scan_position=position, missing=missing)
