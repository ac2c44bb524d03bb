"""One pass over forecasts or analyses gathers the statistics of all cases."""

import logging
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from types import SimpleNamespace

import numpy as np

from fuxiflow.channels import channel_table
from fuxiflow.completeness import Asked, check_finite, check_share, list_times
from fuxiflow.progress import progress
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.times import as_datetime64
from fuxiflow.times import times as times_between
from fuxiflow.verification.cases import OWN_MEANS, Cases, forecast_means
from fuxiflow.verification.maps import ErrorMaps
from fuxiflow.verification.references import Reference, ReferenceSet, align_channels

# the field (channel, cell) of a start time and lead, None where there is none
FieldReader = Callable[[np.datetime64, int], np.ndarray | None]


def period_times(period: Sequence[str], hours: Sequence[int] = (0, 6, 12, 18)) -> np.ndarray:
    """List the times of a period at certain hours of the day.

    ``period`` holds the first and the last day as texts. Returns ``datetime64[ns]``, ``(time,)``.
    """
    first, last = (date.fromisoformat(text) for text in period)
    return as_datetime64(time for time in times_between(first, last) if time.hour in hours)


def valid_time(init: np.datetime64, lead: int) -> np.datetime64:
    """Return a start time plus a lead in hours."""
    return np.datetime64(init, "ns") + np.timedelta64(int(lead), "h")


def forecast_leads(forecasts: Forecasts) -> list[int]:
    """List the leads in hours that are forecasts: lead 0, where a store has it, is the analysis."""
    return [lead for lead in forecasts.lead_hours if lead > 0]


def forecast_reader(forecasts: Forecasts) -> FieldReader:
    """Return a reader of forecasts; it gives None for a start time or lead without a forecast."""

    def read(init, lead):
        if not forecasts.available(init, lead):
            return None
        field = forecasts.read(init, lead)
        return field.reshape(len(field), -1)

    return read


def persistence_reader(states: StateSeries, channels: Sequence[str]) -> FieldReader:
    """Return a reader of the state of the start time, whatever the lead.

    Channels that ``states`` lacks (precipitation) are NaN, so they are not scored.
    """
    last: dict = {}

    def read(init, lead):
        if init not in states:
            return None
        if init not in last:
            last.clear()
            last[init] = align_channels(states.read(init), states.channels.names, channels)
        return last[init]

    return read


def collect_cases(
    read: FieldReader,
    times: np.ndarray,
    leads: Sequence[int],
    against: ReferenceSet,
    log: logging.Logger,
    label: str,
    maps: ErrorMaps | None = None,
    asked: Asked | None = None,
) -> dict[str, Cases]:
    """Gather the cases of one system against every reference; each of its fields is read once.

    Parameters
    ----------
    read : FieldReader
        Reads a field of the system.
    times : np.ndarray
        Start times (or analysis times), ``(case,)``.
    leads : sequence of int
        Lead times in hours, 0 for analyses.
    against : ReferenceSet
        Climatology, references and regions.
    log : logging.Logger
        Told the progress, and how many cases lack a field or a reference.
    label : str
        What is read, in the words of the log.
    maps : ErrorMaps, optional
        Errors are added to them.
    asked : Asked, optional
        The least share of cases that must have the field and each reference. The own analyses end
        before the last valid times: those are not asked for.

    Returns
    -------
    dict of str to Cases
        Cases by the reference's name. A case without a field, or without the reference at its
        valid time, is NaN.

    Raises
    ------
    IncompleteError
        For fewer cases than are asked for, or a field that is not whole.
    """
    references = against.references
    normals = against.normals
    if not references:
        return {}
    times = np.asarray(times, "datetime64[ns]")
    weights = references[0].weights
    shape = (len(times), len(leads), len(normals.channels), len(weights))
    mean = np.full(shape, np.nan)
    power = np.full(shape, np.nan)
    cross = np.full((len(references), *shape), np.nan)
    own = np.full((len(OWN_MEANS), len(references), *shape), np.nan)
    analysed = [name in channel_table().analysed.names for name in normals.channels]
    absent: dict[str, list[np.datetime64]] = {name: [] for name in against.by_name}
    lacking: list[np.datetime64] = []
    for i, init in enumerate(progress(times, label, log)):
        for j, lead in enumerate(leads):
            valid = valid_time(init, lead)
            field = read(init, lead)
            if field is None:
                lacking.append(valid)
                continue
            present = [k for k, reference in enumerate(references) if valid in reference]
            anomaly = field - normals.at(valid)
            means = forecast_means(
                anomaly, [references[k].anomaly(valid) for k in present], weights
            )
            mean[i, j], power[i, j] = means[:2]
            _check_whole(means[0], analysed, normals.channels, f"{label} of {init} + {lead} h")
            for k, reference in enumerate(references):
                if k not in present:
                    absent[reference.name].append(valid)
                    continue
                cross[k, i, j] = means[2 + present.index(k)]
                own[:, k, i, j] = reference.means(valid)
                _check_whole(
                    own[0, k, i, j], analysed, normals.channels, f"{reference.name} of {valid}"
                )
                if maps is not None:
                    maps.add(reference.name, lead, anomaly, reference.anomaly(valid))
    total = len(times) * len(leads)
    report = partial(_check_cases, asked=asked, log=log)
    report(lacking, total, f"cases of {label} have a field")
    for reference in references:
        # forecasts reach beyond the end of the cycle that they started from
        last = reference.states.slots[-1] if reference.name == "own" else None
        missed = [time for time in absent[reference.name] if last is None or time <= last]
        beyond = len(absent[reference.name]) - len(missed)
        what = f"cases of {label} with a field have the reference {reference.name}"
        report(missed, total - len(lacking) - beyond, what)
    return {
        reference.name: Cases.from_means(
            times,
            leads,
            normals.channels,
            against.regions,
            (mean, power, cross[k], *own[:, k]),
        )
        for k, reference in enumerate(references)
    }


