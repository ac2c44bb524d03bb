"""``surface_error``: RMSE and bias of analyses near the ground, beside those of others."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fuxiflow.figures import style
from fuxiflow.figures.analysis_error import analysis_rows, line_styles

SHOWN = ("T2M", "T925", "U10", "V10", "MSL")
METRICS = {"rmse": "RMSE", "bias": "bias"}
COLUMNS = [
    "reference",
    "line",
    "experiment",
    "channel",
    "metric",
    "unit",
    "value",
    "ci_low",
    "ci_high",
    "n",
]


def table(
    path: Path, experiments: Sequence[str], reference: str, baselines: Path | None = None
) -> pd.DataFrame:
    """Gather :data:`METRICS` of the channels :data:`SHOWN` against one reference.

    Parameters
    ----------
    path : Path
        Score table.
    experiments : sequence of str
        Experiments that assimilate something, the main one first.
    reference : str
        Reference of the score table.
    baselines : Path, optional
        Score table of the baselines, see :func:`fuxiflow.figures.analysis_error.analysis_rows`.

    Returns
    -------
    pd.DataFrame
        One row for each line, metric and channel.
    """
    frame = analysis_rows(path, experiments, list(METRICS), [reference], baselines)
    frame = frame[frame["channel"].isin(SHOWN)]
    order = {name: number for number, name in enumerate(SHOWN)}
    frame = frame.sort_values(
        ["line", "metric", "channel"], key=lambda column: column.map(order).fillna(column)
    )
    return frame[COLUMNS].reset_index(drop=True)


def draw(table: pd.DataFrame) -> Figure:
    """Draw RMSE above and bias below, a column for each channel, a dot for each analysis.

    Bars are 95 % intervals.
    """
    lines = line_styles(table)
    height_of = {name: -number for number, name in enumerate(lines)}
    figure = style.new_figure(2.0 * len(SHOWN) + 1.0, 0.6 * len(lines) + 1.8)
    panels = figure.subplots(len(METRICS), len(SHOWN), sharey=True, squeeze=False)
    for row, (metric, label) in zip(panels, METRICS.items(), strict=True):
        for ax, channel in zip(row, SHOWN, strict=True):
            rows = table[(table["channel"] == channel) & (table["metric"] == metric)]
            for name, value, low, high in rows[["line", "value", "ci_low", "ci_high"]].itertuples(
                index=False
            ):
                ax.errorbar(
                    value,
                    height_of[name],
                    xerr=[[value - low], [high - value]],
                    fmt="o",
                    markersize=4,
                    capsize=2,
                    color=lines[name].color,
                )
            ax.axvline(0, color="0.6", linewidth=0.8)
            ax.set_title(channel, loc="left")
            ax.grid(True, axis="x")
            ax.margins(x=0.12)
            ax.xaxis.set_major_locator(MaxNLocator(4))
            if not rows.empty:
                ax.set_xlabel(f"{label} ({rows['unit'].iloc[0]})")
        row[0].set_yticks(list(height_of.values()), [line.label for line in lines.values()])
        row[0].set_ylim(0.6 - len(lines), 0.6)
    style.letter_panels(panels.flat)
    return figure
