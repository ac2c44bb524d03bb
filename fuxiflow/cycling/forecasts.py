"""Forecasts by any forecaster from any analyses.

The forecaster is ours or FuXi's; it starts from an experiment's analyses or from GFS files.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from fuxiflow.channels import ChannelTable, channel_table
from fuxiflow.completeness import Asked, IncompleteError, check_share, list_times
from fuxiflow.grids import Grid
from fuxiflow.models.forecasters import ForecastModel
from fuxiflow.models.networks import STEP, Networks
from fuxiflow.progress import Progress
from fuxiflow.states.assembly import Assembler, Ledger
from fuxiflow.states.decoding import decode_analyses, list_grib_files
from fuxiflow.states.forecasts import Forecasts, ForecastWriter
from fuxiflow.states.grib import GribReader
from fuxiflow.states.regrid import SourceGrid, regrid
from fuxiflow.states.store import StateSeries

InitialStates = Callable[[np.datetime64], np.ndarray | None]


@torch.inference_mode()
def forecast(
    networks: Networks, previous: np.ndarray, current: np.ndarray, inits: np.ndarray, steps: int
) -> Iterator[np.ndarray]:
    """Forecast a batch of initial times in steps of six hours, in physical units.

    Parameters
    ----------
    networks : Networks
        Their forecaster is run on its own output.
    previous, current : np.ndarray
        The analyses at t-6 h and t, ``(init, channel, lat, lon)``.
    inits : np.ndarray
        The times t, ``(init,)``.
    steps : int
        Number of steps.

    Yields
    ------
    np.ndarray
        The forecasts of 6 h, 12 h, and so on, ``(init, channel, lat, lon)`` with precipitation.

    Raises
    ------
    FloatingPointError
        When a forecast is not finite.
    """

    def standard(states: np.ndarray) -> torch.Tensor:
        return networks.normaliser(torch.from_numpy(states).to(networks.device))

    before, now = standard(previous), standard(current)
    for step in range(steps):
        following = networks.forecast(before, now, inits + STEP * step)
        if not torch.isfinite(following).all():
            raise FloatingPointError(f"forecasts are not finite at {6 * (step + 1)} h")
        yield networks.normaliser.physical(following).cpu().numpy()
        before, now = now, following[:, : networks.analysed]


def initial_times(
    first: np.datetime64, last: np.datetime64, hours: Sequence[int]
) -> list[np.datetime64]:
    """List the initial times of a period.

    Parameters
    ----------
    first, last : np.datetime64
        First and last time.
    hours : Sequence[int]
        Hours of the day, in UTC, at which forecasts start.

    Returns
    -------
    list of np.datetime64
        Times in order.
    """
    return [
        time
        for time in np.arange(first, last + STEP, STEP)
        if (time.astype("datetime64[h]").astype(int) % 24) in hours
    ]


def write_leads(writer: ForecastWriter, inits: Sequence[int], made: Iterator[np.ndarray]) -> None:
    """Store forecasts that come lead by lead.

    Parameters
    ----------
    writer : ForecastWriter
        The store.
    inits : Sequence[int]
        Positions of the initial times in it.
    made : Iterator[np.ndarray]
        Yields ``(init, channel, lat, lon)`` for each lead.
    """
    for lead, fields in zip(range(len(writer.lead_hours)), made, strict=False):
        for i, field in zip(inits, fields, strict=True):
            writer.write(int(i), lead, field)


class TrainedForecaster:
    """The project's networks as a :class:`fuxiflow.models.forecasters.ForecastModel`."""

    def __init__(self, networks: Networks):
        self.networks = networks
        self.channels = channel_table().select(networks.design.channels)
        self.grid = Grid(*networks.design.grid)

    def forecast(
        self, previous: np.ndarray, current: np.ndarray, inits: np.ndarray, steps: int
    ) -> Iterator[np.ndarray]:
        """Forecast as :meth:`fuxiflow.models.forecasters.ForecastModel.forecast` describes.

        Parameters
        ----------
        previous, current : np.ndarray
            The states at t-6 h and t, ``(init, channel, lat, lon)``.
        inits : np.ndarray
            The times t, ``(init,)``.
        steps : int
            Number of steps.

        Returns
        -------
        Iterator[np.ndarray]
            The forecasts of 6 h, 12 h, and so on.
        """
        return forecast(self.networks, previous, current, inits, steps)


