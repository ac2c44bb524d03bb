"""Radio occultations of the nature run: their places, and the refractivity that is measured there.

A receiver in orbit sees navigation satellites set and rise at the limb ahead and behind: the
tangent point is the arc acos(R / (R + h)) of a great circle away from the point below it, within
:data:`FIELD` degrees of its track. When one occurs is random, as the constellations that transmit
make it look. The profile is upright, and the air above 50 hPa, of which the nature run holds
nothing, is that of the standard atmosphere, shifted to the temperature at 50 hPa.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta

import numpy as np
import torch

from fuxiflow import physics
from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.config import world as settings
from fuxiflow.config.sources import Platform, Source
from fuxiflow.observations.orbits import track
from fuxiflow.operators.radio_occultation import geometric_height, refractivity
from fuxiflow.randomness import generator
from fuxiflow.world.windows import TruthWindow, TruthWindows

VARIABLES = (
    *(f"{name}{level}" for name in "TZ" for level in PRESSURE_LEVELS),
    "specific_humidity",
    "surface_pressure",
    "T2M",
    "surface_geopotential",
)
"""Variables of the truth that occultations need."""
FIELD = 60.0
"""Largest angle in degrees between the direction of an occultation and the receiver's track."""
TOP = 50_000.0
"""Greatest height of a profile, m."""
DEPTH = 1_500.0
"""Profiles end at most so far above the ground, m, as signals are lost in moist air; a quarter of
them reach it."""
# heights in km where the lapse rate of the standard atmosphere changes, and its rates from there on
# in K/km (ICAO)
_STANDARD = ((11.0, 0.0), (20.0, 1.0), (32.0, 2.8), (47.0, 0.0))
_ABOVE = np.arange(0.0, 40_001.0, 1_000.0)  # m above the highest level of the truth
_ERROR_HEIGHTS = (0.0, 8_000.0, 30_000.0, 50_000.0)  # m
ERROR_SHARES = (0.03, 0.01, 0.01, 0.03)
"""Standard deviation of the error as a share of refractivity, at 0, 8, 30 and 50 km, linear between
(after Kuo et al., 2004, J. Meteorol. Soc. Japan 82, 507-531)."""
ERROR_SCALE = 1_000.0
"""Errors farther apart than this, m, are independent."""


@dataclass(frozen=True)
class OccultationProfiles:
    """Occultations seen from one platform, or from several.

    Attributes
    ----------
    time : np.ndarray
        UTC, datetime64[ns], ``(n,)``.
    lat, lon : np.ndarray
        Tangent points in degrees, ``(n,)``.
    azimuth : np.ndarray
        Direction of the rays there, towards the receiver, in degrees, ``(n,)``.
    height : np.ndarray
        In m above mean sea level, ``(level,)``.
    refractivity : np.ndarray
        In N-units, ``(n, level)``, NaN below the lowest point of a profile.
    """

    time: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    azimuth: np.ndarray
    height: np.ndarray
    refractivity: np.ndarray

    def __len__(self) -> int:
        return len(self.time)


def bearing(
    lat: np.ndarray, lon: np.ndarray, other_lat: np.ndarray, other_lon: np.ndarray
) -> np.ndarray:
    """Compute the direction of other points from points along great circles.

    Parameters
    ----------
    lat, lon : np.ndarray
        The points, in degrees.
    other_lat, other_lon : np.ndarray
        The other points, in degrees.

    Returns
    -------
    np.ndarray
        Degrees clockwise from north.
    """
    phi, other, across = np.radians(lat), np.radians(other_lat), np.radians(other_lon - lon)
    east = np.sin(across) * np.cos(other)
    north = np.cos(phi) * np.sin(other) - np.sin(phi) * np.cos(other) * np.cos(across)
    return np.degrees(np.arctan2(east, north)) % 360.0


