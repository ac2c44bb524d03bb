"""``seeds``: how much of each score is the seed that networks were trained with."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fuxiflow.figures import skill_vs_lead, style
from fuxiflow.storage import tables

COLUMNS = [
    *("experiment", "reference", "channel", "unit", "lead_time"),
    *("seeds", "mean", "std", "lowest", "highest"),
]


def table(path: Path, reference: str) -> pd.DataFrame:
    """Gather the RMSE of forecasts over the globe, over the seeds of each experiment.

    Parameters
    ----------
    path : Path
        Spread of rule ``verification_seeds``.
    reference : str
        Reference of the scores.

    Returns
    -------
    pd.DataFrame
        One row for each experiment, channel and lead time, in the channel's unit.

    Raises
    ------
    ValueError
        No forecast is of several seeds.
    """
    names = [name for row in skill_vs_lead.PANELS for name in row]
    frame = tables.read_parquet(path)
    frame = frame[
        (frame["system"] == "fuxiflow")
        & (frame["metric"] == "rmse")
        & (frame["region"] == "global")
        & (frame["reference"] == reference)
        & frame["channel"].isin(names)
        & (frame["lead_time"] > 0)
    ]
    if frame.empty:
        raise style.missing_rows(
            f"no forecasts of several seeds against {reference}", path, "see seeds_forecast"
        )
    frame = frame.assign(unit=[style.channel_unit(name) for name in frame["channel"]])
    return frame.sort_values(["channel", "experiment", "lead_time"])[COLUMNS].reset_index(drop=True)


def draw(table: pd.DataFrame) -> Figure:
    """Draw the mean RMSE by lead time, with a band from the lowest to the highest seed."""
    experiments = sorted(set(table["experiment"]))
    colors = dict(zip(experiments, np.resize(style.OKABE_ITO, len(experiments)), strict=True))
    figure = style.new_figure(11.5, 8.0)
    panels = figure.subplots(len(skill_vs_lead.PANELS), len(style.VARIABLES), sharex=True)
    drawn = []
    for ax, channel in zip(panels.flat, np.ravel(skill_vs_lead.PANELS), strict=True):
        rows = table[table["channel"] == channel]
        if rows.empty:
            ax.set_visible(False)
            continue
        for name, color in colors.items():
            part = rows[rows["experiment"] == name]
            if part.empty:
                continue
            days = part["lead_time"] / 24
            label = f"{name.replace('_', ' ')}: {part['seeds'].max()} seeds"
            ax.plot(days, part["mean"], color=color, label=label)
            ax.fill_between(
                days, part["lowest"], part["highest"], color=color, alpha=0.25, linewidth=0
            )
        largest = (rows["std"] / rows["mean"]).max()
        ax.set_title(f"{channel} ({rows['unit'].iloc[0]}), std ≤ {100 * largest:.1f} %", loc="left")
        ax.set_ylim(0, style.limits_of_curves(rows["highest"])[1])
        ax.grid(True)
        drawn.append(ax)
    style.letter_panels(drawn)
    reference = style.reference_name(table["reference"].iloc[0])
    figure.supylabel(f"RMSE against {reference}", fontsize=10)
    figure.supxlabel("lead time (days)", fontsize=9)
    handles = style.collect_legend(drawn)
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper center", ncols=min(len(handles), 6)
    )
    return figure
