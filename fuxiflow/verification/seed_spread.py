"""How much of a score is the seed: its mean and spread over trainings that differ in it alone.

Columns are the keys of the score table, with the experiment of the first seed, and ``seeds`` (number
of trainings), ``mean``, ``std`` (n - 1 in the denominator), ``lowest`` and ``highest``.
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
    kind, versus, other = (rows["metric"].str.partition("_vs_")[part] for part in range(3))
    rows["metric"] = kind + versus + other.replace(first)
    spread = rows.groupby(KEYS)["value"].agg(
        seeds="count", mean="mean", std="std", lowest="min", highest="max"
    )
    return spread[spread["seeds"] > 1].reset_index()
