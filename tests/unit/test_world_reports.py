"""Reports of networks: written as BUFR, read back by the readers, compared with the truth."""

from datetime import date, datetime

import numpy as np
import pytest

from fuxiflow import physics
from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.config import sources
from fuxiflow.config import world as settings
from fuxiflow.interpolation import bilinear
from fuxiflow.observations import footprint_table, readers
from fuxiflow.world import networks, reports
from fuxiflow.world.truth import Truth
from fuxiflow.world.writers import report_bufr
from fuxiflow.world.writers.report_files import write_reports
from tests.support.world_truth import write_truth

DAY = date(2022, 7, 1)
OPTIONS = {"stations": 60, "interval_hours": 6, "missing": 0.0, "noise": 0.0}
LAND, SEA, SONDES = (
    sources.load_source(name) for name in ("land_stations", "ships_buoys", "radiosondes")
)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return Truth(
        [write_truth(tmp_path_factory.mktemp("truth") / "2022-07.zarr", datetime(2022, 7, 1), 9)]
    )


def written(source, truth, seed=3, day=DAY, **changes):
    """The network and the reports of a day, time by time."""
    interval = {"interval_hours": 12 if source is SONDES else 6}
    options = settings.ObservedNetwork(**OPTIONS | interval | changes)
    members = networks.place_network(source, truth, options, seed)
    return members, list(
        networks.report_day(
            source, members, networks.report_windows(truth, source), day, options, seed
        )
    )


def read_back(source, made, folder):
    """The used reports of those made, as a table and its values, through their file."""
    raw = folder / source.name
    raw.mkdir()
    write_reports(raw, source, DAY, made)
    (path,) = raw.iterdir()
    granules = list(
        readers.read(source.reader, [path], source.platform_names, source.channel_names)
    )
    assert all(granule.footprints is not None for granule in granules), granules
    result = granules[0].footprints
    assert len(granules) == 1
    assert not footprint_table.column_values(result, "rejected").any()
    assert len(result) == sum(len(one.members) for one in made)
    return result, footprint_table.values_of(result)


def truth_at(source, truth, seen_values):
    """The truth at the surface where and when reports are from."""
    lat, lon, time = (
        footprint_table.column_values(seen_values, name) for name in ("lat", "lon", "time")
    )
    window = networks.report_windows(truth, source).window(
        datetime(2022, 7, 1), datetime(2022, 7, 2)
    )
    return window, reports.surface_truth(
        window, lat.astype(float), lon.astype(float), time.astype("datetime64[ns]")
    )


def assert_near(values, names, expected, tolerances):
    for name, tolerance in tolerances.items():
        result = values[:, names.index(name)]
        np.testing.assert_allclose(result, expected[name], atol=tolerance, err_msg=name)


def test_land_stations_report_the_truth_to_the_rounding_of_their_template(truth, tmp_path):
    _, made = written(LAND, truth)
    result, values = read_back(LAND, made, tmp_path)
    _, expected = truth_at(LAND, truth, result)
    # wind: a tenth of a m/s and a degree of 20 m/s
    assert_near(
        values,
        LAND.channel_names,
        expected,
        {"T2M": 0.006, "R2M": 0.2, "U10": 0.25, "V10": 0.25, "PS": 6.0, "MSL": 6.0},
    )
    hours = np.unique(
        footprint_table.column_values(result, "time").astype("datetime64[h]").astype(int) % 24
    )
    assert hours.tolist() == [0, 6, 12, 18]


def test_ships_and_buoys_report_the_truth(truth, tmp_path):
    members, made = written(SEA, truth, stations=20)
    result, values = read_back(SEA, made, tmp_path)
    _, expected = truth_at(SEA, truth, result)
    assert_near(
        values,
        SEA.channel_names,
        expected,
        {"T2M": 0.01, "U10": 0.25, "V10": 0.25, "PS": 7.0, "MSL": 7.0, "SST": 0.01},
    )
    platforms = np.array(result["platform"].to_pylist())
    assert set(platforms) == {"ship", "buoy"}
    humid = np.isfinite(values[:, SEA.channel_names.index("R2M")])
    np.testing.assert_array_equal(humid, platforms == "ship")
    assert set(result["station"].to_pylist()) == set(members.identifier)


