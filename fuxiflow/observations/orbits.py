"""Times and places of the scans of cross-track scanners on sun-synchronous orbits, by pyorbital.

One synthetic two-line element set without drag serves all dates, so that the orbit's phase runs on
from day to day; scans are counted from its epoch, so that a day's scans do not depend on the days
asked for.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from fuxiflow.config.sources import Orbit

EPOCH = np.datetime64("2022-01-01T00:00:00", "ns")


@dataclass(frozen=True)
class Scanner:
    """A cross-track scanner.

    It has ``fields_of_view`` a scan, up to ``half_angle`` degrees off nadir; a scan takes
    ``period`` s, a view ``dwell`` s.
    """

    fields_of_view: int
    half_angle: float
    period: float
    dwell: float


SCANNERS = {
    "atms": Scanner(96, 52.725, 8.0 / 3.0, 0.018),
    "amsua": Scanner(30, 29.0 * 5.0 / 3.0, 8.0, 0.2),
    "mhs": Scanner(90, 89.0 * 5.0 / 9.0, 8.0 / 3.0, 0.019),
    "mwts3": Scanner(98, 53.35, 8.0 / 3.0, 0.018),
    "mwhs2": Scanner(98, 53.35, 8.0 / 3.0, 0.018),
}
"""The scanners by instrument.

