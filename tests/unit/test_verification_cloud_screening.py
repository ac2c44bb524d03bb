"""Clear sky over sea: the retrieval by hand, and what is left out."""

import numpy as np
import pytest

from fuxiflow.config import sources
from fuxiflow.verification import cloud_screening


def test_liquid_water_is_that_of_the_formula():
    # cos = 1: 8.240 - 0.776 + 0.754 ln 100 - 2.265 ln 100
    water = cloud_screening.cloud_liquid_water(np.array([185.0]), np.array([185.0]), np.zeros(1))
    assert water.item() == pytest.approx(7.464 - 1.511 * np.log(100.0))
    # cos = 0.5: half of 8.240 - 0.5 (2.622 - 0.923) and the logarithms
    slant = cloud_screening.cloud_liquid_water(
        np.array([185.0]), np.array([165.0]), np.array([60.0])
    )
    assert slant.item() == pytest.approx(
        0.5 * (8.240 - 0.8495 + 0.754 * np.log(100.0) - 2.265 * np.log(120.0))
    )


def test_cloud_warms_the_sea_at_31_ghz():
    at_31 = np.linspace(150, 280, 50)
    water = cloud_screening.cloud_liquid_water(np.full(50, 200.0), at_31, np.full(50, 20.0))
    assert (np.diff(water) > 0).all()


def test_land_ice_cloud_and_missing_values_are_left_out():
    clear, cloud = [195.0, 165.0], [195.0, 200.0]
    values = np.array([clear, cloud, clear, clear, [np.nan, 165.0]])
    kept = cloud_screening.clear_over_sea(
        values,
        (0, 1),
        np.zeros(5),
        np.array([0.0, 0.0, 0.0, 60.0, 0.0]),
        np.array([0.0, 0.0, 0.5, 0.0, 0.0]),
    )
    assert kept.tolist() == [True, False, False, False, False]


def test_sounders_that_tell_no_clouds_are_not_compared():
    names = {"noaa20_atms": True, "amsua": True, "mhs": False, "radiosondes": True, "gnssro": True}
    for name, comparable in names.items():
        assert sources.load_source(name).comparable == comparable
    atms = sources.load_source("noaa20_atms")
    assert [atms.channels[i].frequency for i in atms.cloud_channels] == ["23.8", "31.4"]
