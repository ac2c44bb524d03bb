"""Reports of stations, ships and radiosondes: the truth at their place and time, with errors.

Errors are Gaussian, of the standard deviation that the source's file gives for each quantity times
the configuration's ``noise``. A share :data:`OWN` of a station's error variance is its own and
stays, as with a badly placed thermometer; the rest is drawn anew for each report. Station and
sea-level pressure share one error, that of the barometer. In a sounding the errors of levels are
independent, but for geopotential, whose error is one draw for the whole ascent. Humidity is
reported as a dew point over water, so never above saturation.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fuxiflow import physics
from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.randomness import generator
from fuxiflow.world.windows import TruthWindow

SURFACE = (
    "specific_humidity",
    "surface_pressure",
    "skin_temperature",
    "T2M",
    "U10",
    "V10",
    "MSL",
    "land_fraction",
)
"""Variables of the truth that a report from the surface needs."""
SOUNDING = (
    *(f"{name}{level}" for name in "TUVZ" for level in PRESSURE_LEVELS),
    "specific_humidity",
    "surface_pressure",
    "T2M",
    "U10",
    "V10",
    "surface_geopotential",
)
"""Variables of the truth that a sounding needs."""
OWN = 0.3
ASCENT_LEVELS = (1000, 925, 850, 775, 700, 600, 500, 400, 350, 300, 250, 225, 200, 150, 100, 70, 50)
"""Pressures in hPa of a sounding: the mandatory levels of a TEMP, and significant ones between
them."""
STANDARD_LEVELS = (1000, 925, 850, 700, 500, 400, 300, 250, 200, 150, 100, 70, 50)
"""Those of them that are mandatory."""
LEAST_HUMIDITY = 1.0
"""%: the least relative humidity that is reported."""
FREEZING = 271.35
"""Temperature in K at which sea water freezes: there is no water to measure where the surface is
colder."""


def surface_truth(
    window: TruthWindow, lat: np.ndarray, lon: np.ndarray, time: np.ndarray
) -> dict[str, np.ndarray]:
    """Interpolate the truth at the surface to points, in the units of reports.

    Humidity is that of the air at the ground: specific humidity, its logarithm linear in that of
    pressure between the levels, constant below 1000 hPa.

    Parameters
    ----------
    window : TruthWindow
        The truth around the times, with the variables of :data:`SURFACE`.
    lat, lon : np.ndarray
        In degrees, ``(n,)``.
    time : np.ndarray
        UTC, datetime64[ns], ``(n,)``.

    Returns
    -------
    dict[str, np.ndarray]
        T2M in K, R2M in %, U10 and V10 in m/s, PS and MSL in Pa and SST in K, ``(n,)``; SST is NaN
        over land and ice.
    """
    truth = window.values(lat, lon, time)
    pressure = truth["surface_pressure"]
    moisture = np.exp(_at_pressure(truth, "log_q", pressure[:, None])[:, 0])
    humidity = physics.relative_humidity(moisture, truth["T2M"], pressure)
    # there is no water to measure on land or under ice
    water = (truth["land_fraction"] < 0.5) & (truth["skin_temperature"] > FREEZING)
    return {
        "T2M": truth["T2M"],
        "R2M": np.minimum(humidity, _saturated(truth["T2M"])),
        "U10": truth["U10"],
        "V10": truth["V10"],
        "PS": 100.0 * pressure,
        "MSL": truth["MSL"],
        "SST": np.where(water, truth["skin_temperature"], np.nan),
    }


def _saturated(temperature: np.ndarray) -> np.ndarray:
    """Compute the relative humidity in %, as ERA5 defines it, of air saturated over water."""
    return (
        100.0
        * physics.saturation_over_water(temperature)
        / physics.saturation_vapour_pressure(temperature)
    )


def _at_pressure(truth: Mapping[str, np.ndarray], name: str, pressure: np.ndarray) -> np.ndarray:
    """Interpolate a variable of the 13 levels to pressures.

    It is linear in log pressure, and constant beyond the levels.

    Parameters
    ----------
    truth : Mapping[str, np.ndarray]
        The truth at points, ``(n,)`` by name.
    name : str
        The variable, without its level.
    pressure : np.ndarray
        In hPa, ``(n, m)``.

    Returns
    -------
    np.ndarray
        Values ``(n, m)``.
    """
    log_levels = np.log(PRESSURE_LEVELS)
    values = np.stack([truth[f"{name}{level}"] for level in PRESSURE_LEVELS], axis=-1)
    x = np.clip(np.log(pressure), log_levels[0], log_levels[-1])
    upper = np.clip(np.searchsorted(log_levels, x, side="right") - 1, 0, len(log_levels) - 2)
    share = (x - log_levels[upper]) / (log_levels[upper + 1] - log_levels[upper])
    rows = np.arange(len(values))[:, None]
    return (1.0 - share) * values[rows, upper] + share * values[rows, upper + 1]


def draw_errors(
    names: Sequence[str], count: int, seed: int, source: str, moment: object
) -> dict[str, np.ndarray]:
    """Draw standard normal errors of a network's reports.

    A share :data:`OWN` of their variance is the same at any moment.

    Parameters
    ----------
    names : Sequence[str]
        Names of the quantities.
    count : int
        Number of stations.
    seed : int
        Seed of the configuration.
    source : str
        Name of the source.
    moment : object
        Time of the reports.

    Returns
    -------
    dict[str, np.ndarray]
        Errors ``(count,)`` by name.
    """
    own = generator(seed, source, "stations").standard_normal((len(names), count))
    now = generator(seed, source, moment).standard_normal((len(names), count))
    return dict(zip(names, np.sqrt(OWN) * own + np.sqrt(1.0 - OWN) * now, strict=True))


def dew_point(humidity: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Compute the dew point over water in K.

    ``humidity`` is relative in %, as ERA5 defines it, ``temperature`` in K. The inverse of
    :func:`fuxiflow.physics.saturation_over_water`; at most the temperature itself.
    """
    vapour = (
        0.01
        * np.maximum(humidity, LEAST_HUMIDITY)
        * physics.saturation_vapour_pressure(temperature)
    )
    x = np.log(vapour / 6.1121) / 17.502
    return np.minimum((physics.TRIPLE_POINT - 32.19 * x) / (1.0 - x), temperature)


