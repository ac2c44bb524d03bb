"""NCEP's dumps of sounders and occultations (``*.bufr_d``), as NNJA and NOMADS have them.

Messages NC021023 (AMSU-A), NC021027 (MHS), NC021203 (ATMS), NC021241 (IASI) and NC003010
(occultations), decoded by the tables in the file. ``TMBR`` of AMSU-A and MHS is the antenna
temperature, as in NNJA-AI's files (:mod:`.nnja_ai`), which are made of these. IASI's radiances are
scaled by bands of channels, and become brightness temperatures. A file holds the observations of
six hours about its cycle.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from fuxiflow.observations.ncep_bufr import NcepReports
from fuxiflow.observations.ncep_decoder import Instances
from fuxiflow.observations.readers.bufr_instruments import ANTENNA, INSTRUMENTS
from fuxiflow.observations.readers.gnssro import add_occultation, heights_of
from fuxiflow.observations.readers.granule import Granule, channel_indices, day_of
from fuxiflow.observations.readers.ncep_messages import (
    CLOCK,
    PLACE,
    report_places,
    report_times,
    reports_of_kinds,
)
from fuxiflow.observations.readers.nnja_ai import (
    blocks_of_time,
    flag_column,
    sounder_footprints,
    value_column,
)
from fuxiflow.observations.readers.nnja_columns import TIME, day_of_name, in_order_of_time
from fuxiflow.observations.readers.occultation import assembled_occultation
from fuxiflow.observations.readers.reports import ReportCollector, period_about
from fuxiflow.observations.readers.sounder_granules import granules_by_platform
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.physics import brightness_temperature

VARIANTS = ("atms", "amsua", "mhs", "iasi", "gpsro")
KINDS = {
    "atms": "NC021203",
    "amsua": "NC021023",
    "mhs": "NC021027",
    "iasi": "NC021241",
    "gpsro": "NC003010",
}
"""Mnemonics of messages by variant."""
_HEAD = ("SAID", "FOVN", "SAZA", "BEARAZ", "NGQI", "ATMSSQ")
_OF_CHANNELS = ("TMBR", "TMANT", "ATMSCHQ")
_NUMBER = "CHNM"
# of IASI: scaled radiances, their bands of channels with exponents, and the flag of a footprint
_SCALED, _BANDS, _FLAG = "SCRA", ("STCH", "ENCH", "CHSF"), "QGFQ"
# of occultations: ecCodes' names of the head's elements by mnemonic
_OCCULTATION = {
    "SAID": "satelliteIdentifier",
    "YEAR": "year",
    "MNTH": "month",
    "DAYS": "day",
    "HOUR": "hour",
    "MINU": "minute",
    "SECO": "second",
    "QFRO": "radioOccultationDataQualityFlags",
    "CLATH": "latitude",
    "CLONH": "longitude",
    "BEARAZ": "bearingOrAzimuth",
    "ELRC": "earthLocalRadiusOfCurvature",
    "GEODU": "geoidUndulation",
}
_LEVELS = ("MEFR", "IMPP", "BNDA", "HEIT", "ARFR")


def read(
    variant: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read the footprints or occultations of files, in the order of their days.

    Channels of sounders are those of the reader ``bufr_sounder``, of occultations those of
    ``gnssro``.

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
    if variant == "gpsro":
        return _occultation_granules(files, platforms, channels, heights_of(channels))
    channel_indices(channels, INSTRUMENTS[variant].channels, f"{variant} has")
    return _sounder_granules(variant, files, platforms, channels)


def _sounder_granules(
    instrument: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Yield the granules of files of a sounder.

    Parameters
    ----------
    instrument, files, platforms, channels
        See :func:`read`.

    Yields
    ------
    Granule
        The footprints of a satellite in some messages, or why messages are not used.
    """
    values = {channel: value_column(channel) for channel in channels}
    flags = {channel: flag_column(channel) for channel in channels}
    antenna = any(channel.startswith(ANTENNA) for channel in channels)
    members = [name for name in _OF_CHANNELS if antenna or name != "TMANT"]
    radiances = INSTRUMENTS[instrument].radiances
    if radiances:
        members = [_SCALED, *_BANDS, _FLAG]
    for path in in_order_of_time(files):
        day = day_of_name(path)
        noted = False
        mnemonics = (*CLOCK, *PLACE, *_HEAD, _NUMBER, *members)
        for result in reports_of_kinds(path, [KINDS[instrument]], mnemonics):
            if isinstance(result, Granule):
                yield result
                continue
            table, lacking = _columns(result, day, {*values.values(), *flags.values()})
            absent = [channel for channel, name in values.items() if name in lacking]
            lacking = [values[channel] for channel in absent]
            # of IASI a file has a selection of channels, of others all
            if lacking and not (radiances and len(lacking) < len(values)):
                why = f"{result.kind} without {', '.join(lacking)}: its tables have changed"
                yield Granule(
                    path.name,
                    reason=Reason.UNREADABLE,
                    message=why,
                    count=len(table),
                    day=day_of(day),
                )
                continue
            footprints = sounder_footprints(table, instrument, day, values, flags)
            if radiances:
                flagged = np.nan_to_num(result.reports.first(_FLAG)) != 0
                note = f"it has no channel {', '.join(absent)}" if absent else ""
                footprints = footprints._replace(
                    flagged=footprints.flagged | flagged,
                    note=np.broadcast_to(np.array(note, object), len(table)),
                )
            if noted:
                silent = np.broadcast_to(np.array("", object), len(table))
                footprints = footprints._replace(note=silent)
            noted = True
            yield from granules_by_platform(
                path,
                footprints,
                blocks_of_time(footprints.time),
                np.zeros(len(table), bool),
                platforms,
                channels,
                instrument,
            )


