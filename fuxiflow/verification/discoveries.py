"""Significance of many comparisons at once, with control of the share of false discoveries."""

import numpy as np


def adjusted_p_values(p_values: np.ndarray) -> np.ndarray:
    """Adjust p values of many tests for their number, after Benjamini and Hochberg.

    Of the tests whose adjusted value is at most q, a share of q or less is significant by chance
    alone, on average, if tests are independent or positively dependent, as neighbouring channels
    and lead times are (Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x;
    Benjamini and Yekutieli 2001, doi:10.1214/aos/1013699998). NaN are no tests, and stay.
    """
    p_values = np.asarray(p_values, float)
    adjusted = np.full(p_values.shape, np.nan)
    tests = np.isfinite(p_values)
    order = np.argsort(p_values[tests])
    count = len(order)
    ranked = p_values[tests][order] * count / np.arange(1, count + 1)
    steps = np.minimum.accumulate(ranked[::-1])[::-1]
    values = np.empty(count)
    values[order] = np.minimum(steps, 1.0)
    adjusted[tests] = values
    return adjusted
