"""Errors of simulated observations: bias and noise as real ones depart from their equivalents.

Departures hold the errors of instrument and operator, of the state they were simulated from, and of
representing a cell by a point. Added to equivalents of the same kind of states they make
observations that depart like real ones.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fuxiflow.observations.biweight import on_scale
from fuxiflow.storage import provenance
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store

SURFACES = ("sea", "land")
LEAST_LAND = 0.5
"""Land fraction from which on a place counts as land."""
LARGEST = 4.0
"""Departures beyond so many robust standard deviations from their median are clipped: clouds and
failures are no noise."""
CAUTION = 30
"""Departures that weigh against the bias of a single position of the scan."""


def surface_index(land_fraction: np.ndarray) -> np.ndarray:
    """Return the index into :data:`SURFACES` of land fractions ``(n,)``."""
    return (np.asarray(land_fraction) >= LEAST_LAND).astype(np.int64)


@dataclass(frozen=True)
class ObservationErrors:
    """Bias and noise of the channels of a source, of the logarithm for its logarithmic channels.

    Attributes
    ----------
    channels : list[str]
        Names of the channels.
    bias : np.ndarray
        Mean departure, ``(surface, channel)``.
    scan : np.ndarray
        What a position of the scan adds to it, ``(position + 1, channel)``; row 0 is 0, for
        footprints that have no position.
    factor : np.ndarray
        Matrices ``(surface, channel, channel)`` whose product with their transpose is the
        covariance of the noise.
    count : int
        Number of departures that they were estimated from.
    """

    channels: list[str]
    bias: np.ndarray
    scan: np.ndarray
    factor: np.ndarray
    count: int

    @property
    def channels_without_departures(self) -> list[str]:
        """Channels whose bias is NaN, which are not simulated."""
        estimated = np.isfinite(self.bias[0])
        return [name for name, ok in zip(self.channels, estimated, strict=True) if not ok]

    def write(self, path: Path) -> None:
        """Write the errors as a Zarr v3 group."""
        group = create_store(
            path,
            {
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
        consolidate(path)

    @classmethod
    def read(cls, path: Path) -> "ObservationErrors":
        """Read a group that :meth:`write` wrote."""
        group = open_store(path, "errors of observations")
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
        """Add bias and random noise to equivalents.

        Parameters
        ----------
        values : np.ndarray
            Equivalents in the channels' units, ``(n, channel)``.
        land_fraction : np.ndarray
            From 0 to 1, ``(n,)``.
        position : np.ndarray
            Position in the scan, from 1, ``(n,)``; positions beyond those of ``scan`` have the bias
            of their surface alone.
        logarithmic : Sequence[bool]
            Whether a channel's errors are of its logarithm.
        random : np.random.Generator
            Draws the noise.

        Returns
        -------
        np.ndarray
            Values with errors, ``(n, channel)``, float32.
        """
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
    """Subtract equivalents from observations, on the scale of each channel.

    Parameters
    ----------
    values : np.ndarray
        Observed values, ``(n, channel)``.
    equivalents : np.ndarray
        Simulated values, ``(n, channel)``.
    logarithmic : Sequence[bool]
        Whether a channel is judged by its logarithm.

    Returns
    -------
    np.ndarray
        Departures ``(n, channel)``, of logarithms for logarithmic channels.
    """
    return on_scale(values, logarithmic) - on_scale(equivalents, logarithmic)


def estimate_errors(
    channels: Sequence[str], departures: np.ndarray, land_fraction: np.ndarray, position: np.ndarray
) -> ObservationErrors:
    """Estimate bias and noise of a source from departures.

    Where a surface has fewer than :data:`CAUTION` departures of some channel that has any, both
    surfaces together count. The bias of a channel without departures is NaN, so that it is not
    simulated.

    Parameters
    ----------
    channels : Sequence[str]
        Names of the channels.
    departures : np.ndarray
        Departures ``(n, channel)`` of :func:`scaled_departures`, NaN if missing.
    land_fraction : np.ndarray
        From 0 to 1, ``(n,)``.
    position : np.ndarray
        Position in the scan, from 1, ``(n,)``; 0 for none.

    Returns
    -------
    ObservationErrors
        The errors.

    Raises
    ------
    ValueError
        If no channel has any departure.
    """
    departures = departures.astype(np.float64)
    count = np.isfinite(departures).sum(0)
    if not count.any():
        raise ValueError(
            "no departures, nothing to take errors from; choose another template period, or look "
            "at the ledger of the source"
        )
    kind = surface_index(land_fraction)
    bias, factor = [], []
    for i in range(len(SURFACES)):
        part = departures[kind == i]
        enough = np.isfinite(part).sum(0)[count > 0].min() >= CAUTION
        clipped = _clipped(part if enough else departures)
        bias.append(_mean(clipped))
        factor.append(_factor(clipped - bias[-1]))
    bias = np.array(bias)
    return ObservationErrors(
        list(channels),
        bias.astype(np.float32),
        _scan(_clipped(departures) - bias[kind], position),
        np.array(factor, np.float32),
        len(departures),
    )


def _mean(values: np.ndarray) -> np.ndarray:
    """Average the finite values ``(n, channel)`` by channel, NaN where there is none."""
    present = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(present, values, 0.0).sum(0) / present.sum(0)


def _clipped(values: np.ndarray) -> np.ndarray:
    """Clip values ``(n, channel)`` to robust standard deviations about their median.

    There are :data:`LARGEST` of them; one is 1.4826 times the median absolute deviation.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a channel without any value stays NaN
        middle = np.nanmedian(values, axis=0)
        width = LARGEST * 1.4826 * np.nanmedian(np.abs(values - middle), axis=0)
    return np.clip(values, middle - width, middle + width)


def _factor(centred: np.ndarray) -> np.ndarray:
    """Compute a square root of the covariance of centred values ``(n, channel)``.

    Each pair of channels counts where both have a value; negative eigenvalues, which such a matrix
    can have, are set to 0.
    """
    present = np.isfinite(centred)
    values = np.where(present, centred, 0.0)
    pairs = present.T.astype(float) @ present
    # pairs of channels have different samples, so that the matrix may have negative eigenvalues
    values, vectors = np.linalg.eigh(values.T @ values / np.maximum(pairs, 1))
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _scan(left: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Average what is left over at each position of the scan, reduced where there are few.

    ``left`` is ``(n, channel)``, ``position`` ``(n,)``; row 0 of the result is for no position.
    """
    rows = int(max(position.max(initial=0), 0)) + 1
    present = np.isfinite(left)
    total, count = np.zeros((rows, left.shape[1])), np.zeros((rows, left.shape[1]))
    np.add.at(total, position, np.where(present, left, 0.0))
    np.add.at(count, position, present)
    # a position with few departures is drawn towards none: noise must not become bias
    mean = total / (count + CAUTION)
    mean[0] = 0.0
    return mean.astype(np.float32)
