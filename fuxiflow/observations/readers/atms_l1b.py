"""ATMS level 1B of NASA's Sounder SIPS: geolocated antenna temperatures, NetCDF-4.

Format: GES DISC, ATMS Level 1B Data Product User Guide, version 3 (SNDRSNIML1B, SNDRJ1IML1B,
SNDRJ2IML1B). The product is calibrated to antenna temperature, without the correction for what the
antenna receives beside its main beam. So the channels are called ``antenna_1`` … ``antenna_22``:
``1`` … ``22`` of other tables are brightness temperatures. satpy's reader ``atms_l1b_nc`` gives
these values as brightness temperatures; the tests alone use it, for comparison.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa

from fuxiflow.observations.clocks import utc_of_idps
from fuxiflow.observations.readers.bufr_instruments import ANTENNA, INSTRUMENTS
from fuxiflow.observations.readers.granule import (
    DAMAGE,
    Granule,
    ValueCount,
    channel_indices,
    count_values,
    flag_unusable,
    footprints_of_granule,
    scans_that_can_be_read,
)
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.observations.scan_geometry import stray_footprints, zenith_at

CHANNELS = tuple(f"{ANTENNA}{i}" for i in range(1, 23))
_NAME = re.compile(
    r"SNDR\.(?P<granule>\w+\.ATMS\.\d{8}T\d{4}\.m\d+\.g\d+)\.L1B\.\w+\."
    r"(?P<version>v\w+\.\w\.\d+)\.nc"
)
_PLATFORMS = {"SUOMI-NPP": "Suomi-NPP", "JPSS-1": "NOAA-20", "JPSS-2": "NOAA-21"}
# seconds of TAI from 1958 to 1993; TAI - UTC was 27 s then
_TAI93 = (np.datetime64("1993-01-01", "s") - np.datetime64("1958-01-01", "s")).astype(int) + 27
_SCAN = np.timedelta64(3, "s")
_SCENE = (2.7, 400.0)  # K
_TILT = 3.0  # degrees of zenith: altitude and attitude
_DO_NOT_USE = 2  # of antenna_temp_qc: 0 best, 1 good


def read(
    files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read the granules of files in time order.

    Parameters
    ----------
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`.

    Returns
    -------
    Iterator[Granule]
        The granules. Of several versions of a granule the last is used.
    """
    channel_indices(channels, CHANNELS, "ATMS level 1B has")
    return _granules([Path(path) for path in files], platforms, channels)


