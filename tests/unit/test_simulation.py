"""Simulated observations: fields at points, errors as drawn from departures, and their places."""

from datetime import date

import numpy as np
import pytest
import torch

from fuxiflow.config import sources
from fuxiflow.observations import footprint_table
from fuxiflow.operators import equivalents, radio_occultation
from fuxiflow.operators.columns import brightness_temperatures_from_state
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.simulation import errors, geometry, observations
from fuxiflow.simulation.reanalysis import ReanalysisSampler
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries
from tests.support import tiny

ATMS = sources.load_source("noaa20_atms")
NAMES = ATMS.channel_names


@pytest.fixture(scope="module")
def reanalysis(tmp_path_factory):
    """Five states in which T500 is a linear function of latitude and time, on the tiny grid."""
    directory = tmp_path_factory.mktemp("reanalysis")
    fields = tiny.states(5)
    rows = [c.name for c in tiny.channel_table()].index("T500")
    fields[:, rows] = 250 + 0.2 * tiny.GRID.lat[None, :, None] + np.arange(5)[:, None, None]
    tiny.write_states(directory / "states.zarr", fields)
    statistics = tiny.write_statistics(directory / "statistics.zarr", fields)
    return ReanalysisSampler(
        StateSeries([directory / "states.zarr"]), Statistics.read(statistics), equivalents.SOUNDED
    )


def test_fields_are_linear_in_space_and_time(reanalysis):
    lat, lon = np.array([10.0, -33.0, 20.0, 89.9]), np.array([-179.9, 359.9, 12.0, 0.0])
    time = tiny.START + np.array([0, 540, 1440, 30], "timedelta64[m]")
    result = reanalysis.at(lat, lon, time)
    values = result.state[:, result.channels.index("T500")].numpy()
    drawn = np.clip(lat, tiny.GRID.lat.min(), tiny.GRID.lat.max())
    np.testing.assert_allclose(values, 250 + 0.2 * drawn + np.array([0, 1.5, 4, 1 / 12]), rtol=1e-6)
    np.testing.assert_allclose(result.latitude, lat, rtol=1e-6)


def test_times_without_two_states_about_them_are_told(reanalysis):
    time = tiny.START + np.array([-1, 0, 23, 24, 25], "timedelta64[h]")
    assert reanalysis.covers(time).tolist() == [False, True, True, True, False]
    with pytest.raises(KeyError, match="available"):
        reanalysis.at(np.zeros(1), np.zeros(1), time[-1:])


def test_an_occultation_sees_what_its_operator_gives(tmp_path):
    fields = tiny.states(2)
    tiny.write_states(tmp_path / "states.zarr", fields)
    statistics = Statistics.read(tiny.write_statistics(tmp_path / "statistics.zarr", fields))
    source = sources.load_source("gnssro")
    profiles = ReanalysisSampler(
        StateSeries([tmp_path / "states.zarr"]), statistics, equivalents.required_channels(source)
    )
    written = profiles.at(
        np.array([0.0, 40.0]), np.array([10.0, 100.0]), np.array([tiny.START] * 2)
    )
    seen = equivalents.simulate_equivalents(
        equivalents.equivalent_operator(source), written, np.full(2, np.nan)
    )
    heights = torch.tensor([channel.height for channel in source.channels])
    expected = radio_occultation.refractivity_from_state(
        written.state, written.channels, written.latitude, heights
    ).numpy()
    np.testing.assert_array_equal(seen, expected)
    assert 0 < np.isfinite(seen).sum() < seen.size  # the state ends at 50 hPa


def test_a_sounder_sees_what_its_operator_gives(reanalysis):
    seen_values = reanalysis.at(
        np.array([0.0, 40.0]), np.array([10.0, 100.0]), np.array([tiny.START] * 2)
    )
    zenith = np.array([0.0, 50.0])
    seen = equivalents.simulate_equivalents(
        equivalents.equivalent_operator(ATMS), seen_values, zenith
    )
    with torch.inference_mode():
        expected = brightness_temperatures_from_state(
            MicrowaveOperator.for_instrument("atms"),
            seen_values.state,
            seen_values.channels,
            seen_values.surface_geopotential,
            seen_values.land_fraction,
            seen_values.latitude,
            torch.tensor(zenith, dtype=torch.float32),
        ).numpy()
    np.testing.assert_array_equal(seen, expected)
    fewer = ATMS.model_copy(update={"channels": ATMS.channels[:3]})
    with pytest.raises(ValueError, match="has channels 1, 2, 3, the operator of atms 1, 2, 3, 4"):
        equivalents.equivalent_operator(fewer)


