"""Stations and radiosondes of NNJA-AI's Parquet files.

NCEP's marks of quality (ON29; code tables 0-33-192 to 0-33-207 of NCEP) deny a value from 4 on; 15
stands for no mark. Suspect values, 3, are left to the quality control.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fuxiflow.observations.readers import radiosonde, surface
from fuxiflow.observations.readers.granule import (
    Granule,
    RefusedFile,
    channel_indices,
    count_values,
    day_of,
    footprints_of_granule,
)
from fuxiflow.observations.readers.nnja_columns import (
    TIME,
    columns_by_mnemonic,
    day_of_name,
    in_order_of_time,
    numbers,
    observation_times,
    read_batches,
    require_columns,
    station_names,
    without_missing,
)
from fuxiflow.observations.readers.reports import (
    HIGHEST,
    LOWEST,
    SHARED_NAMES,
    Report,
    ReportCollector,
)
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.physics import pressure_of_altimeter_setting

REJECTED = (4, 14)
"""First and last mark of quality that denies a value."""
_PLACE = ("LAT", "LON", TIME)
_STATION = ("WMOB", "WMOS", "RPID")
# heights of stations in m, the preferred one first: NCEP's tables of either epoch
_HEIGHTS = ("HSMSL", "SELV")
_SETTING = "ALSE"
SAME_HEIGHT = 50.0
"""Metres, 6 hPa, by which two heights of a station may differ for its pressure to be computed."""
# quantities of :mod:`.surface` by mnemonic, and their marks
_OF_STATIONS = {
    "temperature": ("TMDB", "QMAT"),
    "dew_point": ("TMDP", "QMDD"),
    "humidity": ("REHU", "QMDD"),
    "direction": ("WDIR", "QMWN"),
    "speed": ("WSPD", "QMWN"),
    "pressure": ("PRES", "QMPR"),
    "sea_level_pressure": ("PMSL", "QMPR"),
}
# columns of a sounding's levels, see decode_soundings, by mnemonics of the value and of its mark
_OF_LEVELS = (
    (("PRLC",), "QMPR"),
    (("VSIG",), ""),
    (("GP10", "UAGP10", "GP07", "UAGP07"), "QMGP"),
    (("TMDB",), "QMAT"),
    (("TMDP",), "QMDD"),
    (("REHU",), "QMDD"),
    (("WDIR",), "QMWN"),
    (("WSPD",), "QMWN"),
)
_SURFACE = 64  # bit 1 of 7 of VSIG
_LEVELS = "UARLV"
_FLAT = re.compile(r"(GP10|GP07|TMDB|TMDP|WDIR|WSPD)_PRLC(\d+)")
# columns of levels that a variable is made of
_TEMPERATURE = 3
_COLUMNS_OF = {"Z": (2,), "T": (3,), "U": (6, 7), "V": (6, 7), "R": (4, 5)}


def _rejected(mark: np.ndarray) -> np.ndarray:
    """Say which marks of quality deny a value."""
    with np.errstate(invalid="ignore"):
        return (mark >= REJECTED[0]) & (mark <= REJECTED[1])


def read_stations(
    files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read reports of stations on land: SYNOP (NC000001, 002 and 101) and METAR (NC000007).

    Parameters
    ----------
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`. Channels are those of ``surface.land``.

    Returns
    -------
    Iterator[Granule]
        The reports of a file, or why it is not used.
    """
    channel_indices(channels, surface.LAND_CHANNELS, "surface reports have")
    return (
        _granule(path, platforms, "land", lambda path: _station_granule(path, channels))
        for path in in_order_of_time(files)
    )


def _granule(path: Path, platforms: Sequence[str], platform: str, decode) -> Granule:
    """Decode a file of reports, or say why it is not used.

    Parameters
    ----------
    path : Path
        The file.
    platforms : Sequence[str]
        Platforms to use.
    platform : str
        Platform of the file.
    decode : Callable
        Returns the granule of the file, or raises.

    Returns
    -------
    Granule
        The reports, or the reason why there are none.
    """
    day = day_of(day_of_name(path))
    try:
        if platform not in platforms:
            why = f"{platform}, expected {', '.join(platforms)}"
            raise RefusedFile(Reason.PLATFORM, why)
        return decode(path)
    except RefusedFile as refusal:
        return Granule(path.name, reason=refusal.reason, message=str(refusal), day=day)
    except (OSError, pa.ArrowException) as error:
        why = f"{type(error).__name__}: {error}"
        return Granule(path.name, reason=Reason.UNREADABLE, message=why, day=day)


