"""Parquet tables that carry their provenance: pandas frames and Arrow tables, written at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fuxiflow.storage import provenance

PROVENANCE = "provenance"
"""The key in the metadata of a file's schema under which the provenance stands, as JSON."""


def stamp_schema(schema: pa.Schema, metadata: Mapping[str, str] | None = None) -> pa.Schema:
    """Add the provenance, and other texts by key, to the metadata of a schema."""
    stamp = {PROVENANCE.encode(): provenance.as_json()}
    return schema.with_metadata({**(schema.metadata or {}), **stamp, **(metadata or {})})


def write_parquet(
    path: Path,
    table: pd.DataFrame | pa.Table,
    schema: pa.Schema | None = None,
    metadata: Mapping[str, str] | None = None,
    compression: str = "zstd",
) -> None:
    """Write a table as Parquet with the provenance in its metadata.

    Parameters
    ----------
    path : Path
        The file; one that is there is replaced.
    table : pd.DataFrame or pa.Table
        The rows. The index of a frame is not written.
    schema : pa.Schema, optional
        Columns and types of a frame; by default those that pandas and Arrow agree on.
    metadata : Mapping[str, str], optional
        Further texts that stand beside the provenance, by key.
    compression : str
        The codec of all columns.
    """
    if isinstance(table, pd.DataFrame):
        if schema is not None:
            # pandas makes a column without any value one of floats, which Arrow does not cast
            empty = [name for name in schema.names if table[name].isna().all()]
            table = table.assign(**dict.fromkeys(empty))
        table = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    stamped = table.replace_schema_metadata(stamp_schema(table.schema, metadata).metadata)
    pq.write_table(stamped, path, compression=compression)


def read_parquet(
    path: Path, columns: Sequence[str] | None = None, filters: list[tuple] | None = None
) -> pd.DataFrame:
    """Read a table, or some of its columns and rows.

    Parameters
    ----------
    path : Path
        A Parquet file.
    columns : Sequence[str], optional
        The columns that are read, all by default.
    filters : list of tuple, optional
        Conditions ``(column, operator, value)`` that all rows fulfil, as pyarrow takes them.

    Returns
    -------
    pd.DataFrame
        The rows, numbered from 0.

    Raises
    ------
    ValueError
        Where the file lacks a column: the message names the file and the columns that it has.
    """
    if columns is not None:
        names = pq.read_schema(path).names
        if absent := [name for name in columns if name not in names]:
            raise ValueError(
                f"{path}: no column {', '.join(absent)}; it has {', '.join(names)}: "
                "run its rule again"
            )
        columns = list(columns)
    return pq.read_table(path, columns=columns, filters=filters or None).to_pandas()
