from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.states import store
from fuxiflow.states.coordinates import read_times, times_within
from fuxiflow.states.shards import ShardReader
from fuxiflow.states.store import StateSeries, StateWriter, write_states
from fuxiflow.storage.datasets import write_dataset
from fuxiflow.storage.packing import Packing
from fuxiflow.storage.zarr_stores import open_store

GRID = Grid(4, 8)
CHANNELS = channel_table().select(["Z500", "T850", "TP"])
TIMES = np.datetime64("2022-01-01", "ns") + np.arange(10) * np.timedelta64(6, "h")


def fields(count=10, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3, 4, 8)).astype(np.float32)


def write(path, values, times=TIMES, **options):
    with StateWriter(path, times, CHANNELS, GRID, **options) as writer:
        for index, value in enumerate(values):
            writer.write(index, value)


def stored(values, compression):
    """What a store gives back: what is packed with a loss is packed field by field."""
    if compression != "packed":
        return values
    packing = Packing(values.shape[1:])
    return np.stack([packing.unpack(packing.pack(field)) for field in values])


def test_round_trip_keeps_values_times_channels_and_grid(tmp_path):
    values = fields()
    write_states(tmp_path / "a.zarr", TIMES, CHANNELS, GRID, values)
    states = StateSeries([tmp_path / "a.zarr"])
    assert states.channels == CHANNELS
    assert states.grid == GRID
    np.testing.assert_array_equal(states.times, TIMES)
    np.testing.assert_array_equal(states.read_many(TIMES), values)
    np.testing.assert_array_equal(states.read(TIMES[3]), values[3])


def test_poles_are_recognised(tmp_path):
    grid = Grid(5, 8, poles=True)
    write_states(tmp_path / "a.zarr", TIMES[:1], CHANNELS, grid, [np.zeros((3, 5, 8))])
    assert StateSeries([tmp_path / "a.zarr"]).grid == grid


def test_a_missing_time_keeps_its_slot_and_raises(tmp_path):
    values = list(fields())
    values[4] = None
    write_states(tmp_path / "a.zarr", TIMES, CHANNELS, GRID, values)
    states = StateSeries([tmp_path / "a.zarr"])
    assert len(states) == 9
    assert len(states.slots) == 10
    assert TIMES[4] not in states
    assert TIMES[5] in states
    with pytest.raises(
        KeyError,
        match=r"2022-01-02T00:00:00 is missing in .*a\.zarr.*"
        r"2022-01-01T00:00:00 \.\. 2022-01-03T06",
    ):
        states.read(TIMES[4])
    with pytest.raises(KeyError, match=r"2023-01-01T00:00:00 is not in .*a\.zarr"):
        states.read("2023-01-01")
    assert open_store(tmp_path / "a.zarr")["state"].attrs["missing"] == ["2022-01-02T00:00:00"]


def test_opens_with_plain_xarray(tmp_path, recwarn):
    values = fields()
    write_states(tmp_path / "a.zarr", TIMES, CHANNELS, GRID, values, attrs={"reference": "era5"})
    with xr.open_zarr(tmp_path / "a.zarr") as data:
        assert data.state.dims == ("time", "channel", "lat", "lon")
        np.testing.assert_array_equal(data.time, TIMES)
        np.testing.assert_array_equal(data.state.sel(channel="T850"), values[:, 1])
        assert data.lat.attrs["units"] == "degrees_north"
        assert list(data.unit.values) == ["m2 s-2", "K", "mm"]
        assert data.attrs["reference"] == "era5"
        assert "rule" in data.attrs["provenance"]
    assert not [w for w in recwarn if "consolidated" in str(w.message)]


def test_a_segment_is_a_handful_of_files(tmp_path):
    times = TIMES[0] + np.arange(130) * np.timedelta64(6, "h")
    write(tmp_path / "a.zarr", fields(130), times)
    assert len([p for p in (tmp_path / "a.zarr" / "state" / "c").rglob("*") if p.is_file()]) == 3


