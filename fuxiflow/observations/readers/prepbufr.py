"""PrepBUFR: NCEP's reports after its quality control, of stations, ships, buoys and radiosondes.

A value is the newest of a stack of events, each with a quality mark and the program that made it.
Marks 0 to 2 are of good values; others deny a value, and the ledger has the mark. A report has its
mass (types 1xx) and its wind (2xx) in subsets of their own, which are joined here. Format: NCEP,
``prepbufr.table`` (NOAA-EMC/NCEPLIBS-bufr).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fuxiflow import physics
from fuxiflow.observations.ncep_bufr import NcepReports
from fuxiflow.observations.ncep_decoder import Instances
from fuxiflow.observations.readers import radiosonde, surface
from fuxiflow.observations.readers.granule import (
    Granule,
    ValueCount,
    channel_indices,
    day_of,
    footprints_of_granule,
)
from fuxiflow.observations.readers.ncep_messages import reports_of_kinds
from fuxiflow.observations.readers.nnja_columns import day_of_name, in_order_of_time
from fuxiflow.observations.readers.nnja_reports import denied_channels
from fuxiflow.observations.readers.reports import DAY, SHARED_NAMES, Report, ReportCollector
from fuxiflow.observations.rejection_codes import Reason

VARIANTS = ("land", "sea", "radiosondes")


class ReportTypes(NamedTuple):
    """The reports of a source: their sequence, and the types of mass and of wind that are used.

    ``pressure`` are the types whose pressure was measured; that of others is a coordinate.
    """

    kind: str
    mass: tuple[int, ...]
    wind: tuple[int, ...]
    pressure: tuple[int, ...]


TYPES = {
    "land": ReportTypes("ADPSFC", (181, 183, 187), (281, 284, 287), (181, 187)),
    "sea": ReportTypes("SFCSHP", (180, 183), (280, 282, 284), (180,)),
    "radiosondes": ReportTypes("ADPUPA", (120, 122, 132), (220, 221, 222, 232), (120, 122, 132)),
}
"""Reports by variant. NCEP's types: 120, 220 radiosondes; 122, 222 the like from aboard ships or
mobile; 132, 232 dropsondes; 221 pilot balloons; 180, 280 ships and buoys; 181, 281 SYNOP; 187, 287
METAR; 183, 284 without a station pressure; 282 moored buoys of the tropics."""
BEST = 2
"""The last mark of a good value; 3 is suspect, 15 is none or purged."""
VIRTUAL_ALONE = 99
"""In place of a mark: a virtual temperature without the humidity that would make it one of air."""
VIRTUAL = 8
"""The program VIRTMP, which turns temperatures into virtual ones."""
_LEAST_PRESSURE = 50_000.0  # Pa: less is no pressure of a station
_INTERPOLATED = 7  # category of levels that were not observed
_SURFACE_LEVEL = 0
_HEAD = ("SID", "XOB", "YOB", "DHR", "ELV", "TYP", "SQN")
# quantities by mnemonic, with the mnemonic of the mark, factor and offset to SI units
_QUANTITIES = {
    "pressure": ("POB", "PQM", 100.0, 0.0),
    "geopotential": ("ZOB", "ZQM", physics.GRAVITY, 0.0),
    "specific_humidity": ("QOB", "QQM", 1e-6, 0.0),
    "u": ("UOB", "WQM", 1.0, 0.0),
    "v": ("VOB", "WQM", 1.0, 0.0),
    "sea_level_pressure": ("PMO", "PMQ", 100.0, 0.0),
    "water": ("SST1", "SSTQM", 1.0, 0.0),
}
_TEMPERATURE = ("TOB", "TQM", "TPC")
# of channels of stations: the quantity whose mark denies them
_QUANTITY_OF = {
    "T2M": "temperature",
    "R2M": "humidity",
    "U10": "speed",
    "V10": "speed",
    "PS": "pressure",
    "MSL": "sea_level_pressure",
    "SST": "water",
}
_FREEZING = 273.15
_MNEMONICS = (
    *_HEAD,
    "CAT",
    *_TEMPERATURE,
    *(name for names in _QUANTITIES.values() for name in names[:2]),
)
_OF_LEVELS = (
    "pressure",
    "surface",
    "geopotential",
    "temperature",
    "dew_point",
    "humidity",
    "direction",
    "speed",
)


class Observed(NamedTuple):
    """Quantities ``(n,)`` by name in SI units, and the marks ``(n,)`` that deny them, NaN if none.

    A value that is denied is still there.
    """

    values: dict[str, np.ndarray]
    denied: dict[str, np.ndarray]


def read(
    variant: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read the reports of files, in the order of their days.

    Channels are those of the readers ``surface.land``, ``surface.sea`` and ``radiosonde``. Reports
    of other kinds than the variant's are passed over, those of other types refused.

    Parameters
    ----------
    variant : str
        One of :data:`VARIANTS`.
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`.

    Returns
    -------
    Iterator[Granule]
        The granules.
    """
    if variant == "radiosondes":
        channel_indices(channels, radiosonde.CHANNELS, "soundings have")
        return _sounding_granules(files, platforms, channels)
    available = surface.LAND_CHANNELS if variant == "land" else surface.SEA_CHANNELS
    indices = channel_indices(channels, available, "surface reports have")
    return _surface_granules(variant, files, platforms, channels, indices)


