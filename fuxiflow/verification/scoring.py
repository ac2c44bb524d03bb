"""Scores with intervals from cases, of one system or of the difference of two."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from fuxiflow.verification import bootstrap, intervals, score_table
from fuxiflow.verification.cases import Cases
from fuxiflow.verification.skilful_leads import SKILFUL_LEAD, skilful_hours


@dataclass(frozen=True)
class Metric:
    """A product of powers of mean case quantities, and the scale that its interval is made on.

    Attributes
    ----------
    powers : dict of str to float
        Exponent of the mean of each quantity; a single 1 is the mean itself.
    scale : str
        ``log`` for what is positive, ``atanh`` for a correlation, or ``plain``. An interval is
        symmetric there, and ends within the metric's range.
    """

    powers: dict[str, float]
    scale: Literal["plain", "log", "atanh"] = "log"


METRICS = {
    "rmse": Metric({"square": 0.5}),
    "bias": Metric({"error": 1}, "plain"),
    "acc": Metric({"correlation": 1}, "atanh"),
    "activity": Metric({"variance": 0.5}),
    "activity_ratio": Metric({"variance": 0.5, "reference_variance": -0.5}),
}
COMPARISONS = {"rmse": "log", "acc": "plain"}
"""Metrics that systems are compared by, and the scale on which the second is taken from the first:
``log`` is told as (a - b) / b."""


@dataclass(frozen=True)
class Resampling:
    """Recipe of intervals: ``samples`` of blocks of ``block_days`` days, drawn from ``seed``."""

    samples: int
    block_days: float
    seed: int

    def counts(self, times: np.ndarray) -> np.ndarray:
        """Count the draws of the cases at ``times``, ``(sample, case)``."""
        return bootstrap.block_counts_of_times(
            times, samples=self.samples, block_days=self.block_days, seed=self.seed
        )


def complete_cases(quantities: Iterable[str], *systems: Cases) -> np.ndarray:
    """Mark the cases in which every quantity of every system is finite."""
    return np.all(
        [np.isfinite(cases.values[name]) for cases in systems for name in quantities], axis=0
    )


def case_influences(
    cases: Cases, metric: Metric, valid: np.ndarray, scale: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return a metric, and what each case adds to it.

    Parameters
    ----------
    cases : Cases
        Cases of one system.
    metric : Metric
        The metric.
    valid : np.ndarray
        Cases that count, ``(case, lead, channel, region)``.
    scale : str
        Scale of the second result.

    Returns
    -------
    value : np.ndarray
        The metric of all cases, ``(lead, channel, region)``.
    influence : np.ndarray
        Derivatives of the metric on the scale by the weight of each case, times the number of
        cases: their mean is 0, and the error of it is that of the metric. NaN where not ``valid``.
    """
    once = np.ones((1, len(valid)))
    value, influence = 1.0, 0.0
    for name, power in metric.powers.items():
        quantity = np.where(valid, cases.values[name], np.nan)
        mean = bootstrap.case_mean(quantity, once)[0]
        deviation = quantity - mean
        with np.errstate(invalid="ignore", divide="ignore"):
            value = value * (np.sqrt(mean) if power == 0.5 else mean**power)
            if scale == "log":  # where the mean is 0, all cases are
                deviation = np.where(mean > 0, power * deviation / mean, 0 * deviation)
            elif scale == "atanh":
                within = 1 - mean**2
                deviation = np.where(within > 0, deviation / within, 0 * deviation)
        influence = influence + deviation
    return np.where(np.isfinite(value), value, np.nan), influence


