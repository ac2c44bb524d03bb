"""Findings about NNJA-AI: names and units of columns, days, and NCEP's marks of quality.

What is expected: NNJA-AI's docs/datasets.md and schemas (brightbandtech/nnja-ai); the marks are
those of NCEP's Office Note 29.
"""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import requests

from fuxiflow.archive.findings import (
    NoAnswer,
    ProviderReport,
    RemoteFile,
    lacking,
    outside_period,
    shortened,
)
from fuxiflow.archive.listings import list_google_objects
from fuxiflow.archive.retries import Absent, DownloadError
from fuxiflow.archive.transfer import get_file, ranged_length
from fuxiflow.config.archives import NnjaAiArchive

_PLACE = ("LAT", "LON", "OBS_TIMESTAMP")
_MARKS = ("QMAT", "QMDD", "QMPR", "QMWN")
# group of the channels, number of channels and of scan positions
SOUNDERS = {
    "NC021023": ("BRITCSTC", 15, 30),
    "NC021027": ("BRITCSTC", 5, 90),
    "NC021203": ("ATMSCH", 22, 96),
}
_ATMS_FLAGS = ("ATMSSQ", "NGQI", "ATMSCH.ATMSCHQ_00001", "ATMSCH.TMANT_00001")
_SYNOP = (
    *("TMPSQ1.TMDB", "TMPSQ1.TMDP", "TMPSQ1.QMAT", "TMPSQ1.QMDD", "WNDSQ1.WDIR", "WNDSQ1.WSPD"),
    *("WNDSQ1.QMWN", "PRSSQ1.PRES", "PRSSQ1.PMSL", "PRSSQ1.QMPR"),
)
REPORTS = {
    "NC000001": _SYNOP,
    "NC000002": _SYNOP,
    "NC000007": (
        *("MTRTMP.TMDB", "MTRTMP.TMDP", "MTRTMP.QMAT", "MTRWND.WSPD", "MTRWND.WDIR"),
        "MTRWND.QMWN",
    ),
    "NC000101": (
        *("PRESDATA.PRESSQ03.PRES", "TEMHUMDA.TMDB", "TEMHUMDA.TMDP", "TEMHUMDA.REHU"),
        *("BSYWND1.WSPD", "BSYWND1.WDIR", *_MARKS),
    ),
    "NC002001": ("UARLV",),
}
"""Columns of reports, by message."""
STATION_NAMES = ("WMOB", "WMOS", "RPID")
AT_LEVELS = tuple(
    f"{name}_PRLC{level}"
    for name in ("TMDB", "TMDP", "WSPD", "WDIR", "GP10")
    for level in (85000, 50000, 5000)
)
"""Columns of mandatory levels of soundings, which are read where ``UARLV`` is empty."""
SATELLITES = (3, 4, 5, 206, 207, 208, 209, 223, 224, 225, 226)
"""Numbers of the satellites of WMO's common code table C-5 that carry these sounders."""
LEVEL_MEMBERS = ("VSIG", "PRLC", "TMDB", "TMDP", "QMAT", "WDIR", "WSPD", "QMWN")
"""Members of the levels ``UARLV`` of a sounding."""
UNITS = {
    "LAT": ("degrees", -90.0, 90.0),
    "LON": ("degrees, -180 to 180", -180.0, 180.0),
    "SAZA": ("degrees", 0.0, 75.0),
    "TMBR": ("K", 50.0, 350.0),
    "TMANT": ("K", 50.0, 350.0),
    "TMDB": ("K", 170.0, 340.0),
    "TMDP": ("K", 150.0, 320.0),
    "REHU": ("%", 0.0, 110.0),
    "WDIR": ("degrees", 0.0, 360.0),
    "WSPD": ("m/s", 0.0, 120.0),
    "PRES": ("Pa", 40_000.0, 110_000.0),
    "PMSL": ("Pa", 86_000.0, 110_000.0),
    "PRLC": ("Pa", 100.0, 110_000.0),
    "GP10": ("m2/s2", -5_000.0, 500_000.0),
}
"""Units of columns by mnemonic, with what nearly all values lie between."""
NEARLY_ALL = 0.95
LAST_MARK = 15
REJECTED_MARKS = (4, 14)
"""First and last mark that denies a value."""
_MISSING = 9.9e10


