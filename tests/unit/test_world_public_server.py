"""A folder is served as buckets are: ranges, listings with pages, 404."""

import contextlib
import socket
import sys

import pytest
import requests

from fuxiflow import ROOT
from fuxiflow.archive.listings import list_google_objects, list_objects
from fuxiflow.archive.transfer import fetch, fetch_ranges
from fuxiflow.cli import main
from fuxiflow.world.public_server import FolderServer, PublicServer, running

BODY = bytes(range(256)) * 40
KEYS = [f"day/file {number} &.nc" for number in range(5)]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "mirror"
    for key in ["x", *KEYS]:
        path = root / "bucket" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(BODY)
    (tmp_path / "secret").write_bytes(b"not served")
    return root


@pytest.fixture
def served(folder, monkeypatch):
    monkeypatch.setattr(PublicServer, "page", 2)
    with running(FolderServer(folder)) as server:
        yield server.url


@pytest.fixture
def session():
    with requests.Session() as open_session:
        yield open_session


def test_downloads_get_whole_files_and_ranges(served, session, tmp_path):
    assert fetch(session, f"{served}/bucket/x", tmp_path / "a").path.read_bytes() == BODY
    ranges = [(10, 20), (300, None)]
    fetched = fetch_ranges(session, f"{served}/bucket/x", tmp_path / "b", ranges)
    assert fetched.path.read_bytes() == BODY[10:20] + BODY[300:]


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=5-9", 206, BODY[5:10]),
        ("bytes=5-", 206, BODY[5:]),
        (f"bytes={len(BODY)}-", 416, b""),
        (f"bytes=0-{10 * len(BODY)}", 206, BODY),
    ],
)
def test_a_range(served, session, asked, status, body):
    answer = session.get(f"{served}/bucket/x", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, body)


def test_a_range_of_another_version_is_all_of_it(served, session):
    headers = {"Range": "bytes=0-3", "If-Range": '"other"'}
    answer = session.get(f"{served}/bucket/x", headers=headers)
    assert (answer.status_code, answer.content) == (200, BODY)


@pytest.mark.parametrize("path", ["y", "bucket", "bucket/day", "", "../secret", "%2e%2e/secret"])
def test_nothing_else_is_there(served, path):
    request = requests.Request("GET", served).prepare()
    request.url = f"{served}/{path}"
    with requests.Session() as session:
        assert session.send(request).status_code == 404


def test_both_listings_go_on_to_the_last_page(served, session):
    assert [key for key, _ in list_objects(session, f"{served}/bucket", "day/")] == KEYS
    assert list(list_objects(session, f"{served}/bucket", "x")) == [("x", len(BODY))]
    assert list(list_objects(session, f"{served}/bucket", "none/")) == []
    assert list_google_objects(session, f"{served}/bucket", "day/") == KEYS
    assert list_google_objects(session, f"{served}/bucket/day", "file 3") == ["file 3 &.nc"]
    assert list_google_objects(session, f"{served}/bucket", "none/") == []


def test_folders_are_listed_where_a_delimiter_is_given(served, session):
    query = {"list-type": "2", "prefix": "", "delimiter": "/"}
    text = session.get(f"{served}/bucket/", params=query).text
    assert "<CommonPrefixes><Prefix>day/</Prefix></CommonPrefixes>" in text
    assert "<Key>x</Key>" in text
    assert "file" not in text
    page = session.get(f"{served}/storage/v1/b/bucket/o", params={"delimiter": "/"}).json()
    assert page == {"items": [{"name": "x"}], "prefixes": ["day/"]}


def test_a_command_is_run_with_the_folder_served(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    code = (
        "import sys, urllib.request as r\n"
        f"assert r.urlopen('{url}/bucket/x').status == 200\n"
        "sys.exit(3)"
    )
    serve = ["serve", "--port", str(port), str(folder), "--"]
    assert main([*serve, sys.executable, "-c", code]) == 3
    assert url in capsys.readouterr().out


def test_a_configuration_gets_the_address_of_the_server(folder, tmp_path, capsys):
    config = tmp_path / "here.yaml"
    config.write_text("store: http://127.0.0.1:8700/bucket/x\n", encoding="utf-8")
    code = (
        "import sys, urllib.request as r\n"
        "place = open(sys.argv[1]).read().split()[1]\n"
        "assert ':8700' not in place and r.urlopen(place).status == 200\n"
        "sys.exit(4)"
    )
    serve = ["serve", "--config", str(config), str(folder), "--"]
    # where 8700 is taken too
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", 8700))
        assert main([*serve, sys.executable, "-c", code, str(config)]) == 4
    assert "8700" in config.read_text(encoding="utf-8")
    config.write_text("store: https://elsewhere/x\n", encoding="utf-8")
    assert main([*serve, "true"]) == 1
    assert "no address http://127.0.0.1:8700" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["serve", str(tmp_path / "none"), "--", "true"]) == 1
    assert "fuxiflow publish" in capsys.readouterr().err


def test_only_an_embedded_world_is_published(tmp_path, capsys):
    assert (
        main(["publish", str(ROOT / "config/real.yaml"), "--folder", str(tmp_path / "mirror")]) == 1
    )
    assert "allowed: embedded" in capsys.readouterr().err
