"""Write sounders, stations and radiosondes as NNJA-AI does, in Parquet: a file a day and message.

Columns are called as there (NNJA-AI, ``docs/datasets.md``, brightbandtech/nnja-ai). Values are
rounded as NCEP's messages have them: whole seconds, 0.01 degrees (0.00001 of ATMS's places), 0.01
K, 10 Pa, 1 degree and 0.1 m/s, 10 m2/s2. A value that the world does not know is null, and 1e11
within levels. Temperatures of AMSU-A and MHS stand for those of the antenna: the world's antennas
have no side lobes. A scan is in the file of the day on which it begins.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from fuxiflow.config.sources import Platform, Source
from fuxiflow.observations.bufr_messages import BUFR_SATELLITES
from fuxiflow.observations.orbits import Swath
from fuxiflow.observations.readers.bufr_instruments import INSTRUMENTS
from fuxiflow.physics import GRAVITY
from fuxiflow.storage.tables import ParquetWriter, stamp_schema
from fuxiflow.world.networks import Reports
from fuxiflow.world.reports import STANDARD_LEVELS
from fuxiflow.world.stations import Stations

MESSAGES = {
    "atms": "NC021203",
    "amsua": "NC021023",
    "mhs": "NC021027",
    "synop": "NC000001",
    "temp": "NC002001",
}
"""NCEP's kinds of messages, by instrument."""
MISSING_IN_LEVELS = 1e11
"""BUFRLIB's number for a missing value, which stands within lists of levels."""
Rows = tuple[Platform, Swath, np.ndarray]
"""A granule: who has seen it, from where, and what in K, ``(scan, field of view, channel)``."""
_SATELLITES = {name: number for number, name in BUFR_SATELLITES.items()}
_HEIGHT = 830_000.0  # m, of the satellites' orbits
# names of columns and decimals of ecCodes' elements
_OF_STATIONS = {
    "PRSSQ1.PRES": "nonCoordinatePressure",
    "PRSSQ1.PMSL": "pressureReducedToMeanSeaLevel",
    "TMPSQ1.TMDB": "airTemperature",
    "TMPSQ1.TMDP": "dewpointTemperature",
    "WNDSQ1.WDIR": "windDirection",
    "WNDSQ1.WSPD": "windSpeed",
}
_UNKNOWN_OF_STATIONS = (
    *("PRSSQ1.QMPR", "TMPSQ1.QMAT", "TMPSQ1.QMDD", "WNDSQ1.QMWN"),
    *("WNDSQ1.WNDSQ2.MXGS", "RPSEC1.HOVI"),
)
_OF_LEVELS = {
    "PRLC": "pressure",
    "GP10": "nonCoordinateGeopotentialHeight",
    "TMDB": "airTemperature",
    "TMDP": "dewpointTemperature",
    "WDIR": "windDirection",
    "WSPD": "windSpeed",
}
_DECIMALS = {"PRES": -1, "PMSL": -1, "PRLC": -1, "GP10": -1, "WDIR": 0, "WSPD": 1}
_MEMBERS = {
    "UAGP07": ("GP07",),
    "UAGP10": ("GP10",),
    "UATMP": ("QMAT", "TMDB", "QMDD", "TMDP"),
    "UAWND": ("QMWN", "WDIR", "WSPD"),
}
# bits 1, 2 and 5 of 7 of vertical sounding significance
_AT_SURFACE, _STANDARD, _SIGNIFICANT = 64.0, 32.0, 4.0


def common_columns(
    message: str, time: np.ndarray, lat: np.ndarray, lon: np.ndarray
) -> dict[str, pa.Array]:
    """Return the columns that files of all kinds of messages have.

    Parameters
    ----------
    message : str
        Kind of message, as NC021023.
    time : np.ndarray
        UTC, ``(n,)``.
    lat, lon : np.ndarray
        Degrees, longitudes in [-180, 180), ``(n,)``.

    Returns
    -------
    dict
        Columns by name.
    """
    time = np.asarray(time, "datetime64[us]")
    days = pa.array(time.astype("datetime64[D]"))
    return {
        "MSG_TYPE": pa.repeat(message, len(time)),
        "MSG_DATE": days,
        "MSG_IDX": pa.array(np.zeros(len(time), np.int64)),
        "SUBSET_IDX": pa.array(np.arange(len(time))),
        "SRC_FILENAME": pa.repeat("fuxi_sim", len(time)),
        "LAT": pa.array(np.asarray(lat, float)),
        "LON": pa.array(np.asarray(lon, float)),
        "OBS_TIMESTAMP": pa.array(time).cast(pa.timestamp("ns", "UTC")),
        "OBS_DATE": days,
    }


