"""Download forecasts of ECMWF's open data, field by field, by indices and byte ranges.

A file holds the fields of one step of a forecast. Its index has a line for each message, a JSON
object with parameter, level and place. Layout: ECMWF, "Open data: real-time forecasts", and the
package ecmwf-opendata.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import requests

from fuxiflow.archive.fetching import fill
from fuxiflow.archive.gfs import check_messages, of_one_version
from fuxiflow.archive.needs import store_fields
from fuxiflow.archive.orders import Order, short_digest
from fuxiflow.archive.raw_store import STORE, MonthFolder
from fuxiflow.archive.retries import Absent, DownloadError
from fuxiflow.archive.transfer import Fetched, fetch_ranges, get_file
from fuxiflow.config.archives import OpenDataArchive
from fuxiflow.storage.open_data_names import parameters_of

LOG = logging.getLogger("fuxiflow")
OPEN_DATA = "ecmwf_open_data"
DOWNLOADS = 4
"""Files at once; ECMWF asks for few connections."""
MODEL_FOLDER_SINCE = datetime(2024, 2, 29)
"""First day, roughly, whose files lie in a folder of their model."""
EARLIER_FOLDERS = {"ifs": ("0p25", "0p4-beta"), "aifs-single": ("aifs/0p25",)}
"""Folders below that of the hour in which a model's files lay before."""
_KEYS = ("param", "levtype", "_offset", "_length")


@dataclass(frozen=True)
class IndexedMessage:
    """A message as an index has it: parameter, pressure level in hPa or None, and its bytes."""

    parameter: str
    level: int | None
    start: int
    end: int


def step_paths(archive: OpenDataArchive, init: datetime, lead: int) -> list[str]:
    """Return the places of a step's file in the archive, the likely one first.

    Parameters
    ----------
    archive : OpenDataArchive
        Model and resolution.
    init : datetime
        Initial time, UTC.
    lead : int
        Lead in hours.

    Returns
    -------
    list of str
        The paths.
    """
    # forecasts of IFS from 06 and 18 UTC are shorter, and a stream of their own
    stream = "scda" if archive.model == "ifs" and init.hour in (6, 18) else "oper"
    file = f"{stream}/{init:%Y%m%d%H}0000-{lead}h-{stream}-fc.grib2"
    day = f"{init:%Y%m%d}/{init:%H}z"
    later = f"{day}/{archive.model}/{archive.resolution}/{file}"
    earlier = [f"{day}/{folder}/{file}" for folder in EARLIER_FOLDERS[archive.model]]
    return [*earlier, later] if init < MODEL_FOLDER_SINCE else [later, *earlier]


def parse_json_lines(text: str, url: str) -> list[IndexedMessage]:
    """Parse an index.

    Parameters
    ----------
    text : str
        Its lines.
    url : str
        Its address.

    Returns
    -------
    list of IndexedMessage
        The fields on pressure levels and at the surface, without members of an ensemble.

    Raises
    ------
    DownloadError
        With the line that cannot be one of an index.
    """
    messages = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            entry = json.loads(line)
            parameter, kind, start, length = (entry[key] for key in _KEYS)
            level = int(entry["levelist"]) if kind == "pl" else None
            if not (int(start) >= 0 and int(length) > 0):
                raise ValueError
        except (KeyError, TypeError, ValueError) as error:
            raise DownloadError(
                f"{url}, line {number}: not a line of an index of ECMWF's open data, which has "
                f"{', '.join(_KEYS)}: {line[:60]!r}. The copy or the way to it is damaged, or the "
                "layout has changed"
            ) from error
        if kind in ("pl", "sfc") and entry.get("type", "fc") == "fc" and "number" not in entry:
            messages.append(IndexedMessage(parameter, level, int(start), int(start) + int(length)))
    return messages


def choose_messages(
    messages: Iterable[IndexedMessage], fields: Iterable[str], url: str
) -> list[IndexedMessage]:
    """Choose the messages of fields; of levels that the index has nothing of there are none.

    Parameters
    ----------
    messages : iterable of IndexedMessage
        The index.
    fields : iterable of str
        Variables of WeatherBench2's stores with their levels, as ``temperature 500``.
    url : str
        Address of the index.

    Returns
    -------
    list of IndexedMessage
        In the order of the file.

    Raises
    ------
    DownloadError
        With the fields that are lacking on levels that the index has.
    """
    by_name = {(one.parameter, one.level): one for one in messages}
    levels = {level for _, level in by_name} - {None}
    selected, absent = set(), []
    for field in fields:
        variable, _, text = field.partition(" ")
        level = int(text) if text else None
        if level is not None and levels and level not in levels:
            continue
        keys = [(name, level) for name in parameters_of(variable)]
        key = next((key for key in keys if key in by_name), None)
        if key is None:
            absent.append(field)
        else:
            selected.add(by_name[key])
    if absent:
        raise DownloadError(f"{url}: the index has no {', '.join(absent)}; another model may")
    return sorted(selected, key=lambda one: one.start)


