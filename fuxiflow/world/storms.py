"""The embedded world's own storms: minima of sea-level pressure, followed through its truth.

They stand for tropical cyclones where best tracks are compared with forecasts. The world has none:
its storms are those of the middle latitudes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd

from fuxiflow.config.cyclones import PublishedStorms, Tracker
from fuxiflow.cyclones.surroundings import Surroundings
from fuxiflow.cyclones.tracker import strongest_wind
from fuxiflow.grids import Grid
from fuxiflow.physics import EARTH_RADIUS, great_circle
from fuxiflow.times import STEP_HOURS

_KM_A_STEP = 3.6 * STEP_HOURS
"""1 m s-1 in km in a step of the truth."""
_PASCALS = 100.0
"""Pa in a hPa."""
FIX_COLUMNS = ("storm", "basin", "time", "lat", "lon", "wind", "pressure")
"""Of a table of fixes: wind in m s-1, pressure in hPa."""


@dataclass
class Storm:
    """A storm: the steps at which it was seen, its cells, and how deep it was at most, in Pa."""

    first_step: int
    cells: list[tuple[int, int]] = field(default_factory=list)
    depth: float = 0.0


def pressure_minima(pressure: np.ndarray, grid: Grid, settings: PublishedStorms) -> np.ndarray:
    """Find the cells that none of their eight neighbours lies below.

    Parameters
    ----------
    pressure : np.ndarray
        Sea-level pressure ``(lat, lon)`` in Pa.
    grid : Grid
        The grid.
    settings : PublishedStorms
        Says between which latitudes.

    Returns
    -------
    np.ndarray
        Row and column ``(minimum, 2)`` of each.
    """
    around = np.pad(np.pad(pressure, ((0, 0), (1, 1)), mode="wrap"), ((1, 1), (0, 0)), mode="edge")
    nlat, nlon = pressure.shape
    parts = [around[i : i + nlat, j : j + nlon] for i, j in np.ndindex(3, 3)]
    lowest, highest = np.min(parts, axis=0), np.max(parts, axis=0)
    least, most = settings.latitudes
    between = (np.abs(grid.lat) >= least) & (np.abs(grid.lat) <= most)
    return np.argwhere((pressure == lowest) & (pressure < highest) & between[:, None])


def follow_storms(pressure: np.ndarray, grid: Grid, settings: PublishedStorms) -> list[Storm]:
    """Follow minima of pressure from step to step: each goes on as the nearest one within reach.

    The nearest pairs are joined first, and a minimum continues one storm at most.

    Parameters
    ----------
    pressure : np.ndarray
        Sea-level pressure ``(time, lat, lon)`` in Pa, 6-hourly.
    grid : Grid
        The grid.
    settings : PublishedStorms
        Latitudes and the largest speed.

    Returns
    -------
    list of Storm
        All of them. Depth is below the mean of the latitude at the time.
    """
    storms: list[Storm] = []
    alive: list[Storm] = []
    for step, field_now in enumerate(pressure):
        depth = field_now.mean(axis=1, keepdims=True) - field_now
        cells = [tuple(map(int, cell)) for cell in pressure_minima(field_now, grid, settings)]
        follower = _nearest_pairs([storm.cells[-1] for storm in alive], cells, grid, settings)
        going_on = []
        for number, cell in enumerate(cells):
            storm = alive[follower[number]] if number in follower else Storm(step)
            if number not in follower:
                storms.append(storm)
            storm.cells.append(cell)
            storm.depth = max(storm.depth, float(depth[cell]))
            going_on.append(storm)
        alive = going_on
    return storms


def _nearest_pairs(
    before: Sequence[tuple[int, int]],
    after: Sequence[tuple[int, int]],
    grid: Grid,
    settings: PublishedStorms,
) -> dict[int, int]:
    """Pair cells of a step with those of the step before, the nearest first.

    Parameters
    ----------
    before, after : sequence of tuple
        Rows and columns.
    grid : Grid
        The grid.
    settings : PublishedStorms
        Says how fast a storm moves at most.

    Returns
    -------
    dict
        Number of the cell before by that of the cell after; those without one are left out.
    """
    if not before or not after:
        return {}
    (rows, columns), (other_rows, other_columns) = map(np.transpose, (before, after))
    distance = great_circle(
        grid.lat[rows][:, None],
        grid.lon[columns][:, None],
        grid.lat[other_rows],
        grid.lon[other_columns],
    )
    # a storm may move by a cell's width, however coarse the grid is
    reach = max(settings.max_speed * _KM_A_STEP, 1.5 * np.pi * EARTH_RADIUS / grid.nlat)
    pairs: dict[int, int] = {}
    for index in np.argsort(distance, axis=None, kind="stable"):
        i, j = divmod(int(index), len(after))
        if distance[i, j] > reach:
            break
        if j not in pairs and i not in pairs.values():
            pairs[j] = i
    return pairs


def deepest_storms(storms: Sequence[Storm], settings: PublishedStorms) -> list[Storm]:
    """Choose the deepest of the storms that live long enough, the deepest first."""
    steps = settings.least_hours // STEP_HOURS
    lasting = [storm for storm in storms if len(storm.cells) > steps]
    return sorted(lasting, key=lambda storm: -storm.depth)[: settings.storms]


def basin_of(lat: float, lon: float) -> str:
    """Return IBTrACS' code of a basin, by longitude alone; lon in [0, 360)."""
    if lat >= 0:
        bounds = ((30.0, "NA"), (100.0, "NI"), (180.0, "WP"), (260.0, "EP"))
        return next((name for east, name in bounds if lon < east), "NA")
    bounds = ((20.0, "SA"), (135.0, "SI"), (290.0, "SP"))
    return next((name for east, name in bounds if lon < east), "SA")


