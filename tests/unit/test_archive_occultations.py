"""Radio occultations of the public bucket gnss-ro-data, from a bucket on this machine."""

import logging
from datetime import date

import numpy as np
import pytest
import requests
import yaml

from fuxiflow.archive import fetching, occultations
from fuxiflow.archive.needs import Need
from fuxiflow.archive.retries import DownloadError
from fuxiflow.config import archives as settings
from fuxiflow.config import sources
from fuxiflow.config.archives import OccultationArchive
from fuxiflow.observations import footprint_table, readers
from fuxiflow.storage.manifests import read_manifest
from tests.support import open_occultation_files as files
from tests.support.report_files import atmosphere

LOG = logging.getLogger("test")
NEED = Need("gnssro", "2018-07", ("2018-07-01", "2018-07-03"))
DAY = date(2018, 7, 1)
LEVELS = np.arange(1_000.0, 60_001, 500)
METOP = "contributed/v1.1/ucar/metop/refractivityRetrieval/2018/07"
COSMIC = "contributed/v1.1/romsaf/cosmic1/refractivityRetrieval/2018/07"
METOP_2 = "contributed/v2.0/gnssro_metop_ucar_l2a/2018/07"


def name_of(transmitter, day=1, version=1):
    name = files.REFRACTIVITY_FILE if version == 1 else files.VERSION_2_FILE
    return name.replace("G05", f"G{transmitter:02d}").replace("0701", f"070{day}")


@pytest.fixture
def bucket(server, tmp_path):
    """Three occultations of Metop on the first, one on the third, and one of COSMIC-1."""
    for version, folder in ((1, METOP), (2, METOP_2)):
        for day, transmitters in ((1, (3, 4, 5)), (3, (6,))):
            for transmitter in transmitters:
                path = tmp_path / name_of(transmitter, day, version)
                time = files.NOON + (day - 1) * 86_400
                files.open_occultation(path, LEVELS, atmosphere(LEVELS), version, time=time)
                server.files[f"{folder}/0{day}/{path.name}"] = path.read_bytes()
    cosmic = name_of(9).replace("metopb", "cosmic1c1").replace("metop_ucar", "cosmic1_romsaf")
    server.files[f"{COSMIC}/01/{cosmic}"] = b"x"
    server.files[f"{METOP}/01/index.html"] = b"x"
    server.files["contributed/v1.1/jpl/metop/refractivityRetrieval/2018/07/01/a.nc"] = b"x"
    return server


@pytest.fixture
def session():
    with requests.Session() as running:
        yield running


def archive_of(server, **changes):
    values = {
        "layout": "gnssro",
        "url": server.url,
        "missions": ["metop/ucar", "cosmic1/romsaf"],
    } | changes
    return OccultationArchive(**values)


def test_a_day_of_the_missions_by_their_centres(bucket, session, tmp_path):
    listed = dict(occultations.occultation_downloads(session, archive_of(bucket), DAY))
    assert sorted(listed) == sorted(
        [
            *map(name_of, (3, 4, 5)),
            "refractivityRetrieval_cosmic1_romsaf_2016.0120_G09-cosmic1c1-201807011200.nc",
        ]
    )
    fetched = listed[name_of(4)](session, tmp_path / "x.nc")
    assert fetched.path.read_bytes() == bucket.files[f"{METOP}/01/{name_of(4)}"]
    # pages of two keys: two of Metop's four, one of COSMIC-1's
    assert [path for path, _ in bucket.requests[:3]] == ["/"] * 3


def test_version_2(bucket, session):
    archive = archive_of(bucket, version="v2.0", missions=["metop/ucar"])
    listed = dict(occultations.occultation_downloads(session, archive, DAY))
    assert sorted(listed) == [name_of(transmitter, 1, 2) for transmitter in (3, 4, 5)]


def test_a_day_without_files_is_a_gap(bucket, session):
    assert (
        list(occultations.occultation_downloads(session, archive_of(bucket), date(2018, 7, 2)))
        == []
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"missions": ["metop/ukar"]},
        {"missions": ["metopp/ucar"]},
        {"filetype": "atmosphericRetrieval"},
        {"version": "v2.0", "missions": ["cosmic1/romsaf"]},
    ],
)
def test_what_the_bucket_does_not_have_is_named(bucket, session, changes):
    with pytest.raises(DownloadError, match=r"contributed/v.*nothing of the mission.*as they are"):
        list(occultations.occultation_downloads(session, archive_of(bucket, **changes), DAY))


