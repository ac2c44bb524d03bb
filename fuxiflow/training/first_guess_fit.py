"""The fit of how far observations are to be expected from a first guess.

Windows of the observation period have observations, the reanalysis about them, and forecasts of a
given length that end there and stand for backgrounds. The spread of the departures from the
reanalysis is the ``observation_error``: noise, and errors of the equivalents and of
representativeness. What departures from the forecasts spread more is the ``background_error``.
Means and standard deviations are bi-weight (:mod:`fuxiflow.observations.biweight`), so that gross
errors among the samples do not widen the limits that are to find them.
"""

import logging
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fuxiflow.config.first_guess import FirstGuessFit
from fuxiflow.grids import Grid
from fuxiflow.models.first_guess_check import band_by_cell
from fuxiflow.models.layers import full_precision
from fuxiflow.models.networks import STEP, Networks
from fuxiflow.models.pillars import FootprintBatch, PillarEncoder
from fuxiflow.models.variational import misfits
from fuxiflow.observations.biweight import BANDS, biweight
from fuxiflow.observations.sparse_grids import SparseGrids, SparseWindow
from fuxiflow.progress import progress
from fuxiflow.randomness import generator
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries
from fuxiflow.training.bank import forecast_backgrounds
from fuxiflow.training.spectral_samples import draw_times

MOST_FOOTPRINTS = 5_000
"""Footprints of a window and source that are used at most, drawn at random."""
FEWEST_VALUES = 100
"""A band with fewer values of a channel has the statistics of all bands together."""
SMALLEST_ERROR = 1e-3
"""The least standard deviation of departures, in units of the channel's statistics."""
ERRORS = ("count", "bias", "observation_error", "background_error")


def robust_errors(of_states: np.ndarray, of_guesses: np.ndarray) -> tuple[float, float, float]:
    """Tell errors of observations and of backgrounds apart.

    Parameters
    ----------
    of_states, of_guesses : np.ndarray
        Departures of the same values from the reanalysis and from first guesses, ``(n,)``.

    Returns
    -------
    tuple of float
        The mean departure from the first guess, and the standard deviations of the observations'
        errors and of the backgrounds'.
    """
    once = np.ones(len(of_states), np.int64)
    _, observation = biweight(np.sort(of_states), once, SMALLEST_ERROR)
    bias, both = biweight(np.sort(of_guesses), once, SMALLEST_ERROR)
    return bias, observation, float(np.sqrt(max(both**2 - observation**2, 0.0)))


class _Departures:
    """Departures of the observations of one source from reanalyses and from first guesses."""

    def __init__(self):
        self.of_states: list[np.ndarray] = []
        self.of_guesses: list[np.ndarray] = []
        self.bands: list[np.ndarray] = []

    def add(
        self,
        encoder: PillarEncoder,
        footprints: FootprintBatch,
        states: Tensor,
        guess: Tensor,
        bands: np.ndarray,
    ) -> None:
        """Add a window.

        Parameters
        ----------
        encoder : PillarEncoder
            Has the source's equivalents.
        footprints : FootprintBatch
            Its observations.
        states, guess : Tensor
            Reanalyses and first guess about the analysis time, ``(1, 3, channel, lat, lon)``.
        bands : np.ndarray
            The band of each cell of the grid.
        """
        with full_precision(states.device):
            for fields, parts in ((states, self.of_states), (guess, self.of_guesses)):
                parts.append(misfits(encoder, footprints, fields).cpu().numpy())
        self.bands.append(bands[footprints.cell.cpu().numpy()])

    def rows(self, fitted_channels: np.ndarray) -> Iterator[tuple[int, str, int, float, ...]]:
        """Yield the errors of each channel and band.

        Parameters
        ----------
        fitted_channels : np.ndarray
            Which channels have an equivalent, ``(channel,)``.

        Yields
        ------
        tuple
            Number of the channel, name of the band, and the columns :data:`ERRORS`; errors are NaN
            where there are too few values.
        """
        of_states, of_guesses = np.concatenate(self.of_states), np.concatenate(self.of_guesses)
        bands = np.concatenate(self.bands)
        for channel in range(of_states.shape[1]):
            present = np.isfinite(of_states[:, channel]) & np.isfinite(of_guesses[:, channel])
            for i, band in enumerate(BANDS):
                rows = present & (bands == i)
                rows = rows if rows.sum() >= FEWEST_VALUES else present
                count = int(rows.sum()) if fitted_channels[channel] else 0
                errors = (np.nan,) * 3
                if count >= FEWEST_VALUES:
                    errors = robust_errors(of_states[rows, channel], of_guesses[rows, channel])
                yield channel, band, count, *errors


def _drawn(window: SparseWindow, seed: int, source: str, time: np.datetime64) -> SparseWindow:
    """Draw :data:`MOST_FOOTPRINTS` rows of a window of a source.

    Parameters
    ----------
    window : SparseWindow
        Its observations.
    seed : int
        The configuration's seed.
    source : str
        Name of the source.
    time : np.datetime64
        Time of the analysis: each window has a draw of its own.

    Returns
    -------
    SparseWindow
        The whole window where it has no more.
    """
    if len(window) <= MOST_FOOTPRINTS:
        return window
    dice = generator(seed, "first guess", source, time)
    return window.rows(np.sort(dice.choice(len(window), MOST_FOOTPRINTS, replace=False)))


@torch.no_grad()
def fit_first_guess_errors(
    networks: Networks,
    states: StateSeries,
    climatology: Climatology,
    grids: Mapping[str, SparseGrids],
    settings: FirstGuessFit,
    seed: int,
    log: logging.Logger,
) -> pd.DataFrame:
    """Fit how large departures from the first guess are to be expected.

    Parameters
    ----------
    networks : Networks
        Have the forecaster, the filter of backgrounds and the observation equivalents.
    states : StateSeries
        Reanalysis of the observation period.
    climatology : Climatology
        That of the training period, for the filter of backgrounds.
    grids : Mapping[str, SparseGrids]
        Observations by source.
    settings : FirstGuessFit
        Windows, and length of the forecasts.
    seed : int
        The configuration's seed.
    log : logging.Logger
        Is told the progress and the errors.

    Returns
    -------
    pd.DataFrame
        By ``source``, ``channel`` and ``band`` of latitude: ``count`` of values, ``bias``,
        ``observation_error`` and ``background_error`` in the channel's unit, NaN where there are
        too few values or no equivalent.

    Raises
    ------
    ValueError
        Where a source has no observation in any of the windows.
    """
    steps, design = settings.lead_hours // 6, networks.design
    collected = {name: _Departures() for name in grids}
    bands = band_by_cell(Grid(*design.grid))
    times = draw_times(states, settings.windows, steps + 1) + steps * STEP
    times = [time for time in times if time in states and time - STEP in states]

    def standardised(fields: np.ndarray) -> Tensor:
        return networks.normaliser(
            torch.from_numpy(fields[:, : networks.analysed]).to(networks.device)
        )

    for time in progress(times, "windows to fit departures from first guesses to", log):
        when = np.array([time])
        around = standardised(states.read_many(time + STEP * np.arange(-1, 2)))[None]
        ((previous, background),) = forecast_backgrounds(networks, states, when, steps)
        normal = standardised(climatology.at(time)[None])
        guess = networks.guess(
            standardised(previous[None]), standardised(background[None]), normal, when
        )
        for name, grid in grids.items():
            window = _drawn(grid.window(time, *design.sources[name].window), seed, name, time)
            if len(window):
                footprints = networks.footprints(name, window)
                encoder = networks.assimilator.branches[name].pillars
                collected[name].add(encoder, footprints, around, guess, bands)
    tables = []
    for name, departures in collected.items():
        if not departures.bands:
            raise ValueError(
                f"{name}: no observation in {len(times)} windows of periods.observations to fit "
                f"its departures to; leave it out of the experiment's sources, or lengthen the "
                f"period"
            )
        equivalent = networks.assimilator.branches[name].pillars.equivalent
        rows = departures.rows((equivalent != 0).any(1).cpu().numpy())
        table = pd.DataFrame(rows, columns=["number", "band", *ERRORS])
        log.info("%s: %s", name, _in_words(table))
        scale = np.array(design.sources[name].std)[table["number"]]
        table[list(ERRORS[1:])] = table[list(ERRORS[1:])].mul(scale, axis=0)
        channels = np.array(design.sources[name].channels, object)[table.pop("number")]
        table.insert(0, "channel", channels)
        table.insert(0, "source", name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _in_words(table: pd.DataFrame) -> str:
    """Tell a source's errors, in units of its standard deviations."""
    fitted = table["observation_error"].notna()
    own, of_guess = (
        table.loc[fitted, f"{kind}_error"].mean() for kind in ("observation", "background")
    )
    return (
        f"{table.loc[fitted, 'number'].nunique()} channels, errors of observations {own:.2f}, of "
        f"backgrounds {of_guess:.2f} standard deviations"
    )
