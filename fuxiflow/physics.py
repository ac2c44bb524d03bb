"""Constants, moist thermodynamics, Planck's law and great circles.

Most functions take numpy arrays and torch tensors alike. Saturation follows the IFS documentation
(Cy41r2, Part IV, section 7.2.1, equations 7.4 and 7.5): Tetens' formulae over water (Buck, 1981)
and ice (Alduchov & Eskridge, 1996), mixed between 250.16 K and 273.16 K; ERA5's relative humidity
is defined with it.
"""

from typing import Any

import numpy as np

Array = Any
"""A numpy array, a torch tensor or a float."""

GRAVITY = 9.80665
"""Standard gravity, m s-2 (BIPM)."""
GAS_CONSTANT_DRY = 287.0597
"""Gas constant of dry air, J kg-1 K-1 (IFS documentation, Part IV, constants)."""
GAS_CONSTANT_VAPOUR = 461.5250
"""Gas constant of water vapour, J kg-1 K-1 (IFS documentation, Part IV, constants)."""
EPSILON = GAS_CONSTANT_DRY / GAS_CONSTANT_VAPOUR
"""Ratio of the gas constants of dry air and water vapour."""
TRIPLE_POINT = 273.16
"""Temperature above which saturation is over water alone, K."""
ICE_POINT = 250.16
"""Temperature below which saturation is over ice alone, K."""
LAPSE_RATE = 0.0065
"""Lapse rate of the standard atmosphere, K m-1 (ICAO)."""
STANDARD_PRESSURE, STANDARD_TEMPERATURE = 101325.0, 288.15
"""Pressure in Pa and temperature in K of the standard atmosphere at sea level (ICAO Doc 7488)."""
STANDARD_EXPONENT = LAPSE_RATE * 287.05287 / GRAVITY
"""Power of pressure to which the standard atmosphere's temperature goes (ICAO Doc 7488)."""
WARM_LIMIT, COLD_LIMIT = 290.5, 255.0
"""Temperatures in K beyond which the reduction to sea level is tempered.

Trenberth et al. (1993), equations 13 to 16.
"""
EARTH_RADIUS = 6371.0
"""Mean radius of the Earth, km."""
PLANCK_1 = 1.191042972e-16
"""First constant of Planck's law, 2 h c^2 in W m2 sr-1 (CODATA 2018, exact)."""
PLANCK_2 = 1.438776877e-2
"""Second constant of Planck's law, h c / k in m K (CODATA 2018, exact)."""


def _is_numpy(x: Array) -> bool:
    """Tell numpy arrays and numbers from torch tensors, without importing torch."""
    return isinstance(x, (np.ndarray, np.generic, float, int))


def _exp(x: Array) -> Array:
    return np.exp(x) if _is_numpy(x) else x.exp()


def _clip(x: Array, low: float | None, high: float | None) -> Array:
    """Limit values to an interval.

    Parameters
    ----------
    x : Array
        Values of any shape.
    low, high : float or None
        Ends of the interval; None for no limit.

    Returns
    -------
    Array
        Values of the same shape.
    """
    return np.clip(x, low, high) if _is_numpy(x) else x.clamp(low, high)


def saturation_over_water(temperature: Array) -> Array:
    """Return the saturation vapour pressure in hPa over water, supercooled below 273.16 K.

    ``temperature`` is in K, of any shape. IFS documentation Cy41r2, Part IV, equation 7.5: Tetens'
    formula with the coefficients of Buck (1981). From 205 to 320 K it is within 1.5 % of Murphy &
    Koop (2005, Q. J. R. Meteorol. Soc. 131, 1539-1565); the formula of WMO-No. 8, Part I, Annex
    4.B, is 0.2 % apart above freezing point, 1 % at 240 K and 3 % at 210 K.
    """
    return 6.1121 * _exp(17.502 * (temperature - TRIPLE_POINT) / (temperature - 32.19))