def check_nnja_ai(
    session: requests.Session,
    report: ProviderReport,
    archive: NnjaAiArchive,
    days: tuple[str, str] | None,
) -> None:
    """Compare data sets of NNJA-AI with what is read of them.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    archive : NnjaAiArchive
        Address and data sets.
    days : tuple of str or None
        First and last day that are needed.
    """
    catalogue = _catalogue(session, report, archive.url)
    for data_set in archive.data_sets:
        message = data_set.rpartition("/")[2]
        if catalogue:
            there = f'"{message}"' in catalogue
            report.expect(
                f"{message}: in catalog.json", "" if there else "it is not", matters=False
            )
        folders = list_google_objects(session, archive.url, f"{data_set}/", folders=True)
        report.expect(
            f"{message}: Google's JSON API lists the bucket",
            "" if folders is not None else "no such listing: files are asked for by address",
            assumed=True,
            matters=False,
        )
        listed = sorted(
            name.removeprefix("OBS_DATE=") for name in folders or () if name.startswith("OBS_DATE=")
        )
        if folders is not None:
            report.expect(
                f"{message}: folders OBS_DATE=YYYY-MM-DD", "" if listed else "there are none"
            )
            if not listed:
                continue
            report.newest_day = max(report.newest_day, listed[-1])
            _check_days(report, message, listed, days)
        needed = [day for day in listed if not days or days[0] <= day <= days[1]]
        day = (needed or listed or [days[1] if days else "2022-01-01"])[-1]
        _check_file(session, report, archive.url, data_set, day)


def _catalogue(session: requests.Session, report: ProviderReport, url: str) -> str:
    """Load the catalogue.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the finding that there is none.
    url : str
        Address of the archive.

    Returns
    -------
    str
        JSON, empty where there is none.
    """
    try:
        text = get_file(session, f"{url}/catalog.json").text
    except NoAnswer:
        raise
    except (Absent, DownloadError) as error:
        report.expect("catalog.json", f"not there ({error})", matters=False)
        return ""
    return text


def _check_days(
    report: ProviderReport, message: str, listed: list[str], days: tuple[str, str] | None
) -> None:
    """Compare the days that are there with those that are needed.

    Parameters
    ----------
    report : ProviderReport
        Takes the findings.
    message : str
        Name of the message.
    listed : list of str
        Days, sorted.
    days : tuple of str or None
        First and last day that are needed.
    """
    if not days:
        return
    first, last = map(date.fromisoformat, days)
    count = (last - first).days + 1
    there = sum(days[0] <= day <= days[1] for day in listed)
    outside = outside_period(listed[0], listed[-1], days)
    # a data set that begins later is joined by others, as SYNOP as BUFR by SYNOP
    report.expect(
        f"{message}: days {days[0]} to {days[1]}",
        outside,
        matters=not there or listed[-1] < days[1],
    )
    report.expect(
        f"{message}: a file on each of {count} days",
        "" if there == count else f"on {there} of them",
        matters=not there,
    )


def _check_file(
    session: requests.Session, report: ProviderReport, url: str, data_set: str, day: str
) -> None:
    """Compare a file's columns and some of its values.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    url : str
        Address of the archive.
    data_set : str
        Sensor, source and message.
    day : str
        Day of the file.
    """
    message = data_set.rpartition("/")[2]
    usual = f"gdas.{day.replace('-', '')}.{message}.parquet"
    folder = f"{data_set}/OBS_DATE={day}"
    keys = list_google_objects(session, url, f"{folder}/") or [f"{folder}/{usual}"]
    names = [key.removeprefix(f"{folder}/") for key in keys]
    report.expect(
        f"{message}: a file {usual}",
        "" if names == [usual] else f"it has {shortened(names)}",
        matters=not any(name.endswith(".parquet") for name in names),
    )
    address = f"{url}/{next((key for key in keys if key.endswith('.parquet')), keys[0])}"
    length = ranged_length(session, address)
    report.expect(
        f"{message}: byte ranges are answered",
        "" if length else "whole files are sent: all columns are transferred",
        matters=False,
    )
    source = (
        RemoteFile(session, address, length)
        if length
        else pa.BufferReader(get_file(session, address).content)
    )
    try:
        with pq.ParquetFile(source) as file:
            _check_columns(report, message, file, day)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, requests.RequestException):
            raise
        report.expect(f"{message}: Parquet", f"{address}: {error}")


