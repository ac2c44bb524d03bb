"""Constants and moist thermodynamics, on numpy arrays and torch tensors alike; Planck's law and great circles.

Saturation follows the IFS documentation (Cy41r2, Part IV, section 7.2.1, equations 7.4 and 7.5): Tetens' formulae over
water (Buck, 1981) and ice (Alduchov & Eskridge, 1996), mixed between 250.16 K and 273.16 K; ERA5's relative humidity
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
WARM_LIMIT, COLD_LIMIT = 290.5, 255.0
"""Temperatures in K beyond which the reduction to sea level is tempered (Trenberth et al., 1993, equations 13, 14)."""
EARTH_RADIUS = 6371.0
"""Mean radius of the Earth, km."""
PLANCK_1, PLANCK_2 = 1.191042972e-16, 1.438776877e-2
"""Constants of Planck's law, 2 h c^2 in W m2 sr-1 and h c / k in m K (CODATA 2018, exact)."""


def _exp(x: Array) -> Array:
    return np.exp(x) if isinstance(x, (np.ndarray, np.generic, float, int)) else x.exp()


def _clip(x: Array, low: float | None, high: float | None) -> Array:
    if isinstance(x, (np.ndarray, np.generic, float, int)):
        return np.clip(x, low, high)
    return x.clamp(low, high)


def saturation_over_water(temperature: Array) -> Array:
    """Saturation vapour pressure in hPa over water, supercooled below 273.16 K, at ``temperature`` in K (any shape)
    (IFS documentation Cy41r2, Part IV, equation 7.5: Tetens' formula with the coefficients of Buck, 1981). From 205 to
    320 K it is within 1.5 % of Murphy & Koop (2005, Q. J. R. Meteorol. Soc. 131, 1539-1565); the formula of WMO-No. 8,
    Part I, Annex 4.B, is 0.2 % apart above freezing point, 1 % at 240 K and 3 % at 210 K.
    """
    return 6.1121 * _exp(17.502 * (temperature - TRIPLE_POINT) / (temperature - 32.19))


def saturation_vapour_pressure(temperature: Array) -> Array:
    """Saturation vapour pressure in hPa over mixed phase at ``temperature`` in K (any shape).

    e = a e_water + (1 - a) e_ice with a = ((T - 250.16) / (273.16 - 250.16))**2, clipped to [0, 1]
    (IFS documentation Cy41r2, Part IV, section 7.2.1).
    """
    water = saturation_over_water(temperature)
    ice = 6.1121 * _exp(22.587 * (temperature - TRIPLE_POINT) / (temperature + 0.7))
    fraction = _clip((temperature - ICE_POINT) / (TRIPLE_POINT - ICE_POINT), 0.0, 1.0) ** 2
    return fraction * water + (1.0 - fraction) * ice


def vapour_pressure(specific_humidity: Array, pressure: Array) -> Array:
    """Partial pressure of water vapour from specific humidity (kg kg-1); in the unit of ``pressure``."""
    return specific_humidity * pressure / (EPSILON + (1.0 - EPSILON) * specific_humidity)


def relative_humidity(specific_humidity: Array, temperature: Array, pressure: Array) -> Array:
    """Relative humidity in % from specific humidity (kg kg-1), temperature (K) and pressure (hPa); shapes broadcast."""
    return (
        100.0
        * vapour_pressure(specific_humidity, pressure)
        / saturation_vapour_pressure(temperature)
    )


def relative_humidity_of_dew_point(dew_point: Array, temperature: Array) -> Array:
    """Relative humidity in %, as ERA5 defines it, from a reported dew point (K) and temperature (K); shapes broadcast.

    Humidity is reported with respect to water at all temperatures (WMO-No. 8, Part I, Annex 4.A), so the vapour
    pressure is that over water at the dew point; saturation is over the mixed phase at ``temperature``.
    """
    return 100.0 * saturation_over_water(dew_point) / saturation_vapour_pressure(temperature)


