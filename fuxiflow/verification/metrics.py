"""Scores of gridded fields: RMSE, bias, MAE, ACC and activity over a region.

All functions are keyword-only and take fields ``(..., lat, lon)`` and the weights ``(lat, lon)`` of
one region from :func:`region_weights`. Leading dimensions are kept; functions that average over
cases say so. They state the definitions that the fast path, :mod:`fuxiflow.verification.cases`,
must reproduce.

Definitions follow WeatherBench2 (Rasp et al. 2024, doi:10.1029/2023MS004019, section 3.3), which
are those of the WMO Manual on WIPPS (WMO-No. 485, appendix 2.2.34), except where noted.
"""

from collections.abc import Sequence

import numpy as np

from fuxiflow.grids import Grid


def region_weights(grid: Grid, regions: Sequence[str]) -> np.ndarray:
    """Return the area weights of the cells, ``(region, lat, lon)``, summing to 1 in each region.

    ValueError for a region without a cell on this grid, KeyError (from the grid) for an unknown
    one.
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
    """Average a field ``(..., lat, lon)`` over a region."""
    return np.einsum("...yx,yx->...", np.asarray(field, float), weights)


def mse(*, forecast: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean squared error ``<(f - r)^2>`` of each case.

    Parameters
    ----------
    forecast, reference : np.ndarray
        Fields ``(..., lat, lon)``.
    weights : np.ndarray
        Weights of the region, ``(lat, lon)``.

    Returns
    -------
    np.ndarray
        Mean squared error ``(...)`` in the unit squared.
    """
    return spatial_mean(field=(np.asarray(forecast, float) - reference) ** 2, weights=weights)


def rmse(*, forecast: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the root mean squared error, ``sqrt(mean over cases of <(f - r)^2>)``.

    The root is taken after the mean over cases, as WMO and WeatherBench2 do.

    Parameters
    ----------
    forecast, reference : np.ndarray
        Fields ``(case, ..., lat, lon)``.
    weights : np.ndarray
        Weights of the region, ``(lat, lon)``.

    Returns
    -------
    np.ndarray
        RMSE ``(...)`` in the field's unit.
    """
    return np.sqrt(mse(forecast=forecast, reference=reference, weights=weights).mean(axis=0))


def bias(*, forecast: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean error ``<f - r>``; positive: the forecast is too high.

    Parameters
    ----------
    forecast, reference : np.ndarray
        Fields ``(case, ..., lat, lon)``.
    weights : np.ndarray
        Weights of the region, ``(lat, lon)``.

    Returns
    -------
    np.ndarray
        Bias ``(...)``, mean over the cases, in the field's unit.
    """
    return spatial_mean(field=np.asarray(forecast, float) - reference, weights=weights).mean(axis=0)


def mae(*, forecast: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean absolute error ``<|f - r|>``.

    Parameters
    ----------
    forecast, reference : np.ndarray
        Fields ``(case, ..., lat, lon)``.
    weights : np.ndarray
        Weights of the region, ``(lat, lon)``.

    Returns
    -------
    np.ndarray
        MAE ``(...)``, mean over the cases, in the field's unit.
    """
    return spatial_mean(
        field=np.abs(np.asarray(forecast, float) - reference), weights=weights
    ).mean(axis=0)


def acc(
    *, forecast: np.ndarray, reference: np.ndarray, climatology: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the anomaly correlation coefficient.

    Each case: ``<f' r'> / sqrt(<f'^2> <r'^2>)`` with anomalies from the climatology at the valid
    time. It is uncentred, that is the regional mean of the anomalies is not removed, as in
    WeatherBench2 (the WMO's is centred).

    Parameters
    ----------
    forecast, reference, climatology : np.ndarray
        Fields ``(case, ..., lat, lon)``.
    weights : np.ndarray
        Weights of the region, ``(lat, lon)``.

    Returns
    -------
    np.ndarray
        ACC ``(...)`` in [-1, 1], mean over the cases; NaN where an anomaly vanishes everywhere.
    """
    f = np.asarray(forecast, float) - climatology
    r = np.asarray(reference, float) - climatology
    cross, power, reference_power = (
        spatial_mean(field=x, weights=weights) for x in (f * r, f * f, r * r)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return (cross / np.sqrt(power * reference_power)).mean(axis=0)


def activity(*, forecast: np.ndarray, climatology: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the anomaly, ``sqrt(mean over cases of <(f' - <f'>)^2>)``.

    The regional mean is removed in each case, as in the SDAF of ECMWF's scorecards, so that a bias
    is no activity.

    Parameters
    ----------
    forecast, climatology : np.ndarray
        Fields ``(case, ..., lat, lon)``.
    weights : np.ndarray
        Weights of the region, ``(lat, lon)``.

    Returns
    -------
    np.ndarray
        Activity ``(...)`` in the field's unit.
    """
    anomaly = np.asarray(forecast, float) - climatology
    mean = spatial_mean(field=anomaly, weights=weights)
    return np.sqrt(
        spatial_mean(field=(anomaly - mean[..., None, None]) ** 2, weights=weights).mean(axis=0)
    )


def activity_ratio(
    *, forecast: np.ndarray, reference: np.ndarray, climatology: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the activity of the forecast over that of the reference.

    Parameters
    ----------
    forecast, reference, climatology : np.ndarray
        Fields ``(case, ..., lat, lon)`` at the same times.
    weights : np.ndarray
        Weights of the region, ``(lat, lon)``.

    Returns
    -------
    np.ndarray
        Ratio ``(...)``; 1 is neither too smooth nor too rough.
    """
    return activity(forecast=forecast, climatology=climatology, weights=weights) / activity(
        forecast=reference, climatology=climatology, weights=weights
    )
