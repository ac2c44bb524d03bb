"""How a script runs: outputs appear whole or not at all."""

import json
import logging
import os
import random
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fuxiflow.runtime import leases, rule_runner
from fuxiflow.runtime.leases import LeaseHeldError, LeaseLostError
from fuxiflow.storage import files, provenance


class Named:
    """As much of a Snakemake list as scripts use."""

    def __init__(self, **entries):
        self.entries = entries

    def items(self):
        return self.entries.items()


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


def job(tmp_path, **params):
    (tmp_path / "in.txt").write_text("x")
    return SimpleNamespace(
        input=Named(one=str(tmp_path / "in.txt"), many=[str(tmp_path / "in.txt")]),
        output=Named(file=str(tmp_path / "out" / "a.txt"), store=str(tmp_path / "out" / "b.zarr")),
        params=Named(seed=3, code="c", **params),
        log=[str(tmp_path / "log" / "x.log")],
        threads=1,
        rule="some_rule",
    )


def write(output):
    output.file.write_text("new")
    output.store.mkdir()
    (output.store / "zarr.json").write_text("{}")


def test_logs_of_earlier_attempts_stay_up_to_a_number(tmp_path):
    for attempt in range(6):

        def main(input, output, params, log, attempt=attempt):
            log.info("attempt %d", attempt)
            write(output)

        rule_runner.run(main, job(tmp_path))
    logs = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert logs == ["x.log", "x.log.1", "x.log.2", "x.log.3"]
    assert [(tmp_path / "log" / name).read_text().split("attempt ")[1][0] for name in logs] == [
        "5",
        "4",
        "3",
        "2",
    ]


def test_threads_of_arithmetic_follow_from_the_configuration_alone(tmp_path, monkeypatch):
    """Results depend on them; the processors of a job are as many as a machine has."""
    counts = []
    monkeypatch.setattr(rule_runner, "_use_threads", counts.append)
    for params in ({"stage": {"threads": 2}}, {"threads": 4}, {}):
        for processors in (1, 10):
            one = job(tmp_path, **params)
            one.threads = processors
            rule_runner.run(lambda input, output, params, log: write(output), one)
    assert counts == [2, 2, 4, 4, 1, 1]


def test_caches_have_a_place_without_a_home_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")
    for name in names:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    rule_runner.export_caches()
    assert not any(name in os.environ for name in names)
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    rule_runner.export_caches()
    for name in names:
        assert Path(os.environ[name]).is_relative_to(tmp_path / ".snakemake")
        assert Path(os.environ[name]).is_dir()


