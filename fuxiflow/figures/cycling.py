"""``cycling``: errors of analyses and backgrounds through the cycle, and observation counts."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fuxiflow.figures import style
from fuxiflow.storage import tables

CHANNELS = ("Z500", "T500", "T850", "U500")
# a window with less than this fraction of a source's usual number of observations is marked
OUTAGE = 0.5
ERRORS = ("experiment", "time", "array", "reference", "channel", "rmse")
COUNTS = ("time", "source", "n")


def count_observations(path: Path) -> pd.DataFrame:
    """Count the observations of each window.

    Returns columns time, observations (of all sources), outage (some source has less than
    :data:`OUTAGE` of its median number) and sources_out, the names of these sources.
    """
    counts = tables.read_parquet(path, COUNTS)
    usual = counts.groupby("source")["n"].transform("median")
    counts = counts.assign(outage=counts["n"] < OUTAGE * usual)
    windows = counts.groupby("time", as_index=False).agg(
        observations=("n", "sum"), outage=("outage", "any")
    )
    out = counts[counts["outage"]].astype({"source": str}).groupby("time")["source"]
    return windows.assign(sources_out=windows["time"].map(out.agg(" ".join)).fillna(""))


def table(
    cycles: Sequence[Path], counts: Path, main: str, reference: str, test_start: date
) -> pd.DataFrame:
    """Gather the global RMSE of analyses and backgrounds at every time of the cycle.

    Parameters
    ----------
    cycles : sequence of Path
        Series of the errors of each experiment.
    counts : Path
        Observation counts of the experiment ``main``.
    main : str
        The main experiment; of the others only the analysis is kept.
    reference : str
        Reference of the errors.
    test_start : date
        First day of the test period; times before are ``spin_up``.

    Returns
    -------
    pd.DataFrame
        Experiment, array (analysis, background, climatology), time, channel, unit and rmse;
        ``observations``, ``outage`` and ``sources_out`` are those of main's windows.

    Raises
    ------
    ValueError
        A file lacks a column or any row of ``reference``; the message names it.
    """
    frames = []
    for path in cycles:
        frame = tables.read_parquet(
            path, ERRORS, [("reference", "=", reference), ("channel", "in", list(CHANNELS))]
        )
        if frame.empty:
            raise style.missing_rows(
                f"no error of {', '.join(CHANNELS)} against {reference}",
                path,
                "see verification.references in the configuration",
            )
        frames.append(
            frame.astype(dict.fromkeys(("experiment", "array", "reference", "channel"), str))
        )
    frame = pd.concat(frames, ignore_index=True)
    frame = frame[(frame["experiment"] == main) | (frame["array"] == "analysis")]
    if main not in set(frame["experiment"]):
        raise ValueError(f"{', '.join(map(str, cycles))}: no rows of the experiment {main!r}")
    frame = frame.merge(count_observations(counts), on="time", how="left")
    frame = frame.assign(
        main=frame["experiment"] == main,
        unit=[style.channel_unit(name) for name in frame["channel"]],
        spin_up=frame["time"] < pd.Timestamp(test_start),
        outage=frame["outage"].eq(True),
        sources_out=frame["sources_out"].fillna(""),
        observations=frame["observations"].fillna(0).astype(int),
    )
    return frame.sort_values(["channel", "experiment", "array", "time"]).reset_index(drop=True)


def _lines(table: pd.DataFrame) -> dict[tuple[str, str], style.Line]:
    """Return the styles by experiment and array.

    The main experiment's background comes first, so that its analysis lies on top.
    """
    main = table.loc[table["main"], "experiment"].iloc[0]
    lines = {
        (main, "background"): style.Line(f"{main}: background", style.SYSTEMS["background"].color),
        (main, "analysis"): style.Line(f"{main}: analysis", style.SYSTEMS["fuxiflow"].color),
    }
    for rank, name in enumerate(sorted(set(table["experiment"]) - {main}), 1):
        other = style.experiment_line(name, main, rank)
        lines[name, "analysis"] = style.Line(f"{name.replace('_', ' ')}: analysis", other.color)
    if "climatology" in set(table["array"]):
        lines[main, "climatology"] = style.SYSTEMS["climatology"]
    return lines


def _spans(times: pd.Series, marked: pd.Series) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Return first and last moment of each run of marked times, widened by half a step."""
    half = times.diff().median() / 2 if len(times) > 1 else pd.Timedelta(hours=3)
    run = (marked != marked.shift()).cumsum()[marked]
    return [(part.min() - half, part.max() + half) for _, part in times[marked].groupby(run)]


