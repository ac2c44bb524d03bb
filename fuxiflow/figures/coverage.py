"""``coverage``: the cells that each source filled within one assimilation window, and when.

Beside them stands the mask after infill: cells within reach of a measured one in the same hour
(:mod:`fuxiflow.observations.dense_grids`).
"""

import textwrap
from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from scipy.ndimage import distance_transform_edt

from fuxiflow.config import sources
from fuxiflow.figures import maps, style
from fuxiflow.grids import Grid
from fuxiflow.observations.sparse_grids import SparseGrids

COLUMNS = [
    "source",
    "analysis_time",
    "window_start",
    "window_end",
    "nlat",
    "nlon",
    "infill_radius",
    "hour",
    "lat",
    "lon",
]


def table(
    grids: Mapping[str, SparseGrids],
    windows: Mapping[str, tuple[int, int]],
    analysis_time: datetime,
    infill_radius: float,
) -> pd.DataFrame:
    """Gather the filled cells of an assimilation window.

    Parameters
    ----------
    grids : mapping of str to SparseGrids
        Observations of each source.
    windows : mapping of str to tuple
        First and last hour of each source's window, relative to the analysis time.
    analysis_time : datetime
        Analysis time.
    infill_radius : float
        Reach of a measured cell in the infilled mask, in cells.

    Returns
    -------
    pd.DataFrame
        One row for each filled cell and hour; ``hour`` is the start of the hourly slot, relative
        to the analysis time. A source without an observation in the window has one row without
        hour and place.
    """
    frames = []
    for source, grid in grids.items():
        start, end = windows[source]
        window = grid.window(analysis_time, start, end)
        row, column = np.divmod(window.cell, grid.grid.nlon)
        cells = {
            "hour": window.slot + start,
            "lat": grid.grid.lat[row],
            "lon": grid.grid.lon[column],
        }
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
                infill_radius=float(infill_radius),
            )
        )
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def _fields(rows: pd.DataFrame, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the last hour that fills each cell, NaN for none, and the number of hours.

    Both are ``(lat, lon)``.
    """
    rows = rows.dropna(subset=["hour"])
    cell = grid.cell(rows["lat"].to_numpy(), rows["lon"].to_numpy())
    last = np.full(grid.nlat * grid.nlon, np.nan)
    count = np.zeros(grid.nlat * grid.nlon)
    np.fmax.at(last, cell, rows["hour"].to_numpy(float))
    np.add.at(count, cell, 1)
    return last.reshape(grid.shape), count.reshape(grid.shape)


def infilled_hours(rows: pd.DataFrame, grid: Grid, radius: float) -> np.ndarray:
    """Count for each cell the hours in which infill gives it a value.

    Parameters
    ----------
    rows : pd.DataFrame
        Rows of :func:`table` of one source.
    grid : Grid
        Grid of the cells.
    radius : float
        Reach of a measured cell, in cells; longitude is cyclic.

    Returns
    -------
    np.ndarray
        Number of hours ``(lat, lon)`` in which the cell, or one nearer than ``radius``, is
        measured.
    """
    reach = int(np.ceil(radius))
    hours = np.zeros(grid.shape, int)
    for _, part in rows.dropna(subset=["hour"]).groupby("hour"):
        empty = np.ones(grid.nlat * grid.nlon, bool)
        empty[grid.cell(part["lat"].to_numpy(), part["lon"].to_numpy())] = False
        around = np.pad(empty.reshape(grid.shape), ((0, 0), (reach, reach)), mode="wrap")
        distance = distance_transform_edt(around)[:, reach : reach + grid.nlon]
        # a measured cell is at distance 0 of itself, however small the radius
        hours += (distance < radius) | (distance == 0)
    return hours


def _filled_share(count: np.ndarray, grid: Grid) -> float:
    """Return the share of the globe, in per cent, whose cells have a count above 0."""
    return 100 * float(np.average((count > 0).mean(axis=1), weights=grid.area_weights))


def draw(table: pd.DataFrame) -> Figure:
    """Draw three maps a source: hour of the last observation, measured hours, infilled hours.

    Up to two sources stand in rows of their own; more of them share the scales, pairs side by side.
    """
    names = list(dict.fromkeys(table["source"]))
    pairs = min(2, -(-len(names) // 2)) if len(names) > 2 else 1
    lines = -(-len(names) // pairs)
    figure = style.new_figure(
        11.0 if pairs == 1 else 16.0, 1.1 + (2.4 if pairs == 1 else 1.8) * lines
    )
    rows_of = {name: table[table["source"] == name] for name in names}
    first = table.iloc[0]
    grid = Grid(int(first["nlat"]), int(first["nlon"]))
    radius = float(first["infill_radius"])
    fields = {
        name: (*_fields(rows, grid), infilled_hours(rows, grid, radius))
        for name, rows in rows_of.items()
    }
    hours = np.arange(int(table["window_start"].min()), int(table["window_end"].max()) + 1)
    most = max(1, *(int(widened.max()) for *_, widened in fields.values()))
    counts = colormaps["cividis_r"].resampled(most)
    counted = {"cmap": counts, "norm": BoundaryNorm(np.arange(0.5, most + 1), counts.N)}
    scales = (
        {"cmap": "viridis", "norm": BoundaryNorm(hours, colormaps["viridis"].N)},
        counted,
        counted,
    )
    axes, images = [], []
    for number, (name, (last, count, widened)) in enumerate(fields.items()):
        titles = (
            textwrap.fill(sources.load_source(name).long_name, 34),
            f"filled: {_filled_share(count, grid):.0f} % of the globe",
            f"infilled: {_filled_share(widened, grid):.0f} %",
        )
        shown = (last, *(np.where(field > 0, field, np.nan) for field in (count, widened)))
        for side, (title, field) in enumerate(zip(titles, shown, strict=True)):
            ax = maps.add_map(figure, lines, 3 * pairs, 3 * number + side + 1, title=title)
            images.append(maps.shade_cells(ax, grid.lat, grid.lon, field, **scales[side]))
            axes.append(ax)
            if side == 0 and not (count > 0).any():
                ax.text(
                    0.5, 0.5, "no observation in this window", transform=ax.transAxes, ha="center"
                )
    labels = (
        ("hour of the last observation, from the analysis time (h)", hours),
        (
            f"hourly slots that fill a cell of {180 / grid.nlat:.4g}°, measured, and with infill "
            f"over {radius:.4g} cells (blank: empty)",
            np.arange(1, most + 1),
        ),
    )
    for side, (label, ticks) in enumerate(labels):
        bar = figure.colorbar(
            images[side], ax=axes, location="bottom", shrink=0.4, aspect=50, pad=0.02, ticks=ticks
        )
        bar.set_label(label)
    style.letter_panels(axes)
    time = pd.Timestamp(table["analysis_time"].iloc[0])
    figure.suptitle(
        f"Observations in the assimilation window of {time:%Y-%m-%d %H} UTC", fontsize=10
    )
    return figure
