"""AMSU-A level 1b of NOAA's polar orbiters (NOAA-15 to NOAA-19, Metop): antenna temperatures.

Format: NOAA KLM User's Guide (August 2014), sections 8.3.1.6.2 (header) and 8.3.1.6.3 (data
records); big-endian records of 2,560 octets, the first is the header. Calibration, section 7.3:
radiance = a0 + a1 C + a2 C^2 of the counts C, with the scan's own coefficients in mW/(m2 sr cm-1),
scaled by 1e-9, 1e-13 and 1e-19; then Planck's function at the header's central wavenumber and its
band correction, T = (T* - b) / c. Each scan is checked on itself: its coefficients must turn its
own counts of the warm load into the temperature that the channel shows all along the file, and
those of space into a few K.

These are antenna temperatures: the records hold no correction for the side lobes of the antenna
that see space and the spacecraft (T. Mo, 1999, IEEE Trans. Geosci. Remote Sens. 37, 103-112), and
no openly published table of it was found.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
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
from fuxiflow.physics import brightness_temperature

VARIANTS = ("amsua",)
CHANNELS = [str(i) for i in range(1, 16)]
POSITIONS = 30
RECORD = 2560
SCAN_SECONDS = 8
# SI units of radiance, W m-2 sr-1 (m-1)-1, in one of the guide's, mW/(m2 sr cm-1), and of
# wavenumber, m-1, in cm-1. Planck's constants are today's: those of the guide are older and differ
# by less than 2 mK.
_RADIANCE = 1e-5
_WAVENUMBER = 100.0
SCALES = np.array([1e-19, 1e-13, 1e-9])
# octets 73-74 of the header
PLATFORMS = {
    2: "NOAA-16",
    4: "NOAA-15",
    6: "NOAA-17",
    7: "NOAA-18",
    8: "NOAA-19",
    11: "Metop-B",
    12: "Metop-A",
    13: "Metop-C",
}
_AMSUA = 10  # data type code, octets 77-78
_ARCHIVE_HEADER = 512  # octets that an archive may put before the header
_LARGEST = 100_000_000  # octets; an orbit has 2 million
_NAME = re.compile(r"\w{3}\.\w{4}\.\w{2}\.D(?P<day>\d{5})\.S(?P<start>\d{4})")
# quality indicator, octets 25-28: do not use; frame sync, minor frame, major frame or parity error
_UNUSABLE = 1 << 31 | 0b1111
_BAD_TIME, _UNCALIBRATED, _UNLOCATED = 1 << 30, 1 << 28, 1 << 27
# calibration quality of a channel, octets 33-62: counts jump; all warm-load, space or thermometer
# readings bad
_BAD_CHANNEL = 1 << 8 | 1 << 5 | 1 << 4 | 1 << 3
_MOON_SEEN, _MOON_CORRECTED = 1 << 7, 1 << 6
# K: from the median of the warm load, and of space; coefficients that give more are wrong
_WARM_TOLERANCE = 5.0
_SPACE_LIMIT = 12.0


def _field(
    name: str, kind: str, octet: int, shape: tuple[int, ...] = ()
) -> tuple[str, str, int, tuple[int, ...]]:
    """Describe a field of a record.

    Parameters
    ----------
    name : str
        Our name of it.
    kind : str
        numpy's code of its type.
    octet : int
        Its first octet, counted from 1 as in the guide.
    shape : tuple[int, ...]
        Its shape; a scalar by default.

    Returns
    -------
    tuple[str, str, int, tuple[int, ...]]
        The same with the offset from 0.
    """
    return name, kind, octet - 1, shape


def _layout(*fields: tuple[str, str, int, tuple[int, ...]]) -> np.dtype:
    """Combine fields to the type of a record."""
    names, kinds, offsets, shapes = zip(*fields, strict=True)
    formats = [(kind, shape) if shape else kind for kind, shape in zip(kinds, shapes, strict=True)]
    return np.dtype(
        {"names": list(names), "formats": formats, "offsets": list(offsets), "itemsize": RECORD}
    )


HEADER = _layout(
    _field("dataset", "S42", 23),
    _field("spacecraft", ">u2", 73),
    _field("data_type", ">u2", 77),
    _field("start_year", ">u2", 85),
    _field("start_day", ">u2", 87),
    _field("start_ms", ">u4", 89),
    _field("end_year", ">u2", 97),
    _field("end_day", ">u2", 99),
    _field("end_ms", ">u4", 101),
    _field("headers", ">u2", 15),
    _field("records", ">u2", 145),
    _field("planck", ">i4", 689, (15, 3)),
)
# samples: A2 has channels 1-2 after two words of antenna position, A1 channels 3-15 after four
SCAN = _layout(
    _field("year", ">u2", 3),
    _field("day", ">u2", 5),
    _field("ms", ">u4", 9),
    _field("quality", ">u4", 25),
    _field("channel_quality", ">u2", 33, (15,)),
    _field("coefficients", ">i4", 81, (15, 3)),
    _field("angles", ">i2", 473, (POSITIONS, 3)),
    _field("lat_lon", ">i4", 653, (POSITIONS, 2)),
    _field("earth_a1", ">u2", 905, (POSITIONS, 17)),
    _field("space_a1", ">u2", 1933, (2, 13)),
    _field("warm_a1", ">u2", 2085, (2, 13)),
    _field("earth_a2", ">u2", 2193, (POSITIONS, 4)),
    _field("space_a2", ">u2", 2437, (2, 2)),
    _field("warm_a2", ">u2", 2489, (2, 2)),
)


@dataclass(frozen=True)
class Level1bFile:
    """The contents of a file.

    ``header`` is a scalar of :data:`HEADER`, ``scans`` are ``(scan,)`` of :data:`SCAN`, ``missing``
    is the number of scans that a truncated file lacks.
    """

    header: np.void
    scans: np.ndarray
    missing: int


def read(
    variant: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read AMSU-A, channels 1 to 15, as antenna temperatures.

    Parameters
    ----------
    variant : str
        ``amsua``.
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`.

    Yields
    ------
    Granule
        The files in time order. A truncated file gives its whole records, and a second granule that
        counts the footprints it lacks.
    """
    indices = channel_indices(channels, CHANNELS, "AMSU-A has")

    def order(path: Path) -> tuple:
        match = _NAME.match(path.name)
        return (match["day"], match["start"], path.name) if match else ("", "", path.name)

    for path in sorted(map(Path, files), key=order):
        day = _day(path.name)
        lost: list[int] = []
        decode = partial(_decode, path, day, platforms, channels, indices, lost)
        granule = granule_of_file(path.name, day, decode)
        yield granule
        if granule.footprints is not None and lost[0]:
            yield Granule(
                path.name,
                reason=Reason.UNREADABLE,
                message=f"truncated: {lost[0]} scans are missing",
                count=lost[0] * POSITIONS,
                day=day,
            )