def _shade(ax, rows: pd.DataFrame, legend: bool) -> None:
    """Mark spin-up and outages behind the curves.

    Parameters
    ----------
    ax : Axes
        Panel to mark.
    rows : pd.DataFrame
        Rows of one channel and array.
    legend : bool
        Give the marks a label.
    """
    rows = rows.sort_values("time").reset_index(drop=True)
    for column, color, label in (
        ("spin_up", "0.93", "spin-up"),
        ("outage", "#F3D9B1", "observation outage"),
    ):
        for number, (first, last) in enumerate(_spans(rows["time"], rows[column])):
            ax.axvspan(
                first,
                last,
                color=color,
                linewidth=0,
                zorder=0,
                label=label if legend and not number else None,
            )


def _outages(windows: pd.DataFrame) -> str:
    """Say which sources were out in how many windows, for a title; nothing without an outage."""
    counts = windows["sources_out"].fillna("").str.split().explode().value_counts(sort=False)
    if counts.empty:
        return ""
    return "; out: " + ", ".join(f"{name} in {counts[name]}" for name in sorted(counts.index))


def draw(table: pd.DataFrame) -> Figure:
    """Draw a panel for each channel, and below the observation counts of the main experiment."""
    channels = [name for name in CHANNELS if name in set(table["channel"])]
    reference = style.reference_name(table["reference"].iloc[0])
    main = table[table["main"] & (table["array"] == "analysis")]
    figure = style.new_figure(9.0, 1.75 * len(channels) + 1.7)
    axes = figure.subplots(
        len(channels) + 1, 1, sharex=True, height_ratios=[1] * len(channels) + [0.55]
    )
    for number, (ax, channel) in enumerate(zip(axes, channels, strict=False)):
        rows = table[table["channel"] == channel]
        _shade(ax, main[main["channel"] == channel], legend=number == 0)
        for (experiment, array), line in _lines(table).items():
            part = rows[(rows["experiment"] == experiment) & (rows["array"] == array)].sort_values(
                "time"
            )
            ax.plot(
                part["time"],
                part["rmse"],
                color=line.color,
                linestyle=line.style,
                label=line.label,
                linewidth=1.2,
            )
        ax.set_ylim(bottom=0)
        ax.set_ylabel(f"RMSE ({rows['unit'].iloc[0]})")
        ax.set_title(f"{channel} against {reference}", loc="left")
        ax.grid(True)
    rows = main[main["channel"] == channels[0]].sort_values("time")
    step = rows["time"].diff().median() if len(rows) > 1 else pd.Timedelta(hours=6)
    _shade(axes[-1], rows, legend=False)
    axes[-1].bar(rows["time"], rows["observations"], width=0.9 * step, color="0.45")
    axes[-1].set_ylabel("count")
    axes[-1].set_title(f"observed values in the assimilation window{_outages(rows)}", loc="left")
    axes[-1].set_xlim(table["time"].min() - step / 2, table["time"].max() + step / 2)
    locator = mdates.AutoDateLocator(minticks=4, maxticks=9)
    axes[-1].xaxis.set_major_locator(locator)
    axes[-1].xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    figure.align_ylabels(axes)
    style.letter_panels(np.atleast_1d(axes))
    handles, labels = axes[0].get_legend_handles_labels()
    columns = len(labels) if len(labels) < 6 else -(-len(labels) // 2)
    figure.legend(handles, labels, loc="outside upper center", ncols=columns)
    return figure