def test_radiosondes_report_the_truth_above_their_ground(truth, tmp_path):
    members, made = written(SONDES, truth, stations=20)
    result, values = read_back(SONDES, made, tmp_path)
    window, _ = truth_at(LAND, truth, result)
    window = networks.report_windows(truth, SONDES).window(
        datetime(2022, 7, 1), datetime(2022, 7, 2)
    )
    place = [footprint_table.column_values(result, name).astype(float) for name in ("lat", "lon")]
    here = window.values(
        *place, footprint_table.column_values(result, "time").astype("datetime64[ns]")
    )
    tolerance = {"Z": 6.0, "T": 0.01, "U": 0.6, "V": 0.6}  # wind: half a degree of 50 m/s
    for i, name in enumerate(SONDES.channel_names):
        variable, level = name[0], int(name[1:])
        above = level < here["surface_pressure"] - 2.0
        assert np.isfinite(values[above, i]).all(), name
        assert np.isnan(values[level > here["surface_pressure"] + 1.0, i]).all(), name
        if variable in tolerance:
            np.testing.assert_allclose(
                values[above, i], here[name][above], atol=tolerance[variable], err_msg=name
            )
        else:
            moisture = physics.relative_humidity(
                np.exp(here[f"log_q{level}"]), here[f"T{level}"], float(level)
            )
            ice = 100 * physics.saturation_over_water(here[f"T{level}"])
            ice /= physics.saturation_vapour_pressure(here[f"T{level}"])
            expected = np.clip(moisture, reports.LEAST_HUMIDITY, ice)
            np.testing.assert_allclose(
                values[above, i], expected[above], rtol=2e-3, atol=0.1, err_msg=name
            )
    minutes = (
        footprint_table.column_values(result, "time").astype("datetime64[m]").astype(int) % 720
    )
    assert ((minutes >= 675) & (minutes < 705)).all()
    assert (members.height > 100).any()


def test_errors_have_the_sizes_that_the_source_says(truth, tmp_path):
    _, made = written(LAND, truth, stations=150, noise=1.0, interval_hours=1)
    result, values = read_back(LAND, made, tmp_path)
    _, expected = truth_at(LAND, truth, result)
    station = np.array(result["station"].to_pylist())
    for name in ("T2M", "U10", "PS", "MSL"):
        i = LAND.channel_names.index(name)
        error = (values[:, i] - expected[name]) / LAND.noise[i]
        assert abs(error.std() - 1.0) < 0.15, name
        means = np.array([error[station == one].mean() for one in np.unique(station)])
        assert abs(means.var() - reports.OWN) < 0.15, name
    np.testing.assert_allclose(
        (values[:, 4] - expected["PS"]) - (values[:, 5] - expected["MSL"]), 0.0, atol=12.0
    )
    assert (values[:, 1] > 0).all()
    _, made = written(SONDES, truth, stations=60, noise=1.0)
    result, values = read_back(SONDES, made, tmp_path)
    window = networks.report_windows(truth, SONDES).window(
        datetime(2022, 7, 1), datetime(2022, 7, 2)
    )
    place = [footprint_table.column_values(result, name).astype(float) for name in ("lat", "lon")]
    here = window.values(
        *place, footprint_table.column_values(result, "time").astype("datetime64[ns]")
    )
    for name in ("T500", "U300", "Z200"):
        i = SONDES.channel_names.index(name)
        assert abs(((values[:, i] - here[name]) / SONDES.noise[i]).std() - 1.0) < 0.25, name


def test_bytes_repeat_and_depend_on_seed_and_time_alone(truth):
    def contents(**changes):
        return [report_bufr.encode_reports(one) for one in written(SEA, truth, **changes)[1]]

    first, second = (contents(day=day) for day in (DAY, date(2022, 7, 2)))
    assert contents(day=date(2022, 7, 2)) == second != first
    assert contents(seed=4) != first


def test_missing_reports_outages_and_periods(truth):
    complete, some = (
        sum(len(one.members) for one in written(LAND, truth, missing=missing)[1])
        for missing in (0.0, 0.3)
    )
    assert 0.5 * complete < some < 0.9 * complete
    assert not written(LAND, truth, outages=[{"start": "2022-07-01", "end": "2022-07-01"}])[1]
    assert not written(LAND, truth, start="2022-07-02")[1]
    # the store ends at 00 UTC of 3 July
    assert not written(LAND, truth, day=date(2022, 7, 3))[1]


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({}, True),
        ({"start": "2022-07-02"}, False),
        ({"start": "2022-07-01"}, True),
        ({"end": "2022-06-30"}, False),
        ({"start": None, "end": "2022-07-01"}, True),
        ({"outages": [{"start": "2022-06-30", "end": "2022-07-01"}]}, False),
        ({"outages": [{"start": "2022-07-02", "end": "2022-07-03"}]}, True),
    ],
)
def test_when_a_source_observes(options, seen):
    assert settings.Observing(**options).observes(DAY) == seen


