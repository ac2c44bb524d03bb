"""One pass over forecasts, or over analyses, that gathers the statistics of all cases against all references."""

import logging
from collections.abc import Callable, Sequence

import numpy as np

from fuxiflow.progress import progress
from fuxiflow.verification.cases import Cases, forecast_means
from fuxiflow.verification.maps import ErrorMaps
from fuxiflow.verification.references import Normals, Reference

# the field (channel, cell) of a start time and lead, None where there is none
FieldReader = Callable[[np.datetime64, int], np.ndarray | None]


def valid_time(init: np.datetime64, lead: int) -> np.datetime64:
    """Start time plus lead in hours."""
    return np.datetime64(init, "ns") + np.timedelta64(int(lead), "h")


def collect(
    read: FieldReader,
    times: np.ndarray,
    leads: Sequence[int],
    normals: Normals,
    references: Sequence[Reference],
    regions: Sequence[str],
    log: logging.Logger,
    label: str,
    maps: ErrorMaps | None = None,
) -> dict[str, Cases]:
    """Cases of one system, by the reference's name; each field of the system is read once.

    A case without a field, or without the reference at its valid time, stays NaN; how many were so is logged. Errors
    are added to ``maps`` where given.
    """
    if not references:
        return {}
    times = np.asarray(times, "datetime64[ns]")
    weights = references[0].weights
    shape = (len(times), len(leads), len(normals.channels), len(weights))
    mean, power = np.full(shape, np.nan), np.full(shape, np.nan)
    cross, own = (
        np.full((len(references), *shape), np.nan),
        np.full((2, len(references), *shape), np.nan),
    )
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
    total = len(times) * len(leads)
    for name, count in absent.items():
        if count:
            log.info(
                "%s: %d of %d cases have no %s",
                label,
                count,
                total,
                "field" if name == "forecast" else f"reference {name} at the valid time",
            )
    return {
        reference.name: Cases.from_means(
            times, leads, normals.channels, regions, (mean, power, cross[k], own[0, k], own[1, k])
        )
        for k, reference in enumerate(references)
    }


def climatology_cases(
    times: np.ndarray,
    leads: Sequence[int],
    normals: Normals,
    reference: Reference,
    regions: Sequence[str],
) -> Cases:
    """Cases of the climatology taken as a forecast: the anomaly is 0, so the reference's own means are enough."""
    times = np.asarray(times, "datetime64[ns]")
    own = np.array([[reference.means(valid_time(init, lead)) for lead in leads] for init in times])
    own = own.reshape(len(times), len(leads), 2, len(normals.channels), len(regions))
    nothing = np.where(np.isfinite(own[:, :, 0]), 0.0, np.nan)
    return Cases.from_means(
        times,
        leads,
        normals.channels,
        regions,
        (nothing, nothing, nothing, own[:, :, 0], own[:, :, 1]),
    )
