"""Area means of anomalies and their products over regions, in one pass over the fields.

Cells of a row have one weight in a region or none. So a field is summed over pieces first: runs of
neighbouring cells whose weight is the same in every region. A few weights for each piece then make
the means of all regions. Sums are in double precision, and no field of products is ever made. A
field with a missing cell has no mean in any region.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

# area means of an anomaly alone: what a reference is asked for
OWN_MEANS = ("mean", "power")
# sums in any order and fused multiplication, so that several cells are added at a time; that
# there is no NaN is not assumed
FAST = {"reassoc", "contract", "nsz"}


@dataclass(frozen=True)
class PieceWeights:
    """Weights of regions on runs of cells.

    Attributes
    ----------
    edges : np.ndarray
        ``(piece + 1,)``: piece i has the cells ``edges[i]`` to ``edges[i + 1]``.
    weights : np.ndarray
        Weight of each cell of a piece in each region, ``(piece, region)``.
    """

    edges: np.ndarray
    weights: np.ndarray

    @classmethod
    def of_cells(cls, weights: np.ndarray) -> "PieceWeights":
        """Find the pieces of weights ``(region, cell)``, which sum to 1 in each region."""
        starts = np.flatnonzero((np.diff(weights, axis=1) != 0).any(axis=0)) + 1
        edges = np.concatenate([[0], starts, [weights.shape[1]]]).astype(np.int64)
        return cls(edges, np.ascontiguousarray(weights[:, edges[:-1]].T))

    def __len__(self) -> int:
        """Return the number of regions."""
        return self.weights.shape[1]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _own_sums(anomaly, edges):
    """Sum an anomaly and its square over pieces.

    Parameters
    ----------
    anomaly : np.ndarray
        Anomaly ``(channel, cell)``.
    edges : np.ndarray
        Edges of the pieces, ``(piece + 1,)``.

    Returns
    -------
    np.ndarray
        Sums ``(2, channel, piece)``.
    """
    sums = np.empty((2, anomaly.shape[0], edges.size - 1))
    for channel in range(anomaly.shape[0]):
        for piece in range(edges.size - 1):
            # a view of its own: several of its cells are then loaded at a time
            values = anomaly[channel, edges[piece] : edges[piece + 1]]
            total, square = 0.0, 0.0
            for i in range(values.size):
                value = np.float64(values[i])
                total += value
                square += value * value
            sums[0, channel, piece] = total
            sums[1, channel, piece] = square
    return sums


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _case_sums(field, normal, reference, edges):
    """Sum the anomaly of a field, its square and its product with a reference over pieces.

    Parameters
    ----------
    field, normal, reference : np.ndarray
        Forecast, climatology and anomaly of the reference, ``(channel, cell)``.
    edges : np.ndarray
        Edges of the pieces, ``(piece + 1,)``.

    Returns
    -------
    np.ndarray
        Sums ``(3, channel, piece)``.
    """
    sums = np.empty((3, field.shape[0], edges.size - 1))
    for channel in range(field.shape[0]):
        for piece in range(edges.size - 1):
            first, last = edges[piece], edges[piece + 1]
            values = field[channel, first:last]
            normals = normal[channel, first:last]
            others = reference[channel, first:last]
            total, square, cross = 0.0, 0.0, 0.0
            for i in range(values.size):
                anomaly = np.float64(values[i] - normals[i])
                total += anomaly
                square += anomaly * anomaly
                cross += anomaly * np.float64(others[i])
            sums[0, channel, piece] = total
            sums[1, channel, piece] = square
            sums[2, channel, piece] = cross
    return sums


def own_means(anomaly: np.ndarray, weights: PieceWeights) -> np.ndarray:
    """Average an anomaly ``(channel, cell)`` and its square over regions.

    Returns ``<a'>`` and ``<a'^2>``, ``(2, channel, region)``.
    """
    return _own_sums(np.ascontiguousarray(anomaly), weights.edges) @ weights.weights


def absent_means(channels: int, regions: int) -> np.ndarray:
    """Return the :data:`OWN_MEANS` of an absent state: NaN ``(mean, channel, region)``."""
    return np.full((len(OWN_MEANS), channels, regions), np.nan)


def forecast_means(
    field: np.ndarray, normal: np.ndarray, references: Sequence[np.ndarray], weights: PieceWeights
) -> np.ndarray:
    """Average a forecast's anomaly, its square and its products with references.

    Parameters
    ----------
    field : np.ndarray
        The forecast, ``(channel, cell)``.
    normal : np.ndarray
        Climatology at its valid time, ``(channel, cell)``; the difference is taken in single
        precision where both are.
    references : sequence of np.ndarray
        Anomalies of the references, each ``(channel, cell)``.
    weights : PieceWeights
        Weights of the regions.

    Returns
    -------
    np.ndarray
        ``<f'>``, ``<f'^2>`` and, for each reference, ``<f' r'>``, as
        ``(2 + reference, channel, region)``.
    """
    if not references:
        return own_means(field - normal, weights)
    forecast, climate = np.ascontiguousarray(field), np.ascontiguousarray(normal)
    means = np.empty((2 + len(references), len(field), len(weights)))
    for i, reference in enumerate(references):
        others = np.ascontiguousarray(reference)
        of_case = _case_sums(forecast, climate, others, weights.edges) @ weights.weights
        means[:2], means[2 + i] = of_case[:2], of_case[2]
    return means
