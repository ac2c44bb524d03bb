"""Reference radiative transfer by pyrtlib, which tests and the benchmark compare the operator with.

pyrtlib 1.2.0 leaves the reflected downwelling out when it looks from a satellite, and has no skin
temperature: both are added here from its own upward and downward integrals. Slow: about a third of
a millisecond a level and frequency.
"""

import numpy as np

from fuxiflow.operators import gas_absorption
from fuxiflow.operators.microwave import COSMIC_BACKGROUND, PLANCK_OVER_BOLTZMANN
from fuxiflow.physics import (
    EPSILON,
    GAS_CONSTANT_DRY,
    GRAVITY,
    saturation_vapour_pressure,
    vapour_pressure,
    virtual_temperature,
)

GEOMETRIES = ((0.0, 1.0, 0.0), (40.0, 0.4, 5.0), (60.0, 0.7, -5.0))
"""Zenith angle in degrees, emissivity, and skin less air temperature in K."""
CLIMATES = ("polar", "mid-latitude", "tropical", "dry", "saturated")


def refined_column(
    pressure: np.ndarray,
    temperature: np.ndarray,
    specific_humidity: np.ndarray,
    surface_pressure: float,
    refine: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Refine a column and cut it at the ground.

    Temperature is linear in log pressure, humidity in its logarithm.

    Parameters
    ----------
    pressure : np.ndarray
        In hPa from the top, ``(level,)``.
    temperature : np.ndarray
        In K, ``(level,)``.
    specific_humidity : np.ndarray
        In kg/kg, ``(level,)``.
    surface_pressure : float
        In hPa.
    refine : int
        Layers that each layer is divided into.

    Returns
    -------
    tuple[np.ndarray, np.ndarray, np.ndarray]
        Pressure, temperature and specific humidity of the refined column, in the same units.
    """
    log_p = np.log(pressure)
    steps = np.interp(
        np.arange((len(pressure) - 1) * refine + 1) / refine, np.arange(len(pressure)), log_p
    )
    ground = np.log(surface_pressure)
    fine = np.append(steps[steps < ground - 1e-9], ground)
    humidity = np.exp(np.interp(fine, log_p, np.log(specific_humidity)))
    return np.exp(fine), np.interp(fine, log_p, temperature), humidity


def held_out_atmospheres(pressure: np.ndarray) -> dict[str, np.ndarray]:
    """Make atmospheres that no table is fitted to, as arguments of the operator.

    They are :data:`CLIMATES` by :data:`GEOMETRIES`, on ``pressure`` in hPa ``(level,)``: AFGL
    profiles with a wave of 3 K in log pressure. Polar is the subarctic winter with a surface
    inversion of 12 K; mid-latitude the mean of summer and winter; tropical; dry the US standard
    with a twentieth of its humidity over ground at 700 hPa; saturated the mid-latitude summer,
    saturated below 250 hPa.
    """
    t, q = gas_absorption.afgl_profiles(pressure)
    log_p = np.log(pressure / 1000.0)
    polar = t[4] - 12.0 * np.exp(-((log_p / 0.08) ** 2))
    temperature = np.stack([polar, 0.5 * (t[1] + t[2]), t[0], t[5], t[1]]) + 3.0 * np.sin(
        2.1 * log_p
    )
    vapour = np.minimum(saturation_vapour_pressure(temperature), 0.5 * pressure)
    saturated = EPSILON * vapour / (pressure - (1.0 - EPSILON) * vapour)
    humidity = np.stack(
        [q[4], 0.5 * (q[1] + q[2]), q[0], 0.05 * q[5], np.where(pressure > 250.0, np.inf, q[1])]
    )
    humidity = np.minimum(humidity, np.where(pressure > 250.0, saturated, np.inf))
    surface = np.array([1005.0, 1013.0, 1010.0, 700.0, 1020.0])
    air = np.array(
        [
            np.interp(np.log(s), np.log(pressure), row)
            for s, row in zip(surface, temperature, strict=True)
        ]
    )
    zenith, emissivity, step = (
        np.tile(column, len(CLIMATES)) for column in np.transpose(GEOMETRIES)
    )
    return {
        "temperature": temperature.repeat(len(GEOMETRIES), axis=0),
        "specific_humidity": humidity.repeat(len(GEOMETRIES), axis=0),
        "surface_pressure": surface.repeat(len(GEOMETRIES)),
        "skin_temperature": air.repeat(len(GEOMETRIES)) + step,
        "emissivity": emissivity[:, None],
        "secant": 1.0 / np.cos(np.deg2rad(zenith)),
    }


def _integrals(
    p, t, vapour, path, frequency
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Integrate by pyrtlib, frequency by frequency.

    Parameters
    ----------
    p, t, vapour : np.ndarray
        Pressure in hPa, temperature in K and vapour pressure in hPa from the ground up,
        ``(level,)``.
    path : np.ndarray
        Slant path in km below each level, ``(level,)``.
    frequency : np.ndarray
        In GHz, ``(node,)``.

    Returns
    -------
    tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
        Upwelling, downwelling, transmittance and h f / k, ``(node,)`` each.
    """
    from pyrtlib.rt_equation import RTEquation

    rows = []
    before = getattr(RTEquation, "_from_sat", False), getattr(RTEquation, "_emissivity", 1.0)
    try:
        RTEquation._emissivity = 1.0
        for f in frequency:
            gases = RTEquation.clearsky_absorption(p, t, vapour, f, None, None)
            depth = sum(
                RTEquation.exponential_integration(True, gas, path, 1, len(p), 1)[1]
                for gas in gases
            )
            # pyrtlib keeps its geometry in the class
            RTEquation._from_sat = True
            _, up, _, total, scaled, *_ = RTEquation.planck(f, t, depth)
            RTEquation._from_sat = False
            down = RTEquation.planck(f, t, depth)[0]
            rows.append((np.ravel(up)[0], np.ravel(down)[0], np.exp(-np.ravel(total)[0]), scaled))
    finally:
        RTEquation._from_sat, RTEquation._emissivity = before
    return tuple(np.array(column, float) for column in zip(*rows, strict=True))


def _integrals_at_once(
    p, t, vapour, path, frequency
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Integrate by pyrtlib's formulas for all frequencies at once, a hundred times faster.

    A test compares the result with :func:`_integrals`.

    Parameters
    ----------
    p, t, vapour : np.ndarray
        Pressure in hPa, temperature in K and vapour pressure in hPa from the ground up,
        ``(level,)``.
    path : np.ndarray
        Slant path in km below each level, ``(level,)``.
    frequency : np.ndarray
        In GHz, ``(node,)``.

    Returns
    -------
    tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
        Upwelling, downwelling, transmittance and h f / k, ``(node,)`` each.
    """
    state = p[:, None], t[:, None], vapour[:, None]
    wet = gas_absorption.vapour_absorption(*state, frequency)
    depth = 0.0
    for gas in (wet, gas_absorption.air_absorption(*state, frequency) - wet):
        low, high = gas[:-1], gas[1:]
        # the logarithmic mean of equal values is 0 / 0
        same = np.abs(high - low) < 1e-9
        mean = np.where(same, high, (high - low) / np.log(np.where(same, 2.0, high / low)))
        depth = depth + mean * path[1:, None]
    scaled = PLANCK_OVER_BOLTZMANN * frequency
    source = 1.0 / np.expm1(scaled / t[:, None])
    passed = np.exp(-depth)
    from_ground = np.concatenate([np.zeros_like(depth[:1]), np.cumsum(depth, axis=0)])
    from_space = from_ground[-1] - from_ground
    absorbed = (1.0 - passed) / (1.0 + passed)
    up = (absorbed * (source[1:] + source[:-1] * passed) * np.exp(-from_space[1:])).sum(axis=0)
    down = (absorbed * (source[:-1] + source[1:] * passed) * np.exp(-from_ground[:-1])).sum(axis=0)
    through = np.exp(-from_ground[-1])
    return up, down + through / np.expm1(scaled / COSMIC_BACKGROUND), through, scaled


def reference_brightness_temperatures(
    pressure: np.ndarray,
    temperature: np.ndarray,
    specific_humidity: np.ndarray,
    surface_pressure: float,
    skin_temperature: float,
    emissivity: np.ndarray,
    secant: float,
    frequency: np.ndarray,
    refine: int = 1,
    at_once: bool = False,
) -> np.ndarray:
    """Compute the monochromatic brightness temperatures of one column by pyrtlib.

    Parameters
    ----------
    pressure : np.ndarray
        In hPa from the top, ``(level,)``.
    temperature : np.ndarray
        In K, ``(level,)``.
    specific_humidity : np.ndarray
        In kg/kg, ``(level,)``.
    surface_pressure : float
        In hPa.
    skin_temperature : float
        In K.
    emissivity : np.ndarray
        From 0 to 1, ``(node,)``.
    secant : float
        Secant of the zenith angle.
    frequency : np.ndarray
        In GHz, ``(node,)``.
    refine : int
        Layers that each layer is divided into.
    at_once : bool
        Evaluate pyrtlib's formulas without its loops, a hundred times faster.

    Returns
    -------
    np.ndarray
        Brightness temperatures in K, ``(node,)``.
    """
    gas_absorption.use_absorption_model()
    p, t, q = refined_column(pressure, temperature, specific_humidity, surface_pressure, refine)
    virtual = virtual_temperature(t, q)
    layers = (
        0.5e-3 * GAS_CONSTANT_DRY / GRAVITY * (virtual[1:] + virtual[:-1]) * np.log(p[1:] / p[:-1])
    )
    # pyrtlib counts from the ground up
    p, t, vapour = p[::-1], t[::-1], np.maximum(vapour_pressure(q, p)[::-1], 1e-9)
    path = np.append(0.0, layers[::-1]) * secant
    integrals = _integrals_at_once if at_once else _integrals
    up, down, through, scaled = integrals(p, t, vapour, path, np.asarray(frequency, float))
    ground = emissivity / np.expm1(scaled / skin_temperature) + (1.0 - emissivity) * down
    return scaled / np.log1p(1.0 / (up + through * ground))