def storm_fixes(
    storms: Sequence[Storm],
    fields: dict[str, np.ndarray],
    grid: Grid,
    times: Sequence[datetime],
    tracker: Tracker,
) -> pd.DataFrame:
    """Make the fixes of storms: places between cells, pressure, and the strongest wind about them.

    Parameters
    ----------
    storms : sequence of Storm
        The storms.
    fields : dict of np.ndarray
        ``MSL`` in Pa, ``U10`` and ``V10`` in m s-1, ``(time, lat, lon)``.
    grid : Grid
        The grid.
    times : sequence of datetime
        Their times.
    tracker : Tracker
        Says within which distance of the centre the wind is sought.

    Returns
    -------
    pd.DataFrame
        :data:`FIX_COLUMNS`. A storm's identifier is as IBTrACS makes it, of the day and place of
        its first fix; of two with the same one the deeper stays.
    """
    rows: dict[str, list[tuple]] = {}
    for storm in storms:
        fixes = []
        for step, (row, column) in enumerate(storm.cells, start=storm.first_step):
            lat, lon = float(grid.lat[row]), float(grid.lon[column])
            near = Surroundings.of(grid, lat, lon, 0.0)
            i = int(np.flatnonzero(near.rows == row)[0])
            j = int(np.flatnonzero(near.columns % grid.nlon == column)[0])
            now = {name: values[step] for name, values in fields.items()}
            lat, lon, lowest = near.between_cells(now["MSL"], i, j)
            wind = strongest_wind(now, lat, lon, grid, tracker)
            fixes.append((times[step], lat, lon % 360.0, wind, lowest / _PASCALS))
        day, lat, lon, *_ = fixes[0]
        name = f"{day:%Y%j}{'N' if lat >= 0 else 'S'}{abs(round(lat)):02d}{round(lon) % 360:03d}"
        about_storm = name, basin_of(lat, lon)
        rows.setdefault(name, [(*about_storm, *fix) for fix in fixes])
    return pd.DataFrame(
        [fix for fixes in rows.values() for fix in fixes], columns=list(FIX_COLUMNS)
    )
