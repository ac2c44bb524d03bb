"""The command fuxiflow."""

import json
import re
import subprocess
import sys

import pytest

from fuxiflow import ROOT
from fuxiflow.cli import main
from tests.support.helpers import loaded_by

COMMANDS = (
    "check",
    "schema",
    "reference",
    "inspect",
    "explain",
    "acceptance",
    "redraw",
    "select-channels",
    "build-operators",
    "build-climate",
    "build-coastline",
)


def help_of(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_help_names_all_commands_each_with_a_sentence(capsys):
    text = help_of(capsys)
    for command in COMMANDS:
        assert f" {command} " in text
        assert help_of(capsys, command).startswith(f"usage: fuxiflow {command} ")


def test_there_is_no_other_command_line_in_the_package():
    entries = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "fuxiflow").rglob("*.py")
        if re.search(r"^if __name__|^import argparse", path.read_text(encoding="utf-8"), re.M)
    ]
    assert sorted(entries) == ["fuxiflow/__main__.py", "fuxiflow/cli.py"]


def test_the_module_is_the_console_script():
    called = subprocess.run(
        [sys.executable, "-m", "fuxiflow", "check", "config/demo.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert called.stdout == "config/demo.yaml: valid, name demo\n"


def test_the_command_line_imports_nothing_heavy():
    assert not loaded_by("fuxiflow.cli") & {"torch", "xarray", "pandas", "pydantic", "matplotlib"}


def test_schema_and_reference_are_printed(capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Config"
    assert main(["reference"]) == 0
    assert capsys.readouterr().out.startswith("# Configuration: all keys\n")


def test_a_configuration_is_checked_with_what_is_laid_over_it(tmp_path, capsys):
    demo = str(ROOT / "config" / "demo.yaml")
    assert main(["check", demo]) == 0
    assert "valid, name demo" in capsys.readouterr().out
    more = tmp_path / "more.yaml"
    more.write_text("name: mine\n")
    assert main(["check", demo, str(more)]) == 0
    assert "valid, name mine" in capsys.readouterr().out
    more.write_text("cycling: {batch: 0, bach: 1}\n")
    assert main(["check", demo, str(more)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("cycling.batch: 0, allowed: greater than 0")
    assert second.endswith("did you mean 'batch'?")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "nowhere.yaml"], "nowhere.yaml"),
        (["inspect", "nowhere.zarr"], "nowhere.zarr: no such file"),
        (["redraw", "clouds", "a.csv", "a.png"], "unknown figure 'clouds'"),
        (["build-operators", "amsr2"], "no table for 'amsr2', allowed: amsua, atms"),
        (["check", "config/test.yaml", "config/sources/amsua.yaml"], "one kind at a time"),
        (["check", "config"], "config: Is a directory"),
        (["redraw", "cycling", "config/channels.csv", "a.png"], "config/channels.csv: not a table"),
        (["build-coastline", "config/channels.csv", "a"], "config/channels.csv: no TopoJSON"),
        (["build-coastline", "config/schema.json", "a"], "config/schema.json: no TopoJSON"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(words, message, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize("suffix", ["csv", "png", "parquet", "zarr", "ckpt", "pt"])
def test_a_damaged_product_is_named(tmp_path, suffix, capsys):
    for content in (b"", b"\x00garbage"):
        path = tmp_path / f"product.{suffix}"
        path.write_bytes(content)
        if suffix != "csv" or not content:
            assert main(["inspect", str(path)]) == 1
            (line,) = capsys.readouterr().err.splitlines()
            assert str(path) in line


def test_the_mistakes_of_all_sources_are_told(tmp_path, capsys):
    folder = tmp_path / "sources"
    folder.mkdir()
    text = (ROOT / "config" / "sources" / "amsua.yaml").read_text(encoding="utf-8")
    (folder / "first.yaml").write_text(text.replace("group:", "grup:"))
    (folder / "second.yaml").write_text(text.replace("bufr_sounder.amsua", "bufr_sounder.amsu"))
    (folder / "third.yaml").write_text(f"1: 2\n{text}")
    assert main(["check", *map(str, sorted(folder.iterdir()))]) == 1
    errors = capsys.readouterr().err
    assert "first.yaml: grup: unknown key" in errors
    assert "first.yaml: group: required" in errors
    assert "second.yaml: reader: unknown 'bufr_sounder.amsu'" in errors
    assert "third.yaml: 1: 1 is no text" in errors


def test_a_reader_of_the_output_may_stop_early():
    script = f"{sys.executable} -m fuxiflow schema | true; echo ${{PIPESTATUS[0]}}"
    called = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (called.stdout, called.stderr) == ("1\n", "")


@pytest.mark.parametrize("option", ["--cores", "--memory-gb", "--device-gb"])
@pytest.mark.parametrize("amount", ["0", "-1", "nan", "inf", "many"])
def test_amounts_of_a_plan_are_above_zero(capsys, option, amount):
    """A negative or absent processor starts no job, and the plan would say 0 h."""
    with pytest.raises(SystemExit) as ended:
        main(["plan", "config/test.yaml", f"{option}={amount}"])
    assert ended.value.code == 2
    assert f"{option}: {amount!r}, allowed: a number above 0" in capsys.readouterr().err