def _columns(
    decoded: NcepReports, day: np.datetime64, names: set[str]
) -> tuple[pa.Table, set[str]]:
    """Return footprints as columns with NNJA-AI's names.

    Parameters
    ----------
    decoded : NcepReports
        Reports of a sounder, each a footprint.
    day : np.datetime64
        Day of the file.
    names : set of str
        Names of columns of channels, such as ``TMBR_00007``.

    Returns
    -------
    table : pa.Table
        The columns that there are.
    lacking : set of str
        Those of the names that there are not.
    """
    reports = decoded.reports
    lat, lon = report_places(reports)
    columns = {"LAT": lat, "LON": lon, TIME: report_times(reports)}
    columns |= {name: reports.first(name) for name in _HEAD}
    for member in _OF_CHANNELS:
        if holder := reports.holder(member):
            group, report = holder
            values = group.values[member][0]
            # without its number a channel is the one of its place
            number = _numbers(group)
            number = np.where(np.isfinite(number), number, group.number + 1.0)
            columns |= _by_channel(member, values, number, report, len(reports), names)
    if holder := reports.holder(_SCALED):
        group, report = holder
        values = _brightness(reports, *holder)
        columns |= _by_channel("TMBR", values, _numbers(group), report, len(reports), names)
    lacking = names - columns.keys()
    return pa.table({name: pa.array(column) for name, column in columns.items()}), lacking


def _numbers(group: Instances) -> np.ndarray:
    """Return the numbers ``(m,)`` of channels, NaN where they have none."""
    return group.values[_NUMBER][0] if _NUMBER in group.values else np.full(len(group), np.nan)


def _by_channel(
    member: str,
    column: np.ndarray,
    number: np.ndarray,
    report: np.ndarray,
    count: int,
    names: set[str],
) -> dict[str, np.ndarray]:
    """Return an element of channels as columns.

    Parameters
    ----------
    member : str
        Beginning of the columns' names: the mnemonic of the element.
    column : np.ndarray
        Its values ``(m,)``.
    number : np.ndarray
        Numbers ``(m,)`` of the channels, NaN where not known.
    report : np.ndarray
        The report ``(m,)`` that a channel is of.
    count : int
        Number of reports.
    names : set of str
        Names of columns.

    Returns
    -------
    dict
        Columns ``(count,)`` by name.
    """
    columns = {}
    each = len(column) // count if count else 0
    ordered = each * count == len(column) and (report == np.repeat(np.arange(count), each)).all()
    if ordered and each and (number.reshape(count, each) == number[:each]).all():
        table = np.ascontiguousarray(column.reshape(count, each).T)
        places = {round(first): place for place, first in enumerate(number[:each].tolist())}
        by_name = {f"{member}_{code:05d}": table[place] for code, place in places.items()}
        return {name: values for name, values in by_name.items() if name in names}
    for code in np.unique(number[np.isfinite(number)]):
        name = f"{member}_{code:05.0f}"
        if name in names:
            rows = number == code
            columns[name] = np.full(count, np.nan)
            columns[name][report[rows]] = column[rows]
    return columns