def _decode(
    path: Path,
    day: date | None,
    platforms: Sequence[str],
    channels: Sequence[str],
    indices: list[int],
    lost: list[int],
) -> Decoded:
    """Decode one file.

    Parameters
    ----------
    path : Path
        The file.
    day : date | None
        Day in its name.
    platforms, channels
        See :func:`fuxiflow.observations.readers.read`.
    indices : list[int]
        Places of ``channels`` in the file.
    lost : list[int]
        The number of scans that it lacks is appended to it.

    Returns
    -------
    Decoded
        The footprint table, and the single values that are not read.
    """
    content = read_level1b(path)
    lost.append(content.missing)
    return _footprints(content, platforms, channels, indices, path.name, day)


def _day(name: str) -> date | None:
    """Return the day in a file's name (two digits of the year and the day of the year), or None."""
    match = _NAME.match(name)
    try:
        return datetime.strptime(match["day"], "%y%j").date() if match else None
    except ValueError:
        return None


def read_level1b(path: Path) -> Level1bFile:
    """Read the records of a file.

    :class:`.granule.RefusedFile` when it is empty, too big or no AMSU-A level 1b.
    """
    size = path.stat().st_size
    if not size:
        raise RefusedFile(Reason.EMPTY, "zero bytes")
    if size > _LARGEST:
        raise RefusedFile(
            Reason.UNREADABLE, f"{size} octets are more than any AMSU-A level 1b file has"
        )
    data = path.read_bytes()
    # an archive's own header may stand before that of the file
    for offset in (0, _ARCHIVE_HEADER):
        if len(data) < offset + RECORD:
            continue
        header = np.frombuffer(data, HEADER, 1, offset)[0]
        if header["data_type"] == _AMSUA and int(header["spacecraft"]) in PLATFORMS:
            break
    else:
        raise RefusedFile(
            Reason.UNREADABLE, "no header of AMSU-A level 1b (data type 10, known spacecraft)"
        )
    # the count of header records is damaged where it is none of 1 to 4
    first = offset + RECORD * (int(header["headers"]) if 1 <= header["headers"] <= 4 else 1)
    whole = max(len(data) - first, 0) // RECORD
    if not whole:
        raise RefusedFile(Reason.EMPTY, "no scan", int(header["records"]) * POSITIONS)
    scans = np.frombuffer(data, SCAN, whole, first)
    # the header's count is believed only if the file breaks off within a record and its period is
    # long enough for the count
    missing = 0
    if (len(data) - first) % RECORD:
        start, end = period(header)
        capacity = (end - start) // np.timedelta64(SCAN_SECONDS, "s") + 2
        claimed = int(header["records"]) - whole
        missing = claimed if claimed > 0 and int(header["records"]) <= capacity else 1
    return Level1bFile(header, scans, missing)


