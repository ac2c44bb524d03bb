"""``coverage``: where and when each source saw the globe within one assimilation window, and the cells it filled."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from fuxiflow import sources
from fuxiflow.figures import maps, style
from fuxiflow.grids import Grid
from fuxiflow.observations.sparse import SparseGrids

COLUMNS = ["source", "analysis_time", "window_start", "window_end", "nlat", "nlon", "hour", "lat", "lon"]


def table(
    grids: Mapping[str, SparseGrids], windows: Mapping[str, tuple[int, int]], analysis_time: datetime
) -> pd.DataFrame:
    """One row for each filled cell and hour: ``hour`` is the start of the hourly slot, relative to the analysis time.

    A source without an observation in the window has one row without hour and place.
    """
    frames = []
    for source, grid in grids.items():
        start, end = windows[source]
        window = grid.window(analysis_time, start, end)
        row, column = np.divmod(window.cell, grid.grid.nlon)
        cells = {"hour": window.slot + start, "lat": grid.grid.lat[row], "lon": grid.grid.lon[column]}
        if len(window) == 0:
            cells = {"hour": [np.nan], "lat": [np.nan], "lon": [np.nan]}
        frames.append(
            pd.DataFrame(cells).assign(
                source=source,
                analysis_time=pd.Timestamp(analysis_time),
                window_start=start,
                window_end=end,
                nlat=grid.grid.nlat,
                nlon=grid.grid.nlon,
            )
        )
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def _fields(rows: pd.DataFrame, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """The last hour that each cell was seen in, NaN for none, and the number of hours: both ``(lat, lon)``."""
    rows = rows.dropna(subset=["hour"])
    cell = grid.cell(rows["lat"].to_numpy(), rows["lon"].to_numpy())
    last, count = np.full(grid.nlat * grid.nlon, np.nan), np.zeros(grid.nlat * grid.nlon)
    np.fmax.at(last, cell, rows["hour"].to_numpy(float))
    np.add.at(count, cell, 1)
    return last.reshape(grid.shape), count.reshape(grid.shape)


def draw(table: pd.DataFrame) -> Figure:
    """A row of two maps for each source: the hour of the last observation, and how many hours filled each cell."""
    names = list(dict.fromkeys(table["source"]))
    figure = style.new_figure(9.0, 0.4 + 3.3 * len(names))
    axes = []
    for number, name in enumerate(names):
        rows = table[table["source"] == name]
        first = rows.iloc[0]
        grid = Grid(int(first["nlat"]), int(first["nlon"]))
        last, count = _fields(rows, grid)
        filled = count > 0
        area = np.average(filled.mean(axis=1), weights=grid.area_weights)
        start, end = int(first["window_start"]), int(first["window_end"])

        left = maps.add_map(figure, len(names), 2, 2 * number + 1, title=sources.load(name).long_name)
        hours = np.arange(start, end + 1)
        scale = BoundaryNorm(hours, colormaps["viridis"].N)
        image = maps.shade(left, grid.lat, grid.lon, last, norm=scale, cmap="viridis")
        bar = figure.colorbar(image, ax=left, orientation="horizontal", shrink=0.8, aspect=35, pad=0.03, ticks=hours)
        bar.set_label("hour of the last observation, from the analysis time (h)")

        right = maps.add_map(
            figure, len(names), 2, 2 * number + 2, title=f"filled cells: {100 * area:.0f} % of the globe"
        )
        most = max(int(count.max()), 1)
        steps = np.arange(0.5, most + 1)
        cmap = colormaps["cividis_r"].resampled(most)
        image = maps.shade(
            right, grid.lat, grid.lon, np.where(filled, count, np.nan), cmap=cmap, norm=BoundaryNorm(steps, cmap.N)
        )
        bar = figure.colorbar(
            image, ax=right, orientation="horizontal", shrink=0.8, aspect=35, pad=0.03, ticks=np.arange(1, most + 1)
        )
        bar.set_label(f"hourly slots that fill a cell of {180 / grid.nlat:.4g}° (blank: empty)")
        if not filled.any():
            left.text(0.5, 0.5, "no observation in this window", transform=left.transAxes, ha="center")
        axes += [left, right]
    style.letters(axes)
    time = pd.Timestamp(table["analysis_time"].iloc[0])
    figure.suptitle(f"Observations in the assimilation window of {time:%Y-%m-%d %H} UTC", fontsize=10)
    return figure
