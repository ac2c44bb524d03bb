"""A cycle that is killed, or whose state is harmed, ends with the bits of an undisturbed one."""

import logging
import os
import shutil
import signal

import numpy as np
import pytest
import torch
import zarr

from fuxiflow.channels import channel_table
from fuxiflow.cycling.analyses import Carry, Cycled
from fuxiflow.cycling.segment_state import ARRAYS, SegmentState
from fuxiflow.grids import Grid
from fuxiflow.states.store import StateSeries
from fuxiflow.storage import provenance
from tests.support import tiny
from tests.support.kills import run_killed

CHANNELS = channel_table().select(channel_table().names[:2])
GRID = Grid(4, 8)
SLOTS = tiny.times(7)
SHARD = 2
LOG = logging.getLogger("fuxiflow")


def following(carry):
    """A cycle that depends on all before it."""
    background = carry.background[0].numpy()
    analysis = np.sin(background * 3 + carry.previous[0].numpy()).astype(np.float32)
    hours = int((carry.time - SLOTS[0]) / np.timedelta64(1, "h"))
    rejected = {"s": {"1": hours, "3": 1}} if hours % 12 else {}
    cycled = Cycled(carry.time, background, analysis, 1, rejected)
    after = torch.from_numpy(np.cos(analysis)[None])
    return cycled, Carry(carry.time + tiny.STEP, after, torch.from_numpy(analysis[None]))


def begin():
    field = torch.arange(64, dtype=torch.float32).reshape(1, 2, 4, 8)
    return Carry(np.datetime64(SLOTS[0], "ns"), field / 64, field / 100)


def work(folder, stop=None):
    """What the script does; the number of cycles that were computed."""
    folder.mkdir(parents=True, exist_ok=True)
    state = SegmentState(folder / "state", SLOTS, CHANNELS, GRID, SHARD, LOG)
    carry = state.carry(torch.device("cpu")) or begin()
    first = int((carry.time - SLOTS[0]) / tiny.STEP)
    for index in range(first, len(SLOTS)):
        if index == stop:
            return index
        cycled, carry = following(carry)
        state.write(index, cycled, carry)
    carry.save(folder / "carry.pt")
    state.finish(folder / "made.zarr")
    return len(SLOTS) - first


def result(folder):
    stores = [StateSeries([folder / "made.zarr"], name).read_many(SLOTS) for name in ARRAYS]
    metadata = (folder / "made.zarr" / "zarr.json").read_bytes()
    carry = torch.load(folder / "carry.pt", weights_only=True)
    return [*(store.tobytes() for store in stores), metadata, carry["background"].numpy().tobytes()]


@pytest.fixture(scope="module", autouse=True)
def _provenance():
    provenance.use({"rule": "test"})
    yield
    provenance.use(None)


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    (folder / "state").mkdir()
    assert work(folder) == len(SLOTS)
    assert not (folder / "state").exists()
    return result(folder)


# FUXIFLOW_ALL_KILLS=1 tries every change, in some minutes
EVERY = 1 if os.environ.get("FUXIFLOW_ALL_KILLS") else 9


def test_a_kill_at_any_change_on_disk_costs_no_bit(tmp_path, expected):
    folder = tmp_path / "counted"
    (folder / "state").mkdir(parents=True)
    code, changes = run_killed(lambda: work(folder))
    assert code == 0
    assert result(folder) == expected
    assert changes > 60
    for kill_at in range(1, changes + 1, EVERY):
        folder = tmp_path / str(kill_at)
        (folder / "state").mkdir(parents=True)
        code, _ = run_killed(lambda at=folder: work(at), kill_at)
        assert code == -signal.SIGKILL
        # what the rule runner and the workspace do before a job
        shutil.rmtree(folder / "made.zarr", ignore_errors=True)
        (folder / "state").mkdir(exist_ok=True)
        code, _ = run_killed(lambda at=folder: work(at))
        assert code == 0, f"killed at {kill_at}"
        assert result(folder) == expected, f"killed at {kill_at}"
        shutil.rmtree(folder)


def carries(state):
    return sorted(state.glob("carry-*.ckpt"))


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def drop_newest_shard(state):
    (state / "analyses.zarr" / "analysis" / "c" / "1" / "0" / "0" / "0").unlink()