def _station_granule(path: Path, channels: Sequence[str]) -> Granule:
    """Return the reports of stations in a file; of equals the fullest comes first."""
    day = day_of_name(path)
    names = [name for pair in _OF_STATIONS.values() for name in pair]
    columns = columns_by_mnemonic(path, [*_PLACE, *_STATION, *_HEIGHTS, _SETTING, *names])
    require_columns(columns, _PLACE)
    if not any(name in columns for name, _ in _OF_STATIONS.values()):
        require_columns(columns, [name for name, _ in _OF_STATIONS.values()])
    table = pa.concat_tables(read_batches(path, columns))
    observed = np.full((len(table), len(surface.QUANTITIES)), np.nan)
    denied = np.zeros(observed.shape, bool)
    for quantity, (name, mark) in _OF_STATIONS.items():
        place = surface.QUANTITIES.index(quantity)
        observed[:, place] = numbers(table, name)
        denied[:, place] = _rejected(numbers(table, mark)) & np.isfinite(observed[:, place])
    observed[denied] = np.nan
    pressure = surface.QUANTITIES.index("pressure")
    lacking = np.isnan(observed[:, pressure]) & ~denied[:, pressure]
    observed[lacking, pressure] = _pressures_of_settings(table)[lacking]
    speed, direction = (
        observed[:, surface.QUANTITIES.index(name)] for name in ("speed", "direction")
    )
    odd = np.isfinite(speed) & np.isfinite(direction) & ~surface.possible_winds(speed, direction)
    indices = channel_indices(channels, surface.LAND_CHANNELS, "surface reports have")
    values = surface.channel_values(observed)[:, indices].astype(np.float32)
    impossible = odd[:, None] & np.isin(channels, ("U10", "V10"))
    flagged = np.isnan(values) & np.stack(
        [
            denied[:, [surface.QUANTITIES.index(name) for name in quantities]].any(axis=1)
            for quantities in (surface.CHANNEL_QUANTITIES[channel] for channel in channels)
        ],
        axis=1,
    )
    time = observation_times(table, day)
    stations = station_names(table, SHARED_NAMES)
    order = np.lexsort((-np.isfinite(values).sum(axis=1), stations, time))
    place = {
        "time": time[order],
        "lat": numbers(table, "LAT")[order],
        "lon": numbers(table, "LON")[order],
        "station": stations[order],
        "height": _heights(table)[order],
    }
    footprints = footprints_of_granule(
        channels, values[order], place, _period(time, day), "land", path.name
    )
    lost = [
        *count_values(path.name, day_of(day), channels, flagged, Reason.FLAGGED),
        *count_values(path.name, day_of(day), channels, impossible, Reason.IMPOSSIBLE),
    ]
    return Granule(
        path.name,
        footprints=footprints,
        count=len(footprints),
        day=day_of(day),
        values=tuple(lost),
    )


def _pressures_of_settings(table: pa.Table) -> np.ndarray:
    """Return the pressures ``(n,)`` in Pa that altimeter settings tell, as METAR gives them.

    NaN without a setting that is not denied, without a height, and where two heights contradict
    each other.
    """
    setting = numbers(table, _SETTING)
    unusable = _rejected(numbers(table, _OF_STATIONS["pressure"][1]))
    preferred, other = _given_heights(table)
    with np.errstate(invalid="ignore"):
        unusable |= np.abs(preferred - other) > SAME_HEIGHT
        pressure = pressure_of_altimeter_setting(setting, _heights(table))
    return np.where(unusable, np.nan, pressure)


def _heights(table: pa.Table) -> np.ndarray:
    """Return the heights of stations ``(n,)`` in m, NaN where no possible one is given."""
    preferred, other = _given_heights(table)
    return np.where(np.isfinite(preferred), preferred, other)


