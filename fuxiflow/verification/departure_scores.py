"""Scores of departures, from the parts of all segments."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fuxiflow.storage.datasets import read_dataset
from fuxiflow.verification import bootstrap, score_table
from fuxiflow.verification.departures import KINDS, Departures
from fuxiflow.verification.scoring import Resampling


def join_departures(parts: Sequence[Departures]) -> Departures:
    """Join the departures of one source at different times, in any order.

    Parameters
    ----------
    parts : sequence of Departures
        At least one; with the same channels and regions.

    Returns
    -------
    Departures
        Sums of all times, in order of time.

    Raises
    ------
    ValueError
        Channels or regions differ, or two parts have the same time.
    """
    first = parts[0]
    for part in parts:
        if (part.channels, part.regions) != (first.channels, first.regions):
            raise ValueError("departures of other channels or regions cannot be joined")
    times = np.concatenate([part.times for part in parts])
    order = np.argsort(times, kind="stable")
    if len(np.unique(times)) < len(times):
        raise ValueError("two parts have departures of the same time")
    sums = {
        kind: np.concatenate([part.sums[kind] for part in parts], axis=1)[:, order]
        for kind in KINDS
    }
    return Departures(times[order], first.channels, first.regions, sums)


def merge_departures(paths: Sequence[Path], source: str) -> Departures:
    """Join the departures of a source in several parts.

    Parameters
    ----------
    paths : sequence of Path
        Stores that rule ``verification_departures_part`` wrote, at least one, in any order.
    source : str
        Name of the source.

    Returns
    -------
    Departures
        Of all times.

    Raises
    ------
    ValueError
        Names parts that do not fit together.
    """
    parts = []
    for path in paths:
        data = read_dataset(path, source)
        parts.append(
            Departures(
                data["time"].values.astype("datetime64[ns]"),
                data["channel"].values.tolist(),
                data["region"].values.tolist(),
                {kind: data[kind].values for kind in KINDS},
            )
        )
    try:
        return join_departures(parts)
    except ValueError as error:
        raise ValueError(
            f"{source}: {error}; delete the one that is out of date and run again: "
            f"{', '.join(map(str, paths))}"
        ) from error


def score_departures(
    departures: Departures, resampling: Resampling, *, experiment: str, source: str
) -> pd.DataFrame:
    """Score the departures of a source.

    Parameters
    ----------
    departures : Departures
        Departures of all times.
    resampling : Resampling
        How intervals are made.
    experiment : str
        Name of the experiment in the score table.
    source : str
        Name of the source.

    Returns
    -------
    pd.DataFrame
        Score table with the metrics ``departure_{kind}_mean`` and ``_std`` in the channel's
        unit, and channels named ``source/channel``. ``n`` counts observations; channels
        without any departure are left out.
    """
    counts = resampling.counts(departures.times)
    once = np.ones((1, len(departures.times)))
    frames = []
    for kind in KINDS:
        n = departures.sums[kind][0].sum(axis=0).astype(np.int64)
        value, samples = (_mean_std(departures.sums[kind], weights) for weights in (once, counts))
        for k, name in enumerate(("mean", "std")):
            low, high = bootstrap.interval(samples[k])
            frames.append(
                score_table.score_rows(
                    experiment=experiment,
                    system="fuxiflow",
                    reference="observations",
                    metric=f"departure_{kind}_{name}",
                    leads=[0],
                    channels=[f"{source}/{c}" for c in departures.channels],
                    regions=departures.regions,
                    value=value[k],
                    n=n[None],
                    ci_low=np.where(n < 2, np.nan, low)[None],
                    ci_high=np.where(n < 2, np.nan, high)[None],
                )
            )
    scores = score_table.concatenate_scores(frames)
    observed = np.any([sums[0].sum(axis=(0, 2)) > 0 for sums in departures.sums.values()], axis=0)
    unobserved = [
        f"{source}/{name}"
        for name, flag in zip(departures.channels, observed, strict=True)
        if not flag
    ]
    return scores[~scores["channel"].isin(unobserved)].reset_index(drop=True)


def _mean_std(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation, ``(sample, channel, region)`` each.

    ``sums (3, time, channel, region)`` are of one kind, and each analysis time counts as often as
    ``counts (sample, time)`` says it was drawn.
    """
    n, total, squares = (np.tensordot(counts, x, axes=1) for x in sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / n
        return mean, np.sqrt(np.maximum(squares / n - mean**2, 0.0))
