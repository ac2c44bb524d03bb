"""Archives are compared with what is expected of them: miniatures, whole and not."""

import socket
import threading
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
import yaml

from fuxiflow import ROOT
from fuxiflow.archive import archive_check, findings
from fuxiflow.archive.archive_check import (
    ArchiveTask,
    archive_tasks,
    reports_table,
    run_checks,
)
from fuxiflow.archive.needs import NO_DAYS, WHOLE, Need, era5_fields
from fuxiflow.archive.occultations import mission_folder
from fuxiflow.archive.retries import DownloadError
from fuxiflow.channels import channel_table
from fuxiflow.cli import main
from fuxiflow.config.archives import LAYOUTS, Archives, OccultationArchive, load_archives
from fuxiflow.world.writers.nnja_parquet import MISSING_IN_LEVELS as MISSING
from fuxiflow.world.writers.nnja_parquet import common_columns
from tests.support import atms_sdr_files, nnja_ai_files, open_occultation_files, public_stores
from tests.support.nnja_ai_files import AMSUA, key_of
from tests.support.nnja_ai_files import ROOT as NNJA
from tests.support.public_stores import ARCO, WB2_COARSE
from tests.support.report_files import atmosphere
from tests.support.wb2_stores import climatology_store, public_store
from tests.unit.test_archive_gfs import inventory

DAYS = ("2020-01-01", "2020-01-03")
HEIGHTS = np.arange(1_000.0, 60_001, 500)
STORE = "era5/1959-2023-6h-16x8_equiangular.zarr"
SYNOP = "conv/adpsfc/NC000001"
SOUNDINGS = "conv/adpupa/NC002001"


def archives_of(server, provider="wb2", **changes):
    values = {
        "gfs": {"url": server.url},
        "era5": {
            "provider": provider,
            "wb2": {"url": f"{server.url}/{STORE}"},
            "arco": {"url": f"{server.url}/arco.zarr"},
        },
    }
    return Archives(**values | changes)


def only_report(archives, *needs, limit=60.0):
    (report,) = run_checks(archive_tasks(archives, needs), limit)
    return report


def differences(report):
    return [f"{one.expectation}: {one.difference}" for one in report.findings if one.differs]


def assert_as_expected(report):
    assert (report.failure, differences(report)) == ("", [])
    assert report.reachable
    assert report.findings


def needs_era5(days=DAYS):
    return Need("era5", days[0][:7], days, era5_fields())


def serve_era5(server, folder, layout=WB2_COARSE, name=STORE, **changes):
    public_stores.write_store(folder / "store", replace(layout, **changes))
    public_stores.serve_store(server, folder / "store", name)


def test_a_store_of_era5_as_expected(server, tmp_path):
    serve_era5(server, tmp_path)
    report = only_report(archives_of(server), needs_era5())
    assert_as_expected(report)
    assert report.newest_day == "2020-01-05"
    assumed = [one.expectation for one in report.findings if one.assumed]
    assert {"latitudes rise", "chunks that fit into memory", "a chunk for each time"} <= {*assumed}
    # ten times lie in a chunk of the miniature, which is no harm
    (chunks,) = [one for one in report.findings if one.expectation == "a chunk for each time"]
    assert "10x" in chunks.difference


def test_the_axis_of_arco_reaches_beyond_its_data(server, tmp_path):
    serve_era5(server, tmp_path, ARCO, "arco.zarr")
    archives = archives_of(server, "arco")
    report = only_report(archives, needs_era5())
    assert_as_expected(report)
    assert report.newest_day == "2020-01-05"
    late = only_report(archives, needs_era5(("2020-01-01", "2020-02-01")))
    assert any("2020-02-01" in one for one in differences(late))


@pytest.mark.parametrize("filled", [1, 13, 23])
def test_an_axis_that_reaches_beyond_its_data_unsaid(server, tmp_path, filled):
    serve_era5(server, tmp_path, filled=filled, time_chunk=1)
    report = only_report(archives_of(server), needs_era5())
    assert report.newest_day == str(WB2_COARSE.times[filled - 1].date())
    assert any(
        f"the axis reaches to 2020-01-05T18:00:00, the data to {report.newest_day}" in one
        for one in differences(report)
    )