def destination(
    lat: np.ndarray, lon: np.ndarray, azimuth: np.ndarray, arc: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the points at an arc from points along great circles.

    Parameters
    ----------
    lat, lon : np.ndarray
        The points, in degrees.
    azimuth : np.ndarray
        Direction, degrees clockwise from north.
    arc : np.ndarray
        Length of the arc in degrees.

    Returns
    -------
    tuple[np.ndarray, np.ndarray]
        Latitude and longitude in degrees, longitude in [-180, 180).
    """
    phi, angle, turn = np.radians(lat), np.radians(arc), np.radians(azimuth)
    sine = np.sin(phi) * np.cos(angle) + np.cos(phi) * np.sin(angle) * np.cos(turn)
    across = np.arctan2(
        np.sin(turn) * np.sin(angle) * np.cos(phi), np.cos(angle) - np.sin(phi) * sine
    )
    return np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))), (
        lon + np.degrees(across) + 180.0
    ) % 360.0 - 180.0


def occultation_places(
    platform: Platform, time: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the places of the occultations that a platform sees.

    Parameters
    ----------
    platform : Platform
        The satellite, with its orbit.
    time : np.ndarray
        Times of the occultations, datetime64[ns], ``(n,)``.
    rng : np.random.Generator
        Draws ahead or behind, and the direction.

    Returns
    -------
    tuple[np.ndarray, np.ndarray, np.ndarray]
        Latitude, longitude and azimuth towards the receiver in degrees, ``(n,)``.
    """
    lat, lon, height = track(platform.name, platform.orbit, time)
    ahead = bearing(
        lat, lon, *track(platform.name, platform.orbit, time + np.timedelta64(10, "s"))[:2]
    )
    direction = (
        ahead + 180.0 * (rng.random(len(time)) < 0.5) + rng.uniform(-FIELD, FIELD, len(time))
    )
    arc = np.degrees(np.arccos(physics.EARTH_RADIUS / (physics.EARTH_RADIUS + height)))
    tangent = destination(lat, lon, direction, arc)
    return *tangent, bearing(*tangent, lat, lon)


def _standard(height: np.ndarray) -> np.ndarray:
    """Compute the temperature of the standard atmosphere (ICAO) less that at 11 km, in K.

    ``height`` is in m, from 11 to 50 km.
    """
    warming, (start, rate) = np.zeros(np.shape(height)), _STANDARD[0]
    for end, following in (*_STANDARD[1:], (np.inf, 0.0)):
        warming += rate * np.clip(0.001 * height - start, 0.0, end - start)
        start, rate = end, following
    return warming


def refractivity_profile(column: Mapping[str, float], lat: float, height: np.ndarray) -> np.ndarray:
    """Compute the refractivity of one column of the truth.

    Between the levels temperature and the logarithm of specific humidity are linear in height, and
    the logarithm of pressure has the curvature that hydrostatic balance gives it.

    Parameters
    ----------
    column : Mapping[str, float]
        The truth at a point, by the names of :attr:`fuxiflow.world.windows.TruthWindow.names`.
    lat : float
        In degrees.
    height : np.ndarray
        Geometric height in m, ``(level,)``.

    Returns
    -------
    np.ndarray
        Refractivity in N-units, ``(level,)``; NaN below the ground.
    """
    # levels below the ground hold extrapolated values: the column ends at the ground
    levels = [level for level in PRESSURE_LEVELS if level < column["surface_pressure"] - 1.0][::-1]
    z, t, log_q = (
        np.array([column[f"{name}{level}"] for level in levels]) for name in ("Z", "T", "log_q")
    )
    ground_log_q = np.interp(
        np.log(column["surface_pressure"]),
        np.log(PRESSURE_LEVELS),
        [column[f"log_q{p}"] for p in PRESSURE_LEVELS],
    )
    above = z[-1] / physics.GRAVITY + _ABOVE
    t_above = t[-1] + _standard(above) - _standard(above[0])
    thickness = (
        physics.GRAVITY
        / physics.GAS_CONSTANT_DRY
        * np.diff(above)
        / (0.5 * (t_above[1:] + t_above[:-1]))
    )
    log_p = np.log([column["surface_pressure"], *levels])
    log_p = np.concatenate([log_p, log_p[-1] - np.cumsum(thickness)])
    z = np.concatenate([[column["surface_geopotential"]], z, physics.GRAVITY * above[1:]])
    z = geometric_height(torch.from_numpy(z), torch.tensor(float(lat))).numpy()
    t = np.concatenate([[column["T2M"]], t, t_above[1:]])
    log_q = np.concatenate([[ground_log_q], log_q, np.full(len(above) - 1, log_q[-1])])
    upper = np.clip(np.searchsorted(z, height, side="right") - 1, 0, len(z) - 2)
    temperature = np.interp(height, z, t)
    slope = (t[upper + 1] - t[upper]) / (z[upper + 1] - z[upper])
    curvature = 0.5 * physics.GRAVITY / physics.GAS_CONSTANT_DRY * slope / temperature**2
    pressure = np.exp(
        np.interp(height, z, log_p) + curvature * (height - z[upper]) * (height - z[upper + 1])
    )
    moisture = np.exp(np.interp(height, z, log_q))
    return np.where(height >= z[0], refractivity(pressure, temperature, moisture), np.nan)


def relative_errors(height: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw errors of refractivity that are alike at neighbouring heights.

    Parameters
    ----------
    height : np.ndarray
        In m, ``(level,)``.
    count : int
        Number of profiles.
    rng : np.random.Generator
        Draws the errors.

    Returns
    -------
    np.ndarray
        Errors as shares of refractivity, of the sizes of :data:`ERROR_SHARES`, ``(count, level)``.
    """
    node = height / ERROR_SCALE
    below = node.astype(int)
    share = node - below
    white = rng.standard_normal((count, below[-1] + 2))
    mixed = (1.0 - share) * white[:, below] + share * white[:, below + 1]
    # a mean of two independent numbers varies less than each: scaled back to unit variance
    return np.interp(height, _ERROR_HEIGHTS, ERROR_SHARES) * mixed / np.hypot(1.0 - share, share)


def observe_occultations(
    source: Source,
    platform: Platform,
    truth: TruthWindows,
    day: date,
    options: settings.ObservedOccultations,
    seed: int,
) -> OccultationProfiles | None:
    """Observe the occultations of one day from one platform.

    Random numbers depend on the seed, the platform and the day. Occultations after the truth's last
    time are left out.

    Parameters
    ----------
    source : Source
        The source.
    platform : Platform
        One of its satellites.
    truth : TruthWindows
        The truth, with :data:`VARIABLES`.
    day : date
        The day that is observed, in UTC.
    options : settings.Occultations
        Number of occultations, spacing of the levels, noise as a multiple of :data:`ERROR_SHARES`,
        and when there are observations.
    seed : int
        Seed of the configuration.

    Returns
    -------
    OccultationProfiles or None
        None where there are no observations.
    """
    start = datetime(day.year, day.month, day.day)
    last = min(start + timedelta(days=1), max(truth.times))
    if not options.observes(day) or last <= start:
        return None
    rng = generator(seed, source.name, platform.name, day)
    count = options.daily
    milliseconds = (np.arange(count) + rng.random(count)) * (86_400_000 / count)
    time = np.datetime64(start, "ns") + milliseconds.astype("timedelta64[ms]")
    lat, lon, azimuth = occultation_places(platform, time, rng)
    # files hold four decimals: the truth is taken where the file says
    lat, lon = np.round(lat, 4), np.round(lon, 4)
    height = np.arange(0.0, TOP + 1.0, options.spacing_metres)
    errors = options.noise * relative_errors(height, count, rng)
    lowest = rng.uniform(-DEPTH / 3.0, DEPTH, count).clip(0.0)
    kept = time <= np.datetime64(last, "ns")
    clean = _profiles(truth.window(start, last), lat[kept], lon[kept], time[kept], height)
    spoiled = clean * (1.0 + errors[kept])
    ground = np.isfinite(clean).argmax(axis=1) * options.spacing_metres
    spoiled[height < (ground + lowest[kept])[:, None]] = np.nan
    return OccultationProfiles(time[kept], lat[kept], lon[kept], azimuth[kept], height, spoiled)


def _profiles(
    window: TruthWindow, lat: np.ndarray, lon: np.ndarray, time: np.ndarray, height: np.ndarray
) -> np.ndarray:
    """Compute the refractivity of the truth at points.

    Parameters
    ----------
    window : TruthWindow
        The truth around the times.
    lat, lon : np.ndarray
        In degrees, ``(n,)``.
    time : np.ndarray
        UTC, datetime64[ns], ``(n,)``.
    height : np.ndarray
        In m, ``(level,)``.

    Returns
    -------
    np.ndarray
        Refractivity in N-units, ``(n, level)``.
    """
    values = window.values(lat, lon, time)
    rows = (dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True))
    profiles = [
        refractivity_profile(column, place, height) for place, column in zip(lat, rows, strict=True)
    ]
    return np.array(profiles).reshape(len(lat), len(height))


def join_occultations(parts: list[OccultationProfiles]) -> OccultationProfiles:
    """Join occultations of several platforms or days, all at the same heights."""
    columns = {
        item.name: np.concatenate([getattr(part, item.name) for part in parts])
        for item in fields(OccultationProfiles)
        if item.name != "height"
    }
    return OccultationProfiles(height=parts[0].height, **columns)
