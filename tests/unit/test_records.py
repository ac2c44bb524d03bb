"""Records of what made every product, and Snakemake's memory made from them."""

import json
from base64 import urlsafe_b64encode
from pathlib import Path

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
    records.write(log, rule, params, ["in/2", "in/1"], outputs, finished)
    return root / f"results/x/records/{rule}/s/2022-01.json"


def memory(metadata: Path, output: Path) -> dict:
    return json.loads((metadata / urlsafe_b64encode(str(output).encode()).decode()).read_text())


def test_a_record_lies_beside_the_log_and_is_found_by_its_products(tmp_path):
    assert write(tmp_path).is_file()
    found = records.read(tmp_path / "results/x/records")
    assert set(found) == {str(tmp_path / "results/x/a.parquet"), str(tmp_path / "results/x/b.zarr")}
    record = found[str(tmp_path / "results/x/a.parquet")]
    assert record["rule"] == "some_rule"
    assert record["inputs"] == ["in/1", "in/2"]
    assert record["params"]["dates"] == "['2022-01-01', '2022-01-31']"
    assert record["finished"].endswith("Z")


def test_a_rule_without_wildcards_is_found_too(tmp_path):
    records.write(
        tmp_path / "results/x/logs/world_spinup.log",
        "world_spinup",
        PARAMS,
        [],
        ["spinup.restart"],
        True,
    )
    assert records.read(tmp_path / "results/x/records")["spinup.restart"]["rule"] == "world_spinup"


def test_a_log_elsewhere_has_no_record(tmp_path):
    assert records.locate(tmp_path / "log" / "x.log") is None
    records.write(tmp_path / "log" / "x.log", "some_rule", PARAMS, [], [tmp_path / "a"], True)
    assert not list(tmp_path.iterdir())


def test_snakemakes_memory_is_as_snakemake_writes_it(tmp_path):
    write(tmp_path)
    metadata = tmp_path / "away" / "metadata"
    assert records.restore(tmp_path / "results/x/records", metadata) == 2
    found = memory(metadata, tmp_path / "results/x/b.zarr")
    assert found["params"] == sorted(repr(value) for value in PARAMS.values())
    assert found["input"] == ["in/1", "in/2"]
    persistence = pytest.importorskip("snakemake.persistence")
    assert found["record_format_version"] == persistence.RECORD_FORMAT_VERSION
    assert set(found) == set(persistence.MetadataRecord.model_fields)


def test_long_names_are_split_as_snakemake_splits_them(tmp_path):
    from snakemake.persistence.file import FilePersistence

    name = "results/" + "/".join(["long" * 20] * 5)
    snakemake = FilePersistence.__new__(FilePersistence)
    snakemake._max_len = None
    assert records._memory_path(tmp_path, name) == Path(snakemake._record_path(str(tmp_path), name))


def test_what_is_remembered_is_left_alone(tmp_path):
    write(tmp_path)
    metadata = tmp_path / "metadata"
    assert records.restore(tmp_path / "results/x/records", metadata) == 2
    # one is forgotten by hand: snakemake --cleanup-metadata
    (metadata / urlsafe_b64encode(str(tmp_path / "results/x/a.parquet").encode()).decode()).unlink()
    assert records.restore(tmp_path / "results/x/records", metadata) == 0


def test_lost_products_are_not_remembered(tmp_path):
    write(tmp_path)
    (tmp_path / "results/x/a.parquet").unlink()
    assert records.restore(tmp_path / "results/x/records", tmp_path / "metadata") == 1


def test_without_records_nothing_is_written(tmp_path):
    assert records.restore(tmp_path / "results/x/records", tmp_path / "metadata") == 0
    assert not (tmp_path / "metadata").exists()


def test_an_unfinished_job_agrees_with_nothing(tmp_path):
    write(tmp_path, finished=False)
    records.restore(tmp_path / "results/x/records", tmp_path / "metadata")
    assert memory(tmp_path / "metadata", tmp_path / "results/x/a.parquet")["params"] == []


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"rule": "x"}'])
def test_damaged_records_are_left_out(tmp_path, damage):
    path = write(tmp_path)
    write(tmp_path, rule="another")
    path.write_bytes(damage)
    assert {record["rule"] for record in records.read(tmp_path / "results/x/records").values()} == {
        "another"
    }


def test_a_fingerprint_is_resolved_while_its_code_is_there(tmp_path):
    rule = "states_climatology"
    script = records.code_files(rule, PARAMS)["code"]
    write(tmp_path, rule, {"code": "0123456789abcdef"})
    directory = tmp_path / "results/x/records"
    assert records.read_code(directory, "0123456789abcdef") is None
    code = fingerprint.fingerprint(script)
    write(tmp_path, rule, {"code": code})
    resolved = records.read_code(directory, code)
    assert resolved == fingerprint.parts(script)
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
    records.write(
        tmp_path / "logs/training_joint/full.log", "training_joint", {}, [], [], True, requested
    )
    assert json.loads((tmp_path / "records/training_joint/full.json").read_text())["gpus"] == gpus
