"""A restart directory is kept while it fits, and set aside as soon as it does not."""

import pytest

from fuxiflow.storage import provenance
from fuxiflow.storage.files import state_key, superseded, workspace

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
