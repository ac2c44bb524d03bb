"""The files to ask the archives for: what is needed, without what manifests cover."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import requests

from fuxiflow.archive import era5, gfs
from fuxiflow.archive.needs import PRECIPITATION_FIELD, Need
from fuxiflow.archive.transfer import Fetched
from fuxiflow.channels import channel_table
from fuxiflow.config.archives import GfsArchive
from fuxiflow.storage.raw_files import blocks_of

SYNOPTIC_HOURS = (0, 6, 12, 18)
EVENING_HOURS = tuple(range(19, 24))
FORECAST_SUFFIX = ".f"


@dataclass(frozen=True)
class Order:
    """One file to load.

    ``covers`` is what it will hold, see :mod:`fuxiflow.storage.raw_files`; ``download`` loads it to
    a path with the session of the calling thread. Where only the file tells what it holds,
    ``covers_of`` reads it.
    """

    name: str
    origin: str
    covers: dict
    download: Callable[[requests.Session, Path], Fetched]
    covers_of: Callable[[Path], dict] | None = None

    def covered_by(self, path: Path) -> dict:
        """Return what the file covers, now that it is there."""
        return self.covers_of(path) if self.covers_of else self.covers


def short_digest(value: object) -> str:
    """Return eight hexadecimal digits that tell requests apart."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:8]


def _days(first: str, last: str) -> list[str]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [str(start + timedelta(days=i)) for i in range((end - start).days + 1)]


def era5_parts(covers: Iterable[dict]) -> set[tuple[str, str, int]]:
    """Return the fields, days and hours that files of ERA5 hold, by what they cover."""
    return {
        (name, day, hour)
        for one in covers
        for block in blocks_of(one)
        for name in block.get("fields", ())
        for day in block.get("days", ())
        for hour in block.get("hours", ())
    }


def era5_covers(fields: Iterable[tuple[str, datetime, int]]) -> dict:
    """Return what a file of ERA5 covers.

    Parameters
    ----------
    fields : iterable of tuple
        Name, valid time and hours up to it, 0 for an instant. An accumulation covers each hour.

    Returns
    -------
    dict
        Days, hours and fields, as manifests have them.
    """
    hours_of: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for name, time, span in fields:
        for back in range(max(span, 1)):
            hour = time - timedelta(hours=back)
            hours_of[name][str(hour.date())].add(hour.hour)
    fields_of: dict[tuple, list[str]] = defaultdict(list)
    for name, by_day in hours_of.items():
        for hours in {tuple(sorted(hours)) for hours in by_day.values()}:
            days = tuple(sorted(day for day in by_day if tuple(sorted(by_day[day])) == hours))
            fields_of[days, hours].append(name)
    blocks = [
        {"days": list(days), "hours": list(hours), "fields": sorted(names)}
        for (days, hours), names in fields_of.items()
    ]
    return blocks[0] if len(blocks) == 1 else {"blocks": blocks}


def hours_of_day(day: str) -> list[tuple[str, int]]:
    """Return the hours of a day, as pairs of day and hour."""
    return [(day, hour) for hour in range(24)]


def hours_of_sums(day: str) -> list[tuple[str, int]]:
    """Return the hours that the 6-h sums of a day are made of: from the evening before."""
    before = str(date.fromisoformat(day) - timedelta(days=1))
    evening = [(before, hour) for hour in EVENING_HOURS]
    return evening + [(day, hour) for hour in range(EVENING_HOURS[0])]


