"""One pass over forecasts or analyses gathers the statistics of all cases.

Cases come in the order of their valid times, not of their start times. So each field of a
reference and of the climatology is needed by neighbouring cases alone, and memory does not grow
with the number of leads or start times.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from fuxiflow.channels import channel_table
from fuxiflow.completeness import check_finite
from fuxiflow.progress import Progress
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.times import as_datetime64
from fuxiflow.times import times as times_between
from fuxiflow.verification.area_means import forecast_means
from fuxiflow.verification.case_counts import CaseCount
from fuxiflow.verification.cases import CaseKey, Cases
from fuxiflow.verification.maps import ErrorMaps
from fuxiflow.verification.references import Reference, ReferenceSet, align_channels

# larger fields of persistence are read anew: their cases do not come one after the other
KEPT_BYTES = 1 << 27
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
            field = align_channels(states.read(init), states.channels.names, channels)
            if field.nbytes > KEPT_BYTES:
                return field
            last[init] = field
        return last[init]

    return read


def order_by_hour(times: Sequence[np.datetime64]) -> list[int]:
    """Return positions of times by hour of the day, and within an hour by time.

    The climatology of an hour is interpolated between two fields, which serve for days.
    """
    hours = [int(np.datetime64(time, "h").astype(int)) % 24 for time in times]
    return sorted(range(len(times)), key=lambda i: (hours[i], times[i]))


def case_order(times: np.ndarray, leads: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Order cases such that few fields serve for neighbouring ones.

    Parameters
    ----------
    times : np.ndarray
        Start times, ``(case,)``.
    leads : sequence of int
        Lead times in hours.

    Yields
    ------
    tuple of int
        Positions of the start time and the lead: by the hour of the day at the valid time, then by
        valid time.
    """
    cases = [(i, j) for i in range(len(times)) for j in range(len(leads))]
    for position in order_by_hour([valid_time(times[i], leads[j]) for i, j in cases]):
        yield cases[position]


@dataclass(frozen=True)
class CollectedCases:
    """The cases of systems, and how many of them lack a field or a reference.

    Attributes
    ----------
    cases : dict of CaseKey to Cases
        Cases by system and reference.
    counts : list of CaseCount
        What is asked for of all parts together, see
        :func:`fuxiflow.verification.case_counts.check_counts`.
    """

    cases: dict[CaseKey, Cases]
    counts: list[CaseCount]

    def __or__(self, other: "CollectedCases") -> "CollectedCases":
        """Return the cases of the systems of both."""
        return CollectedCases(self.cases | other.cases, self.counts + other.counts)

    def renamed(self, label: str, system: str) -> "CollectedCases":
        """Give the cases of the system ``label`` the name ``system``."""
        cases = {
            (system if key[0] == label else key[0], key[1]): value
            for key, value in self.cases.items()
        }
        return CollectedCases(cases, self.counts)


def collect_cases(
    readers: Mapping[str, FieldReader],
    times: np.ndarray,
    leads: Sequence[int],
    against: ReferenceSet,
    log: logging.Logger,
    maps: ErrorMaps | None = None,
) -> CollectedCases:
    """Gather the cases of systems against every reference.

    Each field of a system is read once, and one at a time. Each field of a reference is read once
    for each valid time.

    Parameters
    ----------
    readers : mapping of str to FieldReader
        Reads a field of each system. The names are those of the log.
    times : np.ndarray
        Start times (or analysis times), ``(case,)``.
    leads : sequence of int
        Lead times in hours, 0 for analyses.
    against : ReferenceSet
        Climatology, references and regions.
    log : logging.Logger
        Told the progress.
    maps : ErrorMaps, optional
        Errors are added to them.

    Returns
    -------
    CollectedCases
        A case without a field, or without the reference at its valid time, is NaN, and is counted.
        The own analyses end before the last valid times: those are no cases that should be there.

    Raises
    ------
    IncompleteError
        For a field that is not whole.
    """
    references = against.references
    normals = against.normals
    if not references:
        return CollectedCases({}, [])
    times = np.asarray(times, "datetime64[ns]")
    regions = against.regions
    cases = {
        (name, reference.name): Cases.empty(times, leads, normals.channels, regions)
        for name in readers
        for reference in references
    }
    analysed = [name in channel_table().analysed.names for name in normals.channels]
    absent: dict[CaseKey, list[np.datetime64]] = {key: [] for key in cases}
    lacking: dict[str, list[np.datetime64]] = {name: [] for name in readers}
    report = Progress(len(times) * len(leads), ", ".join(readers), log)
    for i, j in case_order(times, leads):
        init, lead = times[i], leads[j]
        valid = valid_time(init, lead)
        present = [reference for reference in references if valid in reference]
        for name, read in readers.items():
            field = read(init, lead)
            if field is None:
                lacking[name].append(valid)
                continue
            anomalies = [reference.anomaly(valid) for reference in present]
            normal = normals.at(valid)
            means = forecast_means(field, normal, anomalies, references[0].weights)
            _check_whole(means[0], analysed, normals.channels, f"{name} of {init} + {lead} h")
            for k, reference in enumerate(present):
                own = reference.means(valid)
                place = f"{reference.name} of {valid}"
                _check_whole(own[0], analysed, normals.channels, place)
                cases[name, reference.name].put(i, j, (*means[:2], means[2 + k], *own))
                if maps is not None:
                    maps.add(reference.name, lead, field - normal, anomalies[k])
            for reference in references:
                if reference not in present:
                    absent[name, reference.name].append(valid)
            # gone before the next one is read
            del field, anomalies, normal
        report.step()
    total = len(times) * len(leads)
    counts = []
    for name in readers:
        fields = f"cases of {name} have a field"
        counts.append(CaseCount.of_times(fields, total, lacking[name]))
        for reference in references:
            # forecasts reach beyond the end of the cycle that they started from
            last = reference.states.slots[-1] if reference.name == "own" else None
            without = absent[name, reference.name]
            missed = [time for time in without if last is None or time <= last]
            expected = total - len(lacking[name]) - (len(without) - len(missed))
            what = f"cases of {name} with a field have the reference {reference.name}"
            counts.append(CaseCount.of_times(what, expected, missed))
    return CollectedCases(cases, counts)


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
    valid = np.unique([valid_time(init, lead) for init in times for lead in leads])
    for position in order_by_hour(valid):
        reference.means(valid[position])
    cases = Cases.empty(times, leads, channels, against.regions)
    for i, init in enumerate(times):
        for j, lead in enumerate(leads):
            own = reference.means(valid_time(init, lead))
            nothing = np.where(np.isfinite(own[0]), 0.0, np.nan)
            cases.put(i, j, (nothing, nothing, nothing, *own))
    return cases
