"""How a script runs: outputs appear whole or not at all."""

import logging
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fuxiflow.runtime import rule_runner
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
    assert seen["names"] == [".tmp-a.txt", ".tmp-b.zarr"]
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
    assert files.temporary(Path("a/b.parquet")) == Path("a/.tmp-b.parquet")


def test_remove(tmp_path):
    (tmp_path / "d" / "e").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "d")
    files.remove(link)
    assert (tmp_path / "d" / "e").exists()
    files.remove(tmp_path / "d")
    files.remove(tmp_path / "d")
    assert not (tmp_path / "d").exists()
