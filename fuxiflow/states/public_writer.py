"""Write states to Zarr stores in WeatherBench2's layout: format 2, consolidated, by variable.

Rasp et al. (2024), doi:10.1029/2023MS004019. Stores have specific humidity, precipitation in
metres, and the levels of a variable in one array. Stores on regridded grids have longitude before
latitude; some run from south to north, and some have short names of dimensions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import zarr
from numcodecs import Blosc

from fuxiflow.channels import ChannelTable
from fuxiflow.grids import Grid
from fuxiflow.physics import specific_humidity
from fuxiflow.states.public_stores import LEVELS_OF_ARRAY
from fuxiflow.storage import provenance

LEAD = "prediction_timedelta"
SINCE = "1959-01-01"
OF_CLIMATOLOGY = {"time": "dayofyear", LEAD: "hour"}
"""Dimensions of a climatology in place of those of forecasts."""
UNITS = {
    "geopotential": "m**2 s**-2",
    "geopotential_at_surface": "m**2 s**-2",
    "temperature": "K",
    "specific_humidity": "kg kg**-1",
    "u_component_of_wind": "m s**-1",
    "v_component_of_wind": "m s**-1",
    "2m_temperature": "K",
    "10m_u_component_of_wind": "m s**-1",
    "10m_v_component_of_wind": "m s**-1",
    "mean_sea_level_pressure": "Pa",
    "total_precipitation_6hr": "m",
    "land_sea_mask": "(0 - 1)",
}


@dataclass(frozen=True)
class PublicLayout:
    """The layout of a store.

    ``chunk_times`` are the times of a chunk, ``chunk_leads`` its leads, by default all; with
    ``northwards`` latitudes rise; with ``short_names`` the horizontal dimensions are ``lat`` and
    ``lon``; ``lead_unit`` is that of the leads of forecasts. A ``climatology`` has days of the
    year in place of times, and before them hours of the day in place of leads.
    """

    chunk_times: int = 1
    northwards: bool = True
    short_names: bool = False
    lead_unit: str = "hours"
    climatology: bool = False
    chunk_leads: int | None = None


def public_fields(states: np.ndarray, channels: ChannelTable) -> dict[str, np.ndarray]:
    """Return states as the fields of a public store.

    Parameters
    ----------
    states : np.ndarray
        ``(…, channel, lat, lon)`` in the channels' units.
    channels : ChannelTable
        The channels.

    Returns
    -------
    dict of np.ndarray
        By variable, ``(…, level, lat, lon)`` with levels from the top down, or ``(…, lat, lon)`` at
        the surface, in the store's units.
    """
    surface: dict[str, np.ndarray] = {}
    upper: dict[str, list[np.ndarray]] = {}
    for channel in sorted(channels, key=lambda channel: channel.level or 0):
        values = states[..., channels.index(channel.name), :, :].astype(np.float64)
        name = channel.variable
        if name == "relative_humidity":
            temperature = states[..., channels.index(f"T{channel.level}"), :, :].astype(np.float64)
            name = "specific_humidity"
            values = specific_humidity(values, temperature, float(channel.level))
        elif name == "total_precipitation_6hr":
            values = values / 1000.0
        if channel.level is None:
            surface[name] = values.astype(np.float32)
        else:
            upper.setdefault(name, []).append(values.astype(np.float32))
    return surface | {name: np.stack(levels, axis=-3) for name, levels in upper.items()}


class PublicStoreWriter:
    """Writes a store of analyses, or of forecasts where there are leads. A context manager.

    Metadata are consolidated when the block ends without an error.
    """

    def __init__(
        self,
        path: Path,
        grid: Grid,
        times: Sequence[datetime],
        levels: Sequence[int],
        lead_hours: Sequence[int] | None,
        layout: PublicLayout,
        title: str,
    ):
        """Create a store with its coordinates.

        Parameters
        ----------
        path : Path
            Its folder; one that is there is made anew.
        grid : Grid
            Grid of the fields.
        times : sequence of datetime
            Valid times, or initial times of forecasts.
        levels : sequence of int
            Pressure levels in hPa, from the top down.
        lead_hours : sequence of int or None
            Leads of forecasts.
        layout : PublicLayout
            Orders, directions, names and chunks.
        title : str
            What the store holds.
        """
        self.path, self._layout = Path(path), layout
        self._group = zarr.open_group(self.path, mode="w", zarr_format=2)
        self._group.attrs.update({"title": title, "provenance": provenance.as_json()})
        self._sizes = {"time": len(times), "level": len(levels)}
        self._sizes |= {"latitude": grid.nlat, "longitude": grid.nlon}
        if layout.climatology:
            self._sizes[LEAD] = len(lead_hours)
            days = [time.timetuple().tm_yday for time in times]
            self._coordinate("time", np.array(days, np.int64))
            self._coordinate(LEAD, np.array(lead_hours, np.int64))
        else:
            hours = (np.array(times, "datetime64[h]") - np.datetime64(SINCE, "h")).astype(np.int64)
            self._coordinate("time", hours, units=f"hours since {SINCE}", calendar="standard")
        if lead_hours is not None and not layout.climatology:
            self._sizes[LEAD] = len(lead_hours)
            scale = 3_600_000_000_000 if layout.lead_unit == "nanoseconds" else 1
            leads = np.array(lead_hours, np.int64) * scale
            self._coordinate(LEAD, leads, units=layout.lead_unit)
        self._coordinate("level", np.array(levels, np.int64), units="hPa")
        self._coordinate("latitude", grid.lat[::-1] if layout.northwards else grid.lat)
        self._coordinate("longitude", grid.lon)

    def __enter__(self) -> "PublicStoreWriter":
        return self

    def __exit__(self, kind, *error) -> None:
        if kind is None:
            zarr.consolidate_metadata(self.path, zarr_format=2)

    def _coordinate(self, dimension: str, values: np.ndarray, **attributes: str) -> None:
        """Write a coordinate in one chunk.

        Parameters
        ----------
        dimension : str
            Its usual name.
        values : np.ndarray
            ``(n,)``.
        **attributes : str
            Attributes, such as ``units``.
        """
        name = self._name(dimension)
        array = self._group.create_array(
            name, shape=values.shape, chunks=values.shape, dtype=values.dtype, compressors=Blosc()
        )
        array[...] = values
        array.attrs.update({"_ARRAY_DIMENSIONS": [name]} | attributes)

    def _name(self, dimension: str) -> str:
        """Return the name that a dimension has in the store."""
        if self._layout.climatology and dimension in OF_CLIMATOLOGY:
            return OF_CLIMATOLOGY[dimension]
        shortened = self._layout.short_names and dimension in ("latitude", "longitude")
        return dimension[:3] if shortened else dimension

    def _array(self, name: str, dimensions: Sequence[str]) -> zarr.Array:
        """Return the array of a variable, which is made where it is not there."""
        if name in self._group:
            return self._group[name]
        shape = [self._sizes[one] for one in dimensions]
        chunk = {"time": min(self._layout.chunk_times, self._sizes["time"])}
        if self._layout.chunk_leads:
            chunk[LEAD] = self._layout.chunk_leads
        array = self._group.create_array(
            name,
            shape=shape,
            chunks=[chunk.get(one, self._sizes[one]) for one in dimensions],
            dtype="float32",
            fill_value=np.nan,
            compressors=Blosc(),
        )
        attributes = {"units": UNITS[name], "_ARRAY_DIMENSIONS": list(map(self._name, dimensions))}
        array.attrs.update(attributes)
        return array

    def _arranged(self, values: np.ndarray) -> np.ndarray:
        """Return fields ``(…, lat, lon)`` as the store has them, ``(…, lon, lat)``."""
        values = values[..., ::-1, :] if self._layout.northwards else values
        return np.swapaxes(values, -1, -2)

    def write(self, first: int, fields: Mapping[str, np.ndarray], first_lead: int = 0) -> None:
        """Write fields of some times.

        Parameters
        ----------
        first : int
            Position of the first time.
        fields : mapping
            By variable, ``(time, [lead,] [level,] lat, lon)``: see :func:`public_fields`.
        first_lead : int
            Position of the first lead of forecasts.
        """
        before = ["time", LEAD] if LEAD in self._sizes else ["time"]
        for name, values in fields.items():
            levels = ["level"] if values.ndim > len(before) + 2 else []
            here = [slice(first, first + len(values))]
            if LEAD in self._sizes:
                here.append(slice(first_lead, first_lead + values.shape[1]))
            dimensions, arranged = before, self._arranged(values)
            if self._layout.climatology:
                dimensions, here = before[::-1], here[::-1]
                arranged = np.swapaxes(arranged, 0, 1)
            array = self._array(name, [*dimensions, *levels, "longitude", "latitude"])
            array[tuple(here)] = arranged

    def note_levels(self, name: str, levels: Sequence[int]) -> None:
        """Say on which levels in hPa a variable has fields, where not on all of the store."""
        if len(levels) < self._sizes["level"]:
            self._group[name].attrs[LEVELS_OF_ARRAY] = list(levels)

    def write_invariant(self, name: str, values: np.ndarray) -> None:
        """Write a field ``(lat, lon)`` that does not change."""
        self._array(name, ["longitude", "latitude"])[...] = self._arranged(values)