def _check_whole(
    means: np.ndarray, analysed: Sequence[bool], channels: Sequence[str], place: str
) -> None:
    """Fail where a field lacks values of a channel that every state has.

    Parameters
    ----------
    means : np.ndarray
        Means of the field ``(channel, region)``, NaN with a missing value.
    analysed : sequence of bool
        For each channel, whether every state has it: all but precipitation.
    channels : sequence of str
        Names of the channels.
    place : str
        The field, in the words of the message.
    """
    check_finite(np.isfinite(means).all(axis=1) | ~np.array(analysed), channels, place)


def _check_cases(
    valid_times: Sequence[np.datetime64],
    total: int,
    what: str,
    asked: Asked | None,
    log: logging.Logger,
) -> None:
    """Fail or warn where cases lack something.

    Parameters
    ----------
    valid_times : sequence of np.datetime64
        Valid times of the cases that lack it.
    total : int
        Number of cases.
    what : str
        What the others have.
    asked : Asked, optional
        The least share of them.
    log : logging.Logger
        Gets the warning.
    """
    asked = asked or SimpleNamespace(setting="completeness.cases", least=0.0)
    missing = f"those valid at {list_times(valid_times)}"
    check_share(asked, total - len(valid_times), total, what, missing, log)


def climatology_cases(
    times: np.ndarray, leads: Sequence[int], against: ReferenceSet, reference: Reference
) -> Cases:
    """Gather the cases of the climatology taken as a forecast.

    Its anomaly is 0, so that the means of the reference are all that is needed.

    Parameters
    ----------
    times : np.ndarray
        Start times, ``(case,)``.
    leads : sequence of int
        Lead times in hours.
    against : ReferenceSet
        Climatology and regions.
    reference : Reference
        One reference of ``against``.

    Returns
    -------
    Cases
        Cases against ``reference``; NaN where it has no state at the valid time.
    """
    times = np.asarray(times, "datetime64[ns]")
    channels = against.normals.channels
    own = np.array([[reference.means(valid_time(init, lead)) for lead in leads] for init in times])
    own = own.reshape(len(times), len(leads), -1, len(channels), len(against.regions))
    nothing = np.where(np.isfinite(own[:, :, 0]), 0.0, np.nan)
    means = (nothing, nothing, nothing, *np.moveaxis(own, 2, 0))
    return Cases.from_means(times, leads, channels, against.regions, means)