@pytest.mark.parametrize(
    ("changes", "leave_out", "words"),
    [
        ({}, ("specific_humidity",), "it lacks specific_humidity"),
        ({}, ("geopotential_at_surface",), "fields that do not change: it lacks geopotential"),
        ({"levels": [50, 100, 500, 850, 1000]}, (), "it lacks 150 hPa, 200 hPa, 250 hPa"),
        ({"step": 12}, (), "times every 6 h, on the hour: steps of 43200 s"),
        ({"grid": public_stores.Grid(4, 8)}, (), "a regular grid of 16x8: 8x4"),
        ({"first": datetime(2020, 1, 2)}, (), "2020-01-01 to 2020-01-03: "),
    ],
)
def test_a_store_that_is_otherwise(server, tmp_path, changes, leave_out, words):
    public_stores.write_store(tmp_path / "store", replace(WB2_COARSE, **changes), leave_out)
    public_stores.serve_store(server, tmp_path / "store", STORE)
    report = only_report(archives_of(server), needs_era5())
    assert report.failure == ""
    assert any(words in one for one in differences(report)), differences(report)


def test_another_unit_is_named(server, tmp_path, monkeypatch):
    monkeypatch.setitem(public_stores.UNITS, "geopotential", "m")
    serve_era5(server, tmp_path)
    report = only_report(archives_of(server), needs_era5())
    assert "units of ERA5: geopotential is in m, expected m2 s-2" in differences(report)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (404, "there is none (status 404)"),
        (301, "status 301"),
        (403, "refused with status 403"),
        ("html", "a web page instead of the file"),
    ],
)
def test_a_bucket_that_moved_or_is_none(server, tmp_path, fault, words):
    serve_era5(server, tmp_path)
    server.faults[f"/{STORE}/.zmetadata"] = [fault]
    report = only_report(archives_of(server), needs_era5())
    assert words in report.failure
    assert report.reachable
    assert not report.is_as_expected


def test_a_bucket_that_says_where_it_went_is_followed(server, tmp_path):
    serve_era5(server, tmp_path)
    server.files["moved"] = server.files[f"{STORE}/.zmetadata"]
    server.faults[f"/{STORE}/.zmetadata"] = [(301, {"Location": f"{server.url}/moved"})]
    assert_as_expected(only_report(archives_of(server), needs_era5()))


def closed_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_one_that_cannot_be_reached_or_is_slow_keeps_no_other(server, tmp_path, monkeypatch):
    monkeypatch.setattr(findings, "ANSWERING", 5.0)
    serve_era5(server, tmp_path)
    server.faults["/"] = ["stall"]
    sources = {
        "gnssro": {"layout": "gnssro", "url": server.url, "missions": ["metop/ucar"]},
        "nnja_amsua": {
            "layout": "nnja_ai",
            "url": f"http://127.0.0.1:{closed_port()}/x",
            "data_sets": [AMSUA],
        },
    }
    archives = archives_of(server, sources=sources)
    needs = [needs_era5(), *(Need(name, "2020-01", DAYS) for name in (*sources, "iasi"))]
    era5, slow, gone, by_hand = run_checks(archive_tasks(archives, needs), limit=100)
    assert_as_expected(era5)
    assert (slow.reachable, "no answer" in slow.failure) == (False, True)
    assert (gone.reachable, gone.is_as_expected) == (False, False)
    assert "no answer" in gone.failure
    assert by_hand.unasked == "brought by hand"
    table = reports_table([era5, slow, gone, by_hand])
    lines = [line.split() for line in table.splitlines()[1:5]]
    assert [line[0] for line in lines] == ["era5", "gnssro", "nnja_amsua", "iasi"]
    assert lines[2][1] == "no"