def exchange_store(state):
    other = state.parent / "other"
    (other / "state").mkdir(parents=True)
    work(other, stop=4)
    shutil.rmtree(state / "analyses.zarr")
    shutil.move(other / "state" / "analyses.zarr", state / "analyses.zarr")


def younger_store(state):
    """Another store that holds more than the carry goes on from, with the carry of this one."""
    other = state.parent / "other"
    (other / "state").mkdir(parents=True)
    work(other, stop=6)
    for path in (state / "analyses.zarr", other / "state" / "analyses.zarr"):
        assert path.exists()
    shutil.rmtree(state / "analyses.zarr")
    shutil.move(other / "state" / "analyses.zarr", state / "analyses.zarr")


HARMS = {
    "nothing": (lambda state: None, 3, "4"),
    "the newest carry": (lambda state: damage(carries(state)[-1]), 5, "damaged"),
    "an empty carry": (lambda state: carries(state)[-1].write_bytes(b""), 5, "damaged"),
    "both carries": (lambda state: [damage(path) for path in carries(state)], 7, "begun anew"),
    "no carry": (lambda state: [path.unlink() for path in carries(state)], 7, "begun anew"),
    "no store": (lambda state: shutil.rmtree(state / "analyses.zarr"), 7, "begun anew"),
    "another store": (exchange_store, 7, "another store"),
    "a younger store": (younger_store, 7, "another store"),
    "a store without its newest file": (drop_newest_shard, 5, "of which 2 are there"),
    "damaged metadata": (
        lambda state: (state / "analyses.zarr" / "zarr.json").write_text("{"),
        7,
        "cannot be continued",
    ),
    "no metadata of an array": (
        lambda state: (state / "analyses.zarr" / "background" / "zarr.json").unlink(),
        7,
        "begun anew",
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_does_not_fit_together_is_made_again(tmp_path, state, expected, caplog, harm):
    act, again, says = HARMS[harm]
    work(tmp_path, stop=4)
    assert len(carries(state)) == 2
    act(state)
    caplog.clear()
    assert work(tmp_path) == again
    assert says in caplog.text or harm == "nothing"
    assert result(tmp_path) == expected


def test_a_restart_forgets_no_rejected_value(tmp_path, state):
    """Cycles of 6, 18 and 30 h reject some; the job is killed after that of 18 h was made."""
    work(tmp_path, stop=4)
    again = SegmentState(state, SLOTS, CHANNELS, GRID, SHARD, LOG)
    carry = again.carry(torch.device("cpu"))
    for index in range(4, len(SLOTS)):
        cycled, carry = following(carry)
        again.write(index, cycled, carry)
    ledger = again.ledger()
    assert set(ledger["reason"]) == {"first_guess"}
    counts = {(str(row.day), row.channel): row.count for row in ledger.itertuples(index=False)}
    assert counts == {
        ("2022-01-01", "1"): 6 + 18,
        ("2022-01-01", "3"): 2,
        ("2022-01-02", "1"): 30,
        ("2022-01-02", "3"): 1,
    }


def test_a_cycle_that_rejects_nothing_has_an_empty_ledger(state):
    ledger = SegmentState(state, SLOTS, CHANNELS, GRID, SHARD, LOG).ledger()
    assert ledger.columns.tolist() == [
        "source",
        "file",
        "day",
        "channel",
        "reason",
        "count",
        "message",
    ]
    assert ledger.empty


def test_a_store_is_not_finished_with_a_gap(tmp_path, state):
    made = SegmentState(state, SLOTS, CHANNELS, GRID, SHARD, LOG)
    carry = begin()
    for index in range(len(SLOTS)):
        cycled, carry = following(carry)
        if index != 3:
            made.write(index, cycled, carry)
    with pytest.raises(ValueError, match=r"1 times of analysis never came, .*2022-01-01T18"):
        made.finish(tmp_path / "made.zarr")
    assert not (tmp_path / "made.zarr").exists()


def test_the_product_does_not_tell_of_the_restart(tmp_path, state, expected):
    work(tmp_path)
    attributes = dict(zarr.open_group(tmp_path / "made.zarr").attrs)
    assert sorted(attributes) == ["Conventions", "digest", "provenance"]
