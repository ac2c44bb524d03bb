"""Write and read forecast stores in the layout of WeatherBench2.

Rasp et al. (2024), doi:10.1029/2023MS004019. Dimensions are ``(time, prediction_timedelta, level,
latitude, longitude)``, with one array for each physical variable; ``time`` is the initial time. All
levels of one lead are a chunk, all leads of one initial time a shard file. Leads are appended to it
as they come, as those of an initial time do not fit into memory. Initial times that are not
complete are listed in the attribute ``pending``. Single fields that never came are NaN, and listed
in ``missing``. A store is finished when none is pending. Fields are packed
in integers (:mod:`fuxiflow.storage.packing`).
"""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr

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
from fuxiflow.states.shards import ShardReader
from fuxiflow.storage import provenance
from fuxiflow.storage.files import leftovers, remove, temporary
from fuxiflow.storage.packing import BlockPackingCodec
from fuxiflow.storage.shard_files import AppendedShard
from fuxiflow.storage.zarr_checks import with_sum
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store

LOG = logging.getLogger("fuxiflow")


def channels_by_variable(channels: ChannelTable) -> dict[str, list[int]]:
    """Return the positions of channels by physical variable, in order of appearance."""
    positions: dict[str, list[int]] = {}
    for index, channel in enumerate(channels):
        positions.setdefault(channel.variable, []).append(index)
    return positions


