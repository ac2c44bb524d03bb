"""The cases of each system that is scored, of any days: baselines, forecasts and analyses.

Each function takes opened stores and returns what a part of verification holds; the scripts write
it. :mod:`fuxiflow.verification.evaluation` makes scores of all parts together.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.verification.case_counts import CaseCount
from fuxiflow.verification.collection import (
    CollectedCases,
    climatology_cases,
    collect_cases,
    forecast_leads,
    forecast_reader,
    period_times,
    persistence_reader,
)
from fuxiflow.verification.maps import ErrorMaps
from fuxiflow.verification.references import CACHE_BYTES, ReferenceSet, prepare_references

COUNT_TYPES = {"experiment": "str", "time": "datetime64[ns]", "source": "str", "n": "int64"}
STEP_HOURS = 6
FORECAST = "forecast"
"""Name of an experiment's forecasts among the systems of its cases."""


@dataclass(frozen=True)
class ScoringSetup:
    """The references and regions that all systems are scored with.

    Attributes
    ----------
    states : dict of str to StateSeries
        States of each reference: era5, truth.
    climatology : Climatology
        Climatology for the anomalies.
    regions : list of str
        Regions, of :data:`fuxiflow.grids.REGIONS`.
    """

    states: dict[str, StateSeries]
    climatology: Climatology
    regions: list[str]

    @classmethod
    def open(
        cls, paths: Mapping[str, Sequence[Path]], climatology: Path, regions: Sequence[str]
    ) -> "ScoringSetup":
        """Open the stores of references.

        Parameters
        ----------
        paths : mapping of str to sequence of Path
            Stores of each reference; one that has none is left out.
        climatology : Path
            The climatology.
        regions : sequence of str
            Regions that are scored.

        Returns
        -------
        ScoringSetup
            The opened stores.
        """
        states = {name: StateSeries(stores) for name, stores in paths.items() if stores}
        return cls(states, Climatology.read(climatology, CACHE_BYTES), list(regions))

    def against(self, channels: Sequence[str], own: StateSeries | None = None) -> ReferenceSet:
        """Prepare the references on ``channels``, with the system's ``own`` analyses if given."""
        states = self.states if own is None else {**self.states, "own": own}
        return prepare_references(states, self.climatology, channels, self.regions)


def collect_baselines(
    setup: ScoringSetup,
    period: Sequence[str],
    climatology_starts: tuple[Sequence[int], int] | None,
    gfs: StateSeries | None,
    gfs_forecasts: Forecasts | None,
    own: bool,
    log: logging.Logger,
) -> CollectedCases:
    """Gather the cases of GFS and climatology forecasts, and of GFS and ERA5 analyses.

    Parameters
    ----------
    setup : ScoringSetup
        References and regions.
    period : sequence of str
        First and last day of the start times.
    climatology_starts : tuple, optional
        Start hours of the day and longest lead in hours of climatology taken as a forecast; None
        leaves climatology out.
    gfs : StateSeries, optional
        Analyses of GFS.
    gfs_forecasts : Forecasts, optional
        Forecasts of GFS.
    own : bool
        Score the forecasts of GFS against its own analyses too.
    log : logging.Logger
        Told the progress.

    Returns
    -------
    CollectedCases
        Cases whose system is gfs, climatology, gfs_analysis or era5_analysis.
    """
    against = setup.against(setup.climatology.channels.names)
    collected = CollectedCases({}, [])
    if gfs_forecasts is not None:
        collected |= _gfs_forecast_cases(setup, period, gfs_forecasts, gfs if own else None, log)
    if climatology_starts is not None:
        init_hours, max_lead = climatology_starts
        inits = period_times(period, init_hours)
        leads = list(range(STEP_HOURS, max_lead + 1, STEP_HOURS))
        climate = {
            ("climatology", reference.name): climatology_cases(inits, leads, against, reference)
            for reference in against.references
        }
        collected |= CollectedCases(climate, [])
    # ERA5 has an error of its own only against the truth, and no system one against itself
    has_truth = "truth" in against.by_name
    era5 = setup.states.get("era5") if has_truth else None
    for system, states, names in (
        ("gfs", gfs, [name for name in against.by_name if name != "gfs"]),
        ("era5", era5, ["truth"] if has_truth else []),
    ):
        if states is not None and names:
            label = f"{system} analyses"
            collected |= collect_cases(
                {label: persistence_reader(states, against.normals.channels)},
                period_times(period),
                [0],
                against.only(names),
                log,
            ).renamed(label, f"{system}_analysis")
    return collected


