"""ECMWF's open data is fetched by index and ranges, refused where damaged, and compared."""

import json
import logging
from datetime import datetime

import numpy as np
import pytest
import requests

from fuxiflow.archive import open_data
from fuxiflow.archive.findings import ProviderReport
from fuxiflow.archive.forecast_findings import check_open_data
from fuxiflow.archive.retries import DownloadError
from fuxiflow.channels import channel_table
from fuxiflow.config.archives import OpenDataArchive, load_archives
from fuxiflow.world.writers.open_data import write_open_data_forecast
from tests.support import grib_files

LOG = logging.getLogger("test")
INIT = datetime(2024, 3, 1)
CHANNELS = channel_table().select(["Z500", "T500", "R500", "T850", "T2M", "MSL", "TP"])
FIELDS = open_data.fields_of_stores(CHANNELS)
PLACE = "20240301/00z/ifs/0p25/oper/20240301000000-6h-oper-fc.grib2"
INDEX = PLACE.replace(".grib2", ".index")


def publish(server, folder, channels=CHANNELS, init=INIT, lead=6, place=0):
    """Serve a step, at one of its places, and return its path."""
    archive = OpenDataArchive(url=server.url)
    name = open_data.step_paths(archive, init, lead)[place]
    state = np.stack([grib_files.values(channel, lead) for channel in channels])
    path = write_open_data_forecast(folder, name, init, lead, state, channels, grib_files.GRID)
    for one in (path, path.with_suffix(".index")):
        server.files[str(one.relative_to(folder))] = one.read_bytes()
    return path


@pytest.fixture
def archive(server, tmp_path):
    publish(server, tmp_path / "served")
    return OpenDataArchive(url=server.url)


def fetch(archive, tmp_path, inits=(INIT,), leads=(6,), fields=FIELDS):
    return open_data.fetch_open_data(archive, inits, leads, fields, LOG, tmp_path / "store")


def test_the_fields_that_are_needed_come_once(server, archive, tmp_path):
    fields = ["temperature 500", "2m_temperature"]
    (path,) = fetch(archive, tmp_path, fields=fields).values()
    lines = [json.loads(line) for line in server.files[INDEX].splitlines()]
    lines_of_fields = [
        one for one in lines if (one["param"], one.get("levelist")) in (("t", "500"), ("2t", None))
    ]
    whole = server.files[PLACE]
    parts = [whole[one["_offset"] : one["_offset"] + one["_length"]] for one in lines_of_fields]
    assert len(parts) == 2
    assert path.read_bytes() == b"".join(parts)
    server.requests.clear()
    assert list(fetch(archive, tmp_path, fields=fields).values()) == [path]
    assert server.requests == []
    # other fields are another file
    (other,) = fetch(archive, tmp_path).values()
    assert other != path
    assert other.read_bytes() == whole


@pytest.mark.parametrize(
    ("init", "model", "first"),
    [
        (datetime(2024, 6, 1, 12), "ifs", "20240601/12z/ifs/0p25/oper/20240601120000-6h-oper-fc"),
        (datetime(2024, 6, 1, 18), "ifs", "20240601/18z/ifs/0p25/scda/20240601180000-6h-scda-fc"),
        (datetime(2024, 2, 1), "ifs", "20240201/00z/0p25/oper/20240201000000-6h-oper-fc"),
        (
            datetime(2025, 7, 1, 6),
            "aifs-single",
            "20250701/06z/aifs-single/0p25/oper/20250701060000-6h-oper-fc",
        ),
    ],
)
def test_places(init, model, first):
    archive = OpenDataArchive(url="http://mirror", model=model)
    assert open_data.step_paths(archive, init, 6)[0] == f"{first}.grib2"


def test_files_of_before_the_models_folders(server, tmp_path):
    early = datetime(2023, 3, 1)
    publish(server, tmp_path / "served", init=early, place=1)
    assert "0p4-beta" in next(iter(server.files))
    assert fetch(OpenDataArchive(url=server.url), tmp_path, (early,))


