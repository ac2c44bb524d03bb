"""Radio occultations of the public bucket gnss-ro-data, versions 1.1 and 2.0."""

import logging
from datetime import date

import netCDF4
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from fuxiflow.config import sources
from fuxiflow.observations import footprint_table, ledger, readers
from fuxiflow.observations.clocks import utc_of_gps
from fuxiflow.observations.ingest import ingest
from fuxiflow.observations.readers.occultation_names import platform_of_receiver
from fuxiflow.observations.rejection_codes import Reason
from tests.support import open_occultation_files as files
from tests.support.report_files import accounted, atmosphere, spoiled, used

PLATFORMS = ["COSMIC-1", "COSMIC-2", "Metop-B", "GRACE-A"]
CHANNELS = ["refractivity_0", "refractivity_2000", "refractivity_12345", "refractivity_50000"]
HEIGHTS = np.array([0.0, 2_000, 12_345, 50_000])
LEVELS = np.arange(1_000.0, 60_001, 500)
NAMES = {1: files.REFRACTIVITY_FILE, 2: files.VERSION_2_FILE}


def read(paths, platforms=PLATFORMS, channels=CHANNELS):
    return list(readers.read("gnssro", paths, list(platforms), channels))


def only(path, **kwargs):
    (granule,) = read([path], **kwargs)
    return granule.footprints


def written(directory, version=1, name=None, refractivity=None, **changes):
    values = atmosphere(LEVELS) if refractivity is None else refractivity
    path = directory / (name or NAMES[version])
    return files.open_occultation(path, LEVELS, values, version, **changes)


def column(footprints, name):
    return footprint_table.column_values(footprints, name)[0]


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions(tmp_path, version):
    found = only(written(tmp_path, version))
    # 320 exp(-z / 7400 m) at 2,000, 12,345 and 50,000 m; the lowest level is at 1,000 m
    assert footprint_table.values_of(found)[0] == pytest.approx(
        [np.nan, 244.2154, 60.3450, 0.372158], rel=1e-5, nan_ok=True
    )
    assert column(found, "time") == np.datetime64("2018-07-01T12:00:00")
    assert (column(found, "lat"), column(found, "lon")) == pytest.approx((10, 20), abs=1e-5)
    assert column(found, "azimuth") == 45
    assert found["platform"].to_pylist() == ["Metop-B"]
    assert column(found, "rejected") == Reason.USED


def test_both_versions_are_equal(tmp_path):
    one, two = (only(written(tmp_path, version)) for version in (1, 2))
    assert_frame_equal(*(rows.to_pandas().drop(columns="file") for rows in (one, two)))


@pytest.mark.parametrize(
    "name", [files.ATMOSPHERE_FILE, files.VERSION_2_FILE.replace("l2a", "l2b")]
)
def test_an_atmospheric_retrieval_is_at_its_reference_point(tmp_path, name):
    version = 2 if name.endswith("nc4") else 1
    found = only(written(tmp_path, version, name, lat=-40.0, lon=-170.0))
    assert footprint_table.values_of(found)[0, 1:] == pytest.approx(
        atmosphere(HEIGHTS[1:]), rel=1e-5
    )
    assert (column(found, "lat"), column(found, "lon")) == (-40, -170)
    assert np.isnan(column(found, "azimuth"))


@pytest.mark.parametrize("version", [1, 2])
def test_levels_may_descend(tmp_path, version):
    path = tmp_path / NAMES[version]
    files.open_occultation(path, LEVELS[::-1], atmosphere(LEVELS[::-1]), version)
    assert footprint_table.values_of(only(path))[0, 1:] == pytest.approx(
        atmosphere(HEIGHTS[1:]), rel=1e-5
    )


@pytest.mark.parametrize("version", [1, 2])
def test_fill_values_are_missing(tmp_path, version):
    holes = np.where(LEVELS < 4_000, np.nan, atmosphere(LEVELS))
    values = footprint_table.values_of(only(written(tmp_path, version, refractivity=holes)))[0]
    assert np.isnan(values).tolist() == [True, True, False, False]
    found = only(written(tmp_path, version, time=np.nan))
    assert column(found, "rejected") == Reason.TIME
    found = only(written(tmp_path, version, lat=np.nan, latitude=np.full(len(LEVELS), np.nan)))
    assert column(found, "rejected") == Reason.LOCATION


@pytest.mark.parametrize("version", [1, 2])
def test_without_refractivity_bending_angles_are_inverted(tmp_path, version):
    impact = np.arange(80_000.0, 1_999.0, -200.0) + files.RADIUS + files.UNDULATION
    path = written(
        tmp_path,
        version,
        refractivity=np.full(len(LEVELS), np.nan),
        impact=impact,
        bending=files.abel_bending_angles(impact),
    )
    values = footprint_table.values_of(only(path))[0]
    # log n falls by H in x = n r, which lies above the height z by N r: x - R = z + 1e-6 N r
    x = 12_345.0
    for _ in range(20):
        x = 12_345.0 + (files.RADIUS + 12_345) * 320e-6 * np.exp(-x / 7_400)
    assert values[2] == pytest.approx(320 * np.exp(-x / 7_400), rel=2e-3)
    assert column(only(path), "rejected") == Reason.USED


