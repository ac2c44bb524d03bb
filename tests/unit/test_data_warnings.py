"""Warnings about data: from the log of a job to the status page and to the next start."""

import json
import logging
from types import SimpleNamespace

import pytest

from fuxiflow.completeness import check_share
from fuxiflow.config.completeness import Completeness
from fuxiflow.runtime import rule_runner, status_page
from fuxiflow.runtime.data_warnings import (
    FURTHER,
    MOST_KINDS,
    CountedWarnings,
    JobWarnings,
    read_warnings,
    shortfalls,
)
from fuxiflow.runtime.log_tail import Tail
from fuxiflow.runtime.run_state import Job, Run
from tests.support.helpers import asked
from tests.unit.test_script import Named

HEAD = "2026-11-21 07:48:27,388 WARNING fuxiflow: "


@pytest.fixture(autouse=True)
def _logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def run(folder, main):
    results = folder / "results" / "test"
    rule_runner.run(
        main,
        SimpleNamespace(
            input=Named(),
            output=Named(file=str(results / "a.txt")),
            params=Named(seed=3, code="c"),
            log=[str(results / "logs" / "some_rule" / "full" / "2022-01.log")],
            threads=1,
            rule="some_rule",
        ),
    )
    return results


def test_warnings_of_a_kind_are_counted_together():
    counted = CountedWarnings()
    for line in (
        f"{HEAD}SATMS_d20220101.h5: file is truncated",
        f"{HEAD}SATMS_d20220102.h5: file is truncated",
        "2026-11-21 07:48:27,388 WARNING process 1, fuxiflow: update 7 skipped",
        "2026-11-21 07:48:27,388 INFO fuxiflow: WARNING fuxiflow: no",
        "2026-11-21 07:48:27,388 WARNING distributed.worker: of others",
        "Traceback",
    ):
        counted.take(line)
    assert counted.counts == {
        "SATMS_d20220101.h5: file is truncated": 2,
        "update 7 skipped": 1,
    }
    assert counted.total == 3
    for letter in range(2 * MOST_KINDS):
        counted.take(HEAD + "x" * (letter + 1))
    assert len(counted.counts) == MOST_KINDS + 1
    assert counted.counts[FURTHER] == 2 * MOST_KINDS - (MOST_KINDS - 2)


def test_what_a_job_warned_of_is_kept_until_it_has_nothing_to_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def main(input, output, params, log):
        check_share(asked(0.5), 44, 48, "times of x", "2022-01-03T00", log)
        log.warning("a.grib message %d: truncated", 3)
        log.info("done")
        output.file.write_text("x")

    results = run(tmp_path, main)
    (job,) = read_warnings(results)
    assert (job.name, job.total) == ("some_rule full 2022-01", 2)
    assert list(job.counts) == [
        "completeness.tested: 44 of 48 times of x; missing: 2022-01-03T00",
        "a.grib message 3: truncated",
    ]
    # what is not there any more has nothing to be warned of
    (results / "a.txt").unlink()
    assert read_warnings(results) == []
    run(tmp_path, lambda input, output, params, log: output.file.write_text("x"))
    assert not list((results / "warnings").rglob("*.json"))


def test_a_damaged_file_of_warnings_stops_nothing(tmp_path):
    (tmp_path / "warnings" / "r").mkdir(parents=True)
    (tmp_path / "warnings" / "r" / "a.json").write_text("{")
    (tmp_path / "warnings" / "r" / "b.json").write_text(json.dumps({"name": "r"}))
    assert read_warnings(tmp_path) == []


def test_products_with_less_than_is_asked_for_now_are_refused():
    texts = {
        "completeness.states: 44 of 48 times of x; missing: 2022-01-03T00": 1,
        "completeness.sources.amsua: 3 of 10 days; missing: 2022-01-03": 1,
        "something else 1 of 10": 1,
    }
    jobs = [JobWarnings("states_decode era5 2022-01", "a.log", ("a.zarr", "b.parquet"), texts)]
    least = Completeness(states=0.9, sources={"amsua": 0.3}).least
    assert shortfalls(jobs, least) == []
    (line,) = shortfalls(jobs, Completeness(states=0.95, sources={"amsua": 0.3}).least)
    for part in ("completeness.states is 0.95", "states_decode era5 2022-01", "delete a.zarr"):
        assert part in line
    # without a share of its own a source has that of all
    (line,) = shortfalls(jobs, Completeness(observations=0.5).least)
    assert "completeness.sources.amsua is 0.5" in line


def test_the_status_page_lists_them_of_jobs_that_run_and_that_have_ended(tmp_path):
    log = tmp_path / "a.log"
    log.write_text(f"{HEAD}b<1>.grib: damaged\n{HEAD}b<2>.grib: damaged\n")
    jobs = {1: Job(1, "states_decode", {"segment": "2022-01"}, log="a.log", state="submitted")}
    run = Run("test", tmp_path, jobs, tails={1: Tail(log)})
    run.tails[1].update()
    kept = [JobWarnings("observations_read amsua 2022-02", "b.log", (), {"no file": 1})]
    page = status_page.render_page(run, [], 0.0, kept)
    assert "Warnings about data" in page
    assert "b&lt;1&gt;.grib: damaged" in page
    assert "and 1 like it" in page
    assert "observations_read amsua 2022-02" in page
    assert "Warnings about data" not in status_page.render_page(Run("test", tmp_path, {}), [], 0.0)
