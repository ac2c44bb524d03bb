"""Write and read forecast stores in the layout of WeatherBench2.

Rasp et al. (2024), doi:10.1029/2023MS004019. Dimensions are ``(time, prediction_timedelta, level,
latitude, longitude)``, with one array for each physical variable; ``time`` is the initial time. All
leads and levels of one initial time are a chunk, as long as they are not more than 64 MB. Initial
times that are not complete are listed in the attribute ``pending``, single fields that never came
in ``missing``. A store is finished when none is pending. Values are rounded to
:data:`MANTISSA_BITS` bits of mantissa (Klöwer et al. 2021, doi:10.1038/s43588-021-00156-2).
"""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import zarr
from numcodecs.bitround import BitRound
from zarr.codecs import BloscCodec

from fuxiflow.channels import ChannelTable, channel_table
from fuxiflow.completeness import check_finite
from fuxiflow.grids import Grid
from fuxiflow.states.coordinates import (
    as_nanoseconds,
    get_grid,
    iso_texts,
    put_coordinate,
    put_grid,
    put_time,
    read_times,
)
from fuxiflow.storage import provenance
from fuxiflow.storage.files import leftovers, remove, temporary
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store

CHUNK_BYTES = 1 << 26
# one in 131 000: 0.25 m2 s-2 of geopotential at 500 hPa, 1 mK, 0.5 Pa; far below any error, and
# files are a third smaller
MANTISSA_BITS = 16
# written far more often than read: 13 times as fast as the states' lz4hc, 6 % larger
COMPRESSOR = BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle", typesize=4)
LOG = logging.getLogger("fuxiflow")


def channels_by_variable(channels: ChannelTable) -> dict[str, list[int]]:
    """Return the positions of channels by physical variable, in order of appearance."""
    positions: dict[str, list[int]] = {}
    for index, channel in enumerate(channels):
        positions.setdefault(channel.variable, []).append(index)
    return positions


def round_mantissa(values: np.ndarray) -> np.ndarray:
    """Round ``values`` to float32 with :data:`MANTISSA_BITS` bits of mantissa; NaN stays."""
    return BitRound(MANTISSA_BITS).encode(np.ascontiguousarray(values, np.float32)).view(np.float32)


