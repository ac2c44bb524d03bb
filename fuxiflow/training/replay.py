"""Replay: what an update before a segment of the cycle draws its samples from, and what it may not see."""

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np

from fuxiflow import times
from fuxiflow.config.training import ReplayStage
from fuxiflow.models.networks import STEP, SourceDesign
from fuxiflow.states.store import StateSeries
from fuxiflow.training.samples import usable

HOUR = np.timedelta64(1, "h")


def pool(
    states: StateSeries,
    stage: ReplayStage,
    designs: Mapping[str, SourceDesign],
    params: SimpleNamespace,
) -> tuple[np.ndarray, np.ndarray]:
    """First analysis times of an update ``(n,)``, and the probability of each: together ``replay_fraction`` of those
    that are older than the fresh days.

    ``params``: the days of ``observations`` in training, with backgrounds from ``reach`` on; those of the ``cycle`` so
    far, up to the last one that may be known; the ``fresh`` ones. A sample any of whose fields or windows, over all
    cycles of its chain, ends later than that is left out. ValueError when none of the fresh days is left.
    """
    before, after = stage.steps
    learnt = usable(
        states, *times.span(*params.observations), before, after, np.datetime64(params.reach, "ns")
    )
    first, last = times.span(*params.cycle)
    # the hour after the last one that a sample's windows hold
    closing = max((design.window[1] for design in designs.values()), default=0) * HOUR + STEP * (
        after - 1
    )
    found = usable(states, first, last, before, after)
    cycled = found[found + closing <= last + STEP]
    fresh = cycled >= np.datetime64(params.fresh[0])
    if not fresh.any():
        raise ValueError(
            f"no training sample between {params.fresh[0]} and {params.fresh[1]} whose observations end "
            f"by {last + STEP}; raise training.replay.fresh_days, or lower its cycles or chain"
        )
    older = np.concatenate([np.ones(len(learnt), bool), ~fresh])
    odds = np.where(
        older, stage.replay_fraction / older.sum(), (1 - stage.replay_fraction) / fresh.sum()
    )
    return np.concatenate([learnt, cycled]), odds
