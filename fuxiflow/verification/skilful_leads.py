"""The lead time to which forecasts are of use: until their anomaly correlation falls below 0.6."""

from collections.abc import Sequence

import numpy as np

SKILFUL_ACC = 0.6
"""ACC of a forecast that is still of use (FuXiWeather2, arXiv 2603.15358)."""
SKILFUL_LEAD = "skilful_lead"
"""Metric of the score table, in hours."""


def skilful_hours(leads: Sequence[int], acc: np.ndarray) -> np.ndarray:
    """Return the lead time at which ACC first falls below :data:`SKILFUL_ACC`.

    Parameters
    ----------
    leads : sequence of int
        Lead times in hours, ascending.
    acc : np.ndarray
        Correlations ``(lead, ...)``.

    Returns
    -------
    np.ndarray
        Hours, interpolated between leads: 0 where the first lead is below, NaN where it has no
        score, and the last lead before one without a score where none is below.
    """
    going = np.isfinite(acc[0])
    hours = np.where(going, 0.0, np.nan)
    for number, lead in enumerate(leads):
        scored = going & np.isfinite(acc[number])
        going = scored & (np.nan_to_num(acc[number]) >= SKILFUL_ACC)
        if number:
            before, above = leads[number - 1], acc[number - 1] - SKILFUL_ACC
            with np.errstate(invalid="ignore", divide="ignore"):
                share = above / (acc[number - 1] - acc[number])
            hours = np.where(scored & ~going, before + (lead - before) * share, hours)
        hours = np.where(going, float(lead), hours)
    return hours