class ForecastWriter:
    """Writes the forecasts of a segment, a lead at a time. A context manager.

    Leads of several initial times may come in turn, and in any order.
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
        kept: Sequence[str] | None = None,
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
            Channels of the fields that are given to :meth:`write`.
        grid : Grid
            Grid of the fields.
        attrs : dict, optional
            Further attributes of the store.
        resume : bool
            Keep the complete initial times of a store that is at ``path`` already, whose fields
            are there. A store that cannot be read is made anew.
        kept : Sequence[str], optional
            Names of the channels that the store holds; by default all. Others are left out.

        Raises
        ------
        ValueError
            When the store to be continued is for other times, leads, channels or another grid.
        """
        self.path = Path(path)
        self._given = channels
        names = channels.names
        self.channels = channels.select([name for name in names if kept is None or name in kept])
        self._rows = [names.index(name) for name in self.channels.names]
        self.grid = grid
        self.init_times = as_nanoseconds(list(init_times))
        self.lead_hours = [int(hour) for hour in lead_hours]
        self._variables = channels_by_variable(self.channels)
        self._levels = self.channels.pressure_levels
        self._missing: set[tuple[str, int]] = set()
        self._written: dict[int, set[int]] = {}
        self._shards: dict[int, dict[str, AppendedShard]] = {}
        if not (resume and self.path.exists() and self._open()):
            self._create(attrs or {})
        # without Zarr's event loop, which takes longer than a small chunk does
        self._packings = {
            name: self._group[name].serializer.packing(self._group[name].chunks)
            for name in self._variables
        }

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
            field = (*((len(self._levels),) if upper else ()), *self.grid.shape)
            group.create_array(
                name,
                shape=(len(self.init_times), len(self.lead_hours), *field),
                dtype="float32",
                chunks=(1, 1, *field),
                shards=(1, len(self.lead_hours), *field),
                serializer=BlockPackingCodec(),
                compressors=None,
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
            codec = BlockPackingCodec()
            present = [name for name in self._variables if name in self._group]
            if any(self._group[name].serializer != codec for name in present):
                raise ValueError("an earlier version began it, with leads in files of their own")
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
        self._readers = _open_readers(self._group, self._variables, self.lead_hours)
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
        """Tell if the files of an initial time are there, with all leads in their tables."""
        return all(reader.stored(i_init).all() for reader in self._readers.values())

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
            For a field of another shape, or of an initial time that is complete.
        IncompleteError
            For a field with values that are no numbers.
        """
        if self.done(i_init):
            raise ValueError(
                f"{self.path}: {iso_texts(self.init_times[[i_init]])[0]} is complete already"
            )
        shape = (len(self._given), *self.grid.shape)
        if array is not None and np.shape(array) != shape:
            raise ValueError(
                f"{self.path}: {iso_texts(self.init_times[[i_init]])[0]} + "
                f"{self.lead_hours[i_lead]} h has shape {np.shape(array)}, expected {shape}"
            )
        if array is not None:
            whole = np.isfinite(array).all(axis=(1, 2))
            may_lack = np.array([not channel.analysed for channel in self._given])
            place = f"{self.path}: {iso_texts(self.init_times[[i_init]])[0]}"
            place += f" + {self.lead_hours[i_lead]} h"
            check_finite(whole | may_lack, self._given.names, place)
        key = iso_texts(self.init_times[[i_init]])[0], self.lead_hours[i_lead]
        self._missing.discard(key)
        if array is None:
            self._missing.add(key)
        shards = self._shards.get(i_init)
        if shards is None:
            shards = self._shards[i_init] = {
                name: self._begin(name, i_init) for name in self._variables
            }
        for name, positions in self._variables.items():
            packed = self._packings[name].pack(self._block(positions, array))
            shards[name].append(i_lead, with_sum(packed))
        written = self._written.setdefault(i_init, set())
        written.add(i_lead)
        if len(written) == len(self.lead_hours):
            self._complete(i_init)

    def _begin(self, name: str, i_init: int) -> AppendedShard:
        """Begin the shard file of a variable and an initial time."""
        rest = ["0"] * (self._group[name].ndim - 1)
        return AppendedShard(
            self.path.joinpath(name, "c", str(i_init), *rest), len(self.lead_hours)
        )

    def _block(self, positions: list[int], array: np.ndarray | None) -> np.ndarray:
        """Gather the chunk of a variable.

        Parameters
        ----------
        positions : list of int
            Positions of its channels in the store.
        array : np.ndarray or None
            The field ``(channel, lat, lon)`` as it was given; None for a missing one.

        Returns
        -------
        np.ndarray
            ``(level, lat, lon)``, NaN at levels that have no channel, or ``(lat, lon)``.
        """
        levels = [self.channels[position].level for position in positions]
        upper = levels[0] is not None
        shape = (*((len(self._levels),) if upper else ()), *self.grid.shape)
        if array is None:
            return np.full(shape, np.nan, np.float32)
        rows = [self._rows[position] for position in positions]
        if levels == (self._levels if upper else [None]):
            return array[rows].reshape(shape)
        block = np.full(shape, np.nan, np.float32)
        for row, level in zip(rows, levels, strict=True):
            block[self._levels.index(level)] = array[row]
        return block

    def _complete(self, i_init: int) -> None:
        """Declare an initial time complete, after its files have their names."""
        for shard in self._shards.pop(i_init).values():
            shard.finish()
        self._pending[i_init] = False
        self._written.pop(i_init, None)
        self._group.update_attributes(
            {
                "pending": iso_texts(self.init_times[self._pending]),
                "missing": [list(key) for key in sorted(self._missing)],
            }
        )

    def _abandon(self) -> None:
        """Drop the leads of initial times that are not complete."""
        for shards in self._shards.values():
            for shard in shards.values():
                shard.abandon()
        self._shards, self._written = {}, {}

    def close(self) -> None:
        """Finish the store.

        Raises
        ------
        ValueError
            When fields were neither written nor declared missing; their initial times stay pending.
        """
        self._abandon()
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
            self._abandon()


def _open_readers(
    group: zarr.Group,
    variables: Iterable[str],
    lead_hours: Sequence[int],
    times: Sequence[str] = (),
) -> dict[str, ShardReader]:
    """Open the arrays of a store.

    Parameters
    ----------
    group : zarr.Group
        The store.
    variables : iterable of str
        Their names.
    lead_hours : sequence of int
        Leads of the store.
    times : sequence of str
        Texts of its initial times, for errors.

    Returns
    -------
    dict of str to ShardReader
        A reader of single leads by variable.
    """
    root = group.store._store.root
    return {name: ShardReader(root / name, group[name], times, lead_hours) for name in variables}


@dataclass(frozen=True)
class _Part:
    """The channels of a variable that are read.

    Attributes
    ----------
    variable : str
        The variable.
    places : list of int
        Places of its channels in a field.
    levels : list of int
        Their levels in a chunk.
    whole : bool
        Whether a chunk is a part of the field as it is, in order and with no level besides.
    """

    variable: str
    places: list[int]
    levels: list[int]
    whole: bool


def _parts(stored: ChannelTable, read: ChannelTable) -> list[_Part]:
    """Return the parts of a field by variable, for the channels of a store and those to read."""
    parts = []
    axis = stored.pressure_levels
    for variable, places in channels_by_variable(read).items():
        heights = [read[place].level for place in places]
        upper = heights[0] is not None
        levels = [axis.index(height) for height in heights] if upper else [0]
        in_order = places == list(range(places[0], places[0] + len(places)))
        whole = in_order and levels == list(range(len(axis) if upper else 1))
        parts.append(_Part(variable, places, levels, whole))
    return parts


class Forecasts:
    """Reads forecast stores as one series of initial times.

    ``init_times`` are the complete ones, sorted; ``slots`` all. Of the store no more is read than
    the variables of the channels, a lead at a time.
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
        self._where: dict[int, tuple[int, int]] = {}
        self._missing: set[tuple[str, int]] = set()
        slots = []
        layout = None
        groups = []
        for number, path in enumerate(self.paths):
            group = open_store(path, "forecast store")
            leads = [int(hour) for hour in group["prediction_timedelta"][:]]
            grid = get_grid(group, "latitude", "longitude")
            own_layout = list(group.attrs["channels"]), grid, leads
            if layout not in (None, own_layout):
                raise ValueError(
                    f"{path}: other leads, channels or another grid than {self.paths[0]}"
                )
            layout = own_layout
            times = read_times(group)
            groups.append((group, iso_texts(times)))
            slots.append(times)
            pending = set(group.attrs["pending"])
            self._missing |= {(time, lead) for time, lead in group.attrs["missing"]}
            for index, (time, text) in enumerate(
                zip(times.astype(np.int64).tolist(), groups[-1][1], strict=True)
            ):
                if text not in pending:
                    self._where[time] = number, index
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
        self._parts = _parts(self._stored, self.channels)
        self._readers = [
            _open_readers(group, [part.variable for part in self._parts], self.lead_hours, texts)
            for group, texts in groups
        ]

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
        field = np.empty((len(self.channels), *self.grid.shape), np.float32)
        self._read_into(init, self.lead_hours.index(int(lead)), field)
        return field

    def read_init(self, init) -> np.ndarray:
        """Read all leads ``(lead, channel, lat, lon)``, NaN where one is missing.

        Raises KeyError as :meth:`read`.
        """
        if init not in self:
            self._fail(f"no forecast from {iso_texts([as_nanoseconds(init)])[0]}")
        shape = (len(self.lead_hours), len(self.channels), *self.grid.shape)
        fields = np.empty(shape, np.float32)
        for i_lead, field in enumerate(fields):
            self._read_into(init, i_lead, field)
        return fields

    def _read_into(self, init, i_lead: int, field: np.ndarray) -> None:
        """Read a lead of an initial time.

        Parameters
        ----------
        init
            A complete initial time.
        i_lead : int
            Position of the lead.
        field : np.ndarray
            Array ``(channel, lat, lon)`` into which the field is read.
        """
        number, i_init = self._where[int(as_nanoseconds(init).astype(np.int64))]
        position = i_init * len(self.lead_hours) + i_lead
        for part in self._parts:
            reader = self._readers[number][part.variable]
            if part.whole:
                chunk = field[part.places[0] : part.places[-1] + 1]
                reader.read_into(position, chunk.reshape(1, *reader.shape))
                continue
            # one variable after the other: at full size all together are as large as the state
            block = reader.read(position).reshape(-1, *self.grid.shape)
            field[part.places] = block[part.levels]

    def read_many(self, pairs: Iterable[tuple]) -> np.ndarray:
        """Read fields ``(pair, channel, lat, lon)`` of pairs of initial time and lead in hours."""
        return np.stack([self.read(init, lead) for init, lead in pairs])