def test_a_step_that_is_absent_is_left_out(archive, tmp_path):
    assert [*fetch(archive, tmp_path, leads=(6, 12))] == [(INIT, 6)]
    with pytest.raises(FileNotFoundError, match=r"no forecast of 2024-04-01.*config/archive"):
        fetch(archive, tmp_path, (datetime(2024, 4, 1),))


def test_a_connection_that_breaks_is_resumed(server, archive, tmp_path):
    server.faults[f"/{PLACE}"] = [503, "cut"]
    (path,) = fetch(archive, tmp_path).values()
    assert path.read_bytes() == server.files[PLACE]


def test_a_web_page_is_refused(server, archive, tmp_path):
    server.faults[f"/{INDEX}"] = ["html"]
    with pytest.raises(DownloadError, match="a web page instead of the file"):
        fetch(archive, tmp_path)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda lines: ["{", *lines], "line 1: not a line of an index.*damaged"),
        (lambda lines: [lines[0].replace("_length", "size"), *lines[1:]], "line 1: not a line"),
        # of another length than the message
        (lambda lines: _changed(lines, "_length", -3), "inventory and file are of different"),
        (lambda lines: _changed(lines, "_length", 10**9), "bytes .* are asked for"),
        (lambda lines: [one for one in lines if '"msl"' not in one], "has no mean_sea_level"),
        (
            lambda lines: [
                one for one in lines if '"levelist": "850"' in one or '"sfc"' in one or '"t"' in one
            ],
            "has no geopotential 500, specific_humidity 500",
        ),
    ],
)
def test_an_index_that_does_not_fit(server, archive, tmp_path, harm, words):
    lines = server.files[INDEX].decode().splitlines()
    server.files[INDEX] = "\n".join(harm(lines)).encode()
    with pytest.raises(DownloadError, match=words):
        fetch(archive, tmp_path)
    assert not list((tmp_path / "store").rglob("*.grib2"))


def _changed(lines, key, by):
    entry = json.loads(lines[-1])
    return [*lines[:-1], json.dumps(entry | {key: entry[key] + by})]


def test_levels_are_those_of_the_index(server, archive, tmp_path):
    lines = server.files[INDEX].decode().splitlines()
    left = [line for line in lines if '"levelist": "850"' not in line]
    server.files[INDEX] = "\n".join(left).encode()
    (path,) = fetch(archive, tmp_path).values()
    assert path.stat().st_size < len(server.files[PLACE])


def test_members_of_an_ensemble_are_no_forecast():
    line = {"param": "t", "levtype": "pl", "levelist": "500", "_offset": 0, "_length": 9}
    texts = [line, line | {"type": "pf", "number": "1"}, line | {"levtype": "sol"}]
    messages = open_data.parse_json_lines("\n".join(map(json.dumps, texts)), "url")
    assert messages == [open_data.IndexedMessage("t", 500, 0, 9)]


def test_it_is_compared_with_what_is_expected(server, tmp_path):
    publish(server, tmp_path / "served", channel_table())
    archive = OpenDataArchive(url=server.url)
    with requests.Session() as session:
        report = ProviderReport("open data", "")
        check_open_data(session, report, archive)
        assert (report.is_as_expected, report.newest_day) == (True, "2024-03-01")
        (other,) = [one for one in report.findings if one.difference]
        assert other.difference == "12 x 7 from 90.0 and 180.0"
        server.files[INDEX] = server.files[INDEX].replace(b'"msl"', b'"sp"')
        report = ProviderReport("open data", "")
        check_open_data(session, report, archive)
    assert [one.difference for one in report.findings if one.differs] == [
        "the index has no mean_sea_level_pressure; another model may"
    ]


def test_the_committed_archive():
    committed = load_archives().ecmwf_open_data
    assert open_data.step_paths(committed, INIT, 6)[0] == PLACE
