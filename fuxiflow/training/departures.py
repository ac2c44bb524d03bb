"""First guesses of observations: a linear function of the state's column, fitted to reanalysis by least squares.

The fit starts the ``equivalent`` of a source's encoder (:class:`fuxiflow.models.pillars.PillarEncoder`), so that the
assimilator sees departures from its first update on; training from random weights would spend most of its updates on
learning to tell a departure of a kelvin from the tens of kelvin between the poles and the equator.
"""

import logging
from collections.abc import Iterable

import torch
from torch import Tensor

from fuxiflow.models.pillars import Footprints, PillarEncoder, predictors

RIDGE = 1e-3


class Fit:
    """Normal equations of a source's channels on its predictors, in float64; streams over batches."""

    def __init__(self, size: int, channels: int):
        self.count = 0
        self.gram = torch.zeros(size, size, dtype=torch.float64)
        self.moment = torch.zeros(size, channels, dtype=torch.float64)
        self.square = torch.zeros(channels, dtype=torch.float64)

    def add(self, footprints: Footprints, states: Tensor) -> None:
        """Use footprints that have all channels, and the standardised ``states (batch, state, lat, lon)`` at their time."""
        whole = torch.isfinite(footprints.values).all(-1)
        column = states.flatten(2)[footprints.sample, :, footprints.cell][whole]
        x = predictors(column, footprints.zenith[whole]).double()
        y = footprints.values[whole].double()
        self.count += len(x)
        self.gram += x.T @ x
        self.moment += x.T @ y
        self.square += (y * y).sum(0)

    def solve(self) -> tuple[Tensor, Tensor]:
        """Weights ``(channel, predictor)`` and root mean square misfit ``(channel,)``.

        Raises ValueError when there were fewer footprints than unknowns.
        """
        size = len(self.gram)
        if self.count <= size:
            raise ValueError(f"{self.count} footprints with all channels cannot fit {size} predictors; "
                             f"lengthen periods.observations")  # fmt: skip
        ridge = RIDGE * self.count * torch.eye(size, dtype=torch.float64)
        weight = torch.linalg.solve(self.gram + ridge, self.moment)
        misfit = self.square - 2 * (weight * self.moment).sum(0) + (weight * (self.gram @ weight)).sum(0)
        return weight.T, (misfit / self.count).clamp_min(1e-8).sqrt()


def fit(encoder: PillarEncoder, collocations: Iterable[tuple[Footprints, Tensor]], name: str, log: logging.Logger) -> None:
    """Start a source's encoder from collocations of footprints and standardised states."""
    channels, size = encoder.equivalent.weight.shape
    normal = Fit(size, channels)
    for footprints, states in collocations:
        normal.add(footprints, states)
    weight, misfit = normal.solve()
    with torch.no_grad():
        encoder.equivalent.weight.copy_(weight)
        encoder.scale.copy_(misfit)
    log.info("%s: first guesses fitted to %d footprints, misfit %.2f to %.2f standard deviations", name, normal.count,
             misfit.min(), misfit.max())  # fmt: skip
