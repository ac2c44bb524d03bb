"""AMSU-A level 1b of NOAA's polar orbiters (NOAA-15 to NOAA-19, Metop): counts, calibrated to antenna temperatures.

Format: NOAA KLM User's Guide (August 2014), sections 8.3.1.6.2 (header) and 8.3.1.6.3 (data records); big-endian
records of 2,560 octets, the first is the header. Calibration, section 7.3: radiance = a0 + a1 C + a2 C^2 with the
scan's own coefficients in mW/(m2 sr cm-1), scaled by 1e-9, 1e-13 and 1e-19; then Planck's function at the header's
central wavenumber and its band correction, T = (T* - b) / c. Each scan is checked on itself: its coefficients must turn
its own counts of the warm load into the temperature that the channel shows all along the file, and those of space into
a few K.

These are antenna temperatures: the records hold no correction for the side lobes of the antenna that see space and the
spacecraft (T. Mo, 1999, IEEE Trans. Geosci. Remote Sens. 37, 103-112), and no openly published table of it was found.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from fuxiflow.observations import scan_geometry
from fuxiflow.observations.readers import level1
from fuxiflow.observations.readers.granule import Granule, footprints, known_channels
from fuxiflow.observations.readers.level1 import Refused
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.physics import brightness_temperature

VARIANTS = ("amsua",)
CHANNELS = [str(i) for i in range(1, 16)]
POSITIONS = 30
RECORD = 2560
SCAN_SECONDS = 8
# SI units of radiance, W m-2 sr-1 (m-1)-1, in one of the guide's, mW/(m2 sr cm-1), and of wavenumber, m-1, in cm-1.
# Planck's constants are today's: those of the guide are older and differ by less than 2 mK.
_RADIANCE, _WAVENUMBER = 1e-5, 100.0
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
# calibration quality of a channel, octets 33-62: counts jump; all warm-load, space or thermometer readings bad
_BAD_CHANNEL = 1 << 8 | 1 << 5 | 1 << 4 | 1 << 3
_MOON_SEEN, _MOON_CORRECTED = 1 << 7, 1 << 6
_WARM_TOLERANCE, _SPACE_LIMIT = 5.0, 12.0  # K


def _field(
    name: str, kind: str, octet: int, shape: tuple[int, ...] = ()
) -> tuple[str, str, int, tuple[int, ...]]:
    """A field that starts at ``octet``, counted from 1 as in the guide."""
    return name, kind, octet - 1, shape


def _layout(*fields) -> np.dtype:
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
class Orbit:
    """A file: its ``header`` (scalar of :data:`HEADER`), its ``scans`` (of :data:`SCAN`) and the number ``missing``."""

    header: np.void
    scans: np.ndarray
    missing: int


def read(
    variant: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """AMSU-A, channels 1 to 15 as antenna temperatures; see :func:`fuxiflow.observations.readers.read`.

    A truncated file gives its whole records, and a second granule that counts the footprints it lacks.
    """
    chosen = known_channels(channels, CHANNELS, "AMSU-A has")

    def order(path: Path) -> tuple:
        found = _NAME.match(path.name)
        return (found["day"], found["start"], path.name) if found else ("", "", path.name)

    for path in sorted(map(Path, files), key=order):
        day = _day(path.name)
        lost: list[int] = []

        def decode(path=path, lost=lost) -> pa.Table:
            orbit = load(path)
            lost.append(orbit.missing)
            return _footprints(orbit, platforms, channels, chosen, path.name)

        found = level1.granule(path.name, day, decode)
        yield found
        if found.footprints is not None and lost[0]:
            yield Granule(
                path.name,
                reason=Reason.UNREADABLE,
                message=f"truncated: {lost[0]} scans are missing",
                count=lost[0] * POSITIONS,
                day=day,
            )


def _day(name: str) -> date | None:
    """The day in a file's name (two digits of the year and the day of the year), or None."""
    found = _NAME.match(name)
    try:
        return datetime.strptime(found["day"], "%y%j").date() if found else None
    except ValueError:
        return None


def load(path: Path) -> Orbit:
    """The records of a file; :class:`Refused` when it is empty, too big or no AMSU-A level 1b."""
    size = path.stat().st_size
    if not size:
        raise Refused(Reason.EMPTY, "zero bytes")
    if size > _LARGEST:
        raise Refused(
            Reason.UNREADABLE, f"{size} octets are more than any AMSU-A level 1b file has"
        )
    content = path.read_bytes()
    for offset in (0, _ARCHIVE_HEADER):
        if len(content) < offset + RECORD:
            continue
        header = np.frombuffer(content, HEADER, 1, offset)[0]
        if header["data_type"] == _AMSUA and int(header["spacecraft"]) in PLATFORMS:
            break
    else:
        raise Refused(
            Reason.UNREADABLE, "no header of AMSU-A level 1b (data type 10, known spacecraft)"
        )
    first = offset + RECORD * (int(header["headers"]) if 1 <= header["headers"] <= 4 else 1)
    whole = max(len(content) - first, 0) // RECORD
    if not whole:
        raise Refused(Reason.EMPTY, "no scan", int(header["records"]) * POSITIONS)
    found = np.frombuffer(content, SCAN, whole, first)
    # the header's count is believed only if the file breaks off within a record and its period has room for the count
    missing = 0
    if (len(content) - first) % RECORD:
        start, end = period(header)
        room = (end - start) // np.timedelta64(SCAN_SECONDS, "s") + 2
        claimed = int(header["records"]) - whole
        missing = claimed if claimed > 0 and int(header["records"]) <= room else 1
    return Orbit(header, found, missing)


