"""NCEP's BUFR in the layout of NNJA, from a bucket on this machine."""

import logging
from datetime import date

import pytest
import requests
import yaml

from fuxiflow.archive import fetching, findings
from fuxiflow.archive.ncep import ncep_downloads
from fuxiflow.archive.ncep_findings import check_ncep
from fuxiflow.archive.needs import Need
from fuxiflow.archive.retries import DownloadError
from fuxiflow.config import archives as settings
from fuxiflow.config import sources
from fuxiflow.config.archives import NcepArchive
from fuxiflow.observations import readers
from fuxiflow.storage.manifests import read_manifest
from tests.support import bufr_files, ncep_files

ROOT = "observations/reanalysis"
AMSUA = f"{ROOT}/amsua/1bamua"
NEED = Need("ncep_amsua", "2022-07", ("2022-07-30", "2022-07-31"))


def key(day, hour):
    return f"{AMSUA}/{day[:4]}/{day[4:6]}/bufr/gdas.{day}.t{hour:02d}z.1bamua.tm00.bufr_d"


def name_of(day, hour):
    return key(day, hour).rpartition("/")[2]


@pytest.fixture
def bucket(server):
    """Files of three days, each of some footprints; 12 UTC of the first is not there."""
    tables = ncep_files.NcepTables(ncep_files.SOUNDERS["NC021023"])
    for number, day in enumerate(("20220730", "20220731", "20220801")):
        for hour in (0, 6, 12, 18):
            if (number, hour) == (0, 12):
                continue
            start = f"{day[:4]}-{day[4:6]}-{day[6:]}T{hour:02d}:00:00"
            elements, values = bufr_files.swath("amsua", scans=2, start=start, seed=hour)
            subsets = list(ncep_files.footprints(elements, values, "NC021023"))
            server.files[key(day, hour)] = tables.messages() + tables.message(subsets)
    prepbufr = f"{ROOT}/conv/prepbufr/2022/07/prepbufr/gdas.20220730.t06z.prepbufr.nr"
    server.files[prepbufr] = b"x"
    server.files[f"{AMSUA}/2022/07/bufr/index.html"] = b"x"
    return server


@pytest.fixture
def session():
    with requests.Session() as running:
        yield running


def listed(server, session, day, *data_sets):
    archive = NcepArchive(layout="ncep", url=server.url, data_sets=data_sets or (AMSUA,))
    return [name for name, _ in ncep_downloads(session, archive, day)]


def test_a_day_is_in_its_cycles_and_in_the_next_days_first(bucket, session):
    names = listed(bucket, session, date(2022, 7, 31))
    expected = [name_of("20220731", hour) for hour in (0, 6, 12, 18)]
    assert sorted(names) == sorted([*expected, name_of("20220801", 0)])
    # a cycle that is absent is a gap
    names = listed(bucket, session, date(2022, 7, 30))
    assert name_of("20220730", 12) not in names
    assert len(names) == 4
    assert listed(bucket, session, date(2022, 7, 20)) == []


def test_prepbufr_has_its_own_folder(bucket, session):
    names = listed(bucket, session, date(2022, 7, 30), f"{ROOT}/conv/prepbufr")
    assert names == ["gdas.20220730.t06z.prepbufr.nr"]


def test_what_the_bucket_does_not_have_is_named(bucket, session):
    with pytest.raises(DownloadError, match=r"nothing below .*amsua/1bamub.*folder there"):
        listed(bucket, session, date(2022, 7, 30), f"{ROOT}/amsua/1bamub")
    bucket.faults["/"] = ["html"]
    with pytest.raises(DownloadError, match="not a listing"):
        listed(bucket, session, date(2022, 7, 30))


def fetch(server, store):
    committed = yaml.safe_load(settings.FILE.read_text(encoding="utf-8"))
    committed["sources"]["ncep_amsua"]["url"] = server.url
    fetching.fetch_need(NEED, store, settings.Archives(**committed), logging.getLogger("test"))
    return read_manifest(store / "ncep_amsua" / "2022-07")


def test_from_the_bucket_to_footprints(bucket, tmp_path):
    bucket.faults[f"/{key('20220731', 6)}"] = ["cut"]
    manifest = fetch(bucket, tmp_path)
    assert len(manifest.files) == 8
    assert name_of("20220801", 0) in manifest.files
    paths = [tmp_path / "ncep_amsua" / "2022-07" / name for name in manifest.files]
    source = sources.load_source("ncep_amsua")
    granules = list(readers.read(source.reader, paths, source.platform_names, ["1"]))
    assert [granule.count for granule in granules] == [60] * 8
    bucket.requests.clear()
    fetch(bucket, tmp_path)
    assert not bucket.requests


def test_a_web_page_instead_of_a_file_is_an_error(bucket, tmp_path):
    name = name_of("20220731", 6)
    bucket.faults[f"/{key('20220731', 6)}"] = ["html"]
    with pytest.raises(DownloadError, match=f"{name}: the answer is a web page"):
        fetch(bucket, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data_sets": []}, r"sources.ncep_amsua.*data_sets"),
        ({"data_sets": ["/a/"]}, r"sources.ncep_amsua.*data_sets"),
        ({"products": ["x"]}, r"sources.ncep_amsua.*products: unknown"),
    ],
)
def test_mistakes_name_the_key(change, words):
    with pytest.raises(ValueError, match=words):
        settings.load_archives(changes={"sources": {"ncep_amsua": change}})


def findings_of(server, days=("2022-07-30", "2022-07-31"), data_set=AMSUA):
    archive = NcepArchive(layout="ncep", url=server.url, data_sets=[data_set])
    report = findings.ProviderReport("ncep_amsua", server.url)
    with requests.Session() as session:
        check_ncep(session, report, archive, days)
    return report, [one.difference for one in report.findings if one.differs]


def test_a_check_finds_the_bucket_as_expected(bucket):
    report, differences = findings_of(bucket)
    assert not differences
    assert report.newest_day == "2022-08-01"
    assert len(report.findings) == 5


def test_a_check_names_what_differs(bucket):
    assert findings_of(bucket, data_set=f"{ROOT}/x")[1] == ["there are none"]
    assert "2022-08-01" in findings_of(bucket, ("2022-07-30", "2022-08-09"))[1][0]
    newest = key("20220801", 18)
    whole = bucket.files[newest]
    bucket.files[newest] = whole.replace(b"TMBR ", b"TMPX ")
    assert findings_of(bucket)[1] == ["it lacks TMBR"]
    bucket.files[newest] = b"<html>log in</html>"
    assert "begins with b'<html>lo'" in findings_of(bucket)[1][0]
    bucket.files = {f"{AMSUA}/2022/07/bufr/other.bin": b"x"}
    assert findings_of(bucket)[1] == [f"one is {AMSUA}/2022/07/bufr/other.bin"]
