"""Intervals of departures by a circular block bootstrap over times.

Errors of neighbouring start times resemble each other, so whole blocks of consecutive cases are
drawn, from a circle on which the last case is followed by the first (Politis and Romano 1992; Wilks
2011, Statistical Methods in the Atmospheric Sciences, section 5.3.5). A sample is kept as how often
each case was drawn, so that the means of all samples are one matrix product.
"""

import numpy as np

LEVEL = 0.95


def block_length(times: np.ndarray, block_days: float) -> int:
    """Return the number of cases in a block of ``block_days`` days.

    The spacing of ``times`` is taken as its median. The block has at least one case, and at most
    half of the cases, so that a sample holds two blocks or more.
    """
    if len(times) < 2:
        return 1
    spacing = np.median(np.diff(np.sort(times)) / np.timedelta64(1, "h"))
    return int(np.clip(round(24 * block_days / max(spacing, 1e-9)), 1, max(len(times) // 2, 1)))


def block_draws(count: int, block: int, samples: int, seed: int) -> np.ndarray:
    """Draw the cases of each sample in blocks of consecutive ones.

    Parameters
    ----------
    count : int
        Cases there are.
    block : int
        Cases in a block.
    samples : int
        Samples to draw.
    seed : int
        Seeds the draw.

    Returns
    -------
    np.ndarray
        Indices of cases, ``(sample, count)``.

    Raises
    ------
    ValueError
        A block is longer than the series.
    """
    if count < 1 or not 1 <= block <= count:
        raise ValueError(f"a block of {block} cases cannot be drawn from {count}")
    generator = np.random.default_rng(seed)
    starts = generator.integers(count, size=(samples, -(-count // block)))
    return ((starts[:, :, None] + np.arange(block)) % count).reshape(samples, -1)[:, :count]


def block_counts(count: int, block: int, samples: int, seed: int) -> np.ndarray:
    """Count the draws of each case in each sample.

    Parameters
    ----------
    count, block, samples, seed : int
        As :func:`block_draws` takes them.

    Returns
    -------
    np.ndarray
        Counts as floats, ``(sample, case)``; every row sums to ``count``.
    """
    flat = block_draws(count, block, samples, seed) + count * np.arange(samples)[:, None]
    return (
        np.bincount(flat.ravel(), minlength=samples * count).reshape(samples, count).astype(float)
    )


def block_counts_of_times(
    times: np.ndarray, *, samples: int, block_days: float, seed: int
) -> np.ndarray:
    """Count the draws of cases by their times.

    Parameters
    ----------
    times : np.ndarray
        Times of the cases, in order, ``(case,)``.
    samples : int
        Samples to draw.
    block_days : float
        Days in a block.
    seed : int
        Seeds the draw.

    Returns
    -------
    np.ndarray
        Counts as of :func:`block_counts`, ``(sample, case)``.
    """
    return block_counts(len(times), block_length(times, block_days), samples, seed)


def case_mean(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Average ``values (case, ...)`` over the cases of each sample, ``(sample, ...)``.

    ``counts (sample, case)`` says how often each case counts. NaN cases are left out; the mean is
    NaN where no valid case was drawn.
    """
    flat = values.reshape(len(values), -1)
    valid = np.isfinite(flat)
    if valid.all():
        means = counts @ flat / counts.sum(axis=1, keepdims=True)
    else:
        drawn = counts @ valid.astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(drawn > 0, counts @ np.where(valid, flat, 0.0) / drawn, np.nan)
    return means.reshape(len(counts), *values.shape[1:])


def interval(samples: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval over the first dimension of ``samples (sample, ...)``.

    NaN samples are left out. The ends are those of ``np.nanquantile``, which is slower.
    """
    flat = np.sort(np.ascontiguousarray(samples.reshape(len(samples), -1).T), axis=1)  # NaN go last
    finite = np.isfinite(flat).sum(axis=1)
    bounds = []
    for q in (0.5 * (1 - level), 0.5 * (1 + level)):
        position = q * np.maximum(finite - 1, 0)
        lower = np.floor(position).astype(int)
        upper = np.minimum(lower + 1, np.maximum(finite - 1, 0))
        low, high = (np.take_along_axis(flat, i[:, None], axis=1)[:, 0] for i in (lower, upper))
        bounds.append((low + (position - lower) * (high - low)).reshape(samples.shape[1:]))
    return bounds[0], bounds[1]
