"""AMSU-A and MHS level 1c of AAPP (direct broadcast, EARS, RARS), read with our satpy file handlers, without a Scene.

Format: :mod:`fuxiflow.observations.satpy_readers.aapp_l1c`. All footprints of a scan have its time, the only one in the
file. Level 1c is defined as brightness temperatures; a header with antenna correction version 0 leaves open whether the
correction was made, which the granule's message then says.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from fuxiflow.observations import scan_geometry
from fuxiflow.observations.readers import level1
from fuxiflow.observations.readers.granule import Granule, footprints, known_channels
from fuxiflow.observations.readers.level1 import Refused
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.observations.satpy_readers.aapp_l1c import AMSUA_CHANNELS, AMSUAFile, MHSFile

VARIANTS = ("amsua", "mhs")
CHANNELS = {"amsua": AMSUA_CHANNELS, "mhs": [str(i) for i in range(1, 6)]}
_HANDLERS = {"amsua": AMSUAFile, "mhs": MHSFile}
_SECONDS = {"amsua": 8.0, "mhs": 8.0 / 3.0}  # of a scan
_DATE = re.compile(r"_(\d{8})_(\d{4})_")
_LARGEST = 500_000_000  # octets; an orbit of MHS has 11 million
# quality indicator of a scan, as in level 1b: do not use; time sequence error; no calibration; no earth location
_UNUSABLE, _BAD_TIME, _UNCALIBRATED, _UNLOCATED = 1 << 31, 1 << 30, 1 << 28, 1 << 27
_ORBIT = np.timedelta64(2, "h")
_NOT_A_TIME = np.datetime64("NaT", "us")


def read(
    instrument: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """AMSU-A, channels 1 to 15, or MHS, 1 to 5; see :func:`fuxiflow.observations.readers.read`.

    The files' granules in time order. A truncated file gives its whole scans, and a second granule that counts the
    footprints it lacks.
    """
    chosen = known_channels(channels, CHANNELS[instrument], f"{instrument} has")

    def order(path: Path) -> tuple:
        found = _DATE.search(path.name)
        return (*found.groups(), path.name) if found else ("", "", path.name)

    for path in sorted(map(Path, files), key=order):
        day = _day(path.name)
        lost: list[Granule] = []
        remarks: list[str] = []
        decode = partial(
            _footprints, path, day, instrument, platforms, channels, chosen, lost, remarks
        )
        found = level1.granule(path.name, day, decode)
        if found.footprints is None:
            yield found
        else:
            yield replace(found, message="; ".join(remarks))
            yield from lost


def _day(name: str) -> date | None:
    found = _DATE.search(name)
    try:
        return datetime.strptime(found[1], "%Y%m%d").date() if found else None
    except ValueError:
        return None


def _period(header: np.void, time: np.ndarray) -> tuple[np.datetime64, np.datetime64]:
    """First and last time of a file by its header, or an orbit about the middle scan where that says nothing."""
    start, end = (
        level1.instants(
            *(np.array([header[f"{word}data{part}"]]) for part in ("yr", "dy", "time"))
        )[0]
        for word in ("start", "end")
    )
    if np.timedelta64(0) <= end - start <= 3 * _ORBIT:
        return start, end
    known = np.sort(time[~np.isnat(time)])
    middle = known[len(known) // 2] if len(known) else _NOT_A_TIME
    return middle - _ORBIT, middle + _ORBIT


def _footprints(
    path: Path,
    day: date | None,
    instrument: str,
    platforms: Sequence[str],
    channels: Sequence[str],
    chosen: list[int],
    lost: list[Granule],
    remarks: list[str],
) -> pa.Table:
    """The footprint table of a file; a granule for missing scans is added to ``lost``, what it leaves open to
    ``remarks``."""
    size = path.stat().st_size
    if not size:
        raise Refused(Reason.EMPTY, "zero bytes")
    if size > _LARGEST:
        raise Refused(Reason.UNREADABLE, f"{size} octets are more than any AAPP level 1c file has")
    file = _HANDLERS[instrument](os.fspath(path), {}, {})
    found = file.scans
    shape = found["latlon"].shape[:2]
    if not shape[0]:
        raise Refused(Reason.EMPTY, "no scan")
    platform = file.platform_name
    if platform not in platforms:
        raise Refused(
            Reason.PLATFORM,
            f"platform {platform}, expected {', '.join(platforms)}",
            shape[0] * shape[1],
        )
    time = level1.instants(*(found[name] for name in ("scnlinyr", "scnlindy", "scnlintime")))
    start, end = _period(file.header, time)
    quality = found["qualind"].astype(np.uint32)
    lat, lon = (
        np.where((quality & _UNLOCATED)[:, None] != 0, np.nan, found["latlon"][..., i] * 1e-4)
        for i in range(2)
    )
    zenith, azimuth = (found["angles"][..., i] * 1e-2 for i in range(2))
    lat = np.where(scan_geometry.misplaced(lat, lon, zenith), np.nan, lat)
    time[((quality & _BAD_TIME) != 0) | scan_geometry.mistimed(time, lat, lon)] = _NOT_A_TIME
    columns = {
        "time": np.repeat(time, shape[1]),
        "lat": lat.ravel(),
        "lon": lon.ravel(),
        "zenith": zenith.ravel(),
        "azimuth": np.where(np.abs(azimuth) <= 360, np.mod(azimuth, 360.0), np.nan).ravel(),
        "scan_position": np.tile(np.arange(1, shape[1] + 1, dtype=np.int16), shape[0]),
    }
    values = level1.plausible(found["btemps"] * 1e-2)
    values[(quality & _UNCALIBRATED) != 0] = np.nan
    margin = np.timedelta64(round(_SECONDS[instrument] * 1e6), "us")
    table = footprints(
        channels,
        values.reshape(len(lat) * shape[1], -1)[:, chosen],
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
    return level1.flagged(table, np.repeat((quality & _UNUSABLE) != 0, shape[1]))


def _missing(claimed: int, span: np.timedelta64, scans_read: int, seconds: float) -> int:
    """Scans that a file lacks which breaks off within one: the header's count where its period has room for it."""
    room = span / np.timedelta64(timedelta(seconds=seconds)) + 2
    return claimed if 0 < claimed <= room - scans_read else 1
