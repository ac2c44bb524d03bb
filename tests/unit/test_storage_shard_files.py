"""A shard file that is written a chunk at a time is what Zarr itself would have written."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, ZstdCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from fuxiflow.states.shards import ShardReader
from fuxiflow.storage.packing import BlockPackingCodec
from fuxiflow.storage.shard_files import AppendedShard
from fuxiflow.storage.zarr_checks import with_sum
from fuxiflow.storage.zarr_stores import create_store, open_store

# in steps of 2**-10, which packing keeps
VALUES = np.rint(np.random.default_rng(0).normal(size=(2, 5, 3, 4, 8)) * 1024) / 1024
VALUES = VALUES.astype(np.float32)
BLOSC = BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle", typesize=4)
CODECS = {
    "packed": {"serializer": BlockPackingCodec(), "compressors": None},
    "blosc": {"compressors": BLOSC},
    "zstd": {"compressors": ZstdCodec(level=1)},
    "none": {"compressors": None},
}


def create(path, **options):
    group = create_store(path)
    return group.create_array(
        "field",
        shape=VALUES.shape,
        dtype=options.pop("dtype", "float32"),
        chunks=(1, 1, 3, 4, 8),
        shards=(1, 5, 3, 4, 8),
        **options,
    )


def zarr_encoder(array):
    """A function that encodes a chunk of a sharded array by the array's own codecs."""
    sharding = array.async_array.codec_pipeline.array_bytes_codec
    prototype = default_buffer_prototype()
    shard = array.metadata.get_chunk_spec(
        (0,) * array.ndim, array.async_array.config, prototype=prototype
    )
    chunk = dataclasses.replace(shard, shape=array.chunks)

    def encode(values):
        buffer = prototype.nd_buffer.from_numpy_array(values.reshape(array.chunks))
        (encoded,) = sync(sharding.codec_pipeline.encode([(buffer, chunk)]))
        return encoded.to_bytes()

    return encode


def shard_path(store, number):
    return store / "field" / "c" / str(number) / "0" / "0" / "0" / "0"


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 0, 3, 1, 2)])
@pytest.mark.parametrize("codec", CODECS)
def test_zarr_reads_what_was_appended(tmp_path, codec, order):
    array = create(tmp_path / "a.zarr", **CODECS[codec])
    encode = zarr_encoder(array)
    for number in range(2):
        shard = AppendedShard(shard_path(tmp_path / "a.zarr", number), 5)
        for position in order:
            shard.append(position, encode(VALUES[number, position]))
        assert not shard_path(tmp_path / "a.zarr", number).exists()
        shard.finish()
    np.testing.assert_array_equal(open_store(tmp_path / "a.zarr")["field"][:], VALUES)
    assert len(list(shard_path(tmp_path / "a.zarr", 0).parent.iterdir())) == 1


@pytest.mark.parametrize("codec", CODECS)
def test_the_reader_of_two_leading_dimensions_reads_single_chunks(tmp_path, codec):
    array = create(tmp_path / "a.zarr", **CODECS[codec])
    array[:] = VALUES
    times = ["2022-01-01T00:00:00", "2022-01-01T12:00:00"]
    reader = ShardReader(tmp_path / "a.zarr" / "field", array, times, [0, 6, 12, 18, 24])
    assert reader.shape == (3, 4, 8)
    for number, position in np.ndindex(2, 5):
        np.testing.assert_array_equal(reader.read(number * 5 + position), VALUES[number, position])
    out = np.empty((6, 3, 4, 8), np.float32)
    reader.read_into(2, out)
    np.testing.assert_array_equal(out, VALUES.reshape(10, 3, 4, 8)[2:8])


def test_other_shards_are_read_by_zarr(tmp_path):
    group = create_store(tmp_path / "a.zarr")
    array = group.create_array(
        "field", data=VALUES, chunks=(1, 1, 3, 4, 8), shards=(2, 5, 3, 4, 8), compressors=BLOSC
    )
    reader = ShardReader(tmp_path / "a.zarr" / "field", array, (), [0, 6, 12, 18, 24])
    np.testing.assert_array_equal(reader.read(7), VALUES[1, 2])


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_the_direct_way_gives_the_bytes_of_zarr(tmp_path_factory, seed, rows, columns):
    codec = BlockPackingCodec(rows, columns)
    path = tmp_path_factory.mktemp("store") / "a.zarr"
    array = create(path, serializer=codec, compressors=None)
    values = np.random.default_rng(seed).normal(size=(3, 4, 8)).astype(np.float32).round(2)
    values[seed % 3, 0] = np.nan
    packed = codec.packing(array.chunks).pack(values)
    assert with_sum(packed) == zarr_encoder(array)(values)


def test_another_type_goes_through_zarr(tmp_path):
    array = create(tmp_path / "a.zarr", compressors=BLOSC, dtype="float64")
    shard = AppendedShard(shard_path(tmp_path / "a.zarr", 1), 5)
    for position in range(5):
        shard.append(position, zarr_encoder(array)(VALUES[1, position].astype(float)))
    shard.finish()
    np.testing.assert_array_equal(array[1], VALUES[1])


def test_a_shard_with_a_gap_is_not_finished(tmp_path):
    shard = AppendedShard(tmp_path / "c" / "0", 3)
    shard.append(0, with_sum(b"one"))
    shard.append(2, with_sum(b"three"))
    with pytest.raises(ValueError, match=r"c/0: 1 of 3 chunks were never written.*position 1"):
        shard.finish()
    shard.abandon()
    assert not list((tmp_path / "c").iterdir())


def test_a_second_writer_is_noticed(tmp_path):
    shard = AppendedShard(tmp_path / "0", 2)
    shard.append(0, with_sum(b"one"))
    AppendedShard(tmp_path / "0", 2).append(1, with_sum(b"another"))
    with pytest.raises(ValueError, match="another process writes to it"):
        shard.append(1, with_sum(b"two"))


def test_the_finished_file_replaces_an_old_one_at_once(tmp_path):
    path = tmp_path / "0"
    path.write_bytes(b"old")
    (tmp_path / ".tmp-host_12_0123abcd-0").write_bytes(b"left by a killed process")
    shard = AppendedShard(path, 1)
    shard.append(0, with_sum(b"new"))
    assert path.read_bytes() == b"old"
    shard.finish()
    assert path.read_bytes().startswith(b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["0"]
