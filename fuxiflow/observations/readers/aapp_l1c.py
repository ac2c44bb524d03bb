"""AMSU-A and MHS level 1c of AAPP (direct broadcast, EARS, RARS).

Format: :mod:`fuxiflow.observations.satpy_readers.aapp_l1c`, whose satpy file handlers are used
without a Scene. All footprints of a scan have its time, the only one in the file. Level 1c is
defined as brightness temperatures; a header with antenna correction version 0 leaves open whether
the correction was made, which the granule's message then says.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from fuxiflow.observations import scan_geometry
from fuxiflow.observations.clocks import NOT_A_TIME, times_of_year_and_day
from fuxiflow.observations.readers.granule import (
    Decoded,
    Granule,
    RefusedFile,
    channel_indices,
    count_values,
    flag_unusable,
    footprints_of_granule,
    granule_of_file,
    plausible_temperatures,
)
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.observations.satpy_readers.aapp_l1c import AMSUA_CHANNELS, AMSUAFile, MHSFile

VARIANTS = ("amsua", "mhs")
CHANNELS = {"amsua": AMSUA_CHANNELS, "mhs": [str(i) for i in range(1, 6)]}
_HANDLERS = {"amsua": AMSUAFile, "mhs": MHSFile}
_SECONDS = {"amsua": 8.0, "mhs": 8.0 / 3.0}  # of a scan
_DATE = re.compile(r"_(\d{8})_(\d{4})_")
_LARGEST = 500_000_000  # octets; an orbit of MHS has 11 million
# quality indicator of a scan, as in level 1b: do not use; time sequence error; no calibration; no
# earth location
_UNUSABLE, _BAD_TIME, _UNCALIBRATED, _UNLOCATED = 1 << 31, 1 << 30, 1 << 28, 1 << 27
_ORBIT = np.timedelta64(2, "h")


def read(
    instrument: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read AMSU-A, channels 1 to 15, or MHS, channels 1 to 5.

    Parameters
    ----------
    instrument : str
        One of :data:`VARIANTS`.
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`.

    Yields
    ------
    Granule
        The files in time order. A truncated file gives its whole scans, and a second granule that
        counts the footprints it lacks.
    """
    indices = channel_indices(channels, CHANNELS[instrument], f"{instrument} has")

    def order(path: Path) -> tuple:
        match = _DATE.search(path.name)
        return (*match.groups(), path.name) if match else ("", "", path.name)

    for path in sorted(map(Path, files), key=order):
        day = _day(path.name)
        lost: list[Granule] = []
        remarks: list[str] = []
        decode = partial(
            _footprints, path, day, instrument, platforms, channels, indices, lost, remarks
        )
        granule = granule_of_file(path.name, day, decode)
        if granule.footprints is None:
            yield granule
        else:
            yield replace(granule, message="; ".join(remarks))
            yield from lost


def _day(name: str) -> date | None:
    """Return the day in a file's name, or None."""
    match = _DATE.search(name)
    try:
        return datetime.strptime(match[1], "%Y%m%d").date() if match else None
    except ValueError:
        return None


