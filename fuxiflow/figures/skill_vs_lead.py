"""``skill_vs_lead``: RMSE and anomaly correlation against lead time, aloft and at the surface."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fuxiflow.figures import scores, style
from fuxiflow.storage.checksums import DamagedError
from fuxiflow.verification.score_table import REFERENCES

LEVELS = (300, 500, 850)
METRICS = {"rmse": "RMSE", "acc": "anomaly correlation"}
SKILFUL = 0.6  # ACC of a forecast that is still of use (REFERENCE: skilful lead time)
MARKS = {"better": style.SYSTEMS["fuxiflow"].color, "worse": "white"}
PANELS = [[f"{variable}{level}" for variable in style.VARIABLES] for level in LEVELS] + [
    list(style.SURFACE)
]


def table(
    path: Path,
    experiment: str,
    reference: str,
    region: str = "global",
    false_discovery_rate: float = 0.05,
) -> pd.DataFrame:
    """Gather the scores of every system by lead time over a region.

    Parameters
    ----------
    path : Path
        Score table.
    experiment : str
        Experiment that is drawn as fuxiflow.
    reference : str
        Reference of the score table.
    region : str
        Region of the score table.
    false_discovery_rate : float
        Largest share of the marks that may be there by chance.

    Returns
    -------
    pd.DataFrame
        System, reference, region, metric, channel, unit, lead_time, value, interval, n. Column
        ``significance``, of rows of fuxiflow, is ``better`` or ``worse`` than GFS where the
        paired difference is significant among all of the figure, else empty.
    """
    names = [name for row in PANELS for name in row]
    frame = scores.read_score_rows(
        path,
        [experiment],
        metric=list(METRICS),
        reference=reference,
        region=region,
        channel=names,
    )
    frame = frame[~frame["system"].isin(REFERENCES)]
    versus = [scores.VERSUS_GFS.format(metric=metric) for metric in METRICS]
    try:
        paired = scores.read_score_rows(
            path, [experiment], metric=versus, reference=reference, region=region, channel=names
        )
    except DamagedError:
        raise
    except ValueError:  # no GFS among the baselines: nothing to compare with
        paired = frame.iloc[:0]
    paired = scores.with_significance(paired, false_discovery_rate)
    paired = paired[paired["significant"]]
    marks = {
        (row.metric.removesuffix("_vs_gfs"), row.channel, row.lead_time): "better"
        if (row.value < 0) == row.metric.startswith("rmse")
        else "worse"
        for row in paired.itertuples()
    }
    keys = zip(frame["metric"], frame["channel"], frame["lead_time"], frame["system"], strict=True)
    mark = [marks.get(key[:3], "") if key[3] == "fuxiflow" else "" for key in keys]
    unit = [
        style.channel_unit(c) if m == "rmse" else "1"
        for c, m in zip(frame["channel"], frame["metric"], strict=True)
    ]
    frame = frame.assign(significance=mark, unit=unit).sort_values(
        ["metric", "channel", "system", "lead_time"]
    )
    return frame[
        [
            "system",
            "reference",
            "region",
            "metric",
            "channel",
            "unit",
            "lead_time",
            "value",
            "ci_low",
            "ci_high",
            "n",
            "significance",
        ]
    ].reset_index(drop=True)


def _panel(ax, rows: pd.DataFrame, metric: str, lines: dict[str, style.Line]) -> None:
    """Draw the curves of one channel and metric.

    Parameters
    ----------
    ax : Axes
        Panel to draw on.
    rows : pd.DataFrame
        Rows of one channel and metric.
    metric : str
        Metric, of :data:`METRICS`.
    lines : dict of str to Line
        Line of each system.
    """
    for name, line in lines.items():
        part = rows[rows["system"] == name].sort_values("lead_time")
        if part.empty:
            continue
        days = part["lead_time"] / 24
        ax.plot(days, part["value"], color=line.color, linestyle=line.style, label=line.label)
        ax.fill_between(
            days, part["ci_low"], part["ci_high"], color=line.color, alpha=0.15, linewidth=0
        )
        for mark, face in MARKS.items():
            marked = part["significance"] == mark
            if marked.any():
                ax.plot(
                    days[marked],
                    part["value"][marked],
                    "o",
                    color=line.color,
                    markerfacecolor=face,
                    markersize=2.6,
                    markeredgewidth=0.7,
                    label=f"significantly {mark} than GFS",
                )
    ax.grid(True)
    low, high = style.limits_of_curves(rows["value"])
    ax.set_ylim((min(low, 0.5), 1.02) if metric == "acc" else (0, high))
    if metric == "acc":
        ax.axhline(
            SKILFUL,
            color="0.3",
            linewidth=0.7,
            linestyle="--",
            label=f"ACC {SKILFUL}: still of use",
        )


def draw(table: pd.DataFrame) -> Figure:
    """Draw two blocks of panels, RMSE above and ACC below.

    Each has a column for each variable and a row for each level.
    """
    table = table.assign(significance=table["significance"].fillna(""))
    last = float(table["lead_time"].max()) / 24
    lines = style.system_lines(table["system"])
    step = 2 if last > 5 else 1
    region = table["region"].iloc[0]
    place = "" if region == "global" else f" in {style.region_name(region)}"
    figure = style.new_figure(11.5, 15.0)
    blocks = figure.subfigures(len(METRICS), 1)
    axes = []
    for block, (metric, name) in zip(np.atleast_1d(blocks), METRICS.items(), strict=True):
        panels = block.subplots(len(PANELS), len(style.VARIABLES), sharex=True)
        against = style.reference_name(table["reference"].iloc[0])
        block.supylabel(f"{name}{place} against {against}", fontsize=10)
        block.supxlabel("lead time (days)", fontsize=9)
        for ax, channel in zip(panels.flat, (c for row in PANELS for c in row), strict=True):
            rows = table[(table["channel"] == channel) & (table["metric"] == metric)]
            if rows.empty:
                ax.set_visible(False)
                continue
            _panel(ax, rows, metric, lines)
            ax.set_title(
                f"{channel} ({rows['unit'].iloc[0]})" if metric == "rmse" else channel, loc="left"
            )
            ax.set_xlim(0, last)
            ax.set_xticks(np.arange(0, last + 0.01, step))
            axes.append(ax)
    style.letter_panels(axes)
    handles = style.collect_legend(axes)
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles), fontsize=9
    )
    return figure
