"""NNJA-AI's Parquet files: sounders, stations and radiosondes of miniatures with all columns."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fuxiflow.archive import nnja_ai as download
from fuxiflow.config import sources
from fuxiflow.observations import footprint_table, ingest, quality, readers
from fuxiflow.observations.footprint_table import column_values
from fuxiflow.observations.orbits import swath
from fuxiflow.observations.readers import nnja_ai, nnja_columns, nnja_reports
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.physics import relative_humidity_of_dew_point, wind_components
from fuxiflow.world.writers.atovs_bufr import write_atovs_granule
from fuxiflow.world.writers.nnja_parquet import MISSING_IN_LEVELS as MISSING
from fuxiflow.world.writers.nnja_parquet import common_columns
from tests.support import nnja_ai_files

AMSUA = [str(i) for i in range(1, 16)]
PLATFORMS = ["NOAA-18", "NOAA-15", "Metop-B"]
STATIONS = ["T2M", "R2M", "U10", "V10", "PS", "MSL"]


def write(folder, table, message="NC021023", day="20220701"):
    path = folder / f"gdas.{day}.{message}.parquet"
    path.write_bytes(nnja_ai_files.content(table))
    return path


def read(variant, *paths, platforms=PLATFORMS, channels=AMSUA):
    return list(readers.read(f"nnja_ai.{variant}", paths, platforms, channels))


def only(variant, path, **kwargs):
    (granule,) = read(variant, path, **kwargs)
    return granule


def codes(granule):
    return column_values(granule.footprints, "rejected").tolist()


def lost(granule):
    return {(value.channel, value.reason): value.count for value in granule.values}


def changed(table, name, rows, value):
    """A table with another value in some rows of a column."""
    column = table[name].to_pylist()
    for row in np.atleast_1d(rows):
        column[row] = value
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(column, table[name].type))


def test_footprints_of_a_sounder(tmp_path):
    table = nnja_ai_files.amsua()
    granule = only("amsua", write(tmp_path, table))
    footprints = granule.footprints
    assert len(footprints) == granule.count == 40 * 30
    assert set(codes(granule)) == {Reason.USED}
    assert footprints["platform"].unique().to_pylist() == ["NOAA-18"]
    for name, column in (("lat", "LAT"), ("lon", "LON"), ("zenith", "SAZA"), ("azimuth", "BEARAZ")):
        assert_allclose(column_values(footprints, name), table[column].to_numpy(), atol=2e-5)
    assert_array_equal(column_values(footprints, "scan_position"), table["FOVN"].to_numpy())
    times = table["OBS_TIMESTAMP"].cast(pa.timestamp("ns")).to_numpy()
    assert_array_equal(column_values(footprints, "time"), times)
    values = footprint_table.values_of(footprints)
    for i in range(15):
        expected = table[f"BRITCSTC.TMBR_{i + 1:05d}"].to_numpy().astype(np.float32)
        assert_array_equal(values[:, i], expected)


@pytest.mark.parametrize(
    ("satellite", "message"),
    [(206, ""), (207, ""), (209, nnja_ai.UNCORRECTED), (3, nnja_ai.UNCORRECTED)],
)
def test_antenna_temperatures_are_named(tmp_path, satellite, message):
    path = write(tmp_path, nnja_ai_files.amsua(satellite=satellite))
    granule = only("amsua", path, platforms=["NOAA-15", "NOAA-16", "NOAA-18", "Metop-B"])
    assert granule.message == message


def test_the_same_footprints_as_in_bufr(tmp_path):
    source = sources.load_source("amsua")
    platform = next(one for one in source.flown if one.name == "Metop-B")
    start = np.datetime64("2022-07-01T10:00", "ns")
    view = swath(platform.name, platform.orbit, "amsua", start, start + np.timedelta64(10, "m"))
    rng = np.random.default_rng(1)
    brightness = rng.uniform(180, 290, (*view.lat.shape, 15)).round(2)
    brightness[0, 0, 3] = np.nan
    bufr = write_atovs_granule(tmp_path, view, brightness, "amsua", platform.name)
    fields = np.broadcast_to(view.field_of_view[None] + 1.0, view.lat.shape)
    table = nnja_ai_files.sounder(
        "NC021023",
        view.time.ravel(),
        view.lat.ravel().round(5),
        view.lon.ravel().round(5),
        3,
        fields.ravel(),
        view.zenith.ravel().round(2),
        view.azimuth.ravel().round(2) % 360,
        {"TMBR": brightness.reshape(-1, 15)},
    )
    parquet = only("amsua", write(tmp_path, table), platforms=["Metop-B"]).footprints
    (of_bufr,) = readers.read("bufr_sounder.amsua", [bufr], ["Metop-B"], AMSUA)
    assert len(parquet) == len(of_bufr.footprints) == view.lat.size
    assert_array_equal(
        footprint_table.values_of(parquet), footprint_table.values_of(of_bufr.footprints)
    )
    for name in ("lat", "lon", "zenith", "azimuth", "scan_position", "rejected", "platform"):
        ours, theirs = (column_values(one, name) for one in (parquet, of_bufr.footprints))
        if name == "platform":
            assert ours.tolist() == theirs.tolist()
        else:
            assert_allclose(ours, theirs, atol=1e-5)
    apart = column_values(parquet, "time") - column_values(of_bufr.footprints, "time")
    assert np.abs(apart).max() <= np.timedelta64(1, "ms")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(3, 399, width=32) | st.just(np.nan), min_size=15, max_size=15),
    st.sampled_from([None, np.nan, MISSING]),
)
def test_values_come_through(tmp_path_factory, row, missing):
    table = nnja_ai_files.amsua(scans=1)
    for channel, value in enumerate(row):
        name = f"BRITCSTC.TMBR_{channel + 1:05d}"
        table = changed(table, name, 7, missing if np.isnan(value) else value)
    granule = only("amsua", write(tmp_path_factory.mktemp("a"), table))
    assert_array_equal(footprint_table.values_of(granule.footprints)[7], np.float32(row))
    assert not granule.values


def test_windows_across_midnight_have_both_days(tmp_path):
    before = write(tmp_path, nnja_ai_files.amsua("2022-07-01T23:30:00", scans=200))
    after = write(
        tmp_path, nnja_ai_files.amsua("2022-07-01T23:57:00", scans=400, seed=1), day="20220702"
    )
    # in any order of names, the day's footprints are those of their own times
    granules = read("amsua", after, before)
    assert [granule.file for granule in granules] == [before.name, after.name]
    times = np.concatenate([column_values(one.footprints, "time") for one in granules])
    late = (times >= np.datetime64("2022-07-01T23:30")) & (times < np.datetime64("2022-07-02"))
    assert late.sum() == (200 + 67) * 30
    assert set(codes(granules[1])) == {Reason.USED}


def test_a_time_that_is_far_from_the_day_is_no_time(tmp_path):
    table = nnja_ai_files.amsua()
    far = np.datetime64("2022-07-09T00:00").item()
    for row in (3, 4):
        table = changed(table, "OBS_TIMESTAMP", row, far.replace(tzinfo=None))
    table = changed(table, "OBS_TIMESTAMP", 5, None)
    granule = only("amsua", write(tmp_path, table))
    assert [row for row, code in enumerate(codes(granule)) if code == Reason.TIME] == [3, 4, 5]


def test_outliers_and_impossible_places(tmp_path):
    table = changed(nnja_ai_files.amsua(), "BRITCSTC.TMBR_00003", [10, 11], 999.0)
    table = changed(table, "LAT", 40, 60.0)
    table = changed(table, "SAZA", 50, 85.0)
    table = changed(table, "LAT", 60, MISSING)
    granule = only("amsua", write(tmp_path, table))
    assert lost(granule) == {("3", Reason.IMPOSSIBLE): 2}
    wrong = [row for row, code in enumerate(codes(granule)) if code == Reason.LOCATION]
    assert wrong == [40, 50, 60]


def test_a_duplicate_subset_counts_once(tmp_path):
    table = nnja_ai_files.amsua()
    table = pa.concat_tables([table, table.slice(100, 50)])
    footprints = only("amsua", write(tmp_path, table)).footprints
    assert set(column_values(footprints, "rejected")) == {Reason.USED}
    assert quality.duplicate_footprints(footprints).sum() == 50


def test_other_platforms_are_refused(tmp_path):
    granule = only("amsua", write(tmp_path, nnja_ai_files.amsua(satellite=784)))
    assert (granule.reason, granule.count) == (Reason.PLATFORM, 1200)
    assert granule.message == "platform Aqua, expected NOAA-18 or NOAA-15 or Metop-B"


@pytest.mark.parametrize("name", ["SAZA", "BRITCSTC.TMBR_00007", "OBS_TIMESTAMP"])
def test_a_column_that_lacks_is_named_with_its_file(tmp_path, name):
    path = write(tmp_path, nnja_ai_files.amsua().drop_columns(name))
    granule = only("amsua", path)
    assert (granule.file, granule.reason) == (path.name, Reason.UNREADABLE)
    assert granule.message.startswith(f"no column {name.rpartition('.')[2]}: ")
    with pytest.raises(ingest.NoUsableFileError, match=rf"{path.name}: no column"):
        ingest.ingest(
            tmp_path,
            "gdas.*.parquet",
            "nnja_ai.amsua",
            "nnja_amsua",
            PLATFORMS,
            AMSUA,
            np.datetime64("2022-07-01").item(),
            tmp_path / "table",
            ingest.logging.getLogger(),
        )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.UNREADABLE),
        (b"PAR1 and no more", Reason.UNREADABLE),
        (b"<html>log in</html>", Reason.UNREADABLE),
        (nnja_ai_files.content(nnja_ai_files.amsua().slice(0, 0)), Reason.EMPTY),
    ],
)
@pytest.mark.parametrize("variant", ["amsua", "synop", "radiosondes"])
def test_bad_files_are_refused(tmp_path, content, reason, variant):
    path = tmp_path / "gdas.20220701.NC000001.parquet"
    path.write_bytes(content)
    channels = {"amsua": AMSUA, "synop": STATIONS, "radiosondes": ["T500"]}[variant]
    (granule,) = read(variant, path, platforms=["land", "radiosonde"], channels=channels)
    assert granule.reason == reason
    assert granule.message


def test_a_file_that_is_cut_or_of_other_types(tmp_path):
    path = write(tmp_path, nnja_ai_files.amsua(scans=400))
    whole = path.read_bytes()
    path.write_bytes(whole[:3000] + bytes(20000) + whole[23000:])
    assert Reason.UNREADABLE in {granule.reason for granule in read("amsua", path)}
    table = nnja_ai_files.amsua()
    for name in ("SAID", "OBS_TIMESTAMP"):
        text = pa.array(["x"] * len(table))
        other = table.set_column(table.column_names.index(name), name, text)
        granule = only("amsua", write(tmp_path, other))
        assert granule.reason == Reason.UNREADABLE
        assert granule.message.startswith(f"column {name} is string")


def test_atms_has_both_temperatures_and_flags(tmp_path):
    count = 96 * 10
    scan, position = np.divmod(np.arange(count), 96)
    angle = 1.11 * (position - 47.5)
    from fuxiflow.observations.scan_geometry import zenith_at

    zenith = zenith_at(np.abs(angle))
    time = np.datetime64("2022-07-01T10:00", "ms") + (scan * 2667).astype("timedelta64[ms]")
    lon = 20 + np.sign(angle) * (zenith - np.abs(angle)) / np.cos(np.radians(10))
    rng = np.random.default_rng(0)
    antenna, brightness = rng.uniform(180, 290, (2, count, 22)).astype(np.float32)
    flag = np.zeros((count, 22))
    flag[5, 2] = 1 << (12 - 4)
    table = nnja_ai_files.sounder(
        "NC021203",
        time,
        10 + scan * 0.16,
        lon,
        225,
        position + 1,
        zenith,
        np.where(angle < 0, 280.0, 100.0),
        {"TMANT": antenna, "TMBR": brightness, "ATMSCHQ": flag},
    )
    scans = np.zeros(count)
    scans[7] = 1 << (20 - 14)
    table = table.append_column("ATMSSQ", pa.array(scans))
    path = write(tmp_path, table, "NC021203")
    granule = only("atms", path, platforms=["NOAA-20"], channels=["3", "antenna_3", "22"])
    values = footprint_table.values_of(granule.footprints)
    expected = np.stack([brightness[:, 2], antenna[:, 2], brightness[:, 21]], axis=1)
    expected[5, :2] = np.nan
    assert_array_equal(values, expected)
    assert lost(granule) == {("3", Reason.FLAGGED): 1, ("antenna_3", Reason.FLAGGED): 1}
    assert codes(granule)[7] == Reason.QUALITY
    assert granule.message == ""


def stations(message="NC000001", **columns):
    """Reports of five stations at one time, all good but for what ``columns`` say."""
    count = 5
    names = {
        "NC000001": {
            "temperature": "TMPSQ1.TMDB",
            "dew_point": "TMPSQ1.TMDP",
            "direction": "WNDSQ1.WDIR",
            "speed": "WNDSQ1.WSPD",
            "pressure": "PRSSQ1.PRES",
            "sea_level": "PRSSQ1.PMSL",
        },
        "NC000007": {
            "temperature": "MTRTMP.TMDB",
            "dew_point": "MTRTMP.TMDP",
            "direction": "MTRWND.WDIR",
            "speed": "MTRWND.WSPD",
        },
        "NC000101": {
            "temperature": "TEMHUMDA.TMDB",
            "humidity": "TEMHUMDA.REHU",
            "direction": "BSYWND1.WDIR",
            "speed": "BSYWND1.WSPD",
            "pressure": "PRESDATA.PRESSQ03.PRES",
        },
    }[message]
    usual = {
        "temperature": 285.0,
        "dew_point": 280.0,
        "humidity": 70.0,
        "direction": 90.0,
        "speed": 5.0,
        "pressure": 98_000.0,
        "sea_level": 101_300.0,
    }
    time = np.full(count, np.datetime64("2022-07-01T12:00"))
    table = common_columns(message, time, 50 + np.arange(count), np.arange(count))
    table |= {
        "SELV": pa.array([100.0] * count),
        "RPID": pa.array(["03953", "72295", "EGLL ", "SHIP", None]),
        "WMOB": pa.array([3.0, 72.0, None, None, None]),
        "WMOS": pa.array([953.0, 295.0, None, None, None]),
    }
    table |= {name: pa.array([usual[quantity]] * count) for quantity, name in names.items()}
    table |= {name: pa.array(column, pa.float64()) for name, column in columns.items()}
    return pa.table(table)


def test_the_pressure_of_metar_is_that_of_its_altimeter_setting(tmp_path):
    table = stations("NC000007", ALSE=[101_325.0] * 5, SELV=[0.0, 1000.0, None, 2000.0, -50.0])
    footprints = synop(tmp_path, table, "NC000007").footprints
    order = np.argsort(column_values(footprints, "lat"))
    pressure = footprint_table.values_of(footprints)[order, STATIONS.index("PS")]
    # of the standard atmosphere (ICAO Doc 7488)
    expected = [101_325.0, 89_874.6, np.nan, 79_495.2, 101_927.1]
    assert_allclose(pressure, expected, rtol=2e-5)
    heights = column_values(footprints, "height")[order]
    assert_allclose(heights, [0, 1000, np.nan, 2000, -50])


def test_a_reported_pressure_and_a_denied_setting_count_before_a_setting(tmp_path):
    table = stations("NC000001", ALSE=[101_325.0] * 5, QMPR=[2.0, 12.0, 15.0, 2.0, 2.0])
    table = changed(table, "PRSSQ1.PRES", range(3, 5), None)
    footprints = synop(tmp_path, table).footprints
    order = np.argsort(column_values(footprints, "lat"))
    pressure = footprint_table.values_of(footprints)[order, STATIONS.index("PS")]
    settings = 100_129.5  # at 100 m
    assert_allclose(pressure, [98_000, np.nan, 98_000, settings, settings], rtol=2e-5)


def test_the_height_of_newer_tables_counts_before_that_of_older(tmp_path):
    table = stations(HSMSL=[7.0, None, 9.0, -999.9, 1e11])
    heights = column_values(synop(tmp_path, table).footprints, "height")
    assert sorted(heights) == [7, 9, 100, 100, 100]


def test_heights_that_contradict_each_other_tell_no_pressure(tmp_path):
    columns = {"ALSE": [101_325.0] * 5, "HSMSL": [0.0, 1590.0, 1609.0, None, -999.9]}
    table = stations("NC000007", SELV=[1609.0] * 4 + [None], **columns)
    footprints = synop(tmp_path, table, "NC000007").footprints
    order = np.argsort(column_values(footprints, "lat"))
    pressure = footprint_table.values_of(footprints)[order, STATIONS.index("PS")]
    assert np.isfinite(pressure).tolist() == [False, True, True, True, False]


def synop(folder, table, message="NC000001", channels=STATIONS):
    return only("synop", write(folder, table, message), platforms=["land"], channels=channels)


@pytest.mark.parametrize("message", ["NC000001", "NC000007", "NC000101"])
def test_reports_of_stations(tmp_path, message):
    footprints = synop(tmp_path, stations(message), message).footprints
    assert column_values(footprints, "station").tolist() == ["", "", "03953", "72295", "EGLL"]
    order = np.argsort(column_values(footprints, "lat"))
    values = footprint_table.values_of(footprints)[order][0]
    u, v = wind_components(np.array(90.0), np.array(5.0))
    assert values[0] == 285
    assert 60 < values[1] < 80
    if message != "NC000101":
        assert_allclose(values[1], relative_humidity_of_dew_point(280.0, 285.0), rtol=1e-6)
    assert_allclose(values[2:4], [u, v], atol=1e-6)
    pressures = {"NC000001": [98_000, 101_300], "NC000007": [np.nan] * 2}
    assert_array_equal(values[4:], pressures.get(message, [98_000, np.nan]))
    assert column_values(footprints, "time")[0] == np.datetime64("2022-07-01T12:00")
    assert set(column_values(footprints, "rejected")) == {Reason.USED}


def test_marks_of_quality_deny_values(tmp_path):
    marks = {"TMPSQ1.QMAT": [0, 2, 3, 4, 15], "WNDSQ1.QMWN": [None, 14, 1, 1, MISSING]}
    granule = synop(tmp_path, stations(**marks))
    footprints = granule.footprints
    values = footprint_table.values_of(footprints)[np.argsort(column_values(footprints, "lat"))]
    assert np.isfinite(values[:, 0]).tolist() == [True, True, True, False, True]
    assert np.isfinite(values[:, 2]).tolist() == [True, False, True, True, True]
    assert lost(granule) == {
        ("T2M", Reason.FLAGGED): 1,
        ("R2M", Reason.FLAGGED): 1,
        ("U10", Reason.FLAGGED): 1,
        ("V10", Reason.FLAGGED): 1,
    }


def test_impossible_winds_and_gross_outliers(tmp_path):
    columns = {"WNDSQ1.WSPD": [5, 400, 5, 5, 5], "TMPSQ1.TMDB": [372, 285, 173, 285, MISSING]}
    granule = synop(tmp_path, stations(**columns))
    assert lost(granule) == {("U10", Reason.IMPOSSIBLE): 1, ("V10", Reason.IMPOSSIBLE): 1}
    # the limits of the quality control judge the others
    temperatures = footprint_table.values_of(granule.footprints)[:, 0]
    assert sorted(temperatures[np.isfinite(temperatures)]) == [173, 285, 285, 372]


def test_of_equal_reports_the_fullest_comes_first(tmp_path):
    table = stations()
    poor = changed(table, "PRSSQ1.PRES", range(5), None)
    footprints = synop(tmp_path, pa.concat_tables([poor, table])).footprints
    repeated = quality.duplicate_footprints(footprints)
    kept = footprint_table.values_of(footprints)[~repeated]
    assert repeated.sum() == 5
    assert np.isfinite(kept[:, 4]).all()


def test_stations_without_any_quantity_are_refused(tmp_path):
    table = stations().select(["LAT", "LON", "OBS_TIMESTAMP", "RPID"])
    granule = synop(tmp_path, table)
    assert granule.reason == Reason.UNREADABLE
    assert "no column TMDB" in granule.message


def level(pressure, flag=32, temperature=280.0, speed=10.0, geopotential=5000.0, mark=1):
    return {
        "VSIG": flag,
        "QMPR": 1.0,
        "PRLC": pressure,
        "QMGP": 1.0,
        "UATMP": {"QMAT": mark, "TMDB": temperature, "QMDD": 1.0, "TMDP": temperature - 5},
        "UAWND": {"QMWN": 1.0, "WDIR": 270.0, "WSPD": speed},
        "UAGP07": MISSING,
        "UAGP10": geopotential,
    }


LEVELS = pa.list_(
    pa.struct(
        [
            ("VSIG", pa.int64()),
            *((name, pa.float64()) for name in ("QMPR", "PRLC", "QMGP")),
            (
                "UATMP",
                pa.struct([(name, pa.float64()) for name in ("QMAT", "TMDB", "QMDD", "TMDP")]),
            ),
            ("UAWND", pa.struct([(name, pa.float64()) for name in ("QMWN", "WDIR", "WSPD")])),
            ("UAGP07", pa.float64()),
            ("UAGP10", pa.float64()),
        ]
    )
)


def soundings(*levels, kind=LEVELS, **flat):
    count = len(levels)
    time = np.full(count, np.datetime64("2022-07-01T11:30"))
    columns = common_columns("NC002001", time, 50 + np.arange(count), np.arange(count))
    columns |= {
        "WMOB": pa.array([3.0] * count),
        "WMOS": pa.array(953.0 + np.arange(count)),
        "UARLV": pa.array(levels, kind),
    }
    columns |= {name: pa.array(column, pa.float64()) for name, column in flat.items()}
    return pa.table(columns)


def sounding(folder, table, channels):
    path = write(folder, table, "NC002001")
    (granule,) = read("radiosondes", path, platforms=["radiosonde"], channels=channels)
    return granule, footprint_table.values_of(granule.footprints)


SOUNDING = ["T1000", "T850", "T700", "U850", "Z850", "R850"]


def test_soundings(tmp_path):
    whole = [
        level(101_000.0, 64, 290.0),
        level(100_000.0, 32, 289.0),
        level(85_000.0, 32, 280.0, geopotential=14_500.0),
        level(70_000.0, 32, MISSING),
    ]
    granule, values = sounding(tmp_path, soundings(whole, whole[1:3]), SOUNDING)
    assert column_values(granule.footprints, "station").tolist() == ["03953", "03954"]
    humidity = relative_humidity_of_dew_point(275.0, 280.0)
    assert_allclose(values[0], [289, 280, np.nan, 10, 14_500, humidity], rtol=1e-6)
    assert_allclose(values[1], values[0], rtol=1e-6)
    assert not granule.values


def test_levels_that_marks_or_the_ground_deny(tmp_path):
    levels = [
        level(100_000.0, 32, 289.0),
        level(99_000.0, 64, 288.0),
        level(85_000.0, 32, 280.0, mark=9),
        level(60_000.0, 32, 270.0, speed=900.0),
    ]
    channels = ["T1000", "T850", "R850", "U600", "T600"]
    granule, values = sounding(tmp_path, soundings(levels), channels)
    assert_array_equal(values[0], np.float32([np.nan] * 4 + [270]))
    assert lost(granule) == {
        ("T1000", Reason.HEIGHT): 1,
        ("T850", Reason.FLAGGED): 1,
        ("R850", Reason.FLAGGED): 1,
        ("U600", Reason.IMPOSSIBLE): 1,
    }


def test_members_that_are_lists_as_delayed_replication_is(tmp_path):
    kind = pa.list_(
        pa.struct(
            [
                ("PRLC", pa.float64()),
                ("UATMP", pa.list_(pa.struct([("TMDB", pa.float64()), ("TMDP", pa.float64())]))),
                ("UAGP10", pa.list_(pa.struct([("GP10", pa.float64())]))),
            ]
        )
    )
    levels = [
        {"PRLC": 85_000.0, "UATMP": [{"TMDB": 280.0, "TMDP": 275.0}], "UAGP10": []},
        {"PRLC": 70_000.0, "UATMP": [], "UAGP10": [{"GP10": 30_000.0}]},
    ]
    _, values = sounding(tmp_path, soundings(levels, kind=kind), ["T850", "T700", "Z850", "Z700"])
    assert_array_equal(values[0], np.float32([280, np.nan, np.nan, 30_000]))


def test_levels_in_columns_of_their_own_are_in_pascals(tmp_path):
    flat = {
        "TMDB_PRLC5000": [215.0],
        "TMDB_PRLC50000": [255.0],
        "GP10_PRLC50000": [55_000.0],
        "WSPD_PRLC50000": [20.0],
        "WDIR_PRLC50000": [MISSING],
    }
    channels = ["T50", "T500", "Z500", "U500"]
    _, values = sounding(tmp_path, soundings([], **flat), channels)
    assert_array_equal(values[0], np.float32([215, 255, 55_000, np.nan]))
    only_flat = soundings([], **flat).drop_columns("UARLV")
    assert_array_equal(sounding(tmp_path, only_flat, channels)[1], values)


def test_soundings_without_levels_are_refused(tmp_path):
    path = write(tmp_path, soundings([]).drop_columns("UARLV"), "NC002001")
    (granule,) = read("radiosondes", path, platforms=["radiosonde"], channels=SOUNDING)
    assert granule.message.startswith("no column UARLV")
    (granule,) = read("radiosondes", path, platforms=["ship"], channels=SOUNDING)
    assert granule.reason == Reason.PLATFORM


def test_what_readers_look_for_is_transferred():
    names = {
        *nnja_ai._PLACE,
        "BEARAZ",
        "TMBR",
        "TMANT",
        "ATMSCHQ",
        *nnja_ai._FLAGS.values(),
        *nnja_reports._STATION,
        *(name for pair in nnja_reports._OF_STATIONS.values() for name in pair),
        *(name for names, _ in nnja_reports._OF_LEVELS for name in names),
        *(mark for _, mark in nnja_reports._OF_LEVELS if mark),
    }
    assert names <= download.MNEMONICS
    assert download._is_used("BRITCSTC.TMBR_00007")
    assert download._is_used("TMDB_PRLC85000")
    assert download._is_used("UARLV.list.element.UATMP.TMDB")
    assert not download._is_used("SOZA")


def test_a_large_file_comes_in_pieces(tmp_path, monkeypatch):
    path = write(tmp_path, nnja_ai_files.amsua(scans=40))
    (whole,) = read("amsua", path)
    monkeypatch.setattr(nnja_columns, "ROWS", 500)
    pieces = read("amsua", path)
    assert len(pieces) == 3
    joined = pa.concat_tables([piece.footprints for piece in pieces])
    for name in ("channel_5", "time", "lat", "rejected"):
        assert_array_equal(column_values(joined, name), column_values(whole.footprints, name))
    assert [piece.message for piece in pieces] == [nnja_ai.UNCORRECTED, "", ""]


def test_parquet_is_no_file_of_other_readers(tmp_path):
    path = write(tmp_path, nnja_ai_files.amsua())
    unpacked = ingest.file_kinds.Unpacked()
    assert ingest._readable([path], unpacked, "nnja_ai.amsua") == ([path], [])
    files, refused = ingest._readable([path], unpacked, "bufr_sounder.amsua")
    assert files == []
    assert refused[0].reason == Reason.FORMAT


def test_the_miniature_has_the_columns_of_the_archive():
    names = pq.read_schema(io.BytesIO(nnja_ai_files.content(nnja_ai_files.amsua()))).names
    assert {"MSG_TYPE", "SUBSET_IDX", "OBS_DATE", "SIID", "BRITCSTC.TMBR_00001"} <= set(names)
