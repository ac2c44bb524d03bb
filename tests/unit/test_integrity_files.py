"""A flipped byte or a lost file of every kind that is no store is an error or changes no value."""

import json
import mmap
from datetime import datetime
from itertools import combinations
from pathlib import Path

import google_crc32c
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from fuxiflow.cli import main
from fuxiflow.figures.files import read_figure_table
from fuxiflow.models import checkpoint
from fuxiflow.observations import footprint_table
from fuxiflow.runtime import records
from fuxiflow.storage import checksums, provenance, tables
from fuxiflow.storage.checksums import DamagedError
from fuxiflow.storage.verification import check_product
from fuxiflow.storage.zarr_stores import consolidate, create_store
from fuxiflow.world.nature import ModelState
from tests.support import tiny
from tests.support.footprint_tables import START, footprints

RANDOM = np.random.default_rng(0)
POSITIONS = 150
"""Seeded places in each file at which a byte is flipped."""


def _table(path):
    frame = pd.DataFrame({"channel": ["Z500", "T850"] * 50, "value": RANDOM.normal(size=100)})
    tables.write_parquet(path, frame, metadata={"summary": "all is well"})


def _read_table(path):
    frame = tables.read_parquet(path)
    return [frame["channel"].to_numpy(str), frame["value"].to_numpy()]


def _footprints(path):
    with footprint_table.FootprintWriter(path, ["1", "2"]) as writer:
        writer.write(footprints(RANDOM.normal(size=(50, 2))))


def _read_footprints(path):
    table = footprint_table.read_footprints(path)
    names = footprint_table.read_channel_names(path)
    day = START.astype("datetime64[D]").item()
    used = footprint_table.read_used_footprints(path, day, day)
    columns = [table[name].to_pandas().to_numpy() for name in ("lat", "time", "platform")]
    return [*columns, footprint_table.values_of(table), np.array(names), used["lat"].to_numpy()]


def _checkpoint(path):
    networks = tiny.networks(tiny.record(path.parent / "record"))
    checkpoint.save_checkpoint(path, checkpoint.Checkpoint(networks, [{"stage": "a"}]))


def _read_checkpoint(path):
    loaded = checkpoint.load_checkpoint(path, drawn=False)
    weights = [value.numpy() for value in loaded.networks.state_dict().values()]
    return [*weights, np.array(str(loaded.history)), np.array(loaded.networks.design.channels)]


def _restart(path):
    frame = {"temperature": RANDOM.normal(size=(2, 3)).astype(np.float32)}
    ModelState(datetime(2022, 1, 1), 3, dynamics=[], physics=[], frame=frame).write(path)


def _read_restart(path):
    checksums.check_sealed(path)  # as NatureModel.read begins
    with np.load(path) as file:
        return [file[name] for name in sorted(file.files)]


def _csv(path):
    path.write_text("time,rmse\n2022-01-01T00:00:00,1.5\n2022-01-01T06:00:00,2.5\n")
    checksums.note_checksum(path.parents[1], path, "figure_cycling")


def _read_csv(path):
    table = read_figure_table(path)
    return [table["time"].to_numpy(), table["rmse"].to_numpy()]


KINDS = {
    "table.parquet": (_table, _read_table),
    "footprints.parquet": (_footprints, _read_footprints),
    "joint.ckpt": (_checkpoint, _read_checkpoint),
    "2022-01.restart": (_restart, _read_restart),
    "cycling.csv": (_csv, _read_csv),
}


@pytest.fixture(scope="module", params=KINDS)
def made(request, tmp_path_factory):
    write, read = KINDS[request.param]
    path = tmp_path_factory.mktemp("run") / "made" / request.param
    path.parent.mkdir()
    write(path)
    return path, read, read(path), path.read_bytes()


@pytest.fixture
def restored(made):
    yield made
    made[0].write_bytes(made[3])


def outcome(path, read, sound):
    """What reading a harmed file does; an error must name the file and the remedy."""
    try:
        values = read(path)
    except DamagedError as error:
        told = str(path) in str(error) and "delete" in str(error)
        return "error" if told else f"unclear: {error}"
    pairs = zip(values, sound, strict=True)
    return "same" if all(np.array_equal(a, b) for a, b in pairs) else "silent"


def test_a_flipped_byte_is_an_error(restored):
    path, read, sound, content = restored
    assert outcome(path, read, sound) == "same"
    assert not check_product(path).faults
    for place in {0, len(content) - 1, *RANDOM.integers(0, len(content), POSITIONS).tolist()}:
        harmed = bytearray(content)
        harmed[place] ^= 1 << int(RANDOM.integers(8))
        path.write_bytes(harmed)
        assert outcome(path, read, sound) == "error", place
        assert check_product(path).faults, place


