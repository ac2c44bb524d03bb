"""``increment_case``: the increment of one analysis, beside what it should have been.

Below the maps stands the answer of the networks to one perturbed observation, beside the
observation operator's Jacobian, where the workflow has computed it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, NullLocator

from fuxiflow.cycling.response import Response
from fuxiflow.figures import maps, style
from fuxiflow.grids import Grid
from fuxiflow.states.store import StateSeries

CHANNELS = ("T500", "Z500", "U500", "MSL")
INCREMENT = "increment"
RESPONSE = "response"
JACOBIAN_COLOR = style.OKABE_ITO[1]
RESPONSE_TICKS = (50, 100, 200, 300, 500, 700, 1000)
DECADES = 2  # of colours below the largest response
RESPONSE_HEIGHT = 3.6  # inches


def table(
    analyses: StateSeries,
    backgrounds: StateSeries,
    references: Mapping[str, StateSeries],
    analysis_time: datetime,
    channels: Sequence[str] = CHANNELS,
) -> pd.DataFrame:
    """Gather the increment of one analysis, and those that would lead to each reference.

    Parameters
    ----------
    analyses, backgrounds : StateSeries
        Analyses and their backgrounds.
    references : mapping of str to StateSeries
        States of each reference.
    analysis_time : datetime
        Analysis time.
    channels : sequence of str
        Channels to show.

    Returns
    -------
    pd.DataFrame
        One row for each channel and cell: ``increment`` (analysis - background) and, of each
        reference, ``needed_{reference}`` (reference - background). Grids finer than the page are
        averaged over blocks.

    Raises
    ------
    KeyError
        A store lacks the time or a channel.
    """
    background = backgrounds.read(analysis_time)
    fields = {INCREMENT: analyses.read(analysis_time) - background}
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


def with_response(table: pd.DataFrame, response: Response) -> pd.DataFrame:
    """Add the rows of :func:`response_rows` to those of :func:`table`.

    The table stays as it is where no observation was there to be perturbed.
    """
    if not len(response):
        return table
    return pd.concat([table.assign(part=INCREMENT), response_rows(response)], ignore_index=True)


def response_rows(response: Response) -> pd.DataFrame:
    """Gather the answer to one perturbed observation.

    Rows without ``north`` and ``east`` hold by ``level`` (hPa) the mean ``response`` over the
    places (K), its standard deviation ``spread`` and the mean ``jacobian``, K/K for a unit of ln p.
    The others hold the mean ``response`` about the observed cell, at ``north`` and ``east`` in
    cells. Columns of all rows say what was perturbed, and by how much the brightness temperature
    of the analysis ``followed`` (K).
    """
    thickness = np.abs(np.gradient(np.log(response.level)))
    profile = pd.DataFrame(
        {
            "level": response.level,
            "response": response.response.mean(axis=0),
            "spread": response.response.std(axis=0),
            "jacobian": response.jacobian.mean(axis=0) / thickness,
        }
    )
    reach = response.around.shape[-1] // 2
    offset = np.arange(-reach, reach + 1)
    level, north, east = np.meshgrid(response.level, offset, offset, indexing="ij")
    near = pd.DataFrame(
        {
            "level": level.ravel(),
            "north": north.ravel(),
            "east": east.ravel(),
            "response": response.around.ravel(),
        }
    )
    shared = {
        "part": RESPONSE,
        "perturbed": f"channel {response.channel} of {response.source}",
        "kelvin": response.kelvin,
        "places": len(response),
        "followed": response.followed.mean(),
        "cell_lon": response.cell[1],
    }
    return pd.concat([profile, near], ignore_index=True).assign(**shared)


def area_correlation(a: np.ndarray, b: np.ndarray, grid: Grid) -> float:
    """Correlate two fields, weighted by area.

    Parameters
    ----------
    a, b : np.ndarray
        Fields ``(lat, lon)``.
    grid : Grid
        Their grid.

    Returns
    -------
    float
        Correlation in [-1, 1]; NaN where one field is constant.
    """
    weights = np.broadcast_to(grid.area_weights[:, None], a.shape)
    a = a - np.average(a, weights=weights)
    b = b - np.average(b, weights=weights)
    power = np.sqrt(np.sum(weights * a * a) * np.sum(weights * b * b))
    return float(np.sum(weights * a * b) / power) if power > 0 else float("nan")


def draw(table: pd.DataFrame) -> Figure:
    """Draw a row of maps for each channel on one colour scale.

    First comes the increment, then what each reference asks for. Below stands the answer to a
    perturbed observation, where the table has it.
    """
    map_rows = table[table["part"] == INCREMENT] if "part" in table else table
    answer = table.drop(map_rows.index)
    needed = [name for name in table.columns if name.startswith("needed_")]
    width = 3.3 * (1 + len(needed)) + 0.6
    height = 1.95 * map_rows["channel"].nunique() + 0.4
    if answer.empty:
        figure = style.new_figure(width, height)
        axes = _draw_maps(figure, map_rows, needed)
    else:
        figure = style.new_figure(max(width, 9.0), height + RESPONSE_HEIGHT)
        top, bottom = figure.subfigures(2, 1, height_ratios=[height, RESPONSE_HEIGHT])
        axes = [*_draw_maps(top, map_rows, needed), *_draw_response(bottom, answer)]
    style.letter_panels(axes)
    return figure


def _draw_maps(
    figure: Figure | SubFigure, table: pd.DataFrame, needed: Sequence[str]
) -> list[Axes]:
    """Draw the maps of :func:`draw`, with their title.

    Parameters
    ----------
    figure : Figure or SubFigure
        Where to draw.
    table : pd.DataFrame
        Rows of :func:`table`.
    needed : sequence of str
        Columns beside the increment.

    Returns
    -------
    list of Axes
        The maps, row by row.
    """
    channels = list(dict.fromkeys(table["channel"]))
    axes = []
    for row, channel in enumerate(channels):
        rows = table[table["channel"] == channel]
        limit = float(np.nanpercentile(rows[[INCREMENT, *needed]].abs().to_numpy(), 99)) or 1.0
        group = []
        for column, name in enumerate([INCREMENT, *needed]):
            lat, lon, field = maps.field_of_rows(rows, name)
            if name == INCREMENT:
                increment = field
                title = f"{channel}: increment"
            else:
                grid = Grid(lat.size, lon.size, poles=abs(lat[0]) > 89.999)
                r = area_correlation(increment, field, grid)
                reference = style.short_name(name.removeprefix("needed_"))
                title = f"{reference} − background (r = {r:.2f})"
            ax = maps.add_map(
                figure,
                len(channels),
                1 + len(needed),
                row * (1 + len(needed)) + column + 1,
                title=title,
            )
            image = maps.shade_cells(ax, lat, lon, field, cmap="RdBu_r", vmin=-limit, vmax=limit)
            group.append(ax)
        figure.colorbar(
            image,
            ax=group,
            shrink=0.85,
            aspect=14,
            pad=0.01,
            extend="both",
            label=f"{channel} ({style.channel_unit(channel)})",
        )
        axes += group
    time = pd.Timestamp(table["analysis_time"].iloc[0])
    figure.suptitle(
        f"Analysis of {time:%Y-%m-%d %H} UTC: its increment, "
        "and the one that each reference asks for",
        fontsize=10,
    )
    return axes


def _draw_response(figure: SubFigure, rows: pd.DataFrame) -> list[Axes]:
    """Draw the profile, a section from west to east, and the level that answers most."""
    profile = rows[rows["north"].isna()]
    near = rows[rows["north"].notna()]
    first = rows.iloc[0]
    peak = profile.loc[profile["response"].abs().idxmax(), "level"]
    # where neighbours hardly answer the middle alone is coloured: a logarithm shows how little
    limit = near["response"].abs().max() or 1.0
    norm = SymLogNorm(limit / 10**DECADES, vmin=-limit, vmax=limit, linscale=0.5)
    shades = {"cmap": "RdBu_r", "norm": norm, "rasterized": True}
    axes = figure.subplots(1, 3)
    _draw_response_profile(axes[0], profile)
    section = near[near["north"] == 0].pivot(index="level", columns="east", values="response")
    axes[1].pcolormesh(section.columns, np.arange(len(section)), section, **shades)
    axes[1].set_yticks(np.arange(len(section)), [f"{level:g}" for level in section.index])
    axes[1].invert_yaxis()
    axes[1].set_title("T along the row of the observed cell", loc="left")
    axes[1].set_ylabel("pressure (hPa)")
    plan = near[near["level"] == peak].pivot(index="north", columns="east", values="response")
    image = axes[2].pcolormesh(plan.columns, plan.index, plan, **shades)
    axes[2].set_aspect("equal")
    axes[2].set_title(f"T{peak:g} about the observed cell", loc="left")
    axes[2].set_ylabel("cells to the north")
    reach = int(near["east"].max())
    ticks = [offset for offset in range(-reach, reach + 1) if offset % 4 == 0]
    axes[2].set_yticks(ticks)
    for ax in axes[1:]:
        ax.set_xticks(ticks)
        ax.set_xlabel(f"cells to the east ({first['cell_lon']:.3g}°)")
    decades = [limit / 10**n for n in range(DECADES + 1)]
    bar = figure.colorbar(image, ax=axes[2], shrink=0.85, aspect=14, label="T (K)")
    bar.set_ticks([sign * value for value in decades for sign in (-1, 1)] + [0], minor=False)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    figure.suptitle(
        f"Answer to {first['kelvin']:+g} K in {first['perturbed']} in one observation, "
        f"mean of {first['places']:g} made one by one: "
        f"the analysis' Tb follows by {first['followed']:+.2f} K",
        fontsize=10,
    )
    return list(axes)


def _draw_response_profile(ax: Axes, profile: pd.DataFrame) -> None:
    """Draw response and Jacobian against pressure on two axes whose zeros meet."""
    line = style.SYSTEMS["fuxiflow"]
    level = profile["level"]
    mean = profile["response"]
    spread = profile["spread"]
    ax.fill_betweenx(level, mean - spread, mean + spread, color=line.color, alpha=0.2, linewidth=0)
    ax.plot(mean, level, "o-", color=line.color, markersize=3)
    ax.set_yscale("log")
    ax.set_yticks(RESPONSE_TICKS, [str(tick) for tick in RESPONSE_TICKS])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(1000, 50)
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set_xlabel("response of T (K)", color=line.color)
    ax.set_ylabel("pressure (hPa)")
    twin = ax.twiny()
    twin.plot(profile["jacobian"], level, "s--", color=JACOBIAN_COLOR, markersize=3)
    twin.spines["top"].set_visible(True)
    twin.set_xlabel("∂Tb/∂T of the operator (K K⁻¹ per unit of ln p)", color=JACOBIAN_COLOR)
    low = 1.1 * min(0, (mean - spread).min())
    high = 1.1 * max(0, (mean + spread).max())
    if low < high:
        ax.set_xlim(low, high)
        scale = 1.1 * profile["jacobian"].abs().max() / max(high, -low)
        twin.set_xlim(scale * low, scale * high)
    ax.set_title("T in the observed cell, ± 1 std of the places", loc="left")
