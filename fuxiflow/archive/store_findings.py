"""Findings about public Zarr stores: ERA5 of WeatherBench2 and ARCO, and systems that are scored.

What is expected: WeatherBench2's data guide, the README of google-research/arco-era5.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import requests

from fuxiflow.archive.era5_zarr import (
    INVARIANTS_NEEDED,
    INVARIANTS_OPTIONAL,
    Era5Zarr,
    levels_by_variable,
)
from fuxiflow.archive.findings import ProviderReport, lacking, shortened
from fuxiflow.archive.mirrors_of_stores import (
    DAY,
    HOUR,
    LEAD,
    days_and_hours,
    lead_hours_of,
    needed_times,
)
from fuxiflow.archive.needs import PRECIPITATION_FIELD, Need, era5_fields
from fuxiflow.archive.public_zarr import PublicStore
from fuxiflow.archive.retries import Absent
from fuxiflow.archive.transfer import ranged_length
from fuxiflow.config.archives import grid_in_address
from fuxiflow.storage.field_files import DIMENSIONS, unit_complaint
from fuxiflow.storage.mirrors import chunk_keys
from fuxiflow.times import STEP_HOURS

PROBED = "2m_temperature"
"""A variable without levels, of which a chunk is loaded."""
PHYSICAL = (150.0, 350.0)
"""K that it lies between."""
MOST_CHUNK = 1 << 30
"""Bytes of a chunk, before compression, that jobs have memory for."""
FINE_GRID = "1440x721"
ASCENDING = ("/hres/", "/hres_t0/")
"""Folders of stores whose latitudes run from south to north."""
OPENED = "a Zarr store of format 2 with consolidated metadata"


def check_era5_store(
    session: requests.Session,
    report: ProviderReport,
    provider: str,
    url: str,
    days: tuple[str, str] | None,
) -> None:
    """Compare a store of ERA5 with what is read of it.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    provider : str
        ``wb2`` or ``arco``.
    url : str
        Address of the store.
    days : tuple of str or None
        First and last day that are needed.
    """
    fields = Era5Zarr(session, url)
    store = fields.store
    report.expect(OPENED)
    levels_of = levels_by_variable(one for one in era5_fields() if one != PRECIPITATION_FIELD)
    levels_of[fields.precipitation] = None
    there = _check_variables(report, store, levels_of, DIMENSIONS)
    invariants = [name for name in INVARIANTS_NEEDED if name not in store]
    report.expect("fields that do not change", lacking(invariants))
    optional = [name for name in INVARIANTS_OPTIONAL if name not in store]
    report.expect("cover of lakes and vegetation", lacking(optional), matters=False)
    needed = sorted({level for levels in levels_of.values() for level in levels or ()})
    report.expect(
        f"levels {needed[0]} to {needed[-1]} hPa",
        lacking(f"{level} hPa" for level in needed if level not in fields.levels),
    )
    fine = provider == "arco" or grid_in_address(url) == FINE_GRID
    _check_grid(report, url, fields.lat, fields.lon)
    _check_direction(report, fields.lat, rising=not fine, assumed=provider != "arco")
    hours = {"wb2": STEP_HOURS, "arco": 1}[provider]
    steps = {*np.diff(fields.times).astype("timedelta64[s]").astype(int).tolist()}
    off = (fields.times - fields.times.astype("datetime64[D]")).astype(int) % 3600
    report.expect(
        f"times every {hours} h, on the hour",
        ""
        if steps <= {3600 * hours} and not off.any()
        else f"steps of {shortened(sorted(steps))} s from {fields.times[0]} on",
        assumed=provider == "arco",
    )
    if provider == "arco":
        attributes = ("valid_time_start", "valid_time_stop", "valid_time_stop_era5t")
        report.expect(
            "attributes say from when to when there are data",
            lacking(name for name in attributes if not store.attributes.get(name)),
        )
    _check_orders(report, store, there, fine)
    usable = fields.times[(fields.times >= fields.first) & (fields.times <= fields.last)]
    report.newest_day = str(fields.last)[:10]
    _check_newest(session, report, store, usable, np.searchsorted(fields.times, usable[0]))
    if days:
        outside = [day for day in days if not fields.holds(day)]
        report.expect(
            f"days {days[0]} to {days[1]}",
            fields.out_of_range(outside).removeprefix(f"{url}: ") if outside else "",
        )


def check_system_store(session: requests.Session, report: ProviderReport, need: Need) -> None:
    """Compare a store of forecasts or analyses of others with what is mirrored of it.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    need : Need
        What is needed of it.
    """
    store = PublicStore(session, need.address)
    report.expect(OPENED)
    of_forecasts = bool(need.max_lead_hours)
    dimensions = ("time", *([LEAD] if of_forecasts else []), *DIMENSIONS[1:])
    levels_of = levels_by_variable(need.fields)
    there = _check_variables(report, store, levels_of, dimensions, all_needed=False)
    lat, lon = (store.coordinate(session, name) for name in ("latitude", "longitude"))
    fine = grid_in_address(need.address) == FINE_GRID
    seen = any(part in need.address for part in ASCENDING)
    _check_grid(report, need.address, lat, lon)
    _check_direction(report, lat, rising=seen or not fine, assumed=not seen)
    if any(levels_of.values()):
        _check_levels(session, report, store, levels_of)
    time = store.coordinate(session, "time").astype("datetime64[ns]")
    report.newest_day = str(time.max())[:10]
    starts = needed_times(need)
    shared = np.isin(starts, time)
    report.expect(
        f"{len(starts)} times from {need.days[0]} to {need.days[1]}",
        ""
        if shared.all()
        else f"{shared.sum()} of them, {str(time.min())[:16]} to {str(time.max())[:16]}",
        matters=not shared.any(),
    )
    if of_forecasts:
        leads = lead_hours_of(session, store)
        steps = range(STEP_HOURS, need.max_lead_hours + 1, STEP_HOURS)
        report.expect(
            f"leads up to {need.max_lead_hours} h, every {STEP_HOURS} h",
            lacking(f"{step} h" for step in steps if step not in leads),
            matters=not {*steps} & {*leads},
        )
    _check_orders(report, store, there, fine)
    if there and shared.any():
        name = PROBED if PROBED in there else there[0]
        place = int(np.flatnonzero(time == starts[shared][-1])[0])
        _check_piece(session, report, store, name, place, starts[shared][-1])


def check_climatology_store(session: requests.Session, report: ProviderReport, need: Need) -> None:
    """Compare a climatology by day of the year and hour with what is mirrored of it.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    need : Need
        What is needed of it.
    """
    store = PublicStore(session, need.address)
    report.expect(OPENED)
    levels_of = levels_by_variable(need.fields)
    dimensions = (HOUR, DAY, *DIMENSIONS[1:])
    there = _check_variables(report, store, levels_of, dimensions, all_needed=False)
    lat, lon = (store.coordinate(session, name) for name in ("latitude", "longitude"))
    _check_grid(report, need.address, lat, lon)
    _check_levels(session, report, store, levels_of)
    days_and_hours(session, store)
    report.expect("days 1 to 366 of the year, at 00, 06, 12 and 18 UTC", assumed=True)
    large = [
        f"one of {name} has {np.prod(store.array(name).chunks) * 4 / 2**20:.0f} MB"
        for name in there
        if np.prod(store.array(name).chunks) * 4 > MOST_CHUNK
    ]
    report.expect("chunks that fit into memory", shortened(large, 1), assumed=True)
    if PROBED in there:
        values, whole = store.load(session, PROBED, _piece(store, PROBED, 0))
        credible = whole.all() and values.min() > PHYSICAL[0] and values.max() < PHYSICAL[1]
        report.expect(
            f"{PROBED} of the first day, {PHYSICAL[0]:g} to {PHYSICAL[1]:g} K",
            "" if credible else f"it has {values.min():g} to {values.max():g}",
        )


def _check_levels(
    session: requests.Session,
    report: ProviderReport,
    store: PublicStore,
    levels_of: Mapping[str, Sequence[int] | None],
) -> None:
    """Compare the levels of a store with those that its variables are needed at.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    store : PublicStore
        The store.
    levels_of : mapping of str to sequence of int or None
        Levels in hPa by variable, None of those without.
    """
    needed = sorted({level for levels in levels_of.values() for level in levels or ()})
    levels = store.coordinate(session, "level") if "level" in store else []
    stored = {round(float(level)) for level in levels}
    report.expect(
        f"levels {shortened(needed)} hPa",
        lacking(f"{level} hPa" for level in needed if level not in stored),
        matters=not stored & {*needed},
    )


def _check_variables(
    report: ProviderReport,
    store: PublicStore,
    levels_of: Mapping[str, Sequence[int] | None],
    dimensions: Sequence[str],
    all_needed: bool = True,
) -> list[str]:
    """Compare names, units and dimensions of variables; return the names of those there are.

    Parameters
    ----------
    report : ProviderReport
        Takes the findings.
    store : PublicStore
        The store.
    levels_of : mapping
        Levels by variable, None of those without.
    dimensions : sequence of str
        Dimensions of variables with levels.
    all_needed : bool
        Whether one that is not there does harm.

    Returns
    -------
    list of str
        Names of variables.
    """
    there = [name for name in levels_of if name in store]
    report.expect(
        f"variables {shortened(levels_of, 20)}",
        lacking(name for name in levels_of if name not in store),
        matters=all_needed or not there,
    )
    complaints = [unit_complaint(name, store.attributes_of(name).get("units")) for name in there]
    report.expect("units of ERA5", "; ".join(filter(None, complaints)))
    others = []
    for name in there:
        expected = {*dimensions} - (set() if levels_of[name] else {"level"})
        if {*store.dimensions(name)} != expected:
            others.append(f"{name} has {', '.join(store.dimensions(name))}")
    report.expect(f"dimensions {', '.join(dimensions)}, by name", shortened(others))
    return there


def _check_grid(report: ProviderReport, url: str, lat: np.ndarray, lon: np.ndarray) -> None:
    """Compare coordinates with the grid that an address names.

    Parameters
    ----------
    report : ProviderReport
        Takes the findings.
    url : str
        Address of the store.
    lat, lon : np.ndarray
        Latitudes and longitudes in degrees.
    """
    grid = grid_in_address(url)
    size = f"{len(lon)}x{len(lat)}"
    difference = size if grid and size != grid else ""
    if any(np.ptp(np.diff(values)) > 1e-3 for values in (lat, lon) if len(values) > 2):
        difference = f"{size}, not spaced equally"
    report.expect(f"a regular grid of {grid or 'any size'}", difference)


def _check_direction(report: ProviderReport, lat: np.ndarray, rising: bool, assumed: bool) -> None:
    """Compare the direction of latitudes, which is not relied upon.

    Parameters
    ----------
    report : ProviderReport
        Takes the finding.
    lat : np.ndarray
        Latitudes in degrees.
    rising : bool
        Whether they are expected to run from south to north.
    assumed : bool
        Whether nobody has seen it.
    """
    report.expect(
        f"latitudes {'rise' if rising else 'fall'}",
        "" if (lat[0] < lat[-1]) == rising else f"they run from {lat[0]:g} to {lat[-1]:g}",
        assumed=assumed,
        matters=False,
    )


def _check_orders(
    report: ProviderReport, store: PublicStore, names: Iterable[str], fine: bool
) -> None:
    """Compare the order of dimensions and the sizes of chunks, which are not relied upon.

    Parameters
    ----------
    report : ProviderReport
        Takes the findings.
    store : PublicStore
        The store.
    names : iterable of str
        Names of variables that it has.
    fine : bool
        Whether its grid is that of ERA5, of 0.25 degrees.
    """
    order = ("latitude", "longitude") if fine else ("longitude", "latitude")
    orders, large, apart = [], [], []
    for name in names:
        dimensions, array = store.dimensions(name), store.array(name)
        if dimensions[-2:] != order:
            orders.append(f"{name} has {', '.join(dimensions)}")
        size = int(np.prod(array.chunks)) * array.dtype.itemsize
        if size > MOST_CHUNK:
            large.append(f"one of {name} has {size / 2**20:.0f} MB")
        expected = [
            1 if one in ("time", LEAD) else length
            for one, length in zip(dimensions, array.shape, strict=True)
        ]
        if list(array.chunks) != expected:
            apart.append(f"{name} has chunks of {'x'.join(map(str, array.chunks))}")
    report.expect(f"{order[0]} before {order[1]}", shortened(orders, 1), matters=False)
    report.expect("chunks that fit into memory", shortened(large, 1), assumed=not fine)
    report.expect("a chunk for each time", shortened(apart, 1), assumed=not fine, matters=False)


def _piece(store: PublicStore, name: str, place: int) -> list[Sequence[int]]:
    """Return positions of one field of a variable.

    Parameters
    ----------
    store : PublicStore
        The store.
    name : str
        Name of the variable.
    place : int
        Position in time.

    Returns
    -------
    list of sequence of int
        Positions along each dimension; of further dimensions the first.
    """
    return [
        {"time": [place], "latitude": range(length), "longitude": range(length)}.get(one, [0])
        for one, length in zip(store.dimensions(name), store.array(name).shape, strict=True)
    ]


def _check_piece(
    session: requests.Session,
    report: ProviderReport,
    store: PublicStore,
    name: str,
    place: int,
    time: np.datetime64,
) -> bool:
    """Load a field and see whether it holds numbers; return whether its chunks are there.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the finding.
    store : PublicStore
        The store.
    name : str
        Name of the variable.
    place : int
        Position in time.
    time : np.datetime64
        The time.

    Returns
    -------
    bool
        Whether the store has the chunks.
    """
    values, there = store.load(session, name, _piece(store, name, place))
    difference = ""
    if not there.all():
        difference = "there is no chunk of it"
    elif not np.isfinite(values).all():
        difference = f"{np.isfinite(values).mean():.0%} of it are numbers"
    elif name == PROBED and not (values.min() > PHYSICAL[0] and values.max() < PHYSICAL[1]):
        difference = f"it has {values.min():g} to {values.max():g}"
    unit = f", {PHYSICAL[0]:g} to {PHYSICAL[1]:g} K" if name == PROBED else ""
    report.expect(f"{name} of {str(time)[:16]}{unit}", difference)
    return bool(there.all())


def _check_newest(
    session: requests.Session,
    report: ProviderReport,
    store: PublicStore,
    times: np.ndarray,
    offset: int,
) -> None:
    """Load a field of the last time, and where there is none tell the newest time with data.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the finding and the newest day.
    store : PublicStore
        The store.
    times : np.ndarray
        Times that are said to hold data.
    offset : int
        Position of the first of them.
    """
    if PROBED not in store or _check_piece(
        session, report, store, PROBED, int(offset) + len(times) - 1, times[-1]
    ):
        return

    def is_empty(place: int) -> bool:
        keys = chunk_keys(store.array(PROBED), _piece(store, PROBED, int(offset) + place))
        try:
            ranged_length(session, f"{store.url}/{PROBED}/{next(keys)[0]}")
        except Absent:
            return True
        return False

    first_empty = bisect_left(range(len(times)), True, key=is_empty)
    report.newest_day = str(times[first_empty - 1])[:10] if first_empty else ""
    report.expect(
        "data up to the end of the time axis",
        f"the axis reaches to {times[-1]}, the data to {report.newest_day or 'nowhere'}",
    )
