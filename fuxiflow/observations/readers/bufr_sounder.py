"""Radiances of satellite sounders in WMO BUFR: ATMS, AMSU-A, MHS, HIRS/4, SSMIS, SSM/I and IASI.

Templates (WMO-No. 306, Volume I.2, table D): ATMS 3-10-061, ATOVS 3-10-008 to 010, SSMIS 3-10-025,
IASI 3-40-001, 007 and 008, and variants with the same elements. A subset is a footprint: what
stands before the first channel number says when and where, then each channel number is followed by
its temperature or radiance. ``channels`` are named by number; ``antenna_1`` … of ATMS are its
antenna temperatures (0-12-066), which are not brightness temperatures (0-12-163).
"""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

from fuxiflow.observations.bufr_messages import BUFR_SATELLITES, decode_messages, read_messages
from fuxiflow.observations.clocks import NOT_A_TIME
from fuxiflow.observations.decoding_process import DecodingProcess
from fuxiflow.observations.readers.bufr_footprints import (
    BY_BODY,
    BY_HEADER_TO_THE_MINUTE,
    OtherInstrument,
    SounderFootprints,
    extract_footprints,
)
from fuxiflow.observations.readers.bufr_instruments import INSTRUMENTS
from fuxiflow.observations.readers.granule import (
    Granule,
    ValueCount,
    channel_indices,
    count_values,
    flag_unusable,
    footprints_of_granule,
)
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.observations.scan_geometry import stray_footprints

VARIANTS = ("atms", "amsua", "mhs", "hirs4", "ssmis", "ssmi", "iasi")
# a message's header gives the time of its first footprint, or the nominal hour of a six-hourly
# collection
_PRECISE = np.timedelta64(10, "m")
_NOMINAL = np.timedelta64(6, "h")
_SPREAD = np.timedelta64(30, "m")  # footprints of one message follow each other
_DOUBTFUL = 0.25  # share of strays in a message that discredits all its positions