def test_what_does_not_end_is_given_up_and_what_breaks_is_told():
    def hangs(session, report):
        report.expect("something")
        threading.Event().wait(20)

    def breaks(session, report):
        raise KeyError("x")

    tasks = [ArchiveTask("a", "", hangs), ArchiveTask("b", "", breaks)]
    slow, broken = run_checks(tasks, limit=0.5)
    assert slow.failure.startswith("not finished after")
    assert broken.failure == "KeyError('x')"


def test_nothing_is_asked_after_the_deadline(server):
    with (
        findings.HurriedSession(0.0) as session,
        pytest.raises(DownloadError, match="time is over"),
    ):
        session.get(server.url)
    assert server.requests == []


def serve_system(server, folder, name="datasets/hres/2016-2022-0012-16x8.zarr", **changes):
    times = ["2020-01-01T00", "2020-01-01T12", "2020-01-02T00"]
    path = public_store(folder / "system", times, [0, 6, 12], **changes)
    public_stores.serve_store(server, path, name)
    return Need(
        "hres-x",
        WHOLE,
        ("2020-01-01", "2020-01-01"),
        ("geopotential 500", "temperature 850", "2m_temperature"),
        init_hours=(0, 12),
        max_lead_hours=12,
        address=f"{server.url}/{name}",
    )


def test_a_store_of_forecasts(server, tmp_path):
    need = serve_system(server, tmp_path)
    report = only_report(archives_of(server), need)
    assert_as_expected(report)
    assert report.newest_day == "2020-01-02"
    assert not [one for one in report.findings if one.difference]


def test_a_store_of_forecasts_that_is_otherwise(server, tmp_path):
    need = serve_system(server, tmp_path, ascending=False, without=[("2020-01-01T12", 0)])
    late = replace(need, days=("2021-01-01", "2021-01-02"))
    longer = replace(need, max_lead_hours=24, fields=(*need.fields, "mean_sea_level_pressure"))
    report = only_report(archives_of(server), need)
    (gone,) = differences(report)
    assert gone.endswith("there is no chunk of it")
    others = [one.expectation for one in report.findings if one.difference and not one.differs]
    assert others == ["latitudes rise"]
    never = only_report(archives_of(server), late)
    assert any("0 of them, 2020" in one for one in differences(never))
    report = only_report(archives_of(server), longer)
    lacking = [one.difference for one in report.findings if not one.matters]
    assert {"it lacks 18 h, 24 h", "it lacks mean_sea_level_pressure"} <= {*lacking}


def serve_climatology(server, folder, **layout):
    name = "datasets/era5-hourly-climatology/1990-2019_6h_16x8.zarr"
    public_stores.serve_store(server, climatology_store(folder / "climatology", **layout), name)
    fields = ("geopotential 500", "temperature 850", "2m_temperature")
    return Need("climatology", WHOLE, NO_DAYS, fields, address=f"{server.url}/{name}")


def test_a_climatology(server, tmp_path):
    report = only_report(archives_of(server), serve_climatology(server, tmp_path))
    assert_as_expected(report)
    assert not [one for one in report.findings if one.difference]
    assert "2m_temperature of the first day, 150 to 350 K" in [
        one.expectation for one in report.findings
    ]


def test_a_climatology_that_is_otherwise(server, tmp_path):
    need = serve_climatology(server, tmp_path, days=range(1, 361))
    report = only_report(archives_of(server), need)
    assert "dayofyear: no 361, 366; it has 1 to 360" in report.failure
    celsius = {"2m_temperature": "C", "geopotential": "m**2 s**-2"}
    need = serve_climatology(server, tmp_path, names=celsius)
    report = only_report(archives_of(server), need)
    assert any("2m_temperature" in one for one in differences(report))
    lacking = [one.difference for one in report.findings if one.difference and not one.matters]
    assert lacking == ["it lacks temperature"]


def archives_with(server, name, **values):
    return archives_of(server, sources={name: {"url": server.url} | values})


def nnja_archives(server, *data_sets):
    return archives_with(
        server, "nnja", layout="nnja_ai", url=f"{server.url}/{NNJA}", data_sets=data_sets
    )


