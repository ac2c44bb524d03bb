"""The radiance loss: states against brightness temperatures, through the observation operator.

Beyond the papers, whose networks meet radiances as inputs alone. The state's column at a footprint
goes through the clear-sky operator (:mod:`fuxiflow.operators`); the difference is measured in units
of the misfit that the fit of the source's encoder left to the reanalysis, so that channels which
see the ground or clouds count less.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fuxiflow.config import sources
from fuxiflow.config.training import ObservationLoss
from fuxiflow.grids import Grid
from fuxiflow.models.layers import full_precision
from fuxiflow.models.networks import Networks
from fuxiflow.models.pillars import FootprintBatch, columns_at_footprints, states_together
from fuxiflow.operators.columns import SOUNDED, brightness_temperatures_from_state
from fuxiflow.operators.microwave import BATCH, MicrowaveOperator
from fuxiflow.states.statistics import Statistics

GROSS = 5.0
"""Misfits beyond which a departure is taken for cloud or a wrong surface, and left out."""


class RadianceLoss(nn.Module):
    """Masked, latitude-weighted L1 of departures through the operators of some sources.

    Each channel's mean departure in a call is its bias, as the constant predictor of a variational
    bias correction is, and taken out before the rest is weighed: a bias of the instrument or of the
    operator pulls at nothing. Departures beyond :data:`GROSS` misfits are left out. In a call at
    most ``radiance_footprints`` of a source are looked at, evenly thinned.
    """

    def __init__(
        self,
        settings: ObservationLoss,
        networks: Networks,
        statistics: Statistics,
        first_hours: Mapping[str, int],
    ):
        """Load the operators, and collect the constants that they need.

        Parameters
        ----------
        settings : ObservationLoss
            Names the sources, ``radiances``, and how many footprints count.
        networks : Networks
            Their encoders give the misfits, their normaliser the statistics of the state.
        statistics : Statistics
            Gives the static fields: surface geopotential and land fraction.
        first_hours : Mapping[str, int]
            By source, the hour from the analysis time at which its window begins.

        Raises
        ------
        ValueError
            For a source whose channels are not those of the operator of its instrument.
        FileNotFoundError
            Where there is no operator for an instrument.
        """
        super().__init__()
        self.names = list(settings.radiances)
        self.most = settings.radiance_footprints
        self.first_hours = dict(first_hours)
        designs = {name: networks.design.sources[name] for name in self.names}
        self.operators = nn.ModuleDict(
            {
                name: MicrowaveOperator.for_channels(
                    sources.load_source(name).instrument, design.channels, name
                )
                for name, design in designs.items()
            }
        )
        at = [networks.design.channels.index(channel) for channel in SOUNDED]
        self.register_buffer("at", torch.tensor(at, dtype=torch.int64))
        for part in ("mean", "std"):
            self.register_buffer(
                part, getattr(networks.normaliser, part).flatten()[at].cpu().clone()
            )
        for name, design in designs.items():
            misfit = networks.assimilator.branches[name].pillars.scale.cpu() * torch.tensor(
                design.std
            )
            self.register_buffer(f"misfit_{name}", misfit.float())
        grid = Grid(*networks.design.grid)
        fixed = np.stack([statistics.surface_geopotential, statistics.land_fraction]).reshape(2, -1)
        self.register_buffer("fixed", torch.as_tensor(fixed, dtype=torch.float32))
        self.register_buffer("latitude", torch.as_tensor(np.asarray(grid.lat), dtype=torch.float32))
        self.register_buffer(
            "area", torch.as_tensor(np.asarray(grid.area_weights), dtype=torch.float32)
        )
        self.nlon = grid.nlon

    def forward(self, state: Tensor, observed: Mapping[str, FootprintBatch]) -> Tensor:
        """Compare a standardised state with the radiances observed at its time → a scalar.

        ``state (batch, channel, lat, lon)``; ``observed`` has values in K by source. The loss is
        the mean over sources and channels, 0 where nothing was seen.
        """
        parts = []
        for name in self.names:
            footprints = observed[name]
            count = len(footprints)
            if count:
                rows = torch.linspace(0, count - 1, min(count, self.most)).round().long()
                parts.append(self._source(name, state, footprints.rows(rows).to(state.device)))
        return torch.stack(parts).mean() if parts else state.new_zeros(())

    def _source(self, name: str, state: Tensor, footprints: FootprintBatch) -> Tensor:
        """The loss of one source.

        Parameters
        ----------
        name : str
            The source.
        state : Tensor
            Standardised, ``(batch, channel, lat, lon)``.
        footprints : FootprintBatch
            Its observations, values in K.

        Returns
        -------
        Tensor
            The mean over its channels.
        """
        departures = footprints.values - self.equivalents(name, state, footprints)
        departures = departures / getattr(self, f"misfit_{name}")
        area = self.area[footprints.cell // self.nlon][:, None]
        # what is gross lies far from the median, which it does not move
        middle = torch.nanmedian(departures.detach(), 0).values
        used = torch.isfinite(departures) & ((departures.detach() - middle).abs() <= GROSS)
        weight = area * used
        total = weight.sum(0).clamp_min(torch.finfo(weight.dtype).tiny)
        departures = torch.where(used, departures, 0.0)
        bias = (weight * departures).sum(0) / total
        distance = (weight * (departures - bias).abs()).sum(0) / total
        return distance.sum() / (used.any(0).sum().clamp_min(1))

    def equivalents(self, name: str, state: Tensor, footprints: FootprintBatch) -> Tensor:
        """Simulate the brightness temperatures of a state at footprints.

        Parameters
        ----------
        name : str
            The source.
        state : Tensor
            Standardised, ``(batch, channel, lat, lon)``.
        footprints : FootprintBatch
            Places and zenith angles.

        Returns
        -------
        Tensor
            In K, ``(n, channel)``.
        """
        with full_precision(state.device):
            steady = states_together(state[:, None, self.at].float())
            column = columns_at_footprints(footprints, steady, self.first_hours[name])
            column = column * self.std + self.mean
            # the operator's activations are made again for the gradient: kept, they would be the
            # largest part of a stage's memory
            parts = [
                checkpoint(
                    self._operate,
                    name,
                    column[i : i + BATCH],
                    footprints.cell[i : i + BATCH],
                    footprints.zenith[i : i + BATCH],
                    use_reentrant=False,
                )
                for i in range(0, len(footprints), BATCH)
            ]
        return torch.cat(parts)

    def _operate(self, name: str, column: Tensor, cell: Tensor, zenith: Tensor) -> Tensor:
        """Apply the operator of a source.

        Parameters
        ----------
        name : str
            The source.
        column : Tensor
            The state's columns in physical units, ``(n, column)``.
        cell : Tensor
            Cells of the grid, ``(n,)``.
        zenith : Tensor
            Satellite zenith angles in degrees, ``(n,)``.

        Returns
        -------
        Tensor
            Brightness temperatures in K, ``(n, channel)``.
        """
        geopotential, land = self.fixed[:, cell]
        latitude = self.latitude[cell // self.nlon]
        operator = self.operators[name]
        return brightness_temperatures_from_state(
            operator, column, SOUNDED, geopotential, land, latitude, zenith.nan_to_num()
        )
