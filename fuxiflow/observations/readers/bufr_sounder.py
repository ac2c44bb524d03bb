"""Radiances of satellite sounders in WMO BUFR: ATMS, AMSU-A, MHS, HIRS/4, SSMIS, SSM/I and IASI.

Templates (WMO-No. 306, Volume I.2, table D): ATMS 3-10-061, ATOVS 3-10-008 to 010, SSMIS 3-10-025, IASI 3-40-001, 007
and 008, and variants with the same elements. A subset is a footprint: what stands before the first channel number says
when and where, then each channel number is followed by its temperature or radiance. ``channels`` are named by number;
``antenna_1`` … of ATMS are its antenna temperatures (0-12-066), which are not brightness temperatures (0-12-163).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from fuxiflow.observations import bufr
from fuxiflow.observations.readers import level1
from fuxiflow.observations.readers.bufr_footprints import (
    INSTRUMENTS,
    OtherInstrument,
    SounderFootprints,
    extract,
)
from fuxiflow.observations.readers.granule import Granule, footprints, known_channels
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.observations.satellites import BUFR_SATELLITES
from fuxiflow.observations.scan_geometry import strays

VARIANTS = ("atms", "amsua", "mhs", "hirs4", "ssmis", "ssmi", "iasi")
# a message's header gives the time of its first footprint, or the nominal hour of a six-hourly collection
_PRECISE, _NOMINAL = np.timedelta64(10, "m"), np.timedelta64(6, "h")
_SPREAD = np.timedelta64(30, "m")  # footprints of one message follow each other
_DOUBTFUL = 0.25  # share of strays in a message that discredits all its positions


def read(
    instrument: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """The granules of files in the order of their first messages; see :func:`fuxiflow.observations.readers.read`.

    ATMS has channels 1 to 22 and antenna_1 to antenna_22, AMSU-A 1 to 15, MHS and AMSU-B 1 to 5, HIRS/3 and HIRS/4 1 to
    19, SSMIS 1 to 24, SSM/I 19V … 85H of the low-resolution scan, IASI 1 to 8461.
    """
    known_channels(channels, INSTRUMENTS[instrument].channels, f"{instrument} has")
    return _granules(instrument, files, platforms, channels)


def _granules(
    instrument: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """The granules of files, decoded by one process that is started again where a message ends it."""
    with bufr.Decoder(partial(extract, instrument, tuple(channels))) as decoder:
        for path in sorted(map(Path, files), key=_first_time):
            yield from _file(path, decoder, platforms, channels, instrument)


def _first_time(path: Path) -> tuple[str, str]:
    """The time of the first message of a file, for sorting; files without one come last."""
    try:
        times = (
            message.header.time
            for message in bufr.messages(path)
            if message.header and message.header.time
        )
        return next(times).isoformat(), path.name
    except (OSError, StopIteration):
        return "~", path.name


def _file(
    path: Path,
    decoder: bufr.Decoder,
    platforms: Sequence[str],
    channels: Sequence[str],
    instrument: str,
) -> Iterator[Granule]:
    """What a file holds: messages that cannot be used, footprints of other platforms, and a table for each platform."""
    pieces: list[SounderFootprints] = []
    headers: list[np.datetime64] = []
    any_message = False
    try:
        for message, found in decoder.decode(bufr.messages(path)):
            any_message = True
            header = message.header
            day = header.time.date() if header and header.time else None
            if isinstance(found, SounderFootprints) and day is None:
                found = bufr.Failure("section 1 holds no valid time")
            if isinstance(found, SounderFootprints):
                pieces.append(found)
                headers.append(np.datetime64(header.time, "us"))
                continue
            reason = Reason.INSTRUMENT if isinstance(found, OtherInstrument) else Reason.UNREADABLE
            reason = Reason.EMPTY if message.hollow else reason
            yield Granule(
                path.name,
                reason=reason,
                message=f"message at octet {message.offset}: {found.why}",
                count=message.subsets,
                day=day,
            )
    except OSError as error:
        yield Granule(
            path.name, reason=Reason.UNREADABLE, message=f"{type(error).__name__}: {error}"
        )
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
        yield from _platforms(
            path,
            SounderFootprints.join(_timely(pieces, headers)),
            number,
            platforms,
            channels,
            instrument,
        )


def _timely(
    pieces: list[SounderFootprints], headers: list[np.datetime64]
) -> list[SounderFootprints]:
    """Footprints of messages with NaT for times that neither their header nor the other footprints allow.

    Where most headers of a file are those of the footprints to a few minutes, all have to be.
    """
    middles = [
        np.sort(piece.time)[(~np.isnat(piece.time)).sum() // 2] for piece in pieces
    ]  # NaT is sorted last
    offsets = np.abs(np.array(middles) - np.array(headers))
    known = np.sort(offsets[~np.isnat(offsets)])
    allowed = _SPREAD if len(known) and known[(len(known) - 1) // 2] <= _PRECISE else _NOMINAL
    return [
        piece._replace(
            time=np.where(
                (np.abs(piece.time - header) <= allowed) & (np.abs(piece.time - middle) <= _SPREAD),
                piece.time,
                np.datetime64("NaT"),
            )
        )
        for piece, header, middle in zip(pieces, headers, middles, strict=True)
    ]


def _platforms(
    path: Path,
    found: SounderFootprints,
    number: np.ndarray,
    platforms: Sequence[str],
    channels: Sequence[str],
    instrument: str,
) -> Iterator[Granule]:
    """One granule for each satellite of a file; ``number`` (n,) tells the messages apart."""
    kind = INSTRUMENTS[instrument]
    for satellite in np.unique(found.satellite):
        chosen = found.satellite == satellite
        rows = found.take(chosen)
        name = BUFR_SATELLITES.get(
            int(satellite), f"with identifier {satellite}" if satellite >= 0 else "not given"
        )
        known = rows.time[~np.isnat(rows.time)]
        day = known.min().astype("datetime64[D]").item() if len(known) else None
        if name not in platforms:
            yield Granule(
                path.name,
                reason=Reason.PLATFORM,
                count=len(rows.time),
                day=day,
                message=f"platform {name}, expected {' or '.join(platforms)}",
            )
            continue
        stray = strays(
            rows.lat,
            rows.lon,
            rows.time,
            rows.position,
            kind.across(rows.position),
            kind.duration,
            kind.slack,
        )
        share = np.bincount(number[chosen], stray) / np.maximum(np.bincount(number[chosen]), 1)
        stray |= share[number[chosen]] > _DOUBTFUL
        columns = {
            "time": rows.time,
            "lat": np.where(stray, np.nan, rows.lat),
            "azimuth": rows.azimuth,
            "lon": np.where(stray, np.nan, rows.lon),
            "zenith": rows.zenith,
            "scan_position": rows.position,
        }
        period = (
            (known.min(), known.max())
            if len(known)
            else (np.datetime64("NaT"), np.datetime64("NaT"))
        )
        built = footprints(channels, rows.values, columns, period, name, path.name)
        built = level1.flagged(built, rows.flagged)
        notes = "; ".join(sorted(set(rows.note) - {""}))
        yield Granule(path.name, footprints=built, count=len(built), day=day, message=notes)