def _denying(mark: np.ndarray) -> np.ndarray:
    """Return marks that deny a value, NaN in place of those that do not; no mark denies nothing."""
    with np.errstate(invalid="ignore"):
        return np.where(mark > BEST, mark, np.nan)


def observed_quantities_of(levels: Instances) -> Observed:
    """Return what reports, or the levels of reports, observed: the newest event of each stack.

    Temperatures are those before the program VIRTMP made them virtual. Where only a virtual one is
    there, the humidity gives the temperature; without humidity it is denied.
    """
    values, denied = {}, {}
    for name, (mnemonic, mark, factor, offset) in _QUANTITIES.items():
        values[name] = levels.first(mnemonic) * factor + offset
        denied[name] = np.where(np.isfinite(values[name]), _denying(levels.first(mark)), np.nan)
    temperature, virtual = _temperatures(levels)
    humidity = values["specific_humidity"]
    of_virtual = virtual / physics.virtual_temperature(1.0, humidity)
    values["temperature"] = np.where(np.isfinite(temperature), temperature, of_virtual)
    denied["temperature"] = np.where(
        np.isfinite(temperature) | np.isfinite(virtual), _denying(levels.first("TQM")), np.nan
    )
    lost = np.isnan(values["temperature"]) & np.isfinite(virtual)
    values["temperature"] = np.where(lost, virtual, values["temperature"])
    denied["temperature"] = np.where(lost, VIRTUAL_ALONE, denied["temperature"])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        vapour = physics.vapour_pressure(humidity, values["pressure"] / 100.0)
        values["humidity"] = 100.0 * vapour / physics.saturation_over_water(values["temperature"])
    denied["humidity"] = _worst(
        denied["specific_humidity"], denied["pressure"], denied["temperature"]
    )
    denied["humidity"] = np.where(np.isfinite(humidity), denied["humidity"], np.nan)
    values["speed"] = np.hypot(values["u"], values["v"])
    values["direction"] = np.degrees(np.arctan2(-values["u"], -values["v"])) % 360.0
    denied["speed"] = denied["direction"] = denied["u"]
    return Observed(values, denied)


def _worst(*marks: np.ndarray) -> np.ndarray:
    """Return the first of several marks ``(n,)`` that is not NaN."""
    first = marks[0]
    for other in marks[1:]:
        first = np.where(np.isnan(first), other, first)
    return first


def _temperatures(levels: Instances) -> tuple[np.ndarray, np.ndarray]:
    """Return temperatures and virtual temperatures ``(n,)`` in K, each the newest of its kind."""
    both = np.full((2, len(levels)), np.nan)
    holder = levels.holder("TOB")
    if holder is not None:
        events, of = holder
        program = events.values["TPC"][0] if "TPC" in events.values else np.full(len(of), np.nan)
        is_virtual = program == VIRTUAL
        for row, kind in enumerate((~is_virtual, is_virtual)):
            # events stand newest first
            instances, first = np.unique(of[kind], return_index=True)
            both[row, instances] = events.values["TOB"][0][kind][first] + _FREEZING
    return both[0], both[1]


class _Heads(NamedTuple):
    """Heads ``(n,)`` of reports: what of them is usable, and what joins mass and wind."""

    station: np.ndarray
    time: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    height: np.ndarray
    kind: np.ndarray
    cycle: np.ndarray
    group: np.ndarray