def _check_columns(report: ProviderReport, message: str, file: pq.ParquetFile, day: str) -> None:
    """Compare the columns of a file, and the values of some.

    Parameters
    ----------
    report : ProviderReport
        Takes the findings.
    message : str
        Name of the message.
    file : pq.ParquetFile
        The file.
    day : str
        Its day.
    """
    names = file.schema_arrow.names
    by_mnemonic = {name.rpartition(".")[2]: name for name in sorted(names, reverse=True)}
    expected = list(_PLACE)
    optional: list[str] = []
    if message in SOUNDERS:
        group, channels, _ = SOUNDERS[message]
        expected += ["SAID", "FOVN", "SAZA"]
        expected += [f"{group}.TMBR_{number:05d}" for number in range(1, channels + 1)]
        optional = ["BEARAZ", *(_ATMS_FLAGS if group == "ATMSCH" else ())]
    else:
        expected += REPORTS.get(message, ())
        further = {"NC002001": AT_LEVELS, "NC000007": ("ALSE",)}
        optional = [*STATION_NAMES, *further.get(message, ())]
    is_mark = {name: name.rpartition(".")[2] in _MARKS for name in expected}
    gone = [name for name in expected if name.rpartition(".")[2] not in by_mnemonic]
    report.expect(
        f"{message}: columns {shortened((n for n in expected if not is_mark[n]), 12)}",
        lacking(name for name in gone if not is_mark[name]),
    )
    if any(is_mark.values()):
        report.expect(
            f"{message}: columns of quality marks (ON29)",
            lacking(name for name in gone if is_mark[name]),
            assumed=True,
        )
    if optional:
        report.expect(
            f"{message}: columns {shortened(optional)}",
            lacking(name for name in optional if name.rpartition(".")[2] not in by_mnemonic),
            assumed=True,
            matters=False,
        )
    renamed = [name for name in expected if name not in gone and name not in names]
    report.expect(
        f"{message}: columns in the sequences of BUFR that are expected",
        f"another sequence has {shortened(renamed)}" if renamed else "",
        assumed=True,
        matters=False,
    )
    if not file.metadata.num_rows:
        report.expect(f"{message}: rows", f"there are none on {day}")
        return
    sample = [*_PLACE, *_MARKS, "FOVN", "SAID", "SAZA", *UNITS, "UARLV"]
    sample += [f"TMBR_{1:05d}", f"TMANT_{1:05d}", "TMDB_PRLC50000", "GP10_PRLC50000"]
    columns = [by_mnemonic[name] for name in dict.fromkeys(sample) if name in by_mnemonic]
    table = file.read_row_group(0, columns=columns, use_threads=False)
    for name in columns:
        _check_values(report, message, name, table[name], day)


def _check_values(
    report: ProviderReport, message: str, name: str, column: pa.ChunkedArray, day: str
) -> None:
    """Compare the values of a column with its unit, its marks, or its day.

    Parameters
    ----------
    report : ProviderReport
        Takes the findings.
    message : str
        Name of the message.
    name : str
        Name of the column.
    column : pa.ChunkedArray
        The values.
    day : str
        Day of the file.
    """
    mnemonic = name.rpartition(".")[2].partition("_PRLC")[0].partition("_0")[0]
    place = f"{message}: {name}"
    if mnemonic == "OBS_TIMESTAMP":
        _check_times(report, place, column, day)
        return
    if mnemonic == "UARLV":
        _check_levels(report, place, column)
        return
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        if not pa.types.is_null(column.type):
            report.expect(f"{place}: numbers", f"it is {column.type}")
        return
    values = column.to_numpy().astype(float)
    _check_numbers(report, place, mnemonic, values[np.isfinite(values) & (values < _MISSING)])
    if mnemonic == "SAID" and message in SOUNDERS:
        others = {*np.unique(values[np.isfinite(values)]).astype(int).tolist()} - {*SATELLITES}
        report.expect(
            f"{place}: satellites that carry it",
            f"there are {shortened(sorted(others))} too" if others else "",
            matters=False,
        )
    if mnemonic == "FOVN" and message in SOUNDERS:
        last = SOUNDERS[message][2]
        seen = {*np.unique(values[np.isfinite(values)]).astype(int).tolist()}
        report.expect(
            f"{place}: 1 to {last}",
            ""
            if seen and min(seen) >= 1 and max(seen) <= last
            else f"{min(seen, default='none')} to {max(seen, default='none')}",
        )


