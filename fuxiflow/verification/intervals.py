"""Intervals and tests of means of correlated series, by Student's t with few degrees of freedom.

Errors of neighbouring start times resemble each other, so a mean of n cases is less certain than
that of n independent ones. Its variance is the series' power at frequency zero over n. The power
is averaged over the first cosines of the series (Lazarus, Lewis, Stock and Watson 2018,
doi:10.1080/07350015.2018.1506926), and the mean over its standard error has Student's t with one
degree of freedom for each cosine. Each power is first divided by the relative power that a process
of the series' lag-one autocorrelation has there (prewhitening: Andrews and Monahan 1992,
doi:10.2307/2951574), as short series have no cosine that is slow enough.

How many cosines there are is given by blocks of the series, one a cosine. A block is no shorter
than three memories of the series, than the lead time, and than a number of days that is asked for.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

LEVEL = 0.95
MEMORIES = 3
"""Memories, (1 + phi) / (1 - phi) cases, in a block: with fewer, intervals are too narrow."""
RATE = 0.4
"""Most blocks over cases to the power of 2/3, as Lazarus and others recommend."""
FEWEST = 2


@dataclass(frozen=True)
class MeanError:
    """The errors that the means of series may have.

    Attributes
    ----------
    standard_error : np.ndarray
        Standard error of each mean, NaN of fewer than two cases.
    degrees : np.ndarray
        Degrees of freedom of Student's t.
    effective : np.ndarray
        The number of independent cases whose mean would be as certain, 1 to the number of cases.
    """

    standard_error: np.ndarray
    degrees: np.ndarray
    effective: np.ndarray

    def half_width(self, level: float = LEVEL) -> np.ndarray:
        """Return the half width of the interval of a level."""
        return stdtrit(self.degrees, 0.5 * (1 + level)) * self.standard_error

    def p_value(self, estimate: np.ndarray) -> np.ndarray:
        """Return the two-sided probability of such an estimate, or a larger one, if none were so.

        Where the series does not vary it is 1 for an estimate of 0, and 0 for any other.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.abs(estimate) / self.standard_error
        certain = (self.standard_error == 0) & np.isnan(ratio)
        return 2 * stdtr(self.degrees, -np.where(certain, 0.0, ratio))


def lag_one(values: np.ndarray, fitted: int = 1) -> np.ndarray:
    """Return the lag-one autocorrelation of series ``(case, ...)``, at least 0.

    The estimate r of a short series is too small, by (1 + 4 phi) / n where a mean was taken off
    (Marriott and Pope 1954, doi:10.2307/2332719), and by (2 + 6 phi) / n where a trend was, of
    two ``fitted`` parameters. That is put right. Fewer than two cases have none, 0.
    """
    count = len(values)
    anomaly = values - values.mean(axis=0)
    power = (anomaly**2).sum(axis=0)
    cross = (anomaly[1:] * anomaly[:-1]).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.where(power > 0, cross / power, 0.0)
    return np.clip(
        (count * r + fitted) / max(count - 2 - 2 * fitted, count / 2), 0.0, 1 - 1 / count
    )


def case_spacing(times: np.ndarray) -> float:
    """Return the median spacing of times in days, infinity for fewer than two."""
    if len(times) < 2:
        return np.inf
    return float(np.median(np.diff(np.sort(times)) / np.timedelta64(1, "h")) / 24)


def error_of_mean(values: np.ndarray, block: np.ndarray | float = 1.0) -> MeanError:
    """Tell how far the means of series may be off.

    Parameters
    ----------
    values : np.ndarray
        Series ``(case, ...)`` in order of time. NaN cases are left out, and those about them taken
        as neighbours.
    block : np.ndarray or float
        The least number of cases in a block, of a shape that fits all but the first dimension.

    Returns
    -------
    MeanError
        Of each series, of the shape of ``values`` without its first dimension.
    """
    flat = values.reshape(len(values), -1)
    blocks = np.broadcast_to(block, values.shape[1:]).ravel()
    valid = np.isfinite(flat)
    columns = np.full((3, flat.shape[1]), np.nan)
    if valid.all():
        columns[:] = _errors(flat, blocks)
    else:
        patterns, members = np.unique(
            np.packbits(valid, axis=0), axis=1, return_inverse=True
        )  # series that lack the same cases are treated together
        for number in range(patterns.shape[1]):
            series = np.flatnonzero(members.ravel() == number)
            rows = valid[:, series[0]]
            if rows.any():
                columns[:, series] = _errors(flat[np.ix_(rows, series)], blocks[series])
    return MeanError(*(column.reshape(values.shape[1:]) for column in columns))


def _errors(values: np.ndarray, block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return standard errors, degrees of freedom and effective numbers of cases.

    ``values (case, series)`` are all finite; a block of each series has ``block (series,)`` cases
    or more.
    """
    count, series = values.shape
    if count < 2:
        return np.full(series, np.nan), np.full(series, np.nan), np.full(series, float(count))
    phi = lag_one(values)
    memory = (1 + phi) / (1 - phi)
    longest = np.maximum(block, MEMORIES * memory)
    degrees = np.minimum(RATE * count ** (2 / 3), count / longest)
    degrees = np.clip(np.floor(degrees), min(FEWEST, count - 1), count - 1).astype(int)
    most = degrees.max()
    angle = np.pi * np.arange(1, most + 1)[:, None] / count
    cosines = np.sqrt(2 / count) * np.cos(angle * (np.arange(count) + 0.5))
    power = (cosines @ (values - values.mean(axis=0))) ** 2
    power *= (1 - 2 * phi * np.cos(angle) + phi**2) / (1 - phi) ** 2
    total = np.cumsum(power, axis=0)[degrees - 1, np.arange(series)]
    error = np.sqrt(total / degrees / count)
    return error, degrees.astype(float), np.maximum(count / memory, 1.0)


def trend(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Fit a trend to a series by least squares, with an interval that knows its memory.

    The residuals count as fewer independent ones, by their lag-one autocorrelation (Santer and
    others 2000, doi:10.1029/1999JD901105), and Student's t has two degrees of freedom less.

    Parameters
    ----------
    values : np.ndarray
        Series ``(step,)``.
    level : float
        Level of the interval.

    Returns
    -------
    tuple of float
        Slope per step, and half the width of its interval.

    Raises
    ------
    ValueError
        The series has fewer than 4 values.
    """
    count = len(values)
    if count < 4:
        raise ValueError(f"a trend needs at least 4 values, there are {count}")
    step = np.arange(count) - 0.5 * (count - 1)
    slope = float(step @ values / (step @ step))
    residuals = values - values.mean() - slope * step
    phi = float(lag_one(residuals[:, None], fitted=2)[0])
    degrees = max(count * (1 - phi) / (1 + phi) - 2, 1)
    error = np.sqrt(residuals @ residuals / degrees / (step @ step))
    return slope, float(stdtrit(degrees, 0.5 * (1 + level)) * error)
