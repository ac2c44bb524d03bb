"""Simulated observations: interpolation, errors, granules, and the files that satpy reads back."""

from datetime import date, datetime

import h5py
import numpy as np
import pytest
import torch

from fuxiflow.config import sources
from fuxiflow.config import world as settings
from fuxiflow.config.base import Period
from fuxiflow.grids import Grid
from fuxiflow.observations.orbits import swath
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.world import swaths
from fuxiflow.world.truth import Truth
from fuxiflow.world.writers import atms_sdr
from tests.support.world_truth import write_truth

SOURCE = sources.load_source("noaa20_atms")
NOAA_20 = SOURCE.flown[0]
OPTIONS = settings.ObservedSwaths(scan_stride=96, field_of_view_stride=24)
NOISE = np.array(SOURCE.noise)


@pytest.fixture(scope="module")
def operator():
    return MicrowaveOperator.for_instrument("atms")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_truth(tmp_path_factory.mktemp("truth") / "2022-07.zarr", datetime(2022, 7, 1), 9)


@pytest.fixture
def truth(store):
    return swaths.TruthWindows(Truth([store]))


def observe(
    operator, truth, day=date(2022, 7, 1), options=OPTIONS, seed=3, minutes=180, platform=NOAA_20
):
    return list(
        swaths.observe_swaths(SOURCE, platform, operator, truth, day, options, minutes, seed)
    )


def test_interpolation_is_exact_for_linear_fields():
    grid = Grid(19, 36, poles=True)
    lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
    fields = np.stack(
        [np.stack([lat + t, np.where(lon > 180, lon - 360, lon) + 2 * t], -1) for t in range(2)]
    )
    times = np.array(["2022-07-01T00", "2022-07-01T06"], "datetime64[ns]")
    window = swaths.TruthWindow(times, grid, torch.from_numpy(fields.astype(np.float32)))
    rng = np.random.default_rng(0)
    where, along = rng.uniform(-89.9, 89.9, 50), rng.uniform(-169, 169, 50)
    when = times[0] + (rng.uniform(0, 1, 50) * 6 * 3600e9).astype("timedelta64[ns]")
    result = window.at(where, along, when).numpy()
    part = (when - times[0]) / np.timedelta64(6, "h")
    np.testing.assert_allclose(result[:, 0], where + part, atol=1e-3)
    np.testing.assert_allclose(result[:, 1], along + 2 * part, atol=1e-3)


def test_interpolation_reaches_poles_and_date_line_and_refuses_other_times(truth):
    window = truth.window(datetime(2022, 7, 1), datetime(2022, 7, 1, 12))
    edges = np.array(["2022-07-01T00", "2022-07-01T12"], "datetime64[ns]")
    values = window.at(np.array([90.0, -90.0]), np.array([359.99, -180.0]), edges)
    assert torch.isfinite(values).all()
    with pytest.raises(ValueError, match="outside the fields"):
        window.at(np.zeros(1), np.zeros(1), edges[1:] + np.timedelta64(1, "s"))


def test_windows_name_a_missing_time(truth):
    with pytest.raises(KeyError, match="2022-07-03 06:00:00"):
        truth.window(datetime(2022, 7, 3), datetime(2022, 7, 3, 12))


def test_windows_read_each_time_once(truth, monkeypatch):
    reads = []
    read = truth.truth.read
    monkeypatch.setattr(
        truth.truth, "read", lambda time, names: reads.append(time) or read(time, names)
    )
    truth.window(datetime(2022, 7, 1), datetime(2022, 7, 2))
    truth.window(datetime(2022, 7, 2), datetime(2022, 7, 3))
    assert len(reads) == len(set(reads)) == 9


def test_observations_repeat_and_do_not_depend_on_order(operator, store, truth):
    first = observe(operator, truth, date(2022, 7, 2))
    other = swaths.TruthWindows(Truth([store]))
    observe(operator, other, date(2022, 7, 1))
    again = observe(operator, other, date(2022, 7, 2))
    assert len(first) == 8
    for (view, tb), (view2, tb2) in zip(first, again, strict=True):
        np.testing.assert_array_equal(view.time, view2.time)
        np.testing.assert_allclose(tb, tb2, atol=1e-4)
    other_seed = observe(operator, truth, date(2022, 7, 2), seed=4)
    assert np.abs(other_seed[0][1] - first[0][1]).max() > 0.5


