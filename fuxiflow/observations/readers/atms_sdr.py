"""ATMS sensor data records: SATMS brightness temperatures and their GATMO geolocation, HDF5, read through satpy.

Format: JPSS Common Data Format Control Book - External, Volume III, 474-00001-03. satpy's file handlers are used
without a Scene: a Scene reads channel by channel (0.28 s a granule), a handler the whole array (0.03 s).
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import dask
import numpy as np
from satpy.readers.atms_sdr_hdf5 import ATMS_CHANNEL_NAMES, ATMS_SDR_FileHandler

from fuxiflow.observations import leap_seconds, scan_geometry
from fuxiflow.observations.readers import level1
from fuxiflow.observations.readers.granule import Granule, footprints, known_channels
from fuxiflow.observations.rejection_codes import Reason

_NAME = re.compile(
    r"(?P<products>SATMS|GATMO|GATMO-SATMS|SATMS-GATMO)_"
    r"(?P<granule>[a-z0-9]+_d(?P<day>\d{8})_t\d{7}_e\d{7}_b\d{5})_c(?P<created>\d+)_\w+\.h5"
)
_DATA = "All_Data/ATMS-SDR_All/"
_GEOLOCATION = "All_Data/ATMS-SDR-GEO_All/"
_TEMPERATURE = _DATA + "BrightnessTemperature"
# names that satpy does not make one: Suomi-NPP has three in use
_SAME_PLATFORM = {"s-npp": "suomi-npp", "snpp": "suomi-npp", "npp": "suomi-npp"}
_EPOCH, _FIRST = np.datetime64("1958-01-01", "us"), np.datetime64("2009-01-01", "us")
_SCAN = np.timedelta64(
    3, "s"
)  # a scan takes 8/3 s; aggregate times may be those of the first view of a scan


@dataclass(frozen=True)
class _File:
    path: Path
    products: tuple[str, ...]
    granule: str
    created: str
    day: date


def _parse(path: Path) -> _File | None:
    found = _NAME.fullmatch(path.name)
    if not found:
        return None
    day = datetime.strptime(found["day"], "%Y%m%d").date()
    return _File(path, tuple(found["products"].split("-")), found["granule"], found["created"], day)


class _Refused(Exception):
    """A file that is not used, and why."""

    def __init__(self, file: _File, reason: Reason, message: str):
        super().__init__(message)
        self.file, self.reason = file, reason


def read(
    files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Pair the files and yield their granules in time order; see :func:`fuxiflow.observations.readers.read`."""
    chosen = known_channels(channels, ATMS_CHANNEL_NAMES, "ATMS has")
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
        yield from _granule(granules[name], platforms, channels, chosen)


def _granule(
    files: list[_File], platforms: Sequence[str], channels: Sequence[str], chosen: list[int]
) -> Iterator[Granule]:
    """One granule from all files of its name: older versions, refused files and the footprints."""
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
        try:
            found = _footprints(
                file, handlers["SATMS"], handlers["GATMO"], platforms, channels, chosen
            )
        except _Refused as refusal:
            yield _without(refusal.file, refusal.reason, str(refusal), _size(handlers["SATMS"]))
        else:
            yield Granule(file.path.name, footprints=found, count=len(found), day=file.day)
        return
    for product, handler in handlers.items():
        partner = "GATMO" if product == "SATMS" else "SATMS"
        why = "cannot be used" if latest.get(partner) in refused else "is absent"
        yield _without(latest[product], Reason.PARTNER, f"its {partner} {why}", _size(handler))


def _without(file: _File, reason: Reason, message: str, count: int) -> Granule:
    return Granule(file.path.name, reason=reason, message=message, count=count, day=file.day)


def _open(file: _File, platforms: Sequence[str]) -> ATMS_SDR_FileHandler:
    """satpy's handler of a file of one of the platforms."""
    if file.path.stat().st_size == 0:
        raise _Refused(file, Reason.EMPTY, "zero bytes")
    try:
        with level1.quiet():
            handler = ATMS_SDR_FileHandler(os.fspath(file.path), {}, {})
        found = str(handler.platform_name)
    except level1.DAMAGE as error:
        raise _Refused(file, Reason.UNREADABLE, f"{type(error).__name__}: {error}") from error
    if _called(found, platforms) is None:
        raise _Refused(
            file, Reason.PLATFORM, f"platform {found}, expected {' or '.join(platforms)}"
        )
    return handler


