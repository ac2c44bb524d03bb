"""What several tests of training and cycling start from."""

import pytest

from tests import tiny


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A :func:`tests.tiny.record` of the module's own."""
    return tiny.record(tmp_path_factory.mktemp("record"))


@pytest.fixture
def networks(record):
    """Untrained networks for it."""
    return tiny.networks(record)
