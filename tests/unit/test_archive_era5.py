"""What is asked of the Climate Data Store, and its client against a store on this machine."""

import logging
from datetime import date

import pytest
import requests

from fuxiflow import channels
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


def asked(start, end, days=8):
    return {
        name: (dataset, request)
        for name, dataset, request in era5.requests_of(channels.channel_table(), start, end, days)
    }


def test_requests_of_a_segment():
    by_file = asked(date(2022, 1, 20), date(2022, 2, 3))
    assert sorted(by_file) == sorted(
        [
            f"{kind}_{day}.grib"
            for kind in ("pressure_levels", "single_levels", "precipitation")
            for day in ("20220120", "20220128", "20220201")
        ]
        + ["precipitation_before.grib"]
    )
    dataset, upper = by_file["pressure_levels_20220128.grib"]
    assert dataset == "reanalysis-era5-pressure-levels"
    assert upper["day"] == ["28", "29", "30", "31"]
    assert upper["time"] == ["00:00", "06:00", "12:00", "18:00"]
    assert len(upper["pressure_level"]) == 13
    assert upper["variable"] == [
        "geopotential",
        "temperature",
        "u_component_of_wind",
        "v_component_of_wind",
        "relative_humidity",
    ]
    dataset, surface = by_file["single_levels_20220201.grib"]
    assert dataset == "reanalysis-era5-single-levels"
    assert (surface["year"], surface["month"], surface["day"]) == (
        ["2022"],
        ["02"],
        ["01", "02", "03"],
    )
    assert surface["variable"] == [
        "2m_temperature",
        "10m_u_component_of_wind",
        "10m_v_component_of_wind",
        "mean_sea_level_pressure",
    ]


def test_six_hour_sums_of_the_first_day_reach_into_the_day_before():
    by_file = asked(date(2022, 1, 1), date(2022, 1, 2))
    assert len(by_file["precipitation_20220101.grib"][1]["time"]) == 24
    before = by_file["precipitation_before.grib"][1]
    assert (before["year"], before["month"], before["day"]) == (["2021"], ["12"], ["31"])
    assert before["time"] == ["19:00", "20:00", "21:00", "22:00", "23:00"]


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
