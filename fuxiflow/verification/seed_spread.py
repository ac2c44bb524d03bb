"""The share of the seed in a score: mean and spread over trainings that differ in it alone.

Columns are the keys of the score table, with the experiment of the first seed, and ``seeds`` (the
number of trainings), ``mean``, ``std`` (n - 1 in the denominator), ``lowest`` and ``highest``.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from fuxiflow.verification.score_table import KEYS, TEXTS


def seed_spread(scores: pd.DataFrame, trainings: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the spread of each score over seeds, where at least two of them have it.

    Parameters
    ----------
    scores : pd.DataFrame
        A score table.
    trainings : mapping
        By experiment, the experiments of all its seeds.

    Returns
    -------
    pd.DataFrame
        One row a score, in the order of the keys. Comparisons are with the seed of the same number.
    """
    first = {seed: name for name, seeds in trainings.items() for seed in seeds}
    rows = scores[scores["experiment"].isin(first)].astype(dict.fromkeys(TEXTS, str))
    rows["experiment"] = rows["experiment"].map(first)
    rows["metric"] = rows["metric"].map(lambda metric: _with_first(metric, first))
    spread = rows.groupby(KEYS)["value"].agg(
        seeds="count", mean="mean", std="std", lowest="min", highest="max"
    )
    return spread[spread["seeds"] > 1].reset_index()


def _with_first(metric: str, first: Mapping[str, str]) -> str:
    """Return the metric of a comparison with the first seed of what it is a comparison with."""
    kind, versus, other = metric.partition("_vs_")
    return kind + versus + first.get(other, other)