def _heads(decoded: NcepReports) -> _Heads:
    """Return the heads of reports. Their times are those of the message plus the report's hours."""
    reports = decoded.reports
    cycles = np.array(
        [
            np.datetime64(message.header.time, "us")
            if message.header.time
            else np.datetime64("NaT", "us")
            for message in decoded.messages
        ]
    )[reports.of]
    hours = reports.first("DHR")
    time = cycles + np.round(np.nan_to_num(hours) * 3.6e9).astype("timedelta64[us]")
    time = np.where(np.isnan(hours), np.datetime64("NaT"), time)
    names = reports.first("SID")
    names = names.astype(str) if names.dtype.kind == "U" else np.full(len(reports), "")
    number = np.nan_to_num(reports.first("SQN"), nan=-1.0).astype(np.int64)
    # without a number a report stands alone
    alone = -2 - np.arange(len(reports))
    number = np.where(number < 0, alone, number)
    keys = np.rec.fromarrays([names, number, cycles])
    _, group = np.unique(keys, return_inverse=True)
    shared = np.isin(np.char.upper(names), list(SHARED_NAMES))
    return _Heads(
        np.where(shared, "", names),
        time,
        reports.first("YOB"),
        reports.first("XOB"),
        reports.first("ELV"),
        np.nan_to_num(reports.first("TYP"), nan=-1.0).astype(int),
        cycles,
        group,
    )


def _other_types(path: Path, kinds: np.ndarray, types: ReportTypes) -> Iterator[Granule]:
    """Refuse the reports of types that are not used.

    Parameters
    ----------
    path : Path
        The file.
    kinds : np.ndarray
        Types of reports ``(n,)``, -1 where missing.
    types : ReportTypes
        Those that are used.

    Yields
    ------
    Granule
        One for each other type.
    """
    used = (*types.mass, *types.wind)
    for kind in np.unique(kinds[~np.isin(kinds, used)]):
        yield Granule(
            path.name,
            reason=Reason.INSTRUMENT,
            message=f"report type {kind if kind >= 0 else 'missing'} of {types.kind} is not used",
            count=int((kinds == kind).sum()),
            day=day_of(day_of_name(path)),
        )


def _surface_granules(
    variant: str,
    files: Sequence[Path],
    platforms: Sequence[str],
    channels: Sequence[str],
    indices: Sequence[int],
) -> Iterator[Granule]:
    """Yield the reports of stations, ships and buoys.

    Parameters
    ----------
    variant, files, platforms, channels
        See :func:`read`.
    indices : sequence of int
        Places of the channels among :data:`.surface.SEA_CHANNELS`.

    Yields
    ------
    Granule
        Reports of a platform, or why others are not used.
    """
    types = TYPES[variant]
    for path in in_order_of_time(files):
        for result in reports_of_kinds(path, [types.kind], _MNEMONICS, mixed=True):
            if isinstance(result, Granule):
                yield result
                continue
            heads = _heads(result)
            yield from _other_types(path, heads.kind, types)
            used = np.isin(heads.kind, (*types.mass, *types.wind))
            if not used.any():
                continue
            observed, denied = _surface_values(result.reports, heads, types)
            buoys = np.char.isdecimal(heads.station.astype(str))
            names = np.where(buoys, "buoy", "ship") if variant == "sea" else None
            for platform in ("ship", "buoy") if variant == "sea" else ("land",):
                rows = used if names is None else used & (names == platform)
                if rows.any():
                    yield _surface_granule(
                        path,
                        platform,
                        platforms,
                        channels,
                        indices,
                        _joined(heads, observed, denied, rows),
                    )


class _SurfaceReports(NamedTuple):
    """Reports of stations: heads, quantities ``(n, quantity)`` and marks that deny them."""

    heads: _Heads
    observed: np.ndarray
    denied: np.ndarray


