"""Vertical profiles of refractivity and of soundings: bending angles inverted, values at levels.

Nothing is extrapolated, and wide gaps stay missing.
"""

from collections.abc import Mapping

import numpy as np
from scipy.special import erfcx

from fuxiflow.physics import GAS_CONSTANT_DRY

REFRACTIVITY_RANGE = (0.0, 500.0)
"""N-units; what is outside is no refractivity of the Earth's atmosphere."""
HEIGHT_RANGE = (-1_000.0, 150_000.0)
"""Heights above mean sea level, m, at which a level of an occultation can lie."""
HEIGHT_GAP = 2_000.0
"""Between levels of an occultation farther apart, m, there is no value: files have them 20 to
1,500 m apart."""
PRESSURE_GAP = 0.35
"""Between levels of a sounding farther apart, in the logarithm of pressure, there is no value.

So 700 and 500 hPa (0.336) carry 600 hPa, which is no mandatory level, while a mandatory level that
lacks (1000 to 700 hPa, 0.357) leaves a hole.
"""
UNTRUSTED_DEPTH = 15_000.0
"""m below the uppermost bending angle within which the inversion gives no value: about two scale
heights. What lies above that angle is extrapolated, and there makes up a twentieth of the integral:
an error of a tenth in it, one of 0.5 %."""
_FITTED_DEPTH = 15_000.0  # m at the top that the extrapolation is fitted to


