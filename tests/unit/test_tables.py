"""Parquet tables with provenance."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fuxiflow.storage import provenance, tables

FRAME = pd.DataFrame({"source": ["a", "b"], "count": [1, 2]}, index=[7, 9])
SCHEMA = pa.schema([("source", pa.string()), ("count", pa.int32())])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.parquet"


def test_a_frame_comes_back_without_its_index_and_with_the_provenance_in_the_metadata(path):
    tables.write_parquet(path, FRAME)
    pd.testing.assert_frame_equal(tables.read_parquet(path), FRAME.reset_index(drop=True))
    metadata = pq.read_schema(path).metadata
    assert set(metadata) == {b"pandas", b"provenance"}
    assert json.loads(metadata[b"provenance"]) == provenance.current()


def test_a_schema_gives_the_types_and_other_texts_stand_beside_the_provenance(path):
    tables.write_parquet(path, FRAME, SCHEMA, {"summary": "two"})
    schema = pq.read_schema(path)
    assert schema.equals(SCHEMA)
    assert set(schema.metadata) == {b"pandas", b"provenance", b"summary"}
    assert schema.metadata[b"summary"] == b"two"


@pytest.mark.parametrize("compression", ["zstd", "snappy"])
def test_an_arrow_table_gets_no_metadata_of_pandas(path, compression):
    tables.write_parquet(
        path, pa.Table.from_pandas(FRAME, SCHEMA).replace_schema_metadata(), compression=compression
    )
    with pq.ParquetFile(path) as file:
        assert set(file.schema_arrow.metadata) == {b"provenance"}
        assert file.metadata.row_group(0).column(0).compression == compression.upper()


def test_some_columns_and_rows_are_read_and_an_absent_column_is_named_with_those_there_are(path):
    tables.write_parquet(path, FRAME)
    assert tables.read_parquet(path, ["source"], [("count", "=", 2)]).to_dict("list") == {
        "source": ["b"]
    }
    with pytest.raises(ValueError, match=r"table\.parquet: no column lat; it has source, count"):
        tables.read_parquet(path, ["source", "lat"])