def _given_heights(table: pa.Table) -> Iterator[np.ndarray]:
    """Yield the heights ``(n,)`` by each of the columns, NaN where one cannot be."""
    for name in _HEIGHTS:
        height = numbers(table, name)
        with np.errstate(invalid="ignore"):
            yield np.where((height >= LOWEST) & (height <= HIGHEST), height, np.nan)


def _period(time: np.ndarray, day: np.datetime64) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and last of the times ``(n,)`` of a file; its day where none is known."""
    seen = time[~np.isnat(time)]
    return (seen.min(), seen.max()) if len(seen) else (day, day)


def read_soundings(
    files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read soundings of radiosondes (NC002001), interpolated to the pressure levels of the state.

    A sounding has all its levels in ``UARLV``; one without has those at mandatory levels, which
    have columns of their own.

    Parameters
    ----------
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`. Channels are those of ``radiosonde``.

    Yields
    ------
    Granule
        Soundings of several files, or why a file is not used.
    """
    channel_indices(channels, radiosonde.CHANNELS, "soundings have")
    collector = ReportCollector(channels)
    for path in in_order_of_time(files):
        refused = _granule(
            path,
            platforms,
            radiosonde.PLATFORM,
            lambda path: _collect_soundings(path, channels, collector),
        )
        if refused.reason != Reason.USED:
            yield refused
        yield from collector.granules()
    yield from collector.granules(rest=True)


def _collect_soundings(path: Path, channels: Sequence[str], collector: ReportCollector) -> Granule:
    """Add the soundings of a file to others.

    Parameters
    ----------
    path : Path
        The file.
    channels : Sequence[str]
        Names of the channels.
    collector : ReportCollector
        Takes them.

    Returns
    -------
    Granule
        Without footprints: the collector makes those.
    """
    day = day_of_name(path)
    flat = [
        f"{mnemonic}_PRLC{round(100 * level)}"
        for mnemonic in ("GP10", "GP07", "TMDB", "TMDP", "WDIR", "WSPD")
        for level in radiosonde.PRESSURE_LEVELS
    ]
    columns = columns_by_mnemonic(path, [*_PLACE, *_STATION, *_HEIGHTS, _LEVELS, *flat])
    require_columns(columns, _PLACE)
    if _LEVELS not in columns and not any(name in columns for name in flat):
        require_columns(columns, [_LEVELS])
    for table in read_batches(path, columns):
        time = observation_times(table, day)
        lat, lon = numbers(table, "LAT"), numbers(table, "LON")
        stations, heights = station_names(table, SHARED_NAMES), _heights(table)
        period = _period(time, day)
        levels, marks, bounds = _all_levels(table)
        mandatory = _mandatory_levels(table)
        for row in range(len(table)):
            part = slice(bounds[row], bounds[row + 1])
            sounding, denied = levels[part], marks[part]
            if not np.isfinite(sounding[:, 2:]).any():
                sounding = mandatory[row]
                denied = np.zeros(sounding.shape, bool)
            for channel in denied_channels(sounding, denied, channels):
                collector.lose(path.name, time[row], channel, Reason.FLAGGED)
            usable = np.where(denied, np.nan, sounding)
            for channel, reason in radiosonde.unusable_levels(usable, channels):
                collector.lose(path.name, time[row], channel, reason)
            values = radiosonde.sounding_values(usable, channels)
            report = Report(
                time[row],
                lat[row],
                lon[row],
                radiosonde.PLATFORM,
                str(stations[row]),
                values,
                period,
                height=heights[row],
            )
            collector.add(path.name, report)
    return Granule(path.name)


def denied_channels(
    levels: np.ndarray, denied: np.ndarray, channels: Sequence[str]
) -> Iterator[str]:
    """Yield the channels whose reported level is denied by its marks.

    Parameters
    ----------
    levels : np.ndarray
        Levels ``(n, 8)`` as reported.
    denied : np.ndarray
        Whether marks deny them, ``(n, 8)``.
    channels : Sequence[str]
        Names of the channels.

    Yields
    ------
    str
        Name of a channel.
    """
    if not denied.any():
        return
    for channel in channels:
        own = list(_COLUMNS_OF[channel[0]])
        # humidity is relative to the temperature
        needed = [0, *own, *([_TEMPERATURE] if channel[0] == "R" else [])]
        reported = np.isfinite(levels[:, own]).any(axis=1)
        at_level = levels[:, 0] == 100.0 * int(channel[1:])
        if (at_level & reported & denied[:, needed].any(axis=1)).any():
            yield channel


