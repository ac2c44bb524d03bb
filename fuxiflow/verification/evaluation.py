"""Scores of the baselines, of an experiment's analyses and forecasts, and of pairs of experiments.

Each function takes opened stores and returns tables and cases; the scripts write them.
"""

import logging
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fuxiflow.completeness import Asked
from fuxiflow.config import sources
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.verification import score_table
from fuxiflow.verification.cases import CaseKey, Cases
from fuxiflow.verification.collection import (
    climatology_cases,
    collect_cases,
    forecast_leads,
    forecast_reader,
    period_times,
    persistence_reader,
)
from fuxiflow.verification.maps import ErrorMaps
from fuxiflow.verification.references import ReferenceSet, prepare_references
from fuxiflow.verification.scoring import Resampling, compare_cases, score_cases

CYCLE_COLUMNS = ["experiment", "time", "array", "reference", "channel", "rmse", "bias"]
COUNT_TYPES = {"experiment": "str", "time": "datetime64[ns]", "source": "str", "n": "int64"}
STEP_HOURS = 6


def open_states(paths: Mapping[str, Sequence[Path]]) -> dict[str, StateSeries]:
    """Open the state stores of each name, leaving out a name that has none."""
    return {name: StateSeries(stores) for name, stores in paths.items() if stores}


@dataclass(frozen=True)
class ScoringSetup:
    """The references, regions and intervals that all systems are scored with.

    Attributes
    ----------
    states : dict of str to StateSeries
        States of each reference: era5, truth.
    climatology : Climatology
        Climatology for the anomalies.
    regions : list of str
        Regions, of :data:`fuxiflow.grids.REGIONS`.
    resampling : Resampling
        How intervals are made.
    asked : Asked, optional
        The least share of cases that there must be; without it what is missing is a warning.
    """

    states: dict[str, StateSeries]
    climatology: Climatology
    regions: list[str]
    resampling: Resampling
    asked: Asked | None = None

    def against(self, channels: Sequence[str], own: StateSeries | None = None) -> ReferenceSet:
        """Prepare the references on ``channels``, with the system's ``own`` analyses if given."""
        states = self.states if own is None else {**self.states, "own": own}
        return prepare_references(states, self.climatology, channels, self.regions)


@dataclass(frozen=True)
class Evaluation:
    """The score table of a system, and the cases that later comparisons need.

    Attributes
    ----------
    scores : pd.DataFrame
        Score table, see :mod:`fuxiflow.verification.score_table`.
    cases : dict of CaseKey to Cases
        Cases by system and reference.
    """

    scores: pd.DataFrame
    cases: dict[CaseKey, Cases]


def rename_system(cases: Mapping[CaseKey, Cases], label: str, system: str) -> dict[CaseKey, Cases]:
    """Give the cases of one system another name.

    Parameters
    ----------
    cases : mapping of CaseKey to Cases
        Cases by system and reference.
    label : str
        Name of the system so far.
    system : str
        Its new name.

    Returns
    -------
    dict of CaseKey to Cases
        The same cases.
    """
    return {(system if key[0] == label else key[0], key[1]): cases[key] for key in cases}


