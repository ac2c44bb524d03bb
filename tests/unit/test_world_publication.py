"""Raw files of the embedded world in the layouts of public archives: fetched, they are the same."""

import json
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest
import requests

from fuxiflow.archive.nnja_ai import nnja_ai_downloads
from fuxiflow.archive.occultations import occultation_downloads
from fuxiflow.config import sources
from fuxiflow.config import world as settings
from fuxiflow.config.archives import NnjaAiArchive, OccultationArchive
from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.clocks import gps_of_utc, utc_of_gps
from fuxiflow.observations.footprint_table import column_values
from fuxiflow.world import networks
from fuxiflow.world.occultations import OccultationProfiles, join_occultations
from fuxiflow.world.publication import publish_nnja_ai, publish_occultations
from fuxiflow.world.truth import Truth
from fuxiflow.world.writers.occultation_netcdf import write_occultations
from fuxiflow.world.writers.report_files import write_reports
from tests.support.world_truth import write_truth

DAYS = date(2022, 7, 1), date(2022, 7, 2)
ROOT = "bucket/data/v1"
DATA_SETS = ["conv/adpsfc/NC000001", "conv/adpsfc/NC000007"]


@pytest.fixture
def session():
    with requests.Session() as running:
        yield running


def serve(server, folder, root=""):
    """Serve the files below a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            key = "/".join(part for part in (root, str(path.relative_to(folder))) if part)
            server.files[key] = path.read_bytes()


def table_of(source, paths):
    """The rows of files in the order of time, station and place."""
    granules = list(readers.read(source.reader, paths, source.platform_names, source.channel_names))
    assert all(one.footprints is not None for one in granules), granules
    table = pa.concat_tables([one.footprints for one in granules])
    assert not column_values(table, "rejected").any()
    keys = [column_values(table, name) for name in ("lat", "station", "time")]
    return table.take(pa.array(np.lexsort(keys)))


def assert_equal(one, other):
    np.testing.assert_array_equal(footprint_table.values_of(one), footprint_table.values_of(other))
    for name in ("time", "lat", "lon", "azimuth", "zenith", "platform", "station"):
        np.testing.assert_array_equal(column_values(one, name), column_values(other, name), name)


def fetched(listed, session, folder):
    """The files of some downloads."""
    return [download(session, folder / name).path for name, download in listed]


@pytest.fixture
def stations(tmp_path):
    """Raw folders of two segments of land stations, a day each."""
    truth = Truth([write_truth(tmp_path / "truth.zarr", datetime(2022, 7, 1), 9)])
    source = sources.load_source("nnja_land_stations")
    options = settings.ObservedNetwork(stations=20, interval_hours=12)
    members = networks.place_network(source, truth, options, 3)
    windows = networks.report_windows(truth, source)
    folders = []
    for day in DAYS:
        folders.append(tmp_path / "raw" / f"{day:%Y-%m-%d}")
        folders[-1].mkdir(parents=True)
        made = list(networks.report_day(source, members, windows, day, options, 3))
        write_reports(folders[-1], source, day, made)
    return source, folders


def test_stations_come_from_a_published_archive_as_they_are(stations, server, session, tmp_path):
    source, folders = stations
    archive = NnjaAiArchive(layout="nnja_ai", url=f"{server.url}/{ROOT}", data_sets=DATA_SETS)
    published = publish_nnja_ai(folders, archive, tmp_path / "public")
    assert [str(path.relative_to(tmp_path / "public")) for path in published] == [
        f"{DATA_SETS[0]}/OBS_DATE={day}/gdas.{day:%Y%m%d}.NC000001.parquet" for day in DAYS
    ]
    serve(server, tmp_path / "public", ROOT)
    paths = []
    for day in DAYS:
        listed = dict(nnja_ai_downloads(session, archive, day))
        # the world has no METAR: the data set is there, and its day is a gap
        assert len(listed) == len(DATA_SETS)
        name = f"gdas.{day:%Y%m%d}.NC000001.parquet"
        paths += fetched([(name, listed[name])], session, tmp_path / "store")
    raw = [path for folder in folders for path in folder.iterdir()]
    assert_equal(table_of(source, paths), table_of(source, raw))


def test_data_sets_are_described(stations, tmp_path):
    _, folders = stations
    archive = NnjaAiArchive(layout="nnja_ai", url="http://here", data_sets=DATA_SETS)
    publish_nnja_ai(folders, archive, tmp_path / "public")
    other = NnjaAiArchive(layout="nnja_ai", url="http://here", data_sets=["atms/atms/NC021203"])
    publish_nnja_ai([], other, tmp_path / "public")
    catalogue = json.loads((tmp_path / "public" / "catalog.json").read_text())
    assert set(catalogue) == {"conv-adpsfc", "atms-atms"}
    assert set(catalogue["conv-adpsfc"]["datasets"]) == {"NC000001", "NC000007"}
    entry = catalogue["conv-adpsfc"]["datasets"]["NC000001"]
    about = json.loads((tmp_path / "public" / entry["json"]).read_text())
    assert about["parquet_root_path"] == DATA_SETS[0]
    ids = {variable["id"]: variable for variable in about["variables"]}
    assert ids["TMPSQ1.TMDB"]["dimension"] is None
    assert about["dimensions"] == []


def test_channels_and_levels_are_dimensions(tmp_path):
    import pyarrow.parquet as pq

    table = pa.table({"LAT": [1.0], "BRITCSTC.TMBR_00002": [2.0], "TMDB_PRLC5000": [3.0]})
    (tmp_path / "raw").mkdir()
    pq.write_table(table, tmp_path / "raw" / "gdas.20220701.NC021023.parquet")
    archive = NnjaAiArchive(
        layout="nnja_ai", url="http://here", data_sets=["amsua/1bamua/NC021023"]
    )
    publish_nnja_ai([tmp_path / "raw"], archive, tmp_path / "public")
    about = json.loads((tmp_path / "public" / archive.data_sets[0] / ".pmetadata").read_text())
    dimensions = {name: one for entry in about["dimensions"] for name, one in entry.items()}
    names = set()
    for variable in about["variables"]:
        if variable["dimension"] is None:
            names.add(variable["id"])
            continue
        dimension = dimensions[variable["dimension"]]
        names |= {
            f"{variable['id']}_{dimension['format_str'].format(value)}"
            for value in dimension["values"]
        }
    assert names == set(table.column_names)


HEIGHT = np.arange(0.0, 60_001.0, 300.0)


def profiles(day, count, seed):
    """Occultations about a day's end and in it."""
    rng = np.random.default_rng(seed)
    start = np.datetime64(day, "ns")
    offsets = np.sort(rng.integers(0, 86_400_000, count)).astype("timedelta64[ms]")
    offsets[-1] = np.timedelta64(86_399_500, "ms")
    refractivity = 320 * np.exp(-HEIGHT / 7400) * rng.uniform(0.9, 1.1, (count, 1))
    refractivity[:, :3] = np.nan
    return OccultationProfiles(
        start + offsets,
        rng.uniform(-80, 80, count).round(4),
        rng.uniform(-180, 180, count).round(4),
        rng.uniform(0, 360, count),
        HEIGHT,
        refractivity,
    )