def needs(name, days=DAYS):
    return Need(name, days[0][:7], days)


def serve_nnja(server, data_set, make, days=("2020-01-01", "2020-01-02", "2020-01-03")):
    for day in days:
        server.files[key_of(data_set, day)] = nnja_ai_files.content(make(day))
    message = data_set.rpartition("/")[2]
    server.files[f"{NNJA}/catalog.json"] = f'{{"x": {{"datasets": {{"{message}": 1}}}}}}'.encode()


def synop(day, count=48, **changes):
    """Reports of stations in the columns of NC000001."""
    hours = np.arange(count) % 24
    time = np.datetime64(day) + hours * np.timedelta64(1, "h")
    columns = common_columns(
        "NC000001", time, np.linspace(-60, 60, count), np.linspace(-170, 170, count)
    )
    values = {
        "SELV": 100.0,
        "WMOB": 10.0,
        "WMOS": 384.0,
        "TMPSQ1.TMDB": 285.0,
        "TMPSQ1.TMDP": 280.0,
        "TMPSQ1.QMAT": 2.0,
        "TMPSQ1.QMDD": 15.0,
        "WNDSQ1.WDIR": 270.0,
        "WNDSQ1.WSPD": 5.0,
        "WNDSQ1.QMWN": 0.0,
        "PRSSQ1.PRES": 100_000.0,
        "PRSSQ1.PMSL": 101_000.0,
        "PRSSQ1.QMPR": 2.0,
    } | changes
    columns |= {
        name: pa.array(np.full(count, value)) for name, value in values.items() if value is not None
    }
    columns["RPID"] = pa.array(["10384"] * count)
    return pa.table(columns)


def sounding(day, level=85_000.0):
    levels = [
        {
            "VSIG": 32.0,
            "PRLC": pressure,
            "UATMP": {"QMAT": 2.0, "TMDB": 280.0, "QMDD": 2.0, "TMDP": MISSING},
            "UAWND": {"QMWN": 2.0, "WDIR": 180.0, "WSPD": 10.0},
        }
        for pressure in (level, level / 2)
    ]
    columns = common_columns("NC002001", [np.datetime64(f"{day}T12")], [50.0], [10.0])
    return pa.table(columns | {"WMOB": [10.0], "WMOS": [384.0], "UARLV": [levels]})


def amsua(day):
    return nnja_ai_files.amsua(f"{day}T10:00:00", scans=4)


NNJA_SETS = {AMSUA: amsua, SYNOP: synop, SOUNDINGS: sounding}


@pytest.mark.parametrize("data_set", NNJA_SETS)
def test_nnja_ai_as_expected(server, data_set):
    serve_nnja(server, data_set, NNJA_SETS[data_set])
    report = only_report(nnja_archives(server, data_set), needs("nnja"))
    assert_as_expected(report)
    assert report.newest_day == "2020-01-03"
    assumed = " ".join(one.expectation for one in report.findings if one.assumed)
    assert "Google's JSON API lists the bucket" in assumed
    if data_set != AMSUA:
        assert "ON29" in assumed


@pytest.mark.parametrize("ranges", [True, False])
def test_nnja_ai_without_a_listing(server, ranges):
    serve_nnja(server, AMSUA, amsua)
    server.listings, server.ranges = False, ranges
    report = only_report(nnja_archives(server, AMSUA), needs("nnja"))
    assert_as_expected(report)
    others = [one.expectation for one in report.findings if one.difference]
    assert any("Google's JSON API" in one for one in others)
    assert any("byte ranges" in one for one in others) == (not ranges)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TMPSQ1.TMDB": None}, "it lacks TMPSQ1.TMDB"),
        ({"WNDSQ1.QMWN": None}, "quality marks (ON29): it lacks WNDSQ1.QMWN"),
        ({"TMPSQ1.TMDB": 12.0}, "TMPSQ1.TMDB in K: 100% of 48 values lie outside"),
        ({"PRSSQ1.PRES": 1000.0}, "PRSSQ1.PRES in Pa: 100% of"),
        ({"TMPSQ1.QMAT": 31.0}, "marks from 0 to 15 (ON29): there are 31.0"),
        ({"TMPSQ1.QMAT": 9.0}, "deny less than half: they deny 100%"),
        ({"WMOB": None, "SELV": None}, ""),
        ({"TMPSQ1.TMDP": MISSING}, ""),
    ],
)
def test_reports_that_are_otherwise(server, changes, words):
    serve_nnja(server, SYNOP, lambda day: synop(day, **changes))
    report = only_report(nnja_archives(server, SYNOP), needs("nnja"))
    if words:
        assert any(words in one for one in differences(report)), differences(report)
    else:
        assert_as_expected(report)


