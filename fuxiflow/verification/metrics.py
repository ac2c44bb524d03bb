"""Scores of gridded fields: RMSE, bias, MAE, ACC and activity over a region.

All functions are keyword-only and take fields ``(..., lat, lon)`` and the weights ``(lat, lon)`` of one region from
:func:`region_weights`. Leading dimensions are kept; what averages over cases says so. They state the definitions that
the fast path (:mod:`fuxiflow.verification.cases`) must reproduce.

Definitions follow WeatherBench2 (Rasp et al. 2024, doi:10.1029/2023MS004019, section 3.3), which are those of the
WMO Manual on WIPPS (WMO-No. 485, appendix 2.2.34), except where noted.
"""

from collections.abc import Sequence

import numpy as np

from fuxiflow.grids import Grid


def region_weights(grid: Grid, regions: Sequence[str]) -> np.ndarray:
    """Area weights of the cells of each region, ``(region, lat, lon)``, summing to 1 in each.

    ValueError for a region without a cell on this grid, KeyError (from the grid) for an unknown one.
    """
    weights = np.empty((len(regions), *grid.shape))
    for i, name in enumerate(regions):
        area = grid.area_weights[:, None] * grid.region(name)
        if not area.any():
            raise ValueError(
                f"region {name!r} has no cell centre on the grid {grid.nlat} x {grid.nlon}: "
                f"leave it out of verification.regions"
            )
        weights[i] = area / area.sum()
    return weights


def spatial_mean(*, field: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over the region of a field ``(..., lat, lon)``."""
    return np.einsum("...yx,yx->...", np.asarray(field, float), weights)


def mse(*, forecast: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spatial mean squared error of each case, in the unit squared: ``<(f - r)^2>``."""
    return spatial_mean(field=(np.asarray(forecast, float) - reference) ** 2, weights=weights)


def rmse(*, forecast: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Root mean squared error over the cases of the first dimension, in the field's unit.

    ``sqrt(mean over cases of <(f - r)^2>)``: the root is taken after the mean over cases, as WMO and WeatherBench2 do.
    """
    return np.sqrt(mse(forecast=forecast, reference=reference, weights=weights).mean(axis=0))


def bias(*, forecast: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean error ``<f - r>`` over the cases of the first dimension, in the field's unit; positive: too high."""
    return spatial_mean(field=np.asarray(forecast, float) - reference, weights=weights).mean(axis=0)


def mae(*, forecast: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean absolute error ``<|f - r|>`` over the cases of the first dimension, in the field's unit."""
    return spatial_mean(
        field=np.abs(np.asarray(forecast, float) - reference), weights=weights
    ).mean(axis=0)


def acc(
    *, forecast: np.ndarray, reference: np.ndarray, climatology: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Anomaly correlation coefficient, mean over the cases of the first dimension, in [-1, 1].

    Each case: ``<f' r'> / sqrt(<f'^2> <r'^2>)`` with anomalies from the climatology at the valid time. Uncentred, that
    is the regional mean of the anomalies is not removed, as in WeatherBench2 (the WMO's is centred); NaN where an
    anomaly vanishes everywhere.
    """
    f = np.asarray(forecast, float) - climatology
    r = np.asarray(reference, float) - climatology
    cross, power, reference_power = (
        spatial_mean(field=x, weights=weights) for x in (f * r, f * f, r * r)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return (cross / np.sqrt(power * reference_power)).mean(axis=0)


def activity(*, forecast: np.ndarray, climatology: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Standard deviation of the anomaly over the region, in the field's unit.

    ``sqrt(mean over cases of <(f' - <f'>)^2>)``: the regional mean is removed in each case, as in the SDAF of ECMWF's
    scorecards, so that a bias is no activity.
    """
    anomaly = np.asarray(forecast, float) - climatology
    mean = spatial_mean(field=anomaly, weights=weights)
    return np.sqrt(
        spatial_mean(field=(anomaly - mean[..., None, None]) ** 2, weights=weights).mean(axis=0)
    )


def activity_ratio(
    *, forecast: np.ndarray, reference: np.ndarray, climatology: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Activity of the forecast over that of the reference at the same times; 1 is neither too smooth nor too rough."""
    return activity(forecast=forecast, climatology=climatology, weights=weights) / activity(
        forecast=reference, climatology=climatology, weights=weights
    )