def test_several_stores_are_one_series_and_must_agree(tmp_path):
    values = fields()
    write(tmp_path / "a.zarr", values[:6], TIMES[:6])
    write(tmp_path / "b.zarr", values[6:], TIMES[6:])
    states = StateSeries([tmp_path / "b.zarr", tmp_path / "a.zarr"])
    np.testing.assert_array_equal(states.read_many(TIMES), values)
    write_states(tmp_path / "c.zarr", TIMES[:1], CHANNELS[:2], GRID, values[:1, :2])
    with pytest.raises(ValueError, match="other channels or another grid"):
        StateSeries([tmp_path / "a.zarr", tmp_path / "c.zarr"])
    with pytest.raises(FileNotFoundError, match=r"none\.zarr"):
        StateSeries([tmp_path / "none.zarr"])
    with pytest.raises(ValueError, match="no state store"):
        StateSeries([])


def test_two_arrays_in_one_store(tmp_path):
    values = fields()
    with StateWriter(
        tmp_path / "a.zarr", TIMES, CHANNELS, GRID, names=("analysis", "background")
    ) as writer:
        for index, value in enumerate(values):
            writer.write(index, value, "analysis")
            writer.write(index, None if index == 0 else -value, "background")
        with pytest.raises(KeyError, match="known: analysis, background"):
            writer.write(0, values[0])
    np.testing.assert_array_equal(
        StateSeries([tmp_path / "a.zarr"], name="analysis").read(TIMES[0]), values[0]
    )
    background = StateSeries([tmp_path / "a.zarr"], name="background")
    assert TIMES[0] not in background
    np.testing.assert_array_equal(background.read(TIMES[9]), -values[9])
    with pytest.raises(KeyError, match="it holds analysis, background"):
        StateSeries([tmp_path / "a.zarr"])


def test_an_interrupted_store_is_continued(tmp_path):
    values = fields()
    path = tmp_path / "a.zarr"

    def interrupted():
        with StateWriter(path, TIMES, CHANNELS, GRID, shard=4) as writer:
            for index in range(6):
                writer.write(index, values[index])
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        interrupted()
    assert len(StateSeries([path])) == 6
    with StateWriter(path, TIMES, CHANNELS, GRID, resume=True) as writer:
        assert writer.done(5)
        assert not writer.done(6)
        for index in range(6, 10):
            writer.write(index, values[index])
    np.testing.assert_array_equal(StateSeries([path]).read_many(TIMES), values)
    with pytest.raises(ValueError, match="cannot be continued"):
        StateWriter(path, TIMES[:5], CHANNELS, GRID, resume=True)


def test_a_kill_without_notice_loses_only_the_shard_in_work(tmp_path):
    values = fields()
    writer = StateWriter(tmp_path / "a.zarr", TIMES, CHANNELS, GRID, shard=4)
    for index in range(6):
        writer.write(index, values[index])
    del writer
    again = StateWriter(tmp_path / "a.zarr", TIMES, CHANNELS, GRID, resume=True)
    assert [again.done(index) for index in range(6)] == [True] * 4 + [False] * 2


def test_a_store_is_not_finished_while_times_never_came(tmp_path):
    path = tmp_path / "a.zarr"
    writer = StateWriter(path, TIMES, CHANNELS, GRID)
    writer.write(0, fields()[0])
    with pytest.raises(ValueError, match="9 times of state never came, the first 2"):
        writer.close()
    with StateWriter(path, TIMES, CHANNELS, GRID, resume=True) as writer:
        assert writer.done(0)
        for index in range(1, 10):
            writer.write(index, None)
    assert StateSeries([path]).times.tolist() == TIMES[:1].tolist()


HARMED = {
    "a lost file": (lambda path: path.joinpath("state/c/0/0/0/0").unlink(), [0, 1, 2, 3]),
    "a lost file in work": (lambda path: path.joinpath("state/c/1/0/0/0").unlink(), [4, 5]),
    "a cut file": (lambda path: path.joinpath("state/c/0/0/0/0").write_bytes(b"x"), [0, 1, 2, 3]),
    "a cut file in work": (lambda path: path.joinpath("state/c/1/0/0/0").write_bytes(b""), [4, 5]),
    "metadata": (lambda path: path.joinpath("zarr.json").write_text("{"), range(6)),
    "metadata of the array": (lambda path: path.joinpath("state/zarr.json").unlink(), range(6)),
}