def saturation_vapour_pressure(temperature: Array) -> Array:
    """Return the saturation vapour pressure in hPa over mixed phase.

    ``temperature`` is in K, of any shape. e = a e_water + (1 - a) e_ice with
    a = ((T - 250.16) / (273.16 - 250.16))**2, clipped to [0, 1]
    (IFS documentation Cy41r2, Part IV, section 7.2.1).
    """
    water = saturation_over_water(temperature)
    ice = 6.1121 * _exp(22.587 * (temperature - TRIPLE_POINT) / (temperature + 0.7))
    fraction = _clip((temperature - ICE_POINT) / (TRIPLE_POINT - ICE_POINT), 0.0, 1.0) ** 2
    return fraction * water + (1.0 - fraction) * ice


def vapour_pressure(specific_humidity: Array, pressure: Array) -> Array:
    """Return the partial pressure of water vapour, in the unit of ``pressure``.

    ``specific_humidity`` is in kg kg-1; shapes broadcast.
    """
    return specific_humidity * pressure / (EPSILON + (1.0 - EPSILON) * specific_humidity)


def relative_humidity(specific_humidity: Array, temperature: Array, pressure: Array) -> Array:
    """Return the relative humidity in %, as ERA5 defines it.

    Parameters
    ----------
    specific_humidity : Array
        Specific humidity in kg kg-1.
    temperature : Array
        Temperature in K.
    pressure : Array
        Pressure in hPa.

    Returns
    -------
    Array
        Relative humidity in %, of the shape to which the arguments broadcast.
    """
    return (
        100.0
        * vapour_pressure(specific_humidity, pressure)
        / saturation_vapour_pressure(temperature)
    )


def relative_humidity_of_dew_point(dew_point: Array, temperature: Array) -> Array:
    """Return the relative humidity in %, as ERA5 defines it, from a reported dew point.

    ``dew_point`` and ``temperature`` are in K; shapes broadcast. Humidity is reported with respect
    to water at all temperatures (WMO-No. 8, Part I, Annex 4.A), so the vapour pressure is that over
    water at the dew point; saturation is over the mixed phase at ``temperature``.
    """
    return 100.0 * saturation_over_water(dew_point) / saturation_vapour_pressure(temperature)


def relative_humidity_of_reported(reported: Array, temperature: Array) -> Array:
    """Return the relative humidity in %, as ERA5 defines it, from a reported one.

    ``reported`` is in %, with respect to water at all temperatures (WMO-No. 8, Part I, Annex 4.A);
    ``temperature`` is in K; shapes broadcast.
    """
    return reported * saturation_over_water(temperature) / saturation_vapour_pressure(temperature)


def wind_components(direction: Array, speed: Array) -> tuple[Array, Array]:
    """Return the eastward and northward wind, in the unit of ``speed``.

    ``direction`` is the one that the wind comes from, in degrees clockwise from north. Numpy arrays
    of any shape.
    """
    angle = np.deg2rad(direction)
    return -speed * np.sin(angle), -speed * np.cos(angle)


def brightness_temperature(radiance: np.ndarray, wavenumber: np.ndarray) -> np.ndarray:
    """Return the brightness temperature in K of a radiance, by the inverse of Planck's law.

    T = c2 v / ln(1 + c1 v^3 / L), with the ``radiance`` L in W m-2 sr-1 (m-1)-1 and the
    ``wavenumber`` v in m-1. Numpy arrays of any shape; NaN where the radiance is not positive.
    """
    positive = np.where(radiance > 0, radiance, np.nan)
    return PLANCK_2 * wavenumber / np.log1p(PLANCK_1 * wavenumber**3 / positive)


def great_circle(
    lat: np.ndarray, lon: np.ndarray, other_lat: np.ndarray, other_lon: np.ndarray
) -> np.ndarray:
    """Return the great-circle distance of pairs of points, by the haversine formula.

    Parameters
    ----------
    lat, lon : np.ndarray
        The first points, in degrees.
    other_lat, other_lon : np.ndarray
        The second points, in degrees; shapes broadcast.

    Returns
    -------
    np.ndarray
        Distances in km, NaN where a coordinate is missing.
    """
    phi, other = np.radians(lat), np.radians(other_lat)
    across = np.sin(np.radians(np.subtract(lon, other_lon)) / 2) ** 2
    square = np.sin((phi - other) / 2) ** 2 + np.cos(phi) * np.cos(other) * across
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.clip(square, 0, 1)))