class ForecastWriter:
    """Writes the forecasts of a segment. A context manager.

    Fields of one initial time are buffered by groups of leads.
    """

    def __init__(
        self,
        path: Path,
        init_times: Sequence,
        lead_hours: Sequence[int],
        channels: ChannelTable,
        grid: Grid,
        attrs: dict | None = None,
        resume: bool = False,
    ):
        """Make the store, or open the one that is continued.

        Parameters
        ----------
        path : Path
            The store.
        init_times : Sequence
            Initial times ``(init,)``.
        lead_hours : Sequence[int]
            Leads ``(lead,)`` in whole hours.
        channels : ChannelTable
            Channels of the fields.
        grid : Grid
            Grid of the fields.
        attrs : dict, optional
            Further attributes of the store.
        resume : bool
            Keep the complete initial times of a store that is at ``path`` already, whose fields
            are there. A store that cannot be read is made anew.

        Raises
        ------
        ValueError
            When the store to be continued is for other times, leads, channels or another grid.
        """
        self.path = Path(path)
        self.channels = channels
        self.grid = grid
        self.init_times = as_nanoseconds(list(init_times))
        self.lead_hours = [int(hour) for hour in lead_hours]
        self._variables = channels_by_variable(channels)
        self._levels = channels.pressure_levels
        most_levels = max(len(positions) for positions in self._variables.values())
        largest = 4 * most_levels * grid.nlat * grid.nlon
        self._leads = max(1, min(len(self.lead_hours), CHUNK_BYTES // largest))
        self._missing: set[tuple[str, int]] = set()
        self._written: dict[int, set[int]] = {}
        self._buffer: tuple[int, int, np.ndarray] | None = None
        if not (resume and self.path.exists() and self._open()):
            self._create(attrs or {})

    def _create(self, attrs: dict) -> None:
        """Make an empty store, in place of one that is there."""
        # made aside: a kill must not leave half a store behind, which could not be continued
        for left in leftovers(self.path):
            remove(left)
        aside = temporary(self.path)
        self._pending = np.ones(len(self.init_times), bool)
        group = create_store(
            aside,
            {
                "Conventions": "CF-1.11",
                "provenance": provenance.as_json(),
                "channels": self.channels.names,
                "missing": [],
                "pending": iso_texts(self.init_times),
                **attrs,
            },
        )
        put_time(group, "time", self.init_times, "initial time")
        put_coordinate(
            group,
            "prediction_timedelta",
            np.array(self.lead_hours, np.int64),
            {"long_name": "lead time", "units": "hours", "dtype": "timedelta64[ns]"},
        )
        put_grid(group, self.grid, "latitude", "longitude")
        if self._levels:
            put_coordinate(
                group,
                "level",
                np.array(self._levels, np.int64),
                {"standard_name": "air_pressure", "units": "hPa", "positive": "down"},
            )
        for name, positions in self._variables.items():
            channel = self.channels[positions[0]]
            upper = channel.level is not None
            names = ("level",) if upper else ()
            extra = (len(self._levels),) if upper else ()
            group.create_array(
                name,
                shape=(len(self.init_times), len(self.lead_hours), *extra, *self.grid.shape),
                dtype="float32",
                chunks=(1, self._leads, *extra, *self.grid.shape),
                compressors=COMPRESSOR,
                fill_value=np.nan,
                dimension_names=("time", "prediction_timedelta", *names, "latitude", "longitude"),
                attributes={"units": channel.unit, "long_name": name.replace("_", " ")},
            )
        remove(self.path)
        os.rename(aside, self.path)
        self._group = open_store(self.path, mode="r+")

    def _open(self) -> bool:
        """Open the store that is continued, and say whether it can be.

        Raises ValueError when it is another one.
        """
        try:
            self._group = open_store(self.path, mode="r+")
            stored = Forecasts([self.path])
            pending, missing = (self._group.attrs[key] for key in ("pending", "missing"))
        # whatever Zarr makes of damaged metadata
        except Exception as error:
            LOG.warning("%s cannot be continued (%s): it is made anew", self.path, error)
            return False
        if (
            stored.channels.names != self.channels.names
            or stored.grid != self.grid
            or stored.lead_hours != self.lead_hours
            or not np.array_equal(stored.slots, self.init_times)
        ):
            raise ValueError(
                f"{self.path}: cannot be continued, it was made for other times, leads, channels "
                "or another grid; remove it"
            )
        self._pending = np.isin(np.array(iso_texts(self.init_times)), pending)
        self._missing = {(time, lead) for time, lead in missing}
        lost = [i for i in np.flatnonzero(~self._pending) if not self._is_there(int(i))]
        if lost:
            LOG.warning(
                "%s: files of %d initial times that were complete are not there, the first of %s; "
                "they are made again",
                self.path,
                len(lost),
                iso_texts(self.init_times[lost[:1]])[0],
            )
            self._pending[lost] = True
            texts = set(iso_texts(self.init_times[lost]))
            self._missing = {(time, lead) for time, lead in self._missing if time not in texts}
        return True

    def _is_there(self, i_init: int) -> bool:
        """Tell if the files of an initial time are there; one of missing fields alone has none."""
        text = iso_texts(self.init_times[[i_init]])[0]
        for first in range(0, len(self.lead_hours), self._leads):
            leads = self.lead_hours[first : first + self._leads]
            if all((text, lead) in self._missing for lead in leads):
                continue
            for name in self._variables:
                rest = ["0"] * (self._group[name].ndim - 2)
                place = self.path.joinpath(name, "c", str(i_init), str(first // self._leads), *rest)
                if not place.exists() or not place.stat().st_size:
                    return False
        return True

    @property
    def chunk_leads(self) -> int:
        """Number of leads of an initial time that are stored in one piece.

        Written one after the other they are held back until the piece is full, and never read.
        """
        return self._leads

    def done(self, i_init: int) -> bool:
        """Tell if the forecast of an initial time is complete on disk."""
        return not self._pending[i_init]

    def write(self, i_init: int, i_lead: int, array: np.ndarray | None) -> None:
        """Put the field of one lead.

        Parameters
        ----------
        i_init : int
            Position of the initial time.
        i_lead : int
            Position of the lead.
        array : np.ndarray or None
            The field ``(channel, lat, lon)``; None marks it missing.

        Raises
        ------
        ValueError
            For a field of another shape.
        IncompleteError
            For a field with values that are no numbers.
        """
        shape = (len(self.channels), *self.grid.shape)
        if array is not None and np.shape(array) != shape:
            raise ValueError(
                f"{self.path}: {iso_texts(self.init_times[[i_init]])[0]} + "
                f"{self.lead_hours[i_lead]} h has shape {np.shape(array)}, expected {shape}"
            )
        if array is not None:
            whole = np.isfinite(array).all(axis=(1, 2))
            may_lack = np.array([not channel.analysed for channel in self.channels])
            place = f"{self.path}: {iso_texts(self.init_times[[i_init]])[0]}"
            place += f" + {self.lead_hours[i_lead]} h"
            check_finite(whole | may_lack, self.channels.names, place)
        part = i_lead // self._leads
        if self._buffer is None or self._buffer[:2] != (i_init, part):
            self._flush()
            first = part * self._leads
            count = min(self._leads, len(self.lead_hours) - first)
            values = np.full((count, *shape), np.nan, np.float32)
            if any(first <= lead < first + count for lead in self._written.get(i_init, ())):
                leads = slice(first, first + count)
                values[:] = read_leads(self._group, self.channels, i_init, leads)
            self._buffer = i_init, part, values
        key = iso_texts(self.init_times[[i_init]])[0], self.lead_hours[i_lead]
        self._missing.discard(key)
        if array is None:
            self._missing.add(key)
        else:
            self._buffer[2][i_lead % self._leads] = round_mantissa(array)
        written = self._written.setdefault(i_init, set())
        written.add(i_lead)
        if len(written) == len(self.lead_hours):
            self._flush()
            self._complete(i_init)

    def _flush(self) -> None:
        """Write the buffered leads."""
        if self._buffer is None:
            return
        i_init, part, values = self._buffer
        leads = slice(part * self._leads, part * self._leads + len(values))
        for name, positions in self._variables.items():
            array = self._group[name]
            if array.ndim == 4:
                array[i_init, leads] = values[:, positions[0]]
                continue
            block = np.full((len(values), *array.shape[2:]), np.nan, np.float32)
            for position in positions:
                block[:, self._levels.index(self.channels[position].level)] = values[:, position]
            array[i_init, leads] = block
        self._buffer = None

    def _complete(self, i_init: int) -> None:
        """Declare an initial time complete, after its fields are on disk."""
        self._pending[i_init] = False
        self._written.pop(i_init, None)
        self._group.update_attributes(
            {
                "pending": iso_texts(self.init_times[self._pending]),
                "missing": [list(key) for key in sorted(self._missing)],
            }
        )

    def close(self) -> None:
        """Write what is buffered and finish the store.

        Raises
        ------
        ValueError
            When fields were neither written nor declared missing; their initial times stay pending.
        """
        self._flush()
        if self._pending.any():
            never = iso_texts(self.init_times[self._pending])
            raise ValueError(
                f"{self.path}: of {len(never)} initial times fields never came, the first "
                f"{never[0]}: each must be written, or declared missing"
            )
        consolidate(self.path)

    def __enter__(self) -> "ForecastWriter":
        return self

    def __exit__(self, kind, *_) -> None:
        # after an error what did not come stays pending, for a continued run
        if kind is None:
            self.close()
        else:
            self._flush()


def read_leads(
    group: zarr.Group,
    channels: ChannelTable,
    i_init: int,
    leads: slice,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """Read fields of one initial time from an open store.

    Parameters
    ----------
    group : zarr.Group
        The store.
    channels : ChannelTable
        All channels of the store.
    i_init : int
        Position of the initial time.
    leads : slice
        Positions of the leads.
    names : sequence of str, optional
        Names of the channels to read; by default all. Variables without any are not read.

    Returns
    -------
    np.ndarray
        Fields ``(lead, channel, lat, lon)``, float32, in the order of ``names``.
    """
    levels = channels.pressure_levels
    names = channels.names if names is None else list(names)
    places = {channels.names.index(name): place for place, name in enumerate(names)}
    values = None
    for variable, positions in channels_by_variable(channels).items():
        read_positions = [position for position in positions if position in places]
        if not read_positions:
            continue
        # one variable after the other: at full size all blocks together are as large as the state
        block = np.asarray(group[variable][i_init, leads])
        if values is None:
            values = np.empty((len(block), len(names), *block.shape[-2:]), np.float32)
        for position in read_positions:
            level = channels[position].level
            field = block if level is None else block[:, levels.index(level)]
            values[:, places[position]] = field
        del block
    return values


class Forecasts:
    """Reads forecast stores as one series of initial times.

    ``init_times`` are the complete ones, sorted; ``slots`` all. ``stored_together`` is the number
    of leads that are read from a store at once: those of the piece read last are kept in memory.
    """

    def __init__(self, paths: Sequence[Path], channels: Sequence[str] | None = None):
        """Open the stores.

        Parameters
        ----------
        paths : sequence of Path
            Forecast stores.
        channels : sequence of str, optional
            Names of the channels that are read, in this order; by default all. Others are left
            on disk.

        Raises
        ------
        FileNotFoundError
            A store is not there.
        ValueError
            No store is given, or stores differ in leads, channels or grid.
        KeyError
            A channel is in no store.
        """
        self.paths = [Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
        if not self.paths:
            raise ValueError("no forecast store given")
        self._where: dict[int, tuple[zarr.Group, int]] = {}
        self._missing: set[tuple[str, int]] = set()
        slots = []
        layout = None
        self.stored_together = 1
        for path in self.paths:
            group = open_store(path, "forecast store")
            leads = [int(hour) for hour in group["prediction_timedelta"][:]]
            grid = get_grid(group, "latitude", "longitude")
            own_layout = list(group.attrs["channels"]), grid, leads
            if layout not in (None, own_layout):
                raise ValueError(
                    f"{path}: other leads, channels or another grid than {self.paths[0]}"
                )
            layout = own_layout
            chunks = [array.chunks[1] for _, array in group.arrays() if array.ndim > 3]
            self.stored_together = max(self.stored_together, *chunks)
            times = read_times(group)
            slots.append(times)
            pending = set(group.attrs["pending"])
            self._missing |= {(time, lead) for time, lead in group.attrs["missing"]}
            for index, (time, text) in enumerate(
                zip(times.astype(np.int64).tolist(), iso_texts(times), strict=True)
            ):
                if text not in pending:
                    self._where[time] = group, index
        names, self.grid, self.lead_hours = layout
        self._stored: ChannelTable = channel_table().select(names)
        lacking = [name for name in channels or () if name not in names]
        if lacking:
            raise KeyError(
                f"{self.paths[0]}: {lacking[0]} is not forecast; known: {', '.join(names)}"
            )
        self.channels = self._stored if channels is None else self._stored.select(channels)
        self.slots = np.unique(np.concatenate(slots))
        self.init_times = np.array(sorted(self._where), np.int64).astype("datetime64[ns]")
        self._cache: tuple[tuple[int, int], np.ndarray] | None = None

    def _fail(self, lack: str):
        """Raise KeyError that says what is lacking and what there is."""
        span = (
            f"{iso_texts(self.init_times[[0]])[0]} .. {iso_texts(self.init_times[[-1]])[0]}"
            if len(self.init_times)
            else "nothing"
        )
        raise KeyError(
            f"{lack} in {', '.join(map(str, self.paths))}; available: {span}, "
            f"{len(self.init_times)} initial times, "
            f"leads {self.lead_hours[0]} .. {self.lead_hours[-1]} h"
        )

    def __contains__(self, init) -> bool:
        return int(as_nanoseconds(init).astype(np.int64)) in self._where

    def available(self, init, lead: int) -> bool:
        """Tell if the field of an initial time and a lead in hours can be read."""
        return (
            init in self
            and int(lead) in self.lead_hours
            and (iso_texts([as_nanoseconds(init)])[0], int(lead)) not in self._missing
        )

    def read(self, init, lead: int) -> np.ndarray:
        """Read the field ``(channel, lat, lon)`` at ``lead`` hours, float32.

        Raises KeyError that says what there is.
        """
        if not self.available(init, lead):
            self._fail(f"no forecast from {iso_texts([as_nanoseconds(init)])[0]} + {lead} h")
        piece, place = divmod(self.lead_hours.index(int(lead)), self.stored_together)
        return self._read_piece(init, piece)[place]

    def read_init(self, init) -> np.ndarray:
        """Read all leads ``(lead, channel, lat, lon)``, NaN where one is missing.

        Raises KeyError as :meth:`read`.
        """
        if init not in self:
            self._fail(f"no forecast from {iso_texts([as_nanoseconds(init)])[0]}")
        group, index = self._where[int(as_nanoseconds(init).astype(np.int64))]
        leads = slice(0, len(self.lead_hours))
        return read_leads(group, self._stored, index, leads, self.channels.names)

    def _read_piece(self, init, piece: int) -> np.ndarray:
        """Read the leads that are stored together, those of the last piece from memory."""
        key = int(as_nanoseconds(init).astype(np.int64)), piece
        if self._cache is None or self._cache[0] != key:
            # the old piece leaves before the new one comes
            self._cache = None
            group, index = self._where[key[0]]
            first = piece * self.stored_together
            leads = slice(first, min(first + self.stored_together, len(self.lead_hours)))
            values = read_leads(group, self._stored, index, leads, self.channels.names)
            if self.stored_together == 1:
                return values
            self._cache = key, values
        return self._cache[1]

    def read_many(self, pairs: Iterable[tuple]) -> np.ndarray:
        """Read fields ``(pair, channel, lat, lon)`` of pairs of initial time and lead in hours."""
        return np.stack([self.read(init, lead) for init, lead in pairs])