def test_the_number_after_prlc_is_pascals(server):
    serve_nnja(server, SOUNDINGS, lambda day: sounding(day, level=85.0))
    report = only_report(nnja_archives(server, SOUNDINGS), needs("nnja"))
    assert any("UARLV.PRLC in Pa: 100%" in one for one in differences(report))


def test_channels_that_lack_and_days_that_lack(server):
    serve_nnja(server, AMSUA, lambda day: amsua(day).drop_columns(["BRITCSTC.TMBR_00015"]))
    report = only_report(nnja_archives(server, AMSUA), needs("nnja", ("2020-01-02", "2020-01-09")))
    assert any("it lacks BRITCSTC.TMBR_00015" in one for one in differences(report))
    others = [one.difference for one in report.findings if not one.matters]
    assert "on 2 of them" in others
    report = only_report(nnja_archives(server, AMSUA), needs("nnja", ("2021-01-02", "2021-01-09")))
    assert any("2021-01-02 to 2021-01-09 are needed" in one for one in differences(report))


@pytest.mark.parametrize("content", [b"", b"PAR1 no more", b"<html></html>" * 9])
def test_a_file_that_is_no_parquet(server, content):
    serve_nnja(server, AMSUA, amsua)
    server.files[key_of(AMSUA, "2020-01-03")] = content
    report = only_report(nnja_archives(server, AMSUA), needs("nnja"))
    assert report.failure or any("Parquet" in one for one in differences(report))


def test_a_data_set_that_is_not_there(server):
    serve_nnja(server, AMSUA, amsua)
    report = only_report(nnja_archives(server, "amsua/1bamua/NC021024"), needs("nnja"))
    assert any("OBS_DATE=YYYY-MM-DD: there are none" in one for one in differences(report))


def serve_occultations(server, folder, version=1, day="01", **changes):
    layout = {"layout": "gnssro", "version": ["v1.1", "v2.0"][version - 1]}
    layout |= {"missions": ["metop/ucar"]}
    name = ("REFRACTIVITY_FILE", "VERSION_2_FILE")[version - 1]
    path = folder / getattr(open_occultation_files, name)
    open_occultation_files.open_occultation(path, HEIGHTS, atmosphere(HEIGHTS), version, **changes)
    archive = OccultationArchive(url=server.url, **layout)
    key = f"{mission_folder(archive, 'metop', 'ucar')}2018/07/{day}/{path.name}"
    server.files[key] = path.read_bytes()
    return archives_with(server, "gnssro", **layout), needs("gnssro", ("2018-07-01", "2018-07-01"))


@pytest.mark.parametrize("version", [1, 2])
def test_occultations_as_expected(server, tmp_path, version):
    report = only_report(*serve_occultations(server, tmp_path, version))
    assert_as_expected(report)
    assert report.newest_day == "2018-07-01"
    assert any("YYYY/MM/DD" in one.expectation and one.assumed for one in report.findings)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"day": "05"}, "of the folder's day: one is refractivityRetrieval"),
        ({"time": 1.5e9}, "refTime in GPS seconds: 1.5e+09 is 2027"),
        ({"refractivity": None}, "it lacks refractivity"),
        ({"bending": None}, "it lacks bendingAngle"),
    ],
)
def test_occultations_that_are_otherwise(server, tmp_path, changes, words):
    day = changes.get("day", "01")
    rest = {name: value for name, value in changes.items() if name not in ("day", "refractivity")}
    archives, need = serve_occultations(server, tmp_path, day=day, **rest)
    if "refractivity" in changes:
        (key,) = server.files
        server.files[key] = without_variable(tmp_path, server.files[key], "refractivity")
    report = only_report(archives, need)
    assert any(words in one for one in differences(report)), differences(report)


