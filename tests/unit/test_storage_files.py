"""Files are whole or absent; a restart directory is kept while it fits, and else set aside."""

import os
import subprocess
import sys

import pytest

from fuxiflow import ROOT
from fuxiflow.storage import files, provenance
from fuxiflow.storage.files import (
    leftovers,
    publish,
    state_key,
    superseded,
    temporary,
    whole_file,
    workspace,
)

RUNNING = {
    "rule": "cycling_analyses",
    "configuration": "c1",
    "code": "k1",
    "inputs": {"a.zarr": "i1"},
}


@pytest.fixture(autouse=True)
def running():
    provenance.use(dict(RUNNING))
    yield
    provenance.use(None)


@pytest.fixture
def begun(tmp_path):
    """A workspace with something in it."""
    state = workspace(tmp_path / "deep" / "state")
    (state / "saved.pt").write_text("half way")
    (state / "part.zarr").mkdir()
    return state


def test_the_same_rule_finds_what_it_left(begun):
    assert (workspace(begun) / "saved.pt").read_text() == "half way"


def test_versions_and_commit_do_not_matter(begun):
    provenance.use({**RUNNING, "commit": "other", "versions": {"numpy": "1"}})
    assert (workspace(begun) / "saved.pt").exists()


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("configuration", "c2"),
        ("code", "k2"),
        ("rule", "training_joint"),
        ("inputs", {"a.zarr": "i2"}),
        ("inputs", {}),
    ],
)
def test_what_was_made_otherwise_is_set_aside(begun, changed, value, caplog):
    provenance.use({**RUNNING, changed: value})
    assert sorted(path.name for path in workspace(begun).iterdir()) == ["key"]
    assert (superseded(begun) / "saved.pt").read_text() == "half way"
    assert "state.superseded" in caplog.text
    # and belongs to the new rule from now on
    (begun / "saved.pt").write_text("anew")
    assert (workspace(begun) / "saved.pt").exists()


def test_a_directory_without_a_key_is_not_trusted(begun):
    (begun / "key").unlink()
    assert not (workspace(begun) / "saved.pt").exists()


def test_keys_are_digests_of_what_a_rule_depends_on():
    first = state_key()
    assert first == state_key()
    provenance.use({**RUNNING, "configuration": "c2"})
    assert state_key() != first


def test_settings_may_be_told_apart_from_those_that_change_nothing(begun, caplog):
    workspace(begun, {"updates": 9})
    (begun / "saved.pt").write_text("of nine updates")
    provenance.use({**RUNNING, "configuration": "c2"})
    assert (workspace(begun, {"updates": 9}) / "saved.pt").read_text() == "of nine updates"
    workspace(begun, {"updates": 10})
    assert (superseded(begun) / "saved.pt").read_text() == "of nine updates"
    assert not (begun / "saved.pt").exists()


def test_an_empty_directory_is_taken_silently(tmp_path, caplog):
    (tmp_path / "state").mkdir()
    workspace(tmp_path / "state")
    assert not caplog.text
    assert not superseded(tmp_path / "state").exists()


def test_every_process_has_temporary_names_of_its_own(tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"
    asked = "from pathlib import Path; from fuxiflow.storage.files import temporary; "
    asked += f"print(temporary(Path({str(path)!r})))"
    names = {
        subprocess.run(
            [sys.executable, "-c", asked], capture_output=True, text=True, cwd=ROOT, check=True
        ).stdout.strip()
        for _ in range(2)
    } | {str(temporary(path))}
    assert len(names) == 3
    assert temporary(path) == temporary(path)
    for name in names:
        open(name, "w", encoding="utf-8").close()
    (tmp_path / ".tmp-node_1_01234567-b-a.zarr").touch()
    assert {str(left) for left in leftovers(path)} == names
    monkeypatch.setenv(files.WRITER, "node_1_01234567")
    assert temporary(path).name == ".tmp-node_1_01234567-a.zarr"
    assert leftovers(tmp_path / "no" / "a") == []


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_was_there_stays_until_the_new_one_is(tmp_path, monkeypatch, kind):
    def make(path, text):
        if kind == "folder":
            path.mkdir()
            path = path / "part"
        path.write_text(text)
        return path

    final, written = tmp_path / "final", tmp_path / "written"
    make(final, "old")
    make(written, "new")

    def refused(*_):
        raise OSError("gone away")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refused)
        with pytest.raises(OSError, match="gone away"):
            publish(written, final)
    content = final / "part" if kind == "folder" else final
    assert content.read_text() == "old"
    publish(written, final)
    assert content.read_text() == "new"
    assert list(tmp_path.iterdir()) == [final]


def test_a_whole_file_appears_at_the_end_or_not_at_all(tmp_path):
    path = tmp_path / "a"
    with whole_file(path) as file:
        file.write(b"one")
        assert not path.exists()

    def fail():
        with whole_file(path) as file:
            file.write(b"two")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]
