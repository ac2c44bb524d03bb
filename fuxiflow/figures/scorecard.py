"""``scorecard_*``: RMSE or ACC difference to another system, by channel and lead time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fuxiflow import channels
from fuxiflow.figures import scores, style

BLOCKS = (*style.VARIABLES, "surface")


@dataclass(frozen=True)
class Comparison:
    """The unit, sign and colour scale of the differences of a metric.

    Attributes
    ----------
    label : str
        Name of the metric.
    unit : str
        Unit of the difference, in brackets.
    factor : float
        What a difference of the score table is multiplied by.
    better : int
        Sign of the differences where fuxiflow is better.
    step, most : float
        Colour scales end at a multiple of ``step`` up to ``most``.
    """

    label: str
    unit: str
    factor: float
    better: int
    step: float
    most: float

    def is_better(self, differences: pd.Series) -> pd.Series:
        """Tell for each difference if fuxiflow is better."""
        return self.better * differences > 0

    def limit(self, differences: pd.Series) -> float:
        """Return the end of the colour scale; nineteen in twenty differences lie within."""
        steps = np.ceil(np.nanpercentile(differences.abs(), 95) / self.step)
        return float(np.clip(self.step * steps, self.step, self.most))


METRICS = {
    "rmse": Comparison("RMSE", "%", factor=100, better=-1, step=10, most=100),
    "acc": Comparison("ACC", "1", factor=1, better=1, step=0.01, most=0.5),
}


def table(
    path: Path,
    experiment: str,
    other: str,
    reference: str,
    metric: str = "rmse",
    false_discovery_rate: float = 0.05,
) -> pd.DataFrame:
    """Gather the difference of a score to that of another system.

    Parameters
    ----------
    path : Path
        Score table.
    experiment : str
        Experiment that is compared.
    other : str
        The system that it is compared with, such as ``gfs``.
    reference : str
        Reference of the score table; ``own``: each system against its own analyses.
    metric : str
        One of :data:`METRICS`.
    false_discovery_rate : float
        Largest share of the significant cells that may be so by chance.

    Returns
    -------
    pd.DataFrame
        One row for each analysed channel and lead time. ``difference`` is, of the RMSE,
        100 (RMSE - RMSE of the other) / RMSE of the other in per cent; of the ACC it is
        ACC - ACC of the other. Beside it stand its 95 % interval, its p value alone and adjusted
        for the number of cells, and ``significant`` by that. ``other`` names the system.
    """
    frame = scores.read_score_rows(
        path,
        [experiment],
        metric=f"{metric}_vs_{other}",
        reference=reference,
        region="global",
        system="fuxiflow",
    )
    order = {name: number for number, name in enumerate(channels.channel_table().analysed.names)}
    frame = scores.with_levels(frame[(frame["lead_time"] > 0) & frame["channel"].isin(order)])
    factor = METRICS[metric].factor
    frame = scores.with_significance(frame, false_discovery_rate).assign(
        other=other,
        metric=metric,
        difference=factor * frame["value"],
        ci_low=factor * frame["ci_low"],
        ci_high=factor * frame["ci_high"],
    )
    frame = frame.iloc[np.lexsort([frame["lead_time"], frame["channel"].map(order)])]
    return frame[
        [
            "reference",
            "metric",
            "channel",
            "variable",
            "level",
            "lead_time",
            "difference",
            "ci_low",
            "ci_high",
            "n",
            "n_effective",
            "p_value",
            "p_adjusted",
            "significant",
            "other",
        ]
    ].reset_index(drop=True)


def _block(table: pd.DataFrame, block: str) -> pd.DataFrame:
    """Return the rows of a panel."""
    return table[table["level"].isna()] if block == "surface" else table[table["variable"] == block]


def _panel(
    ax, rows: pd.DataFrame, block: str, leads: np.ndarray, comparison: Comparison, limit: float
):
    """Draw one variable's heat map; leads without a score stay blank.

    Parameters
    ----------
    ax : Axes
        Panel to draw on.
    rows : pd.DataFrame
        Rows of :func:`table`.
    block : str
        Letter of the variable, or ``surface``.
    leads : np.ndarray
        Lead times in hours, evenly spaced.
    comparison : Comparison
        How the difference is shown.
    limit : float
        End of the colour scale in its unit.

    Returns
    -------
    QuadMesh
        The cells, for a colour bar.
    """
    names = list(dict.fromkeys(rows["channel"]))
    wide = rows.pivot(index="channel", columns="lead_time", values="difference").reindex(
        index=names, columns=leads
    )
    step = leads[1] - leads[0] if leads.size > 1 else 6
    edges = (np.append(leads, leads[-1] + step) - step / 2) / 24
    field = np.ma.masked_invalid(wide.to_numpy(float))
    rungs = np.arange(len(names) + 1) - 0.5
    colours = "RdBu" if comparison.better > 0 else "RdBu_r"
    image = ax.pcolormesh(
        edges, rungs, field, cmap=colours, vmin=-limit, vmax=limit, rasterized=True
    )
    dots = rows[rows["significant"]]
    ax.plot(
        dots["lead_time"] / 24,
        [names.index(c) for c in dots["channel"]],
        ".",
        color="black",
        markersize=1.6,
    )
    ax.set_ylim(len(names) - 0.5, -0.5)
    surface = block == "surface"
    levels = rows.drop_duplicates("channel")["level"]
    ax.set_yticks(range(len(names)), names if surface else [f"{level:.0f}" for level in levels])
    title = block if surface else f"{style.VARIABLES[block]} ({block})"
    better = comparison.is_better(rows["difference"])
    ax.set_title(f"{title}: {100 * better.mean():.0f} % better", loc="left")
    ax.set_ylabel("" if surface else "pressure (hPa)")
    ax.set_xticks(np.arange(0, leads[-1] / 24 + 0.01, 2 if leads[-1] > 120 else 1))
    ax.set_xlim(edges[0], edges[-1])
    ax.tick_params(length=2)
    return image


def draw(table: pd.DataFrame) -> Figure:
    """Draw a heat map for each variable, levels by lead times.

    Dots mark differences that are significant together; blue is better.
    """
    figure = style.new_figure(12.0, 7.2)
    panels = figure.subplots(2, 3)
    scored = np.sort(table["lead_time"].unique())
    step = np.gcd.reduce(np.diff(scored)) if scored.size > 1 else 6
    leads = np.arange(scored[0], scored[-1] + 1, step)
    comparison = METRICS[table["metric"].iloc[0]]
    limit = comparison.limit(table["difference"])
    for ax, block in zip(panels.flat, BLOCKS, strict=True):
        rows = _block(table, block)
        if rows.empty:
            ax.set_visible(False)
            continue
        image = _panel(ax, rows, block, leads, comparison, limit)
    for ax in panels[-1]:
        ax.set_xlabel("lead time (days)")
    style.letter_panels(ax for ax in panels.flat if ax.get_visible())
    bar = figure.colorbar(
        image, ax=panels, orientation="horizontal", shrink=0.5, aspect=45, pad=0.02, extend="both"
    )
    name = table["other"].iloc[0]
    other = style.SYSTEMS[name].label if name in style.SYSTEMS else name
    bar.set_label(
        f"{comparison.label} difference to {other} ({comparison.unit}): "
        f"blue, fuxiflow has the {'larger' if comparison.better > 0 else 'smaller'} one"
    )
    better = comparison.is_better(table["difference"])
    reference = table["reference"].iloc[0]
    against = "own analyses" if reference == "own" else style.reference_name(reference)
    figure.suptitle(
        f"{comparison.label} scorecard against {against}: better than "
        f"{other} in {100 * better.mean():.0f} % of {len(table)} cells "
        f"(dots: significant, false discoveries controlled; "
        f"{(table['significant'] & better).sum()} better, "
        f"{(table['significant'] & ~better).sum()} worse)",
        fontsize=10,
    )
    return figure