def score_baselines(
    setup: ScoringSetup,
    period: Sequence[str],
    climatology_starts: tuple[Sequence[int], int] | None,
    gfs: StateSeries | None,
    gfs_forecasts: Forecasts | None,
    own: bool,
    log: logging.Logger,
) -> Evaluation:
    """Score GFS and climatology forecasts, and GFS and ERA5 analyses.

    Parameters
    ----------
    setup : ScoringSetup
        References, regions and intervals.
    period : sequence of str
        First and last day of the test period.
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
    Evaluation
        Scores of the experiment ``baseline``, and cases whose system is gfs, climatology,
        gfs_analysis or era5_analysis.
    """
    against = setup.against(setup.climatology.channels.names)
    cases: dict[CaseKey, Cases] = {}
    if gfs_forecasts is not None:
        cases |= _gfs_forecast_cases(setup, period, gfs_forecasts, gfs if own else None, log)
    if climatology_starts is not None:
        init_hours, max_lead = climatology_starts
        inits = period_times(period, init_hours)
        leads = list(range(STEP_HOURS, max_lead + 1, STEP_HOURS))
        for reference in against.references:
            cases["climatology", reference.name] = climatology_cases(
                inits, leads, against, reference
            )
    # ERA5 has an error of its own only against the truth, and no system one against itself
    has_truth = "truth" in against.by_name
    era5 = setup.states.get("era5") if has_truth else None
    for system, states, names in (
        ("gfs", gfs, [name for name in against.by_name if name != "gfs"]),
        ("era5", era5, ["truth"] if has_truth else []),
    ):
        if states is not None and names:
            label = f"{system} analyses"
            collected = collect_cases(
                {label: persistence_reader(states, against.normals.channels)},
                period_times(period),
                [0],
                against.only(names),
                log,
                asked=setup.asked,
            )
            cases |= rename_system(collected, label, f"{system}_analysis")
    scores = score_table.concatenate_scores(
        score_cases(
            value,
            setup.resampling,
            experiment=score_table.BASELINE,
            system=system.removesuffix("_analysis"),
            reference=name,
        )
        for (system, name), value in cases.items()
    )
    return Evaluation(scores, cases)


def _gfs_forecast_cases(
    setup: ScoringSetup,
    period: Sequence[str],
    forecasts: Forecasts,
    own: StateSeries | None,
    log: logging.Logger,
) -> dict[CaseKey, Cases]:
    """Gather the cases of the GFS forecasts that start in the period.

    Parameters
    ----------
    setup : ScoringSetup
        References and regions.
    period : sequence of str
        First and last day of the test period.
    forecasts : Forecasts
        Forecasts of GFS.
    own : StateSeries, optional
        Analyses of GFS as a further reference.
    log : logging.Logger
        Told the progress, and when no forecast starts in the period.

    Returns
    -------
    dict of CaseKey to Cases
        Cases of the system gfs by reference; empty without forecasts in the period.
    """
    inits = np.intersect1d(forecasts.init_times, period_times(period))
    if not len(inits):
        log.warning("no GFS forecast starts in the period %s to %s", *period)
        return {}
    leads = forecast_leads(forecasts)
    label = "GFS forecasts"
    collected = collect_cases(
        {label: forecast_reader(forecasts)},
        inits,
        leads,
        setup.against(forecasts.channels.names, own),
        log,
        asked=setup.asked,
    )
    return rename_system(collected, label, "gfs")


def score_forecasts(
    setup: ScoringSetup,
    forecasts: Forecasts,
    inits: np.ndarray,
    analyses: StateSeries,
    own: bool,
    baselines: Mapping[CaseKey, Cases],
    systems: Sequence[str],
    experiment: str,
    log: logging.Logger,
) -> Evaluation:
    """Score an experiment's forecasts, and persistence from the analyses that they start from.

    Parameters
    ----------
    setup : ScoringSetup
        References, regions and intervals.
    forecasts : Forecasts
        The experiment's forecasts.
    inits : np.ndarray
        Start times, ``(case,)``.
    analyses : StateSeries
        Analyses that the forecasts start from.
    own : bool
        Score against ``analyses`` too.
    baselines : mapping of CaseKey to Cases
        Cases of the baselines, by system and reference.
    systems : sequence of str
        Baselines to compare with: gfs, persistence, climatology.
    experiment : str
        Name of the experiment in the score table.
    log : logging.Logger
        Told the progress.

    Returns
    -------
    Evaluation
        Scores of fuxiflow and persistence with comparisons, and the cases of the forecasts under
        the system name ``forecast``, those against the own analyses left out.
    """
    channels = forecasts.channels.names
    leads = forecast_leads(forecasts)
    against = setup.against(channels, analyses if own else None)
    readers = {"forecasts": forecast_reader(forecasts)}
    if "persistence" in systems:
        readers["persistence"] = persistence_reader(analyses, channels)
    cases = collect_cases(readers, inits, leads, against, log, asked=setup.asked)
    frames = []
    for (label, name), value in cases.items():
        system = "fuxiflow" if label == "forecasts" else label
        log.info("scores of %s against %s", system, name)
        frames.append(
            score_cases(
                value, setup.resampling, experiment=experiment, system=system, reference=name
            )
        )
    forecast_cases = {name: value for (label, name), value in cases.items() if label == "forecasts"}
    others = {key: value for key, value in cases.items() if key[0] != "forecasts"}
    # those of the baselines are on disk until they are needed
    compared = ChainMap(others, baselines)
    for other, name in compared:
        if other in systems and name in forecast_cases:
            frames.append(
                compare_cases(
                    forecast_cases[name],
                    compared[other, name],
                    setup.resampling,
                    experiment=experiment,
                    system="fuxiflow",
                    reference=name,
                    other_name=other,
                )
            )
    # other experiments have other analyses: cases against them cannot be compared
    kept = {("forecast", name): value for name, value in forecast_cases.items() if name != "own"}
    return Evaluation(score_table.concatenate_scores(frames), kept)