def read(
    instrument: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read the granules of files, in the order of the files' first messages.

    ATMS has channels 1 to 22 and antenna_1 to antenna_22, AMSU-A 1 to 15, MHS and AMSU-B 1 to 5,
    HIRS/3 and HIRS/4 1 to 19, SSMIS 1 to 24, SSM/I 19V … 85H of the low-resolution scan, IASI 1 to
    8461.

    Parameters
    ----------
    instrument : str
        One of :data:`VARIANTS`.
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`.

    Returns
    -------
    Iterator[Granule]
        The granules.
    """
    channel_indices(channels, INSTRUMENTS[instrument].channels, f"{instrument} has")
    return _granules(instrument, files, platforms, channels)


def _granules(
    instrument: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Yield the granules of files.

    One process decodes all messages, and is started again where a message ends it.

    Parameters
    ----------
    instrument, files, platforms, channels
        See :func:`read`.

    Yields
    ------
    Granule
        Those of one file after the other.
    """
    with DecodingProcess(partial(extract_footprints, instrument, tuple(channels))) as process:
        for path in sorted(map(Path, files), key=_first_time):
            yield from _file(path, process, platforms, channels, instrument)


def _first_time(path: Path) -> tuple[str, str]:
    """Return the time of a file's first message and its name, to sort by; files without go last."""
    try:
        times = (
            message.header.time
            for message in read_messages(path)
            if message.header and message.header.time
        )
        return next(times).isoformat(), path.name
    except (OSError, StopIteration):
        return "~", path.name


def _file(
    path: Path,
    process: DecodingProcess,
    platforms: Sequence[str],
    channels: Sequence[str],
    instrument: str,
) -> Iterator[Granule]:
    """Decode one file.

    Parameters
    ----------
    path : Path
        The file.
    process : DecodingProcess
        Applies :func:`.bufr_footprints.extract_footprints` to messages.
    platforms, channels
        See :func:`fuxiflow.observations.readers.read`.
    instrument : str
        One of :data:`VARIANTS`.

    Yields
    ------
    Granule
        Messages that cannot be used, footprints of other platforms, and a table for each platform.
    """
    pieces: list[SounderFootprints] = []
    headers: list[np.datetime64] = []
    any_message = False
    try:
        for message, decoded in decode_messages(read_messages(path), process):
            any_message = True
            header = message.header
            day = header.time.date() if header and header.time else None
            if isinstance(decoded, SounderFootprints):
                pieces.append(decoded)
                headers.append(header.time_near(_middle(decoded.time)))
                continue
            other = isinstance(decoded, OtherInstrument)
            reason = Reason.INSTRUMENT if other else Reason.UNREADABLE
            yield Granule(
                path.name,
                reason=Reason.EMPTY if message.hollow else reason,
                message=f"message at octet {message.offset}: {decoded.why}",
                count=message.subsets,
                day=day,
            )
    except OSError as error:
        why = f"{type(error).__name__}: {error}"
        yield Granule(path.name, reason=Reason.UNREADABLE, message=why)
        return
    if not any_message:
        empty = path.stat().st_size == 0
        yield Granule(
            path.name,
            reason=Reason.EMPTY if empty else Reason.UNREADABLE,
            message="zero bytes" if empty else "no BUFR message",
        )
    if pieces:
        number = np.repeat(np.arange(len(pieces)), [len(piece.time) for piece in pieces])
        joined = SounderFootprints.join(_without_absurd_times(pieces, headers))
        # a header without a date says nothing; the body's stands alone
        undated = np.isnat(np.array(headers))[number]
        yield from _platforms(path, joined, number, undated, platforms, channels, instrument)


def _middle(time: np.ndarray) -> np.datetime64:
    """Return the middle one of the times ``(n,)`` that are known, NaT where none is."""
    return np.sort(time)[(~np.isnat(time)).sum() // 2]  # NaT is sorted last


def _without_absurd_times(
    pieces: list[SounderFootprints], headers: list[np.datetime64]
) -> list[SounderFootprints]:
    """Replace times by NaT that neither a message's header nor its other footprints allow.

    ``pieces`` are the footprints of messages, ``headers`` the times of their headers, NaT where
    they have none. Where most headers of a file are those of the footprints to a few minutes, all
    have to be.
    """
    middles = [_middle(piece.time) for piece in pieces]
    offsets = np.abs(np.array(middles) - np.array(headers))
    finite = np.sort(offsets[~np.isnat(offsets)])
    precise = len(finite) and finite[(len(finite) - 1) // 2] <= _PRECISE
    allowed = _SPREAD if precise else _NOMINAL
    return [
        piece._replace(
            time=np.where(
                (np.isnat(header) | (np.abs(piece.time - header) <= allowed))
                & (np.abs(piece.time - middle) <= _SPREAD),
                piece.time,
                np.datetime64("NaT"),
            )
        )
        for piece, header, middle in zip(pieces, headers, middles, strict=True)
    ]


def _platforms(
    path: Path,
    footprints: SounderFootprints,
    number: np.ndarray,
    undated: np.ndarray,
    platforms: Sequence[str],
    channels: Sequence[str],
    instrument: str,
) -> Iterator[Granule]:
    """Make one granule for each satellite of a file.

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
        One of :data:`VARIANTS`.

    Yields
    ------
    Granule
        The footprints of one satellite, or the refusal where it is none of the platforms.
    """
    kind = INSTRUMENTS[instrument]
    for satellite in np.unique(footprints.satellite):
        of_satellite = footprints.satellite == satellite
        rows = footprints.take(of_satellite)
        message_number = number[of_satellite]
        name = BUFR_SATELLITES.get(
            int(satellite), f"with identifier {satellite}" if satellite >= 0 else "not given"
        )
        times = rows.time[~np.isnat(rows.time)]
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
            kind.across(rows.position),
            kind.duration,
            kind.slack,
        )
        # such footprints share a time, which says nothing about neighbours
        stray &= rows.dated != BY_HEADER_TO_THE_MINUTE
        share = np.bincount(message_number, stray) / np.maximum(np.bincount(message_number), 1)
        stray |= share[message_number] > _DOUBTFUL
        columns = {
            "time": rows.time,
            "lat": np.where(stray, np.nan, rows.lat),
            "azimuth": rows.azimuth,
            "lon": np.where(stray, np.nan, rows.lon),
            "zenith": rows.zenith,
            "scan_position": rows.position,
        }
        period = (times.min(), times.max()) if len(times) else (NOT_A_TIME, NOT_A_TIME)
        table = footprints_of_granule(channels, rows.values, columns, period, name, path.name)
        table = flag_unusable(table, rows.flagged)
        notes = "; ".join(sorted(set(rows.note) - {""}))
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
    for reason in (Reason.FLAGGED, Reason.IMPOSSIBLE, Reason.TWICE):
        counts += count_values(file, day, channels, rows.lost == reason, reason)
    dates = {Reason.HEADER_DATE: rows.dated != BY_BODY, Reason.BODY_DATE: undated}
    for reason, marked in dates.items():
        counts += count_values(
            file, day, ["time"], (marked & ~np.isnat(rows.time))[:, None], reason
        )
    return tuple(counts)
