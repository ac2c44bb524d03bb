"""What is asked of the Climate Data Store, and its client against a store on this machine."""

import hashlib
import json
import logging

import pytest
import requests

from fuxiflow.archive import era5
from fuxiflow.archive.transfer import DownloadError

LOG = logging.getLogger("test")


@pytest.fixture
def key(server, monkeypatch, tmp_path):
    monkeypatch.setenv("CDSAPI_URL", server.url)
    monkeypatch.setenv("CDSAPI_KEY", "00000000-secret")


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    for name in ("CDSAPI_URL", "CDSAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "rc"))
    return tmp_path / "rc"


def test_download_through_the_client(server, key, tmp_path):
    request = era5.invariants_request()
    with requests.Session() as session:
        target = tmp_path / "i.grib"
        era5.retrieve(era5.client(LOG), era5.SINGLE, request, session, target)
        assert target.read_bytes().startswith(b"reanalysis-era5-single-levels")
        era5.retrieve(None, era5.SINGLE, request, session, target)
    assert server.store_requests == [(era5.SINGLE, request)]


def test_a_refusal_is_told_in_the_stores_words(server, key, tmp_path):
    request = era5.invariants_request() | {"variable": ["refuse"]}
    with (
        requests.Session() as session,
        pytest.raises(DownloadError, match=r"i\.grib.*(no such variable|invalid)"),
    ):
        era5.retrieve(era5.client(LOG), era5.SINGLE, request, session, tmp_path / "i.grib")


def test_without_a_key_the_message_says_what_to_do(nobody):
    with pytest.raises(era5.CredentialsError, match="CDSAPI_URL and CDSAPI_KEY") as caught:
        era5.client(LOG)
    assert str(nobody) in str(caught.value)
    nobody.write_text("url: https://store\n")
    with pytest.raises(era5.CredentialsError):
        era5.require_key()


def test_either_place_of_a_key_will_do(nobody, monkeypatch):
    nobody.write_text("url: https://store\nkey: 0-0\n")
    era5.require_key()
    nobody.unlink()
    monkeypatch.setenv("CDSAPI_URL", "https://store")
    monkeypatch.setenv("CDSAPI_KEY", "0-0")
    era5.require_key()


@pytest.fixture
def session():
    with requests.Session() as running:
        yield running


REQUEST = era5.invariants_request()


def load(session, target):
    return era5.retrieve(era5.client(LOG), era5.SINGLE, REQUEST, session, target)


def polls(server):
    return [path for path, _ in server.requests if path.startswith("/retrieve/v1/jobs/")]


def killed(monkeypatch, session, target, after):
    """A job is killed when it waits the given time."""
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(era5.time, "sleep", sleep)
        with pytest.raises(KeyboardInterrupt):
            load(session, target)


def test_a_killed_job_waits_on_for_its_request(server, key, session, tmp_path, monkeypatch):
    server.states = ["accepted", "running", "running"]
    target = tmp_path / "x" / "i.grib"
    killed(monkeypatch, session, target, 2)
    assert [path.name for path in target.parent.iterdir()] == ["i.grib.request"]
    assert "secret" not in (target.parent / "i.grib.request").read_text()
    fetched = load(session, target)
    assert fetched.path.read_bytes().startswith(era5.SINGLE.encode())
    assert len(server.store_requests) == 1
    assert [path.name for path in target.parent.iterdir()] == ["i.grib"]


def test_another_request_is_not_taken_for_the_one_that_was_made(
    server, key, session, tmp_path, monkeypatch
):
    server.states = ["accepted"] * 3
    target = tmp_path / "i.grib"
    killed(monkeypatch, session, target, 1)
    other = REQUEST | {"variable": ["geopotential"]}
    era5.retrieve(era5.client(LOG), era5.SINGLE, other, session, target)
    assert [asked["variable"] for _, asked in server.store_requests] == [
        REQUEST["variable"],
        ["geopotential"],
    ]
    assert b'["geopotential"]' in target.read_bytes()


@pytest.mark.parametrize("note", ["", "{", "[1]", '{"identifier": "1"}'])
def test_a_damaged_note_of_a_request_counts_for_nothing(server, key, session, tmp_path, note):
    (tmp_path / "i.grib.request").write_text(note)
    assert load(session, tmp_path / "i.grib").size
    assert len(server.store_requests) == 1


def lost_request(server):
    server.forgotten = {"1"}


def lost_result(server):
    del server.files["result1.grib"]


def failed_request(server):
    server.states = ["failed", "failed"]
    server.faults["/retrieve/v1/jobs/1/results"] = [400]


def dismissed_request(server):
    server.states = ["dismissed", "dismissed"]


@pytest.mark.parametrize("loss", [lost_request, lost_result, failed_request, dismissed_request])
def test_what_the_store_lost_is_asked_for_anew(
    server, key, session, tmp_path, monkeypatch, loss, caplog
):
    server.states = ["accepted"] * 2
    killed(monkeypatch, session, tmp_path / "i.grib", 1)
    server.states = []
    loss(server)
    assert load(session, tmp_path / "i.grib").size
    assert len(server.store_requests) == 2
    assert "i.grib" in caplog.text
    assert "asked for anew" in caplog.text


def test_a_result_that_went_while_it_was_loaded_is_asked_for_anew(server, key, session, tmp_path):
    server.faults["/result1.grib"] = ["cut", 404]
    assert load(session, tmp_path / "i.grib").path.read_bytes().startswith(era5.SINGLE.encode())
    assert len(server.store_requests) == 2


def test_a_store_that_loses_everything_is_given_up(server, key, session, tmp_path):
    server.faults |= {f"/result{i}.grib": [404] for i in range(1, 9)}
    with pytest.raises(DownloadError, match=rf"i\.grib: .*{server.url} has lost 3 requests"):
        load(session, tmp_path / "i.grib")


@pytest.mark.parametrize("state", ["failed", "rejected", "dismissed", "new in this version"])
def test_a_request_that_fails_is_told_with_the_stores_words(server, key, session, tmp_path, state):
    server.states = [state]
    with pytest.raises(DownloadError, match=rf"{era5.SINGLE}, i\.grib: .*refused or failed"):
        load(session, tmp_path / "i.grib")
    assert load(session, tmp_path / "i.grib").size


def md5(body):
    return hashlib.md5(body).hexdigest()


def test_the_stores_checksum_is_compared(server, key, session, tmp_path):
    body = f"{era5.SINGLE} {json.dumps(REQUEST)}".encode()
    server.asset = {"file:checksum": md5(body)}
    server.faults["/result1.grib"] = ["flip"]
    fetched = load(session, tmp_path / "i.grib")
    assert fetched.path.read_bytes() == body
    assert fetched.agreed == ("md5 (file:checksum)",)
    assert fetched.sha256 == hashlib.sha256(body).hexdigest()
    server.asset = {"file:checksum": "0" * 31 + "1"}
    with pytest.raises(DownloadError, match=r"file:checksum is 0{31}1, that of .* is " + md5(body)):
        load(session, tmp_path / "j.grib")


def test_the_store_is_asked_again_where_it_fails_for_a_while(server, key, session, tmp_path):
    server.faults |= {
        "/retrieve/v1/jobs/1": [502, 502],
        f"/retrieve/v1/processes/{era5.SINGLE}/execution": [(429, {"Retry-After": "1"})],
    }
    assert load(session, tmp_path / "i.grib").size
    assert len(server.store_requests) == 1


def test_a_store_that_is_not_there_is_given_up_within_minutes(
    nobody, monkeypatch, session, tmp_path
):
    monkeypatch.setenv("CDSAPI_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("CDSAPI_KEY", "none")
    waits = []
    monkeypatch.setattr(era5.time, "sleep", waits.append)
    with pytest.raises(DownloadError, match=r"i\.grib: .*Is 127\.0\.0\.1:9 reachable"):
        load(session, tmp_path / "i.grib")
    assert sum(waits) < 15 * 60


def test_a_full_queue_does_not_hold_for_ever(server, key, session, tmp_path, monkeypatch):
    monkeypatch.setattr(era5, "QUEUE_PATIENCE", 0)
    server.states = ["accepted"] * 9
    with pytest.raises(DownloadError, match=r"request 1 is not ready.*same command again"):
        load(session, tmp_path / "i.grib")
    server.states = []
    load(session, tmp_path / "i.grib")
    assert len(server.store_requests) == 1


def test_licences_that_a_request_lacks_are_named(server, key, session, tmp_path):
    server.accepted_licences = []
    with pytest.raises(DownloadError, match=rf"licences.*{era5.SINGLE}\?tab=download#manage"):
        load(session, tmp_path / "i.grib")
    assert len(server.store_requests) == 1


def test_credentials_are_tried_by_one_request(server, key):
    era5.check_credentials()
    server.keys = {"another"}
    with pytest.raises(era5.CredentialsError, match=r"refuses the key in CDSAPI_KEY.*invalid tok"):
        era5.check_credentials()


def test_licences_are_looked_up(server, key):
    server.accepted_licences = []
    with pytest.raises(era5.CredentialsError, match="CC-BY licence of reanalysis-era5-pressure"):
        era5.check_credentials()


@pytest.mark.parametrize("status", [404, 500])
def test_a_store_without_such_a_service_does_not_stop_a_run(server, key, status, caplog):
    server.faults["/profiles/v1/account/verification/pat"] = [status]
    era5.check_credentials()
    assert "could not be tried" in caplog.text
    server.faults["/catalogue/v1/vocabularies/licences"] = [status]
    era5.check_credentials()


def test_a_store_that_does_not_answer_does_not_stop_a_run(nobody, monkeypatch, caplog):
    monkeypatch.setenv("CDSAPI_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("CDSAPI_KEY", "none")
    era5.check_credentials(timeout=1)
    assert "could not be tried" in caplog.text


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("https://cds.climate.copernicus.eu/api", "12345:0000-0000"),
        ("https://cds.climate.copernicus.eu/api/v2", "0000-0000"),
    ],
)
def test_what_served_the_old_api_is_refused(nobody, url, value):
    nobody.write_text(f"url: {url}\nkey: {value}\n")
    with pytest.raises(
        era5.CredentialsError, match=r"rc is one of the .* old API.*profile"
    ) as told:
        era5.require_key()
    assert "0000" not in str(told.value)