def missing_by_day(
    need: Need, covers: Iterable[dict], hours: Callable[[str], list[tuple[str, int]]]
) -> dict[str, frozenset[str]]:
    """Return the fields that are not wholly there, by day.

    Parameters
    ----------
    need : Need
        Days and fields.
    covers : iterable of dict
        What the files that are there cover.
    hours : callable
        Returns the hours of precipitation that have to be there for a day. Those after the last
        analysis of all days are not needed.

    Returns
    -------
    dict
        Fields by day, none where all are there.
    """
    there = era5_parts(covers)
    missing = {}
    for day in _days(*need.days):
        needed = {(one, hour) for one, hour in hours(day) if (one, hour) < (need.days[1], 19)}
        synoptic = {(day, hour) for hour in SYNOPTIC_HOURS}
        missing[day] = frozenset(
            name
            for name in need.fields
            for one in (needed if name == PRECIPITATION_FIELD else synoptic)
            if (name, *one) not in there
        )
    return missing


def runs_of_days(
    missing: dict[str, frozenset[str]], size: int
) -> Iterator[tuple[list[str], frozenset]]:
    """Split days into runs of one month that lack the same fields, of at most ``size`` days."""
    for (_, fields), group in groupby(missing.items(), key=lambda item: (item[0][:7], item[1])):
        days = [day for day, _ in group]
        if fields:
            yield from ((days[i : i + size], fields) for i in range(0, len(days), size))


def _era5_requests(
    days: list[str], fields: Iterable[str]
) -> Iterator[tuple[str, str, list[str], tuple[int, ...], dict]]:
    """Yield kind, data set, fields, hours and request of what some days lack.

    Upper-air fields that lack on the same levels are asked for together.
    """
    dates = [date.fromisoformat(day) for day in days]
    levels_of: dict[str, set[str]] = {}
    surface = []
    for name in sorted(fields):
        variable, _, level = name.partition(" ")
        if level:
            levels_of.setdefault(variable, set()).add(level)
        elif name != PRECIPITATION_FIELD:
            surface.append(name)
    variables_of: dict[tuple[str, ...], list[str]] = {}
    for variable, levels in levels_of.items():
        variables_of.setdefault(tuple(sorted(levels, key=int)), []).append(variable)
    for levels, variables in variables_of.items():
        request = era5.grib_request(dates, era5.SYNOPTIC, variables)
        request["pressure_level"] = list(levels)
        names = [f"{variable} {level}" for variable in variables for level in levels]
        yield "pressure_levels", era5.UPPER_AIR, names, SYNOPTIC_HOURS, request
    if surface:
        request = era5.grib_request(dates, era5.SYNOPTIC, surface)
        yield "single_levels", era5.SINGLE, surface, SYNOPTIC_HOURS, request
    if PRECIPITATION_FIELD in fields:
        request = era5.grib_request(dates, era5.HOURLY, [era5.PRECIPITATION])
        yield "precipitation", era5.SINGLE, [PRECIPITATION_FIELD], tuple(range(24)), request


def _era5_order(
    kind: str, dataset: str, covers: dict, request: dict, client: Callable[[], object]
) -> Order:
    """Return the order of one request.

    Parameters
    ----------
    kind : str
        Beginning of the file's name.
    dataset : str
        Name of the data set.
    covers : dict
        Days, hours and fields.
    request : dict
        The request.
    client : callable
        Returns the client of the store.

    Returns
    -------
    Order
        Its name tells requests apart, however many days they are of.
    """
    first, last = (day.replace("-", "") for day in (covers["days"][0], covers["days"][-1]))
    name = f"{kind}_{first}-{last}_{short_digest([dataset, request])}.grib"

    def download(session: requests.Session, target: Path) -> Fetched:
        return era5.era5_download(client(), name, dataset, request)[1](session, target)

    return Order(name, f"Climate Data Store: {dataset}", {"dataset": dataset, **covers}, download)