def test_errors_have_the_sizes_asked_for(operator, truth):
    quiet = observe(operator, truth, options=OPTIONS.model_copy(update={"noise": 0.0}))
    loud = observe(operator, truth, options=OPTIONS.model_copy(update={"noise": 2.0}))
    noise = np.concatenate([b[1] - a[1] for a, b in zip(quiet, loud, strict=True)]).reshape(-1, 22)
    np.testing.assert_allclose(noise.std(axis=0), 2.0 * NOISE, rtol=0.1)
    assert np.abs(noise.mean(axis=0) / NOISE).max() < 0.25
    view = quiet[0][0]
    window = truth.window(datetime(2022, 7, 1), datetime(2022, 7, 2))
    clean = swaths.simulate_brightness(operator, window, view)
    expected = swaths.instrument_bias(SOURCE, NOAA_20, 3, view.scan_angle[0])
    np.testing.assert_allclose(
        quiet[0][1] - clean, np.broadcast_to(expected, clean.shape), atol=1e-3
    )


def test_bias_is_fixed_and_of_order_tenths_of_a_kelvin():
    angle = np.linspace(-52.725, 52.725, 96)
    bias = swaths.instrument_bias(SOURCE, NOAA_20, 1, angle)
    np.testing.assert_array_equal(bias, swaths.instrument_bias(SOURCE, NOAA_20, 1, angle))
    assert 0.2 < bias.std() < 1.0
    assert np.abs(bias).max() < 2.5
    # the parabola and the slope add nothing to a channel's mean over the scan but the sampling of
    # it
    assert np.abs(bias.mean(axis=0) - bias[47:49].mean(axis=0)).max() < 0.7
    assert np.abs(swaths.instrument_bias(SOURCE, NOAA_20, 2, angle) - bias).max() > 0.1


def test_brightness_is_plausible_and_follows_the_temperature(operator, truth):
    granules = observe(operator, truth, options=OPTIONS.model_copy(update={"noise": 0.0}))
    lat = np.concatenate([view.lat.ravel() for view, _ in granules])
    tb = np.concatenate([tb.reshape(-1, 22) for _, tb in granules])
    assert (tb > 100).all()
    assert (tb < 310).all()
    channel = 5
    assert tb[np.abs(lat) < 20, channel].mean() > tb[np.abs(lat) > 60, channel].mean() + 5


def test_platforms_of_a_source_err_each_in_its_own_way(operator, truth):
    second = NOAA_20.model_copy(update={"name": "NOAA-21"})
    angle = np.linspace(-50, 50, 4)
    assert (
        np.abs(
            swaths.instrument_bias(SOURCE, second, 1, angle)
            - swaths.instrument_bias(SOURCE, NOAA_20, 1, angle)
        ).max()
        > 0.1
    )
    one, other = observe(operator, truth), observe(operator, truth, platform=second)
    np.testing.assert_array_equal(one[0][0].lat, other[0][0].lat)
    assert np.abs(one[0][1] - other[0][1]).mean() > 0.2


def test_outages_and_the_end_of_the_truth_leave_scans_out(operator, truth):
    outage = OPTIONS.model_copy(
        update={"outages": [Period(start=date(2022, 7, 1), end=date(2022, 7, 1))]}
    )
    assert observe(operator, truth, options=outage) == []
    assert observe(operator, truth, date(2022, 7, 2), options=outage) != []
    # the store ends at 00 UTC of 3 July
    assert observe(operator, truth, date(2022, 7, 3)) == []


def test_granules_tile_the_day():
    day = np.datetime64("2022-07-01"), np.datetime64("2022-07-02")
    view = swath(NOAA_20.name, NOAA_20.orbit, "atms", *day, 96, 24)
    parts = list(swaths.split_granules(view, 60))
    assert len(parts) == 24
    np.testing.assert_array_equal(np.concatenate([part.scan for _, part in parts]), view.scan)
    assert all(minute % 60 == 0 for minute, _ in parts)


@pytest.fixture
def granule(operator, truth):
    return observe(operator, truth)[1]


def test_satpy_reads_what_is_written(tmp_path, granule):
    from satpy import Scene

    view, tb = granule
    tb[2, 1, 4] = np.nan
    paths = atms_sdr.write_atms_granule(
        tmp_path, view, tb, NOISE, "NOAA-20", NOAA_20.orbit.revolutions_per_day
    )
    names = [channel.name for channel in SOURCE.channels]
    scene = Scene(reader="atms_sdr_hdf5", filenames=[str(path) for path in paths])
    scene.load([*names, "sat_zen", "sol_zen"])
    written = np.stack([scene[name].values for name in names], axis=-1)
    assert np.isnan(written[2, 1, 4])
    np.testing.assert_allclose(written, tb, atol=0.0031)
    np.testing.assert_allclose(scene["sat_zen"].values, view.zenith, atol=1e-4)
    lon, lat = scene["1"].attrs["area"].get_lonlats()
    np.testing.assert_allclose(np.asarray(lat), view.lat, atol=1e-4)
    np.testing.assert_allclose(np.asarray(lon), view.lon, atol=1e-4)
    assert scene["1"].attrs["platform_name"] == "NOAA-20"


