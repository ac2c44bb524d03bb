"""NNJA-AI's Parquet of the embedded world: read back, it is what the world's other formats hold."""

from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fuxiflow.config import sources
from fuxiflow.config import world as settings
from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.footprint_table import column_values
from fuxiflow.observations.orbits import swath
from fuxiflow.storage.checksums import DamagedError
from fuxiflow.storage.tables import PROVENANCE, open_parquet
from fuxiflow.world import networks
from fuxiflow.world.truth import Truth
from fuxiflow.world.writers.granules import write_granules
from fuxiflow.world.writers.report_files import write_reports
from tests.support.world_truth import write_truth

DAY = date(2022, 7, 1)
START = np.datetime64("2022-07-01T00:00", "ns")


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "2022-07.zarr"
    return Truth([write_truth(path, datetime(2022, 7, 1), 9)])


def granule(source, platform, minutes=40, scan_stride=15):
    """A granule of a platform that both sources of an instrument fly, with a missing value."""
    carrier = next(one for one in source.flown if one.name == platform)
    end = START + np.timedelta64(minutes, "m")
    view = swath(platform, carrier.orbit, source.instrument, START, end, scan_stride)
    rng = np.random.default_rng(0)
    brightness = rng.uniform(150.0, 300.0, (*view.lat.shape, len(source.channels)))
    brightness[1, 1, 3] = np.nan
    return carrier, view, brightness


def read_back(folder, source):
    """The one table of the files of a folder."""
    paths, others = readers.find_files(folder, source.file_pattern)
    assert others == []
    (result,) = readers.read(source.reader, paths, source.platform_names, source.channel_names)
    assert result.footprints is not None, result
    assert not column_values(result.footprints, "rejected").any()
    return result.footprints


def both_ways(tmp_path, names, write):
    """Tables of the same observations in the formats of two sources, in the order of time."""
    tables = []
    for name in names:
        folder = tmp_path / name
        folder.mkdir()
        source = sources.load_source(name)
        write(folder, source)
        tables.append(read_back(folder, source))
    return tables


def assert_same_places(one, other, degrees=0.006):
    for name in ("lat", "lon"):
        np.testing.assert_allclose(
            column_values(one, name), column_values(other, name), atol=degrees
        )


@pytest.mark.parametrize(
    ("name", "other", "platform"),
    [
        ("nnja_amsua", "amsua", "Metop-B"),
        ("nnja_mhs", "mhs", "NOAA-19"),
        ("nnja_atms", "noaa20_atms", "NOAA-20"),
    ],
)
def test_a_sounder_is_as_in_its_agencys_format(name, other, platform, tmp_path):
    source = sources.load_source(name)
    made = granule(source, platform)
    parquet, agency = both_ways(
        tmp_path,
        (name, other),
        lambda folder, source: write_granules(
            folder, source, DAY, [made], np.ones(len(source.channels))
        ),
    )
    assert len(parquet) == made[1].lat.size
    assert set(parquet["platform"].to_pylist()) == {platform}
    assert_same_places(parquet, agency)
    values, expected = map(footprint_table.values_of, (parquet, agency))
    assert np.isnan(values).sum() == 1
    # 0.01 K, and the agency's own rounding
    np.testing.assert_allclose(values, expected, atol=0.011)
    for column in ("zenith", "azimuth"):
        angles = [column_values(one, column) for one in (parquet, agency)]
        np.testing.assert_allclose(np.cos(np.radians(np.subtract(*angles))), 1.0, atol=1e-7)
    np.testing.assert_array_equal(
        column_values(parquet, "scan_position"), column_values(agency, "scan_position")
    )
    late = column_values(agency, "time") - column_values(parquet, "time")
    # NCEP's messages have whole seconds
    assert (late >= np.timedelta64(-1, "ms")).all()
    assert (late < np.timedelta64(1001, "ms")).all()


def test_a_file_holds_a_day_of_all_platforms(tmp_path):
    source = sources.load_source("nnja_amsua")
    rows = [granule(source, name) for name in ("NOAA-19", "Metop-B", "Metop-C")]
    counts = write_granules(tmp_path, source, DAY, iter(rows), np.ones(15))
    assert counts == [view.lat.size for _, view, _ in rows]
    (path,) = tmp_path.iterdir()
    assert path.name == "gdas.20220701.NC021023.parquet"
    with pq.ParquetFile(path) as file:
        assert file.num_row_groups == 3
        table = file.read()
    assert table["SAID"].unique().to_pylist() == [223, 3, 5]
    assert table["BRITCSTC.TMBR_00004"].null_count == 3
    assert PROVENANCE.encode() in table.schema.metadata


def test_a_day_without_observations_has_no_file(tmp_path):
    assert write_granules(tmp_path, sources.load_source("nnja_mhs"), DAY, [], np.ones(5)) == []
    write_reports(tmp_path, sources.load_source("nnja_land_stations"), DAY, [])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_whole_does_not_look_so(tmp_path):
    source = sources.load_source("nnja_mhs")

    def breaking():
        yield granule(source, "Metop-B")
        raise OSError("the truth is damaged")

    with pytest.raises(OSError, match="the truth is damaged"):
        write_granules(tmp_path, source, DAY, breaking(), np.ones(5))
    with pytest.raises(DamagedError):
        open_parquet(tmp_path / "gdas.20220701.NC021027.parquet")


