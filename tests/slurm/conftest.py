"""One cluster for all tests of this folder, and one finished run on it."""

import shutil

import pytest

from tests.slurm import cluster as machine
from tests.slurm.launch import Launch
from tests.workflow.workbench import Workbench


@pytest.fixture(scope="session")
def cluster():
    """A running Slurm of one node; skipped, with the reason, where there can be none."""
    try:
        machine.install()
        running = machine.Cluster()
        running.__enter__()
    except machine.CannotRunError as error:
        pytest.skip(f"no Slurm to test on: {error}")
    yield running
    running.__exit__()


@pytest.fixture(scope="session")
def finished(cluster, tmp_path_factory):
    """A copy of the checkout with a run of config/test.yaml, all of it on the cluster; not to be
    changed.
    """
    bench = Workbench(tmp_path_factory.mktemp("checkout") / "fuxiflow")
    Launch(bench).finish()
    return bench


@pytest.fixture
def bench(finished, tmp_path):
    """A copy of :func:`finished` of one's own."""
    copy = finished.clone(tmp_path / "fuxiflow")
    yield copy
    shutil.rmtree(copy.folder)
