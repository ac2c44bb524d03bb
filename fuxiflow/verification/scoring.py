"""Scores with intervals from cases, of one system or of the difference of two."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fuxiflow.verification import bootstrap, score_table
from fuxiflow.verification.cases import Cases

Means = dict[str, np.ndarray]


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(b > 0, a / np.where(b > 0, b, 1.0), np.nan)


# metric: the case quantities it averages, and what it makes of their means
METRICS: dict[str, tuple[tuple[str, ...], Callable[[Means], np.ndarray]]] = {
    "rmse": (("square",), lambda m: np.sqrt(m["square"])),
    "bias": (("error",), lambda m: m["error"]),
    "acc": (("correlation",), lambda m: m["correlation"]),
    "activity": (("variance",), lambda m: np.sqrt(m["variance"])),
    "activity_ratio": (
        ("variance", "reference_variance"),
        lambda m: np.sqrt(_ratio(m["variance"], m["reference_variance"])),
    ),
}


def _relative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _ratio(a - b, b)


def _absolute(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a - b


# comparisons: metric and how two systems' values of it are compared
COMPARISONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "rmse": _relative,
    "acc": _absolute,
}


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


def _means(
    cases: Cases, quantities: tuple[str, ...], counts: np.ndarray, valid: np.ndarray
) -> Means:
    """Average quantities over the cases of each sample.

    Parameters
    ----------
    cases : Cases
        Cases of one system.
    quantities : tuple of str
        Names of the quantities.
    counts : np.ndarray
        Draws of each case, ``(sample, case)``.
    valid : np.ndarray
        Cases that count, ``(case, lead, channel, region)``.

    Returns
    -------
    dict of str to np.ndarray
        Means ``(sample, lead, channel, region)``.
    """
    return {
        name: bootstrap.case_mean(np.where(valid, cases.values[name], np.nan), counts)
        for name in quantities
    }


def _valid(quantities: tuple[str, ...], *systems: Cases) -> np.ndarray:
    """Mark the cases in which every quantity of every system is finite."""
    return np.all(
        [np.isfinite(cases.values[name]) for cases in systems for name in quantities], axis=0
    )


def _summary(value: np.ndarray, samples: np.ndarray, valid: np.ndarray) -> dict[str, np.ndarray]:
    """Return value, number of cases and interval of a score.

    Parameters
    ----------
    value : np.ndarray
        Score of all cases, ``(lead, channel, region)``.
    samples : np.ndarray
        Score of each sample, ``(sample, lead, channel, region)``.
    valid : np.ndarray
        Cases that count, ``(case, lead, channel, region)``.

    Returns
    -------
    dict of str to np.ndarray
        Columns of the score table; the interval of fewer than two cases is NaN.
    """
    n = valid.sum(axis=0)
    low, high = bootstrap.interval(samples)
    return {
        "value": value,
        "n": n,
        "ci_low": np.where(n < 2, np.nan, low),
        "ci_high": np.where(n < 2, np.nan, high),
    }


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
    counts = resampling.counts(cases.times)
    once = np.ones((1, len(cases.times)))
    frames = []
    for metric in metrics:
        quantities, score = METRICS[metric]
        valid = _valid(quantities, cases)
        value = score(_means(cases, quantities, once, valid))[0]
        summary = _summary(value, score(_means(cases, quantities, counts, valid)), valid)
        frames.append(
            score_table.score_rows(
                experiment=experiment,
                system=system,
                reference=reference,
                metric=prefix + metric,
                leads=cases.leads,
                channels=cases.channels,
                regions=cases.regions,
                **summary,
            )
        )
    return score_table.concatenate_scores(frames)


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
    Both are resampled together, so the interval is that of a paired test: the difference is
    significant (5 %, two-sided) where it excludes 0.

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
    counts = resampling.counts(a.times)
    once = np.ones((1, len(a.times)))
    frames = []
    for metric in metrics:
        quantities, score = METRICS[metric]
        difference = COMPARISONS[metric]
        valid = _valid(quantities, a, b)
        value, samples = (
            difference(*(score(_means(x, quantities, drawn, valid)) for x in (a, b)))
            for drawn in (once, counts)
        )
        summary = _summary(value[0], samples, valid)
        frames.append(
            score_table.score_rows(
                experiment=experiment,
                system=system,
                reference=reference,
                metric=f"{metric}_vs_{other_name}",
                leads=a.leads,
                channels=a.channels,
                regions=a.regions,
                **summary,
            )
        )
    return score_table.concatenate_scores(frames)