@pytest.mark.parametrize("harm", HARMED)
def test_what_is_gone_is_written_again(tmp_path, harm, caplog):
    values, path = fields(), tmp_path / "a.zarr"
    act, gone = HARMED[harm]
    writer = StateWriter(path, TIMES, CHANNELS, GRID, shard=4)
    for index in range(6):
        writer.write(index, values[index])
    writer.flush()
    act(path)
    with StateWriter(path, TIMES, CHANNELS, GRID, resume=True, shard=4) as writer:
        todo = [index for index in range(10) if not writer.done(index)]
        assert todo == sorted({*gone, 6, 7, 8, 9})
        for index in todo:
            writer.write(index, values[index])
    assert str(path) in caplog.text
    np.testing.assert_array_equal(StateSeries([path]).read_many(TIMES), values)


def test_a_wrong_shape_and_disordered_times_are_refused(tmp_path):
    writer = StateWriter(tmp_path / "a.zarr", TIMES, CHANNELS, GRID)
    with pytest.raises(ValueError, match="has shape"):
        writer.write(0, np.zeros((2, 4, 8)))
    for times in ([], TIMES[::-1]):
        with pytest.raises(ValueError, match="increasing order"):
            StateWriter(tmp_path / "b.zarr", times, CHANNELS, GRID)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        write_states(tmp_path / "c.zarr", TIMES, CHANNELS, GRID, fields(3))


@pytest.mark.parametrize("compression", store.COMPRESSIONS)
def test_a_cut_shard_names_the_file(tmp_path, compression):
    write(tmp_path / "a.zarr", fields(), compression=compression)
    shard = tmp_path / "a.zarr" / "state" / "c" / "0" / "0" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:-300])
    with pytest.raises(OSError, match=r"a\.zarr: state, time 2022-01-03T06:00:00.*delete"):
        StateSeries([tmp_path / "a.zarr"]).read(TIMES[9])


@settings(max_examples=20)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=25),
    st.integers(1, 10),
    st.sampled_from(list(store.COMPRESSIONS)),
)
def test_any_order_of_writing_gives_the_same_store(tmp_path_factory, order, shard, compression):
    values = fields()
    path = tmp_path_factory.mktemp("store") / "a.zarr"
    with StateWriter(path, TIMES, CHANNELS, GRID, shard=shard, compression=compression) as writer:
        for index in order:
            writer.write(index, values[index])
        for index in {*range(10)} - {*order}:
            writer.write(index, None)
    states = StateSeries([path])
    assert [int(np.searchsorted(TIMES, time)) for time in states.times] == sorted(set(order))
    values = stored(values, compression)
    for index in set(order):
        np.testing.assert_array_equal(states.read(TIMES[index]), values[index])
    for positions in (order, sorted(set(order))):
        np.testing.assert_array_equal(states.read_many(TIMES[positions]), values[positions])


def test_a_missing_time_is_nan_between_its_neighbours(tmp_path):
    values = fields()
    for compression in store.COMPRESSIONS:
        path = tmp_path / f"{compression}.zarr"
        write(
            path,
            [None if i in (0, 4, 9) else field for i, field in enumerate(values)],
            compression=compression,
        )
        unpacked = np.empty_like(values)
        ShardReader(path / "state", open_store(path)["state"]).read_into(0, unpacked)
        assert np.isnan(unpacked[[0, 4, 9]]).all()
        np.testing.assert_array_equal(
            np.delete(unpacked, [0, 4, 9], 0),
            np.delete(stored(values, compression), [0, 4, 9], 0),
        )


def _mapped_kb(path):
    """The pages of a file, in kB, that count as memory of this process."""
    lines = Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines()
    starts = [i for i, line in enumerate(lines) if line.endswith(f" {path}")]
    sizes = [next(line for line in lines[i:] if line.startswith("Rss:")) for i in starts]
    return sum(int(size.split()[1]) for size in sizes), len(starts)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="asks Linux")
@pytest.mark.parametrize("compression", ["none", "packed"])
def test_what_was_read_is_no_memory_of_the_process(tmp_path, compression):
    """Forty fields of a forecast that are read one by one once counted as 12 GB."""
    path = tmp_path / "large.zarr"
    values = np.random.default_rng(0).normal(size=(1, 3, 400, 800)).astype(np.float32)
    with StateWriter(path, TIMES[:1], CHANNELS, Grid(400, 800), compression=compression) as writer:
        writer.write(0, values[0])
    reader = ShardReader(path / "state", open_store(path)["state"])
    reader.read(0)
    kept, maps = _mapped_kb(path / "state/c/0/0/0/0")
    assert maps
    assert kept < 100


