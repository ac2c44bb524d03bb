"""The errors that simulated observations get: bias and noise as real ones depart from their equivalents.

Departures hold the errors of instrument and operator, of the state they were simulated from, and of representing a cell
by a point; put on equivalents of the same kind of states they make observations that depart like real ones.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr

from fuxiflow.observations.biweight import on_scale
from fuxiflow.storage import provenance

SURFACES = ("sea", "land")
LEAST_LAND = 0.5
LARGEST = 4.0
"""Departures are held to so many robust standard deviations from their median: clouds and failures are no noise."""
CAUTION = 30
"""A position of the scan has as much say about its own bias as so many departures have against it."""


def surface_index(land_fraction: np.ndarray) -> np.ndarray:
    """Index into :data:`SURFACES` of land fractions (n,)."""
    return (np.asarray(land_fraction) >= LEAST_LAND).astype(np.int64)


@dataclass(frozen=True)
class ObservationErrors:
    """Errors of a source's ``channels``, on its logarithmic ones of the logarithm.

    ``bias (surface, channel)``; ``scan (position + 1, channel)`` what a position of the scan has beside it, 0 for what
    has no position; ``factor (surface, channel, channel)`` whose product with its transpose is the covariance of the
    noise; ``count`` departures that they were found from.
    """

    channels: list[str]
    bias: np.ndarray
    scan: np.ndarray
    factor: np.ndarray
    count: int

    def write(self, path: Path) -> None:
        """Write a Zarr v3 group."""
        group = zarr.open_group(
            path,
            mode="w",
            zarr_format=3,
            attributes={
                "channels": list(self.channels),
                "surfaces": list(SURFACES),
                "count": int(self.count),
                "provenance": provenance.as_json(),
            },
        )
        names = {
            "bias": ("surface", "channel"),
            "scan": ("position", "channel"),
            "factor": ("surface", "channel", "other_channel"),
        }
        for name, dimensions in names.items():
            values = np.asarray(getattr(self, name), np.float32)
            group.create_array(name, data=values, chunks=values.shape, dimension_names=dimensions)

    @classmethod
    def read(cls, path: Path) -> "ObservationErrors":
        """Read what :meth:`write` wrote."""
        group = zarr.open_group(path, mode="r")
        arrays = (group[name][:] for name in ("bias", "scan", "factor"))
        return cls(list(group.attrs["channels"]), *arrays, group.attrs["count"])

    def put_on(
        self,
        values: np.ndarray,
        land_fraction: np.ndarray,
        position: np.ndarray,
        logarithmic: Sequence[bool],
        random: np.random.Generator,
    ) -> np.ndarray:
        """Equivalents ``values (n, channel)`` with bias and drawn noise, float32; positions beyond those known have
        the bias of their surface alone."""
        kind = surface_index(land_fraction)
        place = np.where((position > 0) & (position < len(self.scan)), position, 0)
        error = self.bias[kind] + self.scan[place]
        noise = random.standard_normal(values.shape, dtype=np.float32)
        for i, factor in enumerate(self.factor):
            error[kind == i] += noise[kind == i] @ factor.T
        scaled = on_scale(values, logarithmic) + error
        return np.where(
            np.asarray(logarithmic), np.exp(np.where(logarithmic, scaled, 0.0)), scaled
        ).astype(np.float32)


def scaled_departures(
    values: np.ndarray, equivalents: np.ndarray, logarithmic: Sequence[bool]
) -> np.ndarray:
    """Observed minus simulated ``(n, channel)``, of logarithms where a channel is judged by its logarithm."""
    return on_scale(values, logarithmic) - on_scale(equivalents, logarithmic)


def estimate_errors(
    channels: Sequence[str], found: np.ndarray, land_fraction: np.ndarray, position: np.ndarray
) -> ObservationErrors:
    """Errors from departures ``found (n, channel)``, NaN if missing, at ``land_fraction`` and scan ``position`` (n,).

    Where a surface has fewer than :data:`CAUTION` departures of some channel that has any, both surfaces together
    count. The bias of a channel without departures is NaN, so that it is not simulated; ValueError when no channel has
    any.
    """
    found = found.astype(np.float64)
    count = np.isfinite(found).sum(0)
    if not count.any():
        raise ValueError(
            "no departures, nothing to take errors from; choose another template period, or look at the "
            "ledger of the source"
        )
    kind = surface_index(land_fraction)
    bias, factor = [], []
    for i in range(len(SURFACES)):
        part = found[kind == i]
        enough = np.isfinite(part).sum(0)[count > 0].min() >= CAUTION
        held = _held(part if enough else found)
        bias.append(_mean(held))
        factor.append(_factor(held - bias[-1]))
    bias = np.array(bias)
    return ObservationErrors(
        list(channels),
        bias.astype(np.float32),
        _scan(_held(found) - bias[kind], position),
        np.array(factor, np.float32),
        len(found),
    )


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean of the finite values ``(n, channel)``, NaN where there is none."""
    present = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(present, values, 0.0).sum(0) / present.sum(0)


def _held(values: np.ndarray) -> np.ndarray:
    """Values within :data:`LARGEST` robust standard deviations (1.4826 times the median absolute deviation)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a channel without any value stays NaN
        middle = np.nanmedian(values, axis=0)
        width = LARGEST * 1.4826 * np.nanmedian(np.abs(values - middle), axis=0)
    return np.clip(values, middle - width, middle + width)


def _factor(centred: np.ndarray) -> np.ndarray:
    """A square root of the covariance ``(channel, channel)``, each pair from what both have, held to be one."""
    present = np.isfinite(centred)
    values = np.where(present, centred, 0.0)
    pairs = present.T.astype(float) @ present
    values, vectors = np.linalg.eigh(values.T @ values / np.maximum(pairs, 1))
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _scan(left: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Mean of what is ``left`` at each position of the scan, less where there are few; row 0 is for none."""
    rows = int(max(position.max(initial=0), 0)) + 1
    present = np.isfinite(left)
    total, count = np.zeros((rows, left.shape[1])), np.zeros((rows, left.shape[1]))
    np.add.at(total, position, np.where(present, left, 0.0))
    np.add.at(count, position, present)
    mean = total / (count + CAUTION)
    mean[0] = 0.0
    return mean.astype(np.float32)
