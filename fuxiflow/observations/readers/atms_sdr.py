"""ATMS sensor data records: SATMS brightness temperatures and their GATMO geolocation, HDF5.

Format: JPSS Common Data Format Control Book - External, Volume III, 474-00001-03. satpy's file
handlers are used without a Scene: a Scene reads channel by channel (0.28 s a granule), a handler
the whole array (0.03 s).
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import dask
import numpy as np
import pyarrow as pa
from satpy.readers.atms_sdr_hdf5 import ATMS_CHANNEL_NAMES, ATMS_SDR_FileHandler

from fuxiflow.observations import scan_geometry
from fuxiflow.observations.clocks import utc_of_idps
from fuxiflow.observations.readers.granule import (
    DAMAGE,
    Granule,
    ValueCount,
    channel_indices,
    count_values,
    footprints_of_granule,
    plausible_temperatures,
    scans_that_can_be_read,
    without_satpy_traceback,
)
from fuxiflow.observations.rejection_codes import Reason

_NAME = re.compile(
    r"(?P<products>SATMS|GATMO|GATMO-SATMS|SATMS-GATMO)_"
    r"(?P<granule>[a-z0-9]+_d(?P<day>\d{8})_t(?P<start>\d{7})_e(?P<end>\d{7})_b\d{5})"
    r"_c(?P<created>\d+)_\w+\.h5"
)
_DATA = "All_Data/ATMS-SDR_All/"
_GEOLOCATION = "All_Data/ATMS-SDR-GEO_All/"
_TEMPERATURE = _DATA + "BrightnessTemperature"
_NUMBER_OF_SCANS = "Data_Products/ATMS-SDR/ATMS-SDR_Gran_{}/attr/N_Number_Of_Scans"
# names that satpy does not make one: Suomi-NPP has three in use
_SAME_PLATFORM = {"s-npp": "suomi-npp", "snpp": "suomi-npp", "npp": "suomi-npp"}
# a scan takes 8/3 s; aggregate times may be those of the first view of a scan
_SCAN = np.timedelta64(3, "s")


@dataclass(frozen=True)
class _File:
    """A file and what its name says."""

    path: Path
    products: tuple[str, ...]
    granule: str
    created: str
    day: date
    period: tuple[datetime, datetime]


def _parse(path: Path) -> _File | None:
    """Parse a file's name; None where it is no SATMS or GATMO file."""
    match = _NAME.fullmatch(path.name)
    if not match:
        return None
    try:
        # tenths of a second
        start, end = (
            datetime.strptime(f"{match['day']}{match[part]}00000", "%Y%m%d%H%M%S%f")
            for part in ("start", "end")
        )
    except ValueError:
        return None
    products = tuple(match["products"].split("-"))
    period = start, end + timedelta(days=end < start, seconds=1)
    return _File(path, products, match["granule"], match["created"], start.date(), period)


class _Refused(Exception):
    """A file of a pair that is not used."""

    def __init__(self, file: _File, reason: Reason, message: str):
        """Refuse a file.

        Parameters
        ----------
        file : _File
            The file.
        reason : Reason
            The reason.
        message : str
            More about the reason.
        """
        super().__init__(message)
        self.file = file
        self.reason = reason