def test_land_networks_stand_on_land_where_people_live(truth):
    land = truth.static("land_fraction")
    members = networks.place_network(
        LAND, truth, settings.ObservedNetwork(**OPTIONS | {"stations": 400}), 1
    )
    assert (bilinear(land, truth.grid, members.lat, members.lon) > 0.49).all()
    assert len(np.unique(members.number)) == len(members)
    assert (np.diff(members.number) > 0).all()
    assert members.number.max() < 99_000
    share = {}
    for low, high in ((-90, -60), (30, 60)):
        area = np.sin(np.radians(high)) - np.sin(np.radians(low))
        share[low] = ((members.lat > low) & (members.lat < high)).sum() / area
    assert share[30] > 2.0 * share[-90]
    again = networks.place_network(
        LAND, truth, settings.ObservedNetwork(**OPTIONS | {"stations": 400}), 1
    )
    np.testing.assert_array_equal(members.lat, again.lat)
    assert not np.array_equal(
        networks.place_network(LAND, truth, settings.ObservedNetwork(**OPTIONS), 2).lat[:10],
        members.lat[:10],
    )


def test_ships_stay_at_sea_and_sail_no_faster_than_ships(truth):
    members = networks.place_network(
        SEA, truth, settings.ObservedNetwork(**OPTIONS | {"stations": 30}), 1
    )
    time = np.datetime64("2022-07-01T00:00", "ns") + np.arange(0, 24 * 60, 6).astype(
        "timedelta64[h]"
    )
    lat, lon = members.at(time)
    land = truth.static("land_fraction")
    assert (bilinear(land, truth.grid, lat, lon) < 0.5).all()
    speed = physics.great_circle(lat[1:], lon[1:], lat[:-1], lon[:-1]) * 1000.0 / (6 * 3600.0)
    assert speed.max() < 12.0
    assert speed[:, members.buoy].max() < 1.0
    assert members.buoy.any()
    assert not members.buoy.all()


def test_a_field_at_points_is_bilinear(truth):
    lat, lon = np.meshgrid(truth.grid.lat, truth.grid.lon, indexing="ij")
    where, along = np.array([12.3, -88.0]), np.array([20.0, 341.7])
    np.testing.assert_allclose(
        bilinear(2.0 * lat, truth.grid, where, along), 2.0 * where, atol=1e-9
    )
    inner = np.where(lon > 345, 0, lon)
    np.testing.assert_allclose(
        bilinear(inner, truth.grid, where, along - 8.0), along - 8.0, atol=1e-9
    )


def test_wind_as_reported_comes_from_where_it_blows():
    direction, speed = reports.reported_wind(
        np.array([0.0, 5.0, 0.0, -3.0, 0.01]), np.array([-5.0, 0.0, 5.0, 3.0, 0.0])
    )
    assert direction.tolist() == [360.0, 270.0, 180.0, 135.0, 0.0]
    assert speed.tolist() == [5.0, 5.0, 5.0, 4.2, 0.0]


def test_dew_point_is_the_inverse_of_what_readers_compute():
    temperature = np.array([300.0, 273.16, 250.0, 220.0])
    dew = reports.dew_point(np.array([50.0, 80.0, 40.0, 30.0]), temperature)
    np.testing.assert_allclose(
        physics.relative_humidity_of_dew_point(dew, temperature),
        [50.0, 80.0, 40.0, 30.0],
        rtol=1e-9,
    )
    assert reports.dew_point(np.array([130.0]), np.array([290.0]))[0] == 290.0


def test_bulletins_say_that_nobody_observed_this(truth):
    _, made = written(LAND, truth)
    assert report_bufr.encode_reports(made[1]).startswith(b"ISMC01 FUXI 010600\r\r\nBUFR")
    assert report_bufr.SYNOP == 307080
    assert len(PRESSURE_LEVELS) == 13
