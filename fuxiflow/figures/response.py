"""The answer of the networks to one perturbed observation, beside the observation operator's Jacobian: panels of
``increment_case``."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import SubFigure
from matplotlib.ticker import FuncFormatter, NullLocator

from fuxiflow.cycling.response import Response
from fuxiflow.figures import style

PART = "response"
JACOBIAN = style.OKABE_ITO[1]
DECADES = 2  # of colours below the largest response


def table(found: Response) -> pd.DataFrame:
    """Rows of the level alone — mean ``response`` over the places (K), its standard deviation ``spread`` and the mean
    ``jacobian``, K/K for a unit of ln p — and, with ``north`` and ``east`` in cells, of the mean ``response`` about the
    observed cell. Columns of all rows say what was perturbed, and by how much the analysis' Tb ``followed`` (K)."""
    thickness = np.abs(np.gradient(np.log(found.level)))
    profile = pd.DataFrame(
        {
            "level": found.level,
            "response": found.response.mean(axis=0),
            "spread": found.response.std(axis=0),
            "jacobian": found.jacobian.mean(axis=0) / thickness,
        }
    )
    reach = found.around.shape[-1] // 2
    offset = np.arange(-reach, reach + 1)
    level, north, east = np.meshgrid(found.level, offset, offset, indexing="ij")
    near = pd.DataFrame(
        {
            "level": level.ravel(),
            "north": north.ravel(),
            "east": east.ravel(),
            "response": found.around.ravel(),
        }
    )
    shared = {
        "part": PART,
        "perturbed": f"channel {found.channel} of {found.source}",
        "kelvin": found.kelvin,
        "places": len(found),
        "followed": found.followed.mean(),
        "cell_lon": found.cell[1],
    }
    return pd.concat([profile, near], ignore_index=True).assign(**shared)


def draw(figure: SubFigure, rows: pd.DataFrame) -> list[Axes]:
    """The profile, the section from west to east and the map of the level that answers most."""
    profile, near = (rows[rows["north"].isna()], rows[rows["north"].notna()])
    first = rows.iloc[0]
    peak = profile.loc[profile["response"].abs().idxmax(), "level"]
    # the middle alone is filled where neighbours do not answer: a logarithm shows how little that is
    limit = near["response"].abs().max() or 1.0
    norm = SymLogNorm(limit / 10**DECADES, vmin=-limit, vmax=limit, linscale=0.5)
    shades = {"cmap": "RdBu_r", "norm": norm, "rasterized": True}
    axes = figure.subplots(1, 3)
    _profile(axes[0], profile)
    section = near[near["north"] == 0].pivot(index="level", columns="east", values="response")
    axes[1].pcolormesh(section.columns, np.arange(len(section)), section, **shades)
    axes[1].set_yticks(np.arange(len(section)), [f"{level:g}" for level in section.index])
    axes[1].invert_yaxis()
    axes[1].set_title("T along the row of the observed cell", loc="left")
    axes[1].set_ylabel("pressure (hPa)")
    plan = near[near["level"] == peak].pivot(index="north", columns="east", values="response")
    image = axes[2].pcolormesh(plan.columns, plan.index, plan, **shades)
    axes[2].set_aspect("equal")
    axes[2].set_title(f"T{peak:g} about the observed cell", loc="left")
    axes[2].set_ylabel("cells to the north")
    reach = int(near["east"].max())
    ticks = [offset for offset in range(-reach, reach + 1) if offset % 4 == 0]
    axes[2].set_yticks(ticks)
    for ax in axes[1:]:
        ax.set_xticks(ticks)
        ax.set_xlabel(f"cells to the east ({first['cell_lon']:.3g}°)")
    decades = [limit / 10**n for n in range(DECADES + 1)]
    bar = figure.colorbar(image, ax=axes[2], shrink=0.85, aspect=14, label="T (K)")
    bar.set_ticks([sign * value for value in decades for sign in (-1, 1)] + [0], minor=False)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    figure.suptitle(
        f"Answer to {first['kelvin']:+g} K in {first['perturbed']} in one observation, mean of {first['places']:g} "
        f"made one by one: the analysis' Tb follows by {first['followed']:+.2f} K",
        fontsize=10,
    )
    return list(axes)


def _profile(ax: Axes, profile: pd.DataFrame) -> None:
    """Response and Jacobian against pressure on two axes whose zeros meet."""
    line = style.SYSTEMS["fuxiflow"]
    level, mean, spread = profile["level"], profile["response"], profile["spread"]
    ax.fill_betweenx(level, mean - spread, mean + spread, color=line.color, alpha=0.2, linewidth=0)
    ax.plot(mean, level, "o-", color=line.color, markersize=3)
    ax.set_yscale("log")
    ax.set_yticks(
        [50, 100, 200, 300, 500, 700, 1000], ["50", "100", "200", "300", "500", "700", "1000"]
    )
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(1000, 50)
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set_xlabel("response of T (K)", color=line.color)
    ax.set_ylabel("pressure (hPa)")
    twin = ax.twiny()
    twin.plot(profile["jacobian"], level, "s--", color=JACOBIAN, markersize=3)
    twin.spines["top"].set_visible(True)
    twin.set_xlabel("∂Tb/∂T of the operator (K K⁻¹ per unit of ln p)", color=JACOBIAN)
    low, high = (
        1.1 * limit for limit in (min(0, (mean - spread).min()), max(0, (mean + spread).max()))
    )
    if low < high:
        ax.set_xlim(low, high)
        scale = 1.1 * profile["jacobian"].abs().max() / max(high, -low)
        twin.set_xlim(scale * low, scale * high)
    ax.set_title("T in the observed cell, ± 1 std of the places", loc="left")