def _granules(
    files: list[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Yield the latest version of each granule, and the older files as superseded.

    Parameters
    ----------
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`.

    Yields
    ------
    Granule
        Those that are used are in time order.
    """
    latest: dict[str, Path] = {}
    for path in sorted(files, key=lambda path: (_parse(path) or ("", ""))[1]):
        parsed = _parse(path)
        if parsed is None:
            yield Granule(
                path.name, reason=Reason.NAME, message="not the name of an ATMS level 1B file"
            )
            continue
        older = latest.get(parsed[0])
        latest[parsed[0]] = path
        if older is not None:
            yield Granule(older.name, reason=Reason.SUPERSEDED, message=f"{path.name} is later")
    for granule in sorted(latest, key=lambda granule: granule.split(".")[2]):
        yield _granule(latest[granule], platforms, channels)


def _parse(path: Path) -> tuple[str, str] | None:
    """Return the granule and the version in a file's name, or None."""
    match = _NAME.fullmatch(path.name)
    return (match["granule"], match["version"]) if match else None


def _granule(path: Path, platforms: Sequence[str], channels: Sequence[str]) -> Granule:
    """Read one file.

    Parameters
    ----------
    path : Path
        The file.
    platforms, channels
        See :func:`fuxiflow.observations.readers.read`.

    Returns
    -------
    Granule
        Its footprints, or the reason why it is not used.
    """
    if path.stat().st_size == 0:
        return Granule(path.name, reason=Reason.EMPTY, message="zero bytes")
    count = 0
    day = datetime.strptime(path.name.split(".")[3][:8], "%Y%m%d").date()
    try:
        with h5py.File(path) as file:
            shape = file["antenna_temp"].shape
            count = int(np.prod(shape[:2]))
            platform = _platform(file)
            if platform not in platforms:
                why = f"platform {platform}, expected {' or '.join(platforms)}"
                return Granule(path.name, reason=Reason.PLATFORM, message=why, count=count, day=day)
            if len(shape) != 3 or shape[1:] != (96, 22):
                raise ValueError(f"antenna_temp has shape {shape}, expected (scan, 96, 22)")
            if not count:
                return Granule(path.name, reason=Reason.EMPTY, message="no scan", day=day)
            table, lost = _footprints(file, shape[0], channels, platform, path.name)
    except DAMAGE as error:
        return Granule(
            path.name,
            reason=Reason.UNREADABLE,
            message=f"{type(error).__name__}: {error}",
            count=count,
            day=day,
        )
    return Granule(path.name, footprints=table, count=count, day=day, values=lost)


def _platform(file: h5py.File) -> str:
    """Return the platform's name in WMO OSCAR, of "SUOMI-NPP > Suomi National …" in the file."""
    name = _text(file, "platform").split(">")[0].strip()
    return _PLATFORMS.get(name.upper(), name)


def _text(file: h5py.File, name: str) -> str:
    value = file.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def _array(file: h5py.File, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Read a variable.

    Parameters
    ----------
    file : h5py.File
        The open file.
    name : str
        Name of the variable.
    shape : tuple[int, ...]
        The shape that it must have.

    Returns
    -------
    np.ndarray
        Its values in float64, fill values as NaN.

    Raises
    ------
    ValueError
        When it has another shape.
    """
    variable = file[name]
    try:
        values = variable[()]
    except OSError as error:
        values = scans_that_can_be_read(Path(file.filename), name, error)
    values = np.where(values == -999, np.nan, np.asarray(values, np.float64))
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, expected {shape}")
    fill = variable.attrs.get("_FillValue")
    missing = (
        np.abs(values) > 1e30
        if fill is None
        else (values == np.ravel(fill)[0]) | (np.abs(values) > 1e30)
    )
    return np.where(missing, np.nan, values)


def _footprints(
    file: h5py.File, scans: int, channels: Sequence[str], platform: str, name: str
) -> tuple[pa.Table, tuple[ValueCount, ...]]:
    """Decode an open file.

    Parameters
    ----------
    file : h5py.File
        The open file.
    scans : int
        The number of its scans.
    channels : Sequence[str]
        Names of the channels to read.
    platform : str
        Name of the platform in WMO OSCAR.
    name : str
        Name of the file.

    Returns
    -------
    footprints : pa.Table
        The footprint table.
    lost : tuple[ValueCount, ...]
        Counts of the single values that are not read.

    Raises
    ------
    ValueError
        When variables differ in their shapes.
    """
    kind = INSTRUMENTS["atms"]
    shape = (scans, 96)
    columns = {
        key: _array(file, variable, shape).ravel()
        for key, variable in (
            ("lat", "lat"),
            ("lon", "lon"),
            ("zenith", "sat_zen"),
            ("azimuth", "sat_azi"),
        )
    }
    seconds = _array(file, "obs_time_tai93", shape).ravel()
    # negative as fill values of IDPS epoch time, which become NaT
    microseconds = np.where(np.isfinite(seconds), (np.nan_to_num(seconds) + _TAI93) * 1e6, -1)
    columns["time"] = utc_of_idps(np.clip(microseconds, -1, 1e16).astype(np.int64))
    position = columns["scan_position"] = np.tile(np.arange(1, 97, dtype=np.int16), scans)
    values = _array(file, "antenna_temp", (*shape, 22))
    if "antenna_temp_qc" in file:
        denied = _array(file, "antenna_temp_qc", values.shape) == _DO_NOT_USE
    else:
        denied = np.zeros(values.shape, bool)
    flagged = denied & np.isfinite(values)
    values[denied] = np.nan
    low, high = _SCENE
    with np.errstate(invalid="ignore"):
        impossible = (values < low) | (values > high)
        values[impossible] = np.nan
        misfit = np.abs(np.abs(columns["zenith"]) - zenith_at(np.abs(kind.scan_angle(position))))
        columns["zenith"] = np.where(misfit <= _TILT, np.abs(columns["zenith"]), np.nan)
    # what producers write where a scan has no location
    nowhere = (columns["lat"] == 0) & (columns["lon"] == 0)
    columns["lat"][nowhere] = np.nan
    stray = stray_footprints(
        columns["lat"],
        columns["lon"],
        columns["time"],
        position,
        kind.across(position),
        kind.duration,
        kind.slack,
    )
    columns["lat"][stray] = np.nan
    indices = [CHANNELS.index(channel) for channel in channels]
    values = values.reshape(-1, 22)[:, indices].astype(np.float32)
    first, last = (
        np.datetime64(_text(file, f"time_coverage_{end}").rstrip("Z"), "us")
        for end in ("start", "end")
    )
    table = footprints_of_granule(
        channels, values, columns, (first - _SCAN, last + _SCAN), platform, name
    )
    day = first.item().date()
    lost = count_values(name, day, channels, flagged[..., indices], Reason.FLAGGED)
    lost += count_values(name, day, channels, impossible[..., indices], Reason.IMPOSSIBLE)
    if "instrument_state" not in file:
        return table, lost
    state = np.asarray(file["instrument_state"][()])
    # one state a scan or one a footprint; what is not 0 is not used
    unusable = np.broadcast_to(state.reshape(scans, -1), shape).ravel() != 0
    return flag_unusable(table, unusable), lost
