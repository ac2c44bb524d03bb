"""Records of what made every product."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from fuxiflow.runtime import fingerprint, records

PARAMS = {
    "code": "0123456789abcdef",
    "max_z": 6,
    "dates": ["2022-01-01", "2022-01-31"],
    "none": None,
}


def write(
    root: Path, rule: str = "some_rule", params: dict = PARAMS, finished: bool = True
) -> Path:
    outputs = [root / "results/x/a.parquet", root / "results/x/b.zarr"]
    outputs[0].parent.mkdir(parents=True, exist_ok=True)
    outputs[0].touch()
    outputs[1].mkdir(exist_ok=True)
    log = root / f"results/x/logs/{rule}/s/2022-01.log"
    records.write_record(log, rule, params, ["in/2", "in/1"], outputs, finished)
    return root / f"results/x/records/{rule}/s/2022-01.json"


def test_a_record_lies_beside_the_log_and_is_found_by_its_products(tmp_path):
    assert write(tmp_path).is_file()
    found = records.records_by_product(tmp_path / "results/x/records")
    assert set(found) == {str(tmp_path / "results/x/a.parquet"), str(tmp_path / "results/x/b.zarr")}
    record = found[str(tmp_path / "results/x/a.parquet")]
    assert record["rule"] == "some_rule"
    assert record["inputs"] == ["in/1", "in/2"]
    assert record["params"]["dates"] == "['2022-01-01', '2022-01-31']"
    assert record["finished"].endswith("Z")


def test_parameters_that_snakemake_does_not_compare_are_not_recorded(tmp_path):
    """It compares values of built-in types alone."""
    path = write(tmp_path, params={"max_z": 6, "saving": SimpleNamespace(checkpoint_every=5)})
    assert json.loads(path.read_text())["params"] == {"max_z": "6"}


def test_a_temporary_product_that_has_gone_is_not_missed(tmp_path):
    params = {**PARAMS, "temporary": SimpleNamespace(outputs=[1])}
    log = tmp_path / "results/x/logs/some_rule/s.log"
    names = ["results/x/a.parquet", "results/x/b.zarr"]
    records.write_record(log, "some_rule", params, [], names, True)
    results = tmp_path / "results/x"
    assert records.read_job_record(results, "some_rule", "s")["temporary"] == names[1:]
    assert set(records.finished_products(results)) == {results / "a.parquet"}
    (results / "b.zarr").mkdir()
    assert set(records.finished_products(results)) == {results / "a.parquet", results / "b.zarr"}


def test_an_unfinished_job_agrees_with_nothing(tmp_path):
    assert json.loads(write(tmp_path, finished=False).read_text())["params"] == {}


def test_the_record_of_a_job_is_read_by_rule_and_wildcards(tmp_path):
    write(tmp_path)
    results = tmp_path / "results/x"
    assert records.read_job_record(results, "some_rule", "s/2022-01")["inputs"] == ["in/1", "in/2"]
    assert records.read_job_record(results, "some_rule", "s/2022-02") == {}


def test_a_rule_without_wildcards_is_found_too(tmp_path):
    records.write_record(
        tmp_path / "results/x/logs/world_spinup.log",
        "world_spinup",
        PARAMS,
        [],
        ["spinup.restart"],
        True,
    )
    assert (
        records.records_by_product(tmp_path / "results/x/records")["spinup.restart"]["rule"]
        == "world_spinup"
    )


def test_a_log_elsewhere_has_no_record(tmp_path):
    assert records.record_paths(tmp_path / "log" / "x.log") is None
    records.write_record(
        tmp_path / "log" / "x.log", "some_rule", PARAMS, [], [tmp_path / "a"], True
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"rule": "x"}'])
def test_damaged_records_are_left_out(tmp_path, damage):
    path = write(tmp_path)
    write(tmp_path, rule="another")
    path.write_bytes(damage)
    assert {
        record["rule"]
        for record in records.records_by_product(tmp_path / "results/x/records").values()
    } == {"another"}


def test_a_fingerprint_is_resolved_while_its_code_is_there(tmp_path):
    rule = "states_climatology"
    script = records.code_files(rule, PARAMS)["code"]
    write(tmp_path, rule, {"code": "0123456789abcdef"})
    directory = tmp_path / "results/x/records"
    assert records.read_code(directory, "0123456789abcdef") is None
    code = fingerprint.fingerprint(script)
    write(tmp_path, rule, {"code": code})
    resolved = records.read_code(directory, code)
    assert resolved == fingerprint.fingerprint_parts(script)
    assert "main()" in resolved["workflow/scripts/states_climatology.py"]
    assert set(resolved["config/channels.csv"]) == {"contents"}


def test_a_readers_code_is_resolved_too():
    found = records.code_files(
        "observations_read", {"code": "1", "reader_code": "2", "reader": "atms_sdr"}
    )
    assert [path.name for path in found.values()] == ["observations_read.py", "atms_sdr.py"]


@pytest.mark.parametrize(
    ("said", "requested", "gpus"),
    [
        ("2", {"gpu": 1}, 1),
        ("0", {"gpu": 1}, 0),
        ("8", {"gpu": 16, "nodes": 2}, 16),
        ("2", {"nodes": 2}, 0),
    ],
)
def test_gpus_are_those_of_all_nodes_and_no_more_than_were_asked_for(
    tmp_path, monkeypatch, said, requested, gpus
):
    monkeypatch.setenv("SLURM_GPUS_ON_NODE", said)
    records.write_record(
        tmp_path / "logs/training_joint/full.log", "training_joint", {}, [], [], True, requested
    )
    assert json.loads((tmp_path / "records/training_joint/full.json").read_text())["gpus"] == gpus