def sounder_table(
    message: str, view: Mapping[str, np.ndarray | float], values: Mapping[str, np.ndarray]
) -> pa.Table:
    """Return the columns of a sounder.

    Parameters
    ----------
    message : str
        Kind of message: those of ATMS have another group of channels.
    view : mapping
        ``time``, ``LAT`` and ``LON`` ``(n,)``, and further columns by their names, ``(n,)`` or one
        number for all; NaN is null.
    values : mapping
        By member of the group of channels, ``TMBR`` in K among them, ``(n, channel)``.

    Returns
    -------
    pa.Table
        The rows.
    """
    group = "ATMSCH" if message == MESSAGES["atms"] else "BRITCSTC"
    count = len(view["time"])
    columns = common_columns(message, view["time"], view["LAT"], view["LON"])
    columns |= {
        name: _numbers(value, count)
        for name, value in view.items()
        if name not in (*columns, "time")
    }
    for member, table in values.items():
        for channel, column in enumerate(np.asarray(table, float).T, start=1):
            columns[f"{group}.{member}_{channel:05d}"] = _numbers(column, count)
    return pa.table(columns)


def _numbers(values: np.ndarray | float, count: int) -> pa.Array:
    """Return a column of ``count`` numbers, null where they are NaN."""
    return pa.array(np.broadcast_to(np.asarray(values, float), count), from_pandas=True)


def _name(source: Source, day: date) -> str:
    return f"gdas.{day:%Y%m%d}.{MESSAGES[source.instrument]}.parquet"


def _writer(path: Path, schema: pa.Schema) -> ParquetWriter:
    return ParquetWriter(path, stamp_schema(schema), compression="zstd")


def write_nnja_swaths(
    directory: Path, source: Source, day: date, granules: Iterable[Rows]
) -> list[int]:
    """Write the granules of a day into one file, a row group each; none where there is no granule.

    Parameters
    ----------
    directory : Path
        Where the file is written.
    source : Source
        The sounder.
    day : date
        The day.
    granules : iterable of Rows
        Its granules.

    Returns
    -------
    list of int
        Footprints of the granules.
    """
    counts: list[int] = []
    with ExitStack() as stack:
        for platform, view, brightness in granules:
            table = _swath_table(source.instrument, platform.name, view, brightness)
            if not counts:
                path = Path(directory) / _name(source, day)
                writer = stack.enter_context(_writer(path, table.schema))
            writer.write_table(table)
            counts.append(len(table))
    return counts


def _swath_table(instrument: str, platform: str, view: Swath, brightness: np.ndarray) -> pa.Table:
    """Return the columns of a granule.

    Parameters
    ----------
    instrument, platform : str
        Names of the instrument and the satellite.
    view : Swath
        Places, times and angles of the footprints.
    brightness : np.ndarray
        In K, ``(scan, field of view, channel)``, NaN where missing.

    Returns
    -------
    pa.Table
        A row for each footprint.
    """
    shape = view.lat.shape
    atms = instrument == "atms"

    def flat(values: np.ndarray, decimals: int = 2) -> np.ndarray:
        return np.round(np.broadcast_to(values, shape).ravel(), decimals)

    columns = {
        "time": view.time.ravel().astype("datetime64[s]"),
        "LAT": flat(view.lat, 5 if atms else 2),
        "LON": flat(view.lon, 5 if atms else 2),
        "SAID": _SATELLITES[platform],
        "SIID": INSTRUMENTS[instrument].types[0],
        "FOVN": flat(view.field_of_view[None] + 1.0),
        "SAZA": flat(view.zenith),
        "SOZA": flat(view.solar_zenith),
        "SOLAZI": flat(view.solar_azimuth) % 360.0,
        "BEARAZ": flat(view.azimuth) % 360.0,
        "HMSL": _HEIGHT,
    }
    temperatures = np.round(brightness.reshape(-1, brightness.shape[-1]).astype(float), 2)
    values = {"TMBR": temperatures}
    if atms:
        # the instrument counts its scan lines by 8 bits
        columns |= {"SLNM": flat(view.scan[:, None] % 255 + 1.0)}
        columns |= dict.fromkeys(("NGQI", "ATMSGQ", "ATMSSQ"), 0.0)
        values |= {"TMANT": np.full(temperatures.shape, np.nan)}
        values |= {"ATMSCHQ": np.zeros(temperatures.shape)}
    else:
        columns |= dict.fromkeys(("LSQL", "HOLS"), np.nan)
    return sounder_table(MESSAGES[instrument], columns, values)