def _gfs_forecast_cases(
    setup: ScoringSetup,
    period: Sequence[str],
    forecasts: Forecasts,
    own: StateSeries | None,
    log: logging.Logger,
) -> CollectedCases:
    """Gather the cases of the GFS forecasts that start in the period.

    Parameters
    ----------
    setup : ScoringSetup
        References and regions.
    period : sequence of str
        First and last day of the start times.
    forecasts : Forecasts
        Forecasts of GFS.
    own : StateSeries, optional
        Analyses of GFS as a further reference.
    log : logging.Logger
        Told the progress, and when no forecast starts in the period.

    Returns
    -------
    CollectedCases
        Cases of the system gfs; none without forecasts in the period.
    """
    inits = np.intersect1d(forecasts.init_times, period_times(period))
    if not len(inits):
        log.warning("no GFS forecast starts in the period %s to %s", *period)
        return CollectedCases({}, [])
    return _forecast_cases(setup, "gfs", "GFS forecasts", forecasts, inits, own, log)


def _forecast_cases(
    setup: ScoringSetup,
    name: str,
    label: str,
    forecasts: Forecasts,
    inits: np.ndarray,
    own: StateSeries | None,
    log: logging.Logger,
) -> CollectedCases:
    """Gather the cases of the forecasts of a system at all their leads.

    Parameters
    ----------
    setup : ScoringSetup
        References and regions.
    name, label : str
        Name of the system, and of its forecasts in the log.
    forecasts : Forecasts
        The forecasts.
    inits : np.ndarray
        Start times, ``(case,)``.
    own : StateSeries, optional
        Its analyses as a further reference.
    log : logging.Logger
        Told the progress.

    Returns
    -------
    CollectedCases
        Cases of the system ``name``.
    """
    return collect_cases(
        {label: forecast_reader(forecasts)},
        inits,
        forecast_leads(forecasts),
        setup.against(forecasts.channels.names, own),
        log,
    ).renamed(label, name)


def collect_system(
    setup: ScoringSetup,
    name: str,
    period: Sequence[str],
    forecasts: Forecasts,
    own: StateSeries | None,
    log: logging.Logger,
) -> CollectedCases:
    """Gather the cases of another system's forecasts.

    Parameters
    ----------
    setup : ScoringSetup
        References and regions.
    name : str
        Name of the system.
    period : sequence of str
        First and last day of the start times.
    forecasts : Forecasts
        Its forecasts; start times that the store has a place for and no fields are missing cases.
    own : StateSeries, optional
        Its analyses as a further reference. Channels that they lack are not scored.
    log : logging.Logger
        Told the progress, and which channels are left out.

    Returns
    -------
    CollectedCases
        Cases of the system ``name``.
    """
    channels = forecasts.channels
    if own is not None:
        names = [c.name for c in channels if not c.analysed or c.name in own.channels.names]
        if left := [c for c in channels.names if c not in names]:
            log.warning("%s: not scored, as its analyses lack them: %s", name, ", ".join(left))
        forecasts = Forecasts(forecasts.paths, names)
    inits = np.intersect1d(forecasts.slots, period_times(period))
    return _forecast_cases(setup, name, f"{name} forecasts", forecasts, inits, own, log)


def collect_forecasts(
    setup: ScoringSetup,
    forecasts: Forecasts,
    inits: np.ndarray,
    analyses: StateSeries,
    own: bool,
    persistence: bool,
    log: logging.Logger,
) -> CollectedCases:
    """Gather the cases of an experiment's forecasts, and of persistence from its analyses.

    Parameters
    ----------
    setup : ScoringSetup
        References and regions.
    forecasts : Forecasts
        The experiment's forecasts.
    inits : np.ndarray
        Start times, ``(case,)``.
    analyses : StateSeries
        Analyses that the forecasts start from.
    own : bool
        Score against ``analyses`` too.
    persistence : bool
        Score persistence too.
    log : logging.Logger
        Told the progress.

    Returns
    -------
    CollectedCases
        Cases of the systems :data:`FORECAST` and persistence.
    """
    channels = forecasts.channels.names
    leads = forecast_leads(forecasts)
    against = setup.against(channels, analyses if own else None)
    readers = {"forecasts": forecast_reader(forecasts)}
    if persistence:
        readers["persistence"] = persistence_reader(analyses, channels)
    collected = collect_cases(readers, inits, leads, against, log)
    return collected.renamed("forecasts", FORECAST)


