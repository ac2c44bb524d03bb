"""What an update before a segment of the cycle is drawn from: fresh and older days, and nothing
that comes later.
"""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow import times
from fuxiflow.config.training import ReplayStage
from fuxiflow.models.networks import SourceDesign
from fuxiflow.training import plans

OPTIMISATION = {"updates": 20, "batch": 4, "learning_rate": 1e-3}
DAY = np.timedelta64(1, "D")
# training ends on 20 January, the cycle starts on 25 January; states go on to the end of February
LEARNT, CYCLE, END = ("2022-01-01", "2022-01-20"), "2022-01-25", "2022-02-28"


class Archived:
    """The times of a state store."""

    def __init__(self, *spans):
        self.times = np.concatenate(
            [
                np.arange(first, last + plans.STEP, plans.STEP)
                for first, last in (times.span(*span) for span in spans)
            ]
        )
        self._known = set(self.times)

    def __contains__(self, time):
        return time in self._known


STATES = Archived(LEARNT, (CYCLE, END))


def params(last, fresh_days, reach=LEARNT[0]):
    first = max(np.datetime64(CYCLE), last - (fresh_days - 1) * DAY)
    return {
        "observations": LEARNT,
        "reach": reach,
        "cycle": (CYCLE, str(last)),
        "fresh": (str(first), str(last)),
    }


def design(window):
    return {"noaa20_atms": SourceDesign(["1"], window, [0.0], [1.0])}


@pytest.mark.parametrize(
    ("first", "days"),
    [
        (
            date(2022, 4, 1),
            ("2022-03-17", "2022-03-26"),
        ),  # five days of delay, then ten days of fresh data
        (
            date(2022, 2, 2),
            ("2022-01-25", "2022-01-27"),
        ),  # no more than since the cold start: 12 steps
        (date(2022, 2, 1), None),  # 8 steps, and a sample needs 2 + 1 before it, 1 + 6 from it on
    ],
)
def test_fresh_days_by_hand(first, days):
    stage = ReplayStage(
        **OPTIMISATION, fresh_days=10, delay_days=5, max_lead_hours=12, cycles=2, chain=3
    )
    found = stage.fresh(first, date(2022, 1, 25))
    assert (found and (str(found.start), str(found.end))) == days


def test_fresh_days_must_hold_a_sample():
    with pytest.raises(
        ValueError, match="fresh_days: 2 days hold no chain of 8 cycles, allowed: at least 3"
    ):
        ReplayStage(**OPTIMISATION, fresh_days=2, cycles=4, chain=2)


@settings(max_examples=60)
@given(
    days=st.integers(8, 34),
    fresh_days=st.integers(6, 20),
    lead=st.sampled_from([6, 24]),
    cycles=st.integers(1, 3),
    chain=st.integers(1, 3),
    until=st.integers(1, 30),
    seed=st.integers(0, 99),
)
def test_nothing_that_a_sample_holds_comes_later(
    days, fresh_days, lead, cycles, chain, until, seed
):
    stage = ReplayStage(
        **OPTIMISATION, max_lead_hours=lead, cycles=cycles, chain=chain, fresh_days=fresh_days
    )
    last = np.datetime64(CYCLE) + days * DAY
    pool, odds = plans.replay_times(STATES, stage, design((-3, until)), **params(last, fresh_days))
    assert odds.sum() == pytest.approx(1)
    plan = plans.cycle_plan("replay", pool, stage, plans.Unrolling(cycles, chain), seed, odds=odds)
    for request in (request for step in range(8) for request in plan(step)):
        begin = request.start if request.follows else request.start - plans.STEP
        held = {begin, *request.target_times}
        assert max(held) < last + DAY
        assert request.analysis_times[-1] + until * plans.HOUR <= last + DAY
        assert all(time in STATES for time in held)


def test_a_share_is_older():
    stage = ReplayStage(**OPTIMISATION, max_lead_hours=12, replay_fraction=0.3)
    pool, odds = plans.replay_times(
        STATES, stage, design((-3, 5)), **params(np.datetime64("2022-02-20"), 10)
    )
    fresh = pool >= np.datetime64("2022-02-11")
    assert odds[fresh].sum() == pytest.approx(0.7)
    assert odds[~fresh].sum() == pytest.approx(0.3)
    assert len(set(odds[fresh])) == len(set(odds[~fresh])) == 1
    # older are those of training and of the cycle so far; none lies in the days between, where
    # there is nothing
    assert pool[~fresh].min() == np.datetime64("2022-01-01T18")
    assert (pool[~fresh] >= np.datetime64(CYCLE)).any()
    assert not (
        (pool > np.datetime64("2022-01-20T12")) & (pool < np.datetime64("2022-01-25T18"))
    ).any()


def test_the_last_sample_by_hand():
    stage = ReplayStage(**OPTIMISATION, max_lead_hours=12, cycles=2, chain=2)
    last = np.datetime64("2022-02-20")
    # the last background of four cycles on is that of 18 UTC; a window of 20 h ends by midnight
    for until, expected in ((5, "2022-02-19T18"), (12, "2022-02-19T18"), (20, "2022-02-19T06")):
        pool, _ = plans.replay_times(STATES, stage, design((-3, until)), **params(last, 10))
        assert pool.max() == np.datetime64(expected)
    none, _ = plans.replay_times(STATES, stage, {}, **params(last, 10))
    assert none.max() == np.datetime64("2022-02-19T18")


def test_without_fresh_samples_there_is_no_update():
    stage = ReplayStage(**OPTIMISATION, max_lead_hours=12)
    broken = Archived(LEARNT, (CYCLE, "2022-02-10"))
    with pytest.raises(
        ValueError, match="no training sample between 2022-02-11 and 2022-02-20 whose observations"
    ):
        plans.replay_times(
            broken, stage, design((-3, 5)), **params(np.datetime64("2022-02-20"), 10)
        )