def without_variable(folder, content, name):
    import h5py

    path = folder / "changed.nc"
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        del file[name]
    return path.read_bytes()


def test_a_mission_that_is_not_there_and_a_file_that_is_none(server, tmp_path):
    archives, need = serve_occultations(server, tmp_path)
    other = archives_with(server, "gnssro", layout="gnssro", missions=["metop/jpl", "metop/ucar"])
    report = only_report(other, need)
    (gone,) = differences(report)
    assert gone.startswith("metop/jpl: files by day in contributed/v1.1/jpl/metop/")
    (key,) = server.files
    server.files[key] = server.files[key][:900]
    assert "no whole NetCDF-4" in only_report(archives, need).failure


def serve_granules(server, folder):
    data = atms_sdr_files.swath("2023-07-01T00:00:00")
    for path in atms_sdr_files.write_pair(folder, data):
        product = "ATMS-SDR" if path.name.startswith("SATMS") else "ATMS-SDR-GEO"
        server.files[f"{product}/2023/07/01/{path.name}"] = path.read_bytes()
    return archives_with(server, "atms", products=["ATMS-SDR", "ATMS-SDR-GEO"])


def test_granules(server, tmp_path):
    archives = serve_granules(server, tmp_path)
    days = ("2023-07-01", "2023-07-01")
    report = only_report(archives, needs("atms", days))
    assert_as_expected(report)
    assert report.newest_day == "2023-07-01"
    late = only_report(archives, needs("atms", ("2023-07-01", "2023-07-02")))
    assert any("it has 2023-07-01 to 2023-07-01" in one for one in differences(late))
    key = next(key for key in server.files if "GEO" in key)
    server.files[key.replace("GATMO", "other")] = server.files.pop(key)
    changed = only_report(archives, needs("atms", days))
    assert any("ATMS-SDR-GEO: names of files: one is other" in one for one in differences(changed))