def test_fields_are_read_into_an_array_of_their_number_only(tmp_path):
    write(tmp_path / "a.zarr", fields())
    with pytest.raises(ValueError, match="3 times, but an array for 2"):
        StateSeries([tmp_path / "a.zarr"]).read_into(TIMES[:3], np.empty((2, 2, 4, 8), np.float32))


def test_a_store_of_another_layout_is_read_through_zarr(tmp_path):
    values = fields()
    data = xr.Dataset(
        {"state": (("time", "channel", "lat", "lon"), values)},
        {"time": TIMES, "channel": CHANNELS.names, "lat": GRID.lat, "lon": GRID.lon},
    )
    write_dataset(tmp_path / "a.zarr", {"": data})
    np.testing.assert_array_equal(StateSeries([tmp_path / "a.zarr"]).read_many(TIMES), values)


def test_times_of_other_units_are_understood_and_strange_ones_refused(tmp_path):
    data = xr.Dataset(coords={"time": TIMES})
    data["time"].encoding = {"units": "hours since 2021-12-31", "dtype": "float64"}
    write_dataset(tmp_path / "a.zarr", {"": data})
    group = open_store(tmp_path / "a.zarr", mode="r+")
    np.testing.assert_array_equal(read_times(group), TIMES)
    group["time"].attrs["units"] = "months since 2000"
    with pytest.raises(ValueError, match="months since 2000"):
        read_times(group)


def test_within_takes_whole_days():
    assert times_within(TIMES, ["2022-01-02", "2022-01-02"]).tolist() == TIMES[4:8].tolist()
    with pytest.raises(ValueError, match="no time between"):
        times_within(TIMES, ["2023-01-01", "2023-01-02"])


def test_the_bits_are_the_same_however_they_are_packed(tmp_path, monkeypatch):
    values = fields()
    values[2, 0, 0, :4] = [-0.0, 1e-45, 3.4e38, -1e-38]
    write(tmp_path / "now.zarr", values)
    write(tmp_path / "none.zarr", values, compression="none")
    before = (BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle", typesize=4),)
    monkeypatch.setitem(store.COMPRESSIONS, "lz4hc", {"compressors": before})
    write(tmp_path / "before.zarr", values)
    codecs = {
        name: [
            codec.cname.value if isinstance(codec, BloscCodec) else "crc32c"
            for codec in open_store(tmp_path / f"{name}.zarr")["state"].compressors
        ]
        for name in ("now", "none", "before")
    }
    assert codecs == {
        "now": ["lz4hc", "crc32c"],
        "none": ["crc32c"],
        "before": ["zstd", "crc32c"],
    }
    for name in codecs:
        states = StateSeries([tmp_path / f"{name}.zarr"])
        np.testing.assert_array_equal(
            states.read_many(TIMES).view(np.uint32), values.view(np.uint32)
        )
        with xr.open_zarr(tmp_path / f"{name}.zarr") as data:
            np.testing.assert_array_equal(data.state.values.view(np.uint32), values.view(np.uint32))


@settings(max_examples=15)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=9, unique=True), st.integers(1, 10))
def test_a_store_that_is_continued_keeps_the_bytes_of_what_it_holds(
    tmp_path_factory, before, shard
):
    """What was packed with a loss is not packed again."""
    values = fields()
    path = tmp_path_factory.mktemp("store") / "a.zarr"
    options = {"shard": shard, "compression": "packed"}
    writer = StateWriter(path, TIMES, CHANNELS, GRID, **options)
    for index in before:
        writer.write(index, values[index])
    writer.flush()
    kept = _chunks(path, before, shard)
    with StateWriter(path, TIMES, CHANNELS, GRID, resume=True, **options) as writer:
        for index in {*range(10)} - {*before}:
            writer.write(index, values[index])
    assert _chunks(path, before, shard) == kept
    assert _chunks(path, range(10), shard) == [
        Packing(values.shape[1:]).pack(field).tobytes() for field in values
    ]


def _chunks(path, indices, shard):
    """The packed bytes of times, without their sums."""
    chunks = []
    for index in indices:
        file = (path / "state" / "c" / str(index // shard) / "0" / "0" / "0").read_bytes()
        table = np.frombuffer(file[-16 * shard - 4 : -4], "<u8").reshape(shard, 2)
        begin, length = table[index % shard].tolist()
        chunks.append(file[begin : begin + length - 4])
    return chunks
