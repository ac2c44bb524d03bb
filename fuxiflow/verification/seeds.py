"""Comparisons of experiments that were trained several times, with the seeds in the intervals.

Networks of another seed have other errors. A comparison of one training with one other tells which
of these two is better; a comparison of configurations must also count how trainings of one
configuration differ. So the variance of a mean over seeds and times has two parts: that of the
series in time of the mean over seeds, in blocks, and that of the means of seeds. The second part
has as few degrees of freedom as there are seeds less one, and Student's t knows that. A bootstrap
of seeds and blocks does not: two or three seeds drawn from themselves vary too little.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fuxiflow.verification import intervals, score_table
from fuxiflow.verification.cases import Cases
from fuxiflow.verification.scoring import (
    COMPARISONS,
    METRICS,
    Resampling,
    case_influences,
    complete_cases,
    difference_rows,
    least_block,
)


def error_over_seeds(
    first: np.ndarray, second: np.ndarray | None = None, block: np.ndarray | float = 1.0
) -> intervals.MeanError:
    """Tell how far the mean over seeds and times may be off, or the difference of two such means.

    Parameters
    ----------
    first : np.ndarray
        Series of each seed, ``(seed, case, ...)``, of at least two seeds.
    second : np.ndarray, optional
        Those of the configuration that it is compared with, at the same times, of any seeds; one
        seed has no part of its own in the error. By default none.
    block : np.ndarray or float
        The least number of cases in a block.

    Returns
    -------
    MeanError
        The parts of two configurations' seeds have together the degrees of freedom of Welch (1947,
        doi:10.2307/2332510). One over those of all is the mean of those of seeds and of times, by
        their variance: by Welch's, intervals of two seeds are too narrow.

    Raises
    ------
    ValueError
        There is one seed.
    """
    arms = [first] if second is None else [first, second]
    if all(len(arm) < 2 for arm in arms):
        raise ValueError("the error over seeds needs at least 2 seeds, there is 1")
    series = arms[0].mean(axis=0) - (arms[1].mean(axis=0) if second is not None else 0.0)
    in_time = intervals.error_of_mean(series, block)
    in_seeds, freedom = 0.0, 0.0
    for arm in arms:
        if len(arm) > 1:
            counted = np.isfinite(arm)
            with np.errstate(invalid="ignore"):
                means = np.where(counted, arm, 0.0).sum(axis=1) / counted.sum(axis=1)
            variance = means.var(axis=0, ddof=1) / len(arm)
            in_seeds = in_seeds + variance
            freedom = freedom + variance**2 / (len(arm) - 1)
    total = in_time.standard_error**2 + in_seeds
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = in_time.standard_error**2 / in_time.degrees
        shares = shares + np.where(in_seeds > 0, freedom / in_seeds, 0.0)
        degrees = np.where(total > 0, total / shares, in_time.degrees)
    return intervals.MeanError(np.sqrt(total), degrees, in_time.effective)


def compare_seeds(
    firsts: Sequence[Cases],
    seconds: Sequence[Cases],
    resampling: Resampling,
    *,
    experiment: str,
    system: str,
    reference: str,
    other_name: str,
    metrics: tuple[str, ...] = tuple(COMPARISONS),
) -> pd.DataFrame:
    """Compare two configurations, each trained with several seeds, on the cases that all have.

    Parameters
    ----------
    firsts, seconds : sequence of Cases
        Cases of each seed of the configurations, a and b. At least one has two seeds.
    resampling : Resampling
        Recipe of the intervals.
    experiment, system, reference : str
        Keys of the score table.
    other_name : str
        Name of b.
    metrics : tuple of str
        Metrics, of :data:`~fuxiflow.verification.scoring.COMPARISONS`.

    Returns
    -------
    pd.DataFrame
        Rows as of :func:`~fuxiflow.verification.scoring.compare_cases`. RMSE is the geometric mean
        over seeds, ACC the mean. None without cases.

    Raises
    ------
    ValueError
        There is one seed of each.
    """
    shared = firsts[0]
    for cases in (*firsts[1:], *seconds):
        shared, _ = shared.common(cases)
    if not len(shared.times):
        return score_table.concatenate_scores([])
    arms = [[cases.common(shared)[0] for cases in arm] for arm in (firsts, seconds)]
    block = least_block(shared.times, shared.leads, resampling.block_days)
    frames = []
    for name in metrics:
        metric, scale = METRICS[name], COMPARISONS[name]
        valid = complete_cases(metric.powers, *arms[0], *arms[1])
        means, series = [], []
        for arm in arms:
            values, influences = zip(
                *(case_influences(cases, metric, valid, scale) for cases in arm), strict=True
            )
            with np.errstate(divide="ignore"):
                levels = np.log(values) if scale == "log" else np.stack(values)
            series.append(np.stack(influences) + levels[:, None])
            means.append(levels.mean(axis=0))
        error = error_over_seeds(*series, block=block)
        first, second = np.exp(means) if scale == "log" else means
        labels = {"experiment": experiment, "system": system, "reference": reference}
        labels["metric"] = f"{name}_vs_{other_name}"
        frames.append(
            difference_rows(shared, labels, first, second, error, scale, valid.sum(axis=0))
        )
    return score_table.concatenate_scores(frames)
