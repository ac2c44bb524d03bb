"""Parquet tables that carry their provenance and checksums: pandas frames and Arrow tables.

Each page has a sum, which pyarrow compares when it reads the page. The sum of the whole file stands
in its metadata (:mod:`fuxiflow.storage.checksums`) and is compared whenever it is opened here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fuxiflow.storage import checksums, provenance

CHECKSUM = "checksum"
"""The key in the metadata of a file under which its checksum stands."""
PROVENANCE = "provenance"
"""The key in the metadata of a file's schema under which the provenance stands, as JSON."""


def stamp_schema(schema: pa.Schema, metadata: Mapping[str, str] | None = None) -> pa.Schema:
    """Add the provenance, and other texts by key, to the metadata of a schema."""
    stamp = {PROVENANCE.encode(): provenance.as_json()}
    return schema.with_metadata({**(schema.metadata or {}), **stamp, **(metadata or {})})


class ParquetWriter:
    """Writes a Parquet table with checksums, piece by piece. A context manager."""

    def __init__(self, path: Path, schema: pa.Schema, **options):
        """Open the file.

        Parameters
        ----------
        path : Path
            The file; one that is there is replaced.
        schema : pa.Schema
            Columns, types and metadata.
        **options
            Further arguments of :class:`pyarrow.parquet.ParquetWriter`.
        """
        self.path = Path(path)
        self.schema = schema
        self._writer = pq.ParquetWriter(path, schema, write_page_checksum=True, **options)

    def write_table(self, table: pa.Table, **options) -> None:
        """Add the rows of a table, as pyarrow does."""
        self._writer.write_table(table, **options)

    def close(self) -> None:
        """Complete the file."""
        place = (checksums.MARK + checksums.ZEROS).decode()
        self._writer.add_key_value_metadata({CHECKSUM: place})
        self._writer.close()
        checksums.seal(self.path)

    def __enter__(self) -> "ParquetWriter":
        return self

    def __exit__(self, kind, *_) -> None:
        # a file that is not whole must not look so
        self._writer.close() if kind else self.close()


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a table whose bytes are those that were written.

    Raises
    ------
    FileNotFoundError
        When it is not there.
    DamagedError
        When its checksum differs, or it has none.
    """
    checksums.check_sealed(path)
    return pq.ParquetFile(path, page_checksum_verification=True)


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
    with ParquetWriter(path, stamped.schema, compression=compression) as writer:
        writer.write_table(stamped)


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
    FileNotFoundError
        When it is not there.
    DamagedError
        When its checksum differs, or it has none.
    ValueError
        Where the file lacks a column: the message names the file and the columns that it has.
    """
    with open_parquet(path) as file:
        names = file.schema_arrow.names
    if columns is not None:
        if absent := [name for name in columns if name not in names]:
            raise ValueError(
                f"{path}: no column {', '.join(absent)}; it has {', '.join(names)}: "
                "run its rule again"
            )
        columns = list(columns)
    return pq.read_table(
        path, columns=columns, filters=filters or None, page_checksum_verification=True
    ).to_pandas()
