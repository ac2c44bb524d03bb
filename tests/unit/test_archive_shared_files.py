"""A file that several sources have is fetched once."""

import logging
import os

import pytest

from fuxiflow.archive import fetching
from fuxiflow.archive.needs import Need
from fuxiflow.archive.shared_files import products_of_same_files
from fuxiflow.config.archives import load_archives
from fuxiflow.storage.manifests import read_manifest

LOG = logging.getLogger("test")
FOLDER = "observations/reanalysis/conv/prepbufr"
NAME = "gdas.20220730.t06z.prepbufr.nr"
KEY = f"{FOLDER}/2022/07/prepbufr/{NAME}"
SOURCES = ("prepbufr_land_stations", "prepbufr_ships_buoys", "prepbufr_radiosondes")


@pytest.fixture
def archives(server):
    server.files[KEY] = b"a file of PrepBUFR"
    return load_archives(changes={"sources": {name: {"url": server.url} for name in SOURCES}})


def fetch(source, archives, store):
    need = Need(source, "2022-07", ("2022-07-30", "2022-07-30"))
    fetching.fetch_need(need, store, archives, LOG)
    return store / source / "2022-07" / NAME


def loads(server):
    return [path for path, _ in server.requests if path == f"/{KEY}"]


def test_the_first_source_fetches_and_the_others_link(server, archives, tmp_path):
    paths = [fetch(source, archives, tmp_path) for source in SOURCES]
    assert len(loads(server)) == 1
    assert {path.read_bytes() for path in paths} == {server.files[KEY]}
    assert len({path.stat().st_ino for path in paths}) == 1
    entries = [read_manifest(path.parent).files[NAME] for path in paths]
    assert len({(entry.origin, entry.sha256) for entry in entries}) == 1


def test_files_are_copied_where_there_are_no_links(server, archives, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    paths = [fetch(source, archives, tmp_path) for source in SOURCES[:2]]
    assert len(loads(server)) == 1
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_ino != paths[1].stat().st_ino


@pytest.mark.parametrize("harm", [lambda path: path.write_bytes(b"A file of PrepBUFR"), os.remove])
def test_what_is_damaged_or_gone_is_not_linked(server, archives, tmp_path, harm):
    harm(fetch(SOURCES[0], archives, tmp_path))
    assert fetch(SOURCES[1], archives, tmp_path).read_bytes() == server.files[KEY]
    assert len(loads(server)) == 2


def test_which_sources_share_files():
    archives = load_archives()
    assert products_of_same_files(archives, SOURCES[0]) == list(SOURCES[1:])
    assert products_of_same_files(archives, "ncep_amsua") == []
    elsewhere = {"sources": {SOURCES[1]: {"url": "http://mirror"}}}
    assert products_of_same_files(load_archives(changes=elsewhere), SOURCES[0]) == [SOURCES[2]]