def serve_gfs(server, leave_out=""):
    for day in ("20230701", "20230702"):
        for lead in (0, 6):
            index, body = inventory(lead, leave_out)
            message = b"GRIB\0\0\0\2" + b"x" * 8 + b"7777"
            body = message * (len(body) // 10)
            lines = [line.split(":", 2) for line in index.splitlines()]
            index = "\n".join(
                f"{number}:{i * len(message)}:{rest}" for i, (number, _, rest) in enumerate(lines)
            )
            name = f"gfs.{day}/00/atmos/gfs.t00z.pgrb2.0p25.f{lead:03d}"
            server.files[name], server.files[f"{name}.idx"] = body, index.encode()
    return needs("gfs", ("2023-07-01", "2023-07-02"))


def test_gfs(server):
    need = serve_gfs(server)
    report = only_report(archives_of(server), need)
    assert_as_expected(report)
    assert report.newest_day == "2023-07-02"


def test_gfs_without_a_channel_and_with_another_version_of_its_file(server):
    need = serve_gfs(server, leave_out=channel_table()[0].name)
    report = only_report(archives_of(server), need)
    assert any(channel_table()[0].name in one for one in differences(report))
    serve_gfs(server)
    for key in [key for key in server.files if key.endswith("f006")]:
        server.files[key] = b"yy" + server.files[key]
    report = only_report(archives_of(server), need)
    assert any("a message of GRIB 2 at 6 h" in one for one in differences(report))


def test_the_climate_data_store(server, monkeypatch):
    monkeypatch.setenv("CDSAPI_URL", server.url)
    monkeypatch.setenv("CDSAPI_KEY", "00000000-secret")
    archives = archives_of(server, "cds")
    assert_as_expected(only_report(archives, needs_era5()))
    monkeypatch.setenv("CDSAPI_KEY", "00000000-other")
    assert any("refuses the key" in one for one in differences(only_report(archives, needs_era5())))


def configuration(folder, server):
    """config/real.yaml with the addresses of a server, and ERA5 and AMSU-A alone."""
    values = yaml.safe_load((ROOT / "config" / "real.yaml").read_text(encoding="utf-8"))
    values["archives"] = {
        "era5": {"provider": "wb2", "wb2": {"url": f"{server.url}/{STORE}"}},
        "sources": {"nnja_amsua": {"url": f"{server.url}/{NNJA}"}},
    }
    values["periods"] = {
        "training": {"start": "2020-01-01", "end": "2020-01-31"},
        "observations": {"start": "2020-01-01", "end": "2020-01-31"},
        "cold_start": "2020-02-01",
        "test": {"start": "2020-02-02", "end": "2020-02-03"},
    }
    values["segment_months"] = 1
    values["experiment"]["sources"] = ["nnja_amsua"]
    values["experiment"]["training"]["joint"]["observation_loss"] = {"sources": []}
    del values["verification"]["systems"], values["verification"]["climatology"]
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return [str(path)]


def test_the_command_prints_a_table_and_keeps_nothing(server, tmp_path, monkeypatch, capsys):
    paths = configuration(tmp_path, server)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    serve_era5(server, tmp_path, axis=4 * 60)
    days = [str(day) for day in np.arange("2020-01-01", "2020-02-20", dtype="datetime64[D]")]
    serve_nnja(server, AMSUA, amsua, days)
    status = main(["archive-check", *paths])
    shown = capsys.readouterr().out
    assert status == 0, shown
    lines = shown.splitlines()
    assert lines[0].split() == ["provider", "reachable", "as", "expected", "newest", "day"]
    assert {line.split()[0] for line in lines[1:3]} == {"era5", "nnja_amsua"}
    assert "[U] NC021023: Google's JSON API lists the bucket" in shown
    assert not list(work.iterdir())
    server.files = {key: body for key, body in server.files.items() if "/OBS_DATE" not in key}
    assert main(["archive-check", *paths]) == 1
    assert "OBS_DATE=YYYY-MM-DD: there are none" in capsys.readouterr().out


def test_a_made_world_has_no_archives(capsys):
    assert main(["archive-check", str(ROOT / "config" / "test.yaml")]) == 1
    assert "kind is embedded" in capsys.readouterr().err


def test_every_archive_has_its_check():
    names = [task.name for task in archive_tasks(load_archives())]
    assert {"era5 (wb2)", "era5 (arco)", "era5 (cds)", "gfs", "gnssro", "nnja_amsua"} <= {*names}
    assert not [task for task in archive_tasks(load_archives()) if task.check is None]
    assert {*archive_check.SOURCE_CHECKS} == {*LAYOUTS}


def test_a_period_that_is_not_reached():
    outside = findings.outside_period
    assert outside("2020-01-01", "2020-12-31", ("2020-01-01", "2020-12-31")) == ""
    assert outside(None, None, None) == ""
    assert outside("2020-01-02", "2020-12-31", ("2020-01-01", "2020-12-31"))
    assert "it has nothing to nothing" in outside(None, None, ("2020-01-01", "2020-12-31"))


def test_a_remote_file_is_read_in_pieces(server):
    server.files["x"] = bytes(range(200))
    with findings.HurriedSession(float("inf")) as session:
        file = findings.RemoteFile(session, f"{server.url}/x", 200)
        file.seek(-4, 2)
        assert file.read() == bytes([196, 197, 198, 199])
        assert file.read(1) == b""
        file.seek(10)
        assert (file.read(3), file.tell()) == (bytes([10, 11, 12]), 13)
    assert [span for _, span in server.requests] == ["bytes=196-199", "bytes=10-12"]