def test_an_address_that_is_no_bucket(bucket, session):
    bucket.listings = False
    with pytest.raises(DownloadError, match="no listing here"):
        list(occultations.occultation_downloads(session, archive_of(bucket), DAY))
    bucket.listings = True
    bucket.faults["/"] = ["html"]
    with pytest.raises(DownloadError, match="not a listing"):
        list(occultations.occultation_downloads(session, archive_of(bucket), DAY))


def fetch(server, store, **changes):
    committed = yaml.safe_load(settings.FILE.read_text(encoding="utf-8"))
    committed["sources"]["gnssro"] |= {"url": server.url, "missions": ["metop/ucar"]} | changes
    fetching.fetch_need(NEED, store, settings.Archives(**committed), LOG)
    return read_manifest(store / "gnssro" / "2018-07")


def rows(store):
    source = sources.load_source("gnssro")
    paths = [
        store / "gnssro" / "2018-07" / name
        for name in read_manifest(store / "gnssro/2018-07").files
    ]
    granules = list(
        readers.read(source.reader, paths, source.platform_names, ["refractivity_5000"])
    )
    return granules


@pytest.mark.parametrize("version", [1, 2])
def test_from_the_bucket_to_footprints(bucket, tmp_path, version):
    manifest = fetch(bucket, tmp_path / "store", version="v1.1" if version == 1 else "v2.0")
    names = {name_of(i, 1, version) for i in (3, 4, 5)} | {name_of(6, 3, version)}
    assert set(manifest.files) == names
    assert set(manifest.complete) == {"2018-07-01", "2018-07-03"}
    (granule,) = rows(tmp_path / "store")
    values = footprint_table.values_of(granule.footprints)
    assert values == pytest.approx(np.full((4, 1), atmosphere(np.array(5_000.0))), rel=1e-5)
    bucket.requests.clear()
    fetch(bucket, tmp_path / "store", version="v1.1" if version == 1 else "v2.0")
    # the day without files alone is listed again
    assert {path for path, _ in bucket.requests} == {"/"}


def test_what_is_cut_on_the_way_goes_on_and_what_is_gone_is_noted(bucket, tmp_path):
    bucket.faults[f"/{METOP}/01/{name_of(3)}"] = ["cut"]
    bucket.faults[f"/{METOP}/01/{name_of(4)}"] = [404]
    manifest = fetch(bucket, tmp_path / "store")
    assert set(manifest.absent) == {name_of(4)}
    assert set(manifest.files) == {name_of(3), name_of(5), name_of(6, 3)}
    path = tmp_path / "store/gnssro/2018-07" / name_of(3)
    assert path.read_bytes() == bucket.files[f"{METOP}/01/{name_of(3)}"]


def test_a_web_page_instead_of_a_file_is_an_error(bucket, tmp_path):
    bucket.faults[f"/{METOP}/01/{name_of(3)}"] = ["html"]
    with pytest.raises(DownloadError, match=f"{name_of(3)}: the answer is a web page"):
        fetch(bucket, tmp_path / "store")


def test_a_file_that_is_damaged_in_the_bucket_is_left_out_with_its_name(bucket, tmp_path):
    key = f"{METOP}/01/{name_of(3)}"
    bucket.files[key] = bucket.files[key][:2_000]
    fetch(bucket, tmp_path / "store")
    refused, used = sorted(
        rows(tmp_path / "store"), key=lambda granule: granule.footprints is not None
    )
    assert (refused.file, refused.reason.label) == (name_of(3), "unreadable")
    assert len(used.footprints) == 3


def test_the_committed_archive():
    archive = settings.load_archives().source("gnssro")
    assert archive.layout == "gnssro"
    receivers = {"cosmic1": "COSMIC-1", "cosmic2": "COSMIC-2", "metop": "Metop-B"}
    platforms = sources.load_source("gnssro").platform_names
    assert all(receivers[entry.split("/")[0]] in platforms for entry in archive.missions)


def test_a_run_asks_for_fewer_missions():
    changes = {"sources": {"gnssro": {"missions": ["metop/ucar"]}}}
    assert settings.load_archives(changes=changes).source("gnssro").missions == ["metop/ucar"]
    changes["sources"]["gnssro"]["missions"] = ["metop"]
    with pytest.raises(ValueError, match=r"archives\.sources\.gnssro.*missions.*'metop'"):
        settings.load_archives(changes=changes)