@pytest.mark.parametrize("version", [1, 2])
def test_quality(tmp_path, version):
    bad = only(written(tmp_path, version, quality=np.zeros(len(LEVELS))))
    assert column(bad, "rejected") == Reason.QUALITY
    partly = only(written(tmp_path, version, quality=np.where(LEVELS < 4_000, 0, 100)))
    assert column(partly, "rejected") == Reason.USED
    assert np.isnan(footprint_table.values_of(partly)[0, :2]).all()
    for unknown in (None, np.full(len(LEVELS), np.nan)):
        found = only(written(tmp_path, version, quality=unknown))
        assert column(found, "rejected") == Reason.USED
        assert np.isfinite(footprint_table.values_of(found)[0, 1:]).all()


@pytest.mark.parametrize("version", [1, 2])
def test_rising_and_setting_count_alike(tmp_path, version):
    rows = [only(written(tmp_path, version, setting=value)) for value in (0, 1, np.nan, None)]
    for row in rows[1:]:
        assert_frame_equal(row.to_pandas(), rows[0].to_pandas())


@pytest.mark.parametrize(
    ("receiver", "platform"),
    [
        ("cosmic1c1", "COSMIC-1"),
        ("cosmic1c6", "COSMIC-1"),
        ("cosmic2e4", "COSMIC-2"),
        ("metopa", "Metop-A"),
        ("metopb", "Metop-B"),
        ("metopc", "Metop-C"),
        ("gracea", "GRACE-A"),
        ("champ", "CHAMP"),
        ("tsx", "TerraSAR-X"),
        ("spireS017", "Spire"),
        ("planetiqGN01", "GNOMES"),
        ("something", "something"),
        ("", ""),
    ],
)
def test_platforms_of_receivers(receiver, platform):
    assert platform_of_receiver(receiver) == platform


def test_platforms_of_the_source_have_receivers():
    there = {
        platform_of_receiver(receiver)
        for receiver in ("cosmic1c1", "cosmic2e1", "metopa", "metopb", "metopc")
    }
    assert there <= set(sources.load_source("gnssro").platform_names)


@pytest.mark.parametrize("key", ["leo", "receiver"])
def test_attributes_tell_the_receiver_where_a_name_does_not(tmp_path, key):
    path = written(tmp_path, 1, "renamed.nc", attributes={key: "cosmic2e3"})
    assert only(path)["platform"].to_pylist() == ["COSMIC-2"]


def test_a_platform_that_is_not_of_the_source_is_refused(tmp_path):
    name = files.REFRACTIVITY_FILE.replace("metop", "spire").replace("spireb", "spireS101")
    (granule,) = read([written(tmp_path, 1, name)])
    assert (granule.reason, granule.count) == (Reason.PLATFORM, 1)
    assert granule.message.startswith("platform Spire, expected COSMIC-1")


# GPS time is ahead of UTC by these, IERS Bulletin C
LEAPS = [
    ("1999-01-01", 13),
    ("2006-01-01", 14),
    ("2009-01-01", 15),
    ("2012-07-01", 16),
    ("2015-07-01", 17),
    ("2017-01-01", 18),
]


@given(
    st.integers(0, len(LEAPS) - 1),
    st.integers(-2_000_000, 2_000_000) | st.integers(0, 10**14),
)
def test_utc_of_gps_seconds(index, microseconds):
    """Around each leap second and far from it, GPS seconds of a UTC time give it back."""
    utc = np.datetime64(LEAPS[index][0], "us") + np.timedelta64(microseconds, "us")
    ahead = [seconds for day, seconds in LEAPS if utc >= np.datetime64(day)]
    gps = (utc - np.datetime64("1980-01-06", "us")) / np.timedelta64(1, "s")
    if ahead:
        assert abs(utc_of_gps(gps + ahead[-1]) - utc) <= np.timedelta64(1, "us")
    else:
        assert np.isnat(utc_of_gps(gps + 13))


@pytest.mark.parametrize(
    ("gps", "utc"),
    [
        (files.NOON, "2018-07-01T12:00:00"),
        (files.NOON + 0.25, "2018-07-01T12:00:00.250"),
        (1_167_264_016.0, "2016-12-31T23:59:59"),
        (1_167_264_018.0, "2017-01-01T00:00:00"),
    ],
)
def test_times_of_files(tmp_path, gps, utc):
    for version in (1, 2):
        path = written(tmp_path, version, "x.nc", time=gps, attributes={"leo": "metopb"})
        assert column(only(path), "time") == np.datetime64(utc)


def test_a_time_that_is_not_of_the_day_in_the_name_is_wrong(tmp_path):
    found = only(written(tmp_path, time=files.NOON + 3 * 86_400))
    assert column(found, "rejected") == Reason.TIME


def centre(name, minute="201807011200"):
    return files.REFRACTIVITY_FILE.replace("ucar", name).replace("201807011200", minute)