def onto(field: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """Bring a field to another grid.

    Parameters
    ----------
    field : np.ndarray
        ``(channel, lat, lon)``.
    source, target : Grid
        The grid that it is on, and the one that it is wanted on.

    Returns
    -------
    np.ndarray
        ``(channel, lat, lon)``; the field itself where the grids are the same.
    """
    return field if source == target else regrid(field, SourceGrid.of(source), target)


def completed(state: np.ndarray, names: Sequence[str], channels: ChannelTable) -> np.ndarray:
    """Complete an analysis to a state of a forecaster, with no precipitation.

    FuXi's own preparation of GFS and IFS analyses has zeros there too.

    Parameters
    ----------
    state : np.ndarray
        The analysis, ``(channel, lat, lon)``.
    names : Sequence[str]
        Its channels.
    channels : ChannelTable
        The channels of the forecaster.

    Returns
    -------
    np.ndarray
        ``(channel, lat, lon)`` of ``channels``.

    Raises
    ------
    KeyError
        Names the channels that the analysis lacks.
    """
    lacking = [channel.name for channel in channels.analysed if channel.name not in names]
    if lacking:
        raise KeyError(f"the analyses lack {', '.join(lacking)}")
    whole = np.zeros((len(channels), *state.shape[1:]), np.float32)
    for i, channel in enumerate(channels):
        if channel.analysed:
            whole[i] = state[list(names).index(channel.name)]
    return whole


def stored_states(paths: Sequence[Path], model: ForecastModel) -> InitialStates:
    """Return a reader of analyses of state stores as ``model`` takes them; None where none is."""
    states = StateSeries(paths, name="analysis")

    def read(time: np.datetime64) -> np.ndarray | None:
        if time not in states:
            return None
        field = onto(states.read(time), states.grid, model.grid)
        return completed(field, states.channels.names, model.channels)

    return read


def gfs_states(
    directories: Sequence[Path],
    model: ForecastModel,
    times: Sequence[np.datetime64],
    ledger: Ledger,
) -> InitialStates:
    """Return a reader of analyses of GFS GRIB2 files, on a forecaster's grid and in its channels.

    Keys, and factors to the channel table's units (geopotential from geopotential metres), are
    those of the channel table; files on the forecaster's own grid are not interpolated.

    Parameters
    ----------
    directories : Sequence[Path]
        Folders of GRIB2 files.
    model : ForecastModel
        The forecaster.
    times : Sequence[np.datetime64]
        The times that will be asked for: in order, 6 h back at most, as files are read in order.
    ledger : Ledger
        Gets a row where a field is lacking, damaged or outside its valid range.

    Returns
    -------
    InitialStates
        Maps a time to the state ``(channel, lat, lon)``, or None where it is not usable.
    """
    ordered = sorted({np.datetime64(time, "ns") for time in times})
    paths = [
        path for directory in directories for path in list_grib_files(directory, analyses_only=True)
    ]
    assembler = Assembler(GribReader(channel_table(), "gfs"), model.grid, ledger)
    moments = [time.astype("datetime64[us]").item() for time in ordered]
    decoded = zip(
        ordered, decode_analyses(assembler, paths, moments, precipitation=False), strict=True
    )
    kept: dict[np.datetime64, np.ndarray | None] = {}

    def read(time: np.datetime64) -> np.ndarray | None:
        time = np.datetime64(time, "ns")
        while time not in kept:
            try:
                moment, state = next(decoded)
            except StopIteration:
                raise KeyError(
                    f"{time} was not asked for, or is over; known: {len(ordered)} times"
                ) from None
            kept[moment] = (
                None if state is None else completed(state, channel_table().names, model.channels)
            )
        for old in [moment for moment in kept if moment < time - STEP]:
            del kept[old]
        return kept[time]

    return read


def check_forecasts(
    forecasts: Forecasts,
    inits: Sequence[np.datetime64],
    asked: Asked,
    initial: str,
    log: logging.Logger,
) -> None:
    """Fail where too few forecasts could be made; warn where not all were.

    Parameters
    ----------
    forecasts : Forecasts
        Those that were made.
    inits : sequence of np.datetime64
        Initial times that there should be.
    asked : Asked
        The least share of them.
    initial : str
        Whose analyses they start from.
    log : logging.Logger
        Gets the warning.

    Raises
    ------
    IncompleteError
        For fewer forecasts than are asked for, and for none.
    """
    lacking = [time for time in inits if not forecasts.available(time, forecasts.lead_hours[0])]
    if len(lacking) == len(inits):
        raise IncompleteError(
            f"no forecast from {inits[0]} to {inits[-1]}: no initial state of {initial} is usable"
        )
    what = f"forecasts have the analyses of {initial} that they start from"
    missing = f"forecasts from {list_times(lacking)}"
    check_share(asked, len(inits) - len(lacking), len(inits), what, missing, log)


def write_forecasts(
    model: ForecastModel,
    read: InitialStates,
    writer: ForecastWriter,
    batch: int,
    log: logging.Logger,
) -> int:
    """Fill a store with the forecasts that it lacks, on its grid.

    Those without both initial states are marked missing.

    Parameters
    ----------
    model : ForecastModel
        The forecaster.
    read : InitialStates
        Gives the states at t-6 h and t.
    writer : ForecastWriter
        The store; forecasts that it holds are left alone.
    batch : int
        Initial times that are forecast at once; a cascade's models are loaded once for them.
    log : logging.Logger
        Is told the progress, and what is missing.

    Returns
    -------
    int
        The number of forecasts that had both initial states.
    """
    inits, steps = writer.init_times, len(writer.lead_hours)
    todo = [i for i in range(len(inits)) if not writer.done(i)]
    report = Progress(len(inits), "forecasts", log, done=len(inits) - len(todo))
    made = 0
    for first in range(0, len(todo), batch):
        pairs = {i: (read(inits[i] - STEP), read(inits[i])) for i in todo[first : first + batch]}
        ready = [i for i, pair in pairs.items() if pair[0] is not None and pair[1] is not None]
        for i in sorted(pairs.keys() - set(ready)):
            log.warning("no forecast from %s: no analysis of that time, or of 6 h before", inits[i])
            for lead in range(steps):
                writer.write(i, lead, None)
            report.step()
        if not ready:
            continue
        previous, current = (np.stack([pairs[i][frame] for i in ready]) for frame in (0, 1))
        forecasts = model.forecast(previous, current, inits[ready], steps)
        write_leads(
            writer,
            ready,
            (
                np.stack([onto(field, model.grid, writer.grid) for field in fields])
                for fields in forecasts
            ),
        )
        made += len(ready)
        for _ in ready:
            report.step()
    return made
