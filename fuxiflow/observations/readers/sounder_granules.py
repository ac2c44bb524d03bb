"""Granules of satellite sounders: footprints of a file, sorted by satellite and checked."""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from fuxiflow.observations.bufr_messages import BUFR_SATELLITES
from fuxiflow.observations.clocks import NOT_A_TIME
from fuxiflow.observations.readers.bufr_footprints import (
    BY_BODY,
    BY_HEADER_TO_THE_MINUTE,
    SounderFootprints,
)
from fuxiflow.observations.readers.bufr_instruments import INSTRUMENTS
from fuxiflow.observations.readers.granule import (
    Granule,
    ValueCount,
    count_values,
    flag_unusable,
    footprints_of_granule,
)
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.observations.scan_geometry import stray_footprints

_DOUBTFUL = 0.25  # share of strays in a message that discredits all its positions


def granules_by_platform(
    path: Path,
    footprints: SounderFootprints,
    number: np.ndarray,
    undated: np.ndarray,
    platforms: Sequence[str],
    channels: Sequence[str],
    instrument: str,
) -> Iterator[Granule]:
    """Make one granule for each satellite of a file, after a check of its geometry.

    Parameters
    ----------
    path : Path
        The file.
    footprints : SounderFootprints
        All its footprints.
    number : np.ndarray
        Number ``(n,)`` of the message that a footprint is from.
    undated : np.ndarray
        Whether the header of that message has no date, ``(n,)``.
    platforms, channels
        See :func:`fuxiflow.observations.readers.read`.
    instrument : str
        One of :data:`.bufr_instruments.INSTRUMENTS`.

    Yields
    ------
    Granule
        The footprints of one satellite, or the refusal where it is none of the platforms.
    """
    kind = INSTRUMENTS[instrument]
    # of runs, which are few, mostly
    starts = np.flatnonzero(np.diff(footprints.satellite, prepend=-2))
    for satellite in np.unique(footprints.satellite[starts]):
        of_satellite = np.flatnonzero(footprints.satellite == satellite)
        if of_satellite[-1] - of_satellite[0] == len(of_satellite) - 1:
            # all in a row: nothing is copied
            of_satellite = slice(of_satellite[0], of_satellite[-1] + 1)
        rows = footprints.take(of_satellite)
        name = BUFR_SATELLITES.get(
            int(satellite), f"with identifier {satellite}" if satellite >= 0 else "not given"
        )
        dated = ~np.isnat(rows.time)
        times = rows.time if dated.all() else rows.time[dated]
        day = times.min().astype("datetime64[D]").item() if len(times) else None
        if name not in platforms:
            yield Granule(
                path.name,
                reason=Reason.PLATFORM,
                count=len(rows.time),
                day=day,
                message=f"platform {name}, expected {' or '.join(platforms)}",
            )
            continue
        stray = stray_footprints(
            rows.lat,
            rows.lon,
            rows.time,
            rows.position,
            # a table, as many footprints share a position
            kind.across(np.arange(kind.positions + 1)).take(rows.position),
            kind.duration,
            kind.slack,
        )
        # such footprints share a time, which says nothing about neighbours
        stray &= rows.dated != BY_HEADER_TO_THE_MINUTE
        lat, lon = rows.lat, rows.lon
        if stray.any():
            message_number = number[of_satellite]
            counts = np.maximum(np.bincount(message_number), 1)
            share = np.bincount(message_number, stray) / counts
            stray |= share[message_number] > _DOUBTFUL
            lat, lon = (np.where(stray, np.nan, values) for values in (lat, lon))
        columns = {
            "time": rows.time,
            "lat": lat,
            "azimuth": rows.azimuth,
            "lon": lon,
            "zenith": rows.zenith,
            "scan_position": rows.position,
        }
        period = (times.min(), times.max()) if len(times) else (NOT_A_TIME, NOT_A_TIME)
        table = footprints_of_granule(channels, rows.values, columns, period, name, path.name)
        table = flag_unusable(table, rows.flagged)
        # one text that stands for all has no stride
        texts = rows.note if rows.note.strides != (0,) else rows.note[:1]
        notes = "; ".join(sorted(set(texts) - {""}))
        values = _remarks(path.name, day, rows, undated[of_satellite], channels)
        yield Granule(
            path.name, footprints=table, count=len(table), day=day, message=notes, values=values
        )


def _remarks(
    file: str,
    day: date | None,
    rows: SounderFootprints,
    undated: np.ndarray,
    channels: Sequence[str],
) -> tuple[ValueCount, ...]:
    """Count the values that messages hold but that are not read, and dates not given twice.

    Parameters
    ----------
    file : str
        Name of the file.
    day : date | None
        First day of the footprints.
    rows : SounderFootprints
        The footprints.
    undated : np.ndarray
        Whether their messages' headers have no date, ``(n,)``.
    channels : Sequence[str]
        Names of the channels.

    Returns
    -------
    tuple[ValueCount, ...]
        The counts.
    """
    counts = []
    for reason in (Reason.FLAGGED, Reason.IMPOSSIBLE, Reason.TWICE) if rows.lost.any() else ():
        counts += count_values(file, day, channels, rows.lost == reason, reason)
    dates = {Reason.HEADER_DATE: rows.dated != BY_BODY, Reason.BODY_DATE: undated}
    for reason, marked in dates.items():
        counts += count_values(
            file, day, ["time"], (marked & ~np.isnat(rows.time))[:, None], reason
        )
    return tuple(counts)
