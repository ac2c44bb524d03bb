"""Scores of the baselines, of an experiment's analyses and forecasts, and of pairs of experiments.

Each function takes cases (:mod:`fuxiflow.verification.systems` makes them) and returns tables; the
scripts write them.
"""

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from fuxiflow.verification import score_table
from fuxiflow.verification.cases import CaseKey, Cases, MergedCases
from fuxiflow.verification.scoring import Resampling, compare_cases, score_cases
from fuxiflow.verification.systems import FORECAST

CYCLE_COLUMNS = ["experiment", "time", "array", "reference", "channel", "rmse", "bias"]


def score_baselines(cases: Mapping[CaseKey, Cases], resampling: Resampling) -> pd.DataFrame:
    """Score the baselines, as the experiment ``baseline``; an analysis is its system at lead 0."""
    return score_table.concatenate_scores(
        score_cases(
            value,
            resampling,
            experiment=score_table.BASELINE,
            system=system.removesuffix("_analysis"),
            reference=name,
        )
        for (system, name), value in cases.items()
    )


def score_forecasts(
    cases: Mapping[CaseKey, Cases],
    baselines: Mapping[CaseKey, Cases],
    systems: Sequence[str],
    resampling: Resampling,
    experiment: str,
) -> pd.DataFrame:
    """Score an experiment's forecasts and persistence, and compare them with the baselines.

    Parameters
    ----------
    cases : mapping of CaseKey to Cases
        Cases of the experiment, see :func:`fuxiflow.verification.systems.collect_forecasts`.
    baselines : mapping of CaseKey to Cases
        Cases of the baselines.
    systems : sequence of str
        Baselines to compare with: gfs, persistence, climatology.
    resampling : Resampling
        How intervals are made.
    experiment : str
        Name of the experiment in the score table.

    Returns
    -------
    pd.DataFrame
        Scores of fuxiflow and persistence with comparisons.
    """
    frames = [
        score_cases(
            value,
            resampling,
            experiment=experiment,
            system="fuxiflow" if system == FORECAST else system,
            reference=name,
        )
        for (system, name), value in cases.items()
    ]
    # all of them are on disk until they are needed
    compared = ChainMap(cases, baselines)
    frames += [
        compare_cases(
            cases[FORECAST, name],
            compared[other, name],
            resampling,
            experiment=experiment,
            system="fuxiflow",
            reference=name,
            other_name=other,
        )
        for other, name in compared
        if other in systems and (FORECAST, name) in cases
    ]
    return score_table.concatenate_scores(frames)


def sample_cuts(
    cases: Mapping[CaseKey, Cases], baselines: Mapping[CaseKey, Cases], systems: Sequence[str]
) -> Iterator[str]:
    """Say of which systems comparisons are of fewer cases than there are forecasts.

    Parameters
    ----------
    cases : mapping of CaseKey to Cases
        Cases of the experiment.
    baselines : mapping of CaseKey to Cases
        Cases of the baselines.
    systems : sequence of str
        Baselines to compare with.

    Yields
    ------
    str
        A line for each.
    """
    for other, reference in baselines:
        if other not in systems or (FORECAST, reference) not in cases:
            continue
        own = cases[FORECAST, reference]
        shared, _ = own.common(baselines[other, reference])
        sizes = [
            (len(getattr(shared, axis)), len(getattr(own, axis)))
            for axis in ("times", "leads", "channels")
        ]
        if any(few < many for few, many in sizes):
            words = ("start times", "leads", "channels")
            parts = (
                f"{few} of {many} {word}" for (few, many), word in zip(sizes, words, strict=True)
            )
            yield f"compared with {other} against {reference} on {', '.join(parts)}"


def comparable_forecasts(cases: MergedCases) -> MergedCases:
    """Return the cases of forecasts that other experiments are compared with.

    Other experiments have other analyses: cases against them cannot be compared.
    """
    return cases.only(lambda key: key[0] == FORECAST and key[1] != "own")


def score_analyses(
    cases: Mapping[CaseKey, Cases],
    test: np.ndarray,
    baselines: Mapping[CaseKey, Cases],
    resampling: Resampling,
    experiment: str,
) -> tuple[pd.DataFrame, dict[CaseKey, Cases]]:
    """Score an experiment's analyses and backgrounds.

    Parameters
    ----------
    cases : mapping of CaseKey to Cases
        Cases of the whole cycle, see :func:`fuxiflow.verification.systems.collect_analyses`.
    test : np.ndarray
        Analysis times that are scored, ``(time,)``, among those of the cycle.
    baselines : mapping of CaseKey to Cases
        Cases of the baselines, by system and reference.
    resampling : Resampling
        How intervals are made.
    experiment : str
        Name of the experiment in the score table.

    Returns
    -------
    scores : pd.DataFrame
        Scores of the analysis (the background's metrics are called ``background_*``) with
        comparisons.
    kept : dict of CaseKey to Cases
        Cases of the analysis at the times of ``test``, for comparisons of experiments.
    """
    tested = {
        key: value.select(test, [0], value.channels)
        for key, value in cases.items()
        if key[0] in ("analysis", "background", "climatology")
    }
    frames = [
        score_cases(
            value,
            resampling,
            experiment=experiment,
            system="fuxiflow",
            reference=name,
            prefix="" if array == "analysis" else "background_",
        )
        for (array, name), value in tested.items()
        if array != "climatology"
    ]
    kept = {key: value for key, value in tested.items() if key[0] == "analysis"}
    for _, name in kept:
        others = {other: tested[other, name] for other in ("background", "climatology")}
        for system in ("gfs", "era5"):
            if (f"{system}_analysis", name) in baselines:
                others[system] = baselines[f"{system}_analysis", name]
        frames += [
            compare_cases(
                tested["analysis", name],
                other,
                resampling,
                experiment=experiment,
                system="fuxiflow",
                reference=name,
                other_name=other_name,
            )
            for other_name, other in others.items()
        ]
    return score_table.concatenate_scores(frames), kept


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
