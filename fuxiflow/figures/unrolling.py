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
    """RMSE of the analyses of experiments on the globe, one row for each and each channel of :data:`SHOWN`.

    ``labels`` says by experiment how it was trained, the first being what ``versus``, the normalised difference with
    its paired interval, compares with (0 for itself). ValueError where the score table lacks them.
    """
    first, *others = labels
    where = {
        "system": "fuxiflow",
        "reference": reference,
        "region": "global",
        "lead_time": 0,
        "channel": list(SHOWN),
    }
    values = scores.read_scores_of(path, list(labels), metric="rmse", **where)
    paired = scores.read_scores_of(path, others, metric=f"rmse_vs_{first}", **where)
    keys = ["experiment", "channel"]
    paired = paired.rename(columns={"value": "versus"})[[*keys, "versus", "ci_low", "ci_high"]]
    frame = values.drop(columns=["ci_low", "ci_high"]).merge(paired, on=keys, how="left")
    frame = frame.fillna({"versus": 0.0, "ci_low": 0.0, "ci_high": 0.0})
    frame = frame.assign(
        label=frame["experiment"].map(labels), unit=[style.unit(name) for name in frame["channel"]]
    )
    order = {name: number for number, name in enumerate([*labels, *SHOWN])}
    return frame.sort_values(keys, key=lambda column: column.map(order))[COLUMNS].reset_index(
        drop=True
    )


def draw(table: pd.DataFrame) -> Figure:
    """A panel for each channel: the difference to the first experiment in per cent, with its paired interval."""
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
    style.letters(axes)
    return figure
