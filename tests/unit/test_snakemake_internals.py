"""What the workflow relies on of Snakemake's private parts."""

import asyncio
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake import jobs
from snakemake.exceptions import WorkflowError
from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord, PersistenceBase
from snakemake.persistence.file import FilePersistence
from snakemake_interface_executor_plugins.settings import ExecMode

from fuxiflow import ROOT
from fuxiflow.runtime import snakemake_internals
from fuxiflow.runtime.records import compared_params
from fuxiflow.runtime.snakemake_internals import memory_path, restore_memory
from tests.unit.test_records import PARAMS, write


@pytest.fixture
def memory(tmp_path):
    return tmp_path / "away" / ".snakemake"


def restore(tmp_path, memory):
    return restore_memory(tmp_path / "results/x", memory)


def entry(memory: Path, product: Path) -> dict:
    return json.loads(memory_path(memory, str(product)).read_text())


def test_this_version_is_the_one_that_was_read():
    snakemake_internals.check_version()


@pytest.mark.parametrize("version", ["9.26.0", "9.28.0", "9.270", "10.0"])
def test_another_version_is_refused_with_a_remedy(monkeypatch, version):
    monkeypatch.setattr(metadata, "version", lambda name: version)
    with pytest.raises(WorkflowError, match=rf"this is {version}: install 'snakemake==9\.27\.\*'"):
        snakemake_internals.check_version()


def test_what_is_installed_with_the_package_is_the_version_that_was_read():
    assert (
        f'"snakemake>={snakemake_internals.VERSION},<9.28"' in (ROOT / "pyproject.toml").read_text()
    )
    assert f"\nsnakemake=={snakemake_internals.VERSION}." in (ROOT / "requirements.txt").read_text()


def test_the_process_of_a_job_is_not_the_main_one():
    for mode, is_main in {
        ExecMode.DEFAULT: True,
        ExecMode.SUBPROCESS: False,
        ExecMode.REMOTE: False,
    }.items():
        assert snakemake_internals.is_main_process(SimpleNamespace(exec_mode=mode)) == is_main


@pytest.mark.parametrize(
    ("restart_times", "attempt", "again"), [(0, 1, False), (1, 1, True), (1, 2, False)]
)
def test_a_job_is_tried_again_as_often_as_was_asked(restart_times, attempt, again):
    job = SimpleNamespace(restart_times=restart_times, attempt=attempt)
    dag = SimpleNamespace(jobs=[job], jobid=lambda job: 7)
    is_tried_again = snakemake_internals.retries(SimpleNamespace(dag=dag))
    assert is_tried_again(7) == again
    assert not is_tried_again(8)


def test_only_the_default_rate_is_lifted():
    for rate, lifted in {(100, 1): True, (10, 1): False}.items():
        workflow = SimpleNamespace(
            scheduling_settings=SimpleNamespace(
                max_jobs_per_timespan=SimpleNamespace(max_jobs=rate[0], timespan=rate[1])
            ),
            scheduler=SimpleNamespace(job_rate_limiter="limiter"),
        )
        snakemake_internals.lift_default_rate(workflow)
        assert (workflow.scheduler.job_rate_limiter is None) == lifted


def test_snakemakes_memory_is_as_snakemake_writes_it(tmp_path, memory):
    write(tmp_path)
    assert restore(tmp_path, memory) == 2
    content = entry(memory, tmp_path / "results/x/b.zarr")
    assert content["params"] == sorted(repr(value) for value in PARAMS.values())
    assert content["input"] == ["in/1", "in/2"]
    assert content["record_format_version"] == RECORD_FORMAT_VERSION
    assert set(content) == set(MetadataRecord.model_fields)


def test_long_names_are_split_as_snakemake_splits_them(tmp_path):
    name = "results/" + "/".join(["long" * 20] * 5)
    snakemake = FilePersistence.__new__(FilePersistence)
    snakemake._max_len = None
    (tmp_path / "metadata").mkdir()
    expected = snakemake._record_path(str(tmp_path / "metadata"), name)
    assert memory_path(tmp_path, name) == Path(expected)


