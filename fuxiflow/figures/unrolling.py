"""``unrolling``: what unrolled cycles in joint training add to the networks' own cycle."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from fuxiflow.figures import scores, style

SHOWN = ("Z500", "T500", "T850", "U500", "R500", "MSL")
COLUMNS = [
    "label",
    "experiment",
    "channel",
    "unit",
    "reference",
    "value",
    "n",
    "versus",
    "ci_low",
    "ci_high",
]


def table(path: Path, labels: Mapping[str, str], reference: str) -> pd.DataFrame:
    """Gather the RMSE of the analyses of experiments on the globe.

    Parameters
    ----------
    path : Path
        Score table.
    labels : mapping of str to str
        How each experiment was trained; the first is compared with.
    reference : str
        Reference of the score table.

    Returns
    -------
    pd.DataFrame
        One row for each experiment and each channel of :data:`SHOWN`. ``versus`` is the normalised
        difference to the first experiment, with its paired interval; 0 for itself.

    Raises
    ------
    ValueError
        The score table lacks the experiments.
    """
    first, *others = labels
    where = {
        "system": "fuxiflow",
        "reference": reference,
        "region": "global",
        "lead_time": 0,
        "channel": list(SHOWN),
    }
    values = scores.read_score_rows(path, list(labels), metric="rmse", **where)
    paired = scores.read_score_rows(path, others, metric=f"rmse_vs_{first}", **where)
    keys = ["experiment", "channel"]
    paired = paired.rename(columns={"value": "versus"})[[*keys, "versus", "ci_low", "ci_high"]]
    frame = values.drop(columns=["ci_low", "ci_high"]).merge(paired, on=keys, how="left")
    frame = frame.fillna({"versus": 0.0, "ci_low": 0.0, "ci_high": 0.0})
    frame = frame.assign(
        label=frame["experiment"].map(labels),
        unit=[style.channel_unit(name) for name in frame["channel"]],
    )
    order = {name: number for number, name in enumerate([*labels, *SHOWN])}
    frame = frame.sort_values(keys, key=lambda column: column.map(order))
    return frame[COLUMNS].reset_index(drop=True)


def draw(table: pd.DataFrame) -> Figure:
    """Draw for each channel the difference to the first experiment in per cent.

    Bars are the paired 95 % intervals.
    """
    figure = style.new_figure(7.0, 4.2)
    axes = figure.subplots(2, 3, sharex=True).ravel()
    for ax, channel in zip(axes, SHOWN, strict=True):
        rows = table[table["channel"] == channel].reset_index(drop=True)
        first = rows.iloc[0]
        reach = [100 * (rows["versus"] - rows["ci_low"]), 100 * (rows["ci_high"] - rows["versus"])]
        ax.axhline(0, color="0.6", linewidth=0.8)
        ax.errorbar(
            rows.index,
            100 * rows["versus"],
            reach,
            fmt="o-",
            color=style.SYSTEMS["fuxiflow"].color,
            capsize=3,
            markersize=4,
        )
        ax.set_title(
            f"{channel}: {first['value']:.4g} {first['unit']} {first['label']}", loc="left"
        )
        ax.set_xticks(rows.index, rows["label"])
        ax.margins(x=0.15)
        ax.grid(True, axis="y")
    for ax in axes[::3]:
        ax.set_ylabel("RMSE difference (%)")
    for ax in axes[3:]:
        ax.set_xlabel("joint training")
    style.letter_panels(axes)
    return figure
