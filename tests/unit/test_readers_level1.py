"""What readers of level-1 files share."""

import numpy as np

from fuxiflow.observations import leap_seconds
from fuxiflow.observations.readers import level1


def test_a_refused_file_is_a_granule_with_its_reason():
    def fails():
        raise OSError("damaged")

    granule = level1.granule("a.hdf", None, fails)
    assert (granule.reason.label, granule.message, granule.count) == (
        "unreadable",
        "OSError: damaged",
        0,
    )


def test_clocks_of_days_and_milliseconds():
    found = level1.instants(
        np.array([2020, 2020, 1997, 2022], ">u2"), [366, 367, 1, 1], [86_399_999, 0, 0, 86_400_000]
    )
    assert found[0] == np.datetime64("2020-12-31T23:59:59.999")
    assert np.isnat(found[1:]).all()


def test_leap_seconds_enter_at_midnight():
    midnight = np.datetime64("2017-01-01", "us")
    tai = midnight + np.array([36, 37, 38, 35]) * np.timedelta64(1, "s")
    expected = midnight + np.array([0, 0, 1, -1]) * np.timedelta64(1, "s")
    assert (leap_seconds.utc(tai) == expected).all()
    assert np.isnat(leap_seconds.utc(np.array(["1998-12-31", "NaT"], "datetime64[us]"))).all()
