"""Shares of data that there must be: what fails, what warns, and how times are listed."""

import logging
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from fuxiflow.completeness import (
    IncompleteError,
    check_finite,
    check_share,
    list_names,
    list_times,
)
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.sources import load_source
from tests.support.helpers import asked

LOG = logging.getLogger("test")


def test_times_are_listed_as_spans():
    six_hourly = np.arange(np.datetime64("2022-01-03T00"), np.datetime64("2022-01-04T06"), 6)
    assert list_times([*six_hourly, np.datetime64("2022-01-07T06", "ns")]) == (
        "2022-01-03T00 .. 2022-01-04T00 (5), 2022-01-07T06"
    )
    assert list_times([datetime(2022, 1, 1, 12)]) == "2022-01-01T12"
    days = [date(2022, 1, 31), date(2022, 2, 1), date(2022, 2, 3)]
    assert list_times(days, step_hours=24) == "2022-01-31 .. 2022-02-01 (2), 2022-02-03"
    assert list_times([]) == "nothing"


def test_long_lists_end_with_a_count():
    every_other = np.datetime64("2022-01-01T00") + 12 * np.arange(20)
    assert list_times(every_other).endswith("2022-01-04T12, and 12 more")
    assert list_names(list("abcdefghij")) == "a, b, c, d, e, f, g, h and 2 more"


@pytest.mark.parametrize(("present", "fails"), [(0, True), (6, True), (7, False), (9, False)])
def test_less_than_asked_fails_and_the_rest_warns(present, fails, caplog):
    if fails:
        with pytest.raises(
            IncompleteError,
            match=rf"completeness.tested: {present} of 10 things, and at least 0.7 .*missing: x\. "
            rf"Get what is missing and run again, or set completeness.tested to 0",
        ):
            check_share(asked(0.7), present, 10, "things", "x", LOG)
        assert not caplog.records
    else:
        check_share(asked(0.7), present, 10, "things", "x", LOG)
        assert caplog.messages == [f"completeness.tested: {present} of 10 things; missing: x"]


def test_the_share_that_the_message_names_is_enough():
    for total in range(1, 60):
        for present in range(total):
            with pytest.raises(IncompleteError) as caught:
                check_share(asked(1.0), present, total, "things", "x", LOG)
            share = float(str(caught.value).split(" to ")[-2].removesuffix(" go on without"))
            check_share(asked(share), present, total, "things", "x", LOG)


def test_all_or_nothing_to_have_says_nothing(caplog):
    check_share(asked(1.0), 3, 3, "things", "nothing", LOG)
    check_share(asked(1.0), 0, 0, "things", "nothing", LOG)
    assert not caplog.records


def test_values_that_are_no_numbers_name_store_time_and_channels():
    check_finite([True, True], ["T2M", "MSL"], "a.zarr: 2022-01-01T00")
    with pytest.raises(IncompleteError, match=r"^a.zarr: 2022-01-01T00: 1 of 2 .*MSL.*Delete it"):
        check_finite([True, False], ["T2M", "MSL"], "a.zarr: 2022-01-01T00")


def test_a_source_owes_no_day_before_or_after_it_was_there():
    config = load_configuration("config/demo.yaml")
    days = date(2022, 7, 1), date(2022, 12, 31)
    assert config.flown("fy3e_mwts3", *days) == (date(2022, 10, 1), days[1])
    assert config.flown("fy3e_mwts3", days[0], date(2022, 9, 30)) is None
    assert config.flown("amsua", *days) == days
    # outside the embedded world the days of its platforms count
    config = load_configuration("config/paper.yaml")
    (platform,) = load_source("fy3e_mwts3").platforms
    month = date(2022, 6, 1), date(2022, 6, 30)
    assert platform.since <= month[0]
    assert config.flown("fy3e_mwts3", *month) == month
    before = platform.since - timedelta(days=10)
    assert config.flown("fy3e_mwts3", before, platform.since) == (platform.since, platform.since)
    assert config.flown("fy3e_mwts3", before, before) is None
    assert config.flown("nnja_land_stations", *month) == month


def test_a_share_of_one_source_goes_before_that_of_all():
    config = load_configuration("config/test.yaml")
    values = config.model_dump() | {"completeness": {"sources": {"amsua": 0.1}}}
    completeness = type(config)(**values).completeness
    assert completeness.asked_of("amsua") == {
        "setting": "completeness.sources.amsua",
        "least": 0.1,
    }
    assert completeness.asked_of("mhs") == completeness.asked("observations")
