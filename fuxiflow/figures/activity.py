"""``activity``: how much forecasts vary against lead time, relative to a reference or a system."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fuxiflow.figures import scores, skill_vs_lead, style
from fuxiflow.verification.score_table import REFERENCES

STILL = "climatology"
"""System without anomalies, whose activity is 0."""
KEYS = ["channel", "lead_time"]
COLUMNS = [
    "system",
    "reference",
    "relative_to",
    "channel",
    "lead_time",
    "ratio",
    "ci_low",
    "ci_high",
    "n",
]


def table(
    path: Path, experiment: str, reference: str, relative_to: str | None = None
) -> pd.DataFrame:
    """Gather the activity of every system by lead time over the globe, as a ratio.

    Parameters
    ----------
    path : Path
        Score table.
    experiment : str
        Experiment that is drawn as fuxiflow.
    reference : str
        Reference of the score table.
    relative_to : str, optional
        System whose activity at the same lead time is divided by, by default the reference's at
        the same valid times.

    Returns
    -------
    pd.DataFrame
        One row for each system, channel and lead time: ``ratio`` with its interval. The score
        table holds no paired samples of two systems' activity, so the interval of a ratio to a
        system is NaN.

    Raises
    ------
    ValueError
        The score table lacks the activity of forecasts, or of ``relative_to``.
    """
    frame = scores.read_score_rows(
        path,
        [experiment],
        metric="activity" if relative_to else "activity_ratio",
        reference=reference,
        region="global",
        channel=[name for row in skill_vs_lead.PANELS for name in row],
    )
    frame = frame[(frame["lead_time"] > 0) & ~frame["system"].isin([*REFERENCES, STILL])]
    frame = frame.rename(columns={"value": "ratio"}).assign(relative_to=relative_to or reference)
    if relative_to:
        other = frame[frame["system"] == relative_to]
        if other.empty:
            raise style.missing_rows(
                f"no activity of {relative_to} against {reference}",
                path,
                "see figures.activity_relative_to in the configuration",
            )
        divisors = other[[*KEYS, "ratio"]].rename(columns={"ratio": "divisor"})
        frame = frame.merge(divisors, on=KEYS)
        frame = frame.assign(ratio=frame["ratio"] / frame["divisor"], ci_low=np.nan, ci_high=np.nan)
    return frame.sort_values(["channel", "system", "lead_time"])[COLUMNS].reset_index(drop=True)


def draw(table: pd.DataFrame) -> Figure:
    """Draw a panel for each channel, a column for each variable and a row for each level."""
    lines = style.system_lines(table["system"])
    last = float(table["lead_time"].max()) / 24
    figure = style.new_figure(11.5, 8.0)
    panels = figure.subplots(len(skill_vs_lead.PANELS), len(style.VARIABLES), sharex=True)
    drawn = []
    for ax, channel in zip(panels.flat, np.ravel(skill_vs_lead.PANELS), strict=True):
        rows = table[table["channel"] == channel]
        if rows.empty:
            ax.set_visible(False)
            continue
        for name, line in lines.items():
            part = rows[rows["system"] == name]
            if part.empty:
                continue
            days = part["lead_time"] / 24
            ax.plot(days, part["ratio"], color=line.color, linestyle=line.style, label=line.label)
            ax.fill_between(
                days, part["ci_low"], part["ci_high"], color=line.color, alpha=0.15, linewidth=0
            )
        ax.axhline(1, color="0.3", linewidth=0.7, linestyle="--", label="as active")
        ax.grid(True)
        ax.set_title(channel, loc="left")
        ax.set_ylim(style.limits_of_curves([*rows["ratio"], 0.9, 1.1]))
        ax.set_xlim(0, last)
        ax.set_xticks(np.arange(0, last + 0.01, 2 if last > 5 else 1))
        drawn.append(ax)
    style.letter_panels(drawn)
    handles = style.collect_legend(drawn)
    name = table["relative_to"].iloc[0]
    other = style.SYSTEMS[name].label if name in style.SYSTEMS else style.reference_name(name)
    figure.supylabel(f"activity relative to {other}", fontsize=10)
    figure.supxlabel("lead time (days)", fontsize=9)
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles), fontsize=9
    )
    return figure
