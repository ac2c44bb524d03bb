"""Mirror what is needed of a public Zarr store of forecasts or analyses, chunk by chunk.

The layout is that of WeatherBench2. Chunks lie in the raw store as they are, so that its readers
read public stores and mirrors alike (:mod:`fuxiflow.storage.mirrors`).
"""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import requests

from fuxiflow.archive.needs import Need
from fuxiflow.archive.orders import SYNOPTIC_HOURS, Order
from fuxiflow.archive.public_zarr import PublicStore, chunk_complaint
from fuxiflow.archive.retries import DownloadError
from fuxiflow.archive.transfer import Fetched, fetch
from fuxiflow.config.work import NODE_DAYS
from fuxiflow.storage.mirrors import CONSOLIDATED, METADATA_FILE, chunk_keys
from fuxiflow.times import STEP_HOURS, as_datetime64, times, whole_hours

LEAD = "prediction_timedelta"
DAYS_OF_YEAR = 366
DAY, HOUR = "dayofyear", "hour"
"""Dimensions of a climatology in place of times."""
COORDINATES = ("time", LEAD, DAY, HOUR, "level", "latitude", "longitude", "lat", "lon")


def mirror_orders(session: requests.Session, need: Need) -> Iterator[Order]:
    """Yield the orders of all that is needed of a store: metadata, coordinates, chunks.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    need : Need
        Address, days, start hours, leads and fields. Times, leads, levels and variables that the
        store lacks are left out.

    Yields
    ------
    Order
        One for each object.

    Raises
    ------
    DownloadError
        When there is no such store, or it has nothing of what is needed.
    """
    store = PublicStore(session, need.address)
    yield Order(METADATA_FILE, need.address, {}, _loading(f"{need.address}/{CONSOLIDATED}"))
    for name in COORDINATES:
        if name in store:
            array = store.array(name)
            for key, _ in chunk_keys(array, [range(length) for length in array.shape]):
                yield _chunk_order(need.address, f"{name}/{key}", array, {})
    if need.is_climatology:
        positions = days_and_hours(session, store)
        yield from _chunk_orders(session, store, need, positions)
        return
    time = store.coordinate(session, "time").astype("datetime64[ns]")
    positions = {"time": np.flatnonzero(np.isin(time, needed_times(need)))}
    if need.max_lead_hours:
        leads = lead_hours_of(session, store)
        steps = range(STEP_HOURS, need.max_lead_hours + 1, STEP_HOURS)
        positions[LEAD] = np.flatnonzero(np.isin(leads, steps))
    if not all(len(places) for places in positions.values()):
        raise DownloadError(
            f"{need.address}: nothing of {need.days[0]} to {need.days[1]} at leads up to "
            f"{need.max_lead_hours} h; it has {time.min()} to {time.max()}"
        )
    yield from _chunk_orders(session, store, need, positions, time)


def days_and_hours(session: requests.Session, store: PublicStore) -> dict[str, np.ndarray]:
    """Return the places in a climatology of the days and hours that are read of it.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    store : PublicStore
        The climatology.

    Returns
    -------
    dict
        Positions by dimension: every fifth day, as a climatology has nodes, and synoptic hours.

    Raises
    ------
    DownloadError
        When it has no such dimensions, or lacks a day or an hour.
    """
    places = {}
    for name, needed in ((DAY, range(1, DAYS_OF_YEAR + 1, NODE_DAYS)), (HOUR, SYNOPTIC_HOURS)):
        if name not in store:
            raise DownloadError(
                f"{store.url}: it has no {name}, so it holds no climatology by day of the year and "
                f"hour; it holds {', '.join(store.names)}"
            )
        values = store.coordinate(session, name)
        if lacking := sorted({*needed} - {*values.tolist()}):
            raise DownloadError(
                f"{store.url}/{name}: no {', '.join(map(str, lacking[:5]))}; it has "
                f"{values.min()} to {values.max()}"
            )
        places[name] = np.flatnonzero(np.isin(values, list(needed)))
    return places


def _chunk_orders(
    session: requests.Session,
    store: PublicStore,
    need: Need,
    positions: Mapping[str, np.ndarray],
    time: np.ndarray | None = None,
) -> Iterator[Order]:
    """Yield the orders of the chunks of all variables.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    store : PublicStore
        The store.
    need : Need
        Address and fields.
    positions : mapping
        Positions that are needed, by dimension.
    time : np.ndarray, optional
        Times of the store, of which a chunk covers the days; a climatology has none.

    Yields
    ------
    Order
        One for each chunk.
    """
    levels = store.coordinate(session, "level") if "level" in store else np.array([])
    for variable in need.variables:
        if variable not in store:
            continue
        array = store.array(variable)
        names = [field.partition(" ") for field in need.fields]
        needed_levels = [float(level) for name, _, level in names if name == variable and level]
        here = {**positions, "level": np.flatnonzero(np.isin(levels, needed_levels))}
        dimensions = store.dimensions(variable)
        axes = [
            here.get(one, range(length))
            for one, length in zip(dimensions, array.shape, strict=True)
        ]
        for key, numbers in chunk_keys(array, axes):
            covers: dict = {"fields": [variable]}
            if time is not None:
                along = dimensions.index("time")
                first = numbers[along] * array.chunks[along]
                in_chunk = time[first : first + array.chunks[along]].astype("datetime64[D]")
                covers = {"days": sorted({str(day) for day in in_chunk})} | covers
            yield _chunk_order(need.address, f"{variable}/{key}", array, covers)


def needed_times(need: Need) -> np.ndarray:
    """Return the start times of forecasts, or all 6-hourly times of analyses."""
    days = times(*map(date.fromisoformat, need.days))
    hours = need.init_hours or SYNOPTIC_HOURS
    return as_datetime64(time for time in days if time.hour in hours)


def lead_hours_of(session: requests.Session, store: PublicStore) -> list[int]:
    """Return the leads of a store of forecasts; DownloadError where it has none."""
    if LEAD not in store:
        raise DownloadError(
            f"{store.url}: it has no {LEAD}, so it holds no forecasts; it holds "
            f"{', '.join(store.names)}"
        )
    unit = store.attributes_of(LEAD).get("units")
    try:
        return whole_hours(store.coordinate(session, LEAD), unit)
    except ValueError as error:
        raise DownloadError(f"{store.url}/{LEAD}: {error}") from error


def _loading(address: str):
    """Return a download of an object."""

    def download(session: requests.Session, target: Path) -> Fetched:
        return fetch(session, address, target)

    return download


def _chunk_order(address: str, key: str, array, covers: dict) -> Order:
    """Return the order of a chunk, which is refused where it is cut off.

    Parameters
    ----------
    address : str
        Address of the store.
    key : str
        Key of the chunk.
    array : zarr.Array
        The array that it is of.
    covers : dict
        What it holds.

    Returns
    -------
    Order
        Its name is the key.
    """

    def download(session: requests.Session, target: Path) -> Fetched:
        fetched = fetch(session, f"{address}/{key}", target)
        if complaint := chunk_complaint(fetched.path.read_bytes(), array):
            fetched.path.unlink()
            raise DownloadError(
                f"{address}/{key}: {complaint}. The store's copy or the way to it is damaged"
            )
        return fetched

    return Order(key, f"{address}/{key}", covers, download)