def collect_analyses(
    setup: ScoringSetup, stores: Mapping[str, StateSeries], times: np.ndarray, log: logging.Logger
) -> CollectedCases:
    """Gather the cases of an experiment's analyses and backgrounds, and of climatology.

    Parameters
    ----------
    setup : ScoringSetup
        References and regions.
    stores : mapping of str to StateSeries
        Analyses and backgrounds, as ``analysis`` and ``background``.
    times : np.ndarray
        Analysis times, ``(time,)``.
    log : logging.Logger
        Told the progress.

    Returns
    -------
    CollectedCases
        Cases at lead 0 of the systems analysis, background and climatology.
    """
    channels = stores["analysis"].channels.names
    against = setup.against(channels)
    readers = {array: persistence_reader(states, channels) for array, states in stores.items()}
    climatology = {
        ("climatology", reference.name): climatology_cases(times, [0], against, reference)
        for reference in against.references
    }
    return collect_cases(readers, times, [0], against, log) | CollectedCases(climatology, [])


def map_errors(
    setup: ScoringSetup,
    forecasts: Forecasts,
    inits: np.ndarray,
    leads: Sequence[int],
    log: logging.Logger,
) -> tuple[ErrorMaps, list[CaseCount]]:
    """Map the errors of an experiment's forecasts against every reference.

    Parameters
    ----------
    setup : ScoringSetup
        References on the forecasts' grid.
    forecasts : Forecasts
        The experiment's forecasts, opened with the channels that are mapped.
    inits : np.ndarray
        Start times, ``(case,)``.
    leads : sequence of int
        Lead times in hours that are mapped.
    log : logging.Logger
        Told the progress.

    Returns
    -------
    maps : ErrorMaps
        Sums of the error and its square at each cell.
    counts : list of CaseCount
        How many cases lack a field or a reference.
    """
    mapped = forecasts.channels.names
    against = setup.against(mapped)
    maps = ErrorMaps(list(against.by_name), leads, mapped, mapped, forecasts.grid)
    present = [lead for lead in forecast_leads(forecasts) if lead in leads]
    readers = {"maps": forecast_reader(forecasts)}
    collected = collect_cases(readers, inits, present, against, log, maps)
    return maps, collected.counts


def observation_counts(
    paths: Sequence[Path],
    times: np.ndarray,
    experiment: str,
    windows: Mapping[str, Sequence[int]],
) -> pd.DataFrame:
    """Count the observed values in each source's assimilation window.

    Parameters
    ----------
    paths : sequence of Path
        Sparse-grid stores ``{source}/{segment}.zarr``; none where nothing is assimilated.
    times : np.ndarray
        Analysis times, ``(time,)``.
    experiment : str
        Name of the experiment.
    windows : mapping of str to sequence of int
        By source, first and last (excluded) hour about the analysis time.

    Returns
    -------
    pd.DataFrame
        Columns experiment, time, source and n; a window outside the record counts 0.
    """
    by_source: dict[str, list[Path]] = {}
    for path in paths:
        by_source.setdefault(path.parent.name, []).append(path)
    rows = []
    for source, stores in by_source.items():
        grids = SparseGrids(stores)
        for time in times:
            try:
                values = grids.window(time.astype("datetime64[h]"), *windows[source]).values
            except KeyError:  # before or after the whole record
                values = np.empty((0, 0))
            rows.append((experiment, time, source, int(np.isfinite(values).sum())))
    return pd.DataFrame(rows, columns=list(COUNT_TYPES)).astype(COUNT_TYPES)


def merge_observation_counts(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the counts of several parts, by source and then by time."""
    counts = pd.concat(tables, ignore_index=True)
    position = counts["source"].map({name: i for i, name in enumerate(counts["source"].unique())})
    order = np.lexsort((counts["time"].to_numpy(), position.to_numpy()))
    return counts.iloc[order].reset_index(drop=True)
