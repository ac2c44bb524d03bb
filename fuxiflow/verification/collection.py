"""One pass over forecasts or analyses gathers the statistics of all cases."""

import logging
from collections.abc import Callable, Sequence
from datetime import date

import numpy as np

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

    Returns
    -------
    dict of str to Cases
        Cases by the reference's name. A case without a field, or without the reference at its
        valid time, is NaN.
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
    absent = {"forecast": 0, **{reference.name: 0 for reference in references}}
    for i, init in enumerate(progress(times, label, log)):
        for j, lead in enumerate(leads):
            valid = valid_time(init, lead)
            field = read(init, lead)
            if field is None:
                absent["forecast"] += 1
                continue
            present = [k for k, reference in enumerate(references) if valid in reference]
            anomaly = field - normals.at(valid)
            means = forecast_means(
                anomaly, [references[k].anomaly(valid) for k in present], weights
            )
            mean[i, j], power[i, j] = means[:2]
            for k, reference in enumerate(references):
                if k not in present:
                    absent[reference.name] += 1
                    continue
                cross[k, i, j] = means[2 + present.index(k)]
                own[:, k, i, j] = reference.means(valid)
                if maps is not None:
                    maps.add(reference.name, lead, anomaly, reference.anomaly(valid))
    _log_absent(absent, len(times) * len(leads), log, label)
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


def _log_absent(absent: dict[str, int], total: int, log: logging.Logger, label: str) -> None:
    """Log how many cases lack something.

    Parameters
    ----------
    absent : dict of str to int
        Cases that lack a field of the system (``forecast``), or of each reference.
    total : int
        Number of cases.
    log : logging.Logger
        Told a line for each number above 0.
    label : str
        The system, in the words of the log.
    """
    for name, count in absent.items():
        if count:
            thing = "field" if name == "forecast" else f"reference {name} at the valid time"
            log.info("%s: %d of %d cases have no %s", label, count, total, thing)


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
