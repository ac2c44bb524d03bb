"""``obs_loss_weights``: weight of in-situ observations in training, by variable and level."""

from collections.abc import Mapping
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fuxiflow.channels import channel_table
from fuxiflow.figures import style
from fuxiflow.figures.scores import with_levels


def table(observed: Mapping[str, list[str]], weight: float) -> pd.DataFrame:
    """Gather the weights of every analysed channel.

    ``observed`` gives the channels that each source observes, ``weight`` is that of L_obs beside
    L_state. Returns one row for each channel: its ``observation_weight`` times ``weight``, its
    ``state_weight``, and the ``sources`` that observe it.
    """
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
    """Group the variables of the upper air by their profile of weights.

    Variables with the same profile, which would hide each other, are named together. Returns for
    each profile its names, its rows, and a flag for each row that is observed.
    """
    profiles: dict[tuple, tuple[list[str], pd.DataFrame, np.ndarray]] = {}
    for variable, name in style.VARIABLES.items():
        rows = upper[upper["variable"] == variable].sort_values("level")
        flags = observed[rows.index].to_numpy()
        key = (*rows["level"], *rows["observation_weight"], *flags)
        profiles.setdefault(key, ([], rows, flags))[0].append(name)
    return list(profiles.values())


def draw(table: pd.DataFrame) -> Figure:
    """Draw profiles of the upper-air weights, and bars of the surface's.

    Channels that no source observes are hollow.
    """
    figure = style.new_figure(6.4, 3.4)
    aloft, ground = figure.subplots(1, 2, width_ratios=(1.6, 1.0))
    observed = table["sources"].fillna("").astype(str) != ""
    upper = table["level"].notna()
    for color, (names, rows, flags) in zip(
        style.OKABE_ITO, _profiles(table[upper], observed), strict=False
    ):
        label = fill(", ".join(names), 26)
        aloft.plot(rows["observation_weight"], rows["level"], color=color, label=label, linewidth=1)
        for part, face in ((flags, color), (~flags, "white")):
            aloft.plot(
                rows["observation_weight"][part],
                rows["level"][part],
                "o",
                color=color,
                markersize=3.5,
                markerfacecolor=face,
            )
    aloft.set(xlabel="weight in L$_{obs}$", ylabel="pressure (hPa)")
    aloft.set_xlim(left=0)
    style.set_pressure_axis(aloft)
    aloft.grid(True)
    aloft.legend(loc="upper right")
    surface = table[~upper]
    bars = ground.bar(
        surface["channel"],
        surface["observation_weight"],
        color=style.OKABE_ITO[5],
        edgecolor="black",
    )
    for bar, flag in zip(bars, observed[surface.index], strict=True):
        bar.set_fill(bool(flag))
    ground.set_ylabel("weight in L$_{obs}$")
    ground.grid(True, axis="y")
    style.letter_panels([aloft, ground])
    return figure
