"""Read forecasts and analyses of others: Zarr stores in WeatherBench2's layout.

Rasp et al. (2024), doi:10.1029/2023MS004019. Arrays are told by the names of variables, their
dimensions by name and coordinate: orders and directions differ from store to store. Relative
humidity is computed from specific humidity as ERA5 has it; what the stores call so is another
quantity.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import zarr

from fuxiflow.channels import Channel, ChannelTable
from fuxiflow.grids import Grid
from fuxiflow.physics import relative_humidity
from fuxiflow.states.assembly import Ledger, rejection_reason
from fuxiflow.states.coordinates import as_nanoseconds, read_times
from fuxiflow.states.grib_messages import GribError
from fuxiflow.states.regrid import SourceGrid, regrid
from fuxiflow.storage.mirrors import chunk_keys, open_mirror, verify_chunks
from fuxiflow.storage.zarr_stores import READ_ERRORS
from fuxiflow.times import whole_hours

SYNONYMS = {"lat": "latitude", "lon": "longitude"}
"""Names that some stores give to dimensions, and the usual ones."""
LEAD = "prediction_timedelta"
HUMIDITY, HUMIDITY_FROM = "relative_humidity", ("specific_humidity", "temperature")
PRECIPITATION = "total_precipitation_6hr"
IN_MM = ("mm", "kg m**-2", "kg m-2")
"""Units of precipitation that are the state's; the stores have metres."""
LEVELS_OF_ARRAY = "levels_with_data"
"""Attribute of an array that has fields on some levels of the store alone: those, in hPa."""
BLOCK_BYTES = 1 << 28
TOLERANCE = 2e-3  # degrees


class PublicStoreError(ValueError):
    """A store cannot be used; the text names it, the place, and what to do."""


