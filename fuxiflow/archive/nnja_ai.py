"""Download NNJA-AI: observations of NOAA's and NASA's joint archive as Parquet, one file a day.

Layout: ``{url}/{sensor}/{source}/{message}/OBS_DATE=YYYY-MM-DD/gdas.YYYYMMDD.{message}.parquet``.
Files hold up to some hundred columns. The columns that readers use are transferred alone, where the
server answers byte ranges, and stored as Parquet again. What is not Parquet, or is damaged, is
stored as it came: the reader names it in the ledger.
"""

import json
import logging
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import requests

from fuxiflow.archive.listings import list_google_objects
from fuxiflow.archive.retries import Absent, DownloadError
from fuxiflow.archive.transfer import (
    Changed,
    Download,
    Fetched,
    Range,
    fetch,
    fetch_ranges,
    kept,
    merge_ranges,
    ranged_length,
)
from fuxiflow.config.archives import NnjaAiArchive
from fuxiflow.storage.tables import PROVENANCE, ParquetWriter

log = logging.getLogger(__name__)
_OF_ALL = ("LAT", "LON", "OBS_TIMESTAMP")
_OF_SOUNDERS = ("SAID", "FOVN", "SAZA", "BEARAZ", "TMBR", "TMANT", "ATMSCHQ", "ATMSSQ", "NGQI")
_OF_STATIONS = ("WMOB", "WMOS", "RPID", "SELV", "HSMSL", "PRES", "PMSL", "ALSE", "REHU")
_OF_LEVELS = ("VSIG", "PRLC", "GP07", "GP10", "UAGP07", "UAGP10", "QMGP")
_OF_REPORTS = ("TMDB", "TMDP", "WDIR", "WSPD", "QMAT", "QMDD", "QMPR", "QMWN")
MNEMONICS = frozenset(_OF_ALL + _OF_SOUNDERS + _OF_STATIONS + _OF_LEVELS + _OF_REPORTS)
"""Last parts of the names of columns, without numbers, that are transferred."""
_TAIL = 1 << 16  # bytes at the end of a file that hold its footer, mostly
_HOLE = 1 << 16  # bytes between two columns that cost less than another request
_MAGIC = b"PAR1"


def nnja_ai_downloads(
    session: requests.Session, archive: NnjaAiArchive, day: date
) -> Iterator[Download]:
    """Yield the downloads of a day's files.

    A day that the archive does not have is a gap, which its download says (:class:`Absent`).

    Parameters
    ----------
    session : requests.Session
        For listing the bucket.
    archive : NnjaAiArchive
        Address and data sets.
    day : date
        The day, by the times of the observations.

    Returns
    -------
    Iterator of Download
        Names and downloads.

    Raises
    ------
    DownloadError
        When the bucket has nothing of a data set.
    """
    for data_set in archive.data_sets:
        folder = f"{data_set}/OBS_DATE={day}"
        keys = list_google_objects(session, archive.url, f"{folder}/")
        usual = f"gdas.{day:%Y%m%d}.{data_set.rpartition('/')[2]}.parquet"
        if keys == [] and list_google_objects(session, archive.url, f"{data_set}/", 1) == []:
            raise DownloadError(
                f"{archive.url}: there is no data set {data_set}; is that its name there, and is "
                "the address right (config/archive.yaml)?"
            )
        listed = [key for key in keys or () if key.endswith(".parquet")]
        # without a listing the address itself says whether there is a file
        for key in listed or [f"{folder}/{usual}"]:
            name = key.removeprefix(f"{folder}/").replace("/", ".")
            yield name, _download(f"{archive.url}/{key}", lacking=keys is not None and not listed)


def _download(url: str, lacking: bool):
    """Return the download of a file's columns, or of one that is known to be lacking."""

    def download(session: requests.Session, target: Path) -> Fetched:
        if lacking:
            raise Absent(url)
        return fetch_columns(session, url, target)

    return download


