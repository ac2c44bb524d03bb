"""Retrieve ERA5 through the API of the Climate Data Store.

Data sets and keywords: Hersbach et al. (2023), doi 10.24381/cds.bd0915c6 (pressure levels) and
10.24381/cds.adbb2d47 (single levels).
"""

import logging
import os
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from fuxiflow.archive.transfer import Download, DownloadError, fetch
from fuxiflow.channels import ChannelTable

if TYPE_CHECKING:
    import cdsapi

UPPER_AIR = "reanalysis-era5-pressure-levels"
SINGLE = "reanalysis-era5-single-levels"
PRECIPITATION = "total_precipitation"
INVARIANTS = [
    "geopotential",
    "land_sea_mask",
    "lake_cover",
    "low_vegetation_cover",
    "high_vegetation_cover",
]
SYNOPTIC = [f"{hour:02d}:00" for hour in (0, 6, 12, 18)]
HOURLY = [f"{hour:02d}:00" for hour in range(24)]
# a value is the sum of the hour before its time: 6-h sums at 00 UTC need the evening before
EVENING = [f"{hour:02d}:00" for hour in range(19, 24)]


def _request(days: list[date], times: list[str], variables: list[str]) -> dict:
    """Return the request for some days of one month.

    Parameters
    ----------
    days : list of date
        Days of one month.
    times : list of str
        Times of day, HH:MM in UTC.
    variables : list of str
        The store's names of the variables.

    Returns
    -------
    dict
        The request.
    """
    return {
        "product_type": ["reanalysis"],
        "variable": variables,
        "year": [f"{days[0]:%Y}"],
        "month": [f"{days[0]:%m}"],
        "day": [f"{day:%d}" for day in days],
        "time": times,
        "data_format": "grib",
        "download_format": "unarchived",
    }


def _portions(start: date, end: date, count: int) -> Iterator[list[date]]:
    """Split a period into runs of days of one month.

    Parameters
    ----------
    start, end : date
        First and last day, both included.
    count : int
        Most days in a run.

    Returns
    -------
    Iterator of list of date
        The runs.
    """
    days = [start + timedelta(days=i) for i in range((end - start).days + 1)]
    for _, month in groupby(days, key=lambda day: (day.year, day.month)):
        month = list(month)
        yield from (month[i : i + count] for i in range(0, len(month), count))


def requests_of(
    channels: ChannelTable, start: date, end: date, days: int
) -> Iterator[tuple[str, str, dict]]:
    """Yield the requests for all channels of a period.

    Upper-air and surface channels are asked for 6-hourly, precipitation hourly, from the evening
    before on.

    Parameters
    ----------
    channels : ChannelTable
        Channels of the state.
    start, end : date
        First and last day, both included.
    days : int
        Most days in a request.

    Returns
    -------
    Iterator of tuple
        File name, data set and request.
    """
    upper = [channel for channel in channels if channel.level is not None]
    surface = [
        channel.variable for channel in channels if channel.level is None and channel.analysed
    ]
    for portion in _portions(start, end, days):
        label = f"{portion[0]:%Y%m%d}"
        request = _request(
            portion, SYNOPTIC, list(dict.fromkeys(channel.variable for channel in upper))
        )
        request["pressure_level"] = [
            str(level) for level in sorted({channel.level for channel in upper})
        ]
        yield f"pressure_levels_{label}.grib", UPPER_AIR, request
        yield f"single_levels_{label}.grib", SINGLE, _request(portion, SYNOPTIC, surface)
        yield f"precipitation_{label}.grib", SINGLE, _request(portion, HOURLY, [PRECIPITATION])
    yield (
        "precipitation_before.grib",
        SINGLE,
        _request([start - timedelta(days=1)], EVENING, [PRECIPITATION]),
    )


def invariants_request() -> dict:
    """Return the request for the fields that do not change, at one time."""
    return _request([date(2020, 1, 1)], ["00:00"], INVARIANTS)


class CredentialsError(RuntimeError):
    """There is no key for the Climate Data Store."""


def require_key() -> None:
    """Raise :class:`CredentialsError`, saying what to do, where the client would find no key.

    The key is looked for as the client ``cdsapi`` does: in the variables CDSAPI_URL and CDSAPI_KEY,
    else in the file CDSAPI_RC, by default ~/.cdsapirc.
    """
    if os.environ.get("CDSAPI_URL") and os.environ.get("CDSAPI_KEY"):
        return
    file = Path(os.environ.get("CDSAPI_RC", "~/.cdsapirc")).expanduser()
    lines = file.read_text().splitlines() if file.exists() else []
    if not {"url", "key"} <= {line.partition(":")[0].strip() for line in lines}:
        raise CredentialsError(
            "no key for the Climate Data Store: set CDSAPI_URL and CDSAPI_KEY, or write the lines "
            f"'url: …' and 'key: …' of your profile page there to {file}, and accept the licences "
            "of both ERA5 data sets"
        )


def client(log: logging.Logger) -> "cdsapi.Client":
    """Return a client of the Climate Data Store that reports to ``log``; raise CredentialsError."""
    # only the environment of this stage has the client; the key is checked without it
    import cdsapi

    require_key()
    return cdsapi.Client(
        progress=False,
        quiet=True,
        info_callback=log.info,
        warning_callback=log.warning,
        error_callback=log.error,
        debug_callback=log.debug,
    )


def retrieve(
    store: "cdsapi.Client", dataset: str, request: dict, session: requests.Session, target: Path
) -> Path:
    """Make a request to the store, wait for the result and download it.

    A target that exists is kept.

    Parameters
    ----------
    store : cdsapi.Client
        The store.
    dataset : str
        Name of the data set.
    request : dict
        The request.
    session : requests.Session
        Session of the calling thread, for the download.
    target : Path
        Where the file goes.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    DownloadError
        With the store's words where it refuses.
    """
    if target.exists():
        return target
    try:
        result = store.retrieve(dataset, request)
    except Exception as error:
        words = " ".join(str(error).split())
        raise DownloadError(
            f"{dataset}, {target.name}: the Climate Data Store refused or failed: {words}"
        ) from error
    return fetch(session, result.location, target, result.content_length)


def era5_download(store: "cdsapi.Client", name: str, dataset: str, request: dict) -> Download:
    """Return the download of one request.

    Parameters
    ----------
    store : cdsapi.Client
        The store.
    name : str
        Name of the file.
    dataset : str
        Name of the data set.
    request : dict
        The request.

    Returns
    -------
    Download
        Name and download.
    """
    return name, lambda session, target: retrieve(store, dataset, request, session, target)