def reports_of(name, truth, **changes):
    """A day's reports of a network."""
    source = sources.load_source(name)
    options = settings.ObservedNetwork(
        **{"stations": 40, "interval_hours": 12, "missing": 0.1, "noise": 1.0} | changes
    )
    members = networks.place_network(source, truth, options, 3)
    windows = networks.report_windows(truth, source)
    return list(networks.report_day(source, members, windows, DAY, options, 3))


def in_order(table):
    order = np.lexsort((column_values(table, "station"), column_values(table, "time")))
    return table.take(pa.array(order))


@pytest.mark.parametrize(
    ("name", "other"),
    [("nnja_land_stations", "land_stations"), ("nnja_radiosondes", "radiosondes")],
)
def test_reports_are_as_in_bufr(name, other, truth, tmp_path):
    made = reports_of(other, truth)
    parquet, bufr = map(
        in_order,
        both_ways(
            tmp_path, (name, other), lambda folder, source: write_reports(folder, source, DAY, made)
        ),
    )
    assert len(parquet) == sum(len(one.members) for one in made) > 50
    assert parquet["station"].to_pylist() == bufr["station"].to_pylist()
    assert_same_places(parquet, bufr)
    np.testing.assert_array_equal(column_values(parquet, "time"), column_values(bufr, "time"))
    # whole metres
    heights = [column_values(one, "height") for one in (parquet, bufr)]
    np.testing.assert_allclose(*heights, atol=0.6)
    assert np.isfinite(heights).all()
    names = sources.load_source(name).channel_names
    assert names == sources.load_source(other).channel_names
    values, expected = map(footprint_table.values_of, (parquet, bufr))
    np.testing.assert_array_equal(np.isfinite(values), np.isfinite(expected))
    # 10 m2/s2, and 1 gpm in BUFR
    tolerance = {"Z": 10.0, "T": 0.011, "R": 0.3, "P": 11.0, "M": 11.0}
    for i, channel in enumerate(names):
        np.testing.assert_allclose(
            values[:, i], expected[:, i], atol=tolerance.get(channel[0], 1e-5), err_msg=channel
        )


def test_mandatory_levels_are_in_columns_too(truth, tmp_path):
    source = sources.load_source("nnja_radiosondes")
    write_reports(tmp_path, source, DAY, reports_of("radiosondes", truth))
    whole = footprint_table.values_of(read_back(tmp_path, source))
    (path,) = tmp_path.iterdir()
    table = pq.read_table(path)
    pq.write_table(table.drop_columns("UARLV"), path)
    flat = footprint_table.values_of(read_back(tmp_path, source))
    mandatory = [not name.endswith("600") for name in source.channel_names]
    flat, whole = flat[:, mandatory], whole[:, mandatory]
    # the ground lets the lowest one be interpolated too
    there = np.isfinite(flat)
    np.testing.assert_array_equal(flat[there], whole[there])
    assert 0 <= np.isfinite(whole).sum() - there.sum() < 0.05 * there.sum()


def test_columns_and_units_are_the_archives(truth, tmp_path):
    for name in ("land_stations", "radiosondes"):
        write_reports(
            tmp_path, sources.load_source(f"nnja_{name}"), DAY, reports_of(name, truth, noise=0.0)
        )
    stations = pq.read_table(tmp_path / "gdas.20220701.NC000001.parquet")
    sondes = pq.read_table(tmp_path / "gdas.20220701.NC002001.parquet")
    for table in (stations, sondes):
        assert {"MSG_TYPE", "SUBSET_IDX", "RPID", "WMOB", "WMOS", "SELV"} <= {*table.column_names}
        assert table.schema.field("OBS_TIMESTAMP").type == pa.timestamp("ns", "UTC")
    assert {"WNDSQ1.WSPD", "TMPSQ1.QMAT", "PRSSQ1.PMSL"} <= {*stations.column_names}
    pressure = stations["PRSSQ1.PRES"].to_numpy()
    assert (pressure % 10 == 0).all()
    assert (pressure > 80_000).all()
    assert stations["TMPSQ1.QMAT"].null_count == len(stations)
    levels = sondes["UARLV"].to_pylist()[0]
    assert levels[0]["VSIG"] == 64
    assert {level["VSIG"] for level in levels[1:]} == {4, 32}
    assert all(level["UAGP07"]["GP07"] == 1e11 for level in levels)
    at_500 = next(level for level in levels if level["PRLC"] == 50_000)
    assert at_500["VSIG"] == 32
    assert at_500["UAGP10"]["GP10"] == sondes["GP10_PRLC50000"].to_pylist()[0]
    assert 45_000 < at_500["UAGP10"]["GP10"] < 62_000
