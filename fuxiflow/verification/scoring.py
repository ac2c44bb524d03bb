"""From cases to scores with intervals, for one system and for the difference of two on the same cases."""

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
    """How intervals are made: ``samples`` of blocks of ``block_days`` days, drawn from ``seed``."""

    samples: int
    block_days: float
    seed: int

    def counts(self, times: np.ndarray) -> np.ndarray:
        """How often each case is drawn, ``(sample, case)``."""
        return bootstrap.block_counts_of_times(
            times, samples=self.samples, block_days=self.block_days, seed=self.seed
        )


def _means(
    cases: Cases, quantities: tuple[str, ...], counts: np.ndarray, valid: np.ndarray
) -> Means:
    return {
        name: bootstrap.case_mean(np.where(valid, cases.values[name], np.nan), counts)
        for name in quantities
    }


def _valid(quantities: tuple[str, ...], *systems: Cases) -> np.ndarray:
    """Cases in which every quantity of every system is known."""
    return np.all(
        [np.isfinite(cases.values[name]) for cases in systems for name in quantities], axis=0
    )


def _summary(value: np.ndarray, samples: np.ndarray, valid: np.ndarray) -> dict[str, np.ndarray]:
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
    """Score-table rows of one system; metric names get ``prefix``. Empty without cases."""
    if not len(cases.times):
        return score_table.concatenate_scores([])
    counts, once = resampling.counts(cases.times), np.ones((1, len(cases.times)))
    frames = []
    for metric in metrics:
        quantities, of = METRICS[metric]
        valid = _valid(quantities, cases)
        value = of(_means(cases, quantities, once, valid))[0]
        summary = _summary(value, of(_means(cases, quantities, counts, valid)), valid)
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
    """Rows ``{metric}_vs_{other_name}``: the system compared with another one on the cases both have.

    RMSE as the normalised difference (a - b) / b, ACC as the plain difference a - b. Both are resampled together, so
    the interval is that of a paired test: the difference is significant (5 %, two-sided) where it excludes 0.
    """
    a, b = cases.common(other)
    if not len(a.times):
        return score_table.concatenate_scores([])
    counts, once = resampling.counts(a.times), np.ones((1, len(a.times)))
    frames = []
    for metric in metrics:
        quantities, of = METRICS[metric]
        valid, difference = _valid(quantities, a, b), COMPARISONS[metric]

        def compare(counts, quantities=quantities, of=of, valid=valid, difference=difference):
            return difference(*(of(_means(x, quantities, counts, valid)) for x in (a, b)))

        summary = _summary(compare(once)[0], compare(counts), valid)
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
