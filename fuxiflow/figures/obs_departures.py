"""``obs_departures``: RMSE and bias of all systems against soundings, occultations and stations."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fuxiflow.figures import style
from fuxiflow.storage import tables

STATION_CHANNELS = ("T2M", "PS", "MSL", "U10", "V10")
"""Quantities of stations that are drawn against lead time."""
COLUMNS = [
    *("kind", "sample", "system", "source", "channel", "variable", "vertical", "unit"),
    *("lead_time", "n", "bias", "rmse", "main_bias", "main_rmse"),
]
OTHERS = [style.OKABE_ITO[i] for i in (6, 5)]
_LEVEL = re.compile(r"([ZTUVR])(\d+)")
_HEIGHT = re.compile(r"refractivity_(\d+)")


def _placed(frame: pd.DataFrame) -> pd.DataFrame:
    """Add what each channel is drawn as: its ``kind``, ``variable`` and ``vertical`` place.

    Parameters
    ----------
    frame : pd.DataFrame
        Scores with the column ``channel``.

    Returns
    -------
    pd.DataFrame
        Rows of soundings (levels in hPa), occultations (heights in km) and stations alone.
    """
    kinds: dict[str, tuple[str, str, float]] = {}
    for channel in frame["channel"].unique():
        if match := _HEIGHT.fullmatch(channel):
            kinds[channel] = "occultations", "refractivity", float(match[1]) / 1000
        elif channel in STATION_CHANNELS:
            kinds[channel] = "stations", channel, float("nan")
        elif match := _LEVEL.fullmatch(channel):
            kinds[channel] = "soundings", match[1], float(match[2])
    frame = frame[frame["channel"].isin(kinds)]
    columns = zip(*(kinds[channel] for channel in frame["channel"]), strict=True)
    names = ("kind", "variable", "vertical")
    placed = dict(zip(names, columns, strict=True)) if len(frame) else dict.fromkeys(names, ())
    return frame.assign(**{name: list(values) for name, values in placed.items()})


def table(path: Path, stations: Sequence[str], main: str) -> pd.DataFrame:
    """Gather the scores of all systems against observations over the globe.

    Parameters
    ----------
    path : Path
        Scores of rule ``verification_observed``.
    stations : Sequence[str]
        Sources of land stations; ships and buoys are left to the scores.
    main : str
        The experiment that is drawn as fuxiflow.

    Returns
    -------
    pd.DataFrame
        One row for each system, source, channel and lead: of withheld observations where a source
        has any, else of those that are assimilated.

    Raises
    ------
    ValueError
        There is nothing to draw.
    """
    frame = tables.read_parquet(path)
    frame = _placed(frame[frame["region"] == "global"])
    frame = frame[(frame["kind"] != "stations") | frame["source"].isin(stations)]
    # radiances have names of their own, which are those of no quantity that is drawn
    has_withheld = frame.loc[frame["sample"] == "withheld", "source"].unique()
    best = frame["source"].isin(has_withheld).map({True: "withheld", False: "assimilated"})
    frame = frame[frame["sample"] == best]
    if frame.empty:
        raise style.missing_rows(
            "no departures from soundings, occultations or stations",
            path,
            "observe such a source during the test",
        )
    frame = frame.assign(system=frame["system"].replace(main, "fuxiflow"))
    order = ["kind", "source", "variable", "vertical", "lead_time", "system"]
    return frame.sort_values(order)[COLUMNS].reset_index(drop=True)


def _lines(systems: Iterable[str]) -> dict[str, style.Line]:
    """Return the lines of systems, fuxiflow first, then by name."""
    names = sorted({*systems} - {"fuxiflow"})
    others = [name for name in names if name not in style.SYSTEMS and name != "no_observations"]
    colors = {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(others)}
    lines = {"fuxiflow": style.SYSTEMS["fuxiflow"]}
    for name in names:
        if name == "no_observations":
            lines[name] = style.NO_OBSERVATIONS
        elif name in style.SYSTEMS:
            lines[name] = style.Line(style.SYSTEMS[name].label, style.SYSTEMS[name].color)
        else:
            lines[name] = style.Line(name.replace("_", " "), colors[name])
    return lines


def _curve(ax: Axes, rows: pd.DataFrame, along: str, line: style.Line) -> None:
    """Draw RMSE (solid) and bias (dotted) of a system.

    Parameters
    ----------
    ax : Axes
        Panel to draw on.
    rows : pd.DataFrame
        Rows of the system in one panel.
    along : str
        Column of the other axis: ``vertical``, upwards, or ``lead_time``, to the right.
    line : style.Line
        Label and colour.
    """
    for metric, dashes, label in (("rmse", "-", line.label), ("bias", ":", None)):
        pair = rows[metric], rows[along]
        ax.plot(
            *(pair if along == "vertical" else pair[::-1]),
            color=line.color,
            linestyle=dashes,
            marker="o",
            markersize=2,
            linewidth=1.2,
            label=label,
        )


def _panels(table: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Return the rows of each panel of a row of the figure, by kind and variable."""
    order = [("soundings", name) for name in style.VARIABLES] + [("occultations", "refractivity")]
    order += [("stations", name) for name in STATION_CHANNELS]
    groups = dict(list(table.groupby(["kind", "variable"], sort=False)))
    return {key: groups[key] for key in order if key in groups}