def relative_humidity_of_reported(reported: Array, temperature: Array) -> Array:
    """Relative humidity in %, as ERA5 defines it, from one ``reported`` in %, which is with respect to water at all
    temperatures (WMO-No. 8, Part I, Annex 4.A), and temperature (K); shapes broadcast."""
    return reported * saturation_over_water(temperature) / saturation_vapour_pressure(temperature)


def wind_components(direction: Array, speed: Array) -> tuple[Array, Array]:
    """Eastward and northward wind from the ``direction`` it comes from, degrees clockwise from north, and ``speed``;
    numpy arrays of any shape, components in the unit of ``speed``."""
    angle = np.deg2rad(direction)
    return -speed * np.sin(angle), -speed * np.cos(angle)


def brightness_temperature(radiance: np.ndarray, wavenumber: np.ndarray) -> np.ndarray:
    """Brightness temperature in K of a ``radiance`` in W m-2 sr-1 (m-1)-1 at a ``wavenumber`` in m-1: the inverse of
    Planck's law, T = c2 v / ln(1 + c1 v^3 / L), on numpy arrays; NaN where the radiance is not positive."""
    positive = np.where(radiance > 0, radiance, np.nan)
    return PLANCK_2 * wavenumber / np.log1p(PLANCK_1 * wavenumber**3 / positive)


def great_circle(
    lat: np.ndarray, lon: np.ndarray, other_lat: np.ndarray, other_lon: np.ndarray
) -> np.ndarray:
    """Great-circle distance in km of points in degrees (haversine formula), numpy arrays; NaN where one is missing."""
    phi, other = np.radians(lat), np.radians(other_lat)
    across = np.sin(np.radians(np.subtract(lon, other_lon)) / 2) ** 2
    square = np.sin((phi - other) / 2) ** 2 + np.cos(phi) * np.cos(other) * across
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.clip(square, 0, 1)))


def specific_humidity(relative_humidity: Array, temperature: Array, pressure: Array) -> Array:
    """Specific humidity in kg kg-1 from relative humidity (%), temperature (K) and pressure (hPa); shapes broadcast.

    The vapour pressure is held below half the pressure, which only meets in the thin air above the tropopause, where a
    relative humidity is nearly meaningless.
    """
    vapour = 0.01 * relative_humidity * saturation_vapour_pressure(temperature)
    if isinstance(vapour, (np.ndarray, np.generic, float, int)):
        vapour = np.minimum(vapour, 0.5 * pressure)
    else:
        vapour = vapour.minimum(vapour.new_tensor(0.5) * pressure)
    return EPSILON * vapour / (pressure - (1.0 - EPSILON) * vapour)


def virtual_temperature(temperature: Array, specific_humidity: Array) -> Array:
    """Virtual temperature in K."""
    return temperature * (1.0 + (1.0 / EPSILON - 1.0) * specific_humidity)


def surface_pressure(
    mean_sea_level_pressure: Array, temperature_2m: Array, surface_geopotential: Array
) -> Array:
    """Surface pressure in Pa from mean-sea-level pressure (Pa), 2 m temperature (K), surface geopotential (m2 s-2).

    The inverse of the reduction to sea level of ECMWF, p = p_s exp(b (1 - x/2 + x^2/3)) with b = z_s / (R T) and
    x = lapse z_s / (g T), tempered over cold and over high, warm ground (Trenberth, Berry & Buja, 1993,
    NCAR/TN-396+STR, doi:10.5065/D6HX19NH, equations 11 to 14); T2M stands for the temperature of the air at the ground.
    """
    where = (
        np.where
        if isinstance(temperature_2m, (np.ndarray, np.generic, float, int))
        else _torch_where
    )
    t, z = temperature_2m, surface_geopotential
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
    return one.where(condition, other if hasattr(other, "where") else one.new_tensor(other))