def reported_wind(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round a wind as reports do.

    Returns the direction in whole degrees that it comes from, 0 for calm and 360 for north, and the
    speed in tenths of m/s; ``u`` and ``v`` are in m/s.
    """
    speed = np.round(np.hypot(u, v), 1)
    direction = np.round(np.degrees(np.arctan2(-u, -v))) % 360.0
    return np.where(speed > 0.0, np.where(direction == 0.0, 360.0, direction), 0.0), speed


def surface_reports(
    truth: Mapping[str, np.ndarray], errors: Mapping[str, np.ndarray], noise: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Make the reports of the surface from the truth.

    Parameters
    ----------
    truth : Mapping[str, np.ndarray]
        The truth of :func:`surface_truth`.
    errors : Mapping[str, np.ndarray]
        Standard normal errors by channel, ``(n,)``.
    noise : Mapping[str, float]
        Standard deviations of the errors by channel, in the channel's unit.

    Returns
    -------
    dict[str, np.ndarray]
        Reported values by ecCodes' names of elements, ``(n,)``.
    """

    def with_error(name: str) -> np.ndarray:
        return truth[name] + noise[name] * errors[name]

    temperature = with_error("T2M")
    direction, speed = reported_wind(with_error("U10"), with_error("V10"))
    return {
        "airTemperature": temperature,
        "dewpointTemperature": dew_point(with_error("R2M"), temperature),
        "windDirection": direction,
        "windSpeed": speed,
        "nonCoordinatePressure": with_error("PS"),
        "pressureReducedToMeanSeaLevel": truth["MSL"] + noise["MSL"] * errors["PS"],
        **({"oceanographicWaterTemperature": with_error("SST")} if "SST" in noise else {}),
    }


def soundings(
    window: TruthWindow,
    lat: np.ndarray,
    lon: np.ndarray,
    time: np.ndarray,
    noise: Mapping[str, float],
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Make ascents of radiosondes, from the ground up.

    The first level is the surface, then come those of :data:`ASCENT_LEVELS`. The balloon rises
    straight up and at once. Geopotential has the curvature that temperature gives it, dZ = -R T dln
    p.

    Parameters
    ----------
    window : TruthWindow
        The truth around the times, with the variables of :data:`SOUNDING`.
    lat, lon : np.ndarray
        In degrees, ``(n,)``.
    time : np.ndarray
        Launches in UTC, datetime64[ns], ``(n,)``.
    noise : Mapping[str, float]
        Standard deviations of the errors by channel of the source, as T500; linear in log pressure
        between its levels.
    rng : np.random.Generator
        Draws the errors.

    Returns
    -------
    dict[str, np.ndarray]
        Values ``(n, level)`` by ecCodes' names of elements, NaN below the ground.
    """
    truth = window.values(lat, lon, time)
    ground = truth["surface_pressure"]
    pressure = np.concatenate(
        [
            ground[:, None],
            np.broadcast_to(np.array(ASCENT_LEVELS, float), (len(ground), len(ASCENT_LEVELS))),
        ],
        axis=1,
    )
    values = {name: _at_pressure(truth, name, pressure) for name in "TUVZ"}
    values["Z"] += _curvature(truth, pressure)
    moisture = np.exp(_at_pressure(truth, "log_q", pressure))
    surface = {
        "T": truth["T2M"],
        "U": truth["U10"],
        "V": truth["V10"],
        "Z": truth["surface_geopotential"],
    }
    for name, field in surface.items():
        values[name][:, 0] = field
    values["R"] = np.minimum(
        physics.relative_humidity(moisture, values["T"], pressure), _saturated(values["T"])
    )
    ascent = rng.standard_normal((len(ground), 1))
    for name in "TUVRZ":
        deviation = np.interp(
            np.log(pressure),
            np.log(PRESSURE_LEVELS),
            [noise[f"{name}{level}"] for level in PRESSURE_LEVELS],
        )
        error = ascent if name == "Z" else rng.standard_normal(pressure.shape)
        values[name] = values[name] + deviation * error
    values["Z"][:, 0] = truth["surface_geopotential"]  # the station knows its height
    direction, speed = reported_wind(values["U"], values["V"])
    rising = np.ones(pressure.shape, bool)
    # levels at or below the ground are not part of an ascent
    rising[:, 1:] = pressure[:, 1:] < ground[:, None] - 1.0
    columns = {
        "pressure": 100.0 * pressure,
        "nonCoordinateGeopotentialHeight": values["Z"] / physics.GRAVITY,
        "airTemperature": values["T"],
        "dewpointTemperature": dew_point(values["R"], values["T"]),
        "windDirection": direction,
        "windSpeed": speed,
    }
    return {name: np.where(rising, column, np.nan) for name, column in columns.items()}


def _curvature(truth: Mapping[str, np.ndarray], pressure: np.ndarray) -> np.ndarray:
    """Compute what linear interpolation of geopotential lacks between the 13 levels.

    R (dT/dln p) (s - s1) (s2 - s) / 2, of the ``truth`` at points ``(n,)`` and ``pressure (n, m)``
    in hPa.
    """
    log_levels = np.log(PRESSURE_LEVELS)
    x = np.clip(np.log(pressure), log_levels[0], log_levels[-1])
    upper = np.clip(np.searchsorted(log_levels, x, side="right") - 1, 0, len(log_levels) - 2)
    temperature = np.stack([truth[f"T{level}"] for level in PRESSURE_LEVELS], axis=-1)
    rows = np.arange(len(pressure))[:, None]
    slope = (temperature[rows, upper + 1] - temperature[rows, upper]) / (
        log_levels[upper + 1] - log_levels[upper]
    )
    return (
        0.5
        * physics.GAS_CONSTANT_DRY
        * slope
        * (x - log_levels[upper])
        * (log_levels[upper + 1] - x)
    )