def fetch_columns(session: requests.Session, url: str, target: Path) -> Fetched:
    """Download the columns of a Parquet file that readers use.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    url : str
        Address of the file.
    target : Path
        Where the columns go; one that exists is kept.

    Returns
    -------
    Fetched
        A Parquet file of these columns, or the file as it is where it cannot be read.

    Raises
    ------
    Absent, DownloadError
        As :func:`fuxiflow.archive.transfer.fetch`.
    """
    if target.exists():
        return kept(target, url)
    target.parent.mkdir(parents=True, exist_ok=True)
    words = ("copy", "pieces", "tail", "new")
    copy, pieces, tail, new = (target.with_name(f"{target.name}.{word}") for word in words)
    for left in (copy, pieces, tail, new):
        left.unlink(missing_ok=True)
    length = ranged_length(session, url)
    try:
        ranges = _column_ranges(session, url, tail, length) if length else None
        if ranges is None:
            fetch(session, url, copy)
        else:
            fetch_ranges(session, url, pieces, ranges)
            _spread(pieces, copy, ranges, length)
        _write_columns(copy, new, url)
    except (pa.ArrowException, Changed, OSError, ValueError) as error:
        if isinstance(error, requests.RequestException):
            raise
        log.warning("%s: no Parquet that can be read (%s); stored as it is", url, error)
        for left in (copy, pieces, new):
            left.unlink(missing_ok=True)
        return fetch(session, url, target)
    copy.unlink()
    new.replace(target)
    return kept(target, url)


def _is_used(path: str) -> bool:
    """Say whether a column is transferred, by its path in the file."""
    return re.sub(r"_(PRLC)?\d+$", "", path.rpartition(".")[2]) in MNEMONICS


def _used_columns(metadata: pq.FileMetaData) -> list[int]:
    """Return the numbers of the columns that are transferred."""
    return [
        number
        for number in range(metadata.num_columns)
        if _is_used(metadata.schema.column(number).path)
    ]


def _column_ranges(
    session: requests.Session, url: str, scratch: Path, length: int
) -> list[Range] | None:
    """Return the bytes that the columns and the footer of a file take.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    url : str
        Address of the file.
    scratch : Path
        A file that may be written; it is removed.
    length : int
        Length of the file.

    Returns
    -------
    list of tuple or None
        First bytes and bytes after the last, ascending; None where the file has no footer.
    """

    def end_of_file(size: int) -> bytes:
        fetch_ranges(session, url, scratch, [(length - size, length)])
        content = scratch.read_bytes()
        scratch.unlink()
        return content

    tail = end_of_file(min(length, _TAIL))
    size = int.from_bytes(tail[-8:-4], "little") + 8
    if not tail.endswith(_MAGIC) or not 12 <= size <= length:
        return None
    if size > len(tail):
        tail = end_of_file(size)
    metadata = pq.read_metadata(pa.BufferReader(_MAGIC + tail[-size:]))
    ranges: list[Range] = [(length - size, length)]
    for group in range(metadata.num_row_groups):
        for number in _used_columns(metadata):
            chunk = metadata.row_group(group).column(number)
            pages = (chunk.dictionary_page_offset, chunk.data_page_offset)
            start = min(offset for offset in pages if offset)
            ranges.append((start, start + chunk.total_compressed_size + _HOLE))
    joined = merge_ranges(ranges)
    return [(start, min(end, length)) for start, end in joined]


def _spread(pieces: Path, copy: Path, ranges: list[Range], length: int) -> None:
    """Put gathered bytes where they lie in the file, with holes between them.

    Parameters
    ----------
    pieces : Path
        The bytes, range after range; it is removed.
    copy : Path
        The file to write.
    ranges : list of tuple
        First bytes and bytes after the last, ascending.
    length : int
        Length of the file.
    """
    with open(pieces, "rb") as source, open(copy, "wb") as file:
        for start, end in ranges:
            file.seek(start)
            file.write(source.read(end - start))
        file.truncate(length)
    pieces.unlink()


def _write_columns(source: Path, target: Path, url: str) -> None:
    """Write the columns that readers use as a file of their own, one row group after the other.

    Parameters
    ----------
    source : Path
        The file, or its copy with holes.
    target : Path
        The file to write.
    url : str
        Address of the file, which goes into the metadata.
    """
    with pq.ParquetFile(source, page_checksum_verification=True) as file:
        names = [
            file.metadata.schema.column(number).path for number in _used_columns(file.metadata)
        ]
        if not names:
            raise ValueError("none of the columns that readers use")
        origin = {"origin": url, "bytes": source.stat().st_size, "columns": len(names)}
        schema = file.read_row_groups([], columns=names).schema
        schema = schema.with_metadata({PROVENANCE: json.dumps(origin)})
        with ParquetWriter(target, schema, compression="zstd") as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=names, use_threads=False)
                writer.write_table(table.cast(schema))