def era5_orders(
    need: Need, covers: Iterable[dict], days_per_request: int, client: Callable[[], object]
) -> Iterator[Order]:
    """Yield what is to be asked of the Climate Data Store for a segment.

    Parameters
    ----------
    need : Need
        Days and fields.
    covers : iterable of dict
        What the files that are there cover.
    days_per_request : int
        Most days in a request.
    client : callable
        Returns the client of the store; called when something is loaded.

    Returns
    -------
    Iterator of Order
        Requests of at most so many days of one month. Each lacks what is there.
    """
    covers = list(covers)
    for days, fields in runs_of_days(missing_by_day(need, covers, hours_of_day), days_per_request):
        for kind, dataset, names, hours, request in _era5_requests(days, fields):
            contents = {"days": days, "hours": list(hours), "fields": names}
            yield _era5_order(kind, dataset, contents, request, client)
    there = era5_parts(covers)
    for field, day in need.question.extras:
        if any((field, day, hour) not in there for hour in EVENING_HOURS):
            request = era5.grib_request(
                [date.fromisoformat(day)], era5.EVENING, [era5.PRECIPITATION]
            )
            contents = {"days": [day], "hours": list(EVENING_HOURS), "fields": [field]}
            yield _era5_order("precipitation_before", era5.SINGLE, contents, request, client)


def invariants_order(client: Callable[[], object]) -> Order:
    """Return the order of ERA5's fields that do not change."""

    def download(session: requests.Session, target: Path) -> Fetched:
        request = era5.invariants_request()
        return era5.retrieve(client(), era5.SINGLE, request, session, target)

    return Order("invariants.grib", f"Climate Data Store: {era5.SINGLE}", {}, download)


def gfs_parts(covers: Iterable[dict]) -> dict[tuple[str, int], set[str] | None]:
    """Return the fields that files of GFS hold, by initial time and lead; None for all fields."""
    there: dict[tuple[str, int], set[str] | None] = {}
    for one in covers:
        for block in blocks_of(one):
            if "init" not in block:
                continue
            key, fields = (block["init"], block["lead"]), block.get("fields")
            if fields is None or there.get(key, set()) is None:
                there[key] = None
            else:
                there.setdefault(key, set()).update(fields)
    return there


def further_name(path: str, fields: Iterable[str]) -> str:
    """Return the name of a file of further fields, beside one that is there.

    The lead stays at the end of the name, where readers look for it.
    """
    stem, _, lead = path.rpartition(FORECAST_SUFFIX)
    return f"{stem}.further-{short_digest(sorted(fields))}{FORECAST_SUFFIX}{lead}"


def gfs_orders(
    need: Need, covers: Iterable[dict], taken: Iterable[str], archive: GfsArchive
) -> Iterator[Order]:
    """Yield what is to be asked of the archive of GFS for a segment.

    Parameters
    ----------
    need : Need
        Days, fields and forecasts.
    covers : iterable of dict
        What the files that are there cover.
    taken : iterable of str
        Names of files that are there.
    archive : GfsArchive
        The archive.

    Returns
    -------
    Iterator of Order
        One for each initial time and lead that lacks fields.
    """
    channels = {gfs.field_name(channel): channel for channel in channel_table()}
    there, taken = gfs_parts(covers), {*taken}
    forecasts = tuple(map(date.fromisoformat, need.forecast_days)) or None
    first, last = map(date.fromisoformat, need.days)
    files = gfs.segment_files(first, last, forecasts, need.init_hours, need.max_lead_hours)
    for init, lead in files:
        fields_there = there.get((init_text(init), lead), set())
        if fields_there is None:
            continue
        names = [
            name
            for name in need.fields
            if name not in fields_there and (lead > 0 or channels[name].analysed)
        ]
        if not names:
            continue
        table = channel_table().select(
            channel.name for channel in channel_table() if gfs.field_name(channel) in names
        )
        path, download = gfs.gfs_download(archive, table, init, lead)
        name = further_name(path, names) if path in taken else path
        contents = {
            "init": init_text(init),
            "lead": lead,
            "days": [str(init.date())],
            "fields": names,
        }
        yield Order(name, f"{archive.url}/{path}", contents, download)


def init_text(init: datetime) -> str:
    """Return an initial time as manifests have it, such as ``2023-07-01T06``."""
    return f"{init:%Y-%m-%dT%H}"
