"""``cutoff``: skill of experiments whose data end earlier, by lead and since the last datum."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from fuxiflow.figures import scores, style

SHOWN = ("Z500", "T850", "U500", "MSL")
DRAWN_HOURS = 72
"""Lead times beyond are in the table alone: a few hours of data are little beside them."""
AXES = {"lead_time": "lead time (h)", "hours_since_last_datum": "hours since the last datum"}
COLUMNS = [
    "experiment",
    "data_end",
    "channel",
    "unit",
    "reference",
    "lead_time",
    "hours_since_last_datum",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "versus",
    "versus_low",
    "versus_high",
]


def table(path: Path, data_end: Mapping[str, int], reference: str) -> pd.DataFrame:
    """Gather the RMSE of analyses and forecasts of experiments on the globe.

    Parameters
    ----------
    path : Path
        Score table.
    data_end : mapping of str to int
        Of each experiment the hour from the analysis time at which its last window ends. The first
        is compared with.
    reference : str
        Reference of the score table.

    Returns
    -------
    pd.DataFrame
        One row for each experiment, channel of :data:`SHOWN` and lead time, 0 for the analysis.
        ``hours_since_last_datum`` is the lead time less ``data_end``. ``versus`` is the normalised
        difference to the first experiment with its paired interval, missing where it was not made;
        0 for itself.

    Raises
    ------
    ValueError
        The score table lacks the experiments.
    """
    first, *others = data_end
    where = {
        "system": "fuxiflow",
        "reference": reference,
        "region": "global",
        "channel": list(SHOWN),
    }
    values = scores.read_score_rows(path, [*data_end], metric="rmse", **where)
    paired = scores.read_score_rows(path, others, metric=f"rmse_vs_{first}", **where)
    keys = ["experiment", "channel", "lead_time"]
    renamed = {"value": "versus", "ci_low": "versus_low", "ci_high": "versus_high"}
    paired = paired.rename(columns=renamed)[[*keys, *renamed.values()]]
    frame = values.merge(paired, on=keys, how="left")
    frame.loc[frame["experiment"] == first, [*renamed.values()]] = 0.0
    frame["data_end"] = frame["experiment"].map(data_end)
    frame["hours_since_last_datum"] = frame["lead_time"] - frame["data_end"]
    frame["unit"] = [style.channel_unit(name) for name in frame["channel"]]
    order = {name: number for number, name in enumerate([*data_end, *SHOWN])}
    frame = frame.sort_values(
        keys, key=lambda column: column.map(order) if column.name != "lead_time" else column
    )
    return frame[COLUMNS].reset_index(drop=True)


def draw(table: pd.DataFrame) -> Figure:
    """Draw the RMSE of each channel, above against lead time, below since the last datum.

    Bands are 95 % intervals.
    """
    figure = style.new_figure(11.0, 5.4)
    axes = figure.subplots(len(AXES), len(SHOWN), squeeze=False)
    drawn = table[table["lead_time"] <= DRAWN_HOURS]
    for row, (key, label) in zip(axes, AXES.items(), strict=True):
        for ax, channel in zip(row, SHOWN, strict=True):
            rows = drawn[drawn["channel"] == channel]
            for number, (_, part) in enumerate(rows.groupby("experiment", sort=False)):
                color = style.OKABE_ITO[number % len(style.OKABE_ITO)]
                end = part["data_end"].iloc[0]
                name = f"data to {end:+d} h".replace("-", "−")
                ax.plot(part[key], part["value"], ".-", color=color, label=name, markersize=4)
                ax.fill_between(
                    part[key], part["ci_low"], part["ci_high"], color=color, alpha=0.12, linewidth=0
                )
            ax.set_title(f"{channel} ({rows['unit'].iloc[0]})", loc="left")
            ax.set_xlabel(label)
            ax.set_ylim(bottom=0)
            ax.grid(True)
        row[0].set_ylabel(f"RMSE against {style.reference_name(table['reference'].iloc[0])}")
    style.letter_panels(axes.ravel())
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure
