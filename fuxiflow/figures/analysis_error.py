"""``analysis_error``: profiles of the RMSE of analyses and backgrounds against each reference."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from fuxiflow.figures import scores, style

METRICS = {"rmse": "analysis", "background_rmse": "background"}
COLUMNS = [
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


def analysis_rows(
    path: Path,
    experiments: Sequence[str],
    metrics: Sequence[str],
    references: Sequence[str],
    baselines: Path | None = None,
) -> pd.DataFrame:
    """Read the scores of analyses on the globe.

    Parameters
    ----------
    path : Path
        Score table.
    experiments : sequence of str
        Experiments that assimilate something, the main one first.
    metrics : sequence of str
        Metrics of the score table.
    references : sequence of str
        References of the score table.
    baselines : Path, optional
        Score table of the baselines, which has ERA5's own error against the truth.

    Returns
    -------
    pd.DataFrame
        One row for each line, reference, metric and channel. Column ``line`` is what is drawn:
        ``fuxiflow`` (the main experiment's analysis), ``background``, ``gfs``, ``era5`` (against
        the truth), or the name of another experiment.
    """
    where = {
        "metric": list(metrics),
        "reference": list(references),
        "region": "global",
        "lead_time": 0,
    }
    frame = scores.read_score_rows(path, experiments, system=["fuxiflow", "gfs"], **where)
    if baselines is not None and "truth" in references:
        own_error = scores.read_score_rows(baselines, experiments, system="era5", **where)
        frame = pd.concat([frame, own_error])
    background = frame["metric"] == "background_rmse"
    frame = frame[~background | (frame["experiment"] == experiments[0])]
    line = frame["system"].where(frame["system"] != "fuxiflow", frame["experiment"])
    line = line.mask(line == experiments[0], "fuxiflow").mask(
        frame["metric"] == "background_rmse", "background"
    )
    units = [style.channel_unit(name) for name in frame["channel"]]
    return frame.assign(line=line, unit=units)


def table(
    path: Path, experiments: Sequence[str], references: Sequence[str], baselines: Path | None = None
) -> pd.DataFrame:
    """Gather the RMSE of analyses by pressure level.

    Parameters
    ----------
    path : Path
        Score table.
    experiments : sequence of str
        Experiments that assimilate something, the main one first.
    references : sequence of str
        References of the score table.
    baselines : Path, optional
        Score table of the baselines, see :func:`analysis_rows`.

    Returns
    -------
    pd.DataFrame
        One row for each line, reference, variable and level.
    """
    frame = analysis_rows(path, experiments, list(METRICS), references, baselines)
    frame = scores.with_levels(frame).dropna(subset=["level"])
    frame = frame.sort_values(["reference", "line", "variable", "level"])
    return frame[COLUMNS].reset_index(drop=True)


def line_styles(table: pd.DataFrame) -> dict[str, style.Line]:
    """Return the styles of the lines of a table, in the order of the legend."""
    present = set(table["line"])
    systems = {
        "fuxiflow": style.Line("fuxiflow analysis", style.SYSTEMS["fuxiflow"].color),
        "background": style.SYSTEMS["background"],
        "gfs": style.Line("GFS analysis", style.SYSTEMS["gfs"].color),
        "era5": style.Line("ERA5", style.SYSTEMS["era5"].color, "-."),
    }
    experiments = sorted(present - set(systems))
    return {
        **{name: line for name, line in systems.items() if name in present},
        **{
            name: style.experiment_line(name, "fuxiflow", i)
            for i, name in enumerate(experiments, 1)
        },
    }


def draw(table: pd.DataFrame) -> Figure:
    """Draw a row of profiles for each reference, a column for each variable.

    Bands are 95 % intervals.
    """
    return draw_profiles(table, line_styles(table))


def draw_profiles(table: pd.DataFrame, lines: Mapping[str, style.Line]) -> Figure:
    """Draw profiles of an error, a row for each reference and a column for each variable.

    ``table`` has the columns ``reference``, ``line``, ``variable``, ``level``, ``value``,
    ``ci_low``, ``ci_high`` and ``unit``; ``lines`` are those of its column ``line``.
    """
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
                _draw_profile(ax, rows[rows["line"] == name], line)
            ax.set_title(style.VARIABLES[variable], loc="left")
            ax.grid(True)
            if row == len(references) - 1 and not rows.empty:
                ax.set_xlabel(f"RMSE ({rows['unit'].iloc[0]})")
        panels[row, 0].set_ylabel(f"against {style.reference_name(reference)}\npressure (hPa)")
    for ax, variable in zip(panels[-1], variables, strict=True):
        values = table.loc[table["variable"] == variable, "value"]
        ax.set_xlim(0, style.limits_of_curves([*values, 0.0])[1])
    first = panels[0, 0]
    style.set_pressure_axis(first)
    style.letter_panels(panels.flat)
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper center", ncols=len(lines))
    return figure


def _draw_profile(ax, rows: pd.DataFrame, line: style.Line) -> None:
    """Draw a profile with a band for its interval.

    Parameters
    ----------
    ax : Axes
        Panel to draw on.
    rows : pd.DataFrame
        Rows of one line, with their level in hPa.
    line : style.Line
        Label, colour and line style.
    """
    ax.plot(
        rows["value"],
        rows["level"],
        color=line.color,
        linestyle=line.style,
        marker="o",
        markersize=2.5,
        label=line.label,
    )
    ax.fill_betweenx(
        rows["level"],
        rows["ci_low"],
        rows["ci_high"],
        color=line.color,
        alpha=0.15,
        linewidth=0,
    )