def test_an_occultation_counts_once(tmp_path):
    """Centres date it differently by a minute or two; the first of our order is taken."""
    paths = [
        written(tmp_path, 1, centre("jpl", "201807011201")),
        written(tmp_path, 1, centre("romsaf", "201807011159")),
        written(tmp_path, 1, centre("ucar")),
        written(tmp_path, 1, files.ATMOSPHERE_FILE),
        written(tmp_path, 1, centre("ucar", "201807011330")),
    ]
    granules = read(paths)
    assert sorted(used(granules)["file"]) == [paths[2].name, paths[4].name]
    refused = {granule.file: granule for granule in granules if granule.footprints is None}
    assert set(refused) == {paths[0].name, paths[1].name, paths[3].name}
    for granule in refused.values():
        assert (granule.reason, granule.count) == (Reason.SUPERSEDED, 1)
        assert granule.message == f"the same occultation as {paths[2].name}, which is used"


def test_minutes_across_midnight_are_neighbours(tmp_path):
    paths = [
        written(tmp_path, 1, centre("ucar", "201806302359")),
        written(tmp_path, 1, centre("jpl", "201807010001")),
    ]
    assert used(read(paths))["file"].tolist() == [paths[0].name]


def test_other_transmitters_and_receivers_are_other_occultations(tmp_path):
    paths = [
        written(tmp_path, 1, centre("ucar")),
        written(tmp_path, 1, centre("jpl").replace("G05", "G06")),
        written(tmp_path, 1, centre("jpl").replace("metopb", "metopc")),
    ]
    assert len(used(read(paths, [*PLATFORMS, "Metop-C"]))) == 3


def test_another_centre_stands_in_for_a_damaged_file(tmp_path):
    first, second = written(tmp_path, 1, centre("ucar")), written(tmp_path, 1, centre("romsaf"))
    first.write_bytes(first.read_bytes()[:3_000])
    granules = read([first, second])
    assert used(granules)["file"].tolist() == [second.name]
    (refused,) = (granule for granule in granules if granule.footprints is None)
    assert (refused.file, refused.reason) == (first.name, Reason.UNREADABLE)


def test_what_is_no_profile_is_named(tmp_path):
    phase = written(
        tmp_path,
        1,
        "calibratedPhase_metop_ucar_2016.0120_G07-metopb-201807011200.nc",
        altitude=None,
        refractivity=None,
    )
    feet = written(tmp_path, 1, files.REFRACTIVITY_FILE.replace("G05", "G08"))
    with netCDF4.Dataset(feet, "a") as file:
        file["altitude"].units = "feet"
    short = written(tmp_path, 1, files.REFRACTIVITY_FILE.replace("G05", "G09"), quality=None)
    html = tmp_path / files.REFRACTIVITY_FILE.replace("G05", "G10")
    html.write_text("<html><body>log in</body></html>")
    empty = tmp_path / files.REFRACTIVITY_FILE.replace("G05", "G11")
    empty.write_bytes(b"")
    short.write_bytes(short.read_bytes()[: short.stat().st_size // 2])
    granules = read([phase, feet, short, html, empty])
    assert not used_files(granules)
    messages = {granule.file: granule.message for granule in granules}
    assert set(messages) == {path.name for path in (phase, feet, short, html, empty)}
    assert "no refractivity by height" in messages[phase.name]
    assert "altitude in 'feet'" in messages[feet.name]


def used_files(granules):
    return [granule.file for granule in granules if granule.footprints is not None]


def test_the_ledger_accounts_for_every_file(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    written(raw, 1, centre("ucar"))
    written(raw, 1, centre("romsaf"))
    written(raw, 2, files.VERSION_2_FILE.replace("G05", "R11"))
    cut = written(raw, 1, centre("ucar").replace("G05", "G30"))
    cut.write_bytes(cut.read_bytes()[:2_000])
    source = sources.load_source("gnssro")
    accounts = ingest(
        raw,
        source.file_pattern,
        source.reader,
        "gnssro",
        source.platform_names,
        CHANNELS,
        date(2018, 7, 1),
        tmp_path / "table.parquet",
        logging.getLogger("fuxiflow"),
    )
    whole = accounts[accounts["channel"] == ""].set_index("file")
    assert whole.loc[centre("romsaf"), "reason"].tolist() == ["read", "superseded"]
    assert whole.loc[cut.name, "reason"] == "unreadable"
    sound, damaged = ledger.files_by_soundness(accounts)
    assert damaged == [cut.name]
    assert len(sound) == 3
    assert footprint_table.count_rows(tmp_path / "table.parquet") == 2


@pytest.mark.slow
def test_flipped_bits_of_open_files_cost_what_they_hit(tmp_path):
    attributes = {"leo": "metopb"}
    whole = [written(tmp_path, version, attributes=attributes) for version in (1, 2)]
    paths = spoiled(tmp_path, whole, 100)
    found = read(paths)
    assert set(accounted(found)) == {path.name for path in paths}
    rows = used(found)
    assert len(rows) > 50
    assert rows["lat"].between(-90, 90).all()
    values = rows[[f"channel_{name}" for name in CHANNELS]].to_numpy()
    assert ((values > 0) & (values <= 500) | np.isnan(values)).all()
