"""``obs_loss_weights``: how much in-situ observations count in training, by variable and level."""

from collections.abc import Mapping
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from fuxiflow.channels import channel_table
from fuxiflow.figures import style
from fuxiflow.figures.scores import with_levels

TICKS = (50, 100, 200, 300, 500, 700, 850, 1000)


def table(observed: Mapping[str, list[str]], weight: float) -> pd.DataFrame:
    """One row for each analysed channel: its ``observation_weight`` times ``weight``, that of L_obs beside L_state, its
    ``state_weight``, and the ``sources`` that observe it, of which ``observed`` gives the channels."""
    rows = [
        {
            "channel": channel.name,
            "observation_weight": weight * channel.observation_weight,
            "state_weight": channel.loss_weight,
            "sources": " ".join(
                name for name, channels in observed.items() if channel.name in channels
            ),
        }
        for channel in channel_table().analysed
    ]
    return with_levels(pd.DataFrame(rows))


def _profiles(
    upper: pd.DataFrame, observed: pd.Series
) -> list[tuple[list[str], pd.DataFrame, np.ndarray]]:
    """Names, rows and whether they are observed of each profile; variables with the same one, which would hide each
    other, are named together."""
    found: dict[tuple, tuple[list[str], pd.DataFrame, np.ndarray]] = {}
    for variable, name in style.VARIABLES.items():
        rows = upper[upper["variable"] == variable].sort_values("level")
        shown = observed[rows.index].to_numpy()
        key = (*rows["level"], *rows["observation_weight"], *shown)
        found.setdefault(key, ([], rows, shown))[0].append(name)
    return list(found.values())


def draw(table: pd.DataFrame) -> Figure:
    """Profiles of the upper-air weights, and bars of the surface's; what no source observes is hollow."""
    figure = style.new_figure(6.4, 3.4)
    aloft, ground = figure.subplots(1, 2, width_ratios=(1.6, 1.0))
    observed = table["sources"].fillna("").astype(str) != ""
    upper = table["level"].notna()
    for color, (names, rows, shown) in zip(
        style.OKABE_ITO, _profiles(table[upper], observed), strict=False
    ):
        label = fill(", ".join(names), 26)
        aloft.plot(rows["observation_weight"], rows["level"], color=color, label=label, linewidth=1)
        for part, face in ((shown, color), (~shown, "white")):
            aloft.plot(
                rows["observation_weight"][part],
                rows["level"][part],
                "o",
                color=color,
                markersize=3.5,
                markerfacecolor=face,
            )
    aloft.set(xlabel="weight in L$_{obs}$", ylabel="pressure (hPa)", yscale="log", ylim=(1060, 46))
    aloft.set_xlim(left=0)
    aloft.yaxis.set_minor_locator(NullLocator())
    aloft.yaxis.set_minor_formatter(NullFormatter())
    aloft.set_yticks(TICKS, [str(tick) for tick in TICKS])
    aloft.grid(True)
    aloft.legend(loc="upper right")
    surface = table[~upper]
    bars = ground.bar(
        surface["channel"],
        surface["observation_weight"],
        color=style.OKABE_ITO[5],
        edgecolor="black",
    )
    for bar, seen in zip(bars, observed[surface.index], strict=True):
        bar.set_fill(bool(seen))
    ground.set_ylabel("weight in L$_{obs}$")
    ground.grid(True, axis="y")
    style.letters([aloft, ground])
    return figure
