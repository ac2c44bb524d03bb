"""NNJA-AI: sounders, stations and radiosondes of NOAA's and NASA's joint archive as Parquet.

A file holds a day of one kind of NCEP's BUFR messages (:mod:`.nnja_columns`). ``TMBR`` of AMSU-A
and MHS is the antenna temperature, but for AMSU-A of NOAA-15 and NOAA-16, which NESDIS corrects
(GSI, ``read_bufrtovs``); ATMS has both, ``TMBR`` and ``TMANT``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from fuxiflow.observations.readers import bufr_instruments, nnja_reports
from fuxiflow.observations.readers.bufr_footprints import (
    BY_BODY,
    PHYSICAL,
    SounderFootprints,
    positions_and_zeniths,
)
from fuxiflow.observations.readers.bufr_instruments import ANTENNA, INSTRUMENTS
from fuxiflow.observations.readers.granule import (
    Granule,
    RefusedFile,
    channel_indices,
    day_of,
)
from fuxiflow.observations.readers.nnja_columns import (
    TIME,
    columns_by_mnemonic,
    day_of_name,
    in_order_of_time,
    numbers,
    observation_times,
    raw_numbers,
    read_batches,
    require_columns,
    without_missing,
)
from fuxiflow.observations.readers.sounder_granules import granules_by_platform
from fuxiflow.observations.rejection_codes import Reason

VARIANTS = ("atms", "amsua", "mhs", "synop", "radiosondes")
CORRECTED = {"amsua": (206, 207), "mhs": ()}
"""Satellites whose temperatures are corrected for the antenna's side lobes; of ATMS all are."""
UNCORRECTED = "antenna temperatures: not corrected for the antenna's side lobes"
_PLACE = ("LAT", "LON", TIME, "SAID", "FOVN", "SAZA")
# columns of quality flags by the element that they hold
_FLAGS = {33078: "NGQI", 33080: "ATMSSQ"}
_CHANNEL_FLAG = 33081
_BLOCK = np.timedelta64(10, "m")  # footprints whose positions are judged together


def read(
    variant: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read the footprints or reports of files, in the order of their days.

    Channels of sounders are those of the reader ``bufr_sounder``, of ``synop`` those of
    ``surface.land`` and of ``radiosondes`` those of ``radiosonde``.

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
    if variant == "synop":
        return nnja_reports.read_stations(files, platforms, channels)
    if variant == "radiosondes":
        return nnja_reports.read_soundings(files, platforms, channels)
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
        The footprints of a satellite in some rows, or why a file is not used.
    """
    values = {channel: value_column(channel) for channel in channels}
    flags = {channel: flag_column(channel) for channel in channels}
    optional = ("BEARAZ", *_FLAGS.values(), *flags.values())
    for path in in_order_of_time(files):
        day = day_of_name(path)
        try:
            columns = columns_by_mnemonic(path, [*_PLACE, *values.values(), *optional])
            require_columns(columns, [*_PLACE, *values.values()])
            for number, table in enumerate(read_batches(path, columns)):
                footprints = sounder_footprints(table, instrument, day, values, flags)
                if number:
                    silent = np.broadcast_to(np.array("", object), len(table))
                    footprints = footprints._replace(note=silent)
                yield from granules_by_platform(
                    path,
                    footprints,
                    blocks_of_time(footprints.time),
                    np.zeros(len(table), bool),
                    platforms,
                    channels,
                    instrument,
                )
        except RefusedFile as refusal:
            yield Granule(path.name, reason=refusal.reason, message=str(refusal), day=day_of(day))
        except (OSError, pa.ArrowException) as error:
            why = f"{type(error).__name__}: {error}"
            yield Granule(path.name, reason=Reason.UNREADABLE, message=why, day=day_of(day))


def value_column(channel: str) -> str:
    """Return the last name of a channel's column."""
    member = "TMANT" if channel.startswith(ANTENNA) else "TMBR"
    return f"{member}_{channel.removeprefix(ANTENNA):0>5}"


def flag_column(channel: str) -> str:
    """Return the last name of the column of a channel's quality flags."""
    return f"ATMSCHQ_{channel.removeprefix(ANTENNA):0>5}"


def blocks_of_time(time: np.ndarray) -> np.ndarray:
    """Number the parts of ten minutes that times ``(n,)`` lie in, those without a time as one."""
    seen = ~np.isnat(time)
    if not seen.any():
        return np.zeros(len(time), int)
    if seen.all():
        return (time - time.min()) // _BLOCK + 1
    first = time[seen].min()
    return np.where(seen, (np.where(seen, time, first) - first) // _BLOCK + 1, 0)


def sounder_footprints(
    table: pa.Table,
    instrument: str,
    day: np.datetime64,
    values: dict[str, str],
    flags: dict[str, str],
) -> SounderFootprints:
    """Extract the footprints of some rows.

    Parameters
    ----------
    table : pa.Table
        Columns by last name.
    instrument : str
        One of :data:`.bufr_instruments.INSTRUMENTS`.
    day : np.datetime64
        Day of the file.
    values, flags : dict
        Last names of the columns of temperatures and of quality flags, by channel.

    Returns
    -------
    SounderFootprints
        The footprints, n rows.
    """
    count = len(table)
    # channels one after the other in memory, as they come and as they are needed
    temperatures = np.empty((len(values), count), np.float32).T
    lost = np.zeros((len(values), count), np.uint8).T
    low, high = PHYSICAL
    for i, (channel, name) in enumerate(values.items()):
        column = temperatures[:, i]
        column[:] = raw_numbers(table, name)
        # false of NaN
        if not (column.min(initial=high) >= low and column.max(initial=low) <= high):
            column[:] = without_missing(column)
            lost[(column < low) | (column > high), i] = Reason.IMPOSSIBLE
        if flags[channel] in table.column_names:
            group = {_CHANNEL_FLAG: numbers(table, flags[channel])}
            denied = bufr_instruments.flagged_channel(
                lambda code: np.full(count, np.nan), group, np.full(count, np.nan)
            )
            lost[denied & np.isfinite(column), i] = Reason.FLAGGED
    if lost.any():
        temperatures[lost > 0] = np.nan
    satellite = numbers(table, "SAID")
    satellite = np.where(np.isnan(satellite), -1, satellite).astype(np.int32)
    position, zenith = positions_and_zeniths(
        INSTRUMENTS[instrument], numbers(table, "FOVN"), numbers(table, "SAZA")
    )
    lat, lon = numbers(table, "LAT"), numbers(table, "LON")
    if (nowhere := (lat == 0) & (lon == 0)).any():
        lat, lon = (np.where(nowhere, np.nan, values) for values in (lat, lon))
    flagged = np.zeros(count, bool)
    if {*_FLAGS.values()} & {*table.column_names}:
        flagged = bufr_instruments.flagged_footprints(
            lambda code: numbers(table, _FLAGS.get(code, ""))
        )
    # one text for all, mostly: no array of as many
    note = np.broadcast_to(np.array(UNCORRECTED if instrument in CORRECTED else "", object), count)
    if (corrected := np.isin(satellite, CORRECTED.get(instrument, ()))).any():
        note = np.where(corrected, "", note)
    return SounderFootprints(
        satellite,
        observation_times(table, day),
        lat,
        lon,
        zenith,
        numbers(table, "BEARAZ"),
        position,
        flagged,
        note,
        np.full(count, BY_BODY, np.uint8),
        lost,
        temperatures,
    )