def _interval(
    value: np.ndarray, half_width: np.ndarray, scale: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of an interval that is symmetric on a scale.

    Parameters
    ----------
    value : np.ndarray
        Value of the metric.
    half_width : np.ndarray
        Half the width on the scale.
    scale : str
        ``plain``, ``log`` or ``atanh``.

    Returns
    -------
    tuple of np.ndarray
        Lower and upper end, as the metric itself.
    """
    if scale == "log":
        return value * np.exp(-half_width), value * np.exp(half_width)
    if scale == "atanh":
        with np.errstate(divide="ignore"):
            middle = np.arctanh(value)
        return np.tanh(middle - half_width), np.tanh(middle + half_width)
    return value - half_width, value + half_width


def least_block(times: np.ndarray, leads: Sequence[int], block_days: float) -> np.ndarray:
    """Return the least number of cases in a block at each lead.

    A block is as long as the lead, as forecasts that are valid at a time share its weather.

    Parameters
    ----------
    times : np.ndarray
        Times of the cases, ``(case,)``.
    leads : sequence of int
        Lead times in hours.
    block_days : float
        Least number of days in a block.

    Returns
    -------
    np.ndarray
        Numbers, not whole ones, ``(lead, 1, 1)``.
    """
    days = np.maximum(np.asarray(leads) / 24, block_days)
    return (days / intervals.case_spacing(times))[:, None, None]


def _skilful(leads: Sequence[int], acc: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the columns of skilful lead times.

    Parameters
    ----------
    leads : sequence of int
        Lead times in hours.
    acc : dict of str to np.ndarray
        Columns of the score table of ACC, ``(lead, channel, region)``.

    Returns
    -------
    dict of str to np.ndarray
        The same columns, ``(1, channel, region)``. The interval holds the leads at which 0.6 is in
        that of ACC. Numbers of cases are the fewest of all leads that have a score.
    """
    scored = np.isfinite(acc["value"])
    columns = {
        name: skilful_hours(leads, np.where(scored, acc[name], np.nan))
        for name in ("value", "ci_low", "ci_high")
    }
    n = np.where(scored, acc["n"], np.iinfo(int).max).min(axis=0)
    columns["n"] = np.where(scored.any(axis=0), n, 0)
    columns["n_effective"] = np.minimum(
        np.where(scored, acc["n_effective"], np.inf).min(axis=0), columns["n"]
    )
    for end in ("ci_low", "ci_high"):
        columns[end] = np.where(columns["n"] < 2, np.nan, columns[end])
    return {name: column[None] for name, column in columns.items()}


def score_cases(
    cases: Cases,
    resampling: Resampling,
    *,
    experiment: str,
    system: str,
    reference: str,
    metrics: tuple[str, ...] = tuple(METRICS),
    prefix: str = "",
) -> pd.DataFrame:
    """Score one system against one reference.

    Parameters
    ----------
    cases : Cases
        Cases of the system.
    resampling : Resampling
        Recipe of the intervals.
    experiment, system, reference : str
        Keys of the score table.
    metrics : tuple of str
        Metrics, of :data:`METRICS`.
    prefix : str
        Put before the names of the metrics.

    Returns
    -------
    pd.DataFrame
        Rows of the score table; none without cases.
    """
    if not len(cases.times):
        return score_table.concatenate_scores([])
    block = least_block(cases.times, cases.leads, resampling.block_days)
    frames = []
    for name in metrics:
        metric = METRICS[name]
        valid = complete_cases(metric.powers, cases)
        value, influence = case_influences(cases, metric, valid, metric.scale)
        error = intervals.error_of_mean(influence, block)
        low, high = _interval(value, error.half_width(), metric.scale)
        summary = {
            "value": value,
            "n": valid.sum(axis=0),
            "n_effective": error.effective,
            "ci_low": low,
            "ci_high": high,
        }
        frames.append(
            score_table.score_rows(
                experiment=experiment,
                system=system,
                reference=reference,
                metric=prefix + name,
                leads=cases.leads,
                channels=cases.channels,
                regions=cases.regions,
                **summary,
            )
        )
        if name == "acc" and max(cases.leads) > 0:
            frames.append(
                score_table.score_rows(
                    experiment=experiment,
                    system=system,
                    reference=reference,
                    metric=prefix + SKILFUL_LEAD,
                    leads=[max(cases.leads)],
                    channels=cases.channels,
                    regions=cases.regions,
                    **_skilful(cases.leads, summary),
                )
            )
    return score_table.concatenate_scores(frames)


def difference_with_interval(
    first: np.ndarray, second: np.ndarray, error: intervals.MeanError, scale: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the difference of two systems, its interval and its probability if there were none.

    Parameters
    ----------
    first, second : np.ndarray
        The metric of each.
    error : MeanError
        Error of their difference on the scale.
    scale : str
        ``log``, told as (a - b) / b, or ``plain``.

    Returns
    -------
    tuple of np.ndarray
        Difference, lower and upper end, and p value.
    """
    half_width = error.half_width()
    if scale == "plain":
        difference = first - second
        return difference, *_interval(difference, half_width, scale), error.p_value(difference)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = np.where(second > 0, (first - second) / second, np.nan)
        p_value = error.p_value(np.log1p(difference))
    low, high = _interval(1 + difference, half_width, scale)
    # rounding may carry an end beyond the difference
    low, high = np.minimum(low - 1, difference), np.maximum(high - 1, difference)
    return difference, low, high, p_value


def difference_rows(
    cases: Cases,
    labels: Mapping[str, str],
    first: np.ndarray,
    second: np.ndarray,
    error: intervals.MeanError,
    scale: str,
    count: np.ndarray,
) -> pd.DataFrame:
    """Put the difference of two systems into rows of the score table.

    Parameters
    ----------
    cases : Cases
        Their leads, channels and regions are the rows'.
    labels : Mapping[str, str]
        Experiment, system, reference and metric of the rows.
    first, second : np.ndarray
        The metric of each.
    error : MeanError
        Error of their difference on the scale.
    scale : str
        As of :func:`difference_with_interval`.
    count : np.ndarray
        Numbers of cases.

    Returns
    -------
    pd.DataFrame
        Rows with intervals, effective numbers of cases and p values.
    """
    value, low, high, p_value = difference_with_interval(first, second, error, scale)
    return score_table.score_rows(
        **labels,
        leads=cases.leads,
        channels=cases.channels,
        regions=cases.regions,
        value=value,
        n=count,
        n_effective=error.effective,
        ci_low=low,
        ci_high=high,
        p_value=p_value,
    )


def compare_cases(
    cases: Cases,
    other: Cases,
    resampling: Resampling,
    *,
    experiment: str,
    system: str,
    reference: str,
    other_name: str,
    metrics: tuple[str, ...] = tuple(COMPARISONS),
) -> pd.DataFrame:
    """Compare a system with another one on the cases that both have.

    RMSE is compared as the normalised difference (a - b) / b, ACC as the plain difference a - b.
    The interval is that of the difference case by case, a paired test: the difference is
    significant (5 %, two-sided) where it excludes 0. That is where ``p_value`` is below 0.05.

    Parameters
    ----------
    cases : Cases
        Cases of the system, a.
    other : Cases
        Cases of the other system, b.
    resampling : Resampling
        Recipe of the intervals.
    experiment, system, reference : str
        Keys of the score table.
    other_name : str
        Name of the other system or experiment.
    metrics : tuple of str
        Metrics, of :data:`COMPARISONS`.

    Returns
    -------
    pd.DataFrame
        Rows of the score table with the metric ``{metric}_vs_{other_name}``; none without cases.
    """
    a, b = cases.common(other)
    if not len(a.times):
        return score_table.concatenate_scores([])
    block = least_block(a.times, a.leads, resampling.block_days)
    frames = []
    for name in metrics:
        metric, scale = METRICS[name], COMPARISONS[name]
        valid = complete_cases(metric.powers, a, b)
        first, second = (case_influences(x, metric, valid, scale) for x in (a, b))
        error = intervals.error_of_mean(first[1] - second[1], block)
        labels = {"experiment": experiment, "system": system, "reference": reference}
        labels["metric"] = f"{name}_vs_{other_name}"
        frames.append(
            difference_rows(a, labels, first[0], second[0], error, scale, valid.sum(axis=0))
        )
    return score_table.concatenate_scores(frames)
