"""Plans of the stages: the requests of every update, drawn by the seed and the update alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date

import numpy as np

from fuxiflow import times as calendar
from fuxiflow.config.training import AssimilatorStage, ReplayStage, RolloutStage
from fuxiflow.models.networks import STEP, SourceDesign
from fuxiflow.randomness import label_number, numbered_generator
from fuxiflow.states.store import StateSeries
from fuxiflow.training.samples import Archive, Plan, Request

STREAMS = {
    "forecaster": 1,
    "assimilator": 2,
    "joint": 3,
    "autoregressive": 4,
    "replay": 6,
}
"""The number of a stage's stream of random numbers; 5 is that of the bank of backgrounds,
7 that of the filter's fit."""
HOUR = np.timedelta64(1, "h")


def _generator(seed: int, stage: str, *position: int) -> np.random.Generator:
    """Random numbers that depend on the seed, the stage and a position alone.

    Parameters
    ----------
    seed : int
        The configuration's seed.
    stage : str
        One of :data:`STREAMS`.
    *position : int
        The update, and what within it the numbers are for.

    Returns
    -------
    np.random.Generator
        At its beginning.
    """
    return numbered_generator(seed, STREAMS[stage], *position)


def rollout_plan(name: str, times: np.ndarray, stage: RolloutStage, seed: int) -> Plan:
    """Plan stages 1 and 4: start times, and which of them start from a disturbed state.

    Plans are of whole updates: :class:`fuxiflow.training.parallel.Share` says which part of one a
    process takes.

    Parameters
    ----------
    name : str
        Name of the stage.
    times : np.ndarray
        Start times to draw from, ``(n,)``.
    stage : RolloutStage
        Batch size, number of steps and noise.
    seed : int
        The configuration's seed.

    Returns
    -------
    Plan
        The requests of an update.
    """

    def plan(step: int) -> list[Request]:
        random = _generator(seed, name, step, 0)
        starts = random.choice(times, stage.batch)
        seeds = random.integers(2**31, size=stage.batch)
        noisy = random.random(stage.batch) < (stage.noise_fraction if stage.noise else 0)
        return [
            Request(start, stage.length(step), 0, noise=int(noise) if disturbed else None)
            for start, noise, disturbed in zip(starts, seeds, noisy, strict=True)
        ]

    return plan


@dataclass(frozen=True)
class Unrolling:
    """The cycles of an update, and how they hang together.

    ``cycles`` are unrolled in an update; ``chain`` updates follow on each other;
    ``background_weight`` is that of the backgrounds in the loss; ``truncation`` is the number of
    cycles that are back-propagated through, None for all. ``forecast_steps`` are forecast from each
    analysis for the loss, where their mean has ``forecast_weight``.
    """

    cycles: int = 1
    chain: int = 1
    background_weight: float = 0.0
    truncation: int | None = None
    forecast_steps: int = 0
    forecast_weight: float = 1.0

    @classmethod
    def of(cls, stage: AssimilatorStage) -> "Unrolling":
        """The unrolling of a stage; settings that it does not have are those of stage 2."""
        settings = {
            item.name: getattr(stage, item.name)
            for item in fields(cls)
            if hasattr(stage, item.name)
        }
        return cls(**settings)


def unrolled_spans(count: int, truncation: int | None) -> list[tuple[int, int]]:
    """Cut ``count`` steps or cycles into spans that are back-propagated through by themselves.

    Each span is its first and last (excluded) one; ``truncation`` is the longest, None for all.
    """
    size = truncation or count
    return [(first, min(first + size, count)) for first in range(0, count, size)]


