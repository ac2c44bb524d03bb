"""The skilful lead time, by hand and with an interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow.verification.cases import QUANTITIES, Cases
from fuxiflow.verification.scoring import Resampling, score_cases
from fuxiflow.verification.skilful_leads import SKILFUL_LEAD, skilful_hours

LEADS = [6, 12, 18, 24]


@pytest.mark.parametrize(
    ("acc", "hours"),
    [
        ([0.9, 0.8, 0.7, 0.5], 21.0),
        ([0.9, 0.7, 0.4, 0.9], 14.0),  # that it is higher again is of no use
        ([0.9, 0.8, 0.7, 0.6], 24.0),
        ([0.9, 0.8, 0.7, 0.65], 24.0),
        ([0.5, 0.8, 0.7, 0.65], 0.0),
        ([0.9, 0.6, 0.5, 0.4], 12.0),
        ([0.9, 0.8, np.nan, np.nan], 12.0),
        ([np.nan, 0.8, 0.7, 0.5], np.nan),
    ],
)
def test_skilful_hours(acc, hours):
    np.testing.assert_allclose(skilful_hours(LEADS, np.array(acc)), hours)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4), st.floats(0, 0.5))
def test_a_better_forecast_is_never_skilful_for_less(acc, gain):
    worse, better = (np.array(acc) + add for add in (0.0, gain))
    assert skilful_hours(LEADS, worse) <= skilful_hours(LEADS, better) + 1e-9


def test_the_score_table_has_skilful_leads_with_intervals():
    generator = np.random.default_rng(0)
    times = np.datetime64("2023-01-01", "ns") + np.arange(60) * np.timedelta64(12, "h")
    cases = Cases.empty(times, LEADS, ["Z500", "T850"], ["global", "tropics"])
    shape = next(iter(cases.values.values())).shape
    falling = np.array([0.9, 0.8, 0.7, 0.5])[:, None, None]
    cases.values = dict.fromkeys(QUANTITIES, np.full(shape, 0.5))
    cases.values["correlation"] = falling + 0.05 * generator.normal(size=shape)
    names = {"experiment": "e", "system": "s", "reference": "truth"}
    frame = score_cases(cases, Resampling(1, 1, 0), **names)
    rows = frame[frame["metric"] == SKILFUL_LEAD]
    assert len(rows) == 4
    assert set(rows["lead_time"]) == {24}
    np.testing.assert_allclose(rows["value"], 21, atol=0.5)
    assert ((rows["ci_low"] < rows["value"]) & (rows["value"] < rows["ci_high"])).all()
    # where the lower end of ACC's interval crosses
    acc = frame[(frame["metric"] == "acc") & (frame["channel"] == "Z500")]
    low = acc.loc[acc["region"] == "global", "ci_low"].to_numpy()
    row = rows[(rows["channel"] == "Z500") & (rows["region"] == "global")].iloc[0]
    assert row["ci_low"] == pytest.approx(skilful_hours(LEADS, low))
    assert (row["n"], row["n_effective"]) == (60, pytest.approx(acc["n_effective"].min(), rel=0.5))
    # analyses have none
    analyses = cases.select(times, [6], ["Z500"])
    analyses.leads = [0]
    assert SKILFUL_LEAD not in set(score_cases(analyses, Resampling(1, 1, 0), **names)["metric"])
