"""Provenance stamps."""

import json
import os

import pytest

from fuxiflow.storage import provenance


@pytest.fixture(autouse=True)
def _forget():
    token = provenance._current.set(None)
    yield
    provenance._current.reset(token)


def test_digests_are_of_values_and_not_of_order():
    assert provenance.digest({"a": 1, "b": [2]}) == provenance.digest({"b": [2], "a": 1})
    assert provenance.digest({"a": 1}) != provenance.digest({"a": 2})
    assert len(provenance.digest(None)) == 16


def test_small_files_by_bytes(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("x")
    b.write_text("x")
    assert provenance.file_digest(a) == provenance.file_digest(b)
    b.write_text("y")
    assert provenance.file_digest(a) != provenance.file_digest(b)


def test_large_files_by_size_and_time(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes((1 << 20) + 1))
    before = provenance.file_digest(path)
    os.utime(path, (1, 1))
    assert provenance.file_digest(path) != before


def test_folders_by_their_stamp(tmp_path):
    store = tmp_path / "a.zarr"
    store.mkdir()
    (store / "one").write_text("1")
    bare = provenance.file_digest(store)
    (store / "zarr.json").write_text("{}")
    stamped = provenance.file_digest(store)
    (store / "two").write_text("2")
    assert provenance.file_digest(store) == stamped != bare


def test_collect(tmp_path):
    file = tmp_path / "in"
    file.write_text("x")
    params = {"code": "abc", "seed": 1, "world": "embedded synthetic world"}
    found = provenance.collect("some_rule", params, [file, tmp_path / "absent"])
    assert found["rule"] == "some_rule"
    assert found["code"] == "abc"
    assert found["inputs"] == {str(file): provenance.file_digest(file)}
    assert found["configuration"] == provenance.digest(
        {"seed": 1, "world": "embedded synthetic world"}
    )
    assert found["world"] == "embedded synthetic world"
    assert found["versions"]["fuxiflow"]
    again = provenance.collect("some_rule", params | {"code": "def"}, [file])
    assert again["configuration"] == found["configuration"]


def test_current_and_sidecar(tmp_path):
    assert provenance.current()["rule"] == "interactive"
    provenance.use({"rule": "r"})
    provenance.write_sidecar(tmp_path)
    assert (
        json.loads((tmp_path / "provenance.json").read_text())
        == {"rule": "r"}
        == json.loads(provenance.as_json())
    )


def test_outside_a_checkout_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit() == "unknown"