def specific_humidity(relative_humidity: Array, temperature: Array, pressure: Array) -> Array:
    """Return the specific humidity of a relative humidity.

    The vapour pressure is held below half the pressure. That limit acts in the thin air above the
    tropopause only, where a relative humidity is nearly meaningless.

    Parameters
    ----------
    relative_humidity : Array
        Relative humidity in %, as ERA5 defines it.
    temperature : Array
        Temperature in K.
    pressure : Array
        Pressure in hPa.

    Returns
    -------
    Array
        Specific humidity in kg kg-1, of the shape to which the arguments broadcast.
    """
    vapour = 0.01 * relative_humidity * saturation_vapour_pressure(temperature)
    if _is_numpy(vapour):
        vapour = np.minimum(vapour, 0.5 * pressure)
    else:
        vapour = vapour.minimum(vapour.new_tensor(0.5) * pressure)
    return EPSILON * vapour / (pressure - (1.0 - EPSILON) * vapour)


def pressure_of_altimeter_setting(setting: Array, height: Array) -> Array:
    """Compute the pressure at a station from the altimeter setting (QNH) of its report.

    The setting is the pressure at sea level of a standard atmosphere that has the station's
    pressure at the station's height: WMO-No. 8, Volume I, 3.7.2; ICAO Doc 7488.

    Parameters
    ----------
    setting : Array
        Altimeter setting in Pa.
    height : Array
        Height of the station in m above mean sea level.

    Returns
    -------
    Array
        Pressure in Pa.
    """
    at_sea_level = (setting / STANDARD_PRESSURE) ** STANDARD_EXPONENT
    # beyond the height at which the standard atmosphere so continued ends
    ratio = _clip(at_sea_level - LAPSE_RATE * height / STANDARD_TEMPERATURE, 0.0, None)
    return STANDARD_PRESSURE * ratio ** (1.0 / STANDARD_EXPONENT)


def virtual_temperature(temperature: Array, specific_humidity: Array) -> Array:
    """Return the virtual temperature in K of ``temperature`` (K) and humidity (kg kg-1)."""
    return temperature * (1.0 + (1.0 / EPSILON - 1.0) * specific_humidity)


def surface_pressure(
    mean_sea_level_pressure: Array, temperature_2m: Array, surface_geopotential: Array
) -> Array:
    """Return the surface pressure, by the inverse of ECMWF's reduction to sea level.

    p = p_s exp(b (1 - x/2 + x^2/3)) with b = z_s / (R T) and x = lapse z_s / (g T), tempered over
    cold and over high, warm ground (Trenberth, Berry & Buja, 1993, NCAR/TN-396+STR,
    doi:10.5065/D6HX19NH, equations 11 to 14).

    Parameters
    ----------
    mean_sea_level_pressure : Array
        Pressure in Pa.
    temperature_2m : Array
        Temperature in K; it stands for that of the air at the ground.
    surface_geopotential : Array
        Geopotential in m2 s-2.

    Returns
    -------
    Array
        Surface pressure in Pa, of the shape to which the arguments broadcast.
    """
    where = np.where if _is_numpy(temperature_2m) else _torch_where
    t = temperature_2m
    z = surface_geopotential
    hot = t + LAPSE_RATE * z / GRAVITY > WARM_LIMIT
    height = _clip(abs(z) / GRAVITY, 1.0, None)
    lapse = where(hot, _clip((WARM_LIMIT - t) / height, 0.0, LAPSE_RATE), LAPSE_RATE)
    tempered = where(hot & (t > WARM_LIMIT), 0.5 * (WARM_LIMIT + t), t)
    tempered = where(t < COLD_LIMIT, 0.5 * (COLD_LIMIT + t), tempered)
    x = lapse * z / (GRAVITY * tempered)
    return mean_sea_level_pressure * _exp(
        -z / (GAS_CONSTANT_DRY * tempered) * (1.0 - x / 2.0 + x**2 / 3.0)
    )


def _torch_where(condition: Array, one: Array, other: Array) -> Array:
    """Choose between tensors, or a tensor and a number, as ``np.where`` does.

    Parameters
    ----------
    condition : Array
        Boolean tensor.
    one : Array
        Tensor of values where the condition holds.
    other : Array
        Tensor or number elsewhere.

    Returns
    -------
    Array
        Tensor of the shape of ``one``.
    """
    return one.where(condition, other if hasattr(other, "where") else one.new_tensor(other))
