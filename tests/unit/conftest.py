"""What several modules of tests start from."""

import pytest

from tests.support import tiny


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A :func:`tests.support.tiny.record` of the module's own."""
    return tiny.record(tmp_path_factory.mktemp("record"))


@pytest.fixture
def networks(record):
    """Untrained networks for it."""
    return tiny.networks(record)


@pytest.fixture(scope="session")
def model():
    """The nature run's model, coarse; once a process, as it takes long to compile."""
    from fuxiflow.world.nature import NatureModel  # loads jax: for these tests alone

    return NatureModel(truncation=21, time_step_minutes=60)


@pytest.fixture(scope="module")
def figure_stores(tmp_path_factory):
    """Where :func:`tests.support.figure_tables.write_stores` has written."""
    from tests.support import figure_tables  # loads all figures: for their tests alone

    root = tmp_path_factory.mktemp("stores")
    figure_tables.write_stores(root)
    return root
