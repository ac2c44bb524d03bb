"""``coverage``: the cells that each source filled within one assimilation window, and when."""

import textwrap
from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

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
    "hour",
    "lat",
    "lon",
]


def table(
    grids: Mapping[str, SparseGrids],
    windows: Mapping[str, tuple[int, int]],
    analysis_time: datetime,
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


def draw(table: pd.DataFrame) -> Figure:
    """Draw two maps for each source: hour of the last observation, and number of filled hours.

    Up to two sources stand in rows of their own; more of them share the scales, pairs side by side.
    """
    names = list(dict.fromkeys(table["source"]))
    pairs = min(2, -(-len(names) // 2)) if len(names) > 2 else 1
    lines = -(-len(names) // pairs)
    figure = style.new_figure(
        9.0 if pairs == 1 else 12.0, 1.1 + (2.9 if pairs == 1 else 1.9) * lines
    )
    rows_of = {name: table[table["source"] == name] for name in names}
    first = table.iloc[0]
    grid = Grid(int(first["nlat"]), int(first["nlon"]))
    fields = {name: _fields(rows, grid) for name, rows in rows_of.items()}
    hours = np.arange(int(table["window_start"].min()), int(table["window_end"].max()) + 1)
    most = max(1, *(int(count.max()) for _, count in fields.values()))
    counts = colormaps["cividis_r"].resampled(most)
    scales = (
        {"cmap": "viridis", "norm": BoundaryNorm(hours, colormaps["viridis"].N)},
        {"cmap": counts, "norm": BoundaryNorm(np.arange(0.5, most + 1), counts.N)},
    )
    axes, images = [], []
    for number, (name, (last, count)) in enumerate(fields.items()):
        area = np.average((count > 0).mean(axis=1), weights=grid.area_weights)
        titles = (
            textwrap.fill(sources.load_source(name).long_name, 34),
            f"filled: {100 * area:.0f} % of the globe",
        )
        for side, (title, field) in enumerate(
            zip(titles, (last, np.where(count > 0, count, np.nan)), strict=True)
        ):
            ax = maps.add_map(figure, lines, 2 * pairs, 2 * number + side + 1, title=title)
            images.append(maps.shade_cells(ax, grid.lat, grid.lon, field, **scales[side]))
            axes.append(ax)
            if side == 0 and not (count > 0).any():
                ax.text(
                    0.5, 0.5, "no observation in this window", transform=ax.transAxes, ha="center"
                )
    labels = (
        ("hour of the last observation, from the analysis time (h)", hours),
        (
            f"hourly slots that fill a cell of {180 / grid.nlat:.4g}° (blank: empty)",
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
