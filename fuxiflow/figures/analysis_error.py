"""``analysis_error``: profiles of the RMSE of analyses and of their background, against each reference."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from fuxiflow.figures import scores, style

METRICS = {"rmse": "analysis", "background_rmse": "background"}
TICKS = (50, 100, 200, 300, 500, 700, 850, 1000)


def lines(
    path: Path,
    experiments: Sequence[str],
    metrics: Sequence[str],
    references: Sequence[str],
    baselines: Path | None = None,
) -> pd.DataFrame:
    """Scores of analyses on the globe: one row for each line, reference, metric and channel.

    ``experiments`` are those that assimilate something, the main one first. Column ``line`` is what is drawn:
    ``fuxiflow`` (the main experiment's analysis), ``background``, ``gfs``, ``era5`` (against the truth), or the name of
    another experiment. ERA5's own error is in the table of the ``baselines``, where there is one.
    """
    chosen = {
        "metric": list(metrics),
        "reference": list(references),
        "region": "global",
        "lead_time": 0,
    }
    frame = scores.read_scores_of(path, experiments, system=["fuxiflow", "gfs"], **chosen)
    if baselines is not None and "truth" in references:
        frame = pd.concat(
            [frame, scores.read_scores_of(baselines, experiments, system="era5", **chosen)]
        )
    background = frame["metric"] == "background_rmse"
    frame = frame[~background | (frame["experiment"] == experiments[0])]
    line = frame["system"].where(frame["system"] != "fuxiflow", frame["experiment"])
    line = line.mask(line == experiments[0], "fuxiflow").mask(
        frame["metric"] == "background_rmse", "background"
    )
    return frame.assign(line=line, unit=[style.unit(name) for name in frame["channel"]])


def table(
    path: Path, experiments: Sequence[str], references: Sequence[str], baselines: Path | None = None
) -> pd.DataFrame:
    """:func:`lines` of RMSE by pressure level: one row for each line, reference, variable and level."""
    frame = lines(path, experiments, list(METRICS), references, baselines)
    frame = scores.with_levels(frame).dropna(subset=["level"])
    columns = [
        "reference",
        "line",
        "experiment",
        "channel",
        "variable",
        "level",
        "unit",
        "value",
        "ci_low",
        "ci_high",
        "n",
    ]
    return frame.sort_values(["reference", "line", "variable", "level"])[columns].reset_index(
        drop=True
    )


def styles(table: pd.DataFrame) -> dict[str, style.Line]:
    """Styles of the lines of a table, in the order of the legend."""
    found = set(table["line"])
    known = {
        "fuxiflow": style.Line("fuxiflow analysis", style.SYSTEMS["fuxiflow"].color),
        "background": style.SYSTEMS["background"],
        "gfs": style.Line("GFS analysis", style.SYSTEMS["gfs"].color),
        "era5": style.Line("ERA5", style.SYSTEMS["era5"].color, "-."),
    }
    others = sorted(found - set(known))
    return {
        **{name: line for name, line in known.items() if name in found},
        **{name: style.experiment_line(name, "fuxiflow", i) for i, name in enumerate(others, 1)},
    }


def draw(table: pd.DataFrame) -> Figure:
    """A row of profiles for each reference, a column for each variable; bands are 95 % intervals."""
    return profiles(table, styles(table))


def profiles(table: pd.DataFrame, lines: Mapping[str, style.Line]) -> Figure:
    """Profiles of the ``lines`` of a table that has the columns ``reference``, ``line``, ``variable``, ``level``,
    ``value``, ``ci_low``, ``ci_high`` and ``unit``: a row for each reference, a column for each variable."""
    references = list(dict.fromkeys(table["reference"]))
    variables = [name for name in style.VARIABLES if name in set(table["variable"])]
    figure = style.new_figure(2.2 * len(variables) + 0.6, 3.1 * len(references) + 0.5)
    panels = figure.subplots(
        len(references), len(variables), sharey=True, sharex="col", squeeze=False
    )
    for row, reference in enumerate(references):
        for ax, variable in zip(panels[row], variables, strict=True):
            rows = table[
                (table["reference"] == reference) & (table["variable"] == variable)
            ].sort_values("level")
            for name, line in lines.items():
                part = rows[rows["line"] == name]
                ax.plot(
                    part["value"],
                    part["level"],
                    color=line.color,
                    linestyle=line.style,
                    marker="o",
                    markersize=2.5,
                    label=line.label,
                )
                ax.fill_betweenx(
                    part["level"],
                    part["ci_low"],
                    part["ci_high"],
                    color=line.color,
                    alpha=0.15,
                    linewidth=0,
                )
            ax.set_title(style.VARIABLES[variable], loc="left")
            ax.grid(True)
            if row == len(references) - 1 and not rows.empty:
                ax.set_xlabel(f"RMSE ({rows['unit'].iloc[0]})")
        panels[row, 0].set_ylabel(f"against {style.reference_name(reference)}\npressure (hPa)")
    for ax in panels[-1]:  # once all is drawn: a limit that is set ends the search for the other
        ax.set_xlim(left=0)
    first = panels[0, 0]
    first.set_yscale("log")
    first.yaxis.set_minor_locator(NullLocator())
    first.yaxis.set_minor_formatter(NullFormatter())
    first.set_yticks(TICKS, [str(tick) for tick in TICKS])
    first.set_ylim(1060, 46)
    style.letters(panels.flat)
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper center", ncols=len(lines))
    return figure