def period(header: np.void) -> tuple[np.datetime64, np.datetime64]:
    """Return the times of the first and last scan by the header.

    :class:`.granule.RefusedFile` when the two cannot be a part of an orbit or two.
    """
    start, end = (
        times_of_year_and_day(*([header[f"{word}_{part}"]] for part in ("year", "day", "ms")))[0]
        for word in ("start", "end")
    )
    if not np.timedelta64(0) <= end - start <= np.timedelta64(6, "h"):  # NaT compares false
        raise RefusedFile(Reason.UNREADABLE, f"its header has the period from {start} to {end}")
    return start, end


def antenna_temperature(
    coefficients: np.ndarray, counts: np.ndarray, planck: np.ndarray
) -> np.ndarray:
    """Convert counts to antenna temperatures (KLM User's Guide, section 7.3).

    Parameters
    ----------
    coefficients : np.ndarray
        a2, a1 and a0, scaled, ``(scan, channel, 3)``.
    counts : np.ndarray
        Counts ``(scan, sample, channel)``.
    planck : np.ndarray
        Central wavenumber (cm-1), b (K) and c of the band correction, ``(channel, 3)``.

    Returns
    -------
    np.ndarray
        Antenna temperatures ``(scan, sample, channel)`` in K, NaN where the radiance is not
        positive.
    """
    a2, a1, a0 = (coefficients[:, None, :, i] for i in range(3))
    radiance = a0 + counts * (a1 + counts * a2)
    wavenumber, b, c = planck.T
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        effective = brightness_temperature(_RADIANCE * radiance, _WAVENUMBER * wavenumber)
        return (effective - b) / c


def _samples(content: Level1bFile, name: str) -> np.ndarray:
    """Return the counts ``(scan, sample, channel)`` of one kind of views.

    ``name`` is ``earth``, ``space`` or ``warm``. NaN where zero, which stands for none.
    """
    a1, a2 = (content.scans[f"{name}_{unit}"] for unit in ("a1", "a2"))
    counts = np.concatenate([a2[..., -2:], a1[..., -13:]], axis=-1).astype(float)
    return np.where(counts > 0, counts, np.nan)