def drawn_leads(table: pd.DataFrame) -> list[int]:
    """Return the leads of profiles: the analysis, and those nearest to one and five days."""
    leads = sorted(table["lead_time"].unique())
    nearest = [min(leads, key=lambda lead: abs(lead - hours)) for hours in (0, 24, 120)]
    return list(dict.fromkeys(int(lead) for lead in nearest))


def draw(table: pd.DataFrame) -> Figure:
    """Draw profiles at some leads, a row each, and below them stations against lead time.

    Solid lines are RMSE, dotted ones the mean of observation minus equivalent.
    """
    lines = _lines(table["system"])
    profiles = {key: rows for key, rows in _panels(table).items() if key[0] != "stations"}
    stations = {key: rows for key, rows in _panels(table).items() if key[0] == "stations"}
    leads = drawn_leads(table) if profiles else []
    rows_of_panels = [(lead, profiles) for lead in leads] + ([(None, stations)] if stations else [])
    width = max(len(panels) for _, panels in rows_of_panels)
    figure = style.new_figure(2.2 * width + 0.6, 2.9 * len(rows_of_panels) + 0.6)
    axes = figure.subplots(len(rows_of_panels), width, squeeze=False)
    drawn = []
    for (lead, panels), row in zip(rows_of_panels, axes, strict=True):
        for ax, (key, rows) in zip(row, panels.items(), strict=False):
            _draw_panel(ax, rows if lead is None else rows[rows["lead_time"] == lead], key, lines)
            drawn.append(ax)
        for ax in row[len(panels) :]:
            ax.set_axis_off()
        if lead is not None:
            what = "analysis (O − A)" if lead == 0 else f"forecast of {lead} h (O − F)"
            row[0].set_ylabel(f"{what}\npressure (hPa)")
    style.letter_panels(drawn)
    handles = style.collect_legend(drawn)
    shown = [line.label for line in lines.values() if line.label in handles]
    figure.legend(
        [handles[label] for label in shown],
        shown,
        loc="outside upper center",
        ncols=min(len(shown), 8),
    )
    return figure


def _draw_panel(
    ax: Axes, rows: pd.DataFrame, key: tuple[str, str], lines: dict[str, style.Line]
) -> None:
    """Draw all systems in one panel.

    Parameters
    ----------
    ax : Axes
        Panel to draw on.
    rows : pd.DataFrame
        Rows of the panel, of one source or several of a kind.
    key : tuple of str
        Kind and variable.
    lines : dict of str to style.Line
        Lines by system.
    """
    kind, variable = key
    along = "lead_time" if kind == "stations" else "vertical"
    for name, line in lines.items():
        for _, curve in rows[rows["system"] == name].groupby("source"):
            _curve(ax, curve.sort_values(along), along, line)
    unit = style.UNITS.get(rows["unit"].iloc[0], rows["unit"].iloc[0]) if len(rows) else ""
    count = f"{rows['n'].max():,}" if len(rows) else "0"
    title = style.VARIABLES.get(variable, variable)
    ax.set_title(f"{title}, n ≤ {count}", loc="left")
    ax.grid(True)
    if kind == "stations":
        ax.axhline(0, color="0.6", linewidth=0.6)
        ax.set_xlabel("lead time (h)")
        ax.set_ylabel(f"{kind} ({unit})")
        return
    ax.axvline(0, color="0.6", linewidth=0.6)
    ax.set_xlabel(f"RMSE and bias ({unit})")
    if kind == "soundings":
        style.set_pressure_axis(ax)
    else:
        ax.set_ylabel("height (km)")
