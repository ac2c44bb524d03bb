"""The check of observations against the first guess: gross departures are left out.

A value is left out of an analysis where

    |O - B - bias| > limit · sqrt(observation_error² + (error_factor · background_error)²).

O - B is its departure from the first guess at its own time and place, by the checkpoint's
observation equivalents. The bias and the two errors are robust statistics of departures by source,
channel and band of latitude (:mod:`fuxiflow.training.first_guess_fit`). An extreme that the first
guess knows of passes, where a check against climatology would take it out.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fuxiflow.config.first_guess import FirstGuess
from fuxiflow.grids import Grid
from fuxiflow.models.layers import full_precision
from fuxiflow.models.networks import Networks, SourceDesign
from fuxiflow.models.pillars import FootprintBatch
from fuxiflow.models.variational import misfits
from fuxiflow.observations.biweight import BANDS, latitude_band


def band_by_cell(grid: Grid) -> np.ndarray:
    """Return the index of each cell's band of latitude, ``(row * column,)``."""
    return np.repeat(latitude_band(grid.lat), grid.nlon)


def _by_band_and_channel(errors: pd.DataFrame, source: str, column: str, channels: list[str]):
    """Return a column of the table of errors as an array.

    Parameters
    ----------
    errors : pd.DataFrame
        See :func:`fuxiflow.training.first_guess_fit.fit_first_guess_errors`.
    source : str
        Name of the source.
    column : str
        The column.
    channels : list of str
        Its channels.

    Returns
    -------
    np.ndarray
        ``(band, channel)``, NaN where the table has none.
    """
    rows = errors[errors["source"] == source]
    table = rows.pivot(index="band", columns="channel", values=column)
    return table.reindex(index=list(BANDS), columns=channels).to_numpy(np.float64)


class FirstGuessCheck:
    """Leaves out of the observations of a window what lies too far from the first guess."""

    def __init__(self, networks: Networks, errors: pd.DataFrame, settings: FirstGuess):
        """Work out the limits of every source that has errors.

        Parameters
        ----------
        networks : Networks
            Give the observation equivalents and the device.
        errors : pd.DataFrame
            See :func:`fuxiflow.training.first_guess_fit.fit_first_guess_errors`.
        settings : FirstGuess
            Limit and factor of the background's errors.
        """
        self._encoders = {
            name: branch.pillars for name, branch in networks.assimilator.branches.items()
        }
        self._channels = {name: one.channels for name, one in networks.design.sources.items()}
        bands = band_by_cell(Grid(*networks.design.grid))
        self._band = torch.from_numpy(bands).to(networks.device)
        self._limits = {
            name: tuple(
                torch.from_numpy(array).float().to(networks.device)
                for array in self._bias_and_limit(errors, name, design, settings)
            )
            for name, design in networks.design.sources.items()
            if name in set(errors["source"])
        }

    @staticmethod
    def _bias_and_limit(
        errors: pd.DataFrame, source: str, design: SourceDesign, settings: FirstGuess
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what a source's departures are compared with.

        Parameters
        ----------
        errors : pd.DataFrame
            In the units of the channels.
        source : str
            Name of the source.
        design : SourceDesign
            Its channels and their standard deviations.
        settings : FirstGuess
            Limit and factor.

        Returns
        -------
        tuple of np.ndarray
            Expected departure, and largest distance from it, ``(band, channel)`` each, in units of
            the source's statistics. A channel that was not fitted has no limit.
        """
        bias, observation, background = (
            _by_band_and_channel(errors, source, column, design.channels) / np.array(design.std)
            for column in ("bias", "observation_error", "background_error")
        )
        limit = settings.limit * np.hypot(observation, settings.error_factor * background)
        return np.nan_to_num(bias), np.where(np.isfinite(limit), limit, np.inf)

    @torch.no_grad()
    def far(self, source: str, footprints: FootprintBatch, guess: Tensor) -> Tensor:
        """Mark the values that lie too far from the first guess.

        Parameters
        ----------
        source : str
            Name of the source.
        footprints : FootprintBatch
            Its observations.
        guess : Tensor
            First guess ``(batch, 3, channel, lat, lon)``.

        Returns
        -------
        Tensor
            ``(n, channel)`` bool; a value that is missing is not far.

        Raises
        ------
        KeyError
            For a source whose errors were not fitted.
        """
        if source not in self._limits:
            raise KeyError(f"no errors of departures of {source}; known: {sorted(self._limits)}")
        bias, limit = self._limits[source]
        with full_precision(guess.device):
            departures = misfits(self._encoders[source], footprints, guess)
        band = self._band[footprints.cell]
        # a comparison with NaN is False
        return (departures - bias[band]).abs() > limit[band]

    @torch.no_grad()
    def screen(
        self, observations: Mapping[str, FootprintBatch], guess: Tensor
    ) -> tuple[dict[str, FootprintBatch], dict[str, dict[str, int]]]:
        """Leave out of observations what lies too far from the first guess.

        Parameters
        ----------
        observations : Mapping[str, FootprintBatch]
            Footprints by source.
        guess : Tensor
            First guess ``(batch, 3, channel, lat, lon)``.

        Returns
        -------
        observations : dict of str to FootprintBatch
            The same with such values missing, without footprints, and sources, that have none left.
        rejected : dict of str to dict
            How many values were left out, by source and channel.
        """
        kept: dict[str, FootprintBatch] = {}
        rejected: dict[str, dict[str, int]] = {}
        for name, footprints in observations.items():
            far = self.far(name, footprints, guess)
            if not far.any():
                kept[name] = footprints
                continue
            counts = zip(self._channels[name], far.sum(0).tolist(), strict=True)
            rejected[name] = {channel: count for channel, count in counts if count}
            values = footprints.values.masked_fill(far, torch.nan)
            emptied = far.any(1) & ~values.isfinite().any(1)
            left = replace(footprints, values=values).rows(~emptied)
            if len(left):
                kept[name] = left
        return kept, rejected
