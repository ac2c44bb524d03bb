"""Profiles: refractivity at heights, soundings at pressure levels. Nothing is extrapolated, wide gaps stay missing."""

from collections.abc import Mapping

import numpy as np

from fuxiflow.physics import GAS_CONSTANT_DRY

REFRACTIVITY_RANGE = (0.0, 500.0)
"""N-units; what is outside is no refractivity of the Earth's atmosphere."""
HEIGHT_RANGE = (-1_000.0, 150_000.0)
"""Heights above mean sea level, m, at which a level of an occultation can lie."""
HEIGHT_GAP = 2_000.0
"""Between levels of an occultation farther apart, m, there is no value: files have them 20 to 1,500 m apart."""
PRESSURE_GAP = 0.35
"""Between levels of a sounding farther apart, in the logarithm of pressure, there is no value: so 700 and 500 hPa
(0.336) carry 600 hPa, which is no mandatory level, while a mandatory level that lacks (1000 to 700 hPa, 0.357) leaves a
hole."""


def _order(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The finite pairs in ascending order of ``x``, the first of those that share one."""
    good = np.isfinite(x) & np.isfinite(y)
    unique, first = np.unique(x[good], return_index=True)
    return unique, y[good][first]


def _interpolate(at: np.ndarray, x: np.ndarray, y: np.ndarray, gap: float) -> np.ndarray:
    """Linear interpolation of ascending ``x``, ``y`` (n,) to ``at`` (m,); NaN outside them and in gaps wider than
    ``gap``. A place that ``x`` holds has its value, whatever is about it."""
    if not len(x):
        return np.full(len(at), np.nan)
    after = np.searchsorted(x, at).clip(0, len(x) - 1)
    before = (after - 1).clip(0)
    inside = (at >= x[0]) & (at <= x[-1]) & ((x[after] - x[before] <= gap) | (x[after] == at))
    return np.where(inside, np.interp(at, x, y), np.nan)


def refractivity_at(
    heights: np.ndarray, height: np.ndarray, refractivity: np.ndarray
) -> np.ndarray:
    """Refractivity (N-units) at ``heights`` (m,) from levels ``height``, ``refractivity`` (n,), in any order.

    Heights are geometric, in m above mean sea level; log N is linear in height between levels, as in an isothermal
    atmosphere. NaN below the lowest and above the highest level, and between levels more than 2 km apart. Levels out
    of :data:`HEIGHT_RANGE` or :data:`REFRACTIVITY_RANGE` are not used.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        good = (refractivity > REFRACTIVITY_RANGE[0]) & (refractivity <= REFRACTIVITY_RANGE[1])
        good &= (height >= HEIGHT_RANGE[0]) & (height <= HEIGHT_RANGE[1])
    return np.exp(
        _interpolate(heights, *_order(height[good], np.log(refractivity[good])), HEIGHT_GAP)
    )


def at_levels(
    levels: np.ndarray, pressure: np.ndarray, sounding: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Quantities of a ``sounding`` (n,) each, on levels of ``pressure`` (n,), at pressure ``levels`` (m,), all in hPa.

    A reported level keeps its value; between levels all are linear in log p, geopotential ``Z`` (m2 s-2) with the
    curvature that the temperature ``T`` (K), linear in log p, gives it by the hydrostatic equation (dZ = -R T dln p).
    NaN below the lowest and above the highest level with the quantity, and in gaps wider than :data:`PRESSURE_GAP`.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        x, at = np.log(np.where(pressure > 0, pressure, np.nan)), np.log(np.asarray(levels, float))
    found = {}
    for name, values in sounding.items():
        places, ordered = _order(x, values)
        found[name] = _interpolate(at, places, ordered, PRESSURE_GAP)
        if name == "Z" and len(places) > 1 and "T" in sounding:
            found[name] += _curvature(at, places, *_order(x, sounding["T"]))
    return found


def _curvature(
    at: np.ndarray, x: np.ndarray, x_temperature: np.ndarray, temperature: np.ndarray
) -> np.ndarray:
    """What the linear interpolation of geopotential between ``x`` lacks, R (dT/dln p) (s - s1) (s2 - s) / 2; 0 where
    the temperature at the two levels is not known."""
    after = np.searchsorted(x, at).clip(1, len(x) - 1)
    low, high = x[after - 1], x[after]
    ends = [_interpolate(end, x_temperature, temperature, PRESSURE_GAP) for end in (low, high)]
    slope = (ends[1] - ends[0]) / (high - low)
    return np.nan_to_num(0.5 * GAS_CONSTANT_DRY * slope * (at - low) * (high - at))