def test_file_names_and_labels(tmp_path, granule):
    view, tb = granule
    paths = atms_sdr.write_atms_granule(
        tmp_path, view, tb, NOISE, "NOAA-20", NOAA_20.orbit.revolutions_per_day
    )
    assert [path.name[:5] for path in paths] == ["SATMS", "GATMO"]
    assert paths[0].name[5:] == paths[1].name[5:]
    assert paths[0].name.startswith("SATMS_j01_d20220701_t03")
    again = atms_sdr.write_atms_granule(
        tmp_path, view, tb, NOISE, "NOAA-20", NOAA_20.orbit.revolutions_per_day
    )
    assert again == paths
    with h5py.File(paths[0]) as file:
        assert file.attrs["N_Dataset_Source"][0, 0] == b"fuxiflow embedded world"
        assert file["All_Data/ATMS-SDR_All/BeamTime"].shape == view.lat.shape


def test_epoch_time_counts_leap_seconds():
    # 2017-01-01 00 UTC is 59 years and 37 s after the epoch: 21550 days
    time = np.array(["2017-01-01", "2016-12-31T23:59:59"], "datetime64[us]")
    np.testing.assert_array_equal(
        atms_sdr.iet(time), [(21550 * 86400 + 37) * 10**6, (21550 * 86400 - 1 + 36) * 10**6]
    )
    with pytest.raises(ValueError, match="before 2009"):
        atms_sdr.iet(np.array(["2001-01-01"], "datetime64[us]"))


def test_counts_round_trip_and_mark_what_is_missing():
    tb = np.array([0.0, 250.0, 393.1, np.nan])
    assert atms_sdr.brightness_counts(tb)[3] == atms_sdr.MISSING
    np.testing.assert_allclose(
        atms_sdr.brightness_counts(tb)[:3] * atms_sdr.SCALE, tb[:3], atol=0.0031
    )


def test_wrong_shapes_and_platforms_are_refused(tmp_path, granule):
    view, tb = granule
    with pytest.raises(KeyError, match="known: NOAA-20"):
        atms_sdr.write_atms_granule(tmp_path, view, tb, NOISE, "Aqua", 14.57)
    with pytest.raises(ValueError, match="do not fit"):
        atms_sdr.write_atms_granule(tmp_path, view, tb[:, :2], NOISE, "NOAA-20", 14.2)
    assert list(tmp_path.iterdir()) == []


def test_radiances_of_another_operator(operator, store, truth):
    view = observe(operator, truth)[0][0]
    window = truth.window(datetime(2022, 7, 1), datetime(2022, 7, 2))
    clean = swaths.simulate_brightness(operator, window, view)
    changes = settings.Radiances(
        absorption="R20", rough_sea=True, land_emissivity=0.9, cloud_water=0.03
    )
    assert swaths.seen_variables(settings.Radiances()) == swaths.COLUMN
    windows = swaths.TruthWindows(Truth([store]), swaths.seen_variables(changes))
    window = windows.window(datetime(2022, 7, 1), datetime(2022, 7, 2))
    # the wind is there, and not looked at
    np.testing.assert_array_equal(swaths.simulate_brightness(operator, window, view), clean)
    for change in (
        {"rough_sea": True},
        {"land_emissivity": 0.9},
        {"sea_ice_emissivity": 0.8},
    ):
        one = settings.Radiances(**change)
        difference = swaths.simulate_brightness(operator, window, view, one) - clean
        # the surface is seen in windows, and not at 55 GHz and above
        assert np.abs(difference[..., :4]).max() > 0.2
        assert np.abs(difference[..., 9:15]).max() < 1e-3
    other = swaths.swath_operator(SOURCE, changes)
    spectroscopy = swaths.simulate_brightness(other, window, view) - clean
    assert 0.02 < np.abs(spectroscopy[..., 4:9]).max() < 2.0


def test_correlated_errors_come_with_their_size(operator, truth):
    quiet = OPTIONS.model_copy(update={"noise": 0.0})
    correlated = settings.Radiances(representativeness=2.0)
    errors = [
        (b[1] - a[1]) / NOISE
        for a, b in zip(
            observe(operator, truth, options=quiet),
            swaths.observe_swaths(
                SOURCE, NOAA_20, operator, truth, date(2022, 7, 1), quiet, 180, 3, correlated
            ),
            strict=True,
        )
    ]
    values = np.concatenate([part.reshape(-1, 22) for part in errors])
    assert values.std() == pytest.approx(2.0, rel=0.25)
    # channels have half of it in common
    assert np.corrcoef(values.T)[np.triu_indices(22, 1)].mean() == pytest.approx(0.5, abs=0.2)
