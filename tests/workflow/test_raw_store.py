"""No change, no failure and no command removes what was fetched, or asks for it again."""

from datetime import date
from pathlib import Path

import pytest

from fuxiflow import times
from fuxiflow.archive import gfs
from tests.support.archive_server import archive
from tests.unit.test_archive_gfs import inventory
from tests.workflow.workbench import Workbench

# the server's files are tiny: what those of an archive would take need not fit where tests run
OVERLAY = """\
name: archived
kind: archive
check_space: false
verification:
  references: [era5, own]
# the server has no best tracks
cyclones: null
"""
FURTHER = "T70,temperature,70,temperature at 70 hPa,K,150,300,0.2,0.02,130,1,0,0,0,100,70,1\n"
CONFIGURATION = "test+archived"


def serve(server):
    """Serve GFS and ATMS from the cold start to some days after the test; ERA5 is made."""
    for init in times.times(date(2022, 2, 1), date(2022, 2, 9)):
        for lead in range(0, 55, 6):
            text, body = inventory(lead)
            step = "anl" if lead == 0 else f"{lead} hour fcst"
            text += f"999:{len(body)}:d=2022020100:TMP:70 mb:{step}:\n"
            name = gfs.file_path(init, lead, "0p25")
            server.files |= {f"{name}.idx": text.encode(), name: body + b"TMP at 70 "}
    for day in [date(2022, 1, 22 + i) for i in range(10)] + [date(2022, 2, i) for i in range(1, 8)]:
        for kind, product in (("SATMS", "ATMS-SDR"), ("GATMO", "ATMS-SDR-GEO")):
            name = f"{kind}_j01_d{day:%Y%m%d}_t0000000_e0000320_b1_c2_oebc_ops.h5"
            server.files[f"{product}/{day:%Y/%m/%d}/{name}"] = name.encode()


@pytest.fixture(scope="module")
def server():
    with archive() as running:
        serve(running)
        yield running


@pytest.fixture(scope="module")
def filled(checkout, server, tmp_path_factory):
    """A copy whose raw store was filled from the server."""
    copy = checkout.clone(tmp_path_factory.mktemp("filled") / "fuxiflow")
    (copy.folder / "config" / "archived.yaml").write_text(OVERLAY)
    path = copy.folder / "config" / "archive.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text(
        "\n".join(
            f"  url: {server.url}" if line.startswith("  url:") else line for line in lines
        ).replace("https://noaa-nesdis-n20-pds.s3.amazonaws.com", server.url)
        + "\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDSAPI_URL", server.url)
        patch.setenv("CDSAPI_KEY", "00000000-secret")
        fetch(copy)
        yield copy


@pytest.fixture
def copy(filled, server, tmp_path, monkeypatch):
    """A copy of one's own of :func:`filled`; the server's log is empty."""
    monkeypatch.setenv("CDSAPI_URL", server.url)
    monkeypatch.setenv("CDSAPI_KEY", "00000000-secret")
    server.requests.clear()
    server.store_requests.clear()
    return filled.clone(tmp_path / "fuxiflow")


def fetch(bench: Workbench, *words, check=True):
    return bench.snakemake(
        "--cores", "2", "archive", *words, configuration=CONFIGURATION, check=check
    )


def planned(bench):
    jobs = bench.plan("archive", configuration=CONFIGURATION)
    return {(j.wildcards["product"], j.wildcards["segment"]) for j in jobs if j.outputs}


def raw_files(bench) -> dict[str, tuple]:
    """Names of the files of the store, each with what tells that it is still the same file."""
    store = bench.folder / "resources" / "archive"
    return {
        path.relative_to(store).as_posix(): (
            path.stat().st_mtime_ns,
            path.stat().st_ino,
            path.read_bytes(),
        )
        for path in sorted(store.rglob("*"))
        if path.is_file() and ".partial" not in path.parts and path.name != "manifest.json"
    }


def asked_files(server):
    """Objects of the buckets that were asked for; not what tries the key or lists."""
    return {path for path, _ in server.requests if path.lstrip("/") in server.files}


def kept(before: dict, after: dict) -> bool:
    return {name: after.get(name) for name in before} == before


def edit(name, old, new):
    return lambda bench: bench.edit(name, old, new)


def append(name, text):
    def change(bench):
        path = bench.folder / name
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")

    return change


def move(bench):
    """Another address for everything."""
    path = bench.folder / "config" / "archive.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("127.0.0.1", "localhost"))


