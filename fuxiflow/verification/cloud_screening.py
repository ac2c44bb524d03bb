"""Clear sky over open sea, told by what a sounder measures alone, so that it is the same for all.

Radiances are compared with clear-sky equivalents of many states. Were clouds told by a departure
from one of them, its system would choose its own test. So they are told by the liquid water in a
column that 23.8 and 31.4 GHz give over the sea (Grody, Zhao, Ferraro, Weng & Boers, 2001, JGR 106,
2943-2953, doi:10.1029/2000JD900616). Land is left out, and so are latitudes that sea ice reaches.
"""

import numpy as np

MOST_LIQUID_WATER = 0.1
"""kg/m2: more is cloud. The retrieval's own error is some 0.05."""
MOST_LATITUDE = 50.0
"""Degrees: sea ice is rare nearer to the equator."""
MOST_LAND = 0.01
"""Share of land about a footprint that still counts as sea."""
LEAST_BELOW = 0.1
"""K that brightness temperatures lie below 285 K at least, where the logarithm is taken."""


def cloud_liquid_water(at_23: np.ndarray, at_31: np.ndarray, zenith: np.ndarray) -> np.ndarray:
    """Return the liquid water of the column over the sea.

    Parameters
    ----------
    at_23, at_31 : np.ndarray
        Brightness temperatures in K at 23.8 and 31.4 GHz, ``(n,)``.
    zenith : np.ndarray
        Zenith angle of the satellite in degrees, ``(n,)``.

    Returns
    -------
    np.ndarray
        In kg/m2, ``(n,)``, below 0 by the retrieval's error; NaN where a value is missing.
    """
    cosine = np.cos(np.deg2rad(np.asarray(zenith, float)))
    dry, wet = (
        np.log(np.maximum(285.0 - np.asarray(values, float), LEAST_BELOW))
        for values in (at_31, at_23)
    )
    constant = 8.240 - (2.622 - 1.846 * cosine) * cosine
    return cosine * (constant + 0.754 * wet - 2.265 * dry)


def clear_over_sea(
    values: np.ndarray,
    windows: tuple[int, int],
    zenith: np.ndarray,
    lat: np.ndarray,
    land_fraction: np.ndarray,
) -> np.ndarray:
    """Mark the footprints of clear sky over open sea.

    Parameters
    ----------
    values : np.ndarray
        Brightness temperatures in K, ``(n, channel)``.
    windows : tuple of int
        Positions of the channels at 23.8 and 31.4 GHz.
    zenith, lat : np.ndarray
        Zenith angle and latitude in degrees, ``(n,)``.
    land_fraction : np.ndarray
        From 0 to 1, ``(n,)``.

    Returns
    -------
    np.ndarray
        ``(n,)`` bool; False where one of the two channels is missing.
    """
    sea = (land_fraction <= MOST_LAND) & (np.abs(lat) <= MOST_LATITUDE)
    water = cloud_liquid_water(values[:, windows[0]], values[:, windows[1]], zenith)
    with np.errstate(invalid="ignore"):
        return sea & (water <= MOST_LIQUID_WATER)