def test_occultations_come_from_a_published_bucket_as_they_are(server, session, tmp_path):
    source = sources.load_source("gnssro")
    platforms = ("COSMIC-2", "Metop-B", "FY-3E")
    raw = []
    for number, day in enumerate(DAYS):
        folder = tmp_path / "raw" / str(day)
        folder.mkdir(parents=True)
        parts = [profiles(day, 20, 10 * number + i) for i in range(3)]
        raw.append(folder / f"gnssro_{day:%Y%m%d}_fuxi_sim.nc")
        write_occultations(raw[-1], join_occultations(parts), np.repeat(platforms, 20).tolist())
    archive = OccultationArchive(
        layout="gnssro", url=server.url, missions=["cosmic2/ucar", "metop/romsaf"]
    )
    folders = [path.parent for path in raw]
    published = publish_occultations(folders, archive, tmp_path / "public")
    assert len({path.name for path in published}) == len(published) == 80
    serve(server, tmp_path / "public")
    paths = []
    # days of the bucket are of GPS time, 18 s ahead
    for day in (*DAYS, date(2022, 7, 3)):
        paths += fetched(occultation_downloads(session, archive, day), session, tmp_path / "store")
    assert len(paths) == 80
    assert {path.name.split("_")[2] for path in paths if "_metop_" in path.name} == {"romsaf"}
    found, expected = table_of(source, paths), table_of(source, raw)
    of_bucket = np.array(expected["platform"].to_pylist()) != "FY-3E"
    assert_equal(found, expected.filter(pa.array(of_bucket)))


def test_other_layouts_of_the_bucket_are_refused(tmp_path):
    archive = OccultationArchive(
        layout="gnssro", url="http://here", version="v2.0", missions=["metop/ucar"]
    )
    with pytest.raises(ValueError, match=r"published as v1.1 refractivityRetrieval, not \('v2.0'"):
        publish_occultations([], archive, tmp_path)


@pytest.mark.parametrize(
    "time", ["1999-01-01T00:00", "2016-12-31T23:59:59.5", "2017-01-01T00:00", "2022-07-01T12:34"]
)
def test_gps_seconds_are_the_inverse(time):
    moment = np.datetime64(time, "us")
    assert utc_of_gps(gps_of_utc(moment)) == moment


def test_no_time_has_no_gps_seconds():
    assert np.isnan(gps_of_utc(np.datetime64("NaT", "us")))
    assert np.isnan(gps_of_utc(np.datetime64("1998-12-31", "us")))
