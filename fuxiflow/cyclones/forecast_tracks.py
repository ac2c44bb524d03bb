"""Tables of the tracks of storms in the forecasts of a system."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from fuxiflow.config.cyclones import Tracker
from fuxiflow.cyclones.tracker import Fields, Ground, Track, follow
from fuxiflow.progress import progress
from fuxiflow.states.forecasts import Forecasts

COLUMNS = (
    *("system", "storm", "name", "basin", "init_time", "lead_time", "valid_time"),
    *("lat", "lon", "pressure", "wind", "end"),
)
"""Of a table of tracks: pressure in hPa, wind in m s-1. A row with ``end`` has no position."""


def track_rows(
    tracks: Mapping[str, Track], storms: pd.DataFrame, system: str, init_time: np.datetime64
) -> pd.DataFrame:
    """Make the rows of the tracks of one forecast.

    Parameters
    ----------
    tracks : mapping
        Tracks by storm.
    storms : pd.DataFrame
        Best tracks' ``name`` and ``basin`` with the index ``storm``.
    system : str
        The system that made the forecast.
    init_time : np.datetime64
        Its initial time.

    Returns
    -------
    pd.DataFrame
        :data:`COLUMNS`.
    """
    rows = []
    for storm, track in tracks.items():
        about = system, storm, storms.at[storm, "name"], storms.at[storm, "basin"], init_time
        for lead, c in track.positions:
            valid = init_time + np.timedelta64(lead, "h")
            rows.append((*about, lead, valid, c.lat, c.lon, c.pressure, c.wind, ""))
        if track.end_lead is not None:
            valid = init_time + np.timedelta64(track.end_lead, "h")
            rows.append((*about, track.end_lead, valid, *[np.nan] * 4, track.end))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    times = dict.fromkeys(("init_time", "valid_time"), "datetime64[us]")
    numbers = dict.fromkeys(("lat", "lon", "pressure", "wind"), "float64")
    return table.astype({**times, **numbers, "lead_time": "int32"})


def tracked_storms(
    fixes: pd.DataFrame, init_time: np.datetime64, natures: Sequence[str], least_wind: float
) -> pd.DataFrame:
    """Choose the storms that a forecast is asked for: those there are when it starts.

    Parameters
    ----------
    fixes : pd.DataFrame
        Best tracks, as :func:`fuxiflow.cyclones.best_tracks.read_best_tracks` returns them.
    init_time : np.datetime64
        Initial time of the forecast.
    natures : sequence of str
        Natures that count.
    least_wind : float
        Least wind in m s-1; a storm without wind counts.

    Returns
    -------
    pd.DataFrame
        Fixes at the initial time, by ``storm``.
    """
    now = fixes[(fixes["time"] == init_time) & fixes["nature"].isin(list(natures))]
    return now[~(now["wind"] < least_wind)].set_index("storm")


def track_forecasts(
    forecasts: Forecasts,
    fixes: pd.DataFrame,
    ground: Ground,
    settings: Tracker,
    *,
    system: str,
    max_lead_hours: int,
    natures: Sequence[str],
    least_wind: float,
    log: logging.Logger,
) -> pd.DataFrame:
    """Follow in each forecast the storms that the best tracks have when it starts.

    A storm is looked for at the first lead, about the place of its best track at that time. Initial
    times without any field are no forecasts.

    Parameters
    ----------
    forecasts : Forecasts
        Forecasts that hold the channels of the tracker.
    fixes : pd.DataFrame
        Best tracks, as :func:`fuxiflow.cyclones.best_tracks.read_best_tracks` returns them.
    ground : Ground
        Grid, land and height.
    settings : Tracker
        Radii and limits.
    system : str
        Name of the system in the table.
    max_lead_hours : int
        Lead in hours to which storms are followed.
    natures : sequence of str
        Natures of the best track that count.
    least_wind : float
        Least wind of the best track in m s-1.
    log : logging.Logger
        Takes progress.

    Returns
    -------
    pd.DataFrame
        :data:`COLUMNS`.
    """
    # lead 0, where a store has it, is the analysis
    leads = [lead for lead in forecasts.lead_hours if 0 < lead <= max_lead_hours]
    names = forecasts.channels.names

    def read(init: np.datetime64, lead: int) -> Fields | None:
        if not forecasts.available(init, lead):
            return None
        return dict(zip(names, forecasts.read(init, lead), strict=True))

    tables = []
    for init in progress(forecasts.init_times, f"tracks of {system}", log):
        # a system that made no forecast has not lost a storm
        if not any(forecasts.available(init, lead) for lead in leads):
            continue
        storms = tracked_storms(fixes, init, natures, least_wind)
        first = fixes[fixes["time"] == init + np.timedelta64(leads[0], "h")].set_index("storm")
        starts = {
            storm: (first.at[storm, "lat"], first.at[storm, "lon"])
            for storm in storms.index
            if storm in first.index
        }
        tracks = follow(lambda lead, init=init: read(init, lead), leads, starts, ground, settings)
        tables.append(track_rows(tracks, storms, system, init))
    if not tables:
        return track_rows({}, fixes.set_index("storm"), system, np.datetime64("NaT"))
    table = pd.concat(tables, ignore_index=True)
    positions = table.loc[table["end"] == "", "storm"]
    log.info("%d positions of %d storms", len(positions), positions.nunique())
    return table
