"""Counts, means and sums of squares of channels, which merge in any order, and as tables on disk.

Merged after Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115: no second pass over
the data, and no digits cancel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd

from fuxiflow.storage import tables


@dataclass
class Moments:
    """Count of samples, mean and sum of squared deviations, ``(channel,)`` each.

    A sample is a whole field, weighted by area, or a single value. A channel that is NaN in a
    sample (precipitation of an analysis, an observation that is missing) is not counted there.
    """

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def empty(cls, channels: int) -> "Moments":
        """Return the moments of no sample, for a number of channels."""
        return cls(np.zeros(channels), np.zeros(channels), np.zeros(channels))

    @classmethod
    def of_field(
        cls, values: np.ndarray, weights: np.ndarray, before: np.ndarray | None = None
    ) -> "Moments":
        """Return the moments of a field, or of its difference from another one.

        Channels follow each other in one buffer in double precision, as a copy of a whole state
        would take twice its memory and seven times as long.

        Parameters
        ----------
        values : np.ndarray
            The field ``(channel, lat, lon)``.
        weights : np.ndarray
            Area weights ``(lat,)``.
        before : np.ndarray, optional
            A field of the same shape that is subtracted; by default none.

        Returns
        -------
        Moments
            Of one sample.
        """
        area = weights / weights.sum() / values.shape[-1]
        buffer = np.empty(values.shape[1:])
        moments = cls.empty(len(values))
        for channel, field in enumerate(values):
            buffer[...] = field
            if before is not None:
                buffer -= before[channel]
            mean = area @ buffer.sum(axis=1)
            # a value that is no number leaves none in the sum
            if not np.isfinite(mean):
                continue
            buffer -= mean
            moments.count[channel] = 1
            moments.mean[channel] = mean
            moments.squares[channel] = area @ np.einsum("ij,ij->i", buffer, buffer)
        return moments

    @classmethod
    def of_rows(cls, values: np.ndarray) -> "Moments":
        """Return the moments of single values ``(n, channel)``, without those that are NaN."""
        present = np.isfinite(values)
        count = present.sum(axis=0).astype(float)
        mean = np.where(present, values, 0.0).sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
        # about the mean of these rows, so that no digits cancel
        deviations = np.where(present, values - mean, 0.0)
        return cls(count, mean, np.einsum("ij,ij->j", deviations, deviations))

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both samples together."""
        count = self.count + other.count
        share = np.divide(other.count, count, out=np.zeros_like(count), where=count > 0)
        delta = other.mean - self.mean
        return Moments(
            count,
            self.mean + delta * share,
            self.squares + other.squares + delta**2 * self.count * share,
        )

    @property
    def std(self) -> np.ndarray:
        """Standard deviation ``(channel,)``, NaN where nothing was counted."""
        return np.sqrt(
            np.divide(
                self.squares, self.count, out=np.full_like(self.count, np.nan), where=self.count > 0
            )
        )


@dataclass
class SegmentMoments:
    """Moments of the samples of a span of time, of one or several kinds.

    Attributes
    ----------
    channels : list of str
        Names of the channels.
    kinds : dict of str to Moments
        Moments by kind of sample, such as ``state`` and ``difference``.
    first, last : str
        The first and last time with a sample, as ISO texts; empty where there is none.
    """

    channels: list[str]
    kinds: dict[str, Moments]
    first: str = ""
    last: str = ""

    def merge(self, other: "SegmentMoments") -> "SegmentMoments":
        """Return the moments of both spans; ValueError for other channels or kinds."""
        if (self.channels, set(self.kinds)) != (other.channels, set(other.kinds)):
            raise ValueError("moments of other channels or kinds cannot be merged")
        return SegmentMoments(
            self.channels,
            {kind: own.merge(other.kinds[kind]) for kind, own in self.kinds.items()},
            min(filter(None, (self.first, other.first)), default=""),
            max(self.last, other.last),
        )

    def write(self, path: Path) -> None:
        """Write Parquet: kind, channel, count, mean, squares, first, last."""
        parts = [
            pd.DataFrame(
                {
                    "kind": kind,
                    "channel": self.channels,
                    "count": moments.count,
                    "mean": moments.mean,
                    "squares": moments.squares,
                    "first": self.first,
                    "last": self.last,
                }
            )
            for kind, moments in self.kinds.items()
        ]
        tables.write_parquet(path, pd.concat(parts, ignore_index=True))

    @classmethod
    def read(cls, path: Path) -> "SegmentMoments":
        """Read what :meth:`write` wrote."""
        frame = tables.read_parquet(path)
        kinds = {
            str(kind): Moments(*(part[name].to_numpy() for name in ("count", "mean", "squares")))
            for kind, part in frame.groupby("kind", sort=False)
        }
        channels = list(dict.fromkeys(frame["channel"]))
        return cls(channels, kinds, frame["first"].iloc[0], frame["last"].iloc[0])


def merge_segments(paths: Sequence[Path]) -> SegmentMoments:
    """Merge the moments of several segments.

    Parameters
    ----------
    paths : Sequence of Path
        Tables that :meth:`SegmentMoments.write` wrote, at least one.

    Returns
    -------
    SegmentMoments
        Of all of them.

    Raises
    ------
    ValueError
        Names the first table with other channels or kinds than those before it.
    """

    def add(total: SegmentMoments, path: Path) -> SegmentMoments:
        try:
            return total.merge(SegmentMoments.read(path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}; delete it and run again") from error

    return reduce(add, paths[1:], SegmentMoments.read(paths[0]))
