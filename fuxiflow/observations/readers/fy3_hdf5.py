"""MWTS-III and MWHS-II level 1 of FY-3E and its successors, HDF5.

The layout, and how much of it is certain: :mod:`fuxiflow.observations.satpy_readers.fy3_hdf5`,
whose satpy file handler is used without a Scene. All footprints of a scan have the time of the
scan, the only one in the file. NSMC makes the antenna correction for level 1 (its announcement on
FY-3C MWHS-II, 2015-03-17): these are brightness temperatures. The quality flags are not documented
openly and not used.
"""

import os
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path

import numpy as np

from fuxiflow.observations import scan_geometry
from fuxiflow.observations.readers.granule import (
    DAMAGE,
    LARGEST,
    Decoded,
    Granule,
    RefusedFile,
    channel_indices,
    count_values,
    footprints_of_granule,
    granule_of_file,
    plausible_temperatures,
)
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.observations.satpy_readers.fy3_hdf5 import GEOLOCATION, FY3SounderFile

VARIANTS = ("mwts3", "mwhs2")
CHANNELS = {"MWTS": [str(i) for i in range(1, 18)], "MWHS": [str(i) for i in range(1, 16)]}
_NAME = re.compile(
    r"(?P<granule>FY3[A-Z]_(?P<instrument>MWTS|MWHS)[-X]_\w{4}_L1_"
    r"(?P<day>\d{8})_(?P<clock>\d{4}))_"
    r"\d{3}KM_(?P<version>\w{2})\.(HDF|hdf|h5)"
)
# words in the names of other instruments of the same satellites
_OTHERS = {
    "MWTS": ("MWHS", "HUMIDITY", "MERSI", "MWRI", "HIRAS"),
    "MWHS": ("MWTS", "TEMPERATURE", "MERSI", "MWRI", "HIRAS"),
}
_SCAN = np.timedelta64(3, "s")  # a scan takes 8/3 s


