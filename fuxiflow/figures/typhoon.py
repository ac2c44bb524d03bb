"""``typhoon``: mean errors of cyclones' tracks and intensity against lead, and tracks of cases."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure, SubFigure

from fuxiflow.cyclones.errors import SAMPLES
from fuxiflow.figures import maps, style
from fuxiflow.storage import tables

COLUMNS = [
    *("part", "system", "metric", "sample", "lead_time", "value", "ci_low", "ci_high"),
    *("cases", "storms", "storm", "name", "init_time", "lat", "lon"),
]
PANELS = (
    (("track_error",), "track error", "km"),
    (("along_track", "cross_track"), "along (solid), across (dashed)", "km"),
    (("pressure_error",), "error of central pressure", "hPa"),
    (("wind_error",), "error of the strongest wind", "m s⁻¹"),
)
"""Metrics of each panel, what they are, and their unit."""
BEST_TRACK = "best track"
MARGIN = 3.0
"""Degrees about the tracks of a case."""


def table(errors: Path, scores: Path, main: str, drawn_storms: int) -> pd.DataFrame:
    """Gather mean errors against lead, and the tracks of some cases.

    Parameters
    ----------
    errors : Path
        Errors of each case, of rule ``cyclones_errors``.
    scores : Path
        Scores of the same rule.
    main : str
        The system that is drawn as fuxiflow.
    drawn_storms : int
        Storms whose tracks are drawn: those with the most cases that all systems have.

    Returns
    -------
    pd.DataFrame
        :data:`COLUMNS`; ``part`` is ``score`` or ``track``. Scores are of the homogeneous sample,
        or where that is empty of each system's own cases. Without any storm there is no row.
    """
    cases = tables.read_parquet(errors)
    cases = cases.assign(system=cases["system"].replace(main, "fuxiflow"))
    parts = [_score_rows(tables.read_parquet(scores), main)]
    parts += [_case_rows(cases, storm) for storm in _drawn(cases, drawn_storms)]
    filled = [part for part in parts if len(part)]
    frame = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
    return frame.reindex(columns=COLUMNS)


def _score_rows(scores: pd.DataFrame, main: str) -> pd.DataFrame:
    """Return the scores that are drawn, of one sample."""
    metrics = [metric for names, *_ in PANELS for metric in names]
    scores = scores[(scores["reference"] == "") & scores["metric"].isin(metrics)]
    present = [sample for sample in SAMPLES if (scores["sample"] == sample).any()]
    scores = scores[scores["sample"].isin(present[:1])]
    return scores.assign(part="score", system=scores["system"].replace(main, "fuxiflow"))


def _drawn(cases: pd.DataFrame, count: int) -> list[str]:
    """Return the storms with the most cases that all systems have, else with the most positions."""
    there = cases[cases["lat"].notna()]
    common = there[there["homogeneous"]]
    numbers = (common if len(common) else there).groupby("storm").size()
    return list(numbers.sort_values(ascending=False, kind="stable").index[:count])


def _case_rows(cases: pd.DataFrame, storm: str) -> pd.DataFrame:
    """Return the best track of a storm, and the forecasts from the time with the most positions.

    Parameters
    ----------
    cases : pd.DataFrame
        Errors of each case.
    storm : str
        The storm.

    Returns
    -------
    pd.DataFrame
        A row for each position, in the order of time.
    """
    cases = cases[cases["storm"] == storm]
    there = cases[cases["lat"].notna()]
    common = there[there["homogeneous"]]
    numbers = (common if len(common) else there).groupby("init_time").size()
    start = numbers.idxmax()
    best = cases.drop_duplicates("valid_time").sort_values("valid_time")
    best = best.assign(
        system=BEST_TRACK, lat=best["best_lat"], lon=best["best_lon"], lead_time=np.nan
    )
    forecast = there[there["init_time"] == start].sort_values(["system", "lead_time"])
    columns = ["system", "lead_time", "storm", "name", "lat", "lon"]
    rows = pd.concat([best[columns], forecast[columns]], ignore_index=True)
    return rows.assign(part="track", init_time=start)


def draw(table: pd.DataFrame) -> Figure:
    """Draw mean errors against lead with their intervals, and below them the tracks of cases."""
    scores, tracks = (table[table["part"] == part] for part in ("score", "track"))
    storms = list(dict.fromkeys(tracks["storm"]))
    figure = style.new_figure(3.0 * len(PANELS) + 0.6, 3.3 + 3.4 * bool(storms))
    if scores.empty:
        figure.text(0.5, 0.5, "no storm was followed", ha="center")
        return figure
    parts = figure.subfigures(1 + bool(storms), 1, squeeze=False)[:, 0]
    drawn = {*scores["system"], *tracks["system"]} - {BEST_TRACK}
    lines = {name: line for name, line in style.system_lines(drawn).items() if name in drawn}
    axes = _draw_scores(parts[0], scores, lines)
    if storms:
        axes += _draw_cases(parts[1], tracks, storms, lines)
    style.letter_panels(axes)
    sample = (
        "cases that all systems have" if scores["sample"].iloc[0] == SAMPLES[0] else "all cases"
    )
    figure.suptitle(
        f"Cyclones against best tracks, {sample}: up to {int(scores['storms'].max())} storms",
        fontsize=10,
    )
    return figure


def _draw_scores(
    figure: Figure | SubFigure, scores: pd.DataFrame, lines: dict[str, style.Line]
) -> list[Axes]:
    """Draw a panel for each kind of error.

    Parameters
    ----------
    figure : Figure or SubFigure
        Where to draw.
    scores : pd.DataFrame
        Rows of scores.
    lines : dict of str to style.Line
        Lines by system.

    Returns
    -------
    list of Axes
        The panels.
    """
    axes = list(figure.subplots(1, len(PANELS), squeeze=False)[0])
    for ax, (metrics, what, unit) in zip(axes, PANELS, strict=True):
        for metric, dashes in zip(metrics, ("-", "--"), strict=False):
            for name, line in lines.items():
                rows = scores[(scores["system"] == name) & (scores["metric"] == metric)]
                rows = rows.sort_values("lead_time")
                label = line.label if dashes == "-" else None
                ax.plot(rows["lead_time"], rows["value"], dashes, color=line.color, label=label)
                if len(metrics) == 1:
                    ax.fill_between(
                        rows["lead_time"],
                        rows["ci_low"],
                        rows["ci_high"],
                        color=line.color,
                        alpha=0.15,
                        linewidth=0,
                    )
        if len(metrics) == 1:
            ax.set_ylim(bottom=0)
        else:
            ax.axhline(0, color="0.6", linewidth=0.6)
        ax.grid(True)
        ax.set_title(what, loc="left")
        ax.set_ylabel(unit)
        _set_lead_axis(ax, scores[scores["metric"] == metrics[0]])
    axes[0].legend()
    return axes


def _set_lead_axis(ax: Axes, scores: pd.DataFrame) -> None:
    """Label some leads with the number of cases below each."""
    most = scores.groupby("lead_time")["cases"].max()
    last = int(most.index.max()) if len(most) else 24
    step = next(hours for hours in (6, 12, 24, 48, 96) if last // hours <= 5 or hours == 96)
    leads = [lead for lead in range(step, last + 1, step) if lead in most.index]
    ax.set_xticks(leads, [f"{lead}\n{int(most[lead])}" for lead in leads])
    ax.set_xlabel("lead time (h), cases")


def _draw_cases(
    figure: Figure | SubFigure,
    tracks: pd.DataFrame,
    storms: Sequence[str],
    lines: dict[str, style.Line],
) -> list[Axes]:
    """Draw the best track and the forecasts of some storms, each in a panel.

    Parameters
    ----------
    figure : Figure or SubFigure
        Where to draw.
    tracks : pd.DataFrame
        Rows of tracks.
    storms : sequence of str
        Storms to draw.
    lines : dict of str to style.Line
        Lines by system.

    Returns
    -------
    list of Axes
        The panels.
    """
    axes = list(figure.subplots(1, len(storms), squeeze=False)[0])
    rings = [np.asarray(polygon.exterior.coords)[:, :2] for polygon in maps.land().geoms]
    for ax, storm in zip(axes, storms, strict=True):
        rows = tracks[tracks["storm"] == storm]
        middle = rows.loc[rows["system"] == BEST_TRACK, "lon"].iloc[0]
        # longitudes go on past the date line
        rows = rows.assign(lon=middle + (rows["lon"] - middle + 180.0) % 360.0 - 180.0)
        coasts = [ring + np.array([turn, 0.0]) for ring in rings for turn in (-360.0, 0.0, 360.0)]
        ax.add_collection(
            LineCollection(coasts, colors="0.6", linewidths=0.5, zorder=1), autolim=False
        )
        ax.plot(*_places(rows, BEST_TRACK), color="0.1", marker=".", markersize=4, label=BEST_TRACK)
        for name, line in lines.items():
            ax.plot(*_places(rows, name), color=line.color, marker="o", markersize=3)
        ax.set_xlim(rows["lon"].min() - MARGIN, rows["lon"].max() + MARGIN)
        ax.set_ylim(rows["lat"].min() - MARGIN, rows["lat"].max() + MARGIN)
        ax.set_aspect(1 / np.cos(np.radians(rows["lat"].mean())))
        ax.grid(True)
        ax.set_xlabel("longitude (°)")
        ax.set_ylabel("latitude (°)")
        start = pd.Timestamp(rows["init_time"].iloc[0])
        ax.set_title(f"{rows['name'].iloc[0]} {storm}\nfrom {start:%Y-%m-%d %H} UTC", loc="left")
    axes[0].legend()
    return axes


def _places(rows: pd.DataFrame, system: str) -> tuple[pd.Series, pd.Series]:
    """Return longitudes and latitudes of a system's track."""
    of_system = rows[rows["system"] == system]
    return of_system["lon"], of_system["lat"]
