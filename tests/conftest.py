"""Fixtures and marks that all tests share."""

import sys

import pyproj  # noqa: F401  eccodes loaded before it crashes the interpreter at its end
import pytest
from hypothesis import settings

from tests.support.archive_server import archive

# no test fails because a machine is slow
settings.register_profile("fuxiflow", deadline=None)
settings.load_profile("fuxiflow")


@pytest.fixture(autouse=True)
def denormals():
    """What a script sets for speed, torch.set_flush_denormal, is undone: other tests compare the
    smallest numbers.
    """
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def server(monkeypatch):
    """An archive on this machine; waiting between attempts takes no time."""
    monkeypatch.setattr("fuxiflow.archive.retries.time.sleep", lambda seconds: None)
    with archive() as running:
        yield running
