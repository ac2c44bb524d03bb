"""``scorecard_era5``: RMSE difference to another system against ERA5, by channel and lead time."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fuxiflow import channels
from fuxiflow.figures import scores, style

BLOCKS = (*style.VARIABLES, "surface")


def table(
    path: Path,
    experiment: str,
    other: str,
    reference: str = "era5",
    false_discovery_rate: float = 0.05,
) -> pd.DataFrame:
    """Gather the normalised difference of the RMSE to that of another system.

    Parameters
    ----------
    path : Path
        Score table.
    experiment : str
        Experiment that is compared.
    other : str
        The system that it is compared with, such as ``gfs``.
    reference : str
        Reference of the score table.
    false_discovery_rate : float
        Largest share of the significant cells that may be so by chance.

    Returns
    -------
    pd.DataFrame
        One row for each analysed channel and lead time: ``difference`` in per cent, which is
        100 (RMSE - RMSE of the other) / RMSE of the other, its 95 % interval, its p value alone
        and adjusted for the number of cells, and ``significant`` by that. ``other`` names the
        system.
    """
    frame = scores.read_score_rows(
        path,
        [experiment],
        metric=f"rmse_vs_{other}",
        reference=reference,
        region="global",
        system="fuxiflow",
    )
    order = {name: number for number, name in enumerate(channels.channel_table().analysed.names)}
    frame = scores.with_levels(frame[(frame["lead_time"] > 0) & frame["channel"].isin(order)])
    frame = scores.with_significance(frame, false_discovery_rate).assign(
        other=other,
        difference=100 * frame["value"],
        ci_low=100 * frame["ci_low"],
        ci_high=100 * frame["ci_high"],
    )
    frame = frame.iloc[np.lexsort([frame["lead_time"], frame["channel"].map(order)])]
    return frame[
        [
            "reference",
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


def _limit(differences: pd.Series) -> float:
    """Return the end of the colour scale in per cent, a multiple of 10 from 10 to 100.

    Nineteen in twenty differences lie within.
    """
    return float(np.clip(10 * np.ceil(np.nanpercentile(differences.abs(), 95) / 10), 10, 100))


def _panel(ax, rows: pd.DataFrame, block: str, leads: np.ndarray, limit: float):
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
    limit : float
        End of the colour scale in per cent.

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
    image = ax.pcolormesh(
        edges, rungs, field, cmap="RdBu_r", vmin=-limit, vmax=limit, rasterized=True
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
    ax.set_title(f"{title}: {100 * (rows['difference'] < 0).mean():.0f} % better", loc="left")
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
    limit = _limit(table["difference"])
    for ax, block in zip(panels.flat, BLOCKS, strict=True):
        rows = _block(table, block)
        if rows.empty:
            ax.set_visible(False)
            continue
        image = _panel(ax, rows, block, leads, limit)
    for ax in panels[-1]:
        ax.set_xlabel("lead time (days)")
    style.letter_panels(ax for ax in panels.flat if ax.get_visible())
    bar = figure.colorbar(
        image, ax=panels, orientation="horizontal", shrink=0.5, aspect=45, pad=0.02, extend="both"
    )
    name = table["other"].iloc[0]
    other = style.SYSTEMS[name].label if name in style.SYSTEMS else name
    bar.set_label(f"RMSE difference to {other} (%): blue, fuxiflow has the smaller error")
    significant = table[table["significant"]]["difference"]
    figure.suptitle(
        f"Scorecard against {style.reference_name(table['reference'].iloc[0])}: better than "
        f"{other} in {100 * (table['difference'] < 0).mean():.0f} % of {len(table)} cells "
        f"(dots: significant, false discoveries controlled; {(significant < 0).sum()} better, "
        f"{(significant > 0).sum()} worse)",
        fontsize=10,
    )
    return figure