def find_index(
    session: requests.Session, archive: OpenDataArchive, places: Sequence[str]
) -> tuple[str, str]:
    """Return the address of a file and its index, of the first place that has one.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    archive : OpenDataArchive
        The archive.
    places : sequence of str
        Paths of the file.

    Returns
    -------
    tuple of str
        Address and text.

    Raises
    ------
    Absent
        When it is in none of them.
    """
    for place in places:
        url = f"{archive.url}/{place}"
        try:
            return url, get_file(session, index_address(url)).text
        except Absent:
            continue
    raise Absent(index_address(f"{archive.url}/{places[0]}"))


def index_address(url: str) -> str:
    """Return the address of the index of a file."""
    return f"{url.removesuffix('.grib2')}.index"


def step_order(archive: OpenDataArchive, fields: Sequence[str], init: datetime, lead: int) -> Order:
    """Return the order of the fields of one step.

    Parameters
    ----------
    archive : OpenDataArchive
        The archive.
    fields : sequence of str
        See :func:`choose_messages`.
    init : datetime
        Initial time, UTC.
    lead : int
        Lead in hours.

    Returns
    -------
    Order
        Its name is the archive's, with a digest of the fields.
    """
    places = step_paths(archive, init, lead)

    def load(session: requests.Session, target: Path) -> Fetched:
        url, text = find_index(session, archive, places)
        index = index_address(url)
        selected = choose_messages(parse_json_lines(text, index), fields, index)
        ranges = [(one.start, one.end) for one in selected]
        return fetch_ranges(session, url, target, ranges, check_messages)

    stem = places[0].removesuffix(".grib2")
    return Order(
        f"{stem}.{short_digest(sorted(fields))}.grib2",
        f"{archive.url}/{places[0]}",
        {"days": [str(init.date())]},
        of_one_version(load),
    )


def fetch_open_data(
    archive: OpenDataArchive,
    inits: Sequence[datetime],
    lead_hours: Sequence[int],
    fields: Sequence[str],
    log: logging.Logger,
    store: Path = STORE,
) -> dict[tuple[datetime, int], Path]:
    """Fetch forecasts into the raw store; what is there is not asked for again.

    Parameters
    ----------
    archive : OpenDataArchive
        The archive.
    inits : sequence of datetime
        Initial times, UTC.
    lead_hours : sequence of int
        Leads in hours.
    fields : sequence of str
        See :func:`choose_messages`.
    log : logging.Logger
        Takes progress, and what the archive lacks.
    store : Path
        The raw store.

    Returns
    -------
    dict
        Files by initial time and lead, without those that the archive lacks.

    Raises
    ------
    FileNotFoundError
        When it has none of them.
    DownloadError
        When a download fails for good; what was loaded until then is kept.
    """
    orders: dict[str, dict[tuple[datetime, int], Order]] = {}
    for init in inits:
        for lead in lead_hours:
            order = step_order(archive, fields, init, lead)
            orders.setdefault(f"{init:%Y-%m}", {})[init, lead] = order
    paths = {}
    with ExitStack() as stack:
        for month, of_month in orders.items():
            folder = MonthFolder(store, OPEN_DATA, month)
            stack.enter_context(folder.locked())
            listed = folder.manifest.files
            fill(
                folder, [one for one in of_month.values() if one.name not in listed], log, DOWNLOADS
            )
            paths |= {
                key: folder.path / order.name
                for key, order in of_month.items()
                if order.name in folder.manifest.files
            }
    if not paths:
        raise FileNotFoundError(
            f"{archive.url}: it has no forecast of {inits[0]} to {inits[-1]}. Mirrors keep them "
            "for different times; is url of ecmwf_open_data in config/archive.yaml right?"
        )
    return paths


def fields_of_stores(channels: Iterable) -> list[str]:
    """Return the fields of WeatherBench2's stores that channels of forecasts are made of."""
    fields: Iterator[str] = (
        field for channel in channels for field in store_fields(channel, forecasts=True)
    )
    return sorted({*fields})