def write_nnja_reports(
    directory: Path, source: Source, day: date, reports: Sequence[Reports]
) -> None:
    """Write the reports of a day into one file.

    Parameters
    ----------
    directory : Path
        Where the file is written.
    source : Source
        The network: land stations, or radiosondes.
    day : date
        The day.
    reports : Sequence[Reports]
        Its reports, of one time after the other.
    """
    columns_of = _sounding_columns if source.instrument == "temp" else _station_columns
    tables = []
    for one in reports:
        lat, lon = np.round(one.lat, 2), np.round(one.lon, 2)
        columns = common_columns(MESSAGES[source.instrument], one.when, lat, lon)
        tables.append(pa.table(columns | _names(one.members) | columns_of(one)))
    path = Path(directory) / _name(source, day)
    with _writer(path, tables[0].schema) as writer:
        writer.write_table(pa.concat_tables(tables))


def _names(members: Stations) -> dict[str, pa.Array]:
    """Return the columns that name stations and their heights."""
    return {
        "RPID": pa.array([f"{number:05d}" for number in members.number]),
        "WMOB": pa.array(members.number // 1000 + 0.0),
        "WMOS": pa.array(members.number % 1000 + 0.0),
        "SELV": pa.array(np.round(members.height)),
    }


def _rounded(mnemonic: str, values: np.ndarray) -> np.ndarray:
    """Round values of an element; temperatures to hundredths."""
    return np.round(values, _DECIMALS.get(mnemonic, 2))


def _station_columns(reports: Reports) -> dict[str, pa.Array]:
    """Return the columns of what land stations measure."""
    count = len(reports.members)
    measured = {
        name: _numbers(_rounded(name.rpartition(".")[2], reports.values[element]), count)
        for name, element in _OF_STATIONS.items()
    }
    return measured | {name: _numbers(np.nan, count) for name in _UNKNOWN_OF_STATIONS}


def _sounding_columns(reports: Reports) -> dict[str, pa.Array]:
    """Return the columns of soundings: all levels as lists, and mandatory ones apart."""
    values = {name: reports.values[element] for name, element in _OF_LEVELS.items()}
    values["GP10"] = GRAVITY * values["GP10"]
    values = {name: _rounded(name, column) for name, column in values.items()}
    pressure = values["PRLC"]
    standard = np.isin(pressure, 100.0 * np.array(STANDARD_LEVELS))
    # the first level is the ground, at whatever pressure
    standard[:, 0] = False
    values["VSIG"] = np.where(standard, _STANDARD, _SIGNIFICANT)
    values["VSIG"][:, 0] = _AT_SURFACE
    columns = {}
    rows = np.arange(len(pressure))
    for name in ("TMDB", "TMDP", "WSPD", "WDIR", "GP10"):
        for level in STANDARD_LEVELS:
            here = standard & (pressure == 100.0 * level)
            column = np.where(here.any(axis=1), values[name][rows, here.argmax(axis=1)], np.nan)
            columns[f"{name}_PRLC{100 * level}"] = _numbers(column, len(rows))
    return columns | {"UARLV": _levels(values)}


def _levels(values: Mapping[str, np.ndarray]) -> pa.ListArray:
    """Return the levels of soundings that have a pressure, as lists of structs.

    ``values`` are by mnemonic, ``(n, level)``.
    """
    there = np.isfinite(values["PRLC"])

    def member(name: str) -> pa.Array:
        column = values.get(name, np.full(there.shape, np.nan))[there]
        return pa.array(np.where(np.isfinite(column), column, MISSING_IN_LEVELS))

    columns = {name: member(name) for name in ("VSIG", "QMPR", "PRLC", "QMGP")}
    for group, names in _MEMBERS.items():
        columns[group] = pa.StructArray.from_arrays([member(name) for name in names], list(names))
    offsets = np.append(0, there.sum(axis=1).cumsum()).astype(np.int32)
    levels = pa.StructArray.from_arrays([*columns.values()], [*columns])
    return pa.ListArray.from_arrays(pa.array(offsets), levels)