def test_a_script_that_ends_well(tmp_path):
    seen = {}

    def main(input, output, params, log):
        seen.update(
            input=input,
            params=params,
            names=[output.file.name, output.store.name],
            draws=[random.random(), np.random.random()],
            provenance=provenance.current(),
        )
        write(output)
        log.info("halfway")

    (tmp_path / "out" / "b.zarr").mkdir(parents=True)
    (tmp_path / "out" / "b.zarr" / "old").write_text("")
    rule_runner.run(main, job(tmp_path))
    assert (tmp_path / "out" / "a.txt").read_text() == "new"
    assert [p.name for p in (tmp_path / "out" / "b.zarr").iterdir()] == ["zarr.json"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.txt", "b.zarr"]
    assert isinstance(seen["input"].one, Path)
    assert seen["input"].many == [tmp_path / "in.txt"]
    assert seen["names"] == [files.temporary(Path(name)).name for name in ("a.txt", "b.zarr")]
    assert seen["params"].seed == 3
    assert seen["provenance"]["rule"] == "some_rule"
    assert "halfway" in (tmp_path / "log" / "x.log").read_text()
    first = seen["draws"]
    rule_runner.run(main, job(tmp_path))
    assert seen["draws"] == first


def test_a_script_that_fails_leaves_nothing_and_says_why(tmp_path):
    def main(input, output, params, log):
        write(output)
        raise RuntimeError("no weather today")

    with pytest.raises(RuntimeError, match="no weather"):
        rule_runner.run(main, job(tmp_path))
    assert list((tmp_path / "out").iterdir()) == []
    text = (tmp_path / "log" / "x.log").read_text()
    assert "some_rule failed: no weather today" in text
    assert "Traceback" in text


def test_a_failure_keeps_what_an_earlier_run_made(tmp_path):
    rule_runner.run(lambda input, output, params, log: write(output), job(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        rule_runner.run(
            lambda input, output, params, log: (_ for _ in ()).throw(KeyboardInterrupt()),
            job(tmp_path),
        )
    assert (tmp_path / "out" / "a.txt").read_text() == "new"
    assert "Traceback" not in (tmp_path / "log" / "x.log").read_text()


def test_a_script_must_write_what_it_declares(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"ended without writing .*b\.zarr"):
        rule_runner.run(
            lambda input, output, params, log: output.file.write_text(""), job(tmp_path)
        )
    assert list((tmp_path / "out").iterdir()) == []


def test_the_checkout_is_exported_once_and_first(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    rule_runner.export_path()
    rule_runner.export_path()
    assert rule_runner.os.environ["PYTHONPATH"].split(rule_runner.os.pathsep) == [
        str(rule_runner.ROOT),
        "elsewhere",
    ]


def test_temporary_names_keep_suffixes():
    assert files.temporary(Path("a/b.parquet")).suffix == ".parquet"
    assert files.temporary(Path("a/b.parquet")).parent == Path("a")


def test_remove(tmp_path):
    (tmp_path / "d" / "e").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "d")
    files.remove(link)
    assert (tmp_path / "d" / "e").exists()
    files.remove(tmp_path / "d")
    files.remove(tmp_path / "d")
    assert not (tmp_path / "d").exists()


def leased_job(tmp_path, **params):
    made = job(tmp_path, **params)
    made.log = [str(tmp_path / "logs" / "some_rule" / "x.log")]
    return made


def test_a_second_copy_of_a_job_is_refused_and_harms_nothing(tmp_path):
    def main(input, output, params, log):
        log.info("the first is at work")
        write(output)
        with pytest.raises(LeaseHeldError, match="another copy of this job is running"):
            rule_runner.run(lambda *_: pytest.fail("it ran"), leased_job(tmp_path))
        assert output.file.read_text() == "new"

    rule_runner.run(main, leased_job(tmp_path))
    assert (tmp_path / "out" / "a.txt").read_text() == "new"
    text = (tmp_path / "logs" / "some_rule" / "x.log").read_text()
    assert "the first is at work" in text
    assert "some_rule failed: another copy of this job is running" in text
    assert not any(path.is_file() for path in (tmp_path / "state").rglob("*"))


def test_who_lost_the_lease_publishes_nothing(tmp_path):
    lease = leases.lease_path(tmp_path / "logs" / "some_rule" / "x.log")

    def main(input, output, params, log):
        write(output)
        content = json.loads(lease.read_text())
        lease.write_text(json.dumps({**content, "id": "other", "host": "node7"}))

    with pytest.raises(LeaseLostError, match="node7"):
        rule_runner.run(main, leased_job(tmp_path))
    assert list((tmp_path / "out").iterdir()) == []
    assert lease.exists()


def test_what_dead_processes_left_half_written_goes(tmp_path):
    (tmp_path / "out").mkdir()
    for name in (".tmp-node7_12_0123abcd-a.txt", ".tmp-a.txt", ".tmp-node7_12_0123abcd-c.txt"):
        (tmp_path / "out" / name).write_text("half")
    (tmp_path / "out" / ".tmp-node7_12_0123abcd-b.zarr").mkdir()
    rule_runner.run(lambda input, output, params, log: write(output), leased_job(tmp_path))
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == [".tmp-node7_12_0123abcd-c.txt", "a.txt", "b.zarr"]


def test_a_request_to_end_leaves_neither_lease_nor_half_a_file(tmp_path):
    def main(input, output, params, log):
        write(output)
        signal.raise_signal(signal.SIGTERM)

    # as in a new process; Snakemake, in tests before this one, has left its handler here
    handler = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as ended:
            rule_runner.run(main, leased_job(tmp_path))
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert ended.value.code == 128 + signal.SIGTERM
    assert list((tmp_path / "out").iterdir()) == []
    assert not any(path.is_file() for path in (tmp_path / "state").rglob("*"))
