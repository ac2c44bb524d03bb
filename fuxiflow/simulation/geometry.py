"""Where and when simulated observations lie: at footprints of real ones from other days, or on computed orbits."""

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
    """Footprints of one platform, all ``(n,)`` but ``missing (n, channel)``: which values real ones lack there."""

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

    def rows(self, chosen: np.ndarray) -> "FootprintGeometry":
        """Some of them, by index or mask."""
        arrays = {name: value[chosen] for name, value in vars(self).items() if name != "platform"}
        return FootprintGeometry(self.platform, **arrays)


class Template:
    """Real footprints of the days from ``start`` to ``end``, both included, in tables named by their segment."""

    def __init__(self, tables: Sequence[Path], start: date, end: date):
        self.tables = sorted(map(Path, tables), key=lambda path: path.stem)
        self.start, self.end = start, end

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.end - self.start).days + 1

    def read(self, day: date) -> pa.Table:
        """The used footprints of a day; KeyError for one that the template does not hold."""
        place = bisect_right([path.stem for path in self.tables], f"{day:%Y-%m}") - 1
        if not (self.start <= day <= self.end and place >= 0):
            raise KeyError(f"{day} is no day of the template, {self.start} to {self.end}")
        return footprint_table.read_used_footprints(self.tables[place], day, day)

    def like(self, day: date) -> date:
        """The day of the template that stands for ``day``: of the same date in its first year that has it, else all
        days of the template in turn."""
        for year in range(self.start.year, self.end.year + 1):
            try:
                same = day.replace(year=year)
            except ValueError:  # 29 February
                continue
            if self.start <= same <= self.end:
                return same
        return self.start + timedelta(days=(day - self.start).days % self.days)

    def copied(self, day: date) -> Iterator[FootprintGeometry]:
        """The footprints of the day that stands for ``day``, as if they were of it."""
        chosen = self.like(day)
        yield from _moved(self.read(chosen), np.datetime64(day, "D") - np.datetime64(chosen, "D"))

    def drawn(self, day: date, random: np.random.Generator) -> Iterator[FootprintGeometry]:
        """For each hour of ``day`` the footprints of the same hour of a day drawn at random."""
        picked = random.integers(self.days, size=24)
        for number in np.unique(picked):
            chosen = self.start + timedelta(days=int(number))
            found = self.read(chosen)
            time = footprint_table.column_values(found, "time")
            hour = (time - time.astype("datetime64[D]")) // np.timedelta64(1, "h")
            kept = found.filter(pa.array(np.isin(hour, np.flatnonzero(picked == number))))
            yield from _moved(kept, np.datetime64(day, "D") - np.datetime64(chosen, "D"))


def _moved(footprints: pa.Table, shift: np.timedelta64) -> Iterator[FootprintGeometry]:
    """Footprints by platform, ``shift`` later."""
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
    """The footprints of a day of the source's platforms that have an orbit, every so-manieth scan and field of view."""
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