def test_errors_are_found_again():
    """Bias by surface and position and correlated noise; errors put on depart as the first did."""
    random = np.random.default_rng(0)
    n = 40_000
    land, position = random.integers(0, 2, n).astype(float), random.integers(1, 5, n)
    factor = np.array([[1.0, 0.0], [1.2, 0.5]])
    made = random.standard_normal((n, 2)) @ factor.T + np.where(
        land[:, None] > 0.5, [2.0, -1.0], [0.5, 0.0]
    )
    made[:, 0] += np.array([0, -0.3, -0.1, 0.1, 0.3])[position]
    made[::7, 1] = np.nan
    made[5] = 500.0  # a failure
    result = errors.estimate_errors(["a", "b"], made.astype(np.float32), land, position)
    np.testing.assert_allclose(result.bias, [[0.5, 0.0], [2.0, -1.0]], atol=0.05)
    np.testing.assert_allclose(result.scan[:, 0], [0, -0.3, -0.1, 0.1, 0.3], atol=0.05)
    np.testing.assert_allclose(result.scan[:, 1], 0, atol=0.05)
    covariance = result.factor @ result.factor.transpose(0, 2, 1)
    # positions' bias, of variance 0.05, is among the noise
    np.testing.assert_allclose(
        covariance, [factor @ factor.T + [[0.05, 0], [0, 0]]] * 2, rtol=0.05, atol=0.03
    )
    put = result.put_on(
        np.full((n, 2), 250, np.float32), land, position, [False, False], np.random.default_rng(1)
    )
    again = errors.estimate_errors(["a", "b"], put - 250, land, position)
    np.testing.assert_allclose(again.bias, result.bias, atol=0.05)
    np.testing.assert_allclose(again.scan, result.scan, atol=0.05)


def test_a_logarithmic_channel_errs_by_its_logarithm():
    result = errors.ObservationErrors(
        ["n"], np.full((2, 1), 0.01), np.zeros((1, 1)), np.full((2, 1, 1), 0.02), 9
    )
    values = np.full((20_000, 1), 300, np.float32)
    put = result.put_on(
        values, np.zeros(len(values)), np.zeros(len(values), int), [True], np.random.default_rng(0)
    )
    ratio = np.log(put / 300)
    assert ratio.mean() == pytest.approx(0.01, abs=5e-4)
    assert ratio.std() == pytest.approx(0.02, rel=0.05)
    assert errors.scaled_departures(put, values, [True]) == pytest.approx(ratio, abs=1e-6)


def test_channels_without_departures_are_not_simulated(tmp_path):
    made = np.random.default_rng(0).normal(size=(99, 2)).astype(np.float32)
    made[:, 1] = np.nan
    result = errors.estimate_errors(["a", "b"], made, np.zeros(99), np.zeros(99, int))
    result.write(tmp_path / "errors.zarr")
    result = errors.ObservationErrors.read(tmp_path / "errors.zarr")
    put = result.put_on(
        np.full((9, 2), 250, np.float32),
        np.zeros(9),
        np.zeros(9, int),
        [False] * 2,
        np.random.default_rng(0),
    )
    assert np.isfinite(put[:, 0]).all()
    assert np.isnan(put[:, 1]).all()
    with pytest.raises(ValueError, match="no departures"):
        errors.estimate_errors(["a", "b"], made * np.nan, np.zeros(99), np.zeros(99, int))


def footprints(path, days, hours=range(24), start="2022-01-01", source=ATMS):
    """A table of one footprint an hour; its latitude is the day, its longitude the hour."""
    time = [
        np.datetime64(start, "m") + np.timedelta64(24 * d + h, "h") + np.timedelta64(20, "m")
        for d in range(days)
        for h in hours
    ]
    n = len(time)
    columns = {
        "time": np.array(time, "datetime64[ns]"),
        "lat": np.repeat(np.arange(days), len(hours)).astype(float),
        "lon": np.tile(list(hours), days).astype(float),
        "zenith": np.full(n, 30.0),
        "azimuth": np.zeros(n),
        "scan_position": np.ones(n, np.int16),
        "rejected": np.zeros(n, np.uint8),
    }
    values = np.full((n, len(source.channels)), 250, np.float32)
    values[::5, 0] = np.nan
    with footprint_table.FootprintWriter(path, source.channel_names) as writer:
        writer.write(
            footprint_table.build_footprints(
                source.channel_names, values, columns, source.platforms[0].name, "f"
            )
        )
    return path


