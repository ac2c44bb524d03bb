"""Findings about buckets of NCEP's BUFR in NNJA's layout.

Expected are the layout of :mod:`.ncep`, and files that begin with tables which have the mnemonics
that readers look for (NOAA-EMC/NCEPLIBS-bufr, ``docs/dx_tables.md``).
"""

import re

import requests

from fuxiflow.archive.findings import ProviderReport, lacking, outside_period
from fuxiflow.archive.listings import list_folders, list_objects
from fuxiflow.archive.transfer import get_range
from fuxiflow.config.archives import NcepArchive

TABLE_BYTES = 128 << 10
"""Bytes at the beginning of a file in which its tables stand."""
MNEMONICS = {
    "1bamua": ("NC021023", "TMBR", "FOVN", "SAZA"),
    "1bmhs": ("NC021027", "TMBR", "FOVN", "SAZA"),
    "atms": ("NC021203", "TMBR", "FOVN", "SAZA", "ATMSCHQ"),
    "mtiasi": ("NC021241", "SCRA", "STCH", "ENCH", "CHSF", "FOVN", "SAZA"),
    "gpsro": ("NC003010", "IMPP", "BNDA", "HEIT", "ARFR"),
    "prepbufr": ("ADPSFC", "SFCSHP", "ADPUPA", "POB", "TOB", "TPC", "QOB", "UOB", "SQN"),
}
"""Mnemonics that readers look for, by the last part of a data set's name."""
_NAME = re.compile(r"gdas\.(\d{8})\.t(00|06|12|18)z\.[\w.]+")


def check_ncep(
    session: requests.Session,
    report: ProviderReport,
    archive: NcepArchive,
    days: tuple[str, str] | None,
) -> None:
    """Compare a bucket of NCEP's BUFR with what is read of it.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    archive : NcepArchive
        Address and data sets.
    days : tuple of str or None
        First and last day that are needed.
    """
    for data_set in archive.data_sets:
        name = data_set.rpartition("/")[2]
        first, last = _months(session, archive.url, data_set)
        report.expect(
            f"{name}: folders {data_set}/YYYY/MM", "" if last else "there are none", assumed=True
        )
        if not last:
            continue
        lengths = dict(list_objects(session, archive.url, f"{data_set}/{last}/"))
        names = {key: _NAME.fullmatch(key.rpartition("/")[2]) for key in lengths}
        cycles = {key: match[1] + match[2] for key, match in names.items() if match}
        report.expect(
            f"{name}: files gdas.YYYYMMDD.tHHz.…",
            "" if cycles else f"one is {next(iter(lengths), 'not there')}",
            assumed=True,
        )
        if not cycles:
            continue
        newest = max(cycles, key=cycles.__getitem__)
        day = f"{cycles[newest][:4]}-{cycles[newest][4:6]}-{cycles[newest][6:8]}"
        report.newest_day = max(report.newest_day, day)
        report.expect(
            f"{name}: days {f'{days[0]} to {days[1]}' if days else 'that anybody needs'}",
            outside_period(f"{first.replace('/', '-')}-01", day, days),
        )
        head = get_range(
            session, f"{archive.url}/{newest}", 0, max(1, min(lengths[newest], TABLE_BYTES))
        )
        _check_tables(report, head, newest, name)


def _months(session: requests.Session, url: str, data_set: str) -> tuple[str, str]:
    """Return the first and last month ``YYYY/MM`` of which there is a folder, empty without any.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    url : str
        Address of the bucket.
    data_set : str
        The folder above those of years.

    Returns
    -------
    tuple of str
        First and last month.
    """
    ends = []
    years = [name for name in list_folders(session, url, f"{data_set}/") if name.isdigit()]
    for choose in (min, max) if years else ():
        year = choose(years)
        folders = list_folders(session, url, f"{data_set}/{year}/")
        months = [name for name in folders if name.isdigit()]
        ends.append(f"{year}/{choose(months)}" if months else "")
    return (ends[0], ends[1]) if all(ends) and ends else ("", "")


def _check_tables(report: ProviderReport, head: bytes, key: str, name: str) -> None:
    """Compare the beginning of a file with the tables that readers look for.

    Parameters
    ----------
    report : ProviderReport
        Takes the findings.
    head : bytes
        The beginning of the file.
    key : str
        Key of the file.
    name : str
        Last part of the data set's name.
    """
    place = head.find(b"BUFR")
    category = head[place + 8 + (10 if head[place + 7 : place + 8] == b"\4" else 8) :][:1]
    tables = place >= 0 and category == b"\x0b"
    report.expect(
        f"{name}: a file begins with tables of its own",
        "" if tables else f"{key.rpartition('/')[2]} begins with {head[:8]!r}",
    )
    if tables and name in MNEMONICS:
        report.expect(
            f"{name}: mnemonics {', '.join(MNEMONICS[name])}",
            lacking(word for word in MNEMONICS[name] if word.encode() not in head),
            assumed=True,
        )
