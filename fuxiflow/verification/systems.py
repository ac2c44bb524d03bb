"""The systems that are scored, as readers of one field, and the start times they are scored at."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

from fuxiflow import times
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import States
from fuxiflow.verification.collect import FieldReader
from fuxiflow.verification.references import Normals, Reference, aligned


def moments(period: Sequence[str], hours: Sequence[int] = (0, 6, 12, 18)) -> np.ndarray:
    """All times of a period (first and last day as texts) at the given hours of the day, ``datetime64[ns]``."""
    first, last = (date.fromisoformat(text) for text in period)
    return times.as_datetime64(time for time in times.times(first, last) if time.hour in hours)


def forecast_leads(forecasts: Forecasts) -> list[int]:
    """Leads that are forecasts: lead 0, where a store has it, is the analysis."""
    return [lead for lead in forecasts.lead_hours if lead > 0]


def forecast(forecasts: Forecasts) -> FieldReader:
    """Reads forecasts; None where a start time or lead is not in the store."""

    def read(init, lead):
        if not forecasts.available(init, lead):
            return None
        field = forecasts.read(init, lead)
        return field.reshape(len(field), -1)

    return read


def persistence(states: States, channels: Sequence[str]) -> FieldReader:
    """The state of the start time at every lead; channels it lacks (precipitation) are NaN, so they are not scored."""
    last: dict = {}

    def read(init, lead):
        if init not in states:
            return None
        if init not in last:
            last.clear()
            last[init] = aligned(states.read(init), states.channels.names, channels)
        return last[init]

    return read


def references(
    named: dict[str, list[Path]],
    climatology: Path,
    channels: Sequence[str],
    weights: np.ndarray,
    array: dict[str, str] | None = None,
) -> tuple[Normals, list[Reference]]:
    """Climatology and references on ``channels``; a reference without files is left out.

    ``named`` gives the stores of each reference, ``array`` the array to read from them (default ``state``);
    ``weights (region, lat, lon)``.
    """
    normals = Normals(Climatology.read(climatology), channels)
    flat = weights.reshape(len(weights), -1)
    return normals, [
        Reference(name, States(paths, name=(array or {}).get(name, "state")), normals, flat)
        for name, paths in named.items()
        if paths
    ]
