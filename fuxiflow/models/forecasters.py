"""What a forecaster must offer to be run, stored and scored: ours and anybody else's, in physical units."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from fuxiflow.channels import ChannelTable
from fuxiflow.grids import Grid


class ForecastModel(Protocol):
    """A global forecaster of six-hourly steps.

    ``channels`` are those of its states, in its order, in the channel table's units; ``grid`` is the one it works on.
    """

    channels: ChannelTable
    grid: Grid

    def forecast(
        self, previous: np.ndarray, current: np.ndarray, inits: np.ndarray, steps: int
    ) -> Iterator[np.ndarray]:
        """Yield ``steps`` forecasts ``(init, channel, lat, lon)``, of 6 h, 12 h, and so on.

        ``previous`` and ``current (init, channel, lat, lon)`` are the states at t-6 h and t, ``inits (init,)`` the
        times t. Precipitation must be finite: 0 where an analysis has none. FloatingPointError when a forecast is not.
        """
        ...