def read(
    files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Pair the files and yield their granules in time order.

    Parameters
    ----------
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`.

    Yields
    ------
    Granule
        The granules; files of another name come first.
    """
    indices = channel_indices(channels, ATMS_CHANNEL_NAMES, "ATMS has")
    granules: dict[str, list[_File]] = defaultdict(list)
    for path in map(Path, files):
        parsed = _parse(path)
        if parsed:
            granules[parsed.granule].append(parsed)
        else:
            yield Granule(
                path.name,
                reason=Reason.NAME,
                message="not the name of a SATMS or GATMO file; antenna "
                "temperatures (TATMS) are not brightness temperatures",
            )
    for name in sorted(granules, key=lambda name: name.split("_", 1)[1]):
        yield from _granule(granules[name], platforms, channels, indices)


def _granule(
    files: list[_File], platforms: Sequence[str], channels: Sequence[str], indices: list[int]
) -> Iterator[Granule]:
    """Make one granule from all files of its name.

    Parameters
    ----------
    files : list[_File]
        The files.
    platforms, channels
        See :func:`fuxiflow.observations.readers.read`.
    indices : list[int]
        Places of ``channels`` in the file.

    Yields
    ------
    Granule
        Older versions, refused files, and the footprints of the pair.
    """
    # by the time of creation the last file of each product wins
    latest: dict[str, _File] = {}
    for file in sorted(files, key=lambda file: file.created):
        latest.update(dict.fromkeys(file.products, file))
    for file in files:
        if file not in latest.values():
            yield Granule(
                file.path.name, reason=Reason.SUPERSEDED, message="an older version", day=file.day
            )
    handlers: dict[str, ATMS_SDR_FileHandler] = {}
    refused: set[_File] = set()
    for file in dict.fromkeys(latest.values()):
        try:
            handler = _open(file, platforms)
            handlers.update(dict.fromkeys(file.products, handler))
        except _Refused as refusal:
            refused.add(file)
            yield _without(file, refusal.reason, str(refusal), 0)
    if set(handlers) == {"SATMS", "GATMO"}:
        file = latest["SATMS"]
        lost: list[Granule] = []
        try:
            table, values, remark = _footprints(
                file, handlers["SATMS"], handlers["GATMO"], platforms, channels, indices, lost
            )
        except _Refused as refusal:
            yield _without(refusal.file, refusal.reason, str(refusal), _size(handlers["SATMS"]))
        else:
            yield Granule(
                file.path.name,
                footprints=table,
                message=remark,
                count=len(table),
                day=file.day,
                values=values,
            )
            yield from lost
        return
    for product, handler in handlers.items():
        partner = "GATMO" if product == "SATMS" else "SATMS"
        why = "cannot be used" if latest.get(partner) in refused else "is absent"
        yield _without(latest[product], Reason.PARTNER, f"its {partner} {why}", _size(handler))


def _without(file: _File, reason: Reason, message: str, count: int) -> Granule:
    """Make a granule without footprints.

    Parameters
    ----------
    file : _File
        The file.
    reason : Reason
        The reason why it is not used.
    message : str
        More about the reason.
    count : int
        Footprints that are lost.

    Returns
    -------
    Granule
        The granule.
    """
    return Granule(file.path.name, reason=reason, message=message, count=count, day=file.day)


def _open(file: _File, platforms: Sequence[str]) -> ATMS_SDR_FileHandler:
    """Open a file with satpy's handler; :class:`_Refused` when it is of none of the platforms."""
    if file.path.stat().st_size == 0:
        raise _Refused(file, Reason.EMPTY, "zero bytes")
    try:
        with without_satpy_traceback():
            handler = ATMS_SDR_FileHandler(os.fspath(file.path), {}, {})
        platform = str(handler.platform_name)
    except DAMAGE as error:
        raise _Refused(file, Reason.UNREADABLE, f"{type(error).__name__}: {error}") from error
    if _name_in_source(platform, platforms) is None:
        raise _Refused(
            file, Reason.PLATFORM, f"platform {platform}, expected {' or '.join(platforms)}"
        )
    return handler


def _canonical(platform: str) -> str:
    return _SAME_PLATFORM.get(platform.lower(), platform.lower())


def _name_in_source(platform: str, platforms: Sequence[str]) -> str | None:
    """Return the source's name for a file's platform, None where it is not one of ``platforms``."""
    return next((name for name in platforms if _canonical(name) == _canonical(platform)), None)


def _size(handler: ATMS_SDR_FileHandler) -> int:
    """Count the footprints of a SATMS file by its header; a geolocation file alone has none."""
    shape = handler.file_content.get(_TEMPERATURE + "/shape", (0, 0))
    return int(shape[0] * shape[1])


def _array(handler: ATMS_SDR_FileHandler, key: str, mask: bool = True) -> np.ndarray:
    """Read a data set.

    Parameters
    ----------
    handler : ATMS_SDR_FileHandler
        The file.
    key : str
        Path of the data set.
    mask : bool
        Whether fill values (>= 65528 in integers, <= -999 in floats) become NaN.

    Returns
    -------
    np.ndarray
        The whole array.
    """
    data = handler[key]
    try:
        data = data.load()  # masking the loaded array spares dask graphs
    except OSError as error:
        data = data.copy(data=scans_that_can_be_read(handler.filename, key, error))
    return (handler.mask_fill_values(data, {}) if mask else data).values


@dataclass(frozen=True)
class _Part:
    """A granule of an aggregate: its scans, and why they cannot be used, or empty."""

    scans: slice
    damage: str


def _parts(handler: ATMS_SDR_FileHandler, factors: np.ndarray, total: int) -> list[_Part]:
    """Tell the granules of an aggregate apart, damaged ones too.

    Parameters
    ----------
    handler : ATMS_SDR_FileHandler
        The SATMS file.
    factors : np.ndarray
        Scale and offset of each granule, ``(granule, 2)``.
    total : int
        Scans of the aggregate.

    Returns
    -------
    list[_Part]
        The granules. One whose number of scans is impossible has those that the others leave.

    Raises
    ------
    ValueError
        When the numbers of scans do not add up.
    """
    scans: list[int | None] = []
    damage: list[str] = []
    for i, (scale, offset) in enumerate(factors.tolist()):
        try:
            number = int(handler[_NUMBER_OF_SCANS.format(i)])
        except DAMAGE:
            number = -1
        possible = 0 <= number <= total
        counted = possible or len(factors) == 1
        scans.append((number if len(factors) > 1 else total) if counted else None)
        scaled = scale > 0 and np.isfinite(offset)
        damage.append(
            ""
            if counted and scaled
            else f"its scale is {scale:g} with offset {offset:g}"
            if counted
            else f"its N_Number_Of_Scans is {number}"
        )
    equal, uneven = divmod(total, len(scans))
    if None not in scans and sum(scans) != total and not uneven:
        # real granules are of one length, so the odd one is damaged if the others are
        odd = [i for i, number in enumerate(scans) if number != equal]
        if 2 * len(odd) < len(scans):
            for i in odd:
                damage[i] = f"its N_Number_Of_Scans is {scans[i]}, the others have {equal}"
                scans[i] = equal
    unknown = [i for i, number in enumerate(scans) if number is None]
    rest = total - sum(number for number in scans if number is not None)
    if rest < 0 or (unknown and rest % len(unknown)) or (rest and not unknown):
        raise ValueError(f"{total} scans, but its granules have {total - rest}")
    for i in unknown:
        scans[i] = rest // len(unknown)
    ends = np.cumsum(scans).tolist()
    return [
        _Part(slice(end - number, end), why)
        for end, number, why in zip(ends, scans, damage, strict=True)
    ]


def _temperatures(handler: ATMS_SDR_FileHandler) -> tuple[np.ndarray, list[_Part]]:
    """Return brightness temperatures ``(scan, position, 22)`` in K, and the granules.

    Each granule of an aggregate has its own factors.
    """
    counts = _array(handler, _TEMPERATURE)
    factors = _array(handler, _TEMPERATURE + "Factors").astype(np.float32).reshape(-1, 2)
    parts = _parts(handler, factors, len(counts))
    scale, offset = (
        np.repeat(column, [part.scans.stop - part.scans.start for part in parts])
        for column in factors.T
    )
    return counts * scale[:, None, None] + offset[:, None, None], parts


def _period(
    handler: ATMS_SDR_FileHandler, file: _File, time: np.ndarray
) -> tuple[datetime, datetime]:
    """Return first and last time of a file: those of its attributes, or those in its name.

    Parameters
    ----------
    handler : ATMS_SDR_FileHandler
        The opened file.
    file : _File
        What its name says.
    time : np.ndarray
        Times of its footprints, of any shape; the middle one tells which of the two is right.

    Returns
    -------
    tuple[datetime, datetime]
        The times, UTC.
    """
    try:
        given = handler.start_time, handler.end_time
    except DAMAGE:
        return file.period
    times = np.sort(time[~np.isnat(time)])
    if len(times):
        middle = times[len(times) // 2].item()
        if not given[0] <= middle <= given[1] and file.period[0] <= middle <= file.period[1]:
            return file.period
    return given


def _footprints(
    file: _File,
    data: ATMS_SDR_FileHandler,
    geolocation: ATMS_SDR_FileHandler,
    platforms: Sequence[str],
    channels: Sequence[str],
    indices: list[int],
    lost: list[Granule],
) -> tuple[pa.Table, tuple[ValueCount, ...], str]:
    """Decode a pair of files.

    Parameters
    ----------
    file : _File
        The SATMS file.
    data, geolocation : ATMS_SDR_FileHandler
        The opened SATMS and GATMO file; one and the same where they come in one.
    platforms, channels
        See :func:`fuxiflow.observations.readers.read`.
    indices : list[int]
        Places of ``channels`` in the file.
    lost : list[Granule]
        Damaged granules of the aggregate are appended to it.

    Returns
    -------
    footprints : pa.Table
        The footprint table, without the damaged granules.
    values : tuple[ValueCount, ...]
        Counts of the single values that are not read.
    remark : str
        What is odd about the files, or empty.

    Raises
    ------
    _Refused
        When the two files do not fit each other or cannot be read.
    """
    platform, other_platform = (
        _name_in_source(str(handler.platform_name), platforms) for handler in (data, geolocation)
    )
    if platform != other_platform:
        raise _Refused(file, Reason.MISMATCH, f"of {platform}, its geolocation of {other_platform}")
    try:
        with dask.config.set(scheduler="synchronous"):
            values, parts = _temperatures(data)
            names = {
                "lat": "Latitude",
                "lon": "Longitude",
                "zenith": "SatelliteZenithAngle",
                "azimuth": "SatelliteAzimuthAngle",
            }
            columns = {name: _array(geolocation, _GEOLOCATION + key) for name, key in names.items()}
            columns["time"] = utc_of_idps(_array(data, _DATA + "BeamTime", mask=False))
        period = _period(data, file, columns["time"])
        other_period = _period(geolocation, file, columns["time"])
    except DAMAGE as error:
        raise _Refused(file, Reason.UNREADABLE, f"{type(error).__name__}: {error}") from error
    shape = values.shape[:2]
    if values.shape[2] != len(ATMS_CHANNEL_NAMES):
        raise _Refused(
            file,
            Reason.UNREADABLE,
            f"{values.shape[2]} channels, expected {len(ATMS_CHANNEL_NAMES)}",
        )
    if 0 in shape:
        raise _Refused(file, Reason.EMPTY, "no scan")
    for name, array in columns.items():
        if array.shape != shape:
            raise _Refused(
                file, Reason.MISMATCH, f"{name} has shape {array.shape}, expected {shape}"
            )
    if abs((period[0] - other_period[0]).total_seconds()) > 1:
        raise _Refused(
            file, Reason.MISMATCH, f"starts at {period[0]}, its geolocation at {other_period[0]}"
        )
    sound = np.ones(shape[0], bool)
    for number, part in enumerate(parts):
        if part.damage:
            sound[part.scans] = False
            count = (part.scans.stop - part.scans.start) * shape[1]
            why = f"granule {number + 1} of {len(parts)}: {part.damage}"
            lost.append(_without(file, Reason.UNREADABLE, why, count))
    if not sound.any():
        raise _Refused(file, Reason.UNREADABLE, "; ".join(granule.message for granule in lost))
    values = values[sound]
    columns = {name: array[sound] for name, array in columns.items()}
    shape = values.shape[:2]
    blank = int(np.isnan(values).all(axis=(1, 2)).sum())
    wrong = scan_geometry.misplaced_footprints(columns["lat"], columns["lon"], columns["zenith"])
    columns["lat"] = np.where(wrong, np.nan, columns["lat"])
    columns = {name: array.ravel() for name, array in columns.items()}
    columns["scan_position"] = np.tile(np.arange(1, shape[1] + 1, dtype=np.int16), shape[0])
    stored = values.reshape(-1, values.shape[2])[:, indices]
    values = plausible_temperatures(stored)
    impossible = np.isfinite(stored) & np.isnan(values)
    counts = count_values(file.path.name, file.day, channels, impossible, Reason.IMPOSSIBLE)
    first, last = (np.datetime64(time, "us") for time in period)
    table = footprints_of_granule(
        channels, values, columns, (first - _SCAN, last + _SCAN), platform, file.path.name
    )
    remark = f"{blank} of {shape[0]} scans have no value" if blank else ""
    return table, counts, remark