HARMLESS = {
    "code that shows progress": append("fuxiflow/progress.py", "\n\nADDED = 1\n"),
    "code that fetches": append("fuxiflow/archive/fetching.py", "\n\nADDED = 1\n"),
    "code of requests": append("fuxiflow/archive/era5.py", "\n\nADDED = 1\n"),
    "the script": append("workflow/scripts/archive_fetch.py", "\n\nADDED = 1\n"),
    "a weight of the loss": edit(
        "config/channels.csv",
        "T2M,2m_temperature,,2 m temperature,K,130,340,1,",
        "T2M,2m_temperature,,2 m temperature,K,130,340,2,",
    ),
    "the size of requests": edit(
        "config/archive.yaml", "days_per_request: 8", "days_per_request: 4"
    ),
    "the addresses": move,
    "the addresses, by the run's configuration": append(
        "config/archived.yaml", "archives: {era5: {provider: arco}, gfs: {url: http://localhost}}\n"
    ),
}


def test_the_store_is_filled_once(filled):
    names = raw_files(filled)
    products = {name.split("/")[0] for name in names}
    assert products == {"era5", "gfs", "noaa20_atms"}
    assert planned(filled) == set()


@pytest.mark.parametrize("change", HARMLESS)
def test_what_changes_no_raw_file_plans_no_job(copy, server, change):
    before = raw_files(copy)
    HARMLESS[change](copy)
    assert planned(copy) == set()
    if change in ("the addresses", "the size of requests", "code that fetches"):
        # nor does a job that runs all the same ask for anything
        receipts = sorted((copy.folder / "results/archived/archive").rglob("*.json"))
        contents = [path.read_bytes() for path in receipts]
        fetch(copy, "--forcerun", "archive_fetch")
        assert [path.read_bytes() for path in receipts] == contents
    assert raw_files(copy) == before
    assert not asked_files(server)
    assert not server.store_requests


def test_one_more_day_fetches_one_day(copy, server):
    before = raw_files(copy)
    copy.edit("config/test.yaml", "end: 2022-02-05}\n\nworld", "end: 2022-02-06}\n\nworld")
    assert planned(copy) == {(name, "2022-02") for name in ("era5", "gfs", "noaa20_atms")}
    fetch(copy)
    after = raw_files(copy)
    assert kept(before, after)
    new = {name.split("/")[0]: name for name in after.keys() - before.keys()}
    assert set(new) == {"era5", "gfs", "noaa20_atms"}
    assert {tuple(request["day"]) for _, request in server.store_requests} == {("08",)}
    # analyses of the last day, forecasts from the day more
    new_days = ("gfs.20220208", "gfs.20220206", "d20220206", "/result")
    others = {path for path in asked_files(server) if not any(day in path for day in new_days)}
    assert others == set()


def test_one_more_channel_fetches_that_field_alone(copy, server):
    before = raw_files(copy)
    append("config/channels.csv", FURTHER)(copy)
    # precipitation is the last channel
    path = copy.folder / "config" / "channels.csv"
    *lines, rain, further = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, further, rain]) + "\n", encoding="utf-8")
    assert planned(copy) == {("era5", "2022-01"), ("era5", "2022-02"), ("gfs", "2022-02")}
    fetch(copy)
    after = raw_files(copy)
    assert kept(before, after)
    assert {
        (*request["variable"], *request["pressure_level"]) for _, request in server.store_requests
    } == {("temperature", "70")}
    new = [name for name in after.keys() - before.keys() if name.startswith("gfs/")]
    assert new
    assert {after[name][2] for name in new} == {b"TMP at 70 "}


def test_a_store_that_fails_leaves_everything_there(copy, server):
    before = raw_files(copy)
    manifests = {
        path: path.read_bytes() for path in (copy.folder / "resources").rglob("manifest.json")
    }
    copy.edit("config/test.yaml", "end: 2022-02-05}\n\nworld", "end: 2022-02-06}\n\nworld")
    refused = [f"/{name}" for name in server.files if "20220208" in name or "d20220206" in name]
    for path in refused:
        server.faults[path] = [403] * 20
    try:
        assert fetch(copy, "--keep-going", check=False).returncode != 0
    finally:
        server.faults.clear()
    assert kept(before, raw_files(copy))
    assert all(Path(path).exists() for path in manifests)
    # what came before the failure is kept, and the same command goes on
    first = raw_files(copy)
    server.requests.clear()
    fetch(copy)
    assert kept(first, raw_files(copy))
    assert len(raw_files(copy)) > len(before)


def test_deleting_all_output_leaves_the_store_alone(copy):
    before = raw_files(copy)
    said = fetch(copy, "--delete-all-output", "--dry-run").stdout
    assert "results/archived/archive/era5/2022-01.json" in said
    assert "resources/archive" not in said
    fetch(copy, "--delete-all-output")
    assert not list((copy.folder / "results/archived/archive").rglob("*.json"))
    assert raw_files(copy) == before