def cycle_plan(
    name: str,
    times: np.ndarray,
    stage: AssimilatorStage,
    unrolling: Unrolling,
    seed: int,
    banked: bool = False,
    odds: np.ndarray | None = None,
    sources: Sequence[str] = (),
    from_climatology: bool = False,
) -> Plan:
    """Plan stages 2 and 3 and replay: first analysis times, and what the samples start from.

    The first background is a forecast of a random lead, the same for the whole batch, or comes from
    the bank; some start from climatology, as a cold start does, and some are deprived of their
    observations, as in an outage, or of those of single sources. With a ``chain`` of several
    updates every place of the batch goes on for that many from where it ended; the places begin
    anew by turns. Each has its own shift of the climatology. Without backgrounds every analysis
    starts from the climatology, and nothing goes on.

    Parameters
    ----------
    name : str
        Name of the stage.
    times : np.ndarray
        First analysis times to draw from, ``(n,)``.
    stage : AssimilatorStage
        Batch size, leads, and shares of cold and masked samples.
    unrolling : Unrolling
        Cycles and chain.
    seed : int
        The configuration's seed.
    banked : bool
        Whether first backgrounds come from the bank.
    odds : np.ndarray, optional
        Probability of each time, ``(n,)``; by default all are equally probable.
    sources : Sequence[str]
        The sources that single ones are withheld of.
    from_climatology : bool
        Whether analyses have no background.

    Returns
    -------
    Plan
        The requests of an update.
    """
    cycles, chain = unrolling.cycles, unrolling.chain
    ahead = max(unrolling.forecast_steps, 1)

    def plan(step: int) -> list[Request]:
        random = _generator(seed, name, step, 0)
        lead = int(random.integers(1, stage.max_lead_hours // 6 + 1))
        masked = random.random(stage.batch) < stage.source_dropout
        withheld = _withheld(seed, name, step, stage, sources)
        requests = []
        for place in range(stage.batch):
            # updates since this place began anew: its draws are those of the update it began with
            age = (step + place * chain // stage.batch) % chain
            fate = _generator(seed, name, step - age + chain, 0, place)
            time = fate.choice(times, p=odds) + STEP * cycles * age
            cold = bool(fate.random() < stage.cold_fraction)
            dark = bool(masked[place])
            days = stage.climatology_shift_days
            shift = int(fate.integers(-days, days + 1))
            common = {"masked": dark, "shift": shift, "without": withheld[place], "ahead": ahead}
            if from_climatology:
                alone = {"cold": True, "from_climatology": True}
                requests.append(Request(time, 0, cycles, **alone, **common))
            elif age and step:
                requests.append(Request(time, 0, cycles, follows=True, **common))
            elif banked:
                requests.append(Request(time, 0, cycles, cold, banked=True, **common))
            else:
                requests.append(Request(time - STEP * lead, lead, cycles, cold, **common))
        return requests

    return plan


def _withheld(
    seed: int, name: str, step: int, stage: AssimilatorStage, sources: Sequence[str]
) -> list[tuple[str, ...]]:
    """Draw the sources that each sample of an update does without.

    Each source has draws of its own, so they do not depend on the others that there are.

    Parameters
    ----------
    seed : int
        The configuration's seed.
    name : str
        Name of the stage.
    step : int
        The update.
    stage : AssimilatorStage
        Batch size and share.
    sources : Sequence[str]
        All sources.

    Returns
    -------
    list of tuple of str
        By place of the batch, names of sources.
    """
    share = stage.single_source_dropout
    if not share:
        return [()] * stage.batch
    drawn = {
        source: _generator(seed, name, step, 1, label_number(source)).random(stage.batch) < share
        for source in sources
    }
    return [
        tuple(source for source in sources if drawn[source][place]) for place in range(stage.batch)
    ]


def usable_times(
    states: StateSeries,
    start: np.datetime64,
    end: np.datetime64,
    before: int,
    after: int,
    reach: np.datetime64 | None = None,
    among: np.ndarray | None = None,
) -> np.ndarray:
    """Find the times in [start, end] whose frames before and after them are all there.

    Parameters
    ----------
    states : StateSeries
        The reanalysis.
    start, end : np.datetime64
        First and last time.
    before, after : int
        Steps of 6 h that a sample's frames reach back and on.
    reach : np.datetime64, optional
        The time from which frames may be; by default ``start``.
    among : np.ndarray, optional
        Take times of these alone, whatever lies before them: those of a bank.

    Returns
    -------
    np.ndarray
        Times in order, ``(n,)``.

    Raises
    ------
    ValueError
        When there is no such time.
    """
    reach = start if reach is None else reach
    stored = {time for time in states.times if reach <= time <= end and time in states}
    inside = sorted(time for time in stored if time >= start)
    if among is not None:
        before = 0
        inside = sorted(set(inside) & set(among))
    good = [
        time for time in inside if all(time + STEP * i in stored for i in range(-before, after + 1))
    ]
    if not good:
        raise ValueError(
            f"no training sample between {start} and {end}: {len(inside)} states, "
            f"but none with {before + after + 1} in a row"
        )
    return np.array(good)


def usable_cycle_times(
    archive: Archive,
    stage: AssimilatorStage,
    days: tuple[np.datetime64, np.datetime64],
    reach: np.datetime64,
) -> np.ndarray:
    """Find the first analysis times that stages 2 and 3 may draw.

    Parameters
    ----------
    archive : Archive
        Reanalysis, and the bank of backgrounds where there is one.
    stage : AssimilatorStage
        Leads, cycles and chain.
    days : tuple of np.datetime64
        First and last time of the observation period.
    reach : np.datetime64
        The time from which forecasts of first backgrounds may start.

    Returns
    -------
    np.ndarray
        Times in order, ``(n,)``.

    Raises
    ------
    ValueError
        When there is no such time.
    """
    return usable_times(
        archive.states,
        *days,
        before=stage.max_lead_hours // 6 + 1,
        after=stage.reach,
        reach=reach,
        among=archive.bank.times if archive.bank else None,
    )


Days = Sequence[str | date]
"""First and last day of a period."""


def replay_times(
    states: StateSeries,
    stage: ReplayStage,
    designs: Mapping[str, SourceDesign],
    observations: Days,
    reach: str | date,
    cycle: Days,
    fresh: Days,
) -> tuple[np.ndarray, np.ndarray]:
    """List the first analysis times that an update before a segment of the cycle may draw.

    A sample any of whose fields or windows, over all cycles of its chain, ends later than the last
    day of ``cycle`` is left out.

    Parameters
    ----------
    states : StateSeries
        The reanalysis of training and of the cycle so far.
    stage : ReplayStage
        Cycles, chain, and the share of older samples.
    designs : Mapping[str, SourceDesign]
        The sources, whose windows count.
    observations : Days
        The days of observations in training.
    reach : str or date
        The first day that backgrounds of those may start from.
    cycle : Days
        The days of the cycle so far, up to the last one that may be known.
    fresh : Days
        Those of them that are fresh.

    Returns
    -------
    np.ndarray
        Times ``(n,)``.
    np.ndarray
        Their probabilities ``(n,)``: together ``replay_fraction`` for those that are older than the
        fresh days.

    Raises
    ------
    ValueError
        When none of the fresh days is left.
    """
    before, after = stage.steps
    trained = usable_times(
        states, *calendar.span(*observations), before, after, np.datetime64(reach, "ns")
    )
    first, last = calendar.span(*cycle)
    # the hour after the last one that a sample's windows hold
    analyses = stage.cycles * stage.chain
    closing = max((design.window[1] for design in designs.values()), default=0) * HOUR + STEP * (
        analyses - 1
    )
    cycled = usable_times(states, first, last, before, after)
    cycled = cycled[cycled + closing <= last + STEP]
    is_fresh = cycled >= np.datetime64(fresh[0])
    if not is_fresh.any():
        raise ValueError(
            f"no training sample between {fresh[0]} and {fresh[1]} whose observations end "
            f"by {last + STEP}; raise training.replay.fresh_days, or lower its cycles or chain"
        )
    older = np.concatenate([np.ones(len(trained), bool), ~is_fresh])
    odds = np.where(
        older, stage.replay_fraction / older.sum(), (1 - stage.replay_fraction) / is_fresh.sum()
    )
    return np.concatenate([trained, cycled]), odds