def _surface_values(
    reports: Instances, heads: _Heads, types: ReportTypes
) -> tuple[np.ndarray, np.ndarray]:
    """Return the quantities of reports and the marks that deny them.

    Parameters
    ----------
    reports : Instances
        The reports.
    heads : _Heads
        Their heads.
    types : ReportTypes
        The types that are used, and those whose pressure is one of the station.

    Returns
    -------
    observed, denied : np.ndarray
        Quantities as :data:`.surface.QUANTITIES`, and marks, NaN if none, ``(n, quantity)``.
    """
    values, marks = observed_quantities_of(reports)
    measured = np.isin(heads.kind, types.pressure) & ~(values["pressure"] < _LEAST_PRESSURE)
    values["pressure"] = np.where(measured, values["pressure"], np.nan)
    wind = np.isin(heads.kind, types.wind)
    nothing = np.full(len(reports), np.nan)
    observed, denied = [], []
    for name in surface.QUANTITIES:
        # a type says what of a report is of it
        own = wind if name in ("speed", "direction") else ~wind
        observed.append(np.where(own, values.get(name, nothing), np.nan))
        denied.append(np.where(np.isfinite(observed[-1]), marks.get(name, nothing), np.nan))
    return np.stack(observed, axis=1), np.stack(denied, axis=1)


def _joined(
    heads: _Heads, observed: np.ndarray, denied: np.ndarray, rows: np.ndarray
) -> _SurfaceReports:
    """Join the mass and the wind of reports: a report takes each quantity where one has it.

    Parameters
    ----------
    heads : _Heads
        Heads of subsets.
    observed, denied : np.ndarray
        Quantities, and marks that deny them, ``(n, quantity)``.
    rows : np.ndarray
        The subsets ``(n,)`` to join.

    Returns
    -------
    _SurfaceReports
        One for each report.
    """
    place = np.flatnonzero(rows)
    _, first, group = np.unique(heads.group[place], return_index=True, return_inverse=True)
    whole = np.full((len(first), observed.shape[1]), np.nan)
    marks = whole.copy()
    for column in range(observed.shape[1]):
        seen = np.flatnonzero(np.isfinite(observed[place, column]))[::-1]
        # of several the first: it is written last
        whole[group[seen], column] = observed[place[seen], column]
        marks[group[seen], column] = denied[place[seen], column]
    return _SurfaceReports(_Heads(*(part[place[first]] for part in heads)), whole, marks)


def _surface_granule(
    path: Path,
    platform: str,
    platforms: Sequence[str],
    channels: Sequence[str],
    indices: Sequence[int],
    reports: _SurfaceReports,
) -> Granule:
    """Make the granule of the reports of a platform; of equals the fullest comes first.

    Parameters
    ----------
    path : Path
        The file.
    platform : str
        Its name.
    platforms, channels
        See :func:`read`.
    indices : sequence of int
        Places of the channels among :data:`.surface.SEA_CHANNELS`.
    reports : _SurfaceReports
        The reports.

    Returns
    -------
    Granule
        The footprints, or the refusal where the platform is none of the source.
    """
    heads, observed, marks = reports
    day = day_of(day_of_name(path))
    if platform not in platforms:
        why = f"{platform}, expected {', '.join(platforms)}"
        count = len(heads.time)
        return Granule(path.name, reason=Reason.PLATFORM, message=why, count=count, day=day)
    usable = np.where(np.isnan(marks), observed, np.nan)
    values = surface.channel_values(usable)[:, indices].astype(np.float32)
    speed, direction = (
        usable[:, surface.QUANTITIES.index(name)] for name in ("speed", "direction")
    )
    odd = np.isfinite(speed) & ~surface.possible_winds(speed, direction)
    lost = [*_lost_values(path.name, day, channels, values, marks)]
    for channel in channels:
        if channel in ("U10", "V10") and odd.any():
            lost.append(ValueCount(path.name, day, channel, Reason.IMPOSSIBLE, int(odd.sum())))
    order = np.lexsort((-np.isfinite(values).sum(axis=1), heads.station, heads.time))
    place = {
        "time": heads.time[order],
        "lat": heads.lat[order],
        "lon": heads.lon[order],
        "station": heads.station[order],
        "height": heads.height[order],
    }
    period = heads.cycle[order] - DAY, heads.cycle[order] + DAY
    table = footprints_of_granule(channels, values[order], place, period, platform, path.name)
    return Granule(path.name, footprints=table, count=len(table), day=day, values=tuple(lost))