class PublicFields:
    """The fields of a store, regridded.

    ``times`` are valid times, or initial times where there are leads; ``lead_hours`` are None of
    analyses. ``channels`` are those that the store has.
    """

    synonyms = SYNONYMS

    def __init__(self, path: Path, channels: ChannelTable, grid: Grid):
        """Open a store.

        Parameters
        ----------
        path : Path
            Its folder, or the receipt of what was fetched of it.
        channels : ChannelTable
            The channels that are wanted.
        grid : Grid
            Grid of the states.

        Raises
        ------
        FileNotFoundError, PublicStoreError
            When it is not there, or none of it can be used.
        """
        self.path, self.grid = Path(path), grid
        self._mirrored = self.path.suffix == ".json"
        if not (self._mirrored or self.path.is_dir()):
            raise FileNotFoundError(f"{path}: no such Zarr store; see verification")
        try:
            is_mirror = self._mirrored
            self._group = open_mirror(path) if is_mirror else zarr.open_group(self.path, mode="r")
            self._arrays = dict(self._group.arrays())
        except READ_ERRORS as error:
            raise PublicStoreError(
                f"{path}: it cannot be opened as a Zarr store: {error}"
            ) from error
        self.times = self._times()
        self.lead_hours = self._lead_hours()
        levels = self._coordinate("level") if "level" in self._arrays else np.array([])
        self._levels = [round(float(level)) for level in levels]
        self._read_grid()
        self.channels = channels.select(c.name for c in channels if self._has(c))
        if not self.channels:
            raise PublicStoreError(
                f"{path}: it has none of {', '.join(channels.names)}; its arrays are "
                f"{', '.join(sorted(self._arrays)) or 'none'}, its levels "
                f"{', '.join(map(str, self._levels)) or 'none'}"
            )

    def _coordinate(self, name: str) -> np.ndarray:
        names = [name, *(other for other, usual in self.synonyms.items() if usual == name)]
        for one in names:
            if one in self._arrays and self._arrays[one].ndim == 1:
                try:
                    return np.asarray(self._arrays[one][:])
                except READ_ERRORS as error:
                    raise PublicStoreError(
                        f"{self.path}/{one}: it cannot be read: {error}"
                    ) from error
        raise PublicStoreError(
            f"{self.path}: it has no coordinate {name}; its arrays are "
            f"{', '.join(sorted(self._arrays)) or 'none'}"
        )

    def _times(self) -> np.ndarray:
        """Return the times, ``datetime64[ns]``."""
        values = self._coordinate("time")
        if values.dtype.kind == "M":
            return as_nanoseconds(values)
        try:
            return read_times(self._group)
        except ValueError as error:
            raise PublicStoreError(f"{self.path}: {error}") from error

    def _lead_hours(self) -> list[int] | None:
        """Return the leads in hours: given as times, in a unit, or as whole hours without one.

        None of a store of analyses.
        """
        if LEAD not in self._arrays:
            return None
        try:
            return whole_hours(self._coordinate(LEAD), self._arrays[LEAD].attrs.get("units"))
        except ValueError as error:
            raise PublicStoreError(f"{self.path}/{LEAD}: {error}") from error

    def _read_grid(self) -> None:
        """Take the grid of the coordinates, whatever their direction."""
        lat, lon = (self._coordinate(name).astype(float) for name in ("latitude", "longitude"))
        self._rows, self._columns = np.argsort(-lat), np.argsort(lon)
        lat, lon = lat[self._rows], lon[self._columns]
        for name, values in (("latitude", lat), ("longitude", lon)):
            steps = np.abs(np.diff(values))
            if len(steps) and np.ptp(steps) > TOLERANCE:
                raise PublicStoreError(
                    f"{self.path}: {name} is not spaced equally (steps {steps.min():g} to "
                    f"{steps.max():g} degrees), expected a regular grid"
                )
        try:
            self._source = SourceGrid.spanning(lat[0], lat[-1], len(lat), lon[0], lon[-1], len(lon))
        except GribError as error:
            raise PublicStoreError(f"{self.path}: {error}") from error

    def _variables(self, channel: Channel) -> tuple[str, ...]:
        """Return the names of the arrays that a channel is made of."""
        return HUMIDITY_FROM if channel.variable == HUMIDITY else (channel.variable,)

    def _has(self, channel: Channel) -> bool:
        """Say whether the store has all that a channel is made of, on its level."""
        names = self._variables(channel)
        if not all(name in self._arrays for name in names):
            return False
        if channel.level is None:
            return True
        levels = (self._arrays[name].attrs.get(LEVELS_OF_ARRAY, self._levels) for name in names)
        return channel.level in self._levels and all(channel.level in one for one in levels)

    def _dimensions(self, array: zarr.Array) -> list[str]:
        """Return the usual names of an array's dimensions; PublicStoreError where it has none."""
        names = getattr(array.metadata, "dimension_names", None)
        names = names or array.attrs.get("_ARRAY_DIMENSIONS") or ()
        usual = [self.synonyms.get(name, name) for name in names]
        if len(usual) != array.ndim or not {"time", "latitude", "longitude"} <= {*usual}:
            raise PublicStoreError(
                f"{self.path}/{array.basename}: dimensions ({', '.join(map(str, names))}), "
                f"expected a name for each of {array.ndim}, time, latitude and longitude among them"
            )
        return usual

    def _block(self, name: str, i_time: int, leads: Sequence[int]) -> np.ndarray:
        """Read a variable at one time.

        Parameters
        ----------
        name : str
            Name of the array.
        i_time : int
            Position of the time.
        leads : sequence of int
            Positions of the leads, one of analyses.

        Returns
        -------
        np.ndarray
            ``(lead, level, lat, lon)``, north to south and eastwards, one level at the surface.
        """
        array = self._arrays[name]
        dimensions = self._dimensions(array)
        where = {"time": [i_time], LEAD: list(leads)}
        selection = tuple(where.get(one, slice(None)) for one in dimensions)
        try:
            values = np.asarray(array.oindex[selection], np.float32)
        except READ_ERRORS as error:
            raise PublicStoreError(
                f"{self.path}/{name}: the fields of {self.times[i_time]} cannot be read ({error}); "
                f"fetch its chunks again"
            ) from error
        order = [
            one for one in ("time", LEAD, "level", "latitude", "longitude") if one in dimensions
        ]
        values = values.transpose([dimensions.index(one) for one in order])
        for axis, one in enumerate(("time", LEAD, "level")):
            if one not in dimensions:
                values = np.expand_dims(values, axis)
        return values[0][:, :, self._rows][:, :, :, self._columns]

    def verify(self, times: Sequence[datetime], lead_hours: Sequence[int]) -> None:
        """Compare what is going to be read with its checksums, where it was fetched.

        Parameters
        ----------
        times : sequence of datetime
            Initial times, or valid times of analyses.
        lead_hours : sequence of int
            Leads in hours; 0 alone of analyses.
        """
        if not self._mirrored:
            return
        places = {"time": np.flatnonzero(np.isin(self.times, as_nanoseconds(list(times))))}
        if self.lead_hours is not None:
            places[LEAD] = np.flatnonzero(np.isin(self.lead_hours, lead_hours))
        names = set()
        for name in {name for channel in self.channels for name in self._variables(channel)}:
            array = self._arrays[name]
            levels = {c.level for c in self.channels if name in self._variables(c)} - {None}
            here = places | {"level": [self._levels.index(level) for level in levels]}
            axes = [
                here.get(one, range(length))
                for one, length in zip(self._dimensions(array), array.shape, strict=True)
            ]
            names |= {f"{name}/{key}" for key, _ in chunk_keys(array, axes)}
        verify_chunks(self.path, self._group, names)

    def read(
        self, time: datetime, lead_hours: Sequence[int], ledger: Ledger
    ) -> Iterator[np.ndarray | None]:
        """Read the states of one initial time, or the analysis of a time.

        Parameters
        ----------
        time : datetime
            Initial time, or valid time of an analysis.
        lead_hours : sequence of int
            Leads that the store has, in hours; 0 alone of analyses.
        ledger : Ledger
            Told why a field is not used.

        Yields
        ------
        np.ndarray or None
            The state ``(channel, lat, lon)`` of each lead, None where one of its fields is missing.
        """
        position = np.flatnonzero(self.times == as_nanoseconds(time))
        if not len(position):
            ledger.note("no such time in the store", self.path, time=time)
            yield from (None for _ in lead_hours)
            return
        places = [0] if self.lead_hours is None else [self.lead_hours.index(h) for h in lead_hours]
        size = 4 * len(self.channels) * self._source.nlat * self._source.nlon
        step = max(1, BLOCK_BYTES // size)
        for first in range(0, len(places), step):
            part = places[first : first + step]
            variables = {name for channel in self.channels for name in self._variables(channel)}
            blocks = {name: self._block(name, int(position[0]), part) for name in sorted(variables)}
            for k in range(len(part)):
                fields = {name: block[k] for name, block in blocks.items()}
                lead = lead_hours[first + k]
                yield self._state(fields, as_nanoseconds(time) + np.timedelta64(lead, "h"), ledger)

    def _state(
        self, fields: dict[str, np.ndarray], valid: np.datetime64, ledger: Ledger
    ) -> np.ndarray | None:
        """Make a state of the fields ``(level, lat, lon)`` of a valid time.

        Parameters
        ----------
        fields : dict
            By name of the array.
        valid : np.datetime64
            Valid time.
        ledger : Ledger
            Told why a field is not used.

        Returns
        -------
        np.ndarray or None
            The state on the grid, None where a field is missing or not credible.
        """
        ledger.read += len(self.channels)
        raw, reasons = [], []
        for channel in self.channels:
            values = self._values(channel, fields)
            if reason := rejection_reason(values, channel):
                reasons.append((channel.name, reason))
            raw.append(values)
        for name, reason in reasons:
            time = valid.astype("datetime64[s]").item()
            ledger.note(reason, self.path, time=time, channel=name)
        if reasons:
            ledger.rejected += len(reasons)
            ledger.ignored["state is incomplete"] += len(self.channels) - len(reasons)
            return None
        ledger.used += len(self.channels)
        return regrid(np.stack(raw).astype(np.float32), self._source, self.grid)

    def _values(self, channel: Channel, fields: dict[str, np.ndarray]) -> np.ndarray:
        """Return a channel ``(lat, lon)`` in the state's unit."""
        level = 0 if channel.level is None else self._levels.index(channel.level)
        if channel.variable == HUMIDITY:
            humidity, temperature = (fields[name][level].astype(float) for name in HUMIDITY_FROM)
            return relative_humidity(np.maximum(humidity, 0.0), temperature, float(channel.level))
        values = fields[channel.variable][level]
        if channel.variable == PRECIPITATION:
            in_mm = self._arrays[PRECIPITATION].attrs.get("units") in IN_MM
            return np.where(np.abs(values) < 1e-9, 0.0, values) * (1.0 if in_mm else 1000.0)
        return values


def shared_starts(
    fields: PublicFields,
    inits: Sequence[datetime],
    lead_hours: Sequence[int],
    name: str,
    log: logging.Logger,
) -> tuple[list[datetime], list[int]]:
    """Cut the forecasts that are wanted to hours of the day and leads that a store has.

    Single initial times that it lacks stay: they are missing.

    Parameters
    ----------
    fields : PublicFields
        The store.
    inits : sequence of datetime
        Initial times that are wanted.
    lead_hours : sequence of int
        Leads that are wanted, in hours.
    name : str
        Name of the system.
    log : logging.Logger
        Told what is cut.

    Returns
    -------
    inits : list of datetime
        Initial times.
    lead_hours : list of int
        Leads.

    Raises
    ------
    PublicStoreError
        When it holds no leads, or nothing of what is wanted.
    """
    if fields.lead_hours is None:
        raise PublicStoreError(
            f"{fields.path}: it has no dimension {LEAD}, so it holds analyses and no forecasts; "
            f"see verification.systems.{name}"
        )
    hours = {int(hour) for hour in fields.times.astype("datetime64[h]").astype(int) % 24}
    leads = [lead for lead in lead_hours if lead in fields.lead_hours]
    kept = [init for init in inits if init.hour in hours]
    there = [init for init in kept if np.datetime64(init, "ns") in fields.times]
    if not there or not leads:
        span = f"{fields.times.min()} to {fields.times.max()}" if len(fields.times) else "no time"
        raise PublicStoreError(
            f"{fields.path}: no forecast from {inits[0]} to {inits[-1]} at 6-hourly leads up to "
            f"{lead_hours[-1]} h; it has {span} at {sorted(hours)} UTC, leads "
            f"{fields.lead_hours[0]} to {fields.lead_hours[-1]} h; see verification.systems.{name}"
        )
    for what, left, of in (("initial times", kept, inits), ("leads", leads, lead_hours)):
        if len(left) < len(of):
            log.warning(
                "%s has %d of %d %s: its scores are of those, comparisons of what both have",
                name,
                len(left),
                len(of),
                what,
            )
    return kept, leads
