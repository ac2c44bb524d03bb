"""``increment_case``: what one analysis changed, beside what it should have changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from fuxiflow.cycling.response import Response
from fuxiflow.figures import maps, response, style
from fuxiflow.grids import Grid
from fuxiflow.states.store import StateSeries

CHANNELS = ("T500", "Z500", "U500", "MSL")


def table(
    analyses: StateSeries,
    backgrounds: StateSeries,
    references: Mapping[str, StateSeries],
    analysis_time: datetime,
    channels: Sequence[str] = CHANNELS,
) -> pd.DataFrame:
    """One row for each channel and cell: ``increment`` and, of each reference, ``needed_{reference}``.

    The increment is analysis - background, the needed one reference - background. Grids finer than the page are
    averaged over blocks. KeyError from the stores for a time or channel they lack.
    """
    background = backgrounds.read(analysis_time)
    fields = {"increment": analyses.read(analysis_time) - background}
    pick = [analyses.channels.index(name) for name in channels]
    fields = {name: field[pick] for name, field in fields.items()}
    for name, states in references.items():
        state = states.read(analysis_time)
        fields[f"needed_{name}"] = (
            state[[states.channels.index(c) for c in channels]] - background[pick]
        )
    frames = []
    for number, channel in enumerate(channels):
        columns = {}
        for name, field in fields.items():
            small, lat, lon = maps.coarsen(field[number], analyses.grid.lat, analyses.grid.lon)
            columns[name] = small.ravel()
        place = np.meshgrid(lat, lon, indexing="ij")
        frames.append(
            pd.DataFrame(
                {
                    "analysis_time": pd.Timestamp(analysis_time),
                    "channel": channel,
                    "lat": place[0].ravel(),
                    "lon": place[1].ravel(),
                    **columns,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def with_response(table: pd.DataFrame, found: Response) -> pd.DataFrame:
    """The table with the rows of :func:`fuxiflow.figures.response.table` below; as it is where nothing was perturbed,
    as no observation was there."""
    if not len(found):
        return table
    return pd.concat([table.assign(part="increment"), response.table(found)], ignore_index=True)


def correlation(a: np.ndarray, b: np.ndarray, grid: Grid) -> float:
    """Area-weighted correlation of two fields ``(lat, lon)``; NaN where one is constant."""
    weights = np.broadcast_to(grid.area_weights[:, None], a.shape)
    a, b = a - np.average(a, weights=weights), b - np.average(b, weights=weights)
    power = np.sqrt(np.sum(weights * a * a) * np.sum(weights * b * b))
    return float(np.sum(weights * a * b) / power) if power > 0 else float("nan")


def draw(table: pd.DataFrame) -> Figure:
    """A row of maps for each channel on one colour scale: the increment, then what each reference asks for; below,
    where the table has it, the answer to a perturbed observation."""
    maps_of = table[table["part"] == "increment"] if "part" in table else table
    answer = table.drop(maps_of.index)
    needed = [name for name in table.columns if name.startswith("needed_")]
    width, height = 3.3 * (1 + len(needed)) + 0.6, 1.95 * maps_of["channel"].nunique() + 0.4
    if answer.empty:
        figure = style.new_figure(width, height)
        axes = _maps(figure, maps_of, needed)
    else:
        figure = style.new_figure(max(width, 9.0), height + 3.6)
        top, bottom = figure.subfigures(2, 1, height_ratios=[height, 3.6])
        axes = [*_maps(top, maps_of, needed), *response.draw(bottom, answer)]
    style.letters(axes)
    return figure


def _maps(figure: Figure | SubFigure, table: pd.DataFrame, needed: Sequence[str]) -> list[Axes]:
    """The maps of :func:`draw`, with their title."""
    channels = list(dict.fromkeys(table["channel"]))
    axes = []
    for row, channel in enumerate(channels):
        rows = table[table["channel"] == channel]
        limit = float(np.nanpercentile(rows[["increment", *needed]].abs().to_numpy(), 99)) or 1.0
        group = []
        for column, name in enumerate(["increment", *needed]):
            lat, lon, field = maps.to_grid(rows, name)
            if name == "increment":
                increment, title = field, f"{channel}: increment"
            else:
                r = correlation(
                    increment, field, Grid(lat.size, lon.size, poles=abs(lat[0]) > 89.999)
                )
                title = (
                    f"{style.short_name(name.removeprefix('needed_'))} − background (r = {r:.2f})"
                )
            ax = maps.add_map(
                figure,
                len(channels),
                1 + len(needed),
                row * (1 + len(needed)) + column + 1,
                title=title,
            )
            image = maps.shade(ax, lat, lon, field, cmap="RdBu_r", vmin=-limit, vmax=limit)
            group.append(ax)
        figure.colorbar(
            image,
            ax=group,
            shrink=0.85,
            aspect=14,
            pad=0.01,
            extend="both",
            label=f"{channel} ({style.unit(channel)})",
        )
        axes += group
    time = pd.Timestamp(table["analysis_time"].iloc[0])
    figure.suptitle(
        f"Analysis of {time:%Y-%m-%d %H} UTC: its increment, and the one that each reference asks for",
        fontsize=10,
    )
    return axes