def test_a_day_copies_the_same_date_of_the_template_or_its_days_in_turn(tmp_path):
    template = geometry.Template(
        [footprints(tmp_path / "2022-01.parquet", 10)], date(2022, 1, 2), date(2022, 1, 9)
    )
    assert template.like(date(2019, 1, 5)) == date(2022, 1, 5)
    assert [template.like(date(2021, 6, d)) for d in (1, 2, 9)] == [
        date(2022, 1, d) for d in (3, 4, 3)
    ]
    (result,) = template.copied(date(2019, 1, 5))
    assert result.platform == "NOAA-20"
    assert len(result) == 24
    assert (result.lat == 4).all()
    assert result.time[0] == np.datetime64("2019-01-05T00:20")
    assert result.missing.sum() == result.missing[:, 0].sum() > 0
    with pytest.raises(KeyError, match="2022-01-02 to 2022-01-09"):
        template.read(date(2022, 1, 1))


def test_hours_are_drawn_from_days_of_the_template(tmp_path):
    template = geometry.Template(
        [footprints(tmp_path / "2022-01.parquet", 10)], date(2022, 1, 2), date(2022, 1, 9)
    )
    parts = list(template.drawn(date(2019, 7, 1), np.random.default_rng(0)))
    time = np.sort(np.concatenate([part.time for part in parts]))
    assert (
        time == np.datetime64("2019-07-01T00:20") + np.arange(24) * np.timedelta64(1, "h")
    ).all()
    days = np.unique(np.concatenate([part.lat for part in parts]))
    assert 2 < len(days) <= 8
    assert set(days) <= set(range(1, 9))
    hours = [(part.time - np.datetime64("2019-07-01")) // np.timedelta64(1, "h") for part in parts]
    assert all((part.lon == hour).all() for part, hour in zip(parts, hours, strict=True))


def test_orbits_are_thinned_swaths():
    (result,) = geometry.orbit_places(ATMS, date(2022, 1, 3), (200, 12))
    assert len(result) == pytest.approx(8 * 162, abs=8)
    assert result.time.min() >= np.datetime64("2022-01-03")
    assert set(result.scan_position) == set(range(1, 9))
    assert result.missing.shape == (len(result), 22)
    assert not result.missing.any()


def test_observations_lack_what_real_ones_lack_and_know_their_origin(reanalysis, tmp_path):
    template = geometry.Template(
        [footprints(tmp_path / "2022-01.parquet", 10)], date(2022, 1, 1), date(2022, 1, 9)
    )
    clean = errors.ObservationErrors(
        NAMES, np.zeros((2, 22)), np.zeros((1, 22)), np.zeros((2, 22, 22)), 1
    )
    day, operator = date(2022, 1, 2), equivalents.equivalent_operator(ATMS)
    (places,) = observations.places_of_day(
        ATMS, "template", template, day, (1, 1), np.random.default_rng(0)
    )
    result, left = observations.simulate_footprints(
        ATMS, operator, reanalysis, clean, places, np.random.default_rng(0)
    )
    assert (left, len(result)) == (
        24,
        0,
    )  # the record ends at 00 UTC of that day, and the first is at 00:20
    (places,) = observations.places_of_day(
        ATMS, "template", template, date(2022, 1, 1), (1, 1), np.random.default_rng(0)
    )
    result, left = observations.simulate_footprints(
        ATMS, operator, reanalysis, clean, places, np.random.default_rng(0)
    )
    assert left == 0
    values = footprint_table.values_of(result)
    np.testing.assert_array_equal(np.isfinite(values), ~places.missing)
    expected = equivalents.simulate_equivalents(
        operator, reanalysis.at(places.lat, places.lon, places.time), places.zenith
    )
    np.testing.assert_allclose(values[~places.missing], expected[~places.missing], rtol=1e-6)
    assert set(result["file"].to_pylist()) == {"simulated"}
    with pytest.raises(ValueError, match="known: template, drawn, orbits"):
        list(
            observations.places_of_day(
                ATMS, "copied", template, day, (1, 1), np.random.default_rng(0)
            )
        )