ATMS: 96 samples of 18 ms in 8/3 s, +-52.725 degrees (JPSS ATMS SDR ATBD, 474-00043). AMSU-A: 30
steps of 10/3 degrees in 8 s, one in 0.2 s; MHS: 90 of 10/9 degrees in 8/3 s, one in 19 ms (NOAA KLM
User's Guide, sections 3.3 and 3.9). MWTS-III, MWHS-II: 98 views over +-53.35 degrees in 8/3 s
(NSMC, instrument pages; their dwell is not published: 18 ms as ATMS).
"""


@dataclass(frozen=True)
class Swath:
    """Scans of one platform.

    Attributes
    ----------
    time : np.ndarray
        UTC, datetime64[ns], ``(scan, field of view)``.
    lat, lon : np.ndarray
        Degrees, longitudes in [-180, 180), ``(scan, field of view)``.
    zenith, azimuth : np.ndarray
        Direction of the satellite in degrees, seen from the ground, azimuth clockwise from north,
        ``(scan, field of view)``.
    solar_zenith, solar_azimuth : np.ndarray
        Direction of the sun likewise.
    scan_angle : np.ndarray
        Degrees, signed, ``(scan, field of view)``.
    scan : np.ndarray
        Number of the scan from :data:`EPOCH`, ``(scan,)``.
    field_of_view : np.ndarray
        Number of the field of view from 0, ``(field of view,)``.
    """

    time: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    zenith: np.ndarray
    azimuth: np.ndarray
    solar_zenith: np.ndarray
    solar_azimuth: np.ndarray
    scan_angle: np.ndarray
    scan: np.ndarray
    field_of_view: np.ndarray

    def __len__(self) -> int:
        return len(self.scan)

    def scans(self, rows: slice) -> "Swath":
        """Return the swath of some scans."""
        values = {
            name: value[rows] for name, value in vars(self).items() if name != "field_of_view"
        }
        return Swath(field_of_view=self.field_of_view, **values)


def scanner(instrument: str) -> Scanner:
    """Return the scanner of ``instrument``; KeyError lists those that there are."""
    if instrument not in SCANNERS:
        raise KeyError(
            f"no scan geometry for instrument {instrument!r}; known: {', '.join(SCANNERS)}"
        )
    return SCANNERS[instrument]


def _checksum(line: str) -> str:
    """Return the modulo-10 sum of the digits of a line, minus signs counted as 1."""
    return str(sum(int(c) if c.isdigit() else c == "-" for c in line) % 10)


def two_line_elements(orbit: Orbit) -> tuple[str, str]:
    """Write the two-line elements at :data:`EPOCH` of a circular orbit without drag.

    Its ascending node is at the orbit's mean local time. The mean sun's right ascension:
    Astronomical Almanac, low-precision formulae for the sun.
    """
    day = EPOCH.astype("datetime64[D]")
    year = day.astype("datetime64[Y]")
    of_year = (EPOCH - year) / np.timedelta64(1, "D") + 1.0
    since_2000 = (EPOCH - np.datetime64("2000-01-01T12:00:00")) / np.timedelta64(1, "D")
    mean_sun = 280.460 + 0.9856474 * since_2000
    node = (mean_sun + 15.0 * (orbit.ascending_node_hour - 12.0)) % 360.0
    number = orbit.catalogue_number
    first = f"1 {number:05d}U 00000A   {str(year)[2:]}{of_year:012.8f}"
    first += "  .00000000  00000-0  00000-0 0  999"
    # the argument of perigee is 90 degrees: at 270 of mean anomaly the satellite is at its node
    anomaly = (270.0 + orbit.phase) % 360.0
    second = f"2 {number:05d} {orbit.inclination:8.4f} {node:8.4f} 0001000  90.0000 {anomaly:8.4f} "
    second += f"{orbit.revolutions_per_day:11.8f}00001"
    return first + _checksum(first), second + _checksum(second)


@cache
def _propagator(name: str, orbit: Orbit):
    from pyorbital.orbital import Orbital

    first, second = two_line_elements(orbit)
    return Orbital(name, line1=first, line2=second)


def track(
    platform: str, orbit: Orbit, time: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the point below a satellite.

    Parameters
    ----------
    platform : str
        Name of the platform.
    orbit : Orbit
        Its orbit.
    time : np.ndarray
        Times ``(n,)``, datetime64[ns].

    Returns
    -------
    lat, lon : np.ndarray
        Degrees ``(n,)``.
    height : np.ndarray
        Height of the satellite ``(n,)`` in km.
    """
    lon, lat, height = _propagator(platform, orbit).get_lonlatalt(time)
    return np.asarray(lat, float), np.asarray(lon, float), np.asarray(height, float)


def swath(
    platform: str,
    orbit: Orbit,
    instrument: str,
    start: np.datetime64,
    end: np.datetime64,
    scan_stride: int = 1,
    field_of_view_stride: int = 1,
) -> Swath:
    """Compute the scans that start in [``start``, ``end``), thinned.

    Only what is kept is computed.

    Parameters
    ----------
    platform : str
        Name of the platform.
    orbit : Orbit
        Its orbit.
    instrument : str
        One of :data:`SCANNERS`.
    start, end : np.datetime64
        Period, UTC.
    scan_stride : int
        Scans from one that is kept to the next.
    field_of_view_stride : int
        Fields of view from one that is kept to the next. The first one kept is in the middle of its
        stride.

    Returns
    -------
    Swath
        The scans.

    Raises
    ------
    KeyError
        When there is no such instrument.
    """
    from pyorbital import astronomy
    from pyorbital.geoloc import ScanGeometry, geolocate, get_sensor_angles

    kind = scanner(instrument)
    period = np.int64(round(kind.period * 1e9))
    since = [int((np.datetime64(t, "ns") - EPOCH).astype(np.int64)) for t in (start, end)]
    # rounded up: the first kept scan that starts in the period, and the first after it
    first, last = (-(-t // (period * scan_stride)) for t in since)
    scan = np.arange(first, last, dtype=np.int64) * scan_stride
    view = np.arange((field_of_view_stride - 1) // 2, kind.fields_of_view, field_of_view_stride)
    angle = (1.0 - 2.0 * view / (kind.fields_of_view - 1)) * kind.half_angle
    shape = len(scan), len(view)
    offset = scan[:, None] * period + np.rint(view * kind.dwell * 1e9).astype(np.int64)
    time = EPOCH + offset.astype("timedelta64[ns]")
    angles = np.broadcast_to(angle, shape)
    if not len(scan):
        empty = np.zeros(shape)
        return Swath(time, empty, empty, empty, empty, empty, empty, angles, scan, view)
    propagator = _propagator(platform, orbit)
    flat = time.ravel()
    geometry = ScanGeometry(
        np.stack([np.deg2rad(angles).ravel(), np.zeros(flat.size)]), offset.ravel() * 1e-9
    )
    lon, lat, _ = geolocate(
        propagator, geometry, flat, nadir_convention="geodetic", rotation_order="pitch_first"
    )
    zenith, azimuth = get_sensor_angles(propagator, flat, lon, lat)
    solar_height, solar_azimuth = astronomy.get_alt_az(flat, lon, lat)
    values = {
        "lat": lat,
        "lon": (lon + 180.0) % 360.0 - 180.0,
        "zenith": zenith,
        "azimuth": azimuth,
        "solar_zenith": 90.0 - np.rad2deg(solar_height),
        "solar_azimuth": np.rad2deg(solar_azimuth) % 360.0,
    }
    values = {name: np.asarray(value, float).reshape(shape) for name, value in values.items()}
    return Swath(time=time, scan_angle=angles, scan=scan, field_of_view=view, **values)