@dataclass(frozen=True)
class CycleEvaluation(Evaluation):
    """An evaluation of analyses, with the series of the whole cycle.

    Attributes
    ----------
    series : pd.DataFrame
        Errors at each time, see :func:`cycle_series`.
    """

    series: pd.DataFrame


def score_analyses(
    setup: ScoringSetup,
    stores: Mapping[str, StateSeries],
    cycle: np.ndarray,
    test: np.ndarray,
    baselines: Mapping[CaseKey, Cases],
    experiment: str,
    log: logging.Logger,
) -> CycleEvaluation:
    """Score an experiment's analyses and backgrounds.

    Parameters
    ----------
    setup : ScoringSetup
        References, regions and intervals.
    stores : mapping of str to StateSeries
        Analyses and backgrounds, as ``analysis`` and ``background``.
    cycle : np.ndarray
        All analysis times, ``(time,)``, spin-up included.
    test : np.ndarray
        Analysis times that are scored, ``(time,)``, among those of ``cycle``.
    baselines : mapping of CaseKey to Cases
        Cases of the baselines, by system and reference.
    experiment : str
        Name of the experiment in the score table.
    log : logging.Logger
        Told the progress.

    Returns
    -------
    CycleEvaluation
        Scores of the analysis (the background's metrics are called ``background_*``) with
        comparisons, cases of the analysis, and the series of the cycle.
    """
    channels = stores["analysis"].channels.names
    against = setup.against(channels)
    readers = {array: persistence_reader(states, channels) for array, states in stores.items()}
    cases = collect_cases(readers, cycle, [0], against, log, asked=setup.asked)
    climatology = {
        ("climatology", reference.name): climatology_cases(cycle, [0], against, reference)
        for reference in against.references
    }
    series = cycle_series(cases | climatology, experiment)
    tested = {key: value.select(test, [0], channels) for key, value in cases.items()}
    frames = [
        score_cases(
            value,
            setup.resampling,
            experiment=experiment,
            system="fuxiflow",
            reference=name,
            prefix="" if array == "analysis" else "background_",
        )
        for (array, name), value in tested.items()
    ]
    for name in against.by_name:
        others = {"background": tested["background", name]}
        for system in ("gfs", "era5"):
            if (f"{system}_analysis", name) in baselines:
                others[system] = baselines[f"{system}_analysis", name]
        frames += [
            compare_cases(
                tested["analysis", name],
                other,
                setup.resampling,
                experiment=experiment,
                system="fuxiflow",
                reference=name,
                other_name=other_name,
            )
            for other_name, other in others.items()
        ]
    kept = {key: value for key, value in tested.items() if key[0] == "analysis"}
    return CycleEvaluation(score_table.concatenate_scores(frames), kept, series)