def read(
    variant: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read MWTS-III, channels 1 to 17, or MWHS-II, channels 1 to 15.

    Parameters
    ----------
    variant : str
        One of :data:`VARIANTS`.
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`.

    Yields
    ------
    Granule
        The files in time order. Of several versions of a granule the last is used.
    """
    instrument = variant[:4].upper()
    indices = channel_indices(channels, CHANNELS[instrument], f"{instrument} has")
    named: list[tuple[re.Match, date, Path]] = []
    for path in map(Path, files):
        match = _NAME.fullmatch(path.name)
        day = _day(match["day"]) if match else None
        if match and match["instrument"] == instrument and day:
            named.append((match, day, path))
        else:
            yield Granule(
                path.name,
                reason=Reason.NAME,
                message=f"not the name of a level 1 file of {instrument}",
            )
    named.sort(
        key=lambda entry: (
            entry[0]["day"],
            entry[0]["clock"],
            entry[0]["granule"],
            entry[0]["version"],
        )
    )
    latest = {match["granule"]: path for match, _, path in named}
    for match, day, path in named:
        if latest[match["granule"]] != path:
            yield Granule(path.name, reason=Reason.SUPERSEDED, message="an older version", day=day)
        else:
            decode = partial(_footprints, path, instrument, platforms, channels, indices)
            yield granule_of_file(path.name, day, decode)


def _day(text: str) -> date | None:
    """Parse a day written YYYYMMDD; None where it is no date."""
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None


def _footprints(
    path: Path,
    instrument: str,
    platforms: Sequence[str],
    channels: Sequence[str],
    indices: list[int],
) -> Decoded:
    """Decode one file.

    Parameters
    ----------
    path : Path
        The file.
    instrument : str
        ``MWTS`` or ``MWHS``.
    platforms, channels
        See :func:`fuxiflow.observations.readers.read`.
    indices : list[int]
        Places of ``channels`` in the file.

    Returns
    -------
    Decoded
        The footprint table, and the single values that are not read.

    Raises
    ------
    RefusedFile
        When the file is empty, damaged or of another platform.
    """
    if not path.stat().st_size:
        raise RefusedFile(Reason.EMPTY, "zero bytes")
    file = FY3SounderFile(os.fspath(path), {}, {})
    shape = tuple(file.shape)
    if len(shape) != 2 or shape[0] > LARGEST[0] or shape[1] > LARGEST[1]:
        raise RefusedFile(Reason.UNREADABLE, f"latitudes of the shape {shape}")
    # from here on a refusal can say how many footprints are lost
    count = shape[0] * shape[1]
    if not count:
        raise RefusedFile(Reason.EMPTY, "no scan")
    try:
        platform = file.platform_name
        if platform not in platforms:
            raise RefusedFile(
                Reason.PLATFORM, f"platform {platform}, expected {', '.join(platforms)}", count
            )
        sensor = file.sensor_name
        if any(word in sensor.upper() for word in _OTHERS[instrument]):
            raise RefusedFile(
                Reason.INSTRUMENT, f"instrument {sensor}, expected {instrument}", count
            )
        return _table(file, platform, instrument, channels, indices, path.name)
    except DAMAGE as error:
        raise RefusedFile(Reason.UNREADABLE, f"{type(error).__name__}: {error}", count) from error


def _table(
    file: FY3SounderFile,
    platform: str,
    instrument: str,
    channels: Sequence[str],
    indices: list[int],
    name: str,
) -> Decoded:
    """Build the footprint table of an open file.

    Parameters
    ----------
    file : FY3SounderFile
        The open file.
    platform : str
        Name of the platform.
    instrument : str
        ``MWTS`` or ``MWHS``.
    channels : Sequence[str]
        Names of the channels to read.
    indices : list[int]
        Places of ``channels`` in the file.
    name : str
        Name of the file.

    Returns
    -------
    Decoded
        The footprint table, and the single values that are not read.

    Raises
    ------
    RefusedFile
        When the file has another number of channels, or when its arrays differ in their shapes.
    """
    values = file.brightness_temperatures()
    if values.shape[2] != len(CHANNELS[instrument]):
        others = {13: " (MWTS-II)", 15: " (MWHS-II)", 17: " (MWTS-III)"}
        raise RefusedFile(
            Reason.INSTRUMENT,
            f"{values.shape[2]} channels{others.get(values.shape[2], '')}, expected "
            f"{len(CHANNELS[instrument])}",
            values[..., 0].size,
        )
    names = {
        "lat": "Latitude",
        "lon": "Longitude",
        "zenith": "SensorZenith",
        "azimuth": "SensorAzimuth",
    }
    columns = {column: file.values(GEOLOCATION + key) for column, key in names.items()}
    for column, array in columns.items():
        if array.shape != values.shape[:2]:
            raise RefusedFile(
                Reason.MISMATCH,
                f"{column} has the shape {array.shape}, expected {values.shape[:2]}",
                values[..., 0].size,
            )
    columns["azimuth"] = np.where(
        np.abs(columns["azimuth"]) <= 360, np.mod(columns["azimuth"], 360.0), np.nan
    )
    time = file.times()
    wrong = scan_geometry.misplaced_footprints(columns["lat"], columns["lon"], columns["zenith"])
    columns["lat"] = np.where(wrong, np.nan, columns["lat"])
    time[scan_geometry.mistimed_scans(time, columns["lat"], columns["lon"])] = np.datetime64("NaT")
    positions = values.shape[1]
    columns = {column: array.ravel() for column, array in columns.items()}
    columns["time"] = np.repeat(time, positions)
    columns["scan_position"] = np.tile(np.arange(1, positions + 1, dtype=np.int16), values.shape[0])
    start, end = (np.datetime64(moment, "us") for moment in (file.start_time, file.end_time))
    temperatures = plausible_temperatures(values.reshape(-1, values.shape[2])[:, indices])
    table = footprints_of_granule(
        channels, temperatures, columns, (start - _SCAN, end + _SCAN), platform, name
    )
    stored = values.reshape(-1, values.shape[2])[:, indices]
    impossible = np.isfinite(stored) & np.isnan(temperatures)
    return table, count_values(name, start.item().date(), channels, impossible, Reason.IMPOSSIBLE)