def _brightness(reports: Instances, group: Instances, report: np.ndarray) -> np.ndarray:
    """Return IASI's scaled radiances as brightness temperatures.

    A radiance is the scaled one times 10^-CHSF of its band, in W m-2 sr-1 (m-1)-1 (WMO-No. 306,
    0-14-046). Channel n is at 645 + (n - 1) / 4 cm-1 (EUMETSAT IASI Level 1 Product Guide,
    EUM/OPS-EPS/MAN/04/0032).

    Parameters
    ----------
    reports : Instances
        The footprints.
    group : Instances
        The channels of all footprints.
    report : np.ndarray
        The footprint ``(m,)`` that a channel is of.

    Returns
    -------
    np.ndarray
        ``(m,)`` in K, NaN where a radiance, its channel's number or a band about it is missing.
    """
    scaled = group.values[_SCALED][0]
    number = _numbers(group)
    exponent = np.full(len(group), np.nan)
    if bands := reports.holder(_BANDS[2]):
        band, of = bands
        for place in np.unique(band.number):
            rows = band.number == place
            first, last, scale = np.full((3, len(reports)), np.nan)
            for target, mnemonic in zip((first, last, scale), _BANDS, strict=True):
                if mnemonic in band.values:
                    target[of[rows]] = band.values[mnemonic][0][rows]
            inside = (number >= first[report]) & (number <= last[report])
            exponent[inside] = scale[report[inside]]
    return brightness_temperature(scaled * 10.0**-exponent, 64500.0 + 25.0 * (number - 1))


def _occultation_granules(
    files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str], heights: np.ndarray
) -> Iterator[Granule]:
    """Yield the occultations of files.

    Parameters
    ----------
    files, platforms, channels
        See :func:`read`.
    heights : np.ndarray
        Heights of the channels, in m.

    Yields
    ------
    Granule
        Occultations of many files, or why messages are not used.
    """
    collector = ReportCollector(channels)
    for path in in_order_of_time(files):
        for result in reports_of_kinds(path, [KINDS["gpsro"]], (*_OCCULTATION, *_LEVELS)):
            if isinstance(result, Granule):
                yield result
                continue
            for occultation, message in _occultations(result):
                period = period_about(message, occultation.time)
                add_occultation(path.name, occultation, period, collector, platforms, heights)
        yield from collector.granules()
    yield from collector.granules(rest=True)


def _occultations(decoded: NcepReports):
    """Yield the occultations of reports, each with its message."""
    reports = decoded.reports
    count = len(reports)
    head = {name: reports.first(mnemonic) for mnemonic, name in _OCCULTATION.items()}
    rays, of_ray = _rays(reports)
    levels, of_level = _refractivity(reports)
    ray_bounds, level_bounds = (
        np.searchsorted(of, np.arange(count + 1)) for of in (of_ray, of_level)
    )
    for i in range(count):
        message = decoded.messages[reports.of[i]]
        occultation = assembled_occultation(
            {name: float(column[i]) for name, column in head.items()},
            rays[:, ray_bounds[i] : ray_bounds[i + 1]],
            levels[:, level_bounds[i] : level_bounds[i + 1]],
            message.header,
        )
        yield occultation, message


def _rays(reports: Instances) -> tuple[np.ndarray, np.ndarray]:
    """Return latitude, longitude, impact parameter and bending angle ``(4, m)`` of all rays.

    The second array ``(m,)`` is the report of each. Angles of single frequencies, which the
    ionosphere bends too, are NaN; of two angles the second is the error of the first.
    """
    holder = reports.holder("IMPP")
    if holder is None or "BNDA" not in holder[0].values:
        return np.zeros((4, 0)), np.zeros(0, int)
    inner, of_ray = holder
    around = next((part for part in reports.parts if part.has("IMPP")), reports)
    at = around.holder("IMPP")[1]
    lat, lon = report_places(around)
    frequency = inner.values["MEFR"][0] if "MEFR" in inner.values else np.zeros(len(inner))
    bending = np.where(frequency == 0, inner.values["BNDA"][0], np.nan)
    return np.stack([lat[at], lon[at], inner.values["IMPP"][0], bending]), of_ray


def _refractivity(reports: Instances) -> tuple[np.ndarray, np.ndarray]:
    """Return height and refractivity ``(2, m)`` of all levels, and the report of each ``(m,)``."""
    holder = reports.holder("ARFR")
    if holder is None or "HEIT" not in holder[0].values:
        return np.zeros((2, 0)), np.zeros(0, int)
    inner, of_level = holder
    return np.stack([inner.values["HEIT"][0], inner.values["ARFR"][0]]), of_level