def _period(header: np.void, time: np.ndarray) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and last time that a file may hold.

    They are those of its ``header``, or an orbit about the middle of the scans' ``time``
    ``(scan,)`` where the header says nothing.
    """
    start, end = (
        times_of_year_and_day(
            *(np.array([header[f"{word}data{part}"]]) for part in ("yr", "dy", "time"))
        )[0]
        for word in ("start", "end")
    )
    if np.timedelta64(0) <= end - start <= 3 * _ORBIT:  # NaT compares false
        return start, end
    valid = np.sort(time[~np.isnat(time)])
    middle = valid[len(valid) // 2] if len(valid) else NOT_A_TIME
    return middle - _ORBIT, middle + _ORBIT


def _footprints(
    path: Path,
    day: date | None,
    instrument: str,
    platforms: Sequence[str],
    channels: Sequence[str],
    indices: list[int],
    lost: list[Granule],
    remarks: list[str],
) -> Decoded:
    """Decode one file.

    Parameters
    ----------
    path : Path
        The file.
    day : date | None
        Day in its name.
    instrument : str
        One of :data:`VARIANTS`.
    platforms, channels
        See :func:`fuxiflow.observations.readers.read`.
    indices : list[int]
        Places of ``channels`` in the file.
    lost : list[Granule]
        A granule for missing scans is appended to it.
    remarks : list[str]
        Things that the file leaves open are appended to it.

    Returns
    -------
    Decoded
        The footprint table, and the single values that are not read.

    Raises
    ------
    RefusedFile
        When the file is empty, too large, or of another platform.
    """
    size = path.stat().st_size
    if not size:
        raise RefusedFile(Reason.EMPTY, "zero bytes")
    if size > _LARGEST:
        raise RefusedFile(
            Reason.UNREADABLE, f"{size} octets are more than any AAPP level 1c file has"
        )
    file = _HANDLERS[instrument](os.fspath(path), {}, {})
    scans = file.scans
    shape = scans["latlon"].shape[:2]
    if not shape[0]:
        raise RefusedFile(Reason.EMPTY, "no scan")
    platform = file.platform_name
    if platform not in platforms:
        raise RefusedFile(
            Reason.PLATFORM,
            f"platform {platform}, expected {', '.join(platforms)}",
            shape[0] * shape[1],
        )
    time = times_of_year_and_day(*(scans[name] for name in ("scnlinyr", "scnlindy", "scnlintime")))
    start, end = _period(file.header, time)
    quality = scans["qualind"].astype(np.uint32)
    lat, lon = (
        np.where((quality & _UNLOCATED)[:, None] != 0, np.nan, scans["latlon"][..., i] * 1e-4)
        for i in range(2)
    )
    zenith, azimuth = (scans["angles"][..., i] * 1e-2 for i in range(2))
    lat = np.where(scan_geometry.misplaced_footprints(lat, lon, zenith), np.nan, lat)
    bad_time = (quality & _BAD_TIME) != 0
    time[bad_time | scan_geometry.mistimed_scans(time, lat, lon)] = NOT_A_TIME
    columns = {
        "time": np.repeat(time, shape[1]),
        "lat": lat.ravel(),
        "lon": lon.ravel(),
        "zenith": zenith.ravel(),
        "azimuth": np.where(np.abs(azimuth) <= 360, np.mod(azimuth, 360.0), np.nan).ravel(),
        "scan_position": np.tile(np.arange(1, shape[1] + 1, dtype=np.int16), shape[0]),
    }
    stored = scans["btemps"] * 1e-2
    values = plausible_temperatures(stored)
    # zero and below stand for a missing value
    impossible = np.isnan(values) & (stored > 0)
    uncalibrated = ((quality & _UNCALIBRATED) != 0)[:, None, None] & np.isfinite(values)
    values[uncalibrated] = np.nan
    lost_values = count_values(
        path.name, day, channels, impossible[..., indices], Reason.IMPOSSIBLE
    ) + count_values(path.name, day, channels, uncalibrated[..., indices], Reason.FLAGGED)
    margin = np.timedelta64(round(_SECONDS[instrument] * 1e6), "us")
    table = footprints_of_granule(
        channels,
        values.reshape(len(lat) * shape[1], -1)[:, indices],
        columns,
        (start - margin, end + margin),
        platform,
        path.name,
    )
    if file.cut_off:
        count = _missing(
            int(file.header["scnlin"]) - shape[0], end - start, shape[0], _SECONDS[instrument]
        )
        lost.append(
            Granule(
                path.name,
                reason=Reason.UNREADABLE,
                message=f"truncated: {count} scans are missing",
                count=count * shape[1],
                day=day,
            )
        )
    if not file.header["vnantennacorr"]:
        remarks.append("its header names no antenna correction; these may be antenna temperatures")
    return flag_unusable(table, np.repeat((quality & _UNUSABLE) != 0, shape[1])), lost_values


def _missing(claimed: int, span: np.timedelta64, scans_read: int, seconds: float) -> int:
    """Count the scans that a file lacks which breaks off within one.

    Parameters
    ----------
    claimed : int
        Missing scans by the header's count.
    span : np.timedelta64
        Length of the file's period.
    scans_read : int
        Scans that are there.
    seconds : float
        Seconds of a scan.

    Returns
    -------
    int
        The header's count, or 1 where its period is too short for that many.
    """
    # a damaged header may claim any number
    capacity = span / np.timedelta64(timedelta(seconds=seconds)) + 2
    return claimed if 0 < claimed <= capacity - scans_read else 1