def period(header: np.void) -> tuple[np.datetime64, np.datetime64]:
    """First and last scan's time as the header says; :class:`Refused` when it cannot be a part of an orbit or two."""
    start, end = (
        level1.instants(*([header[f"{word}_{part}"]] for part in ("year", "day", "ms")))[0]
        for word in ("start", "end")
    )
    if not np.timedelta64(0) <= end - start <= np.timedelta64(6, "h"):  # NaT compares false
        raise Refused(Reason.UNREADABLE, f"its header has the period from {start} to {end}")
    return start, end


def temperature(coefficients: np.ndarray, counts: np.ndarray, planck: np.ndarray) -> np.ndarray:
    """Antenna temperatures ``(scan, sample, channel)`` in K, NaN where the radiance is not positive.

    ``coefficients`` (scan, channel, 3): a2, a1, a0 scaled; ``counts`` (scan, sample, channel); ``planck`` (channel, 3):
    central wavenumber (cm-1), b (K) and c of the band correction. KLM User's Guide, section 7.3.
    """
    a2, a1, a0 = (coefficients[:, None, :, i] for i in range(3))
    radiance = a0 + counts * (a1 + counts * a2)
    wavenumber, b, c = planck.T
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        effective = brightness_temperature(_RADIANCE * radiance, _WAVENUMBER * wavenumber)
        return (effective - b) / c


def _samples(orbit: Orbit, name: str) -> np.ndarray:
    """Counts ``(scan, sample, channel)`` of the earth, space or warm views; NaN where zero, which stands for none."""
    a1, a2 = (orbit.scans[f"{name}_{unit}"] for unit in ("a1", "a2"))
    counts = np.concatenate([a2[..., -2:], a1[..., -13:]], axis=-1).astype(float)
    return np.where(counts > 0, counts, np.nan)


def calibrate(orbit: Orbit) -> np.ndarray:
    """Antenna temperatures ``(scan, position, channel)`` in K, NaN where a channel of a scan is not calibrated.

    A channel is left out of a scan for its quality flags, for missing coefficients, or if they fail on the scan's own
    views of the warm load and of space.
    """
    planck = orbit.header["planck"] * 1e-6
    coefficients = orbit.scans["coefficients"] * SCALES
    quality = orbit.scans["channel_quality"]
    bad = (quality & _BAD_CHANNEL) != 0
    bad |= ((quality & _MOON_SEEN) != 0) & ((quality & _MOON_CORRECTED) == 0)
    bad |= (orbit.scans["quality"] & _UNCALIBRATED)[:, None] != 0
    bad |= orbit.scans["coefficients"][..., 1] <= 0
    warm, space = (
        np.fmin(found[:, 0], found[:, 1])
        for found in (
            temperature(coefficients, _samples(orbit, name), planck) for name in ("warm", "space")
        )
    )
    with np.errstate(invalid="ignore"):
        typical = np.array(
            [
                np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan
                for column in np.where(bad, np.nan, warm).T
            ]
        )
        bad |= ~(np.abs(warm - typical) <= _WARM_TOLERANCE) | (space > _SPACE_LIMIT)
    values = temperature(coefficients, _samples(orbit, "earth"), planck)
    return level1.plausible(np.where(bad[:, None, :], np.nan, values))


def _footprints(
    orbit: Orbit, platforms: Sequence[str], channels: Sequence[str], chosen: list[int], file: str
) -> pa.Table:
    """The footprint table of an orbit."""
    shape = len(orbit.scans), POSITIONS
    platform = PLATFORMS[int(orbit.header["spacecraft"])]
    if platform not in platforms:
        raise Refused(
            Reason.PLATFORM,
            f"platform {platform}, expected {', '.join(platforms)}",
            shape[0] * shape[1],
        )
    start, end = period(orbit.header)
    quality = orbit.scans["quality"]
    time = level1.instants(*(orbit.scans[name] for name in ("year", "day", "ms")))
    lat, lon = (
        np.where(
            (quality & _UNLOCATED)[:, None] != 0, np.nan, orbit.scans["lat_lon"][..., i] * 1e-4
        )
        for i in range(2)
    )
    zenith = orbit.scans["angles"][..., 1] * 1e-2
    wrong = scan_geometry.misplaced(lat, lon, zenith)
    lat = np.where(wrong, np.nan, lat)
    time[((quality & _BAD_TIME) != 0) | scan_geometry.mistimed(time, lat, lon)] = np.datetime64(
        "NaT"
    )
    columns = {
        "time": np.repeat(time, POSITIONS),
        "lat": lat.ravel(),
        "lon": lon.ravel(),
        "zenith": zenith.ravel(),
        "azimuth": np.full(
            lat.size, np.nan, np.float32
        ),  # the records hold it relative to the sun's alone
        "scan_position": np.tile(np.arange(1, POSITIONS + 1, dtype=np.int16), shape[0]),
    }
    values = calibrate(orbit).reshape(-1, len(CHANNELS))[:, chosen]
    margin = np.timedelta64(SCAN_SECONDS, "s")
    found = footprints(channels, values, columns, (start - margin, end + margin), platform, file)
    return level1.flagged(found, np.repeat((quality & _UNUSABLE) != 0, POSITIONS))