def _lost_values(file, day, channels, values: np.ndarray, marks: np.ndarray):
    """Count the values ``(n, channel)`` that marks ``(n, quantity)`` deny, by channel and mark.

    Parameters
    ----------
    file : str
        Name of the file.
    day : date | None
        Its day.
    channels : sequence of str
        Names of the channels.
    values : np.ndarray
        The values that are used.
    marks : np.ndarray
        Marks of quantities, NaN where they deny nothing.

    Yields
    ------
    ValueCount
        One for each channel and mark.
    """
    for i, channel in enumerate(channels):
        mark = marks[:, surface.QUANTITIES.index(_QUANTITY_OF[channel])]
        mark = np.where(np.isnan(values[:, i]), mark, np.nan)
        for number, count in zip(
            *np.unique(mark[~np.isnan(mark)], return_counts=True), strict=True
        ):
            text = (
                "a virtual temperature without humidity"
                if number == VIRTUAL_ALONE
                else f"quality mark {number:.0f} of NCEP"
            )
            yield ValueCount(file, day, channel, Reason.FLAGGED, int(count), text)


def _sounding_granules(
    files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Yield soundings, interpolated to the pressure levels of the state.

    Parameters
    ----------
    files, platforms, channels
        See :func:`read`.

    Yields
    ------
    Granule
        Soundings of several files, or why others are not used.
    """
    types = TYPES["radiosondes"]
    collector = ReportCollector(channels)
    for path in in_order_of_time(files):
        for result in reports_of_kinds(path, [types.kind], _MNEMONICS, mixed=True):
            if isinstance(result, Granule):
                yield result
                continue
            heads = _heads(result)
            if radiosonde.PLATFORM not in platforms:
                why = f"{radiosonde.PLATFORM}, expected {', '.join(platforms)}"
                collector.refuse(path.name, Reason.PLATFORM, why, len(heads.time))
                continue
            yield from _other_types(path, heads.kind, types)
            _collect_soundings(path.name, result.reports, heads, types, channels, collector)
        yield from collector.granules()
    yield from collector.granules(rest=True)


def _collect_soundings(
    file: str,
    reports: Instances,
    heads: _Heads,
    types: ReportTypes,
    channels: Sequence[str],
    collector: ReportCollector,
) -> None:
    """Add the soundings of a file to others, each with the levels of its mass and its wind.

    Parameters
    ----------
    file : str
        Name of the file.
    reports : Instances
        The reports.
    heads : _Heads
        Their heads.
    types : ReportTypes
        The types that are used.
    channels : Sequence[str]
        Names of the channels.
    collector : ReportCollector
        Takes them.
    """
    around = next((part for part in reports.parts if part.has("POB")), None)
    if around is None or "CAT" not in around.values:
        levels, marks, of = np.zeros((0, 8)), np.zeros((0, 8)), np.zeros(0, int)
    else:
        levels, marks = _levels(around)
        kept = around.values["CAT"][0] != _INTERPOLATED
        levels, marks, of = levels[kept], marks[kept], around.of[kept]
    used = np.flatnonzero(np.isin(heads.kind, (*types.mass, *types.wind)))
    used = used[np.argsort(heads.group[used], kind="stable")]
    bounds = np.searchsorted(of, np.arange(len(reports) + 1))
    for members in np.split(used, np.flatnonzero(np.diff(heads.group[used])) + 1):
        if not len(members):
            continue
        rows = np.concatenate([np.arange(bounds[i], bounds[i + 1]) for i in members])
        sounding, denied = levels[rows], np.isfinite(marks[rows])
        first = members[0]
        time = heads.time[first]
        for channel in denied_channels(sounding, denied, channels):
            collector.lose(file, time, channel, Reason.FLAGGED)
        usable = np.where(denied, np.nan, sounding)
        for channel, reason in radiosonde.unusable_levels(usable, channels):
            collector.lose(file, time, channel, reason)
        report = Report(
            time,
            heads.lat[first],
            heads.lon[first],
            radiosonde.PLATFORM,
            str(heads.station[first]),
            radiosonde.sounding_values(usable, channels),
            (heads.cycle[first] - DAY, heads.cycle[first] + DAY),
            height=float(heads.height[first]),
        )
        collector.add(file, report)


def _levels(around: Instances) -> tuple[np.ndarray, np.ndarray]:
    """Return levels as :func:`.radiosonde.decode_soundings` has them, and marks that deny them.

    Both are ``(level, 8)``, marks NaN where a value is not denied.
    """
    values, marks = observed_quantities_of(around)
    values["surface"] = (around.first("CAT") == _SURFACE_LEVEL).astype(float)
    nothing = np.full(len(around), np.nan)
    levels = [values.get(name, nothing) for name in _OF_LEVELS]
    denied = [marks.get(name, nothing) for name in _OF_LEVELS]
    return np.stack(levels, axis=1), np.stack(denied, axis=1)