def _ascending(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the finite pairs in ascending order of ``x``, the first of those that share one."""
    finite = np.isfinite(x) & np.isfinite(y)
    unique, first = np.unique(x[finite], return_index=True)
    return unique, y[finite][first]


def _interpolate(at: np.ndarray, x: np.ndarray, y: np.ndarray, gap: float) -> np.ndarray:
    """Interpolate linearly, but not across wide gaps.

    Parameters
    ----------
    at : np.ndarray
        Places ``(m,)`` to interpolate to.
    x, y : np.ndarray
        Places and values ``(n,)``, ascending in ``x``.
    gap : float
        Widest distance of two neighbours in ``x`` between which there are values.

    Returns
    -------
    np.ndarray
        Values ``(m,)``, NaN outside ``x`` and in gaps. A place that ``x`` holds has its value,
        whatever is about it.
    """
    if not len(x):
        return np.full(len(at), np.nan)
    after = np.searchsorted(x, at).clip(0, len(x) - 1)
    before = (after - 1).clip(0)
    inside = (at >= x[0]) & (at <= x[-1]) & ((x[after] - x[before] <= gap) | (x[after] == at))
    return np.where(inside, np.interp(at, x, y), np.nan)


def refractivity_at(
    heights: np.ndarray, height: np.ndarray, refractivity: np.ndarray
) -> np.ndarray:
    """Interpolate refractivity to heights.

    log N is linear in height between levels, as in an isothermal atmosphere. All heights are
    geometric, in m above mean sea level.

    Parameters
    ----------
    heights : np.ndarray
        Heights ``(m,)`` to interpolate to.
    height : np.ndarray
        Heights of the levels ``(n,)``, in any order. Those out of :data:`HEIGHT_RANGE` are not
        used.
    refractivity : np.ndarray
        Refractivity of the levels ``(n,)`` in N-units. Values out of :data:`REFRACTIVITY_RANGE`
        are not used.

    Returns
    -------
    np.ndarray
        Refractivity ``(m,)`` in N-units. NaN below the lowest and above the highest level, and
        between levels more than 2 km apart.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        usable = (refractivity > REFRACTIVITY_RANGE[0]) & (refractivity <= REFRACTIVITY_RANGE[1])
        usable &= (height >= HEIGHT_RANGE[0]) & (height <= HEIGHT_RANGE[1])
    levels = _ascending(height[usable], np.log(refractivity[usable]))
    return np.exp(_interpolate(heights, *levels, HEIGHT_GAP))


def refractivity_of_bending_angles(
    impact: np.ndarray, bending: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Invert bending angles to refractivity with the inverse Abel transform.

    log n(x) = 1/pi * integral from x to infinity of alpha(a) / sqrt(a^2 - x^2) da, with the
    refractive index n and x = n r at distance r from the centre of curvature (Fjeldbo, Kliore &
    Eshleman, 1971, Astron. J. 76, 123-140). Bending angles are linear between levels and fall
    exponentially above the uppermost, at the rate of the uppermost 15 km.

    Parameters
    ----------
    impact : np.ndarray
        Impact parameters ``(n,)`` in m, in any order.
    bending : np.ndarray
        Bending angles ``(n,)`` in rad, corrected for the ionosphere.
    radius : float
        Radius of curvature plus the undulation of the geoid, in m.

    Returns
    -------
    height : np.ndarray
        Heights ``(m,)`` above mean sea level, in m. Empty where the bending angles do not fall, are
        fewer than ten or more than 2,000, or where the radius is not the Earth's.
    refractivity : np.ndarray
        Refractivity ``(m,)`` in N-units.
    """
    usable = np.isfinite(impact) & np.isfinite(bending) & (bending > 0) & (bending < 0.1)
    a, first = np.unique(impact[usable], return_index=True)
    alpha = bending[usable][first]
    nothing = np.empty(0), np.empty(0)
    if (
        not 10 <= len(a) <= 2_000
        or not 6.2e6 < radius < 6.5e6
        or not radius - 1e4 < a[0] < a[-1] < radius + 2e5
    ):
        return nothing
    top = a >= a[-1] - _FITTED_DEPTH
    if top.sum() < 3:
        return nothing
    rate = -np.polyfit(a[top] - a[-1], np.log(alpha[top]), 1)[0]
    if not 1 / 30_000 < rate < 1 / 3_000:
        return nothing
    x = a[a <= a[-1] - UNTRUSTED_DEPTH]
    slope = np.diff(alpha) / np.diff(a)
    # (level, end of layer): layers below x have no part in its integral
    ends = np.maximum(a[None, :], x[:, None])
    angle = np.arccosh(ends / x[:, None])
    root = np.sqrt(ends**2 - x[:, None] ** 2)
    layers = (alpha[:-1] - slope * a[:-1]) * np.diff(angle, axis=1) + slope * np.diff(root, axis=1)
    above = alpha[-1] * np.sqrt(np.pi / (2 * x * rate)) * erfcx(np.sqrt((a[-1] - x) * rate))
    index = np.exp((layers.sum(axis=1) + above) / np.pi)
    return x / index - radius, 1e6 * (index - 1)


def sounding_at(
    levels: np.ndarray, pressure: np.ndarray, sounding: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Interpolate the quantities of a sounding to pressure levels.

    A reported level keeps its value. Between levels all quantities are linear in log p;
    geopotential ``Z`` has the curvature that the temperature ``T``, linear in log p, gives it by
    the hydrostatic equation (dZ = -R T dln p).

    Parameters
    ----------
    levels : np.ndarray
        Pressures ``(m,)`` in hPa to interpolate to.
    pressure : np.ndarray
        Pressures ``(n,)`` in hPa of the sounding, in any order.
    sounding : Mapping[str, np.ndarray]
        Quantities ``(n,)`` by name; ``Z`` in m2 s-2, ``T`` in K, others in any unit.

    Returns
    -------
    dict[str, np.ndarray]
        The quantities ``(m,)``. NaN below the lowest and above the highest level that has the
        quantity, and in gaps wider than :data:`PRESSURE_GAP`.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.log(np.where(pressure > 0, pressure, np.nan))
        at = np.log(np.asarray(levels, float))
    interpolated = {}
    for name, values in sounding.items():
        places, ordered = _ascending(x, values)
        interpolated[name] = _interpolate(at, places, ordered, PRESSURE_GAP)
        if name == "Z" and len(places) > 1 and "T" in sounding:
            interpolated[name] += _curvature(at, places, *_ascending(x, sounding["T"]))
    return interpolated


def _curvature(
    at: np.ndarray, x: np.ndarray, x_temperature: np.ndarray, temperature: np.ndarray
) -> np.ndarray:
    """Compute the error of the linear interpolation of geopotential between two levels.

    It is R (dT/dln p) (s - s1) (s2 - s) / 2 at s = ln p between s1 and s2.

    Parameters
    ----------
    at : np.ndarray
        Logarithms of pressure ``(m,)`` at which geopotential was interpolated.
    x : np.ndarray
        Logarithms of pressure ``(n,)`` of the levels with geopotential, ascending.
    x_temperature : np.ndarray
        Logarithms of pressure ``(k,)`` of the levels with temperature, ascending.
    temperature : np.ndarray
        Temperature ``(k,)`` in K.

    Returns
    -------
    np.ndarray
        Geopotential ``(m,)`` in m2 s-2 to add; 0 where the temperature at one of the two levels is
        missing.
    """
    after = np.searchsorted(x, at).clip(1, len(x) - 1)
    low, high = x[after - 1], x[after]
    ends = [_interpolate(end, x_temperature, temperature, PRESSURE_GAP) for end in (low, high)]
    slope = (ends[1] - ends[0]) / (high - low)
    return np.nan_to_num(0.5 * GAS_CONSTANT_DRY * slope * (at - low) * (high - at))
