"""Fixtures and marks that all tests share."""

import sys

import pyproj  # noqa: F401  eccodes loaded before it crashes the interpreter at its end
import pytest

from tests.archive_server import archive


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests of the workflow share one finished run: with several processes, one of them gets them all.

    First of all hooks, as pytest-xdist reads the marks in its own.
    """
    for item in items:
        if "tests/workflow/" in item.path.as_posix():
            item.add_marker(pytest.mark.xdist_group("workflow"))


@pytest.fixture(autouse=True)
def denormals():
    """What a script sets for speed, torch.set_flush_denormal, is undone: other tests compare the smallest numbers."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def server(monkeypatch):
    """An archive on this machine; waiting between attempts takes no time."""
    monkeypatch.setattr("fuxiflow.archive.transfer.time.sleep", lambda seconds: None)
    with archive() as running:
        yield running