def _all_levels(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all levels of soundings as :func:`.radiosonde.decode_soundings` has them.

    Parameters
    ----------
    table : pa.Table
        Columns by last name; n soundings.

    Returns
    -------
    levels : np.ndarray
        ``(level, 8)`` of all soundings.
    denied : np.ndarray
        ``(level, 8)``, whether marks of quality deny a value.
    bounds : np.ndarray
        ``(n + 1,)``: levels of sounding i are those from ``bounds[i]`` up to ``bounds[i + 1]``.
    """
    count = len(_OF_LEVELS)
    nothing = np.zeros((0, count)), np.zeros((0, count), bool), np.zeros(len(table) + 1, int)
    if _LEVELS not in table.column_names:
        return nothing
    lists = table[_LEVELS].combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    if not _is_list(lists.type) or not pa.types.is_struct(lists.type.value_type):
        raise RefusedFile(Reason.UNREADABLE, f"column {_LEVELS} is {lists.type}, no levels")
    inside = lists.flatten()
    columns, marks = [], []
    for names, mark in _OF_LEVELS:
        columns.append(_member(inside, names))
        denied = _rejected(_member(inside, (mark,))) & np.isfinite(columns[-1])
        marks.append(denied)
    flags = columns[1]
    columns[1] = np.where(
        np.isfinite(flags), (np.nan_to_num(flags).astype(int) & _SURFACE) > 0, np.nan
    )
    lengths = np.nan_to_num(lists.value_lengths().to_numpy(zero_copy_only=False)).astype(int)
    return np.stack(columns, axis=1), np.stack(marks, axis=1), np.append(0, lengths.cumsum())


def _member(levels: pa.StructArray, names: Sequence[str]) -> np.ndarray:
    """Return a member of levels ``(n,)`` by the first of several mnemonics that is there.

    Members of members count too, and the first of those that are lists, as BUFR's delayed
    replication is. All are NaN where there is none.

    Parameters
    ----------
    levels : pa.StructArray
        The levels.
    names : Sequence[str]
        Mnemonics, the preferred one first.

    Returns
    -------
    np.ndarray
        Numbers ``(n,)``.
    """
    leaves = dict(_leaves(levels))
    values = np.full(len(levels), np.nan)
    for name in names:
        if name in leaves:
            column = leaves[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
            values = np.where(np.isfinite(values), values, without_missing(column))
    return values


def _is_list(kind: pa.DataType) -> bool:
    """Say whether values of a type are lists."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _leaves(array: pa.StructArray) -> Iterator[tuple[str, pa.Array]]:
    """Yield the members of structs that are numbers, with their names."""
    for field in array.type:
        member = pc.struct_field(array, [field.name])
        if _is_list(member.type):
            lengths = member.value_lengths()
            first = pc.if_else(pc.greater(lengths, 0), member.offsets[:-1], None)
            member = member.values.take(first)
        if pa.types.is_struct(member.type):
            yield from _leaves(member)
        elif pa.types.is_integer(member.type) or pa.types.is_floating(member.type):
            yield field.name, member


def _mandatory_levels(table: pa.Table) -> np.ndarray:
    """Return the levels that have columns of their own, ``(n, level, 8)``.

    The number after PRLC is pascals.
    """
    places = {"GP07": 2, "GP10": 2, "TMDB": 3, "TMDP": 4, "WDIR": 6, "WSPD": 7}
    parts = {name: _FLAT.fullmatch(name) for name in sorted(table.column_names)}
    parts = {name: (match[1], float(match[2])) for name, match in parts.items() if match}
    pressures = sorted({pressure for _, pressure in parts.values()}, reverse=True)
    levels = np.full((len(table), len(pressures), len(_OF_LEVELS)), np.nan)
    levels[:, :, 0] = pressures
    # of two names for geopotential the later one, GP10, counts
    for name, (mnemonic, pressure) in sorted(parts.items()):
        column = numbers(table, name)
        place = (slice(None), pressures.index(pressure), places[mnemonic])
        levels[place] = np.where(np.isfinite(column), column, levels[place])
    return levels