def test_a_cut_an_empty_and_an_absent_file_are_errors(restored):
    path, read, sound, content = restored
    for length in (0, 1, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        assert outcome(path, read, sound) == "error", length
    path.unlink()
    with pytest.raises(FileNotFoundError, match=path.name):
        read(path)


def test_other_programs_read_what_carries_a_checksum(tmp_path):
    _table(tmp_path / "a.parquet")
    file = pq.ParquetFile(tmp_path / "a.parquet", page_checksum_verification=True)
    assert file.read().num_rows == 100
    assert len(file.metadata.metadata[b"checksum"]) == len(checksums.MARK) + 8
    _checkpoint(tmp_path / "a.ckpt")
    assert torch.load(tmp_path / "a.ckpt", weights_only=True, mmap=True)["format"] == 1


def test_a_page_that_changes_after_the_file_was_checked_is_an_error(tmp_path, monkeypatch):
    _table(tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[content.index(b"PAR1") + 200] ^= 1
    (tmp_path / "a.parquet").write_bytes(content)
    monkeypatch.setattr(checksums, "check_sealed", lambda path: None)
    with pytest.raises(OSError, match="CRC"):
        tables.read_parquet(tmp_path / "a.parquet")


def test_a_writer_that_fails_leaves_no_table_that_looks_whole(tmp_path):
    schema = pa.schema({"a": pa.int64()})
    with pytest.raises(KeyError), tables.ParquetWriter(tmp_path / "a.parquet", schema):
        raise KeyError
    with pytest.raises(DamagedError, match="no checksum"):
        tables.open_parquet(tmp_path / "a.parquet")


def test_a_file_that_was_copied_elsewhere_has_no_note(tmp_path):
    path = tmp_path / "results" / "demo" / "figures" / "a.csv"
    path.parent.mkdir(parents=True)
    path.write_text("a\n1\n")
    results = path.parents[1]
    assert not checksums.check_noted(path)
    checksums.note_checksum(results, path, "figure_a")
    assert checksums.check_noted(path)
    moved = tmp_path / "moved"
    results.rename(moved)
    assert checksums.check_noted(moved / "figures" / "a.csv")
    checksums.note_checksum(moved, tmp_path / "outside.csv", "figure_a")
    assert not list(tmp_path.rglob("outside*"))


def test_verify_lists_what_is_damaged_or_gone_with_the_remedy(tmp_path, capsys):
    results = tmp_path / "results" / "demo"
    (results / "scores").mkdir(parents=True)
    (results / "figures").mkdir()
    _table(results / "scores" / "scores.parquet")
    _csv(results / "figures" / "a.csv")
    store = create_store(results / "states.zarr", {"provenance": '{"rule": "states_truth"}'})
    store.create_array("state", data=np.arange(8.0), chunks=(2,), dimension_names=("time",))
    consolidate(results / "states.zarr")
    log = results / "logs" / "verification_scores" / "all.log"
    names = ["results/demo/scores/scores.parquet", "results/demo/scores/gone.parquet"]
    records.write_record(log, "verification_scores", {}, [], names[:1], True)
    assert main(["verify", str(results)]) == 0
    table = capsys.readouterr().out
    assert "Zarr store" in table
    assert "noted file" in table
    records.write_record(log, "verification_scores", {}, [], names, True)
    chunk = results / "states.zarr" / "state" / "c" / "1"
    chunk.write_bytes(chunk.read_bytes()[::-1])
    (results / "states.zarr" / "state" / "c" / "3").unlink()
    (results / "figures" / "a.csv").write_text("other")
    assert main(["verify", str(results), "--jobs", "2"]) == 1
    text = capsys.readouterr().out
    assert "states.zarr: state, position 2 .. 3 of time: damaged" in text
    assert "states.zarr: state, position 6 .. 7 of time: absent" in text
    assert "rule states_truth makes it anew" in text
    assert "a.csv: its bytes are not those that rule figure_cycling wrote" in text
    assert "gone.parquet: absent" in text
    assert main(["verify", str(tmp_path / "none")]) == 1


def test_a_damaged_record_agrees_with_nothing(tmp_path):
    log = tmp_path / "logs" / "rule" / "all.log"
    records.write_record(log, "rule", {"a": 1}, [], ["results/x/a.csv"], True)
    path = tmp_path / "records" / "rule" / "all.json"
    assert records.records_by_product(tmp_path / "records")
    content = json.loads(path.read_text())
    content["params"] = {"a": "2"}
    path.write_text(json.dumps(content))
    assert not records.records_by_product(tmp_path / "records")
    assert not records.read_job_record(tmp_path, "rule", "all")


MAKERS = {
    "states/2022-01.zarr": ("states_decode", ["results/r/raw/2022-01"]),
    "states/2022-02.zarr": ("states_decode", ["results/r/raw/2022-02"]),
    "scores/a.parquet": ("scores", ["results/r/states/2022-01.zarr"]),
    "scores/b.parquet": ("scores", ["results/r/states/2022-02.zarr"]),
    "models/a.ckpt": ("training_joint", ["results/r/states/2022-01.zarr"]),
    "models/b.ckpt": ("training_autoregressive", ["results/r/models/a.ckpt"]),
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The folder of a run with products of several jobs and their records."""
    monkeypatch.chdir(tmp_path)
    results = Path("results/r")
    for name, (rule, inputs) in MAKERS.items():
        path = results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        stamp = {"rule": rule, "inputs": dict.fromkeys(inputs, "0123456789abcdef")}
        provenance.use(stamp)
        if path.suffix == ".zarr":
            create_store(path, {"provenance": provenance.as_json()}).create_array(
                "x", data=np.arange(3)
            )
            consolidate(path)
        else:
            {".parquet": _table, ".ckpt": _checkpoint}[path.suffix](path)
        provenance.use(None)
        log = results / "logs" / rule / f"{path.stem}.log"
        records.write_record(log, rule, {}, inputs, [path], True)
    return results


@pytest.mark.parametrize(
    ("one", "other"),
    [(a, b) for a, b in combinations(MAKERS, 2) if Path(a).suffix == Path(b).suffix],
)
def test_verify_tells_products_that_were_exchanged(run, one, other, capsys):
    assert main(["verify", str(run)]) == 0
    (run / one).rename(run / "aside")
    (run / other).rename(run / one)
    (run / "aside").rename(run / other)
    assert main(["verify", str(run)]) == 1
    told = capsys.readouterr().out
    rule = MAKERS[one][0]
    assert f"{run / one}: by its provenance it is {run / other}, which was put" in told
    assert f"delete {run / one} and run the same command again: rule {rule} makes it anew" in told
    assert f"{run / other}: by its provenance it is {run / one}" in told


def test_a_product_that_was_accepted_with_other_inputs_is_no_fault(run):
    log = run / "logs" / "scores" / "a.log"
    records.write_record(log, "scores", {}, ["results/r/other"], [run / "scores/a.parquet"], True)
    assert main(["verify", str(run)]) == 0


def test_there_is_nothing_to_restore_of_a_run_that_is_not_there(tmp_path, capsys):
    assert main(["restore", str(tmp_path / "results" / "none")]) == 1
    assert "no folder of results" in capsys.readouterr().err


def test_a_sum_does_not_depend_on_blocks_nor_on_where_its_digits_lie(tmp_path, monkeypatch):
    size = mmap.PAGESIZE
    for before in (0, 1, size - len(checksums.MARK) - 4, size - len(checksums.MARK), 3 * size):
        path = tmp_path / f"{before}"
        content = RANDOM.bytes(before) + checksums.MARK + checksums.ZEROS + RANDOM.bytes(2 * size)
        path.write_bytes(content)
        monkeypatch.setattr(checksums, "BLOCK", size)
        checksums.seal(path)
        assert checksums.MARK + b"%08x" % google_crc32c.value(content) in path.read_bytes()
        monkeypatch.setattr(checksums, "BLOCK", 1 << 24)
        checksums.check_sealed(path)


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="memory is released on Linux")
def test_a_large_file_is_summed_in_little_memory(tmp_path, monkeypatch):
    path = tmp_path / "large"
    path.write_bytes(bytes(1 << 26) + checksums.MARK + checksums.ZEROS)
    monkeypatch.setattr(checksums, "BLOCK", 1 << 22)
    resident = []
    original = checksums.crc32c

    def counted(data, before=0):
        total = original(data, before)
        pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]
        resident.append(int(pages) * mmap.PAGESIZE)
        return total

    monkeypatch.setattr(checksums, "crc32c", counted)
    checksums.seal(path)
    checksums.check_sealed(path)
    assert max(resident) - min(resident) < 1 << 24
