"""Copies of the checkout that tests of the workflow share."""

import fcntl
import os
import pickle
from pathlib import Path

import pytest

from tests.workflow.workbench import Workbench


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy without results; not to be changed."""
    return Workbench(tmp_path_factory.mktemp("checkout") / "fuxiflow")


@pytest.fixture(scope="session")
def plans(checkout, tmp_path_factory):
    """All jobs of a configuration, by its name; planned once, by one of the processes that test."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    jobs = {}

    def plan(configuration):
        if configuration not in jobs:
            kept = folder / f"plan-{configuration}.pickle"
            with kept.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not kept.exists():
                    planned = checkout.plan("--forceall", configuration=configuration)
                    kept.write_bytes(pickle.dumps(planned))
            jobs[configuration] = pickle.loads(kept.read_bytes())
        return jobs[configuration]

    return plan


@pytest.fixture(scope="session")
def pretended(checkout, tmp_path_factory):
    """A copy whose products are empty but remembered as made; not to be changed."""
    copy = checkout.clone(tmp_path_factory.mktemp("pretended") / "fuxiflow")
    copy.pretend()
    copy.record()
    return copy


@pytest.fixture
def bench(pretended, tmp_path):
    """A copy of :func:`pretended` of one's own."""
    return pretended.clone(tmp_path / "fuxiflow")


@pytest.fixture(scope="session")
def finished(checkout, tmp_path_factory):
    """A copy with a real, finished run of config/test.yaml; not to be changed.

    It lies in the folder that ``FINISHED`` names, where that is set: ``make test-chaos`` takes it.
    """
    kept = os.environ.get("FINISHED")
    copy = checkout.clone(Path(kept) if kept else tmp_path_factory.mktemp("finished") / "fuxiflow")
    copy.snakemake("--cores", "2")
    return copy
