"""``balance``: what is out of geostrophic and hydrostatic balance in analyses and forecasts."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fuxiflow.figures import style
from fuxiflow.figures.spectra import lead_label
from fuxiflow.storage import tables

RESIDUAL_DASHES = {"residual": "-", "difference": ":"}
OTHERS = [style.OKABE_ITO[i] for i in (4, 3, 5)]


def table(path: Path, main: str) -> pd.DataFrame:
    """Read the residuals of all systems.

    Parameters
    ----------
    path : Path
        Residuals of rule ``verification_structure``.
    main : str
        The experiment that is drawn as fuxiflow.

    Returns
    -------
    pd.DataFrame
        Its rows, those of fuxiflow first.

    Raises
    ------
    ValueError
        There is no case.
    """
    frame = tables.read_parquet(path)
    if frame.empty:
        raise style.missing_rows("no residuals", path, "see verification.structure_leads")
    frame = frame.assign(system=frame["system"].astype(str).replace(main, "fuxiflow"))
    order = ["relation", "first", "system", "lead_time", "top"]
    frame = frame.assign(first=frame["system"] != "fuxiflow").sort_values(order)
    return frame.drop(columns="first").reset_index(drop=True)


def _lines(systems: Iterable[str]) -> dict[str, style.Line]:
    """Return the lines of systems, in their order."""
    lines = {}
    for name in dict.fromkeys(systems):
        color = OTHERS[len(lines) % len(OTHERS)]
        lines[name] = style.SYSTEMS.get(name, style.Line(name, color))
    return lines


def profile_leads(leads: Iterable[int]) -> list[int]:
    """Return the leads of profiles: the first, one in the middle and the last."""
    leads = sorted({*leads})
    return list(dict.fromkeys([leads[0], leads[len(leads) // 2], leads[-1]]))


def draw(table: pd.DataFrame) -> Figure:
    """Draw geostrophic residuals against lead time, and below them hydrostatic profiles.

    Solid lines are the residual's root mean square, dotted ones that of its difference from the
    reference's residual. The black line is the reference.
    """
    lines = _lines(table["system"])
    winds = table[table["relation"] == "geostrophic"]
    layers = table[table["relation"] == "hydrostatic"]
    levels = sorted(winds["top"].unique())
    leads = profile_leads(layers["lead_time"]) if len(layers) else []
    rows = [part for part in (levels, leads) if part]
    figure = style.new_figure(8.4, 2.9 * len(rows) + 0.6)
    axes = figure.subplots(len(rows), max(map(len, rows)), squeeze=False)
    drawn = []
    for row, parts in zip(axes, rows, strict=True):
        for ax, part in zip(row, parts, strict=False):
            if parts is levels:
                _draw_winds(ax, winds[winds["top"] == part], lines)
            else:
                _draw_layers(ax, layers[layers["lead_time"] == part], lines)
                ax.set_title(lead_label(part), loc="left")
            drawn.append(ax)
        for ax in row[len(parts) :]:
            ax.set_axis_off()
    style.letter_panels(drawn)
    reference = style.reference_name(table["reference"].iloc[0])
    handles = [Line2D([], [], color=line.color) for line in lines.values()]
    handles.append(Line2D([], [], color="k", linewidth=0.9))
    handles += [Line2D([], [], color="0.4", linestyle=dash) for dash in RESIDUAL_DASHES.values()]
    labels = [*(line.label for line in lines.values()), reference]
    labels += ["residual", f"difference from the residual of {reference}"]
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _draw_winds(ax, rows: pd.DataFrame, lines: dict[str, style.Line]) -> None:
    """Draw what is not geostrophic in the winds of a level, against lead time.

    Parameters
    ----------
    ax : Axes
        Panel to draw on.
    rows : pd.DataFrame
        Rows of the level.
    lines : dict of str to Line
        Line of each system.
    """
    for name, line in lines.items():
        part = rows[rows["system"] == name]
        for column, dash in RESIDUAL_DASHES.items():
            ax.plot(
                part["lead_time"] / 24,
                part[column],
                color=line.color,
                linestyle=dash,
                marker="o",
                markersize=2.5,
            )
    main = rows[rows["system"] == next(iter(lines))]
    ax.plot(main["lead_time"] / 24, main["reference_residual"], color="k", linewidth=0.9)
    ax.set_title(f"ageostrophic wind, {rows['top'].iloc[0]} hPa", loc="left")
    ax.set_xlabel("lead time (days)")
    ax.set_ylabel(f"RMS ({style.UNITS['m s-1']})")
    ax.set_ylim(bottom=0)
    ax.grid(True)


def _draw_layers(ax, rows: pd.DataFrame, lines: dict[str, style.Line]) -> None:
    """Draw profiles of the hydrostatic residual at a lead.

    Parameters
    ----------
    ax : Axes
        Panel to draw on.
    rows : pd.DataFrame
        Rows of the lead.
    lines : dict of str to Line
        Line of each system.
    """
    rows = rows.assign(middle=np.sqrt(rows["top"] * rows["bottom"]))
    for name, line in lines.items():
        part = rows[rows["system"] == name]
        for column, dash in RESIDUAL_DASHES.items():
            ax.plot(
                part[column],
                part["middle"],
                color=line.color,
                linestyle=dash,
                marker="o",
                markersize=2.5,
            )
    main = rows[rows["system"] == next(iter(lines))]
    ax.plot(main["reference_residual"], main["middle"], color="k", linewidth=0.9)
    style.set_pressure_axis(ax)
    ax.set_xlim(left=0)
    ax.set_xlabel("hydrostatic residual, RMS (K)")
    ax.set_ylabel("pressure (hPa)")
    ax.grid(True)
