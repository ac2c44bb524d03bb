"""Radiances of satellite sounders in WMO BUFR: ATMS, AMSU-A, MHS, HIRS/4, SSMIS, SSM/I and IASI.

Templates (WMO-No. 306, Volume I.2, table D): ATMS 3-10-061, ATOVS 3-10-008 to 010, SSMIS 3-10-025,
IASI 3-40-001, 007 and 008, and variants with the same elements. A subset is a footprint: what
stands before the first channel number says when and where, then each channel number is followed by
its temperature or radiance. ``channels`` are named by number; ``antenna_1`` … of ATMS are its
antenna temperatures (0-12-066), which are not brightness temperatures (0-12-163).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from fuxiflow.observations.bufr_messages import decode_messages, read_messages
from fuxiflow.observations.decoding_process import DecodingProcess
from fuxiflow.observations.readers.bufr_footprints import (
    OtherInstrument,
    SounderFootprints,
    extract_footprints,
)
from fuxiflow.observations.readers.bufr_instruments import INSTRUMENTS
from fuxiflow.observations.readers.granule import Granule, channel_indices
from fuxiflow.observations.readers.sounder_granules import granules_by_platform
from fuxiflow.observations.rejection_codes import Reason

VARIANTS = ("atms", "amsua", "mhs", "hirs4", "ssmis", "ssmi", "iasi")
# a message's header gives the time of its first footprint, or the nominal hour of a six-hourly
# collection
_PRECISE = np.timedelta64(10, "m")
_NOMINAL = np.timedelta64(6, "h")
_SPREAD = np.timedelta64(30, "m")  # footprints of one message follow each other


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
        yield from granules_by_platform(
            path, joined, number, undated, platforms, channels, instrument
        )


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