def map_errors(
    states: dict[str, StateSeries],
    climatology: Climatology,
    forecasts: Forecasts,
    inits: np.ndarray,
    leads: Sequence[int],
    log: logging.Logger,
    asked: Asked | None = None,
) -> ErrorMaps:
    """Map the errors of an experiment's forecasts against every reference.

    Parameters
    ----------
    states : dict of str to StateSeries
        States of each reference.
    climatology : Climatology
        Climatology on the forecasts' grid.
    forecasts : Forecasts
        The experiment's forecasts, opened with the channels that are mapped.
    inits : np.ndarray
        Start times, ``(case,)``.
    leads : sequence of int
        Lead times in hours that are mapped.
    log : logging.Logger
        Told the progress.
    asked : Asked, optional
        The least share of cases that there must be.

    Returns
    -------
    ErrorMaps
        Mean error and RMSE at each cell.
    """
    mapped = forecasts.channels.names
    against = prepare_references(states, climatology, mapped, ["global"])
    maps = ErrorMaps(list(against.by_name), leads, mapped, mapped, forecasts.grid)
    present = [lead for lead in forecast_leads(forecasts) if lead in leads]
    readers = {"maps": forecast_reader(forecasts)}
    collect_cases(readers, inits, present, against, log, maps, asked)
    return maps


def compare_experiments(
    pairs: Iterable[tuple[str, Mapping[CaseKey, Cases], Mapping[CaseKey, Cases]]],
    resampling: Resampling,
    experiment: str,
) -> pd.DataFrame:
    """Compare one experiment with others, case by case.

    Parameters
    ----------
    pairs : iterable of tuples
        Name of another experiment, the cases of this one and those of the other.
    resampling : Resampling
        How intervals are made.
    experiment : str
        Name of this experiment.

    Returns
    -------
    pd.DataFrame
        Score table with the metrics ``rmse_vs_{other}`` and ``acc_vs_{other}``.
    """
    return score_table.concatenate_scores(
        compare_cases(
            value,
            other_cases[key],
            resampling,
            experiment=experiment,
            system="fuxiflow",
            reference=key[1],
            other_name=other_name,
        )
        for other_name, cases, other_cases in pairs
        for key, value in cases.items()
    )


def cycle_series(
    cases: Mapping[CaseKey, Cases], experiment: str, region: str = "global"
) -> pd.DataFrame:
    """List the errors of a cycle at each time.

    Parameters
    ----------
    cases : mapping of CaseKey to Cases
        Cases at lead 0, by array (analysis, background, climatology) and reference.
    experiment : str
        Name of the experiment.
    region : str
        Region of the errors.

    Returns
    -------
    pd.DataFrame
        Columns :data:`CYCLE_COLUMNS`, a row for each time that has both fields; ``rmse`` and
        ``bias`` in the channel's unit.

    Raises
    ------
    KeyError
        ``region`` was not scored.
    """
    frames = []
    for (array, reference), value in cases.items():
        if region not in value.regions:
            raise KeyError(f"region {region!r} was not scored; known: {', '.join(value.regions)}")
        r = value.regions.index(region)
        time, channel = (
            index.ravel() for index in np.indices((len(value.times), len(value.channels)))
        )
        frame = pd.DataFrame(
            {
                "experiment": experiment,
                "time": value.times[time],
                "array": array,
                "reference": reference,
                "channel": np.array(value.channels, object)[channel],
                "rmse": np.sqrt(value.values["square"][:, 0, :, r].astype(float)).ravel(),
                "bias": value.values["error"][:, 0, :, r].astype(float).ravel(),
            }
        )
        frames.append(frame[np.isfinite(frame["rmse"])])
    if not frames:
        return pd.DataFrame(columns=CYCLE_COLUMNS)
    return pd.concat(frames, ignore_index=True)


def observation_counts(paths: Sequence[Path], times: np.ndarray, experiment: str) -> pd.DataFrame:
    """Count the observed values in each source's assimilation window.

    Parameters
    ----------
    paths : sequence of Path
        Sparse-grid stores ``{source}/{segment}.zarr``; none where nothing is assimilated.
    times : np.ndarray
        Analysis times, ``(time,)``.
    experiment : str
        Name of the experiment.

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
        window = sources.load_source(source).window
        for time in times:
            try:
                values = grids.window(time.astype("datetime64[h]"), *window).values
            except KeyError:  # before or after the whole record
                values = np.empty((0, 0))
            rows.append((experiment, time, source, int(np.isfinite(values).sum())))
    return pd.DataFrame(rows, columns=list(COUNT_TYPES)).astype(COUNT_TYPES)