def calibrate(content: Level1bFile) -> np.ndarray:
    """Calibrate the earth views to antenna temperatures ``(scan, position, channel)`` in K.

    A channel of a scan is NaN for its quality flags, for missing coefficients, or if these fail on
    the scan's own views of the warm load and of space.
    """
    planck = content.header["planck"] * 1e-6
    coefficients = content.scans["coefficients"] * SCALES
    # flags first, so that what they reject has no part in the median below
    quality = content.scans["channel_quality"]
    bad = (quality & _BAD_CHANNEL) != 0
    bad |= ((quality & _MOON_SEEN) != 0) & ((quality & _MOON_CORRECTED) == 0)
    bad |= (content.scans["quality"] & _UNCALIBRATED)[:, None] != 0
    bad |= content.scans["coefficients"][..., 1] <= 0
    warm, space = (
        np.fmin(views[:, 0], views[:, 1])
        for views in (
            antenna_temperature(coefficients, _samples(content, name), planck)
            for name in ("warm", "space")
        )
    )
    with np.errstate(invalid="ignore"):
        # the median over the file: a damaged scan must not move the temperature it is compared with
        typical = np.array(
            [
                np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan
                for column in np.where(bad, np.nan, warm).T
            ]
        )
        bad |= ~(np.abs(warm - typical) <= _WARM_TOLERANCE) | (space > _SPACE_LIMIT)
    values = antenna_temperature(coefficients, _samples(content, "earth"), planck)
    return plausible_temperatures(np.where(bad[:, None, :], np.nan, values))


def _footprints(
    content: Level1bFile,
    platforms: Sequence[str],
    channels: Sequence[str],
    indices: list[int],
    file: str,
    day: date | None,
) -> Decoded:
    """Build the footprint table of a file.

    Parameters
    ----------
    content : Level1bFile
        The file's contents.
    platforms, channels
        See :func:`fuxiflow.observations.readers.read`.
    indices : list[int]
        Places of ``channels`` in the file.
    file : str
        Name of the file.
    day : date | None
        Day in its name.

    Returns
    -------
    Decoded
        The footprint table, and the single values that are not read.

    Raises
    ------
    RefusedFile
        When the file is of another platform or its header's period is wrong.
    """
    shape = len(content.scans), POSITIONS
    platform = PLATFORMS[int(content.header["spacecraft"])]
    if platform not in platforms:
        raise RefusedFile(
            Reason.PLATFORM,
            f"platform {platform}, expected {', '.join(platforms)}",
            shape[0] * shape[1],
        )
    start, end = period(content.header)
    quality = content.scans["quality"]
    time = times_of_year_and_day(*(content.scans[name] for name in ("year", "day", "ms")))
    lat, lon = (
        np.where(
            (quality & _UNLOCATED)[:, None] != 0, np.nan, content.scans["lat_lon"][..., i] * 1e-4
        )
        for i in range(2)
    )
    zenith = content.scans["angles"][..., 1] * 1e-2
    wrong = scan_geometry.misplaced_footprints(lat, lon, zenith)
    lat = np.where(wrong, np.nan, lat)
    bad_time = (quality & _BAD_TIME) != 0
    time[bad_time | scan_geometry.mistimed_scans(time, lat, lon)] = NOT_A_TIME
    columns = {
        "time": np.repeat(time, POSITIONS),
        "lat": lat.ravel(),
        "lon": lon.ravel(),
        "zenith": zenith.ravel(),
        # the records hold azimuths relative to the sun's alone
        "azimuth": np.full(lat.size, np.nan, np.float32),
        "scan_position": np.tile(np.arange(1, POSITIONS + 1, dtype=np.int16), shape[0]),
    }
    values = calibrate(content).reshape(-1, len(CHANNELS))[:, indices]
    counted = np.isfinite(_samples(content, "earth")).reshape(-1, len(CHANNELS))[:, indices]
    lost = count_values(file, day, channels, counted & np.isnan(values), Reason.FLAGGED)
    margin = np.timedelta64(SCAN_SECONDS, "s")
    table = footprints_of_granule(
        channels, values, columns, (start - margin, end + margin), platform, file
    )
    return flag_unusable(table, np.repeat((quality & _UNUSABLE) != 0, POSITIONS)), lost