def test_snakemake_compares_the_parameters_that_are_recorded():
    values = [True, 1, 1.5, 1j, "a", b"a", None, [1], (1,), range(2), {1}, frozenset(), {"a": 1}]
    values += [SimpleNamespace(a=1), Path("a"), object()]

    class Job:
        non_derived_params = values

    snakemake = FilePersistence.__new__(FilePersistence)
    compared = compared_params({str(i): value for i, value in enumerate(values)})
    assert PersistenceBase._params(snakemake, Job()) == sorted(map(repr, compared.values()))


def test_what_is_remembered_is_left_alone(tmp_path, memory):
    write(tmp_path)
    assert restore(tmp_path, memory) == 2
    # one is forgotten by hand: snakemake --cleanup-metadata
    product = memory_path(memory, str(tmp_path / "results/x/a.parquet"))
    product.unlink()
    assert restore(tmp_path, memory) == 0
    (memory / "restored-x").unlink()
    assert restore(tmp_path, memory) == 0
    assert not product.exists()


def test_once_looked_after_one_look_is_all(tmp_path, memory, monkeypatch):
    write(tmp_path)
    restore(tmp_path, memory)
    monkeypatch.setattr(snakemake_internals, "records", None)
    assert restore(tmp_path, memory) == 0


def test_lost_products_are_not_remembered(tmp_path, memory):
    write(tmp_path)
    (tmp_path / "results/x/a.parquet").unlink()
    assert restore(tmp_path, memory) == 1


def test_without_records_nothing_is_written_and_later_ones_are_restored(tmp_path, memory):
    assert restore(tmp_path, memory) == 0
    assert not memory.exists()
    write(tmp_path)
    assert restore(tmp_path, memory) == 2


def test_an_unfinished_job_is_remembered_without_parameters(tmp_path, memory):
    write(tmp_path, finished=False)
    restore(tmp_path, memory)
    assert entry(memory, tmp_path / "results/x/a.parquet")["params"] == []


def test_a_job_that_was_killed_is_incomplete_although_its_products_were_set_aside(monkeypatch):
    """Else nothing would be done where what was made of them before is there."""
    monkeypatch.setattr(PersistenceBase, "incomplete", PersistenceBase.incomplete)
    for name in ("remove_existing_output", "cleanup"):
        monkeypatch.setattr(jobs.Job, name, getattr(jobs.Job, name))
    snakemake_internals.keep_earlier_products()
    marked = SimpleNamespace(_get_key=str, _filter_incomplete_keys=lambda keys: {keys[1]})
    job = SimpleNamespace(output=["finished.nc", "analyses.zarr"])
    assert asyncio.run(PersistenceBase.incomplete(marked, job)) == ["analyses.zarr"]


TWO_CHAINS = """
from fuxiflow.runtime.snakemake_internals import longest_first

onstart:
    longest_first(workflow, {"alone": 10, "first": FIRST, "second": 2})

rule all:
    input: "alone", "second"

rule alone:
    output: "alone"
    shell: "echo alone >> order; touch {output}"

rule first:
    output: "first"
    priority: PRIORITY
    shell: "echo first >> order; touch {output}"

rule second:
    input: "first"
    output: "second"
    shell: "echo second >> order; touch {output}"
"""


@pytest.mark.parametrize(
    ("first", "priority", "options", "order"),
    [
        (11, 0, [], ["first", "alone", "second"]),
        (9, 0, [], ["alone", "first", "second"]),
        (9, 1, [], ["first", "alone", "second"]),
        (11, 0, ["--prioritize", "alone", "--"], ["alone", "first", "second"]),
    ],
)
def test_of_equal_priorities_the_longest_chain_goes_first(
    tmp_path, first, priority, options, order
):
    text = TWO_CHAINS.replace("FIRST", str(first)).replace("PRIORITY", str(priority))
    (tmp_path / "Snakefile").write_text(text)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *options, "all"]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    assert (tmp_path / "order").read_text().split() == order