def _check_numbers(report: ProviderReport, place: str, mnemonic: str, values: np.ndarray) -> None:
    """Compare numbers with the unit of their mnemonic, or with marks of quality.

    Parameters
    ----------
    report : ProviderReport
        Takes the findings.
    place : str
        How the column is called.
    mnemonic : str
        The mnemonic.
    values : np.ndarray
        The numbers, without those that are missing.
    """
    if mnemonic in UNITS and len(values):
        unit, low, high = UNITS[mnemonic]
        if mnemonic == "SAZA":
            values = np.abs(values)
        inside = ((values >= low) & (values <= high)).mean()
        report.expect(
            f"{place} in {unit}",
            ""
            if inside >= NEARLY_ALL
            else f"{1 - inside:.0%} of {len(values)} values lie outside {low:g} to {high:g}, "
            f"median {np.median(values):g}",
        )
    if mnemonic in _MARKS and len(values):
        strange = values[(values < 0) | (values > LAST_MARK) | (values != np.round(values))]
        report.expect(
            f"{place}: marks from 0 to {LAST_MARK} (ON29)",
            f"there are {shortened(np.unique(strange))}" if len(strange) else "",
            assumed=True,
        )
        denied = ((values >= REJECTED_MARKS[0]) & (values <= REJECTED_MARKS[1])).mean()
        report.expect(
            f"{place}: marks {REJECTED_MARKS[0]} to {REJECTED_MARKS[1]} deny less than half",
            f"they deny {denied:.0%}" if denied >= 0.5 else "",
            assumed=True,
        )


def _check_times(report: ProviderReport, place: str, column: pa.ChunkedArray, day: str) -> None:
    """Compare times with the day of their file.

    Parameters
    ----------
    report : ProviderReport
        Takes the findings.
    place : str
        How the column is called.
    column : pa.ChunkedArray
        The times.
    day : str
        Day of the file.
    """
    is_time = pa.types.is_timestamp(column.type)
    in_utc = is_time and column.type.tz in ("UTC", "+00:00")
    report.expect(
        f"{place}: times in UTC", "" if in_utc else f"it is {column.type}", matters=not is_time
    )
    if is_time:
        times = column.cast(pa.timestamp("us", column.type.tz), safe=False).to_numpy()
        times = times[~np.isnat(times)].astype("datetime64[D]")
        inside = (times == np.datetime64(day)).mean() if len(times) else 0
        report.expect(
            f"{place}: times of the file's day",
            "" if inside >= NEARLY_ALL else f"{inside:.0%} are of {day}",
        )


def _check_levels(report: ProviderReport, place: str, column: pa.ChunkedArray) -> None:
    """Compare the members of the levels of soundings, and the unit of their pressure.

    Parameters
    ----------
    report : ProviderReport
        Takes the findings.
    place : str
        How the column is called.
    column : pa.ChunkedArray
        The levels, a list of structs for each sounding.
    """
    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not is_list or not pa.types.is_struct(kind.value_type):
        report.expect(f"{place}: a list of structs", f"it is {kind}")
        return
    members: dict[str, pa.Array] = {}
    for chunk in column.chunks:
        _add_members(chunk.flatten(), members)
    report.expect(
        f"{place}: members {', '.join(LEVEL_MEMBERS)}",
        lacking(name for name in LEVEL_MEMBERS if name not in members),
    )
    for name in (*UNITS, *_MARKS):
        if name in members:
            values = members[name].to_numpy(zero_copy_only=False).astype(float)
            sound = values[np.isfinite(values) & (values < _MISSING)]
            _check_numbers(report, f"{place}.{name}", name, sound)


def _add_members(levels: pa.StructArray, members: dict[str, pa.Array]) -> None:
    """Gather the members of levels by name, those of members too."""
    for number, part in enumerate(levels.type):
        values = levels.field(number)
        if pa.types.is_list(part.type) or pa.types.is_large_list(part.type):
            values = values.flatten()
        if pa.types.is_struct(values.type):
            _add_members(values, members)
        else:
            members.setdefault(part.name, values)