def _canonical(platform: str) -> str:
    return _SAME_PLATFORM.get(platform.lower(), platform.lower())


def _called(found: str, platforms: Sequence[str]) -> str | None:
    """What a source calls the platform of a file, None where it is not one of its ``platforms``."""
    return next((name for name in platforms if _canonical(name) == _canonical(found)), None)


def _size(handler: ATMS_SDR_FileHandler) -> int:
    """Footprints of a SATMS file by its header; a geolocation file alone has none."""
    shape = handler.file_content.get(_TEMPERATURE + "/shape", (0, 0))
    return int(shape[0] * shape[1])


def _array(handler: ATMS_SDR_FileHandler, key: str, mask: bool = True) -> np.ndarray:
    """A data set of a file, fill values (>= 65528 in integers, <= -999 in floats) as NaN where ``mask``."""
    data = handler[key].load()  # masking the loaded array spares dask graphs
    return (handler.mask_fill_values(data, {}) if mask else data).values


def _temperatures(handler: ATMS_SDR_FileHandler) -> np.ndarray:
    """Brightness temperatures ``(scan, position, 22)`` in K; each granule of an aggregate has its own factors."""
    counts = _array(handler, _TEMPERATURE)
    factors = _array(handler, _TEMPERATURE + "Factors").astype(np.float32).reshape(-1, 2)
    if len(factors) > 1:
        product = "Data_Products/ATMS-SDR/ATMS-SDR_Gran_{}/attr/N_Number_Of_Scans"
        scans = [int(handler[product.format(i)]) for i in range(len(factors))]
        if sum(scans) != len(counts):
            raise ValueError(f"{len(counts)} scans, but its granules have {sum(scans)}")
        factors = np.repeat(factors, scans, axis=0)
    return counts * factors[:, 0, None, None] + factors[:, 1, None, None]


def utc(microseconds: np.ndarray) -> np.ndarray:
    """IDPS epoch time (microseconds since 1958-01-01 TAI) as UTC ``datetime64[us]``; fill values, negative, as NaT.

    ValueError before 2009, when no ATMS flew.
    """
    tai = np.where(
        microseconds > 0,
        _EPOCH + microseconds.astype("timedelta64[us]"),
        np.datetime64("NaT", "us"),
    )
    known = tai[~np.isnat(tai)]
    if known.size and known.min() < _FIRST:
        raise ValueError(f"time {known.min()} is before {_FIRST}")
    return leap_seconds.utc(tai)


def _footprints(
    file: _File,
    data: ATMS_SDR_FileHandler,
    geolocation: ATMS_SDR_FileHandler,
    platforms: Sequence[str],
    channels: Sequence[str],
    chosen: list[int],
):
    """The footprint table of a pair of files."""
    platform, other = (
        _called(str(handler.platform_name), platforms) for handler in (data, geolocation)
    )
    if platform != other:
        raise _Refused(file, Reason.MISMATCH, f"of {platform}, its geolocation of {other}")
    try:
        with dask.config.set(scheduler="synchronous"):
            values = _temperatures(data)
            names = {
                "lat": "Latitude",
                "lon": "Longitude",
                "zenith": "SatelliteZenithAngle",
                "azimuth": "SatelliteAzimuthAngle",
            }
            columns = {name: _array(geolocation, _GEOLOCATION + key) for name, key in names.items()}
            columns["time"] = utc(_array(data, _DATA + "BeamTime", mask=False))
        period, other = ((handler.start_time, handler.end_time) for handler in (data, geolocation))
    except level1.DAMAGE as error:
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
    if abs((period[0] - other[0]).total_seconds()) > 1:
        raise _Refused(
            file, Reason.MISMATCH, f"starts at {period[0]}, its geolocation at {other[0]}"
        )
    wrong = scan_geometry.misplaced(columns["lat"], columns["lon"], columns["zenith"])
    columns["lat"] = np.where(wrong, np.nan, columns["lat"])
    columns = {name: array.ravel() for name, array in columns.items()}
    columns["scan_position"] = np.tile(np.arange(1, shape[1] + 1, dtype=np.int16), shape[0])
    values = level1.plausible(values.reshape(-1, values.shape[2])[:, chosen])
    first, last = (np.datetime64(time, "us") for time in period)
    return footprints(
        channels, values, columns, (first - _SCAN, last + _SCAN), platform, file.path.name
    )
